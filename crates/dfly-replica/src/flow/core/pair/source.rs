//! A source in memory with one shard of strings: it executes commands, journals them, and sends a snapshot in Dragonfly's
//! form, with records in it, while it goes on.

use std::collections::BTreeMap;

use bytes::Bytes;
use dfly_journal::{Lsn, TxId, encode};
use dfly_rdb::{RawValue, TypeId};

use super::chance::Chance;
use crate::flow::refetch::{Fetched, MemoryHold};

/// What precedes the journal behind a snapshot.
pub(super) const TOKEN: [u8; 40] = [b'7'; 40];

/// Names of the strings, and of the numbers.
const STRINGS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];
const NUMBERS: [&str; 3] = ["x", "y", "z"];

/// What the connection is told.
#[derive(Debug)]
enum Feed {
    /// Nobody listens.
    Closed,
    /// The snapshot, with what is left of it. A backlog in the form of a snapshot has nothing of it.
    Snapshot(BTreeMap<Bytes, Vec<u8>>),
    Journal,
}

/// A Dragonfly with one shard.
#[derive(Debug)]
pub(super) struct Source {
    pub keys: BTreeMap<Bytes, Vec<u8>>,
    /// Every record since the beginning. The first one has the number 1.
    journal: Vec<Vec<u8>>,
    feed: Feed,
    /// The numbers of the PING records.
    pub pings: Vec<u64>,
    /// Bytes that the replica has not read.
    pub wire: Vec<u8>,
}

impl Source {
    pub(super) fn new() -> Self {
        Self {
            keys: BTreeMap::new(),
            journal: Vec::new(),
            feed: Feed::Closed,
            pings: Vec::new(),
            wire: Vec::new(),
        }
    }

    /// The number of the next record.
    pub(super) fn next_lsn(&self) -> Lsn {
        Lsn(self.journal.len() as u64 + 1)
    }

    pub(super) fn records(&self) -> usize {
        self.journal.len()
    }

    /// Executes a command, and gives its record to whoever listens. One that changes nothing has no record.
    pub(super) fn execute(&mut self, chance: &mut Chance, flushes: bool) {
        self.run(choose(chance, flushes));
    }

    /// Executes this command.
    pub(super) fn run(&mut self, words: Vec<String>) {
        let words: Vec<Bytes> = words.into_iter().map(Bytes::from).collect();
        let touched: Vec<Bytes> = words.iter().skip(1).filter(|word| word.len() == 1).cloned().collect();
        self.serve_before(&touched);
        if !self.apply(&words) {
            return;
        }
        let mut record = Vec::new();
        match words[0].as_ref() {
            b"PING" => {
                self.pings.push(self.next_lsn().0);
                encode::ping(&mut record);
            }
            _ => {
                let words: Vec<&[u8]> = words.iter().map(Bytes::as_ref).collect();
                encode::command(TxId(self.journal.len() as u64), &words, &mut record);
            }
        }
        self.send_record(&record);
        self.journal.push(record);
    }

    fn apply(&mut self, words: &[Bytes]) -> bool {
        let keys = &mut self.keys;
        let names: Vec<&[u8]> = words.iter().map(Bytes::as_ref).collect();
        match names.as_slice() {
            [b"SET", _, value] => drop(keys.insert(words[1].clone(), value.to_vec())),
            [b"APPEND", _, value] => keys.entry(words[1].clone()).or_default().extend_from_slice(value),
            [b"INCRBY", _, by] => {
                let value = keys.entry(words[1].clone()).or_default();
                let sum = number(value) + number(by);
                *value = sum.to_string().into_bytes();
            }
            [b"DEL", ..] => {
                let before = keys.len();
                words[1..].iter().for_each(|key| drop(keys.remove(key)));
                return keys.len() < before;
            }
            [b"RENAME", from, to] => {
                if from == to {
                    return false;
                }
                let Some(value) = keys.remove(&words[1]) else { return false };
                keys.insert(words[2].clone(), value);
            }
            [b"MSET", ..] => {
                keys.extend(words[1..].chunks(2).map(|pair| (pair[0].clone(), pair[1].to_vec())));
            }
            [b"FLUSHALL"] => keys.clear(),
            _ => {}
        }
        true
    }

