//! The grammar of the stream: which item starts at the next byte (protocol sections 4.1 and 7.1).

use std::mem;

use bytes::Bytes;
use dfly_wire::{DbIndex, Fault, FaultKind, Limits, Parsed, fixed, packed};

use crate::blob;
use crate::error::ErrorKind;
use crate::event::{Checksum, Event, ModuleAux, ValueId};
use crate::input::{Fail, Input, Stop, frame, read, read_part};
use crate::magic::{Family, Magic};
use crate::opcode;
use crate::reader::{Context, Progress, ValueReader};
use crate::scan::Scanner;
use crate::skip::Skip;
use crate::string::{Str, after, string};
use crate::type_id::ModuleId;

/// The state of the stream after the items that were read.
#[derive(Debug)]
pub(crate) struct Items {
    pub(crate) context: Context,
    pub(crate) reader: ValueReader,
    /// Dragonfly wrote the stream, so it has no checksum.
    pub(crate) dragonfly: bool,
    /// The writer's `df-ver`, major and minor.
    version: Option<(u32, u32)>,
    begun: Begun,
}

/// A partly consumed item that is not a key.
#[derive(Debug)]
enum Begun {
    Nothing,
    /// The magic was not read yet.
    Magic,
    Skip(Skip),
    ModuleAux {
        module: ModuleId,
        when: u64,
        scanner: Scanner,
        scanned: usize,
    },
    SlotImport {
        job: Bytes,
        ranges: Vec<(u16, u16)>,
        /// Number of ranges that were not read yet.
        left: usize,
    },
}

/// Since this release, a vector index has a field for its entry point (protocol section 4.6).
const ENTRY_POINT_SINCE: (u32, u32) = (1, 39);

impl Items {
    pub(crate) fn new(limits: Limits) -> Self {
        let magic = Magic { family: Family::Redis, version: 0 };
        Self {
            context: Context { magic, limits, db: DbIndex::default() },
            reader: ValueReader::new(ValueId(0)),
            dragonfly: false,
            version: None,
            begun: Begun::Magic,
        }
    }

    /// Whether a blob may end here.
    pub(crate) fn is_between_items(&self) -> bool {
        self.reader.is_idle() && matches!(self.begun, Begun::Nothing)
    }

    #[inline]
    pub(crate) fn step<S: Input>(&mut self, src: &mut S) -> Result<Progress, Stop> {
        if self.reader.is_busy() {
            return self.reader.step(src, &self.context);
        }
        if !matches!(self.begun, Begun::Nothing) {
            return self.go_on(src);
        }
        match src.unread().first() {
            None => Err(Stop::need(1)),
            Some(&opcode) if opcode < opcode::FULL_SYNC_END => self.reader.step(src, &self.context),
            Some(&opcode) => self.item(src, opcode),
        }
    }

    fn item<S: Input>(&mut self, src: &mut S, opcode: u8) -> Result<Progress, Stop> {
        match opcode {
            opcode::FULL_SYNC_END..=opcode::TAGGED_CHUNK => self.dragonfly_item(src, opcode),
            opcode::SELECT_DB => {
                let limit = usize::try_from(u32::MAX).unwrap_or(usize::MAX);
                let db = read(src, |input| packed::size(input, limit))?;
                self.context.db = DbIndex(u32::try_from(db).unwrap_or(u32::MAX));
                Ok(Progress::Event(Event::SelectDb(self.context.db)))
            }
            opcode::AUX => self.aux(src),
            opcode::RESIZE_DB => {
                let (keys, expires) = read(src, |input| {
                    let (rest, keys) = packed::uint(input)?;
                    packed::uint(rest).map(|(rest, expires)| (rest, (keys, expires)))
                })?;
                Ok(Progress::Event(Event::ResizeDb { keys, expires }))
            }
            opcode::EOF if S::OUTER => self.end(src),
            opcode::EOF => Err(Stop::fail(opcode, ErrorKind::MisplacedOpcode(opcode))),
            _ => self.rare_item(src, opcode),
        }
    }

