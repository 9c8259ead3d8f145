//! Encoded commands: a borrowed one, and an owned sequence.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::marks::{KeyRange, Marks};
use super::parse::arguments;

/// Messages show at most this many characters of a key.
const SHOWN: usize = 200;

/// One encoded command, with its keys and its tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EncodedCommand<'a> {
    pub(super) wire: &'a [u8],
    pub(super) keys: &'a [KeyRange],
    pub(super) tag: u64,
}

impl<'a> EncodedCommand<'a> {
    /// The command as it is sent.
    pub fn wire(self) -> &'a [u8] {
        self.wire
    }

    /// The arguments that were marked as keys, in their order.
    pub fn keys(self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.keys.iter().filter_map(move |range| range.of(self.wire))
    }

    /// The tag that the caller gave to the command.
    pub fn tag(self) -> u64 {
        self.tag
    }

    /// The arguments, name first. They are parsed from the encoded bytes, so use this only for messages and tests.
    pub fn arguments(self) -> impl Iterator<Item = &'a [u8]> {
        arguments(self.wire)
    }

    /// How many arguments it has, with its name.
    pub(super) fn argument_count(self) -> usize {
        number(self.wire, b'*').map_or(0, |(count, _)| count)
    }

    /// The arguments behind its name, as they are sent.
    pub(super) fn behind_name(self) -> &'a [u8] {
        let name = number(self.wire, b'*').and_then(|(_, rest)| number(rest, b'$'));
        name.and_then(|(length, rest)| rest.get(length + 2..)).unwrap_or_default()
    }

    /// The command's name, escaped.
    pub fn name(self) -> String {
        self.arguments().next().unwrap_or_default().escape_ascii().to_string()
    }

    /// The command's name and its first key, for messages. A command without keys is shown with its first argument. Values
    /// are never shown.
    pub fn describe(self) -> String {
        let shown = |word: &[u8]| word.escape_ascii().to_string().chars().take(SHOWN).collect::<String>();
        let (name, key) = (self.name(), self.keys().next());
        match (name.as_str(), key.or_else(|| self.arguments().nth(1))) {
            ("EVAL", _) => key.map_or("a script".into(), |key| format!("a script on key \"{}\"", shown(key))),
            (_, Some(word)) => format!("{name} \"{}\"", shown(word)),
            (_, None) => name,
        }
    }
}

/// The number of a line that begins with `mark`, and what follows the line.
fn number(wire: &[u8], mark: u8) -> Option<(usize, &[u8])> {
    let (mut value, mut rest) = (0usize, wire.strip_prefix(&[mark])?);
    while let [digit @ b'0'..=b'9', more @ ..] = rest {
        value = value.checked_mul(10)?.checked_add(usize::from(digit - b'0'))?;
        rest = more;
    }
    Some((value, rest.strip_prefix(b"\r\n")?))
}

/// Consecutive commands as they are sent: a whole batch, or a part of one. Clones and parts share the memory of the batch.
#[derive(Debug, Clone, Default)]
pub struct EncodedCommands {
    wire: Bytes,
    /// The marks of the whole batch.
    marks: Arc<Marks>,
    /// The index in the batch of the first of these commands, and the number of these commands.
    first: usize,
    count: usize,
}

impl EncodedCommands {
    pub(super) fn new(wire: Bytes, marks: Arc<Marks>) -> Self {
        Self { wire, first: 0, count: marks.len(), marks }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All commands as they are sent.
    pub fn wire(&self) -> &Bytes {
        &self.wire
    }

    /// Command `index`.
    pub fn command(&self, index: usize) -> Option<EncodedCommand<'_>> {
        let index = (index < self.count).then(|| self.first + index)?;
        self.marks.command(index, &self.wire, self.marks.start(self.first))
    }

    /// All commands in their order.
    pub fn iter(&self) -> impl Iterator<Item = EncodedCommand<'_>> {
        (0..self.count).filter_map(|index| self.command(index))
    }

    /// `count` commands from index `place` on, or fewer if there are not that many.
    #[must_use]
    pub fn part(&self, place: usize, count: usize) -> Self {
        let place = place.min(self.count);
        let (first, count) = (self.first + place, count.min(self.count - place));
        let base = self.marks.start(self.first);
        let range = self.marks.start(first) - base..self.marks.start(first + count) - base;
        Self { wire: self.wire.slice(range), marks: Arc::clone(&self.marks), first, count }
    }

    /// The allocations of the commands, unless a clone or a part still uses them. See
    /// [`CommandBatch::recycle`](super::CommandBatch::recycle).
    pub fn into_spare(self) -> Option<SpareBatch> {
        let mut marks = self.marks;
        Arc::get_mut(&mut marks)?.clear();
        let bytes = self.wire.try_into_mut().map(kept).unwrap_or_default();
        Some(SpareBatch { bytes, marks })
    }
}

/// Two sequences are equal if their commands are equal, including keys and tags.
impl PartialEq for EncodedCommands {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for EncodedCommands {}

/// A larger allocation is not kept, or one large value would hold its memory for ever.
const LARGEST_KEPT: usize = 512 << 10;

/// Allocations are multiples of this, so that the next batch, which may be a little larger, fits too.
const STEP: usize = 16 << 10;

/// The allocation, empty, if it is worth keeping.
pub(super) fn kept(mut bytes: BytesMut) -> BytesMut {
    if bytes.capacity() > LARGEST_KEPT {
        return BytesMut::new();
    }
    bytes.clear();
    bytes
}

/// Makes room for so many bytes more. Unlike a reallocation, this copies what is there and not the unused memory behind it.
pub(super) fn make_room(bytes: &mut BytesMut, more: usize) {
    if bytes.capacity() - bytes.len() >= more {
        return;
    }
    let mut larger = BytesMut::with_capacity((bytes.len() + more).next_multiple_of(STEP));
    larger.extend_from_slice(bytes);
    *bytes = larger;
}

/// Empty allocations for another batch to reuse.
#[derive(Debug, Clone, Default)]
pub struct SpareBatch {
    bytes: BytesMut,
    marks: Arc<Marks>,
}

impl SpareBatch {
    /// How much memory it has for bytes of commands.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Moves the content of `bytes` and `marks` out, and leaves them empty, with these allocations. Without memory for bytes, about
    /// as much is allocated as was needed this time.
    pub(super) fn fill(self, bytes: &mut BytesMut, marks: &mut Marks) -> (Bytes, Arc<Marks>) {
        let mut shared = self.marks;
        std::mem::swap(Arc::make_mut(&mut shared), marks);
        let empty = match self.bytes.capacity() {
            0 => BytesMut::with_capacity(bytes.len().next_multiple_of(STEP).min(LARGEST_KEPT)),
            _ => self.bytes,
        };
        (std::mem::replace(bytes, empty).freeze(), shared)
    }
}
