//! Error replies, classified once. The code decides what a client does; the text is for people.

use std::fmt;

use thiserror::Error;

/// An error reply of a Redis, Valkey or Dragonfly server.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{line}")]
pub struct ServerError {
    /// What kind of refusal it is.
    pub code: ErrorCode,
    /// The whole line without the leading `-`, as the server sent it.
    pub line: String,
}

/// The codes that change what a client does; everything else is [`ErrorCode::Generic`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorCode {
    /// `ERR` and every code not named here: the command itself is refused.
    Generic,
    /// The key holds another type.
    WrongType,
    /// The server is out of memory (`maxmemory`).
    OutOfMemory,
    /// The slot belongs to another node permanently.
    Moved(Redirect),
    /// The slot is being moved. Only this command goes to another node, after `ASKING`.
    Ask(Redirect),
    /// The command has several keys, and their slot is being moved.
    TryAgain,
    /// The cluster cannot serve the slot now.
    ClusterDown,
    /// The command's keys are in different slots.
    CrossSlot,
    /// The server is loading its data set.
    Loading,
    /// The server is a replica, or a primary that was demoted.
    ReadOnly,
    /// The server is a replica that has lost its primary.
    MasterDown,
    /// The connection is not authenticated.
    NoAuth,
    /// Wrong user or password.
    WrongPass,
    /// The user may not run the command or touch the key.
    NoPermission,
    /// The server cannot persist and refuses writes.
    MisConf,
    /// A script or a module blocks the server.
    Busy,
    /// The key exists already (RESTORE without REPLACE).
    BusyKey,
    /// Too few replicas acknowledge writes.
    NoReplicas,
    /// The script is not known (EVALSHA).
    NoScript,
    /// The transaction was refused when it was queued.
    ExecAbort,
}

/// Where a `MOVED` or `ASK` error points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// The hash slot, 0 to 16383.
    pub slot: u16,
    /// `host:port` as the server wrote it; an empty host means "the address you are connected to".
    pub address: String,
}

impl ServerError {
    /// Classifies an error line, given without its leading `-` and trailing CR LF.
    pub fn parse(line: &[u8]) -> Self {
        let line = String::from_utf8_lossy(line).into_owned();
        let code = classify(&line);
        Self { code, line }
    }
}

fn classify(line: &str) -> ErrorCode {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "WRONGTYPE" => ErrorCode::WrongType,
        "OOM" => ErrorCode::OutOfMemory,
        "MOVED" => redirect(rest).map_or(ErrorCode::Generic, ErrorCode::Moved),
        "ASK" => redirect(rest).map_or(ErrorCode::Generic, ErrorCode::Ask),
        "TRYAGAIN" => ErrorCode::TryAgain,
        "CLUSTERDOWN" => ErrorCode::ClusterDown,
        "CROSSSLOT" => ErrorCode::CrossSlot,
        "LOADING" => ErrorCode::Loading,
        "READONLY" => ErrorCode::ReadOnly,
        "MASTERDOWN" => ErrorCode::MasterDown,
        "NOAUTH" => ErrorCode::NoAuth,
        "WRONGPASS" => ErrorCode::WrongPass,
        "NOPERM" => ErrorCode::NoPermission,
        "MISCONF" => ErrorCode::MisConf,
        "BUSY" => ErrorCode::Busy,
        "BUSYKEY" => ErrorCode::BusyKey,
        "NOREPLICAS" => ErrorCode::NoReplicas,
        "NOSCRIPT" => ErrorCode::NoScript,
        "EXECABORT" => ErrorCode::ExecAbort,
        _ => ErrorCode::Generic,
    }
}

fn redirect(rest: &str) -> Option<Redirect> {
    let (slot, address) = rest.split_once(' ')?;
    let slot: u16 = slot.parse().ok().filter(|slot| *slot < 16384)?;
    let (_, port) = address.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    Some(Redirect { slot, address: address.to_owned() })
}

impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {} at {}", self.slot, self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        let moved = ErrorCode::Moved(Redirect { slot: 3999, address: "127.0.0.1:6381".into() });
        for (line, code) in [
            ("MOVED 3999 127.0.0.1:6381", moved),
            ("ASK 1 [::1]:7", ErrorCode::Ask(Redirect { slot: 1, address: "[::1]:7".into() })),
            ("MOVED 3999 :6381", ErrorCode::Moved(Redirect { slot: 3999, address: ":6381".into() })),
            ("MOVED 16384 a:1", ErrorCode::Generic),
            ("MOVED nonsense", ErrorCode::Generic),
            ("OOM command not allowed when used memory > 'maxmemory'.", ErrorCode::OutOfMemory),
            ("LOADING Redis is loading the dataset in memory", ErrorCode::Loading),
            ("NOAUTH", ErrorCode::NoAuth),
            ("ERR LOADING is only a word here", ErrorCode::Generic),
            ("", ErrorCode::Generic),
        ] {
            let error = ServerError::parse(line.as_bytes());
            assert_eq!((&error.code, error.line.as_str()), (&code, line));
        }
    }
}