    fn dragonfly_item<S: Input>(&mut self, src: &mut S, opcode: u8) -> Result<Progress, Stop> {
        self.dragonfly = true;
        match opcode {
            opcode::ZSTD_BLOB | opcode::LZ4_BLOB if S::OUTER => self.blob(src, opcode),
            opcode::ZSTD_BLOB | opcode::LZ4_BLOB => {
                Err(Stop::fail(opcode, ErrorKind::MisplacedOpcode(opcode)))
            }
            opcode::TAGGED_CHUNK => self.chunk(src),
            opcode::DF_MASK => self.reader.step(src, &self.context),
            opcode::FULL_SYNC_END => {
                read(src, fixed::u64_le)?;
                Ok(Progress::Event(Event::FullSyncEnd))
            }
            opcode::JOURNAL_OFFSET => Ok(Progress::Event(Event::JournalOffset(read(src, fixed::u64_le)?))),
            opcode::JOURNAL_BLOB => self.journal(src),
            opcode::VECTOR_INDEX => self.vector_index(src),
            opcode::SHARD_DOC_INDEX => self.shard_doc_index(src),
            _ => Err(Stop::fail(opcode, ErrorKind::UnknownOpcode(opcode))),
        }
    }

    fn rare_item<S: Input>(&mut self, src: &mut S, opcode: u8) -> Result<Progress, Stop> {
        match opcode {
            opcode::SLOT_INFO => {
                let [slot, keys, expires] = read(src, |input| {
                    let (rest, slot) = packed::uint(input)?;
                    let (rest, keys) = packed::uint(rest)?;
                    packed::uint(rest).map(|(rest, expires)| (rest, [slot, keys, expires]))
                })?;
                Ok(Progress::Event(Event::SlotInfo { slot, keys, expires }))
            }
            opcode::FUNCTION2 => {
                let limit = self.context.limits.string;
                let frame = frame(src, |input| string(input, limit).map(|(rest, _)| (rest, ())))?;
                let (_, body) = again(string(after(&frame, 1), limit))?;
                let body = body.bytes_of(&frame).map_err(|error| Stop::fail(opcode, error.into()))?;
                Ok(Progress::Event(Event::Function(body)))
            }
            opcode::FUNCTION_PRE_GA => {
                Err(Stop::invalid(opcode, "functions of a release candidate of Redis 7.0"))
            }
            opcode::KEY_META if self.context.magic.family == Family::Valkey => self.slot_import(src),
            opcode::MODULE_AUX => {
                let (module, when) = read(src, |input| {
                    let (rest, module) = packed::uint(input)?;
                    let (rest, _opcode) = packed::uint(rest)?;
                    packed::uint(rest).map(|(rest, when)| (rest, (ModuleId(module), when)))
                })?;
                let scanner = Scanner::module_items(self.context.limits.string);
                self.begun = Begun::ModuleAux { module, when, scanner, scanned: 0 };
                Ok(Progress::Quiet)
            }
            _ => self.reader.step(src, &self.context),
        }
    }

    /// Continues the item that was begun.
    fn go_on<S: Input>(&mut self, src: &mut S) -> Result<Progress, Stop> {
        match &mut self.begun {
            Begun::Nothing => Ok(Progress::Quiet),
            Begun::Magic => {
                self.context.magic = read_part(src, magic).map_err(|stop| match stop {
                    Stop::Fail(fail) => Stop::Fail(Box::new(Fail { kind: ErrorKind::Magic, ..*fail })),
                    need @ Stop::Need(_) => need,
                })?;
                self.begun = Begun::Nothing;
                Ok(Progress::Event(Event::Magic(self.context.magic)))
            }
            Begun::Skip(skip) => {
                skip.step(src)?;
                self.begun = Begun::Nothing;
                Ok(Progress::Quiet)
            }
            Begun::SlotImport { job, ranges, left } => {
                while *left > 0 {
                    ranges.push(read_part(src, slots).map_err(|stop| stop.of(opcode::KEY_META, None))?);
                    *left -= 1;
                }
                let (job, ranges) = (mem::take(job), mem::take(ranges));
                self.begun = Begun::Nothing;
                Ok(Progress::Event(Event::SlotImport { job, ranges }))
            }
            Begun::ModuleAux { module, when, scanner, scanned } => {
                let most = self.context.limits.string;
                measure(src, scanner, scanned, most).map_err(|stop| stop.of(opcode::MODULE_AUX, None))?;
                let (module, when, scanned) = (*module, *when, *scanned);
                self.begun = Begun::Nothing;
                let body = src.take(scanned);
                Ok(Progress::Event(Event::ModuleAux(ModuleAux { module, when, body })))
            }
        }
    }

