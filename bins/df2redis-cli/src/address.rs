//! Addresses of servers, as URLs.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use redis_resp::connection::{Credentials, Endpoint, Password, Peer, Sentinels, TlsSettings};
use url::Url;

use crate::tls::tls;

/// The default port of Dragonfly, Redis and Valkey.
const PORT: u16 = 6379;

/// The default port of Sentinel.
const SENTINEL_PORT: u16 = 26379;

/// How to get access to a server, beside its address.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    /// The TLS settings.
    pub tls: TlsSettings,
    /// The file that holds the password.
    pub password: Option<PathBuf>,
    /// The file that holds the password of the Sentinels.
    pub sentinel_password: Option<PathBuf>,
}

/// An address without its password, and without what may be one.
pub(crate) fn redacted(text: &str) -> String {
    let (scheme, place) = match text.split_once("://") {
        Some((scheme, place)) => (format!("{}://", shown(scheme)), place),
        None => (String::new(), text),
    };
    let (place, query) = match place.split_once("?sentinel-") {
        Some((place, query)) => (place, format!("?{}", redacted_query(&format!("sentinel-{query}")))),
        None => (place, String::new()),
    };
    let Some((login, place)) = place.rsplit_once('@') else { return scheme + place + &query };
    let login = match login.split_once(':') {
        Some((user, password)) if is_variable(password) => format!("{user}:{password}"),
        Some((user, _)) => format!("{user}:***"),
        None if is_variable(login) => login.to_owned(),
        None => "***".to_owned(),
    };
    format!("{scheme}{login}@{place}{query}")
}

/// Whether the text is a variable and nothing else.
fn is_variable(text: &str) -> bool {
    text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).is_some_and(|name| !name.contains('}'))
}

fn redacted_query(query: &str) -> String {
    let pair = |pair: &str| match pair.split_once('=') {
        Some(("sentinel-user", _)) => pair.to_owned(),
        Some((_, value)) if is_variable(value) => pair.to_owned(),
        Some((name, _)) => format!("{name}=***"),
        None => "***".to_owned(),
    };
    query.split('&').map(pair).collect::<Vec<_>>().join("&")
}

/// Parses the address of a server. The text never appears in an error, because it may contain a password.
pub(crate) fn parse(peer: Peer, text: &str, access: &Access) -> Result<Endpoint, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return socket(peer, path, access);
    }
    let Some((scheme, place)) = with_scheme(peer, text) else {
        return Err(format!("the {peer}'s address is not a URL; {}", form(peer)));
    };
    let scheme = scheme.to_ascii_lowercase();
    let (base, is_watched) = match scheme.strip_suffix("+sentinel") {
        Some(base) if peer == Peer::Target => (base, true),
        _ => (scheme.as_str(), false),
    };
    let with_tls = match (peer, base) {
        (Peer::Source, "dragonfly" | "redis") | (Peer::Target, "redis" | "valkey") => false,
        (Peer::Source, "dragonflys" | "rediss") | (Peer::Target, "rediss" | "valkeys") => true,
        _ => return Err(format!("the {peer}'s address starts with {}://; {}", shown(&scheme), form(peer))),
    };
    check_codes(peer, place, is_watched)?;
    if !is_watched && access.sentinel_password.is_some() {
        return Err(format!(
            "--sentinel-password-file has no effect, because the {peer}'s address names no Sentinels; {SENTINEL_FORM}"
        ));
    }
    let endpoint = if is_watched { watched(peer, place, access) } else { straight(peer, place, access) };
    let endpoint = endpoint.map_err(|error| unencoded(peer, place, is_watched).unwrap_or(error))?;
    Ok(Endpoint { tls: tls(peer, with_tls, &access.tls)?, ..endpoint })
}

