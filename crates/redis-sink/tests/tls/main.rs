//! `Pipeline` and `ClusterPipeline` over TLS, and beside it in the clear, to real servers.

#![expect(clippy::unwrap_used, reason = "a failed expectation must stop the test")]

mod cluster;
mod pipeline;

use std::net::SocketAddr;
use std::time::Duration;

use dfly_testkit::Certificates;
use redis_resp::connection::{Endpoint, Peer, Tls, TlsSettings};

/// No step takes as long, unless something is wrong.
const LONG: Duration = Duration::from_secs(30);

/// The server at `address`, which asks for a client's certificate.
fn endpoint(address: SocketAddr, certificates: &Certificates) -> Endpoint {
    let settings = TlsSettings {
        ca: Some(certificates.ca()),
        cert: Some(certificates.client_cert()),
        key: Some(certificates.client_key()),
        ..TlsSettings::default()
    };
    let tls = Some(Tls::new(&settings).unwrap());
    Endpoint { tls, ..Endpoint::new(Peer::Target, address.ip().to_string(), address.port()) }
}