    fn aux<S: Input>(&mut self, src: &mut S) -> Result<Progress, Stop> {
        let limit = self.context.limits.string;
        let frame = frame(src, |input| {
            let (rest, _key) = string(input, limit)?;
            string(rest, limit).map(|(rest, _value)| (rest, ()))
        })?;
        let (rest, key) = again(string(after(&frame, 1), limit))?;
        let (_, value) = again(string(rest, limit))?;
        let own =
            |text: Str<'_>| text.bytes_of(&frame).map_err(|error| Stop::fail(opcode::AUX, error.into()));
        let (key, value) = (own(key)?, own(value)?);
        if key == "df-ver" {
            self.version = release(&value);
        }
        self.dragonfly |= key == "df-ver" || key == "snapshot-id";
        Ok(Progress::Event(Event::Aux { key, value }))
    }

    fn blob<S: Input>(&mut self, src: &mut S, opcode: u8) -> Result<Progress, Stop> {
        let limits = self.context.limits;
        let input = src.unread();
        let parsed = string(after(input, 1), limits.blob);
        let (rest, stored) = parsed.map_err(|error| Stop::parser(input.len(), error).of(opcode, None))?;
        let Str::Raw(stored) = stored else {
            return Err(Stop::invalid(opcode, "a blob is not a raw string"));
        };
        let out = blob::decompress(opcode, stored, &limits);
        let out = out.map_err(|error| Stop::fail(opcode, ErrorKind::Blob(error)))?;
        let used = input.len() - rest.len();
        src.skip(used);
        Ok(Progress::Blob(out.into()))
    }

    fn chunk<S: Input>(&mut self, src: &mut S) -> Result<Progress, Stop> {
        let limit = self.context.limits.blob;
        let mut id = 0;
        let mut chunk = frame(src, |input| {
            let (at_size, stream) = fixed::u32_le(input)?;
            let (rest, size) = fixed::u32_le(at_size)?;
            if stream == 0 || size == 0 {
                return Fault::at(input, FaultKind::Invalid("a chunk is empty or has no stream"));
            }
            id = stream;
            match usize::try_from(size) {
                Ok(size) if size <= limit => fixed::bytes(rest, size).map(|(rest, _)| (rest, ())),
                _ => Fault::at(at_size, FaultKind::OverLimit { found: u64::from(size), limit: limit as u64 }),
            }
        })?;
        Ok(Progress::Chunk(id, chunk.split_off(CHUNK_HEAD)))
    }

    fn journal<S: Input>(&mut self, src: &mut S) -> Result<Progress, Stop> {
        let limit = self.context.limits.string;
        let frame = frame(src, |input| {
            let (rest, _entries) = packed::uint(input)?;
            string(rest, limit).map(|(rest, _)| (rest, ()))
        })?;
        let (rest, _entries) = again(packed::uint(after(&frame, 1)))?;
        let (_, body) = again(string(rest, limit))?;
        let body = body.bytes_of(&frame).map_err(|error| Stop::fail(opcode::JOURNAL_BLOB, error.into()))?;
        Ok(Progress::Event(Event::JournalBlob(body)))
    }

    fn vector_index<S: Input>(&mut self, src: &mut S) -> Result<Progress, Stop> {
        let limit = self.context.limits.string;
        let has_entry_point = self.version.is_none_or(|version| version >= ENTRY_POINT_SINCE);
        let mut nodes = 0;
        let frame = frame(src, |input| {
            let (rest, _name) = string(input, limit)?;
            let (rest, _entry_point) = if has_entry_point { packed::uint(rest)? } else { (rest, 0) };
            packed::uint(rest).map(|(rest, count)| (rest, nodes = count))
        })?;
        let (_, name) = again(string(after(&frame, 1), limit))?;
        let name = name.bytes_of(&frame).map_err(|error| Stop::fail(opcode::VECTOR_INDEX, error.into()))?;
        self.begun = Begun::Skip(Skip::nodes(nodes));
        Ok(Progress::Event(Event::VectorIndex { name, nodes }))
    }

    fn shard_doc_index<S: Input>(&mut self, src: &mut S) -> Result<Progress, Stop> {
        let limit = self.context.limits.string;
        let mut numbers = (0, 0);
        let frame = frame(src, |input| {
            let (rest, shard) = packed::uint(input)?;
            let (rest, _name) = string(rest, limit)?;
            packed::uint(rest).map(|(rest, documents)| (rest, numbers = (shard, documents)))
        })?;
        let (shard, documents) = numbers;
        let (rest, _shard) = again(packed::uint(after(&frame, 1)))?;
        let (_, name) = again(string(rest, limit))?;
        let name =
            name.bytes_of(&frame).map_err(|error| Stop::fail(opcode::SHARD_DOC_INDEX, error.into()))?;
        self.begun = Begun::Skip(Skip::documents(documents, limit));
        Ok(Progress::Event(Event::ShardDocIndex { shard, name, documents }))
    }

