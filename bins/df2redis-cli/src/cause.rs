//! Why a command failed, by a stable id: one a cause, with what to do. Ids are never given to another cause.
//! `docs/exit-codes.md` is made from the tables here, and a test holds it to them.

use std::fmt;

use dfly_client::HandshakeError;
use dfly_client::driver::OpenError;
use dfly_replica::{Error, FlowError};
use dfly_translate::TranslateError;
use redis_resp::connection::ConnectionError;
use redis_sink::cluster::ClusterError;
use redis_sink::{SinkError, TargetError, WindowError};

/// A cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cause {
    id: u16,
    /// What has happened.
    pub what: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DF{:04}", self.id)
    }
}

macro_rules! causes {
    ($($name:ident = $id:literal, $what:literal, $remedy:literal;)*) => {
        $(pub(crate) const $name: Cause = Cause { id: $id, what: $what, remedy: $remedy };)*
        /// Every cause, by its id.
        #[cfg(test)]
        const ALL: &[Cause] = &[$($name),*];
    };
}

causes! {
    USAGE = 1, "A flag, a variable or the configuration file is wrong.", "Correct what the line names; `df2redis-cli config check` tries it.";
    DIFFERENT = 2, "A comparison found differences.", "Look at the keys that are named, and compare again.";
    LOSS = 3, "The target cannot hold something, and the settings say to fail.", "Set `--on-unsupported`.";
    SYSTEM = 4, "A file cannot be read or written, or the system refused something else.", "Do as the line says.";
    INTERNAL = 5, "A part of the program stopped unexpectedly.", "Start it again, and report it with the log.";
    INCOMPLETE = 6, "Not everything could be compared.", "Do as the report says, and compare again.";
    LAGGING = 7, "The run is behind, or waits for the target.", "Look at the target and at what the line says.";
    UNDONE = 8, "A cutover was undone: writes go on at the source.", "Mend what the line names, and try it again.";
    HOOK = 9, "It is safe to switch, but a hook failed; writes stay stopped.", "Do what the hook was to do, or let writes go on with `cutover --release`.";
    WITHDRAWN = 10, "It was safe to switch, and is not any more: the source was written to, or one side has lost what it held.", "Stop whoever writes to the source, which the target gets too; wait until everything is copied; cut over again.";
    BLOCKED = 11, "A check before the start has found what would end the run, or keep it from its end.", "Do as the line says; `df2redis-cli prepare` shows everything that was found. `--skip-checks NAME` starts even so.";
    SOURCE_CONNECTION = 101, "The source cannot be reached, or its connection broke.", "Check address, network and TLS of the source.";
    SOURCE_LOGIN = 102, "The source refuses the login.", "Give user and password in its address, or `--source-password-file`.";
    SOURCE_PERMISSION = 103, "The source's user lacks a permission.", "Grant it what the line names.";
    NOT_DRAGONFLY = 104, "The source is not a Dragonfly.", "Name a Dragonfly's own port.";
    SOURCE_IS_REPLICA = 105, "The source is a replica.", "Name its master, or all addresses.";
    SOURCE_TOO_OLD = 106, "The source's release is too old.", "Use Dragonfly 1.4 or later.";
    SOURCE_ANSWER = 107, "The source refuses a request, or answers with something else than is expected.", "Look at the source's log; if it is in order, report it.";
    SOURCE_STREAM = 108, "What the source sends cannot be read.", "Start again; if it comes again, report it with the offset.";
    SOURCE_TOO_LARGE = 109, "A record, an element or a document is larger than the memory limit allows.", "Raise `--memory-limit`.";
    SOURCE_GONE = 110, "The source was away for longer than `--give-up-after`.", "Bring it back, and start again: the run resumes.";
    SOURCE_UNREADABLE = 111, "A key has to be read again from the source, which refuses.", "Grant the user DUMP, or leave the key out with `--on-unsupported`.";
    SHARDING = 112, "It does not show how the source spreads its keys.", "Start with `--on-start flush`.";
    TARGET_CONNECTION = 201, "The target cannot be reached, or its connection broke.", "Check address, network and TLS of the target.";
    TARGET_LOGIN = 202, "The target refuses the login.", "Give user and password in its address, or `--target-password-file`.";
    TARGET_LACKS = 203, "The target's user may not do what a run needs.", "Grant it the commands that the line names.";
    TARGET_UNFIT = 204, "The target is of a kind that cannot be written to.", "Do as the line says.";
    TARGET_REFUSES = 205, "The target refuses a command for good.", "Do as the line says, and start again.";
    TARGET_ANSWER = 206, "The target answers with something else than is expected.", "See that nothing stands between that changes answers.";
    TARGET_CLUSTER = 207, "The target's cluster cannot be written to.", "Repair the cluster, or name its nodes as they are reached from here (`--target-address-map`).";
    TARGET_NOT_EMPTY = 208, "The target holds keys, and no setting says what becomes of them.", "Set `--on-start`.";
    TARGET_DATABASE = 209, "The target lacks a database of the source.", "Give it more databases, or set `--map-db`.";
    TARGET_IN_USE = 210, "A run writes to the target.", "Stop it first, or use `--force`.";
    TARGET_OTHER_TASK = 211, "The target holds positions of this source under another task's name.", "Set `--task-name`, or clean up after that task.";
    TARGET_OVERTAKEN = 212, "Another run writes to the same target.", "Let only one run.";
    TARGET_STRANGERS = 213, "Somebody else has written into a target whose first synchronisation was not complete.", "Move those keys, or set `--on-start mirror`.";
    TARGET_SLOW = 214, "The target did not carry out what was in flight when the run was stopped.", "Start again: the run resumes. With `--state-dir` nothing has to be read again.";
    TARGET_GONE = 215, "The target was away for longer than `--give-up-after`.", "Bring it back, and start again: the run resumes.";
    TARGET_VALUE = 216, "The target cannot hold a value.", "Set `--on-unsupported`.";
    TARGET_CHECKPOINT = 217, "The positions on the target cannot be read or written.", "See what the line says of the key.";
    TOO_FEW_CLIENTS = 218, "The target takes too few connections.", "Raise its `maxclients`.";
    CONFLICT = 219, "A key is on both sides, and `--on-conflict` is panic.", "Decide about the key, and start again.";
    RELAY_FULL = 301, "The relay log is full, and `--on-relay-full` is stop.", "Let the target catch up, or raise `--relay-max-bytes`.";
    RELAY_LOG = 302, "The relay log cannot be used.", "See what the line says of its folder.";
    STATE_DIR = 303, "The state directory cannot be used.", "Make it writable, and let one run use it.";
    TOO_FEW_FILES = 304, "The system allows too few open files.", "Raise the limit (`ulimit -n`, `LimitNOFILE=`).";
    CANNOT_RESUME = 401, "The source cannot resume from the positions on the target.", "Start with `--force-resync`.";
    OTHER_SOURCE = 402, "Another source answers than the one that was followed.", "See that the address is right; then `--force-resync` or `--on-new-source resync`.";
    OTHER_SETTINGS = 403, "The settings change what is written, and the target was written with others.", "Use the former ones, or `--force-resync`.";
    REFUSED_BEFORE = 404, "A run before ended because the target refused a command.", "Mend the cause, and start with `--force-resync`.";
    TOO_MANY_REMOVALS = 405, "More keys would be removed from the target than may be.", "See that source and target are right; then raise `--max-removals`.";
    UNFINISHED = 501, "The run was stopped before the target had everything.", "Start again: the run resumes.";
}

