//! The folder of a log: its segment files, and the lock that excludes other processes.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::LogError;
use crate::segment::{Named, file_name, named};

const LOCK: &str = "lock";

/// The folder, locked until this is dropped.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    lock: File,
}

/// Makes the error of `action` at `path`.
pub(crate) fn failed<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> LogError + 'a {
    move |error| LogError::Io { action, path: path.to_path_buf(), error }
}

impl Directory {
    /// Opens and locks the folder. It is created if it does not exist.
    ///
    /// # Errors
    /// [`LogError::Io`], or [`LogError::Locked`].
    pub(crate) fn open(path: &Path) -> Result<Self, LogError> {
        Ok(Self { path: path.to_path_buf(), lock: make_and_lock(path)? })
    }

    /// Makes the folder again if it was removed, and locks it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn restore(&mut self) -> Result<(), LogError> {
        if !self.path.is_dir() {
            self.lock = make_and_lock(&self.path)?;
        }
        Ok(())
    }

    /// The first positions of all segments, ascending.
    ///
    /// # Errors
    /// [`LogError::Io`], or [`LogError::Name`].
    pub(crate) fn segments(&self) -> Result<Vec<u64>, LogError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed("list", &self.path))? {
            let entry = entry.map_err(failed("list", &self.path))?;
            match named(&entry.file_name()) {
                Named::Segment(first) => found.push(first),
                Named::Malformed => return Err(LogError::Name { path: entry.path() }),
                Named::Other => {}
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The path of the segment that begins at `first`.
    pub(crate) fn file(&self, first: u64) -> PathBuf {
        self.path.join(file_name(first))
    }

    /// Deletes the segment that begins at `first`, unless somebody has deleted it already.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub(crate) fn remove(&self, first: u64) -> Result<(), LogError> {
        let path = self.file(first);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("delete", &path)(error)),
            _ => Ok(()),
        }
    }

    /// Makes the creation and deletion of files durable.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub(crate) fn sync(&self) -> Result<(), LogError> {
        let synced = File::open(&self.path).and_then(|dir| dir.sync_all());
        synced.map_err(failed("sync", &self.path))
    }
}

/// Only the owner may enter the folder and read its files: they hold what users have written.
fn make_and_lock(path: &Path) -> Result<File, LogError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(failed("make", path))?;
    let file = path.join(LOCK);
    let open = File::options().create(true).truncate(false).write(true).mode(0o600).open(&file);
    let lock = open.map_err(failed("open", &file))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(LogError::Locked { path: path.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(failed("lock", &file)(error)),
    }
}

impl Drop for Directory {
    /// Unlocks explicitly: between fork and exec, a child process has the file open too, and closing it here would leave
    /// the lock to the child.
    fn drop(&mut self) {
        let _closed_below = self.lock.unlock().is_err();
    }
}
