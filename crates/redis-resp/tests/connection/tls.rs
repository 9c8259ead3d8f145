use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use dfly_testkit::{Certificates, RedisOptions, RedisServer, ServerTls};
use redis_resp::Reply;
use redis_resp::connection::{Connection, ConnectionError, Endpoint, Peer, Tls, TlsFault, TlsSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::ask;

fn server(tls: ServerTls) -> RedisServer {
    RedisServer::start(RedisOptions { tls: Some(tls), ..RedisOptions::default() }).unwrap()
}

fn at(address: SocketAddr, tls: &TlsSettings) -> Endpoint {
    let tls = Some(Tls::new(tls).unwrap());
    Endpoint { tls, ..Endpoint::new(Peer::Target, address.ip().to_string(), address.port()) }
}

async fn ping(server: &RedisServer, tls: &TlsSettings) -> Result<Reply, String> {
    ask(&at(server.tls_address().unwrap(), tls), &["PING"]).await
}

fn trusting(certificates: &Certificates) -> TlsSettings {
    TlsSettings { ca: Some(certificates.ca()), ..TlsSettings::default() }
}

fn pong() -> Result<Reply, String> {
    Ok(Reply::Simple("PONG".into()))
}

/// The start of the error names the server, its end says why.
fn assert_refused(found: Result<Reply, String>, server: &RedisServer, why: &str) {
    let error = found.unwrap_err();
    let start = format!(
        "cannot connect to the target at {}: the TLS handshake failed: ",
        server.tls_address().unwrap()
    );
    assert!(error.starts_with(&start) && error.contains(why), "{error}");
}

#[tokio::test]
async fn who_is_trusted() {
    let certificates = Certificates::for_loopback().unwrap();
    let others = Certificates::for_loopback().unwrap();
    let redis = server(certificates.server(false));
    assert_eq!(ping(&redis, &trusting(&certificates)).await, pong());
    assert_refused(ping(&redis, &trusting(&others)).await, &redis, "signed by nobody who is trusted");
    let anyone = TlsSettings { insecure: true, ..TlsSettings::default() };
    assert_eq!(ping(&redis, &anyone).await, pong());
    let large = vec!["x"; 300_000].concat();
    let endpoint = at(redis.tls_address().unwrap(), &trusting(&certificates));
    assert_eq!(ask(&endpoint, &["ECHO", &large]).await, Ok(Reply::Bulk(large.into())));
}

/// No certificate of the system is this test's.
#[tokio::test]
async fn the_system_is_trusted_by_default() {
    let Ok(tls) = Tls::new(&TlsSettings::default()) else { return };
    let certificates = Certificates::for_loopback().unwrap();
    let redis = server(certificates.server(false));
    let place = redis.tls_address().unwrap();
    let endpoint = Endpoint { tls: Some(tls), ..Endpoint::new(Peer::Target, "127.0.0.1", place.port()) };
    assert_refused(ask(&endpoint, &["PING"]).await, &redis, "UnknownIssuer");
}

#[tokio::test]
async fn the_name_of_the_server() {
    let certificates = Certificates::new(&["db.example"]).unwrap();
    let redis = server(certificates.server(false));
    assert_refused(
        ping(&redis, &trusting(&certificates)).await,
        &redis,
        "is for db.example, not for 127.0.0.1",
    );
    let named = |name: &str| TlsSettings { server_name: Some(name.into()), ..trusting(&certificates) };
    assert_eq!(ping(&redis, &named("db.example")).await, pong());
    assert_refused(ping(&redis, &named("other.example")).await, &redis, "NotValidForName");
}

/// A server refuses it within the handshake, or, since TLS 1.3, behind it.
#[tokio::test]
async fn a_clients_certificate() {
    let certificates = Certificates::for_loopback().unwrap();
    let others = Certificates::for_loopback().unwrap();
    let shown = |by: &Certificates| TlsSettings {
        cert: Some(by.client_cert()),
        key: Some(by.client_key()),
        ..trusting(&certificates)
    };
    for protocol in ["TLSv1.2", "TLSv1.3"] {
        let tls = Some(certificates.server(true));
        let args = ["--tls-protocols", protocol].map(str::to_owned).to_vec();
        let redis = RedisServer::start(RedisOptions { tls, args, ..RedisOptions::default() }).unwrap();
        assert_refused(ping(&redis, &trusting(&certificates)).await, &redis, "alert");
        assert_refused(ping(&redis, &shown(&others)).await, &redis, "alert");
        assert_eq!(ping(&redis, &shown(&certificates)).await, pong());
    }
}

/// A server that takes TLS for a command, and waits for the end of it.
#[tokio::test]
async fn a_port_without_tls() {
    let certificates = Certificates::for_loopback().unwrap();
    let redis = server(certificates.server(false));
    let mut endpoint = at(redis.address(), &trusting(&certificates));
    endpoint.connect_timeout = Duration::from_millis(500);
    let started = Instant::now();
    let error = ask(&endpoint, &["PING"]).await.unwrap_err();
    assert!(error.contains("the TLS handshake failed"), "{error}");
    assert!(Instant::now().duration_since(started) < Duration::from_secs(10));
}

/// C38: as `openssl req -x509` makes it. Nothing else of a certificate is accepted because of that.
#[tokio::test]
async fn a_certificate_that_is_its_own_authority() {
    let ours = Certificates::self_signed(&["127.0.0.1"], 2100).unwrap();
    let others = Certificates::self_signed(&["127.0.0.1"], 2100).unwrap();
    let elsewhere = Certificates::self_signed(&["db.example"], 2100).unwrap();
    let expired = Certificates::self_signed(&["127.0.0.1"], 2020).unwrap();
    let unnamed = Certificates::self_signed(&[], 2100).unwrap();
    let redis = server(ours.server(false));
    assert_eq!(ping(&redis, &trusting(&ours)).await, pong());
    assert_refused(ping(&redis, &trusting(&others)).await, &redis, "exactly this certificate is not trusted");
    for (certificates, words) in [
        (elsewhere, "(NotValidForName)"),
        (expired, "days ago (Expired)"),
        (unnamed, "no subject alternative name"),
    ] {
        let redis = server(certificates.server(false));
        assert_refused(ping(&redis, &trusting(&certificates)).await, &redis, words);
    }
}

fn in_the_clear(address: SocketAddr) -> Endpoint {
    Endpoint::new(Peer::Target, address.ip().to_string(), address.port())
}

/// C38: a Redis closes a connection without TLS at once, whatever it asks of clients with TLS.
#[tokio::test]
async fn a_port_with_tls() {
    let certificates = Certificates::for_loopback().unwrap();
    for (protocol, asks_clients) in [("TLSv1.2", true), ("TLSv1.3", false)] {
        let tls = Some(certificates.server(asks_clients));
        let args = ["--tls-protocols", protocol].map(str::to_owned).to_vec();
        let redis = RedisServer::start(RedisOptions { tls, args, ..RedisOptions::default() }).unwrap();
        let address = redis.tls_address().unwrap();
        let error = ask(&in_the_clear(address), &["PING"]).await.unwrap_err();
        assert_eq!(error, format!("cannot connect to the target at {address}: this port speaks TLS"));
    }
}

/// A server that sends these bytes to every client, and closes the connection.
async fn saying(words: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut request = [0; 64];
            let read = client.read(&mut request).await;
            assert!(read.is_ok() && client.write_all(words).await.is_ok());
        }
    });
    address
}

