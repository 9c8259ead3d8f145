//! Elements of a value into commands of bounded size.

use dfly_rdb::{
    Element, Elements, IntBuffer, StreamEntry, StreamGroup, StreamId, StreamTail, Text, ValueError,
};
use dfly_wire::UnixMillis;
use redis_resp::CommandBatch;

use crate::notes::Beside;
use crate::translator::is_due;

/// The most elements in one command.
const ELEMENTS: usize = 512;

/// From this many bytes of elements on a command is sent.
const BYTES: usize = 64 << 10;

/// What the target keeps of an element, and when it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub now: UnixMillis,
    /// Fields of hashes can have an expiry.
    pub field_ttl: bool,
    /// Streams count what they ever had.
    pub counters: bool,
    /// The sorted set that keeps the due times which the target cannot hold.
    pub beside: Option<&'a [u8]>,
}

/// Whether an element has an expiry that the target cannot keep.
pub(crate) fn loses_ttl(element: &Element<'_>, field_ttl: bool) -> bool {
    match element {
        Element::Member { expire_at, .. } => expire_at.is_some(),
        Element::Field { expire_at, .. } => expire_at.is_some() && !field_ttl,
        _ => false,
    }
}

/// Writes commands that add all elements to what is under `key`. Members and fields that are due are left out. Gives the
/// earliest due time that was written beside the key.
pub(crate) fn write(
    key: &[u8],
    elements: Elements<'_>,
    rules: Rules<'_>,
    out: &mut CommandBatch,
) -> Result<Option<UnixMillis>, ValueError> {
    let mut command = Pending { key, name: b"", words: Vec::new(), bytes: 0 };
    let mut due = Due { key: rules.beside, words: Vec::new(), earliest: None };
    for element in elements {
        match element? {
            Element::String(text) => {
                // Behind the DEL that precedes it, APPEND makes the key.
                command.push(b"APPEND", [text], out);
                command.flush(out);
            }
            Element::Item(item) => command.push(b"RPUSH", [item], out),
            Element::Member { expire_at, .. } if is_due(expire_at, rules.now) => {}
            Element::Member { member, expire_at } => {
                due.push(&member, expire_at, out);
                command.push(b"SADD", [member], out);
            }
            Element::Field { expire_at, .. } if is_due(expire_at, rules.now) => {}
            Element::Field { field, value, expire_at } => {
                let native = expire_at.filter(|_| rules.field_ttl).map(|at| (field.clone(), at));
                due.push(&field, expire_at.filter(|_| !rules.field_ttl), out);
                command.push(b"HSET", [field, value], out);
                if let Some((field, at)) = native {
                    command.flush(out);
                    field_expiry(key, &field, at, out);
                }
            }
            Element::Scored { member, score } => command.push(b"ZADD", [score_text(score), member], out),
            Element::StreamEntry(entry) => stream_entry(key, &entry, out),
            Element::StreamTail(tail) => stream_tail(key, &tail, rules.counters, out),
            // Values of these kinds are left out before their elements are looked at.
            _ => {}
        }
    }
    command.flush(out);
    due.flush(out);
    Ok(due.earliest)
}

/// Notes a key among those with due times.
pub(crate) fn write_due(beside: &Beside, earliest: Option<UnixMillis>, out: &mut CommandBatch) {
    if let Some(at) = earliest {
        out.start(4).arg(b"ZADD").arg(&beside.registry).int(at.0).arg(&beside.member).finish();
    }
}

/// Due times that are still being collected.
struct Due<'a> {
    key: Option<&'a [u8]>,
    words: Vec<Vec<u8>>,
    earliest: Option<UnixMillis>,
}

impl Due<'_> {
    fn push(&mut self, member: &Text<'_>, at: Option<UnixMillis>, out: &mut CommandBatch) {
        let (Some(at), Some(_)) = (at, self.key) else { return };
        self.earliest = Some(self.earliest.map_or(at, |earliest| earliest.min(at)));
        self.words.push(at.0.to_string().into_bytes());
        self.words.push(member.as_bytes(&mut IntBuffer::new()).to_vec());
        if self.words.len() >= 2 * ELEMENTS {
            self.flush(out);
        }
    }

    fn flush(&mut self, out: &mut CommandBatch) {
        if let Some(key) = self.key.filter(|_| !self.words.is_empty()) {
            let mut command = out.start(2 + self.words.len());
            command.arg(b"ZADD").arg(key);
            for word in self.words.drain(..) {
                command.arg(&word);
            }
            command.finish();
        }
    }
}

