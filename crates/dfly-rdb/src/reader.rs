//! Reads keys with their attributes and values. One reader serves the stream and its blobs; every tagged chunk stream has
//! a reader of its own.

use std::mem;

use bytes::{Buf, Bytes};
use dfly_wire::{DbIndex, Fault, FaultKind, Limits, ParseError, Source, UnixMillis, fixed, packed};

use crate::error::{ErrorKind, ValueError};
use crate::event::{Entry, Event, KeyHeader, ValueId};
use crate::input::{Stop, read, read_part};
use crate::magic::{Family, Magic};
use crate::opcode;
use crate::scan::Scanner;
use crate::string::{self, Head, Str, after};
use crate::type_id::TypeId;
use crate::value::{Piece, RawValue};

/// The result of a step.
#[derive(Debug)]
pub(crate) enum Progress {
    /// The reader holds a whole entry. Entries are large and frequent, so they are not moved through every return value.
    Entry,
    Event(Event),
    /// Bytes were consumed without an event.
    Quiet,
    /// A decompressed blob, to be decoded next.
    Blob(Bytes),
    /// The payload of a tagged chunk.
    Chunk(u32, Bytes),
}

/// The state of the stream that reading a key depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    pub(crate) magic: Magic,
    pub(crate) limits: Limits,
    pub(crate) db: DbIndex,
}

#[derive(Debug)]
pub(crate) struct ValueReader {
    id: ValueId,
    attributes: Attributes,
    metadata: Option<Metadata>,
    current: Option<Current>,
    /// The event to return next.
    queued: Option<Event>,
    /// The entry that the last step completed.
    ready: Option<Entry>,
}

/// Attributes of the next key.
#[derive(Debug, Default, PartialEq)]
struct Attributes {
    expire_at: Option<UnixMillis>,
    sticky: bool,
    memcache_flags: Option<u32>,
    idle_seconds: Option<u64>,
    frequency: Option<u8>,
}

/// Module metadata that is being skipped (Redis 8.6, opcode 243).
#[derive(Debug)]
struct Metadata {
    /// Number of classes whose data was not skipped yet.
    classes: u64,
    /// Set while the data of a class is being skipped.
    items: Option<Scanner>,
}

/// A value of several units whose length is being measured. Its type and key are consumed.
#[derive(Debug)]
struct Current {
    header: KeyHeader,
    scanner: Scanner,
    /// State at the start of the next piece.
    start: Scanner,
    /// Number of measured unread bytes.
    scanned: usize,
    opened: bool,
}

const STICKY: u32 = 1;
const HAS_MEMCACHE_FLAGS: u32 = 2;

impl ValueReader {
    pub(crate) fn new(id: ValueId) -> Self {
        Self {
            id,
            attributes: Attributes::default(),
            metadata: None,
            current: None,
            queued: None,
            ready: None,
        }
    }

    /// Whether the next step continues a begun value, whatever the next byte is.
    #[inline]
    pub(crate) fn is_busy(&self) -> bool {
        self.current.is_some() || self.queued.is_some() || self.metadata.is_some()
    }

    /// Whether an event can be returned without further bytes.
    pub(crate) fn is_queued(&self) -> bool {
        self.queued.is_some()
    }

    /// The entry that the last step completed.
    #[inline]
    pub(crate) fn take_ready(&mut self) -> Option<Event> {
        self.ready.take().map(Event::Entry)
    }

    /// Whether no part of a key was read.
    pub(crate) fn is_idle(&self) -> bool {
        !self.is_busy() && self.attributes == Attributes::default()
    }

    /// The key of the value that is being read.
    pub(crate) fn key(&self) -> Option<&Bytes> {
        self.current.as_ref().map(|current| &current.header.key)
    }

    #[inline]
    pub(crate) fn step<S: Source>(&mut self, src: &mut S, context: &Context) -> Result<Progress, Stop> {
        if let Some(event) = self.queued.take() {
            return Ok(Progress::Event(event));
        }
        if self.current.is_some() {
            return self.resume(src, context);
        }
        if self.metadata.is_some() {
            return self.skip_metadata(src, context);
        }
        match src.unread().first() {
            None => Err(Stop::need(1)),
            Some(&first) if first < opcode::DF_MASK => self.entry(src, context),
            Some(&first) => self.attribute(src, context, first),
        }
    }

    fn attribute<S: Source>(&mut self, src: &mut S, context: &Context, opcode: u8) -> Result<Progress, Stop> {
        match opcode {
            opcode::EXPIRE_TIME_MS => self.attributes.expire_at = Some(UnixMillis(read(src, fixed::i64_le)?)),
            opcode::EXPIRE_TIME => {
                let seconds = i64::from(read(src, fixed::i32_le)?);
                self.attributes.expire_at = Some(UnixMillis::from_seconds(seconds));
            }
            opcode::IDLE => self.attributes.idle_seconds = Some(read(src, packed::uint)?),
            opcode::FREQ => self.attributes.frequency = Some(read(src, fixed::u8)?),
            opcode::DF_MASK => self.mask(src)?,
            opcode::KEY_META if context.magic.family == Family::Redis => {
                let classes = read(src, packed::uint)?;
                self.metadata = (classes > 0).then_some(Metadata { classes, items: None });
            }
            _ => return Err(Stop::fail(opcode, self.unknown(opcode))),
        }
        Ok(Progress::Quiet)
    }

