//! Translates the elements of a value into commands of bounded size.

use dfly_rdb::{Element, Elements, IntBuffer, Text, ValueError};
use dfly_wire::{DbIndex, UnixMillis};
use redis_resp::CommandBatch;

use crate::facts::CommandFacts;
use crate::translator::destination::Destination;
use crate::translator::is_due;
use crate::translator::notes::Beside;
use crate::translator::streams::{self, Rebuild, WIDEST};

/// The maximum number of elements in one command.
const ELEMENTS: usize = 512;

/// A command is complete once its elements have this many bytes.
const BYTES: usize = 64 << 10;

/// What the target can keep of an element, and the current time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub now: UnixMillis,
    /// Whether fields of hashes can have an expiry.
    pub field_ttl: bool,
    /// Whether streams count the entries that they ever had.
    pub counters: bool,
    /// The sorted set for the due times that the target itself cannot hold.
    pub beside: Option<Destination<'a>>,
    /// How a stream is rebuilt if commands alone cannot restore its groups; `None` if it cannot be.
    pub rebuild: Option<Rebuild<'a>>,
}

/// What was found while elements were written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Written {
    /// The earliest due time that was written beside the key.
    pub earliest: Option<UnixMillis>,
    /// The largest number of fields of a stream's entry.
    pub widest: u64,
    /// Whether pending entries were left out, because they may be deleted from the stream.
    pub loses_pending: bool,
}

/// Whether an element has an expiry that the target cannot keep.
pub(crate) fn loses_ttl(element: &Element<'_>, field_ttl: bool) -> bool {
    match element {
        Element::Member { expire_at, .. } => expire_at.is_some(),
        Element::Field { expire_at, .. } => expire_at.is_some() && !field_ttl,
        _ => false,
    }
}

/// Writes commands that add all elements to the key `to`. Due members and fields are left out.
pub(crate) fn write(
    to: Destination<'_>,
    elements: Elements<'_>,
    rules: Rules<'_>,
    out: &mut CommandBatch,
) -> Result<Written, ValueError> {
    let mut written = Written::default();
    let mut command = Pending { to, adder: RPUSH, words: Vec::new(), bytes: 0 };
    let mut due = Due { to: rules.beside, words: Vec::new(), earliest: None };
    for element in elements {
        match element? {
            Element::String(text) => {
                // The key has been deleted before, so APPEND creates it.
                command.push(APPEND, [text], out);
                command.flush(out);
            }
            Element::Item(item) => command.push(RPUSH, [item], out),
            Element::Member { expire_at, .. } if is_due(expire_at, rules.now) => {}
            Element::Member { member, expire_at } => {
                due.push(&member, expire_at, out);
                command.push(SADD, [member], out);
            }
            Element::Field { expire_at, .. } if is_due(expire_at, rules.now) => {}
            Element::Field { field, value, expire_at } => {
                let native = expire_at.filter(|_| rules.field_ttl).map(|at| (field.clone(), at));
                due.push(&field, expire_at.filter(|_| !rules.field_ttl), out);
                command.push(HSET, [field, value], out);
                if let Some((field, at)) = native {
                    command.flush(out);
                    field_expiry(to, &field, at, out);
                }
            }
            Element::Scored { member, score } => command.push(ZADD, [score_text(score), member], out),
            Element::StreamEntry(entry) => {
                written.widest = written.widest.max(entry.len());
                streams::write_entry(to, &entry, out);
            }
            Element::StreamTail(tail) => {
                let is_narrow = |rebuild: &Rebuild<'_>| rebuild.widest.max(written.widest) <= WIDEST;
                let rebuild = rules.rebuild.filter(is_narrow);
                written.loses_pending = streams::write_tail(to, &tail, rules.counters, rebuild, out);
            }
            // Values with other elements are left out before their elements are read.
            _ => {}
        }
    }
    command.flush(out);
    due.flush(out);
    Ok(Written { earliest: due.earliest, ..written })
}

/// Adds a key to the registry of keys with due times.
pub(crate) fn write_due(db: DbIndex, beside: &Beside, earliest: Option<UnixMillis>, out: &mut CommandBatch) {
    if let Some(at) = earliest {
        let tag = CommandFacts::side_key(db).idempotent().tag();
        out.start(4).arg(b"ZADD").key(&beside.registry).int(at.0).arg(&beside.member).finish_with(tag);
    }
}