/// `/path` of a socket of this machine, or `///path`.
fn socket(peer: Peer, path: &str, access: &Access) -> Result<Endpoint, String> {
    let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
    if !path.is_absolute() {
        return Err(format!("the {peer}'s address names no socket: write unix:/path/of/the.sock"));
    }
    let password = access.password.clone();
    let credentials = password.map(|file| Credentials { user: None, password: Password::File(file) });
    tls(peer, false, &access.tls)?;
    Ok(Endpoint { socket: Some(path), credentials, ..Endpoint::new(peer, "localhost", PORT) })
}

/// The scheme, and what follows it. `host:port` alone is without TLS and without a login.
fn with_scheme(peer: Peer, text: &str) -> Option<(&str, &str)> {
    let bare = match peer {
        Peer::Source => "dragonfly",
        Peer::Target => "redis",
    };
    let is_bare = !text.is_empty() && !text.contains(['/', '@', '?', '#', '%']);
    text.split_once("://").or_else(|| is_bare.then_some((bare, text)))
}

/// Parses the addresses of a source, or of nodes of a cluster: one URL with several hosts. All have the same login and the
/// same TLS.
pub(crate) fn parse_all(peer: Peer, text: &str, access: &Access) -> Result<Vec<Endpoint>, String> {
    if text.starts_with("unix:") {
        return Ok(vec![parse(peer, text, access)?]);
    }
    let parts =
        with_scheme(peer, text).filter(|(scheme, _)| !scheme.to_ascii_lowercase().ends_with("+sentinel"));
    let Some((scheme, place)) = parts.filter(|(_, place)| place.contains(',')) else {
        return Ok(vec![parse(peer, text, access)?]);
    };
    let (login, hosts) = match place.rsplit_once('@') {
        Some((login, hosts)) => (format!("{login}@"), hosts),
        None => (String::new(), place),
    };
    let (hosts, database) = hosts.split_once('/').map_or((hosts, ""), |(hosts, database)| (hosts, database));
    let database = if database.is_empty() { String::new() } else { format!("/{database}") };
    hosts.split(',').map(|host| parse(peer, &format!("{scheme}://{login}{host}{database}"), access)).collect()
}

/// The text before `://` if it is a scheme, otherwise a description that shows nothing of it.
fn shown(scheme: &str) -> &str {
    let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if is_scheme { scheme } else { "something other than a scheme, then " }
}

/// Checks that each % of an address begins the code of a character. Otherwise another password than the written one would
/// be used.
fn check_codes(peer: Peer, place: &str, is_watched: bool) -> Result<(), String> {
    let is_code = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    let is_text = percent_decode_str(place).decode_utf8().is_ok();
    if is_text && place.split('%').skip(1).all(is_code) {
        return Ok(());
    }
    Err(format!(
        "the {peer}'s address has a % that begins no code of a character: percent-encode % as %25; {}",
        if is_watched { SENTINEL_FORM } else { form(peer) }
    ))
}

/// What is wrong with an address whose login ends too early, because characters in it have a meaning in URLs.
fn unencoded(peer: Peer, place: &str, is_watched: bool) -> Option<String> {
    let place = if is_watched { place.split("?sentinel-").next()? } else { place };
    let (login, _) = place.rsplit_once('@')?;
    if !login.contains(['/', '?', '#']) {
        return None;
    }
    let codes = [('@', "%40"), ('/', "%2F"), ('?', "%3F"), ('#', "%23")];
    let found = codes.iter().filter(|(character, _)| login.contains(*character));
    let advice: Vec<String> = found.map(|(character, code)| format!("{character} as {code}")).collect();
    Some(format!(
        "the {peer}'s address has characters before its last @ that end the login: percent-encode {} in a user or password; {}",
        advice.join(" and "),
        if is_watched { SENTINEL_FORM } else { form(peer) }
    ))
}

