//! The log.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;

use crate::damage::Fault;
use crate::directory::Directory;
use crate::error::LogError;
use crate::frame::{Frame, HEADER as FRAME_HEADER};
use crate::identity::Identity;
use crate::read::{Extent, Found, ReadLimits, SegmentReader};
use crate::recover::{Recovered, Scan, Segment};
use crate::segment::{HEADER, SegmentHeader};
use crate::write::Writer;

/// Sizes of a log, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The largest size of a segment. A larger frame is not split: it has a segment of its own.
    pub segment_bytes: u64,
    /// The largest size of all segments together.
    pub max_bytes: u64,
    /// The largest body of a frame.
    pub frame_bytes: u32,
    /// Size of the write buffer. It is written when it is full, and on sync.
    pub write_bytes: usize,
    /// Size of a read. The bodies of frames share the memory of the read that they came with.
    pub read_bytes: usize,
}

impl Default for Options {
    /// Segments of 64 MiB, 8 GiB in total, bodies of 2 GiB, writes of 256 KiB, reads of 1 MiB.
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            max_bytes: 8 << 30,
            frame_bytes: 2 << 30,
            write_bytes: 256 << 10,
            read_bytes: 1 << 20,
        }
    }
}

/// The result of appending a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a frame that was not appended must be kept"]
pub enum Appended {
    /// The frame is in the log.
    Yes,
    /// The log would exceed its size. Nothing was changed. Releasing positions makes space.
    Full,
}

/// An open log. No other process can open it at the same time.
///
/// Frames that are not synced may be lost: those in the write buffer if the process ends, all of them if the machine crashes.
/// Dropping a log does not sync it.
#[derive(Debug)]
pub struct RelayLog {
    directory: Directory,
    identity: Identity,
    options: Options,
    /// In order and without gaps. All but the last are on disk and final.
    segments: VecDeque<Segment>,
    /// Appends to the last segment. `None` if and only if there is no segment.
    writer: Option<Writer>,
    reader: Option<SegmentReader>,
    /// Frames that end at or before this position are skipped, until the first later frame or the end.
    skip: Option<u64>,
    /// Frames that end at or before this position are released.
    released: u64,
    synced: Option<u64>,
}

impl RelayLog {
    /// Opens the log in `dir`, which is created if it does not exist. Every segment is read and its checksums are verified.
    /// An incomplete frame at the very end, as a crash leaves it, is removed. The rest is synced.
    ///
    /// # Errors
    /// [`LogError`] if the folder belongs to another flow or is in use, a file cannot be read or written, or anything but
    /// the end is damaged.
    pub fn open(dir: &Path, identity: Identity, options: Options) -> Result<(Self, Recovered), LogError> {
        let directory = Directory::open(dir)?;
        let scan = Scan { directory: &directory, identity: &identity, limits: limits(&options) };
        let (segments, recovered) = scan.run()?;
        let (writer, reader, skip, synced) = (None, None, None, None);
        let mut log =
            Self { directory, identity, options, segments, writer, reader, skip, released: 0, synced };
        log.resume()?;
        Ok((log, recovered))
    }

    /// Prepares to append to the last segment.
    fn resume(&mut self) -> Result<(), LogError> {
        self.directory.sync()?;
        let Some(last) = self.segments.back() else { return Ok(()) };
        let header = SegmentHeader { identity: self.identity.clone(), first: last.first };
        let path = self.directory.file(last.first);
        self.writer = Some(Writer::resume(&path, &header, (last.size, self.options.write_bytes))?);
        self.sync()
    }

    /// The positions that the log holds; `None` if it is empty and may begin at any position.
    pub fn positions(&self) -> Option<Range<u64>> {
        self.segments.front().zip(self.segments.back()).map(|(front, back)| front.first..back.next)
    }

    /// All frames before this position are on disk. `None` if the log has no segment.
    pub fn synced(&self) -> Option<u64> {
        self.synced
    }