/// Due times that are still being collected.
struct Due<'a> {
    to: Option<Destination<'a>>,
    words: Vec<Vec<u8>>,
    earliest: Option<UnixMillis>,
}

impl Due<'_> {
    fn push(&mut self, member: &Text<'_>, at: Option<UnixMillis>, out: &mut CommandBatch) {
        let (Some(at), Some(_)) = (at, self.to) else { return };
        self.earliest = Some(self.earliest.map_or(at, |earliest| earliest.min(at)));
        self.words.push(at.0.to_string().into_bytes());
        self.words.push(member.as_bytes(&mut IntBuffer::new()).to_vec());
        if self.words.len() >= 2 * ELEMENTS {
            self.flush(out);
        }
    }

    fn flush(&mut self, out: &mut CommandBatch) {
        if let Some(to) = self.to.filter(|_| !self.words.is_empty()) {
            let mut command = out.start(2 + self.words.len());
            command.arg(b"ZADD").key(to.key);
            for word in self.words.drain(..) {
                command.arg(&word);
            }
            command.finish_with(to.idempotent());
        }
    }
}

/// Writes the expiry of a whole key.
pub(crate) fn write_expiry(to: Destination<'_>, expire_at: Option<UnixMillis>, out: &mut CommandBatch) {
    if let Some(at) = expire_at {
        out.start(3).arg(b"PEXPIREAT").key(to.key).int(at.0).finish_with(to.once());
    }
}

fn field_expiry(to: Destination<'_>, field: &Text<'_>, at: UnixMillis, out: &mut CommandBatch) {
    let mut digits = IntBuffer::new();
    let mut command = out.start(6);
    command
        .arg(b"HPEXPIREAT")
        .key(to.key)
        .int(at.0)
        .arg(b"FIELDS")
        .int(1)
        .arg(field.as_bytes(&mut digits))
        .finish_with(to.once());
}

/// A command that adds elements, by its name.
#[derive(Debug, Clone, Copy)]
struct Adder {
    name: &'static [u8],
    idempotent: bool,
}

const APPEND: Adder = Adder { name: b"APPEND", idempotent: false };
const RPUSH: Adder = Adder { name: b"RPUSH", idempotent: false };
const SADD: Adder = Adder { name: b"SADD", idempotent: true };
const HSET: Adder = Adder { name: b"HSET", idempotent: true };
const ZADD: Adder = Adder { name: b"ZADD", idempotent: true };

/// One command whose elements are still being collected.
struct Pending<'a> {
    to: Destination<'a>,
    adder: Adder,
    words: Vec<Text<'a>>,
    /// The size of `words`, in bytes.
    bytes: usize,
}

impl<'a> Pending<'a> {
    fn push<const N: usize>(&mut self, adder: Adder, words: [Text<'a>; N], out: &mut CommandBatch) {
        self.adder = adder;
        self.bytes += words.iter().map(Text::len).sum::<usize>();
        self.words.extend(words);
        if self.words.len() >= ELEMENTS * N || self.bytes >= BYTES {
            self.flush(out);
        }
    }

    fn flush(&mut self, out: &mut CommandBatch) {
        if self.words.is_empty() {
            return;
        }
        let mut command = out.start(2 + self.words.len());
        command.arg(self.adder.name).key(self.to.key);
        for word in self.words.drain(..) {
            command.arg(word.as_bytes(&mut IntBuffer::new()));
        }
        command.finish_with(if self.adder.idempotent { self.to.idempotent() } else { self.to.once() });
        self.bytes = 0;
    }
}

/// The shortest text that parses to the same number (P12).
fn score_text(score: f64) -> Text<'static> {
    let text = match score {
        f64::INFINITY => "inf".to_owned(),
        f64::NEG_INFINITY => "-inf".to_owned(),
        finite => zmij::Buffer::new().format(finite).to_owned(),
    };
    Text::Owned(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P12: the texts of scores parse to the same bits.
    #[test]
    fn scores() {
        let text = |score| String::from_utf8(score_text(score).to_vec()).unwrap();
        assert_eq!((text(f64::INFINITY), text(f64::NEG_INFINITY)), ("inf".into(), "-inf".into()));
        for score in
            [0.1, -0.0, 1e300, 1e-300, 5e-324, 9_007_199_254_740_993.0, 1_234_567.891, f64::MIN, f64::MAX]
        {
            assert_eq!(text(score).parse::<f64>().unwrap().to_bits(), score.to_bits(), "{score}");
        }
    }
}
