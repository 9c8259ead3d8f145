//! What was read of a snapshot of one flow, as the commands with which a run writes it, under reserved names.

use std::ops::Range;

use bytes::Bytes;
use dfly_client::FlowId;
use dfly_rdb::payload::{Plan as Form, TargetFormat, write_dump};
use dfly_rdb::{Element, Entry, ValueKind};
use redis_resp::CommandBatch;

/// Keys of a part.
const KEYS: u64 = 4096;

/// The most bytes of values of a part, but for the last.
const BYTES: u64 = 1 << 20;

/// Strings that a run writes together.
const STRINGS: usize = 64;

/// Commands that write a part of what was read.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub commands: CommandBatch,
    /// The names that it writes.
    pub names: Vec<Range<u64>>,
    /// Keys that were read, those that are not written counted.
    pub keys: u64,
    /// Bytes of values.
    pub bytes: u64,
}

/// A part that grows.
#[derive(Debug)]
pub(super) struct Mirrored {
    format: TargetFormat,
    prefix: String,
    part: Part,
    /// The number of the next name.
    next: u64,
    /// Strings without an expiry that are not in a command yet. They have the last names.
    strings: Vec<Bytes>,
}

/// The name with this number.
pub(super) fn name(prefix: &str, number: u64) -> Vec<u8> {
    format!("{prefix}{number}").into_bytes()
}

/// How many numbers a flow has.
const NUMBERS: u64 = 1 << 40;

impl Mirrored {
    /// The names of its keys begin with `prefix`; no other flow has its numbers.
    pub(super) fn new(format: TargetFormat, prefix: &str, flow: FlowId) -> Self {
        let next = u64::from(flow.0) * NUMBERS;
        Self { format, prefix: prefix.to_owned(), part: Part::default(), next, strings: Vec::new() }
    }

    pub(super) fn has_room(&self) -> bool {
        self.part.keys < KEYS && self.part.bytes < BYTES
    }

    /// Writes a value. Those that only several commands can write are counted alone.
    pub(super) fn add(&mut self, entry: &Entry) {
        self.part.keys += 1;
        self.part.bytes += entry.value.payload().len() as u64;
        let expire_at = entry.header.expire_at.map(|at| at.0);
        if entry.value.kind() == ValueKind::String {
            if let Some(Ok(Element::String(text))) = entry.value.elements().next() {
                self.add_string(text.into_bytes(), expire_at);
            }
            return;
        }
        self.write_strings();
        let mut dump = Vec::with_capacity(entry.value.payload().len() + 16);
        if let Ok(Form::Verbatim | Form::Reencode) = write_dump(&entry.value, &self.format, &mut dump) {
            let name = self.name();
            let mut restore = self.part.commands.start(6);
            restore.arg(b"RESTORE").arg(&name).int(expire_at.unwrap_or(0)).arg(&dump);
            restore.arg(b"REPLACE").arg(b"ABSTTL").finish();
        }
    }

    /// Counts a value that came in pieces.
    pub(super) fn count(&mut self) {
        self.part.keys += 1;
    }

    fn add_string(&mut self, text: Bytes, expire_at: Option<i64>) {
        let Some(at) = expire_at else {
            self.strings.push(text);
            if self.strings.len() >= STRINGS {
                self.write_strings();
            }
            return;
        };
        self.write_strings();
        let name = self.name();
        let mut set = self.part.commands.start(5);
        set.arg(b"SET").arg(&name).arg(&text).arg(b"PXAT").int(at).finish();
    }

    fn name(&mut self) -> Vec<u8> {
        let name = name(&self.prefix, self.next);
        self.next += 1;
        match self.part.names.last_mut() {
            Some(names) if names.end + 1 == self.next => names.end = self.next,
            _ => self.part.names.push(self.next - 1..self.next),
        }
        name
    }

    fn write_strings(&mut self) {
        let strings = std::mem::take(&mut self.strings);
        if strings.is_empty() {
            return;
        }
        let pairs: Vec<(Vec<u8>, Bytes)> = strings.into_iter().map(|text| (self.name(), text)).collect();
        let mut mset = self.part.commands.start(1 + 2 * pairs.len());
        mset.arg(b"MSET");
        for (name, text) in &pairs {
            mset.arg(name).arg(text);
        }
        mset.finish();
    }

    /// What there is; another part begins.
    pub(super) fn take(&mut self) -> Part {
        self.write_strings();
        std::mem::take(&mut self.part)
    }
}

#[cfg(test)]
mod tests {
    use dfly_rdb::Family;

    use super::*;

    #[test]
    fn strings_are_written_together_and_names_are_counted() {
        let format = TargetFormat { family: Family::Redis, version: (7, 0) };
        let mut mirrored = Mirrored::new(format, "p:", FlowId(0));
        for n in 0..70 {
            mirrored.count();
            mirrored.add_string(Bytes::from(vec![n]), (n == 68).then_some(5));
        }
        let part = mirrored.take();
        let names: Vec<String> = part.commands.iter().map(redis_resp::EncodedCommand::name).collect();
        assert_eq!(names, ["MSET", "MSET", "SET", "MSET"]);
        assert_eq!((part.names.as_slice(), part.keys), (std::slice::from_ref(&(0..70)), 70));
        mirrored.add_string(Bytes::new(), Some(5));
        assert_eq!(mirrored.take().names.first(), Some(&(70..71)));
    }
}
