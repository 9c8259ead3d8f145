//! Why a replication ends, worded for the person who has to act on it.

use std::io;
use std::time::Duration;

use dfly_client::driver::OpenError;
use dfly_client::{FlowId, HandshakeError, NoClaim};
use dfly_journal::Lsn;
use dfly_translate::{Flush, TranslateError};
use redis_resp::connection::ConnectionError;
use redis_sink::cluster::ClusterError;
use redis_sink::{Refusal, SinkError, TargetError};
use thiserror::Error;

use crate::run::state_file::StateFileError;
use crate::session::barriers::Mismatch;
use crate::source::backlog::Backlog;
use crate::source::history::NewSource;
use crate::target::probe::needs::Lack;

/// Why a replication ended before it was told to.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The source cannot be followed.
    #[error(transparent)]
    Source(#[from] OpenError),
    /// The target cannot be reached, or refuses the login.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The target, a cluster, cannot be reached, or refuses what is needed.
    #[error(transparent)]
    Cluster(ClusterError),
    /// A primary of the cluster was replaced or restarted, or is new: what it holds has to be found out.
    #[error("a primary of the target is not what it was: {0}")]
    Replaced(String),
    /// What the target has carried out may be lost yet, with one of its primaries.
    #[error("what the target has carried out is not safe yet: {0}")]
    NotSafe(String),
    /// The target is of a kind that cannot be written to.
    #[error("the target at {address} {reason}")]
    Unfit {
        /// `host:port`.
        address: String,
        /// What it is and what to do.
        reason: String,
    },
    /// The target, or its user, lacks what a replication needs.
    #[error("the target at {address} does not let a replication do what it needs: {}", listed(lacks))]
    Lacks {
        /// `host:port`.
        address: String,
        /// Each with what it is needed for.
        lacks: Vec<Lack>,
    },
    /// A server of the target does not take as many connections as a session needs.
    #[error(
        "{server} takes {most} clients (maxclients), and a replication of {flows} flows needs {needed}; raise its maxclients"
    )]
    TooFewClients {
        /// Which.
        server: String,
        /// Connections of a session.
        needed: u64,
        /// How many flows the source has.
        flows: u64,
        /// What the server takes.
        most: u64,
    },
    /// This process may not open as many files and connections as a session needs.
    #[error(
        "this process may open {most} files and connections, and needs {needed}; raise the limit (ulimit -n, or LimitNOFILE of the service)"
    )]
    TooFewDescriptors {
        /// What a session needs.
        needed: u64,
        /// What the system allows.
        most: u64,
    },
    /// One flow came to an end that the run cannot survive.
    #[error("flow {flow}: {error}")]
    Flow {
        /// The flow.
        flow: FlowId,
        /// What happened.
        #[source]
        error: FlowError,
    },
    /// The keys of the snapshot lie on other flows than by any formula that is known.
    #[error(
        "it does not show how the source spreads its keys over its shards, so keys that it does not have are left on the target; a start that flushes the target removes them"
    )]
    UnknownSharding,
    /// The source will not resume from our positions.
    #[error(
        "the source no longer has all records from where the target stands{}; {backlog}",
        ahead(*behind)
    )]
    CannotResume {
        /// The most that a shard is ahead of what it was asked for, in records, if that could be found out.
        behind: Option<u64>,
        /// What bounds the records that it keeps.
        backlog: Backlog,
    },
    /// A cluster may hold records of the master before that the one promoted from its replica never had.
    #[error(
        "the source was promoted from a replica, and the target, which was left without warning, may hold records of the master before that it never had"
    )]
    AheadOfSource,
    /// The source was promoted from a replica that lacked what the target holds, and has written something else since.
    #[error(
        "the source was promoted from a replica that had not received the record before {next} of flow {flow} from the master before, which the target holds"
    )]
    Diverged {
        /// The flow on which it was found.
        flow: FlowId,
        /// The next record that the target wants.
        next: Lsn,
    },
    /// The stored positions are of another source.
    #[error(
        "{why}: they are of {was}, this is {is}; if this is the right one, force a full synchronisation, which replaces or removes what the target holds"
    )]
    OtherSource {
        /// What does not fit.
        why: NoClaim,
        /// The master that the positions are of.
        was: String,
        /// The master that answers.
        is: String,
        /// Its replication id.
        id: String,
    },
    /// Another source answers than the one that was followed, and it is not to be followed.
    #[error("{0}; the target stays as it is")]
    NewSource(#[from] NewSource),
    /// What the target holds was written with other settings.
    #[error(
        "the target was written with other settings ({was}) than this run has ({is}): run with those, or force a full synchronisation"
    )]
    OtherSettings {
        /// Those of the run before.
        was: String,
        /// Those of this one.
        is: String,
    },
    /// The source or the target stayed away for too long.
    #[error("gave up after {} s without the {peer}: {last}", after.as_secs())]
    GaveUp {
        /// `source` or `target`.
        peer: &'static str,
        /// How long it was tried.
        after: Duration,
        /// The last failure.
        last: String,
    },
    /// The run was told to stop, and the target has not taken everything that was read.
    #[error(
        "stopped with {records} records on disk that the target has not taken; the next start with this state directory goes on with them"
    )]
    LeftOnDisk {
        /// How many, of all flows together.
        records: u64,
    },
    /// The run was told to stop while it had no target.
    #[error(
        "stopped without the target ({cause}), which may lack what was read last; the next start goes on from where it stands"
    )]
    LeftUnknown {
        /// How the target was lost.
        cause: String,
    },
    /// The stored positions cannot be read or written.
    #[error("the positions at the target (key {key}) cannot be used: {reason}")]
    Checkpoint {
        /// The reserved key.
        key: String,
        /// What the target answered.
        reason: String,
    },
    /// A run before has noted that the target refused something.
    #[error(
        "a run before ended because the target refused something ({reason}); mend the cause and force a full synchronisation"
    )]
    RefusedBefore {
        /// What was refused.
        reason: String,
    },
    /// The target refuses a question, or answers it with something else.
    #[error("the target answers {request} with: {answer}")]
    TargetAnswer {
        /// What was asked.
        request: &'static str,
        /// What it answered.
        answer: String,
    },
    /// Something of the target is to be removed that a run needs.
    #[error("df2redis writes to the target ({connections} connections); stop it first")]
    InUse {
        /// How many it has.
        connections: usize,
    },
    /// The source has data in a database that the target lacks.
    #[error(
        "the source has data in database {db}, which goes to database {to}, and the target has only {databases} databases (0 to {})",
        databases.saturating_sub(1)
    )]
    NoDatabase {
        /// The source's.
        db: u32,
        /// Where it goes.
        to: u32,
        /// How many the target has.
        databases: u32,
    },
    /// A full synchronisation would remove more of the target than it may.
    #[error(
        "the source does not have {missing} of the target's {keys} keys (such as {sample}): that is more than may be removed, so none of them is"
    )]
    TooManyRemovals {
        /// Keys that the source does not have.
        missing: u64,
        /// Keys of the target.
        keys: u64,
        /// A few of those that the source does not have.
        sample: String,
    },
    /// An unfinished first synchronisation goes on where keys have come that it has not written, and was not told what to do
    /// with them.
    #[error(
        "somebody else has written {} into the target since its first synchronisation began (such as {sample}): the source has none of them, and nothing is removed",
        in_words(*keys)
    )]
    KeysOfOthers {
        /// How many.
        keys: u64,
        /// A few of them.
        sample: String,
    },
    /// A first start finds keys, and was not told what to do with them.
    #[error("the target holds {} and no positions of a run before; say what becomes of them", in_words(*keys))]
    NotEmpty {
        /// How many.
        keys: u64,
    },
    /// Somebody else moves the positions.
    #[error("the target's positions were moved by another run between the same servers; only one may run")]
    Overtaken,
    /// Flows out of step.
    #[error(transparent)]
    Barrier(#[from] Mismatch),
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateFileError),
    /// The source refuses a question, or answers it with something else.
    #[error("the source answers {request} with: {answer}")]
    SourceAnswer {
        /// What was asked.
        request: &'static str,
        /// What it answered.
        answer: String,
    },
    /// The relay log of a flow cannot be opened.
    #[error("the relay log in {path} cannot be used: {reason}")]
    RelayLog {
        /// Its folder.
        path: std::path::PathBuf,
        /// What the system, or the log, says.
        reason: String,
    },
    /// Another task of the same tool has positions of this source here.
    #[error(
        "the target holds positions of this source under {}; this run has {}: go on under that name, or clean up after it first",
        task(theirs),
        task(ours)
    )]
    OtherTask {
        /// The task that the positions are of.
        theirs: String,
        /// The task of this run.
        ours: String,
    },
    /// A part of the engine is gone without a word.
    #[error("a part of the engine stopped unexpectedly: {0}")]
    Internal(String),
}

