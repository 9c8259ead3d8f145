use std::net::SocketAddr;

use dfly_testkit::{Certificates, RedisSentinels, RedisServer, SentinelOptions};
use redis_resp::Reply;
use redis_resp::connection::{Credentials, Endpoint, Password, Peer, Sentinels, Tls, TlsSettings};

use crate::ask;

fn place(address: SocketAddr) -> (String, u16) {
    (address.ip().to_string(), address.port())
}

fn password(password: &str) -> Option<Credentials> {
    Some(Credentials { user: None, password: password.into() })
}

fn watched(servers: &RedisSentinels) -> Endpoint {
    let address = |sentinel: &RedisServer| place(sentinel.tls_address().unwrap_or(sentinel.address()));
    let addresses = servers.sentinels.iter().map(address).collect();
    let service = servers.service().to_owned();
    let sentinels = Some(Sentinels { addresses, service, credentials: None });
    Endpoint { sentinels, ..Endpoint::new(Peer::Target, "", 0) }
}

async fn port(endpoint: &Endpoint) -> Result<String, String> {
    match ask(endpoint, &["CONFIG", "GET", "port"]).await? {
        Reply::Array(mut pair) => match pair.pop() {
            Some(Reply::Bulk(port)) => Ok(String::from_utf8(port.to_vec()).unwrap()),
            other => Err(format!("{other:?}")),
        },
        other => Err(format!("{other:?}")),
    }
}

/// The first Sentinels are not there, or know nothing; logins of servers and Sentinels are told apart.
#[tokio::test(flavor = "multi_thread")]
async fn the_primary_is_looked_up_for_every_connection() {
    let (password_of_servers, password_of_sentinels) = (Some("p".to_owned()), Some("s".to_owned()));
    let options = SentinelOptions {
        sentinels: 1,
        password: password_of_servers,
        sentinel_password: password_of_sentinels,
        tls: None,
    };
    let mut servers = RedisSentinels::start(&options).unwrap();
    let mut endpoint = watched(&servers);
    endpoint.credentials = password("p");
    let error = port(&endpoint).await.unwrap_err();
    assert!(error.contains("no sentinel answers") && error.contains("NOAUTH"), "{error}");
    let sentinels = endpoint.sentinels.as_mut().unwrap();
    sentinels.credentials = password("wrong");
    sentinels.addresses.insert(0, ("127.0.0.1".to_owned(), 1));
    let error = port(&endpoint).await.unwrap_err();
    assert!(error.contains("127.0.0.1:1: ") && error.contains("refuses the login: WRONGPASS"), "{error}");
    // C16: a password in a file may become right at any time.
    let file = tempfile::NamedTempFile::new().unwrap();
    let password = Password::File(file.path().to_owned());
    endpoint.sentinels.as_mut().unwrap().credentials = Some(Credentials { user: None, password });
    let error = port(&endpoint).await.unwrap_err();
    assert!(error.contains("refuses the login: WRONGPASS"), "{error}");
    std::fs::write(file.path(), "s\n").unwrap();
    assert_eq!(port(&endpoint).await, Ok(servers.first.address().port().to_string()));
    servers.fail_over().unwrap();
    assert_eq!(port(&endpoint).await, Ok(servers.second.address().port().to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_found_is_named() {
    let mut servers = RedisSentinels::start(&SentinelOptions::default()).unwrap();
    let mut endpoint = watched(&servers);
    endpoint.sentinels.as_mut().unwrap().service = "invoices".to_owned();
    let error = port(&endpoint).await.unwrap_err();
    let addresses = servers.addresses();
    assert_eq!(
        error,
        format!(
            "cannot connect to the target at invoices of the sentinels {addresses}: the sentinels know no service \"invoices\""
        )
    );
    servers.first.pause().unwrap();
    let primary = servers.first.address();
    servers.first.kill().unwrap();
    let error = port(&watched(&servers)).await.unwrap_err();
    assert!(
        error.starts_with(&format!("cannot connect to the target at {primary}, the primary of orders: ")),
        "{error}"
    );
    servers.sentinels[0].kill().unwrap();
    let error = port(&watched(&servers)).await.unwrap_err();
    let start = format!(
        "cannot connect to the target at orders of the sentinels {addresses}: no sentinel answers: {addresses}: "
    );
    assert!(error.starts_with(&start), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_with_tls() {
    let certificates = Certificates::for_loopback().unwrap();
    let options =
        SentinelOptions { sentinels: 3, tls: Some(certificates.server(true)), ..SentinelOptions::default() };
    let mut servers = RedisSentinels::start(&options).unwrap();
    let settings = TlsSettings {
        ca: Some(certificates.ca()),
        cert: Some(certificates.client_cert()),
        key: Some(certificates.client_key()),
        ..TlsSettings::default()
    };
    let endpoint = Endpoint { tls: Some(Tls::new(&settings).unwrap()), ..watched(&servers) };
    assert_eq!(port(&endpoint).await, Ok(servers.first.address().port().to_string()));
    servers.fail_over().unwrap();
    assert_eq!(port(&endpoint).await, Ok(servers.second.address().port().to_string()));
}