/// C38: a server that asks for TLS says so with an alert or, if it is a Dragonfly, in a line. One that just goes away does
/// not.
#[tokio::test]
async fn how_a_server_asks_for_tls() {
    let line = b"-ERR Bad TLS header, double check if you enabled TLS for your client.\r\n";
    for (words, is_tls) in [
        (line.as_slice(), true),
        (b"\x15\x03\x01\x00\x02\x02\x46", true),
        (b"", false),
        (b"-ERR max number of clients reached\r\n", false),
    ] {
        let endpoint = in_the_clear(saying(words).await);
        let mut connection = Connection::open(&endpoint).await.unwrap();
        let told = connection.ask(&["PING"]).await;
        let fault = told.as_ref().err().and_then(ConnectionError::tls_fault);
        assert_eq!(fault, is_tls.then_some(TlsFault::NotUsed), "{told:?}");
    }
}

#[test]
fn files_that_cannot_be_used() {
    let certificates = Certificates::for_loopback().unwrap();
    let others = Certificates::for_loopback().unwrap();
    let missing = Path::new("/nonexistent/ca.crt").to_owned();
    let empty = certificates.dir().join("empty.crt");
    std::fs::write(&empty, "nothing\n").unwrap();
    let plain = trusting(&certificates);
    let (cert, key) = (certificates.client_cert(), certificates.client_key());
    for (settings, words) in [
        (TlsSettings { ca: Some(missing), ..plain.clone() }, ["/nonexistent/ca.crt: ", "No such file"]),
        (TlsSettings { ca: Some(empty.clone()), ..plain.clone() }, ["empty.crt: ", "no certificate"]),
        (TlsSettings { cert: Some(cert.clone()), ..plain.clone() }, ["belong together", "only one"]),
        (
            TlsSettings { cert: Some(cert.clone()), key: Some(empty), ..plain.clone() },
            ["empty.crt: ", "no key"],
        ),
        (
            TlsSettings { cert: Some(cert), key: Some(others.client_key()), ..plain.clone() },
            ["client.crt", "client.key"],
        ),
        (
            TlsSettings { cert: Some(key.clone()), key: Some(key), ..plain.clone() },
            ["client.key: ", "no certificate"],
        ),
        (TlsSettings { server_name: Some("a b".into()), ..plain }, ["\"a b\"", "host name"]),
    ] {
        let error = Tls::new(&settings).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
}

#[test]
fn no_key_is_shown() {
    let certificates = Certificates::for_loopback().unwrap();
    let (cert, key) = (Some(certificates.client_cert()), Some(certificates.client_key()));
    let tls = Tls::new(&TlsSettings { cert, key, ..trusting(&certificates) }).unwrap();
    assert_eq!(format!("{tls:?}"), "Tls { server_name: None, insecure: false, .. }");
}
