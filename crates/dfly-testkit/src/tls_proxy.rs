//! A TLS proxy for a server without TLS.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::redis_server::ServerTls;

/// Accepts TLS connections and forwards their content to a server. It stops accepting when it is dropped; open connections
/// continue.
#[derive(Debug)]
pub struct TlsProxy {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl TlsProxy {
    /// Starts a proxy for the server at `towards`.
    ///
    /// # Errors
    /// The certificates cannot be used, or no port is available.
    pub async fn start(tls: &ServerTls, towards: SocketAddr) -> io::Result<Self> {
        let acceptor = TlsAcceptor::from(Arc::new(config(tls).map_err(io::Error::other)?));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(carry(acceptor.clone(), stream, towards));
            }
        });
        Ok(Self { address, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TlsProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Forwards both directions until both have ended. A client that is refused gets a TLS alert.
async fn carry(acceptor: TlsAcceptor, stream: TcpStream, towards: SocketAddr) -> io::Result<()> {
    let mut inside = TcpStream::connect(towards).await?;
    let mut outside = acceptor.accept(stream).await?;
    copy_bidirectional(&mut outside, &mut inside).await.map(|_bytes| ())
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn config(tls: &ServerTls) -> Result<ServerConfig, Failure> {
    let provider = Arc::new(ring::default_provider());
    let chain = CertificateDer::pem_file_iter(&tls.cert)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(&tls.key)?;
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    Ok(builder.with_client_cert_verifier(verifier(tls, provider)?).with_single_cert(chain, key)?)
}

fn verifier(tls: &ServerTls, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, Failure> {
    if !tls.asks_clients {
        return Ok(WebPkiClientVerifier::no_client_auth());
    }
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&tls.ca)?)?;
    Ok(WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build()?)
}
