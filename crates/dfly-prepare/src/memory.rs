//! What a value takes on a Redis, by a model of its encodings (Redis 7.0 on 64 bits, with the default limits and jemalloc's
//! classes of sizes). Pure. Newer servers take a little less.

use dfly_rdb::{Element, RawValue, Text, ValueError};

/// An object's head.
const OBJECT: u64 = 16;
/// An entry of a hash table.
const TABLE_ENTRY: u64 = 32;
/// A hash table without its buckets.
const TABLE: u64 = 64;
/// A bucket of a hash table.
const BUCKET: u64 = 8;
/// The longest text of an object that is one piece of memory with its head.
const EMBEDDED: u64 = 44;
/// The most entries of a packed hash, and of a packed sorted set.
const PACKED_HASH: u64 = 512;
const PACKED_ZSET: u64 = 128;
/// The most members of a set of integers.
const INTSET: u64 = 512;
/// The longest text in a packed hash or sorted set.
const PACKED_TEXT: u64 = 64;
/// The size of a node of a list, and of a stream.
const LIST_NODE: u64 = 8192;
const STREAM_NODE: u64 = 4096;
/// A node of a list, or of a stream's tree, besides its entries.
const NODE: u64 = 32;
const STREAM_TREE: u64 = 48;
/// A stream without entries, and a group or consumer without pending entries.
const STREAM: u64 = 480;
const GROUP: u64 = 320;
/// A pending entry: in the trees of its group and of its consumer.
const PENDING: u64 = 120;
/// A sorted set's list: its first node with all levels, and a node of average height.
const SKIPLIST: u64 = 1_072;
const SKIPLIST_NODE: u64 = 52;

/// What the elements of a value come to.
#[derive(Debug, Default)]
struct Tally {
    elements: u64,
    /// In one packed piece of memory.
    packed: u64,
    /// As texts of their own.
    texts: u64,
    longest: u64,
    are_integers: bool,
    widest: u64,
    expiring: u64,
    groups: u64,
    pending: u64,
    text: u64,
    /// Whether the value is one integer.
    is_integer: bool,
}

/// What a value is to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weighed {
    /// In bytes, its key not counted.
    pub bytes: u64,
    /// Whether a member or field of it expires.
    pub has_member_expiry: bool,
}

/// The model of a value.
///
/// # Errors
/// The value cannot be read.
pub(crate) fn weigh(value: &RawValue) -> Result<Weighed, ValueError> {
    let mut tally = Tally { are_integers: true, ..Tally::default() };
    let mut class = Class::Text;
    for element in value.elements() {
        class = tally.add(&element?).unwrap_or(class);
    }
    Ok(Weighed { bytes: tally.bytes(class), has_member_expiry: tally.expiring > 0 })
}

/// What a key takes beside its value: its entry in the table of keys and, if it expires, in that of expiries.
pub(crate) fn key_bytes(name: usize, expires: bool, is_cluster: bool) -> u64 {
    // A node of a cluster chains the keys of a slot in the entries of the table.
    let entry = if is_cluster { 48 } else { TABLE_ENTRY };
    let expiry = if expires { TABLE_ENTRY } else { 0 };
    entry + text(name as u64) + expiry
}

/// The buckets of a table of so many keys.
pub(crate) fn buckets(keys: u64) -> u64 {
    if keys == 0 {
        0
    } else {
        keys.checked_next_power_of_two().unwrap_or(u64::MAX).max(4).saturating_mul(BUCKET)
    }
}

/// How a value is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Text,
    List,
    Set,
    Hash,
    SortedSet,
    Stream,
    /// What the server of a module does with it is not known.
    Other,
}

impl Tally {
    /// Adds an element, and says of which layout it is if it shows.
    fn add(&mut self, element: &Element<'_>) -> Option<Class> {
        match element {
            Element::String(text) => {
                self.is_integer = self.text == 0 && is_integer(text);
                self.text += length(text);
                return Some(Class::Text);
            }
            Element::Item(item) => self.note(item),
            Element::Member { member, expire_at } => {
                self.expiring += u64::from(expire_at.is_some());
                self.note(member);
            }
            Element::Field { field, value, expire_at } => {
                self.expiring += u64::from(expire_at.is_some());
                self.note(field);
                self.note(value);
                self.elements -= 1;
            }
            Element::Scored { member, score } => {
                self.note(member);
                self.packed += packed(&Text::Raw(score.to_string().as_bytes()));
            }
            Element::StreamEntry(entry) => {
                self.elements += 1;
                self.packed += 12 + entry.fields().map(|(_, value)| packed(&value) + 1).sum::<u64>();
            }
            Element::StreamTail(tail) => {
                self.groups += tail.groups.len() as u64;
                self.groups += tail.groups.iter().map(|group| group.consumers.len() as u64).sum::<u64>();
                self.pending += tail.groups.iter().map(|group| group.pending.len() as u64).sum::<u64>();
            }
            Element::Json(text) => self.text += length(text),
            _ => {}
        }
        match element {
            Element::Item(_) => Some(Class::List),
            Element::Member { .. } => Some(Class::Set),
            Element::Field { .. } => Some(Class::Hash),
            Element::Scored { .. } => Some(Class::SortedSet),
            Element::StreamEntry(_) | Element::StreamTail(_) => Some(Class::Stream),
            _ => Some(Class::Other),
        }
    }

