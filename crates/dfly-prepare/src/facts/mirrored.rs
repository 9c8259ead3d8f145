//! What was read of a snapshot of one flow, as the commands with which a run writes it, under reserved names.

use std::fmt::Write;

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

/// A short string.
const SHORT: &[u8] = b"thirty-two bytes of a short text";

/// Commands that write a part of what was read.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub commands: CommandBatch,
    /// The numbers of the names that it writes.
    pub numbers: Vec<u64>,
    /// Keys that were read, those that are not written counted.
    pub keys: u64,
    /// Bytes of values.
    pub bytes: u64,
}

/// A part that grows.
#[derive(Debug)]
pub(super) struct Mirrored {
    format: TargetFormat,
    names: Names,
    part: Part,
    /// The number of the next name, and how far it is to the one behind.
    next: u64,
    step: u64,
    /// Strings without an expiry that are not in a command yet. They have the last names.
    strings: Vec<Bytes>,
}

/// Reserved names, each with a number. They are short: what a small value costs depends on its name.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// The last name, whose beginning is that of all.
    name: String,
    prefix: usize,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self { name: prefix.to_owned(), prefix: prefix.len() }
    }

    /// The name with this number.
    pub(super) fn with(&mut self, number: u64) -> &[u8] {
        self.name.truncate(self.prefix);
        // A string takes whatever is written.
        let _infallible = write!(self.name, "{number:x}");
        self.name.as_bytes()
    }
}

impl Mirrored {
    /// The names of its keys begin with `prefix`; of so many flows, no other has its numbers.
    pub(super) fn new(format: TargetFormat, prefix: &str, flow: FlowId, flows: u16) -> Self {
        let (next, step) = (u64::from(flow.0), u64::from(flows.max(1)));
        Self { format, names: Names::new(prefix), part: Part::default(), next, step, strings: Vec::new() }
    }

    /// So many short strings, in parts.
    pub(super) fn short_strings(format: TargetFormat, prefix: &str, count: u64) -> Vec<Part> {
        let mut mirrored = Self::new(format, prefix, FlowId(0), 1);
        let mut parts = Vec::new();
        for _ in 0..count {
            mirrored.count();
            mirrored.add_string(Bytes::from_static(SHORT), None);
            if !mirrored.has_room() {
                parts.push(mirrored.take());
            }
        }
        if mirrored.part.keys > 0 {
            parts.push(mirrored.take());
        }
        parts
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
            let number = self.number();
            let mut restore = self.part.commands.start(6);
            restore.arg(b"RESTORE").arg(self.names.with(number)).int(expire_at.unwrap_or(0)).arg(&dump);
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
        let number = self.number();
        let mut set = self.part.commands.start(5);
        set.arg(b"SET").arg(self.names.with(number)).arg(&text).arg(b"PXAT").int(at).finish();
    }

    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += self.step;
        self.part.numbers.push(number);
        number
    }

    fn write_strings(&mut self) {
        let mut strings = std::mem::take(&mut self.strings);
        if !strings.is_empty() {
            let first = self.next;
            let numbers = (first..).step_by(usize::try_from(self.step).unwrap_or(1));
            let mut mset = self.part.commands.start(1 + 2 * strings.len());
            mset.arg(b"MSET");
            for (number, text) in numbers.zip(&strings) {
                mset.arg(self.names.with(number)).arg(text);
            }
            mset.finish();
            for _ in &strings {
                self.number();
            }
        }
        strings.clear();
        self.strings = strings;
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
        let mut mirrored = Mirrored::new(format, "p:", FlowId(1), 2);
        for n in 0..70 {
            mirrored.count();
            mirrored.add_string(Bytes::from(vec![n]), (n == 68).then_some(5));
        }
        let part = mirrored.take();
        let names: Vec<String> = part.commands.iter().map(redis_resp::EncodedCommand::name).collect();
        assert_eq!(names, ["MSET", "MSET", "SET", "MSET"]);
        let odd: Vec<u64> = (0..70).map(|n| 2 * n + 1).collect();
        assert_eq!((part.numbers, part.keys), (odd, 70));
        let last = part.commands.iter().last().unwrap();
        assert_eq!(last.arguments().nth(1), Some(&b"p:8b"[..]));
        mirrored.add_string(Bytes::new(), Some(5));
        assert_eq!(mirrored.take().numbers, [141]);
    }
}