/// The cause of an error of a replication.
pub(crate) fn of(error: &Error) -> Cause {
    match error {
        Error::Source(error) => of_source(error),
        Error::Target(error) => of_target(error),
        Error::Cluster(error) => of_cluster(error),
        Error::Flow { error, .. } => of_flow(error),
        Error::Replaced(_) | Error::NotSafe(_) | Error::Unfit { .. } => TARGET_UNFIT,
        Error::Lacks { .. } => TARGET_LACKS,
        Error::TooFewClients { .. } => TOO_FEW_CLIENTS,
        Error::TooFewDescriptors { .. } => TOO_FEW_FILES,
        Error::UnknownSharding => SHARDING,
        Error::CannotResume { .. } | Error::AheadOfSource | Error::Diverged { .. } => CANNOT_RESUME,
        Error::OtherSource { .. } | Error::NewSource(_) => OTHER_SOURCE,
        Error::OtherSettings { .. } => OTHER_SETTINGS,
        Error::GaveUp { peer: "target", .. } => TARGET_GONE,
        Error::GaveUp { .. } => SOURCE_GONE,
        Error::LeftOnDisk { .. } | Error::LeftUnknown { .. } => UNFINISHED,
        Error::Checkpoint { .. } => TARGET_CHECKPOINT,
        Error::RefusedBefore { .. } => REFUSED_BEFORE,
        Error::TargetAnswer { .. } => TARGET_ANSWER,
        Error::InUse { .. } => TARGET_IN_USE,
        Error::NoDatabase { .. } => TARGET_DATABASE,
        Error::TooManyRemovals { .. } => TOO_MANY_REMOVALS,
        Error::KeysOfOthers { .. } => TARGET_STRANGERS,
        Error::NotEmpty { .. } => TARGET_NOT_EMPTY,
        Error::Overtaken => TARGET_OVERTAKEN,
        Error::Barrier(_) => SOURCE_STREAM,
        Error::State(_) => STATE_DIR,
        Error::SourceAnswer { .. } => SOURCE_ANSWER,
        Error::RelayLog { .. } => RELAY_LOG,
        Error::OtherTask { .. } => TARGET_OTHER_TASK,
        Error::Internal(_) => INTERNAL,
        // The library may add errors.
        _ => INTERNAL,
    }
}