    /// A key comes in the snapshot before the first record that touches it.
    fn serve_before(&mut self, touched: &[Bytes]) {
        let Feed::Snapshot(left) = &mut self.feed else { return };
        let found: Vec<(Bytes, Vec<u8>)> = touched.iter().filter_map(|key| left.remove_entry(key)).collect();
        for (key, value) in found {
            self.wire.extend(entry(&key, &value));
        }
    }

    fn send_record(&mut self, record: &[u8]) {
        match &mut self.feed {
            Feed::Closed => {}
            Feed::Snapshot(left) => {
                // A flush takes what was not sent.
                if self.keys.is_empty() {
                    left.clear();
                }
                self.wire.extend([JOURNAL_BLOB, 1]);
                self.wire.extend(string(record));
            }
            Feed::Journal => self.wire.extend_from_slice(record),
        }
    }

    /// A replica wants everything.
    pub(super) fn begin_full(&mut self) {
        self.wire = HEADER.to_vec();
        self.feed = Feed::Snapshot(self.keys.clone());
    }

    /// A replica wants the records from `next` on.
    pub(super) fn begin_journal(&mut self, next: Lsn) {
        self.wire = self.from(next).concat();
        self.feed = Feed::Journal;
    }

    /// The same in the form of a snapshot (protocol section 6.2, flow A).
    pub(super) fn begin_backlog(&mut self, next: Lsn) {
        self.wire = HEADER.to_vec();
        for record in self.from(next).to_vec() {
            self.wire.extend([JOURNAL_BLOB, 1]);
            self.wire.extend(string(&record));
        }
        self.feed = Feed::Snapshot(BTreeMap::new());
    }

    fn from(&self, next: Lsn) -> &[Vec<u8>] {
        let at = usize::try_from(next.0.saturating_sub(1)).unwrap();
        self.journal.get(at..).expect("no replica knows more than the source")
    }

    /// Sends the next part of the snapshot. False if there is none to send.
    pub(super) fn send_snapshot(&mut self) -> bool {
        let next = self.next_lsn();
        let Feed::Snapshot(left) = &mut self.feed else { return false };
        if let Some((key, value)) = left.pop_first() {
            self.wire.extend(entry(&key, &value));
            return true;
        }
        self.wire.extend([FULLSYNC_END, 0, 0, 0, 0, 0, 0, 0, 0]);
        self.wire.push(JOURNAL_OFFSET);
        self.wire.extend(next.0.to_le_bytes());
        self.wire.push(EOF);
        self.wire.extend([0; 8]);
        self.wire.extend(TOKEN);
        self.feed = Feed::Journal;
        true
    }

    pub(super) fn close(&mut self) {
        (self.feed, self.wire) = (Feed::Closed, Vec::new());
    }

    /// What an ordinary client reads.
    pub(super) fn read(&self, key: &[u8]) -> Option<Fetched> {
        let value = RawValue::new(TypeId::String, Bytes::from(string(self.keys.get(key)?)));
        Some(Fetched { value, expire_at: None, memory: MemoryHold::default() })
    }
}

const HEADER: &[u8] = b"REDIS0009\xfe\0";
const FULLSYNC_END: u8 = 200;
const JOURNAL_BLOB: u8 = 210;
const JOURNAL_OFFSET: u8 = 211;
const EOF: u8 = 255;

fn entry(key: &[u8], value: &[u8]) -> Vec<u8> {
    [&[0][..], &string(key), &string(value)].concat()
}

/// A string with its length in the long form.
fn string(text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap();
    [&[0x80][..], &length.to_be_bytes(), text].concat()
}

fn number(text: &[u8]) -> i64 {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn choose(chance: &mut Chance, flushes: bool) -> Vec<String> {
    let line = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let (string, other, count) = (chance.of(&STRINGS), chance.of(&STRINGS), chance.of(&NUMBERS));
    let text = format!("v{}", chance.below(1000));
    match chance.below(if flushes { 101 } else { 100 }) {
        0..20 => line(&["SET", string, &text]),
        20..45 => line(&["APPEND", string, &text]),
        45..65 => line(&["INCRBY", count, &(chance.below(9) + 1).to_string()]),
        65..78 => line(&["RENAME", string, other]),
        78..88 => line(&["DEL", string]),
        88..91 => line(&["DEL", string, count]),
        91..96 => line(&["MSET", string, &text, count, "70"]),
        96..100 => line(&["PING"]),
        _ => line(&["FLUSHALL"]),
    }
}
