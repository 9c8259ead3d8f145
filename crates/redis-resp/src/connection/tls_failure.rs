//! Why a TLS handshake failed, in words, and as a fault for which a caller can name the remedy.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio_rustls::rustls::pki_types::{ServerName, UnixTime};
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error, OtherError};

/// What is wrong between a client and a server that cannot agree on TLS, if a setting of the client can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsFault {
    /// Nobody who is trusted has signed the server's certificate.
    UnknownIssuer,
    /// The server presents the certificate of an authority as its own.
    AuthorityAsServer,
    /// The server's certificate is for other names.
    OtherName,
    /// The server asks for a client's certificate, or does not accept the one that it got.
    ClientCertificate,
    /// The client uses TLS, and the port does not.
    NotSpoken,
    /// The port speaks TLS, and the client does not use it.
    NotUsed,
}

/// The payload of the [`io::Error`] of a handshake.
#[derive(Debug)]
struct TlsFailure {
    fault: Option<TlsFault>,
    text: String,
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for TlsFailure {}

/// The error of a handshake that failed because of `why`.
pub(super) fn error(fault: Option<TlsFault>, why: impl fmt::Display) -> io::Error {
    io::Error::other(TlsFailure { fault, text: format!("the TLS handshake failed: {why}") })
}

/// The error of a connection without TLS to a port that speaks it.
pub(super) fn not_used() -> io::Error {
    io::Error::other(TlsFailure { fault: Some(TlsFault::NotUsed), text: "this port speaks TLS".to_owned() })
}

/// The fault that `error` stands for.
pub(super) fn fault(error: &io::Error) -> Option<TlsFault> {
    error.get_ref()?.downcast_ref::<TlsFailure>()?.fault
}

/// The TLS error inside `error`.
pub(super) fn inner(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// Turns the error of a handshake into one that says in words what is wrong. The name of the TLS error stays in it, because
/// people search for it.
pub(super) fn explain(failed: &io::Error) -> io::Error {
    let (fault, why) = match inner(failed) {
        Some(Error::InvalidCertificate(error)) => of_certificate(error),
        Some(Error::AlertReceived(alert)) => of_alert(*alert),
        Some(error @ Error::InvalidMessage(_)) => {
            let why =
                format!("what the server sends is not TLS; it may not speak TLS on this port ({error})");
            (Some(TlsFault::NotSpoken), why)
        }
        _ => (None, failed.to_string()),
    };
    error(fault, why)
}

fn of_certificate(error: &CertificateError) -> (Option<TlsFault>, String) {
    match error {
        CertificateError::UnknownIssuer => (
            Some(TlsFault::UnknownIssuer),
            "the server's certificate is signed by nobody who is trusted (UnknownIssuer)".to_owned(),
        ),
        CertificateError::Other(other) if is_authority_as_server(other) => (
            Some(TlsFault::AuthorityAsServer),
            "the server presents the certificate of an authority as its own, and exactly this certificate is not trusted (CaUsedAsEndEntity)"
                .to_owned(),
        ),
        CertificateError::NotValidForNameContext { expected, presented } => of_name(expected, presented),
        other => (None, of_time(other)),
    }
}

/// Whether the certificate of an authority was presented as a server's own. The verifier reports this only of a certificate
/// that is valid at this time.
pub(super) fn is_authority_as_server(error: &OtherError) -> bool {
    matches!(error.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

fn of_name(expected: &ServerName<'_>, presented: &[String]) -> (Option<TlsFault>, String) {
    let expected = expected.to_str();
    if presented.is_empty() {
        return (
            None,
            format!(
                "the server's certificate has no subject alternative name, so it cannot prove to be {expected} (NotValidForName); a common name does not count"
            ),
        );
    }
    let names: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
    let names = names.join(", ");
    (
        Some(TlsFault::OtherName),
        format!("the server's certificate is for {names}, not for {expected} (NotValidForName)"),
    )
}

/// A name without the type that the verifier writes around it, as in `DnsName("db.example")`.
fn bare(name: &str) -> &str {
    let inside = name.split_once('(').map_or(name, |(_, rest)| rest.trim_end_matches(')'));
    inside.trim_matches('"')
}

fn of_time(error: &CertificateError) -> String {
    match error {
        CertificateError::ExpiredContext { time, not_after } => format!(
            "the server's certificate expired {} ago (Expired); renew it, or correct the clock of this host",
            between(*not_after, *time)
        ),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "the server's certificate is not valid before another {} (NotValidYet); the clock of this host may be wrong",
            between(*time, *not_before)
        ),
        other => format!("the server's certificate cannot be accepted: {other}"),
    }
}

/// The time between two points, in its largest unit.
fn between(earlier: UnixTime, later: UnixTime) -> String {
    let passed = Duration::from_secs(later.as_secs().saturating_sub(earlier.as_secs()));
    match passed.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} minutes", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} hours", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

fn of_alert(alert: AlertDescription) -> (Option<TlsFault>, String) {
    let fault = Some(TlsFault::ClientCertificate);
    match alert {
        AlertDescription::CertificateRequired => {
            (fault, "the server asks for a client's certificate (alert CertificateRequired)".to_owned())
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA => {
            (fault, format!("the server does not accept the client's certificate (alert {alert:?})"))
        }
        other => (None, format!("the server refuses the connection (alert {other:?})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    #[test]
    fn times_have_one_unit() {
        for (passed, words) in
            [(0, "0 s"), (119, "119 s"), (120, "2 minutes"), (7_200, "2 hours"), (259_200, "3 days")]
        {
            assert_eq!(between(seconds(1_000), seconds(1_000 + passed)), words);
        }
    }

    /// C38: what the verifier reports is said in words, with the name to search for.
    #[test]
    fn words_for_certificates() {
        let name = |name: &str| ServerName::try_from(name.to_owned()).unwrap();
        let days = 86_400;
        for (error, fault, words) in [
            (
                CertificateError::ExpiredContext { time: seconds(9 * days), not_after: seconds(6 * days) },
                None,
                "expired 3 days ago (Expired); renew it",
            ),
            (
                CertificateError::NotValidYetContext { time: seconds(0), not_before: seconds(3 * 3_600) },
                None,
                "not valid before another 3 hours (NotValidYet)",
            ),
            (
                CertificateError::NotValidForNameContext {
                    expected: name("10.0.0.1"),
                    presented: Vec::new(),
                },
                None,
                "no subject alternative name, so it cannot prove to be 10.0.0.1 (NotValidForName)",
            ),
            (
                CertificateError::NotValidForNameContext {
                    expected: name("other.example"),
                    presented: vec!["DnsName(\"db.example\")".to_owned(), "IpAddress(::1)".to_owned()],
                },
                Some(TlsFault::OtherName),
                "is for db.example, ::1, not for other.example (NotValidForName)",
            ),
            (
                CertificateError::UnknownIssuer,
                Some(TlsFault::UnknownIssuer),
                "signed by nobody who is trusted",
            ),
        ] {
            let (found, why) = of_certificate(&error);
            assert!(found == fault && why.contains(words), "{found:?} {why}");
        }
    }
}