    /// An opcode of the stream is misplaced inside a chunk. Any other byte is unknown.
    fn unknown(&self, opcode: u8) -> ErrorKind {
        if self.id != ValueId(0) && opcode >= opcode::FULL_SYNC_END {
            ErrorKind::MisplacedOpcode(opcode)
        } else {
            ErrorKind::UnknownOpcode(opcode)
        }
    }

    fn mask<S: Source>(&mut self, src: &mut S) -> Result<(), Stop> {
        let (mask, flags) = read(src, |input| {
            let (rest, mask) = fixed::u32_le(input)?;
            if mask & HAS_MEMCACHE_FLAGS == 0 {
                return Ok((rest, (mask, None)));
            }
            fixed::u32_le(rest).map(|(rest, flags)| (rest, (mask, Some(flags))))
        })?;
        self.attributes.sticky = mask & STICKY != 0;
        self.attributes.memcache_flags = flags;
        Ok(())
    }

    fn skip_metadata<S: Source>(&mut self, src: &mut S, context: &Context) -> Result<Progress, Stop> {
        while let Some(metadata) = self.metadata.as_mut().filter(|metadata| metadata.classes > 0) {
            match &mut metadata.items {
                None => {
                    read_part(src, fixed::u32_le).map_err(|stop| stop.of(opcode::KEY_META, None))?;
                    metadata.items = Some(Scanner::module_items(context.limits.string));
                }
                Some(items) if items.is_done() => {
                    metadata.items = None;
                    metadata.classes -= 1;
                }
                Some(items) => read_part(src, |input| items.next(input).map(|(rest, _)| (rest, ())))
                    .map_err(|stop| stop.of(opcode::KEY_META, None))?,
            }
        }
        self.metadata = None;
        Ok(Progress::Quiet)
    }

    /// Reads a type, a key and, if it is one complete string, the value.
    #[inline]
    fn entry<S: Source>(&mut self, src: &mut S, context: &Context) -> Result<Progress, Stop> {
        let input = src.unread();
        let first = input.first().copied().unwrap_or_default();
        let Some(type_id) = TypeId::resolve(first, context.magic) else {
            return Err(Stop::fail(first, self.unknown(first)));
        };
        if type_id.is_one_string()
            && let Some(layout) = Layout::of(input, &context.limits)
        {
            let mut frame = src.take(layout.end);
            frame.advance(layout.key);
            let key = frame.split_to(layout.key_size);
            let header = self.header(key, context.db);
            self.ready = Some(Entry { header, value: RawValue::new(type_id, frame) });
            return Ok(Progress::Entry);
        }
        self.any_entry(src, context, type_id)
    }

    /// As `entry`, for strings in any form, and for values that are incomplete or not one string.
    fn any_entry<S: Source>(
        &mut self,
        src: &mut S,
        context: &Context,
        type_id: TypeId,
    ) -> Result<Progress, Stop> {
        let input = src.unread();
        let first = input.first().copied().unwrap_or_default();
        let (limit, piece) = (context.limits.string, context.limits.piece);
        let (body, key) = string::string(after(input, 1), limit)
            .map_err(|error| Stop::parser(input.len(), error).of(first, None))?;
        let key_end = input.len() - body.len();
        let span = span(type_id, body, &context.limits)
            .map_err(|error| Stop::parser(input.len(), error).of_key(first, key))?;
        let own = own_key(key).map_err(|error| Stop::fail(first, ErrorKind::Value(error)))?;
        let scanner = match span {
            Span::Whole { behind } => {
                let end = input.len() - behind;
                let mut frame = src.take(end);
                let key = cut_key(&mut frame, own, key_end);
                let value = RawValue::new(type_id, frame);
                self.ready = Some(Entry { header: self.header(key, context.db), value });
                return Ok(Progress::Entry);
            }
            Span::Units => Scanner::new(type_id, limit, piece),
            Span::Parts => Scanner::split(type_id, limit, piece),
        };
        let mut frame = src.take(key_end);
        let key = cut_key(&mut frame, own, key_end);
        let header = self.header(key, context.db);
        self.current = Some(Current { header, scanner, start: scanner, scanned: 0, opened: false });
        self.resume(src, context)
    }

    fn header(&mut self, key: Bytes, db: DbIndex) -> KeyHeader {
        let Attributes { expire_at, sticky, memcache_flags, idle_seconds, frequency } =
            mem::take(&mut self.attributes);
        KeyHeader { db, key, expire_at, sticky, memcache_flags, idle_seconds, frequency }
    }