fn ahead(records: Option<u64>) -> String {
    records.map_or_else(String::new, |records| format!(": one shard is {records} records ahead"))
}

fn oversized(key: Option<&str>) -> String {
    let what = "a record, an element or a document";
    key.map_or_else(|| what.to_owned(), |key| format!("{what} of key {key}"))
}

fn needed(memory_limit: Option<u64>) -> String {
    memory_limit.map_or_else(String::new, |bytes| format!(", which has to be {bytes} bytes or more"))
}

fn listed(lacks: &[Lack]) -> String {
    lacks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn because(why: Option<&str>) -> String {
    why.map_or_else(String::new, |why| format!(": {why}"))
}

fn in_words(keys: u64) -> String {
    if keys == 1 { "1 key".to_owned() } else { format!("{keys} keys") }
}

fn task(name: &str) -> String {
    if name.is_empty() { "no task name".to_owned() } else { format!("the task name \"{name}\"") }
}

/// What ended a flow.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FlowError {
    /// The connection to the source is gone.
    #[error("the connection to the source broke: {0}")]
    Source(#[source] io::Error),
    /// The snapshot cannot be decoded.
    #[error("the snapshot cannot be read: {0}")]
    Snapshot(#[from] dfly_rdb::Error),
    /// The journal cannot be decoded.
    #[error("the journal cannot be read: {0}")]
    Journal(#[from] dfly_journal::Error),
    /// Something has to be held whole and is too large for it.
    #[error(
        "{error}: {}, of more than {limit} bytes, cannot be held whole within the memory limit{}",
        oversized(key.as_deref()),
        needed(*memory_limit)
    )]
    TooLarge {
        /// What is held at most, in bytes.
        limit: u64,
        /// The key, quoted and escaped, as far as it has arrived.
        key: Option<String>,
        /// The smallest [`EngineConfig::memory_limit`](crate::EngineConfig::memory_limit) that may do, in bytes; `None` if
        /// the size is not known, or none would do.
        memory_limit: Option<u64>,
        /// Where it stands.
        #[source]
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A value of the snapshot, or a record in it, has no commands.
    #[error(transparent)]
    Translate(#[from] TranslateError),
    /// A record of the journal has no commands.
    #[error("record {lsn}: {error}")]
    Record {
        /// Its number.
        lsn: Lsn,
        /// Why.
        #[source]
        error: TranslateError,
    },
    /// The target took no more.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// A cluster took no more.
    #[error(transparent)]
    Cluster(ClusterError),
    /// The target refused a record for good, and its key cannot be read again.
    #[error("the target refuses {0}")]
    Refused(Box<Refusal>),
    /// The connection breaks again and again over the same commands.
    #[error(
        "the target has broken the connection {times} times in a row without an answer (last: {error}); the largest command that it was sent is {command}, of {bytes} bytes"
    )]
    BreaksConnection {
        /// The command's name and its key.
        command: String,
        /// Its size.
        bytes: usize,
        /// How often.
        times: u32,
        /// The last time.
        #[source]
        error: SinkError,
    },
    /// The target does not hold any more what it had answered.
    #[error(
        "the target has lost data that it had acknowledged (was it restarted without an append-only file?)"
    )]
    TargetForgot,
    /// The relay log cannot be used.
    #[error("the relay log cannot be used: {0}")]
    Relay(#[from] relay_log::LogError),
    /// The target was lost and cannot be regained.
    #[error(transparent)]
    Target(Box<Error>),
    /// What stands between snapshot and journal is not what was announced.
    #[error("the snapshot ends with a wrong token: the stream is out of step")]
    Token,
    /// The snapshot ended without its journal position.
    #[error("the snapshot ended without JOURNAL_OFFSET")]
    NoOffset,
    /// What the source has kept for a session that resumes is not all that it says it is.
    #[error(
        "the source resumes with its journal up to record {counted}, and says that record {announced} comes next: records are missing"
    )]
    Backlog {
        /// What the source says comes next.
        announced: Lsn,
        /// What comes behind the records that it sent.
        counted: Lsn,
    },
    /// A session that resumes holds records alone.
    #[error(
        "the source resumes, but sends the value of key \"{key}\" in database {db} where only its journal may come"
    )]
    EntryInBacklog {
        /// The key.
        key: String,
        /// Its database.
        db: u32,
    },
    /// A key has to be read again from the source, which refuses.
    #[error("key \"{key}\" in database {db} has to be read again from the source, and cannot be: {reason}")]
    Unreadable {
        /// The key.
        key: String,
        /// Its database.
        db: u32,
        /// What the source says.
        reason: String,
    },
    /// The relay log is full, and the settings do not hold the source up for that.
    #[error("the relay log is full ({bytes} bytes): the target does not take what the source writes")]
    RelayFull {
        /// What it holds.
        bytes: u64,
    },
    /// The source has sent an error where its stream should go on.
    #[error("the source ends the replication: {0}")]
    SourceLine(String),
    /// The source was flushed while its snapshot was read (protocol section 4.5).
    #[error("the source was flushed during the full synchronisation")]
    FlushedInSync(Flush),
    /// The target did not answer in time when the run was stopped.
    #[error("the target did not carry out what was in flight within {} s{}", after.as_secs(), because(why.as_deref()))]
    DrainTimeout {
        /// How long it was waited for.
        after: Duration,
        /// Why it takes nothing, if it has said so.
        why: Option<String>,
    },
    /// The session ended while the flow waited for it.
    #[error("the session is gone")]
    SessionGone,
}

