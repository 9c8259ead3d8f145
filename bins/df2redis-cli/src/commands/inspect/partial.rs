//! A file that gets its name only when it is complete.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The file, under a temporary name. It is removed if it is never finished.
pub(super) struct Partial {
    file: File,
    partial: PathBuf,
    path: PathBuf,
    finished: bool,
}

impl Partial {
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = File::create(&partial).with_context(|| format!("cannot create {}", partial.display()))?;
        Ok(Self { file, partial, path: path.to_owned(), finished: false })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.file.write_all(bytes).with_context(|| format!("cannot write {}", self.partial.display()))
    }

    /// Gives the file its name. Returns its size in bytes.
    pub(super) fn finish(mut self) -> anyhow::Result<u64> {
        let named = self.name();
        self.finished = named.is_ok();
        named.with_context(|| format!("cannot write {}", self.path.display()))
    }

    fn name(&self) -> std::io::Result<u64> {
        self.file.sync_all()?;
        fs::rename(&self.partial, &self.path)?;
        self.file.metadata().map(|metadata| metadata.len())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.finished {
            // A failure to remove it cannot be handled here.
            drop(fs::remove_file(&self.partial));
        }
    }
}
