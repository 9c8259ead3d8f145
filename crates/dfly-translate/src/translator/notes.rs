//! Notes beside keys: when members and fields are due that the target itself does not remove, and which keys were left out.
//! All notes are on the target under reserved names, in the slot of their key, and change in the same transaction as the
//! data. Memory holds only which keys have notes.
//!
//! - [`ReservedNames::expiry`]: a sorted set of a key's members or fields, scored by the Unix millisecond at which they are
//!   due.
//! - [`ReservedNames::due`], the registry: a sorted set of the keys with such a set, scored by their earliest due time. A
//!   member consists of the length of that set's name, a colon, the name, and the key. In a cluster, there is one registry
//!   for each slot.
//! - [`ReservedNames::left_out`]: a set of the keys of sketches that were left out. Changes to them are left out too.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use dfly_wire::{DbIndex, UnixMillis};
use redis_resp::CommandBatch;
use redis_slots::Slot;

use crate::facts::{CommandFacts, CommandKind};
use crate::names::ReservedNames;
use crate::script;
use crate::translator::Translator;

/// How many keys of a registry one sweep handles at most, so that it never blocks the target for long.
const SWEPT: i64 = 256;

/// Where a registry is: a database and, in a cluster, a slot.
type Home = (DbIndex, Option<Slot>);

/// Which keys have notes.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    flow: u16,
    cluster: bool,
    names: ReservedNames,
    expiring: BTreeMap<DbIndex, BTreeSet<Bytes>>,
    homes: BTreeMap<Home, usize>,
    left_out: BTreeSet<(DbIndex, Bytes)>,
}

/// The names of the notes of one key.
#[derive(Debug)]
pub(crate) struct Beside {
    /// The sorted set of its due times.
    pub expiry: Vec<u8>,
    /// The registry.
    pub registry: Vec<u8>,
    /// The key's member in the registry.
    pub member: Vec<u8>,
}

impl Notes {
    pub(crate) fn new(flow: u16, cluster: bool, names: ReservedNames) -> Self {
        Self { flow, cluster, names, ..Self::default() }
    }

    /// Whether no key has notes. Then records need no further checks.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.homes.is_empty() && self.left_out.is_empty()
    }

    pub(crate) fn is_expiring(&self, db: DbIndex, key: &[u8]) -> bool {
        self.expiring.get(&db).is_some_and(|keys| keys.contains(key))
    }

    pub(crate) fn is_left_out(&self, db: DbIndex, key: &[u8]) -> bool {
        !self.left_out.is_empty() && self.left_out.contains(&(db, Bytes::copy_from_slice(key)))
    }

    /// How many keys have due times beside them.
    pub(crate) fn expiring(&self) -> usize {
        self.expiring.values().map(BTreeSet::len).sum()
    }

    pub(crate) fn watch(&mut self, db: DbIndex, key: &[u8]) {
        if self.expiring.entry(db).or_default().insert(Bytes::copy_from_slice(key)) {
            *self.homes.entry(self.home(db, key)).or_default() += 1;
        }
    }

    /// Stops watching a key. Returns whether it was watched.
    pub(crate) fn unwatch(&mut self, db: DbIndex, key: &[u8]) -> bool {
        let was = self.expiring.get_mut(&db).is_some_and(|keys| keys.remove(key));
        let home = self.home(db, key);
        if was && let Some(keys) = self.homes.get_mut(&home) {
            *keys -= 1;
            if *keys == 0 {
                self.homes.remove(&home);
            }
        }
        was
    }

    /// Forgets everything, or everything in one database.
    pub(crate) fn clear(&mut self, db: Option<DbIndex>) {
        let goes = |other: DbIndex| db.is_none_or(|db| db == other);
        self.expiring.retain(|db, _| !goes(*db));
        self.homes.retain(|(db, _), _| !goes(*db));
        self.left_out.retain(|(db, _)| !goes(*db));
    }

    pub(crate) fn leave_out(&mut self, db: DbIndex, key: &[u8]) {
        self.left_out.insert((db, Bytes::copy_from_slice(key)));
    }

    /// Removes a key from those that were left out. Returns whether it was one of them.
    pub(crate) fn take_in(&mut self, db: DbIndex, key: &[u8]) -> bool {
        !self.left_out.is_empty() && self.left_out.remove(&(db, Bytes::copy_from_slice(key)))
    }

    fn home(&self, db: DbIndex, key: &[u8]) -> Home {
        (db, self.cluster.then(|| Slot::of(key)))
    }

    fn due(&self, slot: Option<Slot>) -> Vec<u8> {
        self.names.due(self.flow, slot).into_bytes()
    }

    fn left_out(&self, slot: Option<Slot>) -> Vec<u8> {
        self.names.left_out(self.flow, slot).into_bytes()
    }

    pub(crate) fn beside(&self, key: &[u8]) -> Beside {
        let slot = self.cluster.then(|| Slot::of(key));
        let (expiry, registry) = (self.names.expiry(key), self.due(slot));
        let member = [format!("{}:", expiry.len()).as_bytes(), &expiry, key].concat();
        Beside { expiry, registry, member }
    }

    pub(crate) fn left_out_set(&self, key: &[u8]) -> Vec<u8> {
        self.left_out(self.cluster.then(|| Slot::of(key)))
    }
}

/// The key in a member of the registry.
fn key_of(member: &[u8]) -> Option<&[u8]> {
    let colon = memchr::memchr(b':', member)?;
    let len: usize = std::str::from_utf8(member.get(..colon)?).ok()?.parse().ok()?;
    member.get((colon + 1).checked_add(len)?..)
}

