//! Reading the frames of a segment, in large reads.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::BytesMut;
use dfly_wire::Step;

use crate::damage::Fault;
use crate::error::LogError;
use crate::frame::Frame;
use crate::identity::Identity;
use crate::segment::{Decoder, HEADER, SegmentHeader};

/// Limits of a reader.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadLimits {
    /// The largest body, in bytes.
    pub(crate) frame: usize,
    /// The size of a read, in bytes.
    pub(crate) read: usize,
}

/// The whole frames of a segment: the first `written` bytes of the file, followed by `pending`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent<'a> {
    pub(crate) written: u64,
    pub(crate) pending: &'a [u8],
}

/// The result of one step.
#[derive(Debug)]
pub(crate) enum Found {
    /// The next frame.
    Frame(Frame),
    /// All frames are read.
    End,
    /// The bytes at the offset of the reader are not a whole frame.
    Fault(Fault),
}

/// A segment that is open for reading.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    path: PathBuf,
    file: File,
    decoder: Decoder,
    first: u64,
    chunk: usize,
    buffer: BytesMut,
    /// The number of bytes of the segment that were read into the buffer.
    filled: u64,
}

impl SegmentReader {
    /// Opens the segment of `wanted` at `path` that begins at `first`. `None` if the file is too short for a header.
    ///
    /// # Errors
    /// [`LogError`].
    pub(crate) fn open(
        path: &Path,
        (wanted, first): (&Identity, u64),
        limits: ReadLimits,
    ) -> Result<Option<Self>, LogError> {
        let failed = |error| LogError::Read { path: path.to_path_buf(), offset: 0, error };
        let file = File::open(path).map_err(failed)?;
        let mut start = [0; HEADER];
        match file.read_exact_at(&mut start, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read.map_err(failed)?,
        }
        let header = checked(&start, path, (wanted, first))?;
        Ok(Some(Self {
            path: path.to_path_buf(),
            file,
            decoder: Decoder::new(&header, limits.frame),
            first,
            chunk: limits.read,
            buffer: BytesMut::new(),
            filled: u64::try_from(HEADER).unwrap_or_default(),
        }))
    }

    /// The first position of the segment.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The position after the last frame that was read.
    pub(crate) fn next(&self) -> u64 {
        self.decoder.next()
    }

    /// The offset of the next frame, in bytes.
    pub(crate) fn offset(&self) -> u64 {
        self.filled.saturating_sub(self.buffer.len() as u64)
    }

    /// The error for a fault at the offset of the reader.
    pub(crate) fn damaged(&self, fault: Fault) -> LogError {
        LogError::Damaged { path: self.path.clone(), offset: self.offset(), fault }
    }

    /// The next frame in `extent`.
    ///
    /// # Errors
    /// [`LogError::Read`].
    pub(crate) fn next_frame(&mut self, extent: Extent<'_>) -> Result<Found, LogError> {
        loop {
            let missing = match self.decoder.decode(&mut self.buffer) {
                Ok(Step::Ready(frame)) => return Ok(Found::Frame(frame)),
                Ok(Step::Need(missing)) => missing.get(),
                Err(fault) => return Ok(Found::Fault(fault)),
            };
            let end = extent.written.saturating_add(extent.pending.len() as u64);
            let left = end.saturating_sub(self.filled);
            if left < missing as u64 {
                let at_end = left == 0 && self.buffer.is_empty();
                return Ok(if at_end { Found::End } else { Found::Fault(Fault::Cut) });
            }
            self.fill(missing, extent)?;
        }
    }

    /// Reads at least `missing` bytes, which exist, into the buffer.
    fn fill(&mut self, missing: usize, extent: Extent<'_>) -> Result<(), LogError> {
        let wanted = missing.max(self.chunk);
        let in_file = extent.written.saturating_sub(self.filled);
        if in_file == 0 {
            let skipped = usize::try_from(self.filled.saturating_sub(extent.written)).unwrap_or(usize::MAX);
            let behind = extent.pending.get(skipped..).unwrap_or_default();
            self.buffer.extend_from_slice(behind);
            self.filled = self.filled.saturating_add(behind.len() as u64);
            return Ok(());
        }
        let (held, part) = (self.buffer.len(), wanted.min(usize::try_from(in_file).unwrap_or(usize::MAX)));
        self.buffer.resize(held + part, 0);
        let read = self.file.read_exact_at(self.buffer.get_mut(held..).unwrap_or_default(), self.filled);
        if let Err(error) = read {
            self.buffer.truncate(held);
            return Err(LogError::Read { path: self.path.clone(), offset: self.filled, error });
        }
        self.filled = self.filled.saturating_add(part as u64);
        Ok(())
    }

    /// Whether the file contains only zeros from the offset of the reader on: space that was allocated and never written.
    ///
    /// # Errors
    /// [`LogError::Read`].
    pub(crate) fn is_zero_from_here(&self, end: u64) -> Result<bool, LogError> {
        all_zero(&self.file, self.offset(), end).map_err(|error| LogError::Read {
            path: self.path.clone(),
            offset: self.offset(),
            error,
        })
    }
}

/// Parses the header of the segment at `path`, and checks its owner and first position.
fn checked(start: &[u8], path: &Path, (wanted, first): (&Identity, u64)) -> Result<SegmentHeader, LogError> {
    let damaged = |fault| LogError::Damaged { path: path.to_path_buf(), offset: 0, fault };
    let header = match SegmentHeader::parse(start).map_err(damaged)? {
        Step::Ready(header) => header,
        Step::Need(_) => return Err(damaged(Fault::Cut)),
    };
    if header.identity != *wanted {
        let (found, wanted) = (Box::new(header.identity), Box::new(wanted.clone()));
        return Err(LogError::Foreign { path: path.to_path_buf(), found, wanted });
    }
    if header.first == first { Ok(header) } else { Err(damaged(Fault::SegmentFields)) }
}

/// Whether the bytes from `from` to `end` are zeros.
pub(crate) fn all_zero(file: &File, from: u64, end: u64) -> io::Result<bool> {
    let mut part = vec![0; 64 << 10];
    let mut at = from;
    while at < end {
        let size = usize::try_from(end - at).unwrap_or(usize::MAX).min(part.len());
        let part = part.get_mut(..size).unwrap_or_default();
        file.read_exact_at(part, at)?;
        if part.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at = at.saturating_add(size as u64);
    }
    Ok(true)
}