    fn note(&mut self, part: &Text<'_>) {
        self.elements += 1;
        self.packed += packed(part);
        self.texts += text(length(part));
        self.longest = self.longest.max(length(part));
        self.are_integers &= is_integer(part);
        self.widest = self.widest.max(integer_width(part));
    }

    fn bytes(&self, class: Class) -> u64 {
        let table = TABLE + buckets(self.elements) + self.elements * TABLE_ENTRY;
        let is_packed = |most: u64| self.elements <= most && self.longest <= PACKED_TEXT;
        OBJECT
            + match class {
                Class::Text if self.is_integer => 0,
                Class::Text if self.text <= EMBEDDED => allocated(OBJECT + self.text + 4) - OBJECT,
                Class::Text => text(self.text),
                Class::List => {
                    let nodes = self.packed.div_ceil(LIST_NODE).max(1);
                    48 + nodes * (NODE + 7) + allocated(self.packed / nodes) * nodes
                }
                Class::Set if self.are_integers && self.elements <= INTSET => {
                    allocated(8 + self.elements * self.widest)
                }
                Class::Hash if is_packed(PACKED_HASH) => allocated(7 + self.packed),
                Class::SortedSet if is_packed(PACKED_ZSET) => allocated(7 + self.packed),
                Class::Set | Class::Hash => table + self.texts,
                Class::SortedSet => table + SKIPLIST + self.elements * SKIPLIST_NODE + self.texts,
                Class::Stream => {
                    let nodes = self.packed.div_ceil(STREAM_NODE).max(1);
                    STREAM
                        + nodes * (STREAM_TREE + STREAM_NODE.min(self.packed + 64))
                        + self.groups * GROUP
                        + self.pending * PENDING
                }
                Class::Other => self.text,
            }
    }
}

fn length(text: &Text<'_>) -> u64 {
    text.len() as u64
}

/// The number that a text is the decimal form of.
fn integer(text: &Text<'_>) -> Option<i64> {
    match text {
        Text::Int(number) => Some(*number),
        other if other.len() <= 20 => {
            let bytes = other.to_vec();
            let number: i64 = std::str::from_utf8(&bytes).ok()?.parse().ok()?;
            (number.to_string().as_bytes() == bytes).then_some(number)
        }
        _ => None,
    }
}

/// A text of its own, with its head and the byte behind it.
fn text(length: u64) -> u64 {
    let head = match length {
        0..32 => 1,
        32..256 => 3,
        256..65_536 => 5,
        _ => 9,
    };
    allocated(head + length + 1)
}

fn is_integer(text: &Text<'_>) -> bool {
    integer(text).is_some()
}

fn integer_width(text: &Text<'_>) -> u64 {
    match integer(text) {
        Some(number) if i16::try_from(number).is_ok() => 2,
        Some(number) if i32::try_from(number).is_ok() => 4,
        _ => 8,
    }
}

/// An element of a listpack.
fn packed(text: &Text<'_>) -> u64 {
    match integer(text) {
        Some(0..=127) => 2,
        Some(-4096..=4095) => 3,
        Some(number) if i16::try_from(number).is_ok() => 4,
        Some(number) if i32::try_from(number).is_ok() => 6,
        Some(_) => 10,
        None => match length(text) {
            length @ 0..64 => 2 + length,
            length @ 64..4096 => 4 + length,
            length => 7 + length,
        },
    }
}

/// What jemalloc takes for so many bytes: four classes for each power of two.
fn allocated(bytes: u64) -> u64 {
    match bytes {
        0..=8 => 8,
        9..=128 => bytes.next_multiple_of(16),
        _ => {
            let power = bytes.saturating_sub(1).checked_ilog2().unwrap_or(0);
            bytes.next_multiple_of(1 << power.saturating_sub(2))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_sizes() {
        for (bytes, takes) in
            [(1, 8), (9, 16), (17, 32), (128, 128), (129, 160), (161, 192), (257, 320), (4097, 5120)]
        {
            assert_eq!(allocated(bytes), takes, "{bytes}");
        }
        assert_eq!((buckets(0), buckets(3), buckets(1000)), (0, 32, 8192));
    }
}
