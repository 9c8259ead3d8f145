//! Creates an authority, and a server's and a client's certificate that it signs, as files in a temporary folder.

use std::io;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;
use thiserror::Error;

use crate::redis_server::ServerTls;

/// Why certificates cannot be created.
#[derive(Debug, Error)]
pub enum CertificatesError {
    /// They cannot be generated.
    #[error("cannot generate certificates: {0}")]
    Make(#[from] rcgen::Error),
    /// They cannot be stored.
    #[error("cannot store certificates")]
    Place(#[from] io::Error),
}

/// An authority and the certificates that it has signed. Files are PEM.
#[derive(Debug)]
pub struct Certificates {
    dir: TempDir,
}

impl Certificates {
    /// Creates an authority and its certificates. `names` are the host names and addresses in the server's certificate.
    ///
    /// # Errors
    /// [`CertificatesError`].
    pub fn new(names: &[&str]) -> Result<Self, CertificatesError> {
        let dir = tempfile::tempdir()?;
        // Each authority has a unique name, so that a peer that does not trust it cannot confuse it with another one.
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

    /// Certificates for servers on 127.0.0.1.
    ///
    /// # Errors
    /// [`CertificatesError`].
    pub fn for_loopback() -> Result<Self, CertificatesError> {
        Self::new(&["127.0.0.1", "localhost"])
    }

    /// A server's certificate that is its own authority, as `openssl req -x509` makes it. It is valid until `year` begins.
    ///
    /// # Errors
    /// [`CertificatesError`].
    pub fn self_signed(names: &[&str], year: i32) -> Result<Self, CertificatesError> {
        let (dir, key) = (tempfile::tempdir()?, KeyPair::generate()?);
        let mut params = params(names, &format!("server {}", dir.path().display()))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_after = date_time_ymd(year, 1, 1);
        let certificate = params.self_signed(&key)?.pem();
        std::fs::write(dir.path().join("ca.crt"), &certificate)?;
        std::fs::write(dir.path().join("server.crt"), &certificate)?;
        std::fs::write(dir.path().join("server.key"), key.serialize_pem())?;
        Ok(Self { dir })
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

    /// The TLS settings of a server. `asks_clients`: whether clients must present a certificate.
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
