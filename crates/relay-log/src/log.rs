//! The log: both ends, and what lies between.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;

use crate::directory::Directory;
use crate::error::LogError;
use crate::frame::{Frame, HEADER as FRAME_HEADER};
use crate::identity::Identity;
use crate::read::{Extent, Found, ReadLimits, SegmentReader};
use crate::recover::{Recovered, Scan, Segment};
use crate::segment::{Fault, HEADER, SegmentHeader};
use crate::write::Writer;

/// Sizes of a log, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// A segment that has reached this size is followed by another. A frame is never divided: a larger one has a
    /// segment of its own.
    pub segment_bytes: u64,
    /// The size of all segments together.
    pub max_bytes: u64,
    /// The largest body of a frame.
    pub frame_bytes: u32,
    /// What is appended is written when there is as much as this, and when it is synced.
    pub write_bytes: usize,
    /// How much is read at a time. Bodies share the memory of what was read with them.
    pub read_bytes: usize,
}

impl Default for Options {
    /// Segments of 64 MiB, 8 GiB in all, bodies of 2 GiB, written by 256 KiB and read by 1 MiB.
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

/// Whether a frame was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a frame that was not appended must be kept"]
pub enum Appended {
    /// It is in the log.
    Yes,
    /// The log would be larger than it may be. Nothing was changed; releasing makes space.
    Full,
}

/// A log that is open. Nobody else can open it meanwhile.
///
/// What was appended and not synced is lost with the process as far as it is still in the buffer, and with the machine
/// altogether. Dropping a log does not sync it.
#[derive(Debug)]
pub struct RelayLog {
    directory: Directory,
    identity: Identity,
    options: Options,
    /// In order and without gaps; all but the last are on disk and do not change any more.
    segments: VecDeque<Segment>,
    /// The end of the last segment. There is one exactly if there is a segment.
    writer: Option<Writer>,
    reader: Option<SegmentReader>,
    /// Frames that end here or before are passed over, up to the first that does not or to the end.
    skip: Option<u64>,
    /// Frames that end here or before are given up.
    released: u64,
    synced: Option<u64>,
}

impl RelayLog {
    /// Opens the log in `dir`, which is made if it is not there. Every segment is read and held against its checksums;
    /// a frame that a crash left incomplete at the very end is cut off. What is there then is synced.
    ///
    /// # Errors
    /// [`LogError`]: the folder is another flow's or in use, a file cannot be used, or anything but the end is damaged.
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

    /// Goes on at the end of the last segment.
    fn resume(&mut self) -> Result<(), LogError> {
        self.directory.sync()?;
        let Some(last) = self.segments.back() else { return Ok(()) };
        let header = SegmentHeader { identity: self.identity.clone(), first: last.first };
        let path = self.directory.file(last.first);
        self.writer = Some(Writer::resume(&path, &header, (last.size, self.options.write_bytes))?);
        self.sync()
    }

    /// The positions that the log holds; `None` while it is fresh.
    pub fn positions(&self) -> Option<Range<u64>> {
        self.segments.front().zip(self.segments.back()).map(|(front, back)| front.first..back.next)
    }

    /// The position up to which everything is on disk; `None` while the log is fresh.
    pub fn synced(&self) -> Option<u64> {
        self.synced
    }

    /// Bytes of all segments, those that wait in the buffer included.
    pub fn size(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size).sum()
    }

    /// Appends a frame. It is read and released at once, but safe only when it is synced. A new segment is begun when
    /// the last one is on disk, so this syncs once a segment.
    ///
    /// # Errors
    /// [`LogError`]: the frame does not begin where the log ends, is too large, or cannot be written. It is not in the
    /// log then, and the log is as it was.
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

    /// The length of the body of a frame that may be appended.
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

    /// Makes sure that there is a segment that takes a frame of `size` bytes, if the bound allows it.
    fn make_room(&mut self, frame: &Frame<&[u8]>, size: u64) -> Result<bool, LogError> {
        let stays = self.segments.back().is_some_and(|last| {
            // A segment is named by its first position: the next one's must be another.
            last.size.saturating_add(size) <= self.options.segment_bytes || last.next == last.first
        });
        // The last segment is given up only here, when another takes its place.
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
        let header = SegmentHeader { identity: self.identity.clone(), first };
        let writer = Writer::create(&self.directory.file(first), &header, self.options.write_bytes)?;
        self.segments.push_back(Segment { first, next: first, size: writer.size() });
        self.writer = Some(writer);
        self.directory.sync()?;
        self.drop_released()
    }

    /// Writes what was appended, and waits until it is on disk.
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

    /// The next frame that was appended; `None` if all are read. It need not be synced yet.
    ///
    /// # Errors
    /// [`LogError::Read`], or [`LogError::Damaged`] if the file was changed meanwhile.
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

    /// Reading goes on with the first frame that ends behind `position`, which may be one that was read before, but not
    /// one that was released. Its segment is read from its start, so this is for beginnings.
    ///
    /// # Errors
    /// [`LogError::OutOfRange`].
    pub fn seek(&mut self, position: u64) -> Result<(), LogError> {
        self.held(position)?;
        self.skip = Some(position);
        self.reader = None;
        Ok(())
    }

    /// Gives up what lies before `upto`. Reading goes on behind it if it was not as far; segments that lie wholly before
    /// it are deleted. The last segment stays until another is begun.
    ///
    /// # Errors
    /// [`LogError::OutOfRange`] if `upto` is not in the log (a target that is ahead of the log calls for
    /// [`clear`](Self::clear)), or [`LogError::Io`].
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

    /// Deletes everything: the log is fresh, and the next frame may begin anywhere.
    ///
    /// # Errors
    /// [`LogError::Io`]; what is left then is a log without its beginning.
    pub fn clear(&mut self) -> Result<(), LogError> {
        self.reader = None;
        while let Some(segment) = self.segments.front() {
            self.directory.remove(segment.first)?;
            self.segments.pop_front();
        }
        self.writer = None;
        (self.skip, self.released, self.synced) = (None, 0, None);
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

    /// Whether nothing of a segment is wanted any more: it is released, and what holds no position is read too.
    fn is_spent(&self, segment: &Segment) -> bool {
        let reader = self.reader.as_ref().filter(|reader| reader.first() == segment.first);
        segment.next <= self.released && reader.is_none_or(|reader| reader.offset() == segment.size)
    }

    /// The position where reading goes on.
    fn reading(&self) -> u64 {
        let start = self.segments.front().map_or(0, |front| front.first);
        self.skip.unwrap_or_else(|| self.reader.as_ref().map_or(start, SegmentReader::next))
    }

    /// The segment with the first frame that ends behind `position`; the last one if there is none.
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

/// Where the frames of the segment that begins at `first` are.
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
