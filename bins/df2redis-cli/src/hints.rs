//! What to do about an error, in this tool's flags. The library says what is wrong, and knows no flags.

use std::borrow::Cow;

use dfly_client::HandshakeError;
use dfly_client::driver::OpenError;
use dfly_replica::{Error, FlowError};
use dfly_translate::{CommandFacts, CommandKind, Loss, TranslateError};
use redis_resp::connection::{ConnectionError, Peer, TlsFault};
use redis_sink::TargetError;
use redis_sink::cluster::ClusterError;

/// The flags that help against an error, as the end of its line.
pub(crate) fn hint(error: &Error) -> Option<Cow<'static, str>> {
    match error {
        Error::Flow { error: FlowError::TooLarge { memory_limit: Some(bytes), .. }, .. } => {
            Some(format!("--memory-limit {}MiB may be enough", bytes >> 20).into())
        }
        error => fixed(error).map(Cow::Borrowed),
    }
}

fn fixed(error: &Error) -> Option<&'static str> {
    match error {
        Error::NotEmpty { .. } => Some(
            "--on-start merge keeps those that the source does not have, mirror removes them when the snapshot is complete, flush empties the target first",
        ),
        Error::KeysOfOthers { .. } => {
            Some("move them elsewhere, or let them go: --on-start mirror, or --max-removals 100")
        }
        Error::OtherSource { .. } | Error::OtherSettings { .. } | Error::RefusedBefore { .. } => {
            Some("--force-resync synchronises fully")
        }
        Error::NewSource(_) => Some("--on-new-source resync synchronises fully from it"),
        Error::NoDatabase { .. } => Some(OTHER_DATABASE),
        Error::TooManyRemovals { .. } => Some("--max-removals sets the share that may be removed"),
        Error::InUse { .. } => Some("--force starts over even so"),
        Error::UnknownSharding => Some("see --on-start flush"),
        Error::OtherTask { .. } => Some("--task-name names the task"),
        Error::Unfit { reason, .. } if reason.contains("cluster") => {
            Some("--target-mode says what the target is")
        }
        Error::Unfit { reason, .. } if reason.contains("evicts") => {
            Some("--on-eviction warn writes to it even so, and counts what it evicts")
        }
        Error::Flow { error, .. } => of_flow(error),
        Error::Source(OpenError::Connection(error)) | Error::Target(TargetError::Connection(error)) => {
            of_connection(error)
        }
        Error::Cluster(error) => of_cluster(error),
        Error::Source(OpenError::Handshake(HandshakeError::Login(_))) => {
            Some("--source-password-file names a file with the password")
        }
        Error::Target(TargetError::Login(_)) => Some(TARGET_PASSWORD),
        _ => None,
    }
}

const TARGET_PASSWORD: &str = "--target-password-file names a file with the password";

fn of_flow(error: &FlowError) -> Option<&'static str> {
    match error {
        FlowError::TooLarge { .. } => Some("--memory-limit sets it"),
        FlowError::Translate(error) | FlowError::Record { error, .. } => of_translation(error),
        FlowError::Unreadable { .. } => Some(LEAVES_OUT),
        FlowError::Refused(refusal) if CommandFacts::from_tag(refusal.tag()).kind == CommandKind::Value => {
            Some("--on-unsupported warn or skip leaves it out, and --force-resync starts over")
        }
        FlowError::Target(error) => fixed(error),
        FlowError::Cluster(error) => of_cluster(error),
        _ => None,
    }
}

fn of_cluster(error: &ClusterError) -> Option<&'static str> {
    match error {
        ClusterError::Connection(error) => of_connection(error),
        ClusterError::Node { error, .. } => Some(of_node(error)),
        ClusterError::Login(_) => Some(TARGET_PASSWORD),
        _ => None,
    }
}

/// The same for a node that the cluster has named.
fn of_node(error: &ConnectionError) -> &'static str {
    match error.tls_fault() {
        Some(TlsFault::NotSpoken) => {
            "servers before Redis 7.2 announce their TLS ports only with \"tls-cluster yes\" on every node"
        }
        Some(_) => of_connection(error).unwrap_or(REACHED),
        None => REACHED,
    }
}

const REACHED: &str = "--target-address-map ANNOUNCED=REACHABLE says where a node is reached from here";

/// The same for a connection that TLS stands in the way of.
fn of_connection(error: &ConnectionError) -> Option<&'static str> {
    let (source, target) = match error.tls_fault()? {
        TlsFault::NotUsed => {
            ("write dragonflys:// in the source's address", "write rediss:// in the target's address")
        }
        TlsFault::NotSpoken => (
            "for a port without TLS, write dragonfly:// in the source's address",
            "for a port without TLS, write redis:// in the target's address",
        ),
        TlsFault::UnknownIssuer => (
            "--source-tls-ca names the file with the authority's certificate",
            "--target-tls-ca names the file with the authority's certificate",
        ),
        TlsFault::AuthorityAsServer => (
            "--source-tls-ca with a file of this certificate trusts it",
            "--target-tls-ca with a file of this certificate trusts it",
        ),
        TlsFault::OtherName => (
            "--source-tls-server-name says which name is expected",
            "--target-tls-server-name says which name is expected",
        ),
        TlsFault::ClientCertificate => (
            "--source-tls-cert and --source-tls-key name the client's certificate and its key",
            "--target-tls-cert and --target-tls-key name the client's certificate and its key",
        ),
        _ => return None,
    };
    Some(if error.peer() == Peer::Source { source } else { target })
}

/// The flag that maps databases.
const OTHER_DATABASE: &str = "--map-db N=skip leaves a database of the source out, N=0 adds it to database 0";

/// The flag that leaves out what the target cannot hold.
pub(crate) const LEAVES_OUT: &str = "--on-unsupported warn or skip leaves it out";

/// The same for what cannot be translated.
pub(crate) fn of_translation(error: &TranslateError) -> Option<&'static str> {
    match error {
        TranslateError::Unsupported { loss: Loss::Unknown, .. } => Some(
            "--command-alias ALIAS=COMMAND names the command that it stands for; --on-unsupported warn or skip leaves it out",
        ),
        TranslateError::Unsupported { .. } => Some(LEAVES_OUT),
        TranslateError::Database { .. } => Some(OTHER_DATABASE),
        TranslateError::TooLarge { .. } => Some("--memory-limit sets this limit"),
        _ => None,
    }
}