impl Translator {
    /// The name of the sorted set of keys with members that have due times. There is one in each database of a standalone
    /// target, or for each slot of a cluster. A run that resumes first reads its members and passes them to
    /// [`Self::adopt_expiring`].
    pub fn due_registry(&self, slot: Option<Slot>) -> Vec<u8> {
        self.notes.due(slot)
    }

    /// The name of the set of keys that were left out. A run that resumes passes its members to [`Self::adopt_left_out`].
    pub fn left_out_registry(&self, slot: Option<Slot>) -> Vec<u8> {
        self.notes.left_out(slot)
    }

    /// Takes over a note of an earlier run about a key. Returns false if `member` is not such a note.
    pub fn adopt_expiring(&mut self, db: DbIndex, member: &[u8]) -> bool {
        let key = key_of(member);
        if let Some(key) = key {
            self.notes.watch(db, key);
        }
        key.is_some()
    }

    /// Takes over the note that an earlier run left a key out.
    pub fn adopt_left_out(&mut self, db: DbIndex, key: &[u8]) {
        self.notes.leave_out(db, key);
    }

    /// Whether a key is missing on the target because its value was left out.
    pub fn leaves_out(&self, db: DbIndex, key: &[u8]) -> bool {
        self.notes.is_left_out(db, key)
    }

    /// How many keys have members or fields that only [`Self::sweep`] removes.
    pub fn expiring_keys(&self) -> usize {
        self.notes.expiring()
    }

    /// Writes commands that remove due members and fields, a limited number of them. Call this about once a second, with
    /// the time up to which all records have been written.
    pub fn sweep(&mut self, now: UnixMillis, out: &mut CommandBatch) {
        let homes: Vec<Home> = self.notes.homes.keys().copied().collect();
        for (db, slot) in homes {
            let registry = self.notes.due(slot);
            self.select(db, out);
            let facts = CommandFacts::new(CommandKind::Sweep, db);
            let mut sweep = out.start(6);
            sweep.arg(b"EVAL").arg(script::SWEEP_ALL.as_bytes()).int(1).key(&registry);
            sweep.int(now.0).int(SWEPT).finish_with(facts.tag());
        }
    }

    /// Removes the notes of a key whose value is replaced.
    pub(crate) fn forget_members(&mut self, (db, key): (DbIndex, &[u8]), out: &mut CommandBatch) {
        let facts = CommandFacts::side_key(db);
        if self.notes.unwatch(db, key) {
            let beside = self.notes.beside(key);
            self.write(facts, &[b"DEL", &beside.expiry], 1..2, out);
            self.write(facts, &[b"ZREM", &beside.registry, &beside.member], 1..2, out);
        }
        if self.notes.take_in(db, key) {
            let set = self.notes.left_out_set(key);
            self.write(facts, &[b"SREM", &set, key], 1..2, out);
        }
    }

    /// Starts watching a key with due times. If it was not watched, due times that an earlier run may have left are
    /// removed.
    pub(crate) fn watch_members(&mut self, (db, key): (DbIndex, &[u8]), out: &mut CommandBatch) -> Beside {
        let beside = self.notes.beside(key);
        if !self.notes.is_expiring(db, key) {
            self.notes.watch(db, key);
            self.write(CommandFacts::side_key(db), &[b"DEL", &beside.expiry], 1..2, out);
        }
        beside
    }

    /// Notes that a sketch was left out, so that changes to it are left out too.
    pub(crate) fn note_left_out(&mut self, (db, key): (DbIndex, &[u8]), out: &mut CommandBatch) {
        self.notes.leave_out(db, key);
        let set = self.notes.left_out_set(key);
        self.write(CommandFacts::side_key(db), &[b"SADD", &set, key], 1..2, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(flow: u16, cluster: bool) -> Notes {
        Notes::new(flow, cluster, ReservedNames::default())
    }

    #[test]
    fn members_name_their_key() {
        let notes = notes(3, false);
        for key in [&b"k"[..], b"a{b}c", b"1:2", b"", b"\n\xff"] {
            let beside = notes.beside(key);
            assert_eq!(key_of(&beside.member), Some(key));
            assert_eq!(beside.registry, b"df2redis:due:3");
        }
        for damaged in [&b""[..], b"x", b"9:abc", b"x:abc", b"99999999999999999999:a"] {
            assert_eq!(key_of(damaged), None, "{}", damaged.escape_ascii());
        }
    }

    #[test]
    fn in_a_cluster_everything_lies_in_the_slot_of_its_key() {
        let notes = notes(0, true);
        for key in [&b"k"[..], b"a{b}c", b"}{"] {
            let beside = notes.beside(key);
            assert_eq!(Slot::of(&beside.expiry), Slot::of(key));
            assert_eq!(Slot::of(&beside.registry), Slot::of(key));
            assert_eq!(Slot::of(&notes.left_out_set(key)), Slot::of(key));
        }
    }

    #[test]
    fn homes_are_counted() {
        let mut notes = notes(0, false);
        notes.watch(DbIndex(0), b"a");
        notes.watch(DbIndex(0), b"a");
        notes.watch(DbIndex(3), b"a");
        assert_eq!((notes.homes.len(), notes.expiring()), (2, 2));
        assert!(notes.unwatch(DbIndex(0), b"a") && !notes.unwatch(DbIndex(0), b"a"));
        assert!(!notes.is_expiring(DbIndex(0), b"a") && notes.is_expiring(DbIndex(3), b"a"));
        assert!(notes.unwatch(DbIndex(3), b"a") && notes.is_empty());
    }
}