    /// Size of all segments, including the write buffer, in bytes.
    pub fn size(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size).sum()
    }

    /// Appends a frame. It can be read and released immediately, but survives a crash only after [`sync`](Self::sync). The
    /// first frame of a segment syncs the previous segment.
    ///
    /// # Errors
    /// [`LogError`] if the frame does not begin where the log ends, is too large, or cannot be written. The log is then
    /// unchanged.
    pub fn append<B: AsRef<[u8]>>(&mut self, frame: &Frame<B>) -> Result<Appended, LogError> {
        let frame = frame.with_body(frame.body.as_ref());
        let length = self.accepted(&frame)?;
        let size = FRAME_HEADER as u64 + u64::from(length);
        if !self.make_room(&frame, size)? {
            return Ok(Appended::Full);
        }
        if let (Some(writer), Some(last)) = (&mut self.writer, self.segments.back_mut()) {
            writer.append(&frame, length)?;
            last.next = frame.next;
            last.size = writer.size();
        }
        Ok(Appended::Yes)
    }

    /// Validates a frame to append; returns the length of its body.
    fn accepted(&self, frame: &Frame<&[u8]>) -> Result<u32, LogError> {
        let (first, next) = (frame.first, frame.next);
        let expected = self.positions().map_or(first, |held| held.end);
        if first != expected || next < first {
            return Err(LogError::Position { first, next, expected });
        }
        let overhead = (HEADER + FRAME_HEADER) as u64;
        let limit = u64::from(self.options.frame_bytes).min(self.options.max_bytes.saturating_sub(overhead));
        let length = u32::try_from(frame.body.len()).ok().filter(|length| u64::from(*length) <= limit);
        length.ok_or(LogError::TooLarge { bytes: frame.body.len(), limit })
    }

    /// Begins a segment if the last one has no room for a frame of `size` bytes. False if the log would exceed its size.
    fn make_room(&mut self, frame: &Frame<&[u8]>, size: u64) -> Result<bool, LogError> {
        let stays = self.segments.back().is_some_and(|last| {
            // Segments are named by their first position, so two must not begin at the same one.
            last.size.saturating_add(size) <= self.options.segment_bytes || last.next == last.first
        });
        // The last segment is deleted only when another replaces it.
        let spent =
            self.segments.back().filter(|last| !stays && self.segments.len() == 1 && self.is_spent(last));
        let kept = self.size() - spent.map_or(0, |last| last.size);
        let added = size + if stays { 0 } else { HEADER as u64 };
        if kept.saturating_add(added) > self.options.max_bytes {
            return Ok(false);
        }
        if !stays {
            self.begin_segment(frame.first)?;
        }
        Ok(true)
    }

    fn begin_segment(&mut self, first: u64) -> Result<(), LogError> {
        if self.writer.is_some() {
            self.sync()?;
        }
        self.directory.restore()?;
        let header = SegmentHeader { identity: self.identity.clone(), first };
        let writer = Writer::create(&self.directory.file(first), &header, self.options.write_bytes)?;
        self.segments.push_back(Segment { first, next: first, size: writer.size() });
        self.writer = Some(writer);
        self.directory.sync()?;
        self.drop_released()
    }

    /// Writes all appended frames, and waits until they are on disk.
    ///
    /// # Errors
    /// [`LogError::Write`] or [`LogError::Sync`].
    pub fn sync(&mut self) -> Result<(), LogError> {
        if let (Some(writer), Some(last)) = (&mut self.writer, self.segments.back()) {
            writer.sync()?;
            self.synced = Some(last.next);
        }
        Ok(())
    }

    /// The next frame; `None` if all appended frames were read. Frames need not be synced to be read.
    ///
    /// # Errors
    /// [`LogError::Read`], or [`LogError::Damaged`] if a file was changed since it was verified.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, LogError> {
        loop {
            let Some(reader) = &mut self.reader else {
                match self.segment_of(self.skip.unwrap_or(0)) {
                    Some(first) => self.reader = Some(self.open_reader(first)?),
                    None => return Ok(None),
                }
                continue;
            };
            let extent = extent(&self.segments, self.writer.as_ref(), reader.first());
            match reader.next_frame(extent)? {
                Found::Frame(frame) if self.skip.is_some_and(|skip| frame.next <= skip) => {}
                Found::Frame(frame) => {
                    self.skip = None;
                    return Ok(Some(frame));
                }
                Found::End => {
                    let read = reader.first();
                    match self.segment_behind(read) {
                        Some(first) => {
                            self.reader = Some(self.open_reader(first)?);
                            self.drop_released()?;
                        }
                        None => {
                            self.skip = None;
                            return Ok(None);
                        }
                    }
                }
                Found::Fault(fault) => return Err(reader.damaged(fault)),
            }
        }
    }

    /// Continues reading with the first frame that ends after `position`. It may have been read before, but not released.
    /// Its segment is read from the start, so this is meant for the start of a session.
    ///
    /// # Errors
    /// [`LogError::OutOfRange`].
    pub fn seek(&mut self, position: u64) -> Result<(), LogError> {
        self.held(position)?;
        self.skip = Some(position);
        self.reader = None;
        Ok(())
    }

    /// Discards everything before `upto`. Unread frames before it are skipped, and segments that end before it are deleted.
    /// The last segment is kept until the next one begins.
    ///
    /// # Errors
    /// [`LogError::OutOfRange`] if `upto` is not in the log, or [`LogError::Io`]. If the target is ahead of the log,
    /// [`clear`](Self::clear) it.
    pub fn release(&mut self, upto: u64) -> Result<(), LogError> {
        if upto <= self.released {
            return Ok(());
        }
        self.held(upto)?;
        self.released = upto;
        if upto > self.reading() {
            (self.skip, self.reader) = (Some(upto), None);
        }
        self.drop_released()
    }

    /// Deletes everything. The next frame may begin at any position.
    ///
    /// # Errors
    /// [`LogError::Io`]. Only segments at the beginning may have been deleted.
    pub fn clear(&mut self) -> Result<(), LogError> {
        self.reader = None;
        while let Some(segment) = self.segments.front() {
            self.directory.remove(segment.first)?;
            self.segments.pop_front();
        }
        self.writer = None;
        (self.skip, self.released, self.synced) = (None, 0, None);
        self.directory.restore()?;
        self.directory.sync()
    }

    fn held(&self, position: u64) -> Result<(), LogError> {
        let held = self.positions().unwrap_or(0..0);
        let (first, next) = (held.start.max(self.released), held.end);
        match (first..=next).contains(&position) {
            true => Ok(()),
            false => Err(LogError::OutOfRange { position, first, next }),
        }
    }

    fn drop_released(&mut self) -> Result<(), LogError> {
        while let Some(front) = self.segments.front()
            && self.segments.len() > 1
            && self.is_spent(front)
        {
            self.directory.remove(front.first)?;
            self.reader = self.reader.take().filter(|reader| reader.first() != front.first);
            self.segments.pop_front();
        }
        Ok(())
    }

    /// Whether a segment may be deleted: it is released, and its frames without positions were read.
    fn is_spent(&self, segment: &Segment) -> bool {
        let reader = self.reader.as_ref().filter(|reader| reader.first() == segment.first);
        segment.next <= self.released && reader.is_none_or(|reader| reader.offset() == segment.size)
    }

    /// The position where reading continues.
    fn reading(&self) -> u64 {
        let start = self.segments.front().map_or(0, |front| front.first);
        self.skip.unwrap_or_else(|| self.reader.as_ref().map_or(start, SegmentReader::next))
    }

    /// The segment with the first frame that ends after `position`; the last segment if there is no such frame.
    fn segment_of(&self, position: u64) -> Option<u64> {
        let found = self.segments.iter().find(|segment| segment.next > position);
        found.or(self.segments.back()).map(|segment| segment.first)
    }

    fn segment_behind(&self, first: u64) -> Option<u64> {
        self.segments.iter().map(|segment| segment.first).find(|other| *other > first)
    }

    fn open_reader(&self, first: u64) -> Result<SegmentReader, LogError> {
        let path = self.directory.file(first);
        let reader = SegmentReader::open(&path, (&self.identity, first), limits(&self.options))?;
        reader.ok_or(LogError::Damaged { path, offset: 0, fault: Fault::Cut })
    }
}

/// The extent of the segment that begins at `first`.
fn extent<'a>(segments: &VecDeque<Segment>, writer: Option<&'a Writer>, first: u64) -> Extent<'a> {
    let last = segments.back().filter(|last| last.first == first);
    match (last, writer) {
        (Some(_), Some(writer)) => writer.extent(),
        _ => {
            let size =
                segments.iter().find(|segment| segment.first == first).map_or(0, |segment| segment.size);
            Extent { written: size, pending: &[] }
        }
    }
}

fn limits(options: &Options) -> ReadLimits {
    let frame = usize::try_from(options.frame_bytes).unwrap_or(usize::MAX);
    ReadLimits { frame, read: options.read_bytes }
}
