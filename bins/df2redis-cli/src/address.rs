//! Addresses of servers as people write them.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use redis_resp::connection::{Credentials, Endpoint, Peer};
use url::Url;

/// The longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest wait for a reply. STARTSTABLE waits for every flow to be drained, so it is generous.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// The port of Dragonfly, Redis and Valkey.
const PORT: u16 = 6379;

/// Reads the address of a server. The text never appears in an error: it may hold a password.
pub(crate) fn parse(peer: Peer, text: &str) -> Result<Endpoint, String> {
    let schemes: &[&str] = match peer {
        Peer::Source => &["dragonfly", "redis"],
        Peer::Target => &["redis", "valkey"],
    };
    let url = Url::parse(text)
        .map_err(|error| format!("the {peer}'s address is no URL: {error}; {}", form(peer)))?;
    if matches!(url.scheme(), "rediss" | "valkeys" | "dragonflys") {
        return Err(format!("the {peer}'s address asks for TLS, which is not supported yet"));
    }
    if !schemes.contains(&url.scheme()) {
        return Err(format!("the {peer}'s address starts with {}://; {}", url.scheme(), form(peer)));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(format!(
            "the {peer}'s address has something behind the port; databases are kept as they are; {}",
            form(peer)
        ));
    }
    let host = url
        .host_str()
        .filter(|host| !host.is_empty())
        .ok_or_else(|| format!("the {peer}'s address names no host; {}", form(peer)))?;
    Ok(Endpoint {
        peer,
        host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
        port: url.port().unwrap_or(PORT),
        credentials: credentials(&url),
        connect_timeout: CONNECT_TIMEOUT,
        reply_timeout: REPLY_TIMEOUT,
    })
}

fn form(peer: Peer) -> &'static str {
    match peer {
        Peer::Source => "write dragonfly://[user:password@]host[:port]",
        Peer::Target => "write redis://[user:password@]host[:port]",
    }
}

fn credentials(url: &Url) -> Option<Credentials> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = Some(url.username()).filter(|user| !user.is_empty()).map(decode);
    url.password().map(|password| Credentials { user, password: decode(password) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let plain = parse(Peer::Source, "dragonfly://db.example").unwrap();
        assert_eq!((plain.to_string().as_str(), plain.credentials), ("db.example:6379", None));
        let full = parse(Peer::Target, "redis://ann:p%40ss%3A@[::1]:7000/").unwrap();
        assert_eq!(full.to_string(), "::1:7000");
        assert_eq!(
            full.credentials,
            Some(Credentials { user: Some("ann".into()), password: "p@ss:".into() })
        );
        let only = parse(Peer::Target, "valkey://:pw@h").unwrap();
        assert_eq!(only.credentials, Some(Credentials { user: None, password: "pw".into() }));
    }

    #[test]
    fn what_is_refused_names_the_form_and_no_password() {
        for text in [
            "localhost:6379",
            "http://:secret@h",
            "rediss://:secret@h",
            "redis://:secret@h/3",
            "redis://:secret@",
            "redis://:secret@h:99999",
        ] {
            let error = parse(Peer::Target, text).unwrap_err();
            assert!(error.starts_with("the target's address"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
