//! Certificates of one's own: an authority, a server's and a client's by it, in files of a temporary folder.

use std::io;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use thiserror::Error;

use crate::redis_server::ServerTls;

/// Why there are no certificates.
#[derive(Debug, Error)]
pub enum CertificatesError {
    /// They cannot be made.
    #[error("no certificates: {0}")]
    Make(#[from] rcgen::Error),
    /// They cannot be kept.
    #[error("no place for certificates")]
    Place(#[from] io::Error),
}

/// An authority and what it has signed. Files are PEM.
#[derive(Debug)]
pub struct Certificates {
    dir: TempDir,
}

impl Certificates {
    /// Makes an authority; the server's certificate is for `names`, which are host names and addresses.
    ///
    /// # Errors
    /// [`CertificatesError`].
    pub fn new(names: &[&str]) -> Result<Self, CertificatesError> {
        let dir = tempfile::tempdir()?;
        // No two authorities go by one name: whoever does not trust this one does not take it for another.
        let mut params = params(&[], &format!("authority {}", dir.path().display()))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        std::fs::write(dir.path().join("ca.crt"), authority.pem())?;
        for (name, names) in [("server", names), ("client", &[])] {
            let key = KeyPair::generate()?;
            let certificate = self::params(names, name)?.signed_by(&key, &authority)?;
            std::fs::write(dir.path().join(format!("{name}.crt")), certificate.pem())?;
            std::fs::write(dir.path().join(format!("{name}.key")), key.serialize_pem())?;
        }
        Ok(Self { dir })
    }

    /// For servers of 127.0.0.1.
    ///
    /// # Errors
    /// [`CertificatesError`].
    pub fn for_loopback() -> Result<Self, CertificatesError> {
        Self::new(&["127.0.0.1", "localhost"])
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The authority's certificate.
    pub fn ca(&self) -> PathBuf {
        self.dir().join("ca.crt")
    }

    /// A client's certificate.
    pub fn client_cert(&self) -> PathBuf {
        self.dir().join("client.crt")
    }

    /// The key of [`Self::client_cert`].
    pub fn client_key(&self) -> PathBuf {
        self.dir().join("client.key")
    }

    /// A server's settings.
    pub fn server(&self, asks_clients: bool) -> ServerTls {
        let file = |name| self.dir().join(name);
        ServerTls { cert: file("server.crt"), key: file("server.key"), ca: self.ca(), asks_clients }
    }
}

fn params(names: &[&str], called: &str) -> Result<CertificateParams, CertificatesError> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, called);
    Ok(params)
}
