//! Recovery: opening a log reads every frame of every segment once.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::ops::Range;
use std::path::Path;

use crate::damage::Fault;
use crate::directory::{Directory, failed};
use crate::error::LogError;
use crate::identity::Identity;
use crate::read::{Extent, Found, ReadLimits, SegmentReader, all_zero};

/// The content of a log when it was opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovered {
    /// The positions that the log holds; `None` if it is empty and may begin at any position.
    pub positions: Option<Range<u64>>,
    /// The number of frames.
    pub frames: u64,
    /// The number of bytes that were removed from the end, because they were not a whole frame.
    pub torn_bytes: u64,
}

/// One segment of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Its first position.
    pub(crate) first: u64,
    /// The position after its last frame.
    pub(crate) next: u64,
    /// Its size, in bytes.
    pub(crate) size: u64,
}

/// Reads all segments. Torn bytes are not removed yet: they are after the `size` of the last segment.
pub(crate) struct Scan<'a> {
    pub(crate) directory: &'a Directory,
    pub(crate) identity: &'a Identity,
    pub(crate) limits: ReadLimits,
}

impl Scan<'_> {
    /// The segments, in order, and their content. A last segment without a header is deleted.
    ///
    /// # Errors
    /// [`LogError`].
    pub(crate) fn run(&self) -> Result<(VecDeque<Segment>, Recovered), LogError> {
        let firsts = self.directory.segments()?;
        let mut recovered = Recovered::default();
        let mut segments = VecDeque::<Segment>::new();
        for (i, first) in firsts.iter().copied().enumerate() {
            let is_last = i + 1 == firsts.len();
            if let Some(before) = segments.back()
                && before.next != first
            {
                let (path, expected) = (self.directory.file(first), before.next);
                return Err(LogError::Joint { path, found: first, expected });
            }
            segments.extend(self.segment(first, is_last, &mut recovered)?);
        }
        recovered.positions =
            segments.front().zip(segments.back()).map(|(front, back)| front.first..back.next);
        Ok((segments, recovered))
    }

    /// Reads one segment; `None` if it is deleted.
    fn segment(
        &self,
        first: u64,
        is_last: bool,
        recovered: &mut Recovered,
    ) -> Result<Option<Segment>, LogError> {
        let path = self.directory.file(first);
        let end = fs::metadata(&path).map_err(failed("look at", &path))?.len();
        if is_last && never_begun(&path, end)? {
            recovered.torn_bytes += end;
            self.directory.remove(first)?;
            return Ok(None);
        }
        let Some(mut reader) = SegmentReader::open(&path, (self.identity, first), self.limits)? else {
            return Err(LogError::Damaged { path, offset: 0, fault: Fault::Cut });
        };
        loop {
            match reader.next_frame(Extent { written: end, pending: &[] })? {
                Found::Frame(_) => recovered.frames += 1,
                Found::End => break,
                Found::Fault(fault) if is_last && is_torn(&reader, &fault, end)? => break,
                Found::Fault(fault) => return Err(reader.damaged(fault)),
            }
        }
        recovered.torn_bytes += end.saturating_sub(reader.offset());
        Ok(Some(Segment { first, next: reader.next(), size: reader.offset() }))
    }
}

/// Whether a crash prevented the header from being written: the file is too short for one, or all zeros.
fn never_begun(path: &Path, end: u64) -> Result<bool, LogError> {
    if end < crate::segment::HEADER as u64 {
        return Ok(true);
    }
    let zero = File::open(path).and_then(|file| all_zero(&file, 0, end));
    zero.map_err(|error| LogError::Read { path: path.to_path_buf(), offset: 0, error })
}

/// Whether a crash can have caused the fault: the file ends inside the frame, at its end, or in zeros. Otherwise a wrong
/// header is damage: it does not tell where its frame ends, so whole frames could follow.
fn is_torn(reader: &SegmentReader, fault: &Fault, end: u64) -> Result<bool, LogError> {
    match fault {
        Fault::Cut => Ok(true),
        Fault::Body { size } => Ok(reader.offset().saturating_add(*size as u64) == end),
        Fault::Header => reader.is_zero_from_here(end),
        _ => Ok(false),
    }
}