    /// Measures further units, until the value ends or a piece is full.
    fn resume<S: Source>(&mut self, src: &mut S, context: &Context) -> Result<Progress, Stop> {
        let Some(mut current) = self.current.take() else { return Ok(Progress::Quiet) };
        let measured = current.measure(src.unread(), &context.limits);
        match measured {
            Ok(()) => {}
            Err(stop) => {
                let stop = stop.of(current.scanner.type_id().wire(), Some(&current.header.key));
                self.current = Some(current);
                return Err(stop);
            }
        }
        let bytes = src.take(mem::take(&mut current.scanned));
        Ok(self.deliver(current, bytes))
    }

    /// Makes a whole value or a piece of the measured bytes.
    fn deliver(&mut self, mut current: Current, bytes: Bytes) -> Progress {
        let (id, done) = (self.id, current.scanner.is_done());
        let type_id = current.scanner.type_id();
        if done && !current.opened {
            self.ready = Some(Entry { header: current.header, value: RawValue::new(type_id, bytes) });
            return Progress::Entry;
        }
        let piece = Event::Piece { id, piece: Piece::new(current.start, bytes) };
        if done {
            self.queued = Some(Event::Close { id });
            return Progress::Event(piece);
        }
        let opened = mem::replace(&mut current.opened, true);
        current.start = current.scanner;
        let header = current.header.clone();
        self.current = Some(current);
        if opened {
            return Progress::Event(piece);
        }
        self.queued = Some(piece);
        Progress::Event(Event::Open { id, header, type_id })
    }
}

impl Current {
    /// Measures units up to the end of the value or of a piece.
    fn measure(&mut self, unread: &[u8], limits: &Limits) -> Result<(), Stop> {
        let most = limits.string.saturating_add(limits.piece);
        loop {
            let input = after(unread, self.scanned);
            let next = self.scanner.next(input);
            let (rest, unit) = next.map_err(|error| Stop::parser(unread.len(), error))?;
            self.scanned = unread.len() - rest.len();
            if self.scanner.is_done() || (self.scanned >= limits.piece && unit.ends_piece()) {
                return Ok(());
            }
            if self.scanned > most {
                let kind = FaultKind::OverLimit { found: self.scanned as u64, limit: most as u64 };
                let fault = Fault { remaining: rest.len(), kind };
                return Err(Stop::parser(unread.len(), fault.into()));
            }
        }
    }
}

/// Offsets of key and value in a complete entry whose strings are raw, with a length field of one byte (for the value, one
/// or two). Nearly all entries have this form.
struct Layout {
    /// Offset of the key.
    key: usize,
    key_size: usize,
    /// Offset of the end of the value.
    end: usize,
}

impl Layout {
    #[inline]
    fn of(input: &[u8], limits: &Limits) -> Option<Self> {
        let (&[_type_id, key @ ..64], rest) = input.split_first_chunk::<2>()? else { return None };
        let key_size = usize::from(key);
        let (size, head) = match *rest.get(key_size..)? {
            [size @ ..64, ..] => (usize::from(size), 1),
            [high @ 64..128, low, ..] => (usize::from(high & 0x3f) << 8 | usize::from(low), 2),
            _ => return None,
        };
        let end = 2 + key_size + head + size;
        let fits = end <= input.len() && size <= limits.piece && key_size.max(size) <= limits.string;
        fits.then_some(Self { key: 2, key_size, end })
    }
}

/// How the value after a key is read.
enum Span {
    /// The value is complete. `behind` bytes follow it.
    Whole { behind: usize },
    /// The value is measured unit by unit.
    Units,
    /// The value is one long string, which is split into parts.
    Parts,
}

#[inline]
fn span(type_id: TypeId, body: &[u8], limits: &Limits) -> Result<Span, ParseError> {
    if !type_id.is_one_string() {
        return Ok(Span::Units);
    }
    // A long text is split, so the limit applies only to its compressed form.
    let limit = if type_id.is_text() { usize::MAX } else { limits.string };
    let (rest, stored) = match string::head(body, limit)? {
        (_, Head::Raw(size)) if type_id.is_text() && size > limits.piece => return Ok(Span::Parts),
        (rest, Head::Raw(size)) => (rest, size),
        (rest, Head::Int(_)) => (rest, 0),
        (rest, Head::Lzf { stored, .. }) => {
            string::head(body, limits.string)?;
            (rest, stored)
        }
    };
    let (rest, _) = fixed::bytes(rest, stored)?;
    Ok(Span::Whole { behind: rest.len() })
}

/// A key: its length in the stream, or bytes of its own.
enum OwnKey {
    InStream(usize),
    Own(Bytes),
}

#[inline]
fn own_key(key: Str<'_>) -> Result<OwnKey, ValueError> {
    Ok(match key {
        Str::Raw(raw) => OwnKey::InStream(raw.len()),
        other => OwnKey::Own(other.text()?.into_bytes()),
    })
}

/// Cuts the key, which ends at `key_end`, off the front of `frame`.
#[inline]
fn cut_key(frame: &mut Bytes, own: OwnKey, key_end: usize) -> Bytes {
    match own {
        OwnKey::InStream(length) => {
            frame.advance(key_end - length);
            frame.split_to(length)
        }
        OwnKey::Own(key) => {
            frame.advance(key_end);
            key
        }
    }
}
