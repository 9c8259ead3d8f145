//! The local state file: what `status` shows when no run answers. Written whole, under another name first, and synced,
//! so that a reader finds either the old state or the new one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::run::report::{Phase, Report};

const NAME: &str = "state.json";

/// What the state file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedState {
    /// Layout of this file.
    pub format: u32,
    /// When it was written, in milliseconds since 1970.
    pub written_at_ms: i64,
    /// Where the run stood.
    pub phase: Phase,
    /// The source's replication id.
    pub source_id: Option<String>,
    /// Each flow, in order.
    pub flows: Vec<SavedFlow>,
}

/// One flow in the state file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedFlow {
    /// The next record to be applied; absent before stable sync.
    pub durable_lsn: Option<u64>,
    /// Keys of the snapshot that were read.
    pub keys: u64,
    /// Journal records that were read.
    pub records: u64,
}

/// A state file that cannot be used.
#[derive(Debug, Error)]
pub enum StateFileError {
    /// It cannot be read or written.
    #[error("the state file {path} cannot be used: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// What it holds is no state.
    #[error("the state file {path} is damaged: {error}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        error: serde_json::Error,
    },
}

/// The state file of one directory.
#[derive(Debug, Clone)]
pub struct StateFile {
    path: PathBuf,
}

impl StateFile {
    /// In `dir`, which is made if it is not there.
    ///
    /// # Errors
    /// [`StateFileError::Io`].
    pub fn in_dir(dir: &Path) -> Result<Self, StateFileError> {
        let file = Self { path: dir.join(NAME) };
        fs::create_dir_all(dir).map_err(|error| file.failed(error))?;
        Ok(file)
    }

    /// What was saved last; `None` if nothing was.
    ///
    /// # Errors
    /// [`StateFileError`].
    pub fn load(&self) -> Result<Option<SavedState>, StateFileError> {
        match fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| StateFileError::Damaged { path: self.path.clone(), error }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Replaces what was saved.
    ///
    /// # Errors
    /// [`StateFileError::Io`]; what was saved before is still there then.
    pub fn save(&self, state: &SavedState) -> Result<(), StateFileError> {
        let text = serde_json::to_vec_pretty(state).map_err(|error| self.failed(error.into()))?;
        self.replace(&text).map_err(|error| self.failed(error))
    }

    fn replace(&self, text: &[u8]) -> io::Result<()> {
        let new = self.path.with_extension("json.new");
        let mut file = File::create(&new)?;
        file.write_all(text)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        let dir = self.path.parent().unwrap_or(Path::new("."));
        File::open(dir)?.sync_all()
    }

    fn failed(&self, error: io::Error) -> StateFileError {
        StateFileError::Io { path: self.path.clone(), error }
    }
}

impl SavedState {
    /// The part of a report that is saved.
    pub fn of(report: &Report, now_ms: i64) -> Self {
        let flows = report.flows.iter().map(|flow| SavedFlow {
            durable_lsn: flow.positions.map(|positions| positions.durable.0),
            keys: flow.keys,
            records: flow.records,
        });
        let (phase, source_id) = (report.phase, report.source_id.clone());
        Self { format: 1, written_at_ms: now_ms, phase, source_id, flows: flows.collect() }
    }
}
