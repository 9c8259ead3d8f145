//! The local state file: what `status` shows when no run answers. Written whole, under another name first, and synced,
//! so that a reader finds either the old state or the new one.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::run::report::{ExtraKeysProgress, Phase, Report};

const NAME: &str = "state.json";

const LOCK: &str = "lock";

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
    /// Keys of the target that the source was asked about, while those are removed that it does not have; and of how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removing: Option<(u64, u64)>,
    /// Keys that are to be refetched from the source.
    #[serde(default)]
    pub refetching: u64,
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
    /// Another run uses it.
    #[error("another run uses the state directory {path}; each run needs one of its own")]
    InUse {
        /// The directory.
        path: PathBuf,
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
        make_private(dir).map_err(|error| file.failed(error))?;
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
        let mut file = match create_private(&new) {
            // The folder was removed while the run went on.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_private(self.path.parent().unwrap_or(Path::new(".")))?;
                create_private(&new)?
            }
            created => created?,
        };
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

/// A folder that only its owner may enter. One that is there already stays as it is.
fn make_private(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// A file that only its owner may read.
fn create_private(path: &Path) -> io::Result<File> {
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// A state directory that no other run uses while this is held.
#[derive(Debug)]
pub(crate) struct StateLock(File);

impl StateLock {
    /// Makes the directory if it is not there, and claims it.
    ///
    /// # Errors
    /// [`StateFileError::InUse`], or [`StateFileError::Io`].
    pub(crate) fn claim(dir: &Path) -> Result<Self, StateFileError> {
        let path = dir.join(LOCK);
        let failed = |error| StateFileError::Io { path: path.clone(), error };
        make_private(dir).map_err(failed)?;
        let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(StateFileError::InUse { path: dir.to_path_buf() }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

impl Drop for StateLock {
    /// Unlocks explicitly: between fork and exec, a child process has the file open too.
    fn drop(&mut self) {
        let _closed_below = self.0.unlock().is_err();
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
        let ExtraKeysProgress { looked_at, of } = report.extra_keys;
        Self {
            format: 1,
            written_at_ms: now_ms,
            phase,
            source_id,
            removing: report.is_removing_extra_keys.then_some((looked_at, of)),
            refetching: report.refetching(),
            flows: flows.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// C28: a second run is refused before it touches anything. C42: only the owner reads what is there. C35: a folder that
    /// was removed is made again.
    #[test]
    fn a_state_directory_has_one_run_and_one_reader() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("state");
        let lock = StateLock::claim(&dir).unwrap();
        assert!(matches!(StateLock::claim(&dir), Err(StateFileError::InUse { .. })));
        let file = StateFile::in_dir(&dir).unwrap();
        file.save(&SavedState::of(&Report::default(), 7)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&dir.join(NAME)), mode(&dir.join(LOCK))), (0o700, 0o600, 0o600));
        fs::remove_dir_all(&dir).unwrap();
        file.save(&SavedState::of(&Report::default(), 8)).unwrap();
        assert_eq!(file.load().unwrap().unwrap().written_at_ms, 8);
        drop(lock);
        StateLock::claim(&dir).unwrap();
    }
}