fn of_source(error: &OpenError) -> Cause {
    match error {
        OpenError::Connection(ConnectionError::Reply { .. }) => SOURCE_ANSWER,
        OpenError::Connection(_) => SOURCE_CONNECTION,
        OpenError::Handshake(error) => match error {
            HandshakeError::Login(_) => SOURCE_LOGIN,
            HandshakeError::Permission(_) => SOURCE_PERMISSION,
            HandshakeError::NotDragonfly => NOT_DRAGONFLY,
            HandshakeError::IsReplica(_) => SOURCE_IS_REPLICA,
            HandshakeError::TooOld { .. } => SOURCE_TOO_OLD,
            _ => SOURCE_ANSWER,
        },
        _ => SOURCE_ANSWER,
    }
}

fn of_target(error: &TargetError) -> Cause {
    match error {
        TargetError::Connection(ConnectionError::Reply { .. }) => TARGET_ANSWER,
        TargetError::Connection(_) => TARGET_CONNECTION,
        TargetError::Login(_) => TARGET_LOGIN,
        TargetError::Refused { .. } => TARGET_REFUSES,
        _ => TARGET_ANSWER,
    }
}

fn of_cluster(error: &ClusterError) -> Cause {
    match error {
        ClusterError::Connection(_) | ClusterError::Node { .. } => TARGET_CONNECTION,
        ClusterError::Login(_) => TARGET_LOGIN,
        ClusterError::Refused { .. } | ClusterError::Window(WindowError::Refused(_)) => TARGET_REFUSES,
        ClusterError::Overtaken => TARGET_OVERTAKEN,
        ClusterError::Answer(_) | ClusterError::Reply(_) => TARGET_ANSWER,
        _ => TARGET_CLUSTER,
    }
}

fn of_flow(error: &FlowError) -> Cause {
    match error {
        FlowError::Source(_) => SOURCE_CONNECTION,
        FlowError::TooLarge { .. } => SOURCE_TOO_LARGE,
        FlowError::Translate(_) | FlowError::Record { .. } => of_translation(error),
        FlowError::Sink(SinkError::Window(WindowError::Refused(_))) => TARGET_REFUSES,
        FlowError::Sink(SinkError::Reply(_) | SinkError::Window(WindowError::Unasked)) => TARGET_ANSWER,
        FlowError::Sink(_) | FlowError::TargetForgot => TARGET_CONNECTION,
        FlowError::Cluster(error) => of_cluster(error),
        FlowError::Refused(_) | FlowError::BreaksConnection { .. } => TARGET_REFUSES,
        FlowError::Relay(_) => RELAY_LOG,
        FlowError::Target(error) => of(error),
        FlowError::Unreadable { .. } => SOURCE_UNREADABLE,
        FlowError::RelayFull { .. } => RELAY_FULL,
        FlowError::SourceLine(_) => SOURCE_ANSWER,
        FlowError::DrainTimeout { .. } => TARGET_SLOW,
        FlowError::SessionGone => INTERNAL,
        // What the source sends: snapshot, journal, and what stands between.
        _ => SOURCE_STREAM,
    }
}

fn of_translation(error: &FlowError) -> Cause {
    match error {
        FlowError::Translate(TranslateError::Conflict { .. })
        | FlowError::Record { error: TranslateError::Conflict { .. }, .. } => CONFLICT,
        _ => TARGET_VALUE,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::exit::CODES;

    fn document() -> String {
        let codes: String = CODES.iter().map(|(code, meaning)| format!("| {code} | {meaning} |\n")).collect();
        let causes: String =
            ALL.iter().map(|cause| format!("| {cause} | {} | {} |\n", cause.what, cause.remedy)).collect();
        format!(
            "# Exit codes and error ids\n\n\
             Each command ends with one of these codes:\n\n| code | meaning |\n|---|---|\n{codes}\n\
             The last line of a command that fails begins with `error:`, and ends with the id of the cause in brackets. An id\n\
             stands for the same cause in every release.\n\n| id | cause | what to do |\n|---|---|---|\n{causes}"
        )
    }

    /// `DF2REDIS_WRITE_DOCS=1` writes the file.
    #[test]
    fn the_document_is_as_the_tables() {
        let path = "../../docs/exit-codes.md";
        if std::env::var_os("DF2REDIS_WRITE_DOCS").is_some() {
            std::fs::write(path, document()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), document());
    }

    #[test]
    fn each_id_is_of_one_cause() {
        let ids: BTreeSet<u16> = ALL.iter().map(|cause| cause.id).collect();
        assert_eq!(ids.len(), ALL.len());
        assert_eq!(of(&Error::NotEmpty { keys: 1 }).to_string(), "DF0208");
    }
}
