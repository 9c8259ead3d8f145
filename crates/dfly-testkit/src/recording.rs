//! Recorded replication sessions: all bytes with their direction and time, and what the master held at the end.

mod commands;
mod expected;
mod files;
mod flow;
mod session;
mod tail;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Deserialize;
use thiserror::Error;

use crate::journal_walk::{WalkError, walk};
use files::Files;

pub use expected::Row;
pub use flow::FlowRecording;
pub use session::SessionRecording;

/// One recording: a folder as `captures/README.md` describes it.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Scenario, server version and flags.
    pub meta: Meta,
    /// All TCP connections, in the order in which they were opened.
    pub connections: Vec<Connection>,
    /// The replication sessions, in order; each is one control connection and its flows.
    pub sessions: Vec<SessionRecording>,
    expected: Vec<Row>,
}

/// `meta.json`.
#[derive(Debug, Clone, Deserialize)]
pub struct Meta {
    /// The scenario's name, which is also the folder's name.
    pub scenario: String,
    /// The server's release, such as `df-v1.40.1`.
    pub dragonfly_version: Vec<String>,
    /// Command line flags of the master.
    pub master_flags: Vec<String>,
    /// How many connections were recorded.
    pub connections: usize,
    /// How many keys the master held at the end.
    pub keys: usize,
    /// When the recording ended, in Unix seconds.
    pub recorded_at: i64,
}

/// Both directions of one TCP connection.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Bytes from the replica to the master.
    pub c2s: Bytes,
    /// Bytes from the master to the replica.
    pub s2c: Bytes,
    /// When each piece passed the proxy.
    pub chunks: Vec<Chunk>,
}

/// One read of the recording proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(from = "(u64, Direction, usize, usize)")]
pub struct Chunk {
    /// Microseconds since the recording began.
    pub at_us: u64,
    /// The direction of the bytes.
    pub direction: Direction,
    /// Where they start in the direction's file.
    pub offset: usize,
    /// How many bytes there are.
    pub len: usize,
}

impl From<(u64, Direction, usize, usize)> for Chunk {
    fn from((at_us, direction, offset, len): (u64, Direction, usize, usize)) -> Self {
        Self { at_us, direction, offset, len }
    }
}

/// The direction of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Direction {
    /// Replica to master.
    #[serde(rename = "c2s")]
    ToMaster,
    /// Master to replica.
    #[serde(rename = "s2c")]
    ToReplica,
    /// One side closed.
    #[serde(rename = "close")]
    Close,
}

/// Why a recording cannot be used.
#[derive(Debug, Error)]
pub enum RecordingError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not part of the recording inside the binary.
    #[error("{0} is not part of the embedded recording")]
    NotEmbedded(String),
    /// A JSON file does not have the expected form.
    #[error("{file}, line {line}: not in the expected form")]
    Json {
        /// The file's name.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A row's value does not have the form that its type requires.
    #[error("expected.jsonl, line {line}: {what}")]
    Value {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// The bytes do not follow the part of the protocol that this module knows.
    #[error("connection {connection}: {what}")]
    Protocol {
        /// The connection's number.
        connection: usize,
        /// What is missing or wrong.
        what: String,
    },
    /// A flow's journal cannot be walked.
    #[error("connection {connection}: the journal cannot be walked")]
    Journal {
        /// The connection's number.
        connection: usize,
        /// Why.
        source: WalkError,
    },
}

impl Recording {
    /// Loads the folder `dir`.
    ///
    /// # Errors
    /// A file is missing, or is not as `captures/README.md` describes it.
    pub fn load(dir: &Path) -> Result<Self, RecordingError> {
        Self::from_files(&Files::Dir(dir))
    }

    /// The recording inside the binary: `journal-4shards`.
    ///
    /// # Errors
    /// None in practice, because a test checks the embedded files.
    pub fn embedded() -> Result<Self, RecordingError> {
        Self::from_files(&Files::Embedded(files::JOURNAL_4SHARDS))
    }

    /// A recording of this crate's `captures` folder, for tests in the source tree.
    ///
    /// # Errors
    /// As [`Recording::load`].
    pub fn bundled(name: &str) -> Result<Self, RecordingError> {
        Self::load(&captures_dir().join(name))
    }

    /// The names of all recordings in this crate's `captures` folder, sorted.
    ///
    /// # Errors
    /// The folder cannot be read. This happens if the program does not run in its source tree.
    pub fn bundled_names() -> Result<Vec<String>, RecordingError> {
        let path = captures_dir();
        let entries =
            std::fs::read_dir(&path).map_err(|source| RecordingError::Read { path: path.clone(), source })?;
        let mut names: Vec<String> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().join("meta.json").is_file())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        Ok(names)
    }

    /// What the master held at the end, sorted by database and key.
    pub fn expected(&self) -> &[Row] {
        &self.expected
    }

    /// The password that the master requires, according to its flags.
    pub fn password(&self) -> Option<&str> {
        self.meta.master_flags.iter().find_map(|flag| flag.strip_prefix("--requirepass="))
    }

    /// Every key and argument of every journal record. Keys outside this set come from the snapshot alone, so all their
    /// times are the master's own.
    pub fn journal_arguments(&self) -> BTreeSet<Bytes> {
        self.journal_commands().into_iter().flatten().collect()
    }

    /// Every command of every journal, flow after flow.
    pub fn journal_commands(&self) -> Vec<Vec<Bytes>> {
        let flows = self.sessions.iter().flat_map(|session| &session.flows);
        let walks = flows.filter_map(|flow| walk(flow.journal(), flow.start_lsn).ok());
        walks.flat_map(|walk| walk.commands).collect()
    }

    fn from_files(files: &Files<'_>) -> Result<Self, RecordingError> {
        let meta: Meta = files.json("meta.json")?;
        let connections =
            (0..meta.connections).map(|k| load_connection(files, k)).collect::<Result<Vec<_>, _>>()?;
        let sessions = session::group(&connections)?;
        let expected = expected::parse(&files.read("expected.jsonl")?)?;
        Ok(Self { meta, connections, sessions, expected })
    }
}

fn load_connection(files: &Files<'_>, k: usize) -> Result<Connection, RecordingError> {
    Ok(Connection {
        c2s: files.read(&format!("conn-{k}.c2s"))?,
        s2c: files.read(&format!("conn-{k}.s2c"))?,
        chunks: files.json_lines(&format!("conn-{k}.jsonl"))?,
    })
}

fn captures_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures")
}