/// The expiry of a whole key.
pub(crate) fn write_expiry(key: &[u8], expire_at: Option<UnixMillis>, out: &mut CommandBatch) {
    if let Some(at) = expire_at {
        out.start(3).arg(b"PEXPIREAT").arg(key).int(at.0).finish();
    }
}

fn field_expiry(key: &[u8], field: &Text<'_>, at: UnixMillis, out: &mut CommandBatch) {
    let mut digits = IntBuffer::new();
    let mut command = out.start(6);
    command
        .arg(b"HPEXPIREAT")
        .arg(key)
        .int(at.0)
        .arg(b"FIELDS")
        .int(1)
        .arg(field.as_bytes(&mut digits))
        .finish();
}

/// One command whose elements are still being collected.
struct Pending<'a> {
    key: &'a [u8],
    name: &'static [u8],
    words: Vec<Text<'a>>,
    /// Size of `words`.
    bytes: usize,
}

impl<'a> Pending<'a> {
    fn push<const N: usize>(&mut self, name: &'static [u8], words: [Text<'a>; N], out: &mut CommandBatch) {
        self.name = name;
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
        command.arg(self.name).arg(self.key);
        for word in self.words.drain(..) {
            command.arg(word.as_bytes(&mut IntBuffer::new()));
        }
        command.finish();
        self.bytes = 0;
    }
}

/// The shortest text that reads back to the same number (P12).
fn score_text(score: f64) -> Text<'static> {
    let text = match score {
        f64::INFINITY => "inf".to_owned(),
        f64::NEG_INFINITY => "-inf".to_owned(),
        finite => zmij::Buffer::new().format(finite).to_owned(),
    };
    Text::Owned(text.into())
}

fn id_text(id: StreamId) -> String {
    format!("{}-{}", id.ms, id.seq)
}

fn stream_entry(key: &[u8], entry: &StreamEntry<'_>, out: &mut CommandBatch) {
    let mut words = Vec::new();
    for (field, value) in entry.fields() {
        words.extend([field, value]);
    }
    let mut command = out.start(3 + words.len());
    command.arg(b"XADD").arg(key).arg(id_text(entry.id()).as_bytes());
    for word in words {
        command.arg(word.as_bytes(&mut IntBuffer::new()));
    }
    command.finish();
}

/// Everything of a stream but its entries. The stream may have none, so a group that is destroyed again makes the key.
fn stream_tail(key: &[u8], tail: &StreamTail, counters: bool, out: &mut CommandBatch) {
    const MAKER: &[u8] = b"df2redis";
    if tail.length == 0 {
        out.push(&[b"XGROUP", b"CREATE", key, MAKER, b"0", b"MKSTREAM"]);
        out.push(&[b"XGROUP", b"DESTROY", key, MAKER]);
    }
    let last = id_text(tail.last_id);
    match (tail.entries_added, tail.max_deleted_id) {
        (Some(added), Some(deleted)) if counters => {
            let (added, deleted) = (added.to_string(), id_text(deleted));
            let options = [&b"ENTRIESADDED"[..], added.as_bytes(), b"MAXDELETEDID", deleted.as_bytes()];
            out.push(&[&[&b"XSETID"[..], key, last.as_bytes()], &options[..]].concat());
        }
        _ => out.push(&[b"XSETID", key, last.as_bytes()]),
    }
    for group in &tail.groups {
        stream_group(key, group, counters, out);
    }
}

fn stream_group(key: &[u8], group: &StreamGroup, counters: bool, out: &mut CommandBatch) {
    let last = id_text(group.last_id);
    match group.entries_read.filter(|_| counters) {
        Some(read) => {
            let read = read.to_string();
            let head = [&b"XGROUP"[..], b"CREATE", key, &group.name, last.as_bytes()];
            out.push(&[&head[..], &[b"ENTRIESREAD", read.as_bytes()]].concat());
        }
        None => out.push(&[b"XGROUP", b"CREATE", key, &group.name, last.as_bytes()]),
    }
    for consumer in &group.consumers {
        out.push(&[b"XGROUP", b"CREATECONSUMER", key, &group.name, &consumer.name]);
    }
    for pending in &group.pending {
        let Some(consumer) = pending.consumer.and_then(|index| group.consumers.get(index)) else { continue };
        let (id, at, count) =
            (id_text(pending.id), pending.delivered_at.to_string(), pending.deliveries.to_string());
        let head = [&b"XCLAIM"[..], key, &group.name, &consumer.name, b"0", id.as_bytes()];
        let tail = [&b"TIME"[..], at.as_bytes(), b"RETRYCOUNT", count.as_bytes(), b"FORCE", b"JUSTID"];
        out.push(&[&head[..], &tail[..]].concat());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P12: scores read back to the same bits.
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