    /// Valkey 9, `cluster_migrateslots.c`, `clusterRDBSaveSlotImports`.
    fn slot_import<S: Input>(&mut self, src: &mut S) -> Result<Progress, Stop> {
        let limit = self.context.limits.string;
        let mut left = 0;
        let frame = frame(src, |input| {
            let (rest, _job) = string(input, limit)?;
            packed::size(rest, SLOTS).map(|(rest, count)| (rest, left = count))
        })?;
        let (_, job) = again(string(after(&frame, 1), limit))?;
        let job = job.bytes_of(&frame).map_err(|error| Stop::fail(opcode::KEY_META, error.into()))?;
        self.begun = Begun::SlotImport { job, ranges: Vec::new(), left };
        Ok(Progress::Quiet)
    }

    fn end<S: Input>(&mut self, src: &mut S) -> Result<Progress, Stop> {
        let has_checksum =
            self.context.magic.family == Family::Valkey || self.context.magic.version >= CHECKSUM_SINCE;
        if !has_checksum {
            src.skip(1);
            return Ok(Progress::Event(Event::End { checksum: Checksum::None }));
        }
        if let missing @ 1.. = (1 + CHECKSUM_SIZE).saturating_sub(src.unread().len()) {
            return Err(Stop::need(missing));
        }
        src.skip(1);
        let computed = src.digest();
        let stated = read_part(src, fixed::u64_le)?;
        let checksum = match computed {
            _ if stated == 0 => Checksum::None,
            None => Checksum::Unverified(stated),
            Some(computed) if computed == stated => Checksum::Verified(stated),
            Some(computed) => return Err(Stop::fail(opcode::EOF, ErrorKind::Checksum { stated, computed })),
        };
        Ok(Progress::Event(Event::End { checksum }))
    }
}

/// Opcode, id and size of a chunk, in bytes.
const CHUNK_HEAD: usize = 9;
/// Slots of a cluster.
const SLOTS: usize = 16384;
/// The first version whose files end with a checksum.
const CHECKSUM_SINCE: u16 = 5;
const CHECKSUM_SIZE: usize = 8;

/// The first and the last slot of a range.
fn slots(input: &[u8]) -> Parsed<'_, (u16, u16)> {
    let slot = |input| packed::size(input, SLOTS);
    let (rest, first) = slot(input)?;
    let (rest, last) = slot(rest)?;
    Ok((rest, (u16::try_from(first).unwrap_or_default(), u16::try_from(last).unwrap_or_default())))
}

/// `REDIS` and four digits, or `VALKEY` and three.
fn magic(input: &[u8]) -> Parsed<'_, Magic> {
    let (rest, raw) = fixed::array::<9>(input)?;
    let (family, digits) = match (raw.strip_prefix(b"REDIS"), raw.strip_prefix(b"VALKEY")) {
        (Some(digits), _) => (Family::Redis, digits),
        (_, Some(digits)) => (Family::Valkey, digits),
        _ => return Fault::at(input, FaultKind::Invalid("magic")),
    };
    let version = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|c| c.is_ascii_digit()));
    match version.and_then(|text| text.parse().ok()).filter(|version| *version > 0) {
        Some(version) => Ok((rest, Magic { family, version })),
        None => Fault::at(input, FaultKind::Invalid("magic")),
    }
}

/// Major and minor of `df-v1.40.1`.
fn release(value: &[u8]) -> Option<(u32, u32)> {
    let mut numbers = std::str::from_utf8(value).ok()?.strip_prefix("df-v")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Measures a module's items, as far as they are there.
fn measure<S: Input>(src: &S, scanner: &mut Scanner, scanned: &mut usize, most: usize) -> Result<(), Stop> {
    let unread = src.unread();
    while !scanner.is_done() {
        let input = after(unread, *scanned);
        let (rest, _) = scanner.next(input).map_err(|error| Stop::parser(unread.len(), error))?;
        *scanned = unread.len() - rest.len();
        if *scanned > most {
            let kind = FaultKind::OverLimit { found: *scanned as u64, limit: most as u64 };
            return Err(Stop::fail(opcode::MODULE_AUX, ErrorKind::Malformed(kind)));
        }
    }
    Ok(())
}

/// The result of parsing bytes that were parsed successfully before.
fn again<T>(parsed: Parsed<'_, T>) -> Result<(&[u8], T), Stop> {
    parsed.map_err(|error| Stop::parser(0, error))
}