/// `[user:password@]host[:port]`.
fn straight(peer: Peer, place: &str, access: &Access) -> Result<Endpoint, String> {
    let url =
        url(place).map_err(|error| format!("the {peer}'s address is not a URL: {error}; {}", form(peer)))?;
    // Database 0 is where all databases begin.
    if !matches!(url.path(), "" | "/" | "/0") || url.query().is_some() || url.fragment().is_some() {
        return Err(format!(
            "the {peer}'s address has text after the port; it cannot name a database, because all databases are copied; {}",
            form(peer)
        ));
    }
    let host = host(&url).filter(|host| !host.contains(','));
    let host =
        host.ok_or_else(|| format!("the {peer}'s address does not name exactly one host; {}", form(peer)))?;
    let credentials = credentials(&url, access.password.as_ref())
        .map_err(|what| format!("the {peer}'s address {what}; {}", form(peer)))?;
    Ok(Endpoint { credentials, ..Endpoint::new(peer, host, url.port().unwrap_or(PORT)) })
}

/// `[user:password@]host[:port][,host[:port]...]/service[?sentinel-user=..&sentinel-password=..]`.
fn watched(peer: Peer, place: &str, access: &Access) -> Result<Endpoint, String> {
    let wrong = |what: &str| format!("the {peer}'s address {what}; {SENTINEL_FORM}");
    let (place, query) = place.split_once('?').unwrap_or((place, ""));
    let (place, service) = place.split_once('/').unwrap_or((place, ""));
    if service.is_empty() || service.contains(['/', '#']) || query.contains('#') {
        return Err(wrong("names no service, or has text after the service"));
    }
    let (login, places) = place.rsplit_once('@').unwrap_or(("", place));
    let addresses = places.split(',').map(sentinel).collect::<Option<Vec<_>>>();
    let addresses = addresses.ok_or_else(|| wrong("names a Sentinel that is not host[:port]"))?;
    let login =
        url(&format!("{login}@h")).map_err(|_form| wrong("does not have user:password before the @"))?;
    let (host, port) = addresses.first().cloned().unwrap_or_default();
    let asked = asked(query, access.sentinel_password.as_ref()).map_err(wrong)?;
    let sentinels = Some(Sentinels { addresses, service: decode(service), credentials: asked });
    let credentials = credentials(&login, access.password.as_ref()).map_err(wrong)?;
    Ok(Endpoint { credentials, sentinels, ..Endpoint::new(peer, host, port) })
}

fn sentinel(place: &str) -> Option<(String, u16)> {
    let url = url(place).ok()?;
    let is_bare = matches!(url.path(), "" | "/") && url.fragment().is_none();
    Some((host(&url)?, url.port().unwrap_or(SENTINEL_PORT))).filter(|_| is_bare)
}

/// The login of the Sentinels.
fn asked(query: &str, file: Option<&PathBuf>) -> Result<Option<Credentials>, &'static str> {
    let (mut user, mut password) = (None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sentinel-user", value)) => user = Some(decode(value)),
            Some(("sentinel-password", value)) => password = Some(decode(value)),
            _ => return Err("has a parameter other than sentinel-user and sentinel-password after the ?"),
        }
    }
    match (user, password, file) {
        (_, Some(_), Some(_)) => Err("has a sentinel-password beside that of --sentinel-password-file"),
        (Some(_), None, None) => Err("has a sentinel-user without its sentinel-password"),
        (user, None, Some(file)) => Ok(Some(Credentials { user, password: Password::File(file.clone()) })),
        (user, password, None) => {
            Ok(password.map(|password| Credentials { user, password: password.into() }))
        }
    }
}

fn form(peer: Peer) -> &'static str {
    match peer {
        Peer::Source => {
            "write dragonfly://[user:password@]host[:port][,host[:port]...], or dragonflys:// for TLS"
        }
        Peer::Target => {
            "write redis://[user:password@]host[:port], or rediss:// for TLS; several nodes of a cluster are written as host[:port][,host[:port]...]"
        }
    }
}

const SENTINEL_FORM: &str = "write redis+sentinel://[user:password@]host[:port][,host[:port]...]/service, or rediss+sentinel:// for TLS; \
append ?sentinel-user=..&sentinel-password=.. for the login at the Sentinels";

