//! What was read of a snapshot, as transactions that write it as a run does and remove it again: nothing is ever left.

use bytes::Bytes;
use dfly_rdb::payload::{Plan as Form, TargetFormat, write_dump};
use dfly_rdb::{Element, Entry, ValueKind};
use redis_resp::CommandBatch;

/// Keys of a transaction: many, because a run waits for no answer before it sends on.
const AT_ONCE: usize = 2048;

/// The most bytes of values of a transaction, but for the last.
const AT_ONCE_BYTES: usize = 1 << 20;

/// Strings that a run writes together.
const STRINGS: usize = 64;

/// Keys that are removed by one command.
const REMOVED: usize = 256;

/// A transaction that grows.
#[derive(Debug)]
pub(super) struct Mirrored {
    format: TargetFormat,
    /// Names of reserved keys. Each transaction has them anew.
    names: Vec<Vec<u8>>,
    commands: CommandBatch,
    /// Values of the last keys, which are not written yet.
    strings: Vec<Bytes>,
    keys: usize,
    bytes: usize,
}

impl Mirrored {
    /// The names of its keys begin with `prefix`.
    pub(super) fn new(format: TargetFormat, prefix: &str) -> Self {
        let names = (0..AT_ONCE).map(|nth| format!("{prefix}{nth}").into_bytes()).collect();
        Self { format, names, commands: CommandBatch::default(), strings: Vec::new(), keys: 0, bytes: 0 }
    }

    pub(super) fn has_room(&self) -> bool {
        self.keys < AT_ONCE && self.bytes < AT_ONCE_BYTES
    }

    pub(super) fn keys(&self) -> usize {
        self.keys
    }

    /// Writes a value. Those that only commands can write are left out.
    pub(super) fn add(&mut self, entry: &Entry) {
        self.bytes += entry.value.payload().len();
        if entry.value.kind() == ValueKind::String
            && let Some(Ok(Element::String(text))) = entry.value.elements().next()
        {
            self.begin();
            self.strings.push(text.into_bytes());
            self.keys += 1;
            if self.strings.len() >= STRINGS {
                self.write_strings();
            }
            return;
        }
        self.write_strings();
        let mut dump = Vec::new();
        if let Ok(Form::Verbatim | Form::Reencode) = write_dump(&entry.value, &self.format, &mut dump) {
            self.begin();
            if let Some(name) = self.names.get(self.keys) {
                self.commands.push(&[b"RESTORE", name, b"0", &dump]);
                self.keys += 1;
            }
        }
    }

    fn begin(&mut self) {
        if self.keys == 0 {
            self.commands.push(&[b"MULTI"]);
        }
    }

    fn write_strings(&mut self) {
        if self.strings.is_empty() {
            return;
        }
        let names = self.names.iter().take(self.keys).skip(self.keys.saturating_sub(self.strings.len()));
        let pairs = names.zip(&self.strings).flat_map(|(name, value)| [name.as_slice(), value]);
        self.commands.push(&[&b"MSET"[..]].into_iter().chain(pairs).collect::<Vec<_>>());
        self.strings.clear();
    }

    /// The transaction, if it has anything; another begins.
    pub(super) fn take(&mut self) -> Option<CommandBatch> {
        self.write_strings();
        self.bytes = 0;
        let written = self.names.get(..self.keys).filter(|names| !names.is_empty())?;
        for names in written.chunks(REMOVED) {
            let names = names.iter().map(Vec::as_slice);
            self.commands.push(&[&b"UNLINK"[..]].into_iter().chain(names).collect::<Vec<_>>());
        }
        self.commands.push(&[b"EXEC"]);
        self.keys = 0;
        Some(std::mem::take(&mut self.commands))
    }
}
