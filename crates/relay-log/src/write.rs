//! Appending to the last segment. Appended frames are buffered, and the file contains whole frames only.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::directory::failed;
use crate::error::LogError;
use crate::frame::{Frame, HEADER};
use crate::read::Extent;
use crate::segment::SegmentHeader;

/// Appends to a segment.
#[derive(Debug)]
pub(crate) struct Writer {
    path: PathBuf,
    file: File,
    seed: u64,
    /// Length of the file, in bytes. It ends with a whole frame.
    written: u64,
    /// Whole frames that are not written yet.
    pending: Vec<u8>,
    /// Capacity of the buffer, in bytes.
    buffer: usize,
    /// The error of a failed sync.
    broken: Option<io::ErrorKind>,
}

impl Writer {
    /// Creates the file of a segment. An existing file can only be left from a failed attempt.
    ///
    /// # Errors
    /// [`LogError::Io`] or [`LogError::Write`].
    pub(crate) fn create(path: &Path, header: &SegmentHeader, buffer: usize) -> Result<Self, LogError> {
        let mut options = File::options();
        let file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .map_err(failed("make", path))?;
        let (path, seed, pending) = (path.to_path_buf(), header.seed(), Vec::new());
        let mut writer = Self { path, file, seed, written: 0, pending, buffer, broken: None };
        writer.write(&[&header.encode()])?;
        Ok(writer)
    }

    /// Continues a segment after its first `written` bytes. The rest of the file is removed.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub(crate) fn resume(
        path: &Path,
        header: &SegmentHeader,
        (written, buffer): (u64, usize),
    ) -> Result<Self, LogError> {
        let file = File::options().write(true).open(path).map_err(failed("open", path))?;
        file.set_len(written).map_err(failed("cut off the end of", path))?;
        let (path, seed) = (path.to_path_buf(), header.seed());
        Ok(Self { path, file, seed, written, pending: Vec::new(), buffer, broken: None })
    }

    /// Adds a frame whose body has `length` bytes.
    ///
    /// # Errors
    /// [`LogError::Write`] or [`LogError::Sync`]. The frame is not added.
    pub(crate) fn append(&mut self, frame: &Frame<&[u8]>, length: u32) -> Result<(), LogError> {
        self.check()?;
        if self.pending.len() + HEADER + frame.body.len() > self.buffer {
            self.flush()?;
        }
        let header = frame.header(length, self.seed);
        if HEADER + frame.body.len() > self.buffer {
            return self.write(&[&header, frame.body]);
        }
        self.pending.extend_from_slice(&header);
        self.pending.extend_from_slice(frame.body);
        Ok(())
    }

    /// Writes the buffer to the file.
    ///
    /// # Errors
    /// [`LogError::Write`]. The buffer is kept.
    fn flush(&mut self) -> Result<(), LogError> {
        let pending = std::mem::take(&mut self.pending);
        let written = self.write(&[&pending]);
        self.pending = pending;
        written.map(|()| self.pending.clear())
    }

    /// Writes all of `parts` or nothing.
    fn write(&mut self, parts: &[&[u8]]) -> Result<(), LogError> {
        let mut at = self.written;
        for part in parts {
            if let Err(error) = self.file.write_all_at(part, at) {
                // If truncating fails too, the bytes after `written` are never read. The next attempt overwrites them, or
                // recovery removes them as a torn tail.
                let _torn_tail = self.file.set_len(self.written).is_err();
                return Err(LogError::Write { path: self.path.clone(), offset: self.written, error });
            }
            at = at.saturating_add(part.len() as u64);
        }
        self.written = at;
        Ok(())
    }

    /// Writes everything to the file and waits until it is on disk.
    ///
    /// # Errors
    /// [`LogError::Write`] or [`LogError::Sync`].
    pub(crate) fn sync(&mut self) -> Result<(), LogError> {
        self.check()?;
        self.flush()?;
        let synced = self.file.sync_data();
        synced.map_err(|error| {
            self.broken = Some(error.kind());
            LogError::Sync { path: self.path.clone(), error }
        })
    }

    /// Refuses to continue after a failed sync: the system may have dropped the unwritten data, and reports this only once.
    fn check(&self) -> Result<(), LogError> {
        match self.broken {
            Some(kind) => Err(LogError::Sync { path: self.path.clone(), error: kind.into() }),
            None => Ok(()),
        }
    }

    /// The extent of the segment.
    pub(crate) fn extent(&self) -> Extent<'_> {
        Extent { written: self.written, pending: &self.pending }
    }

    /// Size of the segment, including the buffer, in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.written.saturating_add(self.pending.len() as u64)
    }
}