/// Parses an address without its scheme, which was checked before.
fn url(place: &str) -> Result<Url, url::ParseError> {
    Url::parse(&format!("redis://{place}"))
}

/// The host. An IPv6 address loses its brackets.
fn host(url: &Url) -> Option<String> {
    let host = url.host_str().filter(|host| !host.is_empty())?;
    Some(host.trim_start_matches('[').trim_end_matches(']').to_owned())
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The login before the @. A user alone is an error unless a file has the password, because it is as likely a password
/// without its colon.
fn credentials(url: &Url, file: Option<&PathBuf>) -> Result<Option<Credentials>, &'static str> {
    let user = Some(url.username()).filter(|user| !user.is_empty()).map(decode);
    match (url.password(), file) {
        (Some(_), Some(_)) => Err("has a password beside that of the password file"),
        (Some(password), None) => Ok(Some(Credentials { user, password: decode(password).into() })),
        (None, Some(file)) => Ok(Some(Credentials { user, password: Password::File(file.clone()) })),
        (None, None) if user.is_some() => {
            Err("has no colon before the @: a password alone is written as :password@")
        }
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clear(peer: Peer, text: &str) -> Result<Endpoint, String> {
        parse(peer, text, &Access::default())
    }

    fn trusting(ca: Option<PathBuf>) -> Access {
        Access { tls: TlsSettings { insecure: true, ca, ..TlsSettings::default() }, ..Access::default() }
    }

    fn password(user: Option<&str>, password: &str) -> Option<Credentials> {
        Some(Credentials { user: user.map(str::to_owned), password: password.into() })
    }

    #[test]
    fn forms() {
        let plain = clear(Peer::Source, "dragonfly://db.example").unwrap();
        assert_eq!((plain.to_string().as_str(), plain.credentials), ("db.example:6379", None));
        assert!(plain.tls.is_none());
        let full = clear(Peer::Target, "redis://ann:p%40ss%3A@[::1]:7000/").unwrap();
        assert_eq!(full.to_string(), "::1:7000");
        assert_eq!(full.credentials, password(Some("ann"), "p@ss:"));
        let only = clear(Peer::Target, "valkey://:pw@h").unwrap();
        assert_eq!(only.credentials, password(None, "pw"));
        for text in ["h", "h:6379", "redis://h/0", "valkey://h:6379/"] {
            assert_eq!(clear(Peer::Target, text).unwrap().to_string(), "h:6379", "{text}");
        }
        assert_eq!(clear(Peer::Source, "[::1]:7000").unwrap().to_string(), "::1:7000");
        let all = parse_all(Peer::Target, "a,b:7001", &Access::default()).unwrap();
        assert_eq!((all.len(), all[1].to_string()), (2, "b:7001".to_owned()));
        let all = parse_all(Peer::Target, "redis://a,b/0", &Access::default()).unwrap();
        assert_eq!(all.len(), 2);
        for text in ["unix:/run/r.sock", "unix:///run/r.sock"] {
            assert_eq!(clear(Peer::Target, text).unwrap().to_string(), "unix:/run/r.sock");
        }
        assert!(clear(Peer::Source, "unix:r.sock").unwrap_err().contains("write unix:/path"));
        assert!(clear(Peer::Target, "redis://h/1").unwrap_err().contains("cannot name a database"));
    }

    /// What may be a secret is not shown, also in an address that is wrong.
    #[test]
    fn without_passwords() {
        for (text, shown) in [
            ("redis://h:1,i/0", "redis://h:1,i/0"),
            ("redis://ann:secret@h", "redis://ann:***@h"),
            ("redis://:sec?ret@h", "redis://:***@h"),
            ("redis://:${PW}@h", "redis://:${PW}@h"),
            ("redis://:a${PW}@h", "redis://:***@h"),
            ("secret@h", "***@h"),
            (
                "redis+sentinel://:a@h/s?sentinel-user=bob&sentinel-password=secret",
                "redis+sentinel://:***@h/s?sentinel-user=bob&sentinel-password=***",
            ),
            ("redis+sentinel://h/s?sentinel-password=sec@ret", "redis+sentinel://h/s?sentinel-password=***"),
        ] {
            assert_eq!(redacted(text), shown);
        }
    }

    #[test]
    fn a_source_may_have_several_addresses() {
        let settings = Access::default();
        let all = parse_all(Peer::Source, "dragonfly://ann:a%2Cb@h,[::1]:7000,i:1", &settings).unwrap();
        let shown: Vec<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["h:6379", "::1:7000", "i:1"]);
        assert!(all.iter().all(|endpoint| endpoint.credentials == password(Some("ann"), "a,b")));
        assert_eq!(parse_all(Peer::Source, "dragonfly://h", &settings).unwrap().len(), 1);
        let error = parse_all(Peer::Source, "dragonfly://:secret@h,", &settings).unwrap_err();
        assert!(error.contains("[,host[:port]...]") && !error.contains("secret"), "{error}");
    }

    /// C26: several nodes of a cluster.
    #[test]
    fn a_target_may_have_several_addresses() {
        let all = parse_all(Peer::Target, "redis://:p@h,[::1]:7000", &Access::default()).unwrap();
        let shown: Vec<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["h:6379", "::1:7000"]);
        let watched = parse_all(Peer::Target, "redis+sentinel://a,b/s", &Access::default()).unwrap();
        assert_eq!(watched.len(), 1);
    }

    /// C16: a password may be in a file, and nowhere else then.
    #[test]
    fn passwords_in_files() {
        let access =
            Access { password: Some("p".into()), sentinel_password: Some("s".into()), ..Access::default() };
        let of = |user: Option<&str>, file: &str| {
            Some(Credentials { user: user.map(str::to_owned), password: Password::File(file.into()) })
        };
        let watched = parse(Peer::Target, "redis+sentinel://ann@h/s?sentinel-user=bob", &access).unwrap();
        assert_eq!(watched.credentials, of(Some("ann"), "p"));
        assert_eq!(watched.sentinels.unwrap().credentials, of(Some("bob"), "s"));
        let error = parse(Peer::Target, "redis://h", &access).unwrap_err();
        assert!(error.contains("--sentinel-password-file has no effect"), "{error}");
        let plain = Access { sentinel_password: None, ..access.clone() };
        assert_eq!(parse(Peer::Source, "dragonfly://h", &plain).unwrap().credentials, of(None, "p"));
        for text in ["redis://:secret@h", "redis+sentinel://:secret@h/s"] {
            let error = parse(Peer::Target, text, if text.contains("sentinel") { &access } else { &plain });
            let error = error.unwrap_err();
            assert!(error.contains("a password beside that of the password file"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let error =
            parse(Peer::Target, "redis+sentinel://h/s?sentinel-password=secret", &access).unwrap_err();
        assert!(error.contains("--sentinel-password-file") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn with_tls() {
        let anyone = trusting(None);
        for (peer, text) in [
            (Peer::Source, "dragonflys://h"),
            (Peer::Source, "rediss://h"),
            (Peer::Target, "rediss://h"),
            (Peer::Target, "valkeys://h"),
            (Peer::Target, "rediss+sentinel://h/s"),
            (Peer::Target, "valkeys+sentinel://h/s"),
        ] {
            let tls = parse(peer, text, &anyone).unwrap().tls.unwrap();
            assert!(tls.is_insecure(), "{text}");
        }
    }

    /// P32: a setting has an effect, or is an error.
    #[test]
    fn tls_that_is_of_no_use() {
        let anyone = trusting(None);
        let error = parse(Peer::Source, "dragonfly://h", &anyone).unwrap_err();
        assert!(error.contains("--source-tls-") && error.contains("dragonflys://"), "{error}");
        let both = trusting(Some("ca.crt".into()));
        let error = parse(Peer::Target, "rediss://h", &both).unwrap_err();
        assert!(error.contains("--target-tls-insecure") && error.contains("--target-tls-ca"), "{error}");
    }

    #[test]
    fn by_sentinel() {
        let one = clear(Peer::Target, "redis+sentinel://h/orders").unwrap();
        assert_eq!((one.to_string().as_str(), one.credentials), ("orders of the sentinels h:26379", None));
        assert_eq!(one.sentinels.unwrap().credentials, None);
        let text = "valkey+sentinel://ann:p%2C%2F@a,[::1]:7000,c:1/my%20orders?sentinel-user=bob&sentinel-password=s%26+";
        let all = clear(Peer::Target, text).unwrap();
        assert_eq!(all.credentials, password(Some("ann"), "p,/"));
        let sentinels = all.sentinels.unwrap();
        let addresses = [("a", 26379), ("::1", 7000), ("c", 1)];
        assert_eq!(sentinels.addresses, addresses.map(|(host, port)| (host.to_owned(), port)));
        assert_eq!(sentinels.service, "my orders");
        assert_eq!(sentinels.credentials, password(Some("bob"), "s&+"));
    }

    /// C40: what has to be encoded is named, and the password is not.
    #[test]
    fn special_characters_in_a_password() {
        for (text, advice) in [
            ("redis://:secret/@h:1", "percent-encode / as %2F in"),
            ("redis://ann:se#cret@h", "percent-encode # as %23 in"),
            ("redis://:secret?@h", "percent-encode ? as %3F in"),
            ("redis://:1/secret@2@h", "percent-encode @ as %40 and / as %2F in"),
            ("redis://:secret%@h", "percent-encode % as %25"),
            ("redis://:secret%zz@h", "percent-encode % as %25"),
            ("redis://:secret%ff@h", "percent-encode % as %25"),
            ("redis+sentinel://:sec/ret@h/s?sentinel-password=a@b", "percent-encode / as %2F in"),
            ("redis+sentinel://:a@h/s?sentinel-password=secret%", "percent-encode % as %25"),
            ("redis://secret@h", "a password alone is written as :password@"),
        ] {
            let error = clear(Peer::Target, text).unwrap_err();
            assert!(error.contains(advice) && error.contains("; write redis"), "{text}: {error}");
            assert!(!error.contains("sec") && !error.contains("ret@"), "{error}");
        }
        let error = parse_all(Peer::Source, "dragonfly://:a/b@h,i", &Access::default()).unwrap_err();
        assert!(error.contains("percent-encode / as %2F in"), "{error}");
        for (text, exact) in [("redis://:p@ss:w@h", "p@ss:w"), ("redis://:%2F%23%3F%25%40@h", "/#?%@")] {
            assert_eq!(clear(Peer::Target, text).unwrap().credentials, password(None, exact));
        }
    }

    #[test]
    fn what_is_refused_names_the_form_and_no_password() {
        for text in [
            "localhost/6379",
            "http://:secret@h",
            ":secret@h://",
            "redis://:secret@h/3",
            "redis://:secret@",
            "redis://:secret@h:99999",
            "redis://:secret@h,i",
            "redis+sentinel://:secret@h",
            "redis+sentinel://:secret@h/",
            "redis+sentinel://:secret@h/s/3",
            "redis+sentinel://:secret@h,/s",
            "redis+sentinel://:secret@h:99999/s",
            "redis+sentinel://:secret@/s",
            "redis+sentinel://h/s?secret",
            "redis+sentinel://h/s?password=secret",
            "redis+sentinel://h/s?sentinel-user=secret",
        ] {
            let error = clear(Peer::Target, text).unwrap_err();
            assert!(error.starts_with("the target's address") && error.contains("; write redis"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let error = clear(Peer::Source, "dragonfly+sentinel://h/s").unwrap_err();
        assert!(error.contains("starts with dragonfly+sentinel://; write dragonfly://"), "{error}");
    }
}