impl Error {
    /// Whether there was no connection at all.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Source(OpenError::Connection(
                ConnectionError::Connect { .. } | ConnectionError::Password { .. }
            ))
        )
    }

    /// Whether the source refuses the login.
    pub(crate) fn is_login(&self) -> bool {
        matches!(self, Self::Source(OpenError::Handshake(HandshakeError::Login(_))))
    }

    /// Whether the source, or whatever answers in its place, is a replica: a switchover goes on.
    pub(crate) fn is_of_replica(&self) -> bool {
        matches!(self, Self::Source(OpenError::Handshake(HandshakeError::IsReplica(_))))
    }

    /// Whether another attempt at a session can go better.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Source(OpenError::Connection(error)) => !matches!(error, ConnectionError::Reply { .. }),
            Self::Source(OpenError::Handshake(error)) => {
                matches!(
                    error,
                    HandshakeError::Loading | HandshakeError::SessionLost { .. } | HandshakeError::Mixed
                )
            }
            _ => false,
        }
    }
}

impl From<ConnectionError> for Error {
    fn from(error: ConnectionError) -> Self {
        Self::Source(error.into())
    }
}

impl From<HandshakeError> for Error {
    fn from(error: HandshakeError) -> Self {
        Self::Source(error.into())
    }
}
