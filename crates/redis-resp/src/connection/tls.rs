//! TLS: what a server must prove, and what the client presents to it.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::{VerifierBuilderError, WantsClientCert, WebPkiServerVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ConfigBuilder, Error as RustlsError, RootCertStore};

use super::pinned::Pinned;
use super::tcp::Tcp;
use super::tls_failure;
use super::unverified::Unverified;

/// What the server must prove, and what the client presents to it. Files are PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificates that are trusted; `None` for the system's. A server may present one of them as its own.
    pub ca: Option<PathBuf>,
    /// The client's certificate, followed by any intermediate certificates. It is presented if the server asks for one.
    pub cert: Option<PathBuf>,
    /// The key of `cert`.
    pub key: Option<PathBuf>,
    /// The name that the server's certificate must contain; `None` for the host of the address.
    pub server_name: Option<String>,
    /// Accept any server certificate. Anyone on the network path can then read and change everything.
    pub insecure: bool,
}

/// The TLS configuration of the connections to one peer. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
    insecure: bool,
}

/// Why TLS cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("{}: {}", path.display(), pem_text(error))]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: PemError,
    },
    /// A file contains no certificate.
    #[error("{}: the file contains no certificate", .0.display())]
    Empty(PathBuf),
    /// A certificate of the CA file cannot be trusted.
    #[error("{}: {error}", path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: RustlsError,
    },
    /// A certificate is given without its key, or a key without its certificate.
    #[error("a client's certificate and its key belong together: only one of them is given")]
    Half,
    /// The certificate and the key cannot be used.
    #[error("{} with the key {}: {error}", cert.display(), key.display())]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        error: RustlsError,
    },
    /// A name that a certificate cannot contain.
    #[error("\"{0}\" is neither a host name nor an address")]
    Name(String),
    /// The system has no trusted certificates.
    #[error("the system has no certificates to trust{0}; name a CA file")]
    System(String),
    /// The settings do not fit together.
    #[error("TLS: {0}")]
    Config(#[from] RustlsError),
    /// The trusted certificates cannot be used together.
    #[error("TLS: {0}")]
    Verifier(#[from] VerifierBuilderError),
}

/// The text of a PEM error. Only the search for a single key can fail with `NoItemsFound`. A key that is protected by a
/// password is not found.
fn pem_text(error: &PemError) -> String {
    match error {
        PemError::NoItemsFound => "the file contains no key that can be used without a password".to_owned(),
        PemError::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

impl Tls {
    /// Reads the files, or the system's certificates.
    ///
    /// # Errors
    /// [`TlsError`], which names the file.
    pub fn new(settings: &TlsSettings) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let config = client_auth(trust(settings, &provider)?, settings)?;
        let server_name = settings.server_name.as_deref().map(name).transpose()?;
        Ok(Self { config: Arc::new(config), server_name, insecure: settings.insecure })
    }

    /// Whether any server certificate is accepted.
    pub fn is_insecure(&self) -> bool {
        self.insecure
    }

    /// Performs the TLS handshake on a connection to `host`.
    pub(super) async fn connect(&self, stream: TcpStream, host: &str) -> io::Result<TlsStream<Tcp>> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => name(host).map_err(|error| tls_failure::error(None, error))?,
        };
        let connected =
            TlsConnector::from(Arc::clone(&self.config)).connect(name, shaking_hands(stream)).await;
        let mut stream = connected.map_err(|error| tls_failure::explain(&error))?;
        stream.get_mut().0.read_first(false);
        Ok(stream)
    }

    /// Whether the server behind `stream` answers a handshake, whatever certificates it has and asks for.
    pub(super) async fn is_answered(stream: TcpStream, host: IpAddr) -> bool {
        let anyone = Self::new(&TlsSettings { insecure: true, ..TlsSettings::default() });
        let Ok(Self { config, .. }) = anyone else { return false };
        match TlsConnector::from(config).connect(ServerName::from(host), shaking_hands(stream)).await {
            Ok(_stream) => true,
            Err(error) => tls_failure::inner(&error)
                .is_some_and(|error| !matches!(error, RustlsError::InvalidMessage(_))),
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ("server_name", &self.server_name);
        f.debug_struct("Tls").field(name.0, name.1).field("insecure", &self.insecure).finish_non_exhaustive()
    }
}

/// Whether the server has ended TLS with an alert. With TLS 1.3, it checks the client's certificate only after the client's
/// part of the handshake, so the alert arrives in place of the first reply.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    matches!(tls_failure::inner(error), Some(RustlsError::AlertReceived(_)))
}

/// A connection on which the reason of a server that refuses the handshake is read, even if a write fails first.
fn shaking_hands(stream: TcpStream) -> Tcp {
    let mut tcp = Tcp::from(stream);
    tcp.read_first(true);
    tcp
}

fn name(host: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(host.to_owned()).map_err(|_neither| TlsError::Name(host.to_owned()))
}

fn trust(
    settings: &TlsSettings,
    provider: &Arc<CryptoProvider>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TlsError> {
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions()?;
    Ok(match (&settings.ca, settings.insecure) {
        (_, true) => {
            let verifier = Arc::new(Unverified(provider.signature_verification_algorithms));
            builder.dangerous().with_custom_certificate_verifier(verifier)
        }
        (Some(path), false) => {
            let verifier = Arc::new(pinned(path, provider)?);
            builder.dangerous().with_custom_certificate_verifier(verifier)
        }
        (None, false) => builder.with_root_certificates(system_roots()?),
    })
}

fn client_auth(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    settings: &TlsSettings,
) -> Result<ClientConfig, TlsError> {
    let (cert, key) = match (&settings.cert, &settings.key) {
        (Some(cert), Some(key)) => (cert, key),
        (None, None) => return Ok(builder.with_no_client_auth()),
        _ => return Err(TlsError::Half),
    };
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unread(key, error))?;
    let pair = builder.with_client_auth_cert(certificates(cert)?, secret);
    pair.map_err(|error| TlsError::Pair { cert: cert.clone(), key: key.clone(), error })
}

fn unread(path: &Path, error: PemError) -> TlsError {
    TlsError::File { path: path.to_owned(), error }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = found.map_err(|error| unread(path, error))?;
    if found.is_empty() { Err(TlsError::Empty(path.to_owned())) } else { Ok(found) }
}

fn pinned(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Pinned, TlsError> {
    let (trusted, mut roots) = (certificates(path)?, RootCertStore::empty());
    for certificate in &trusted {
        roots.add(certificate.clone()).map_err(|error| TlsError::Ca { path: path.to_owned(), error })?;
    }
    let rest = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build()?;
    Ok(Pinned { trusted, rest })
}

/// The trusted certificates of the system. Certificates that cannot be parsed are left out, because many systems have some.
fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _left_out) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(roots);
    }
    Err(TlsError::System(found.errors.iter().map(|error| format!("; {error}")).collect()))
}
