//! Asks Sentinels for the primary of a service.

use std::io;
use std::time::Duration;

use super::{Connection, ConnectionError, Endpoint, Sentinels};
use crate::reply::Reply;

/// The longest wait for a connection to a Sentinel, and for each of its replies. It is short because another one can be
/// asked.
const PATIENCE: Duration = Duration::from_secs(3);

/// The address of the primary, from the first Sentinel that knows the service.
pub(super) async fn primary(endpoint: &Endpoint, sentinels: &Sentinels) -> io::Result<(String, u16)> {
    let (mut silent, mut is_unknown) = (Vec::new(), false);
    for (host, port) in &sentinels.addresses {
        match ask(&at(endpoint, sentinels, (host, *port)), &sentinels.service).await {
            Ok(Some(primary)) => return Ok(primary),
            Ok(None) => is_unknown = true,
            Err(said) => silent.push(format!("{host}:{port}: {said}")),
        }
    }
    let service = &sentinels.service;
    Err(match (is_unknown, silent.join("; ")) {
        (true, _) => {
            io::Error::new(io::ErrorKind::NotFound, format!("the sentinels know no service \"{service}\""))
        }
        (false, silent) => {
            io::Error::new(io::ErrorKind::NotConnected, format!("no sentinel answers: {silent}"))
        }
    })
}

fn at(endpoint: &Endpoint, sentinels: &Sentinels, (host, port): (&str, u16)) -> Endpoint {
    Endpoint {
        credentials: sentinels.credentials.clone(),
        connect_timeout: endpoint.connect_timeout.min(PATIENCE),
        reply_timeout: endpoint.reply_timeout.min(PATIENCE),
        ..endpoint.at(host, port)
    }
}

/// `None` if the Sentinel does not know the service.
async fn ask(sentinel: &Endpoint, service: &str) -> Result<Option<(String, u16)>, String> {
    let mut connection = Connection::reach(sentinel, sentinel.to_string()).await.map_err(reason)?;
    if let Some(credentials) = &sentinel.credentials
        && let Reply::Error(error) = connection.log_in(credentials).await.map_err(reason)?
    {
        return Err(format!("it refuses the login: {error}"));
    }
    let question = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", service];
    match connection.ask(&question).await.map_err(reason)? {
        Reply::Nil => Ok(None),
        Reply::Error(error) => Err(error.to_string()),
        Reply::Array(parts) => match parts.as_slice() {
            [Reply::Bulk(host), Reply::Bulk(port)] => address(host, port).map(Some),
            _ => Err("its reply does not contain an address".to_owned()),
        },
        _ => Err("its reply does not contain an address".to_owned()),
    }
}

fn address(host: &[u8], port: &[u8]) -> Result<(String, u16), String> {
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let port = text(port).and_then(|port| port.parse().ok());
    text(host).map(str::to_owned).zip(port).ok_or_else(|| "its reply does not contain an address".to_owned())
}

/// What is wrong, without the name of the peer.
fn reason(error: ConnectionError) -> String {
    match error {
        ConnectionError::Connect { error, .. } | ConnectionError::Broken { error, .. } => error.to_string(),
        ConnectionError::Silent { waited, .. } => format!("no answer within {} s", waited.as_secs()),
        ConnectionError::Reply { error, .. } => error.to_string(),
        error @ ConnectionError::Password { .. } => error.to_string(),
    }
}
