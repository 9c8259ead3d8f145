//! Keys whose records do not tell what the source did, so that their value is read again, exactly in step with the
//! journal. Pure: records, answers and times in, decisions out.
//!
//! A record of a key that is being refetched is not applied. It is passed over, or parked while the value is being read.
//! The reader asks the source for the flow's LSN (a), for the value, and for the LSN again (b). The value holds every
//! record before a and none from b on. If the key has no record in [a, b), the value is exact: it is written when the flow
//! has come to b, and the records that were parked from b on follow it. Otherwise it is read again.
//!
//! Every operation costs O(log n) for n keys in the queue.

use std::any::Any;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dfly_journal::{Command, Lsn};
use dfly_rdb::RawValue;
use dfly_wire::UnixMillis;

use crate::keys::SourceKey;

/// How many keys of a flow are read at once.
pub(crate) const AT_ONCE: usize = 64;

/// The delay before a value is read that was not exact, doubled each time up to 64-fold.
const RETRY: Duration = Duration::from_millis(20);

/// A key whose value was not exact so many times is written to all the time.
const HOT: u32 = 4;

/// A value, and when its key expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub value: RawValue,
    pub expire_at: Option<UnixMillis>,
    pub memory: MemoryHold,
}

/// What a value takes of the memory that all refetched values share: it is given back when this is dropped.
#[derive(Clone, Default)]
pub(crate) struct MemoryHold(
    #[expect(dead_code, reason = "held for its drop")] Option<Arc<dyn Any + Send + Sync>>,
);

impl MemoryHold {
    /// Holds `share` for as long as any copy of this exists.
    pub(crate) fn new(share: impl Any + Send + Sync) -> Self {
        Self(Some(Arc::new(share)))
    }
}

impl PartialEq for MemoryHold {
    /// Values are equal whatever memory they take.
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for MemoryHold {}

impl fmt::Debug for MemoryHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryHold")
    }
}

/// What the source said of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The flow's next LSN before the value was read.
    pub before: Lsn,
    /// The flow's next LSN behind it.
    pub behind: Lsn,
    /// `None`: there is no such key.
    pub value: Option<Fetched>,
}

/// How an attempt to read a key ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The source answered.
    Read(Reading),
    /// It could not be asked; it may be later.
    Later,
    /// It refuses, and will refuse again: why, in its own words.
    Refused(String),
}

/// Identifies a request, so that the answer to an older one is not taken for its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub u64);

/// What becomes of a key whose value was read.
#[derive(Debug)]
pub(crate) enum Resolved {
    /// The value holds at this point of the journal; these records follow it.
    Exact(Option<Fetched>, Vec<Command>),
    /// It does not; it is read again.
    Again,
}

#[derive(Debug)]
struct Entry {
    /// Grows with each key that joins the queue.
    serial: u64,
    tries: u32,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Ready,
    Delayed(Instant),
    Reading(Ticket, Parked),
    Read(Parked, Reading),
}

/// Records that came while the value was being read, with their LSNs.
#[derive(Debug, Default)]
struct Parked {
    records: Vec<(Lsn, Command)>,
    /// One was not kept: the value cannot be used.
    is_spoiled: bool,
}

impl Parked {
    fn bytes(&self) -> usize {
        self.records.iter().map(|(_, record)| record.args.byte_len()).sum()
    }
}

/// The keys of one flow that are to be read again.
#[derive(Debug)]
pub(crate) struct RefetchQueue {
    keys: HashMap<SourceKey, Entry>,
    /// Keys that can be read at once, the oldest first. One whose serial is not the entry's has left the queue since.
    ready: VecDeque<(SourceKey, u64)>,
    delayed: BTreeMap<(Instant, u64), SourceKey>,
    /// Keys whose value was read, by the position from which it can be judged.
    read: BTreeMap<(Lsn, u64), SourceKey>,
    /// When each key joined, by serial.
    since: BTreeMap<u64, Instant>,
    serial: u64,
    reading: usize,
    parked: usize,
    /// The most bytes of parked records, over all keys. Beyond it a key is read again later.
    most_parked: usize,
    ticket: u64,
}

impl RefetchQueue {
    /// An empty queue, with room for so many bytes of parked records.
    pub(crate) fn new(most_parked: usize) -> Self {
        Self {
            keys: HashMap::new(),
            ready: VecDeque::new(),
            delayed: BTreeMap::new(),
            read: BTreeMap::new(),
            since: BTreeMap::new(),
            serial: 0,
            reading: 0,
            parked: 0,
            most_parked,
            ticket: 0,
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Since when the oldest key waits.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.since.first_key_value().map(|(_, since)| *since)
    }

    #[cfg(test)]
    pub(crate) fn has_parked(&self) -> bool {
        self.parked > 0
    }

    pub(crate) fn contains(&self, key: &SourceKey) -> bool {
        self.keys.contains_key(key)
    }

    /// Adds a key; true if it is new. A value that is being read may be older than what made the caller ask, so it is not
    /// used then.
    pub(crate) fn add(&mut self, key: SourceKey, now: Instant) -> bool {
        if let Some(entry) = self.keys.get_mut(&key) {
            if let Stage::Reading(_, parked) | Stage::Read(parked, _) = &mut entry.stage {
                parked.is_spoiled = true;
            }
            return false;
        }
        self.serial += 1;
        self.since.insert(self.serial, now);
        self.ready.push_back((key.clone(), self.serial));
        self.keys.insert(key, Entry { serial: self.serial, tries: 0, stage: Stage::Ready });
        true
    }

    /// A record of a key in the queue, and of no other key: it is kept as long as it may be needed.
    pub(crate) fn park(&mut self, key: &SourceKey, lsn: Lsn, record: &Command) {
        let Some(entry) = self.keys.get_mut(key) else { return };
        let (Stage::Reading(_, parked) | Stage::Read(parked, _)) = &mut entry.stage else { return };
        let size = record.args.byte_len();
        if self.parked + size > self.most_parked {
            parked.is_spoiled = true;
        } else {
            self.parked += size;
            parked.records.push((lsn, record.clone()));
        }
    }

    /// The key's value is known without reading. True if it was in the queue.
    pub(crate) fn remove(&mut self, key: &SourceKey) -> bool {
        let Some(entry) = self.keys.remove(key) else { return false };
        self.since.remove(&entry.serial);
        self.leave(entry.serial, &entry.stage);
        true
    }

    /// Removes every key for which `goes` holds, and gives them.
    pub(crate) fn clear(&mut self, goes: impl Fn(&SourceKey) -> bool) -> Vec<SourceKey> {
        let keys: Vec<SourceKey> = self.keys.keys().filter(|key| goes(key)).cloned().collect();
        for key in &keys {
            self.remove(key);
        }
        keys
    }

    /// Takes an entry out of what its stage is listed in.
    fn leave(&mut self, serial: u64, stage: &Stage) {
        match stage {
            Stage::Ready => {}
            Stage::Delayed(until) => drop(self.delayed.remove(&(*until, serial))),
            Stage::Reading(_, parked) => {
                self.reading -= 1;
                self.parked -= parked.bytes();
            }
            Stage::Read(parked, reading) => {
                self.reading -= 1;
                self.parked -= parked.bytes();
                self.read.remove(&(reading.behind, serial));
            }
        }
    }

    /// The next key to be read, and the ticket of the request. It counts as being read from now on.
    pub(crate) fn next(&mut self, now: Instant) -> Option<(SourceKey, Ticket)> {
        if self.reading >= AT_ONCE {
            return None;
        }
        while let Some(entry) = self.delayed.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((_, serial), key) = entry.remove_entry();
            self.keys.entry(key.clone()).and_modify(|entry| entry.stage = Stage::Ready);
            self.ready.push_back((key, serial));
        }
        while let Some((key, serial)) = self.ready.pop_front() {
            let is_current =
                |entry: &&mut Entry| entry.serial == serial && matches!(entry.stage, Stage::Ready);
            if let Some(entry) = self.keys.get_mut(&key).filter(is_current) {
                self.ticket += 1;
                self.reading += 1;
                entry.stage = Stage::Reading(Ticket(self.ticket), Parked::default());
                return Some((key, Ticket(self.ticket)));
            }
        }
        None
    }

    /// Whether the key's value was not exact so often that its next reading needs another way.
    pub(crate) fn is_hot(&self, key: &SourceKey) -> bool {
        self.keys.get(key).is_some_and(|entry| entry.tries >= HOT)
    }

    /// When [`Self::next`] may have a key, if it has none now.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        let delayed = self.delayed.first_key_value().map(|((until, _), _)| *until);
        let due = if self.ready.is_empty() { delayed } else { Some(now) };
        due.filter(|_| self.reading < AT_ONCE)
    }

    /// The source was asked. Gives its reason if it refuses for good; the key is still in the queue then.
    pub(crate) fn answer(
        &mut self,
        key: &SourceKey,
        ticket: Ticket,
        answer: Answer,
        now: Instant,
    ) -> Option<String> {
        let entry = self.keys.get_mut(key)?;
        if !matches!(entry.stage, Stage::Reading(current, _) if current == ticket) {
            return None;
        }
        match (std::mem::replace(&mut entry.stage, Stage::Ready), answer) {
            (Stage::Reading(_, parked), Answer::Read(reading)) => {
                self.read.insert((reading.behind, entry.serial), key.clone());
                entry.stage = Stage::Read(parked, reading);
                None
            }
            (stage, Answer::Refused(reason)) => {
                let serial = entry.serial;
                self.leave(serial, &stage);
                self.delay(key, now);
                Some(reason)
            }
            (stage, _) => {
                let serial = entry.serial;
                self.leave(serial, &stage);
                self.delay(key, now);
                None
            }
        }
    }

    /// A key whose value was read, once the flow has come so far (the next LSN) that it can be judged.
    pub(crate) fn resolve(&mut self, next: Lsn, now: Instant) -> Option<(SourceKey, Resolved)> {
        let key = self.read.first_key_value().filter(|((behind, _), _)| *behind <= next)?.1.clone();
        let entry = self.keys.get_mut(&key)?;
        let (serial, stage) = (entry.serial, std::mem::replace(&mut entry.stage, Stage::Ready));
        self.leave(serial, &stage);
        let Stage::Read(parked, reading) = stage else { return None };
        let within = |lsn: &Lsn| reading.before <= *lsn && *lsn < reading.behind;
        if parked.is_spoiled || parked.records.iter().any(|(lsn, _)| within(lsn)) {
            self.delay(&key, now);
            return Some((key, Resolved::Again));
        }
        self.keys.remove(&key);
        self.since.remove(&serial);
        let behind = parked.records.into_iter().filter(|(lsn, _)| *lsn >= reading.behind);
        let behind = behind.map(|(_, record)| record).collect();
        Some((key, Resolved::Exact(reading.value, behind)))
    }

    /// Puts a key that is in no list behind a pause.
    fn delay(&mut self, key: &SourceKey, now: Instant) {
        let Some(entry) = self.keys.get_mut(key) else { return };
        let until = now + RETRY * (1 << entry.tries.min(6));
        entry.tries = entry.tries.saturating_add(1);
        entry.stage = Stage::Delayed(until);
        self.delayed.insert((until, entry.serial), key.clone());
    }
}

#[cfg(test)]
mod tests {
    use dfly_journal::{Args, TxId};
    use dfly_rdb::TypeId;
    use dfly_wire::DbIndex;
    use proptest::prelude::*;

    use super::*;

    fn key() -> SourceKey {
        SourceKey::new(DbIndex(0), "k")
    }

    fn record(name: &str) -> Command {
        Command { db: DbIndex(0), txid: TxId(0), args: Args::of(&[name, "k"]) }
    }

    fn fetched(text: u8) -> Option<Fetched> {
        let value = RawValue::new(TypeId::String, vec![1, text].into());
        Some(Fetched { value, expire_at: None, memory: MemoryHold::default() })
    }

    fn read(before: u64, behind: u64, value: Option<Fetched>) -> Answer {
        Answer::Read(Reading { before: Lsn(before), behind: Lsn(behind), value })
    }

    #[test]
    fn a_key_that_changes_each_time_is_hot() {
        let now = Instant::now();
        let mut queue = RefetchQueue::new(4096);
        queue.add(key(), now);
        for nth in 1..=5 {
            let at = now + Duration::from_secs(nth);
            let (_, ticket) = queue.next(at).unwrap();
            assert_eq!(queue.is_hot(&key()), nth > 4, "{nth}");
            queue.park(&key(), Lsn(nth), &record("BETWEEN"));
            queue.answer(&key(), ticket, read(nth, nth + 1, fetched(b'v')), at);
            assert!(matches!(queue.resolve(Lsn(nth + 1), at), Some((_, Resolved::Again))));
        }
    }

    #[test]
    fn exact_without_a_record_in_between() {
        let now = Instant::now();
        let mut queue = RefetchQueue::new(4096);
        assert!(queue.add(key(), now) && !queue.add(key(), now));
        assert_eq!((queue.next(now), queue.next(now)), (Some((key(), Ticket(1))), None));
        for (lsn, name) in [(4, "BEFORE"), (7, "BEHIND")] {
            queue.park(&key(), Lsn(lsn), &record(name));
        }
        queue.answer(&key(), Ticket(0), read(5, 7, fetched(b'v')), now);
        assert!(queue.resolve(Lsn(9), now).is_none(), "the answer to another request");
        queue.answer(&key(), Ticket(1), read(5, 7, fetched(b'v')), now);
        assert!(queue.resolve(Lsn(6), now).is_none(), "the flow has not come to 7");
        let Some((_, Resolved::Exact(value, behind))) = queue.resolve(Lsn(8), now) else { panic!() };
        assert_eq!((value, behind), (fetched(b'v'), vec![record("BEHIND")]));
        assert!(queue.is_empty() && queue.parked == 0 && queue.reading == 0 && queue.oldest().is_none());
    }

    #[test]
    fn again_with_a_record_in_between_or_one_that_was_not_kept() {
        let now = Instant::now();
        for spoil in [false, true] {
            let mut queue = RefetchQueue::new(4096);
            queue.add(key(), now);
            queue.next(now);
            if spoil {
                queue.add(key(), now);
            } else {
                queue.park(&key(), Lsn(5), &record("WITHIN"));
            }
            queue.answer(&key(), Ticket(1), read(5, 6, None), now);
            assert!(matches!(queue.resolve(Lsn(6), now), Some((_, Resolved::Again))));
            assert_eq!((queue.next(now), queue.deadline(now)), (None, Some(now + RETRY)));
            assert_eq!(queue.next(now + RETRY), Some((key(), Ticket(2))));
            assert_eq!(queue.answer(&key(), Ticket(2), Answer::Later, now), None);
            assert_eq!(queue.deadline(now), Some(now + 2 * RETRY), "the source could not be asked");
            assert!(queue.remove(&key()) && queue.parked == 0 && queue.reading == 0);
            assert_eq!((queue.deadline(now), queue.delayed.len()), (None, 0));
        }
    }

    #[test]
    fn a_refusal_is_told_once_an_attempt() {
        let now = Instant::now();
        let mut queue = RefetchQueue::new(4096);
        queue.add(key(), now);
        queue.next(now);
        let refused = Answer::Refused("NOPERM".to_owned());
        assert_eq!(queue.answer(&key(), Ticket(1), refused, now).as_deref(), Some("NOPERM"));
        assert!(queue.contains(&key()));
    }

    #[test]
    fn a_key_that_comes_back_is_read_once() {
        let now = Instant::now();
        let mut queue = RefetchQueue::new(4096);
        queue.add(key(), now);
        queue.remove(&key());
        queue.add(key(), now);
        assert_eq!((queue.next(now), queue.next(now)), (Some((key(), Ticket(1))), None));
    }

    /// No more keys are read at once than agreed, and none is forgotten.
    #[test]
    fn many_keys_take_turns() {
        let now = Instant::now();
        let mut queue = RefetchQueue::new(4096);
        let name = |n: usize| SourceKey::new(DbIndex(0), n.to_string());
        (0..1000).for_each(|n| assert!(queue.add(name(n), now)));
        let mut resolved = 0;
        while !queue.is_empty() {
            let asked: Vec<_> = std::iter::from_fn(|| queue.next(now)).collect();
            assert!(asked.len() <= AT_ONCE && queue.deadline(now).is_none() || asked.len() < AT_ONCE);
            for (key, ticket) in asked {
                queue.answer(&key, ticket, read(1, 1, None), now);
            }
            while queue.resolve(Lsn(1), now).is_some() {
                resolved += 1;
            }
        }
        assert_eq!(resolved, 1000);
    }

    proptest! {
        /// A counter that the source increases with each record: whatever the times of reading, what is written and what
        /// follows it end with the source's value.
        #[test]
        fn in_step_whenever_it_is_read(
            steps in prop::collection::vec((0u8..5, 1u64..4), 1..120),
        ) {
            let (now, mut queue) = (Instant::now(), RefetchQueue::new(4096));
            // The source's records are increments; its value is their number. The flow lags behind.
            let (mut source, mut flow, mut target) = (0u64, 0u64, 0u64);
            let (mut reading, mut before) = (None, None);
            queue.add(key(), now);
            let mut step = |kind: u8, by: u64, queue: &mut RefetchQueue| match kind {
                0 => source += by,
                1 => for _ in 0..by.min(source - flow) {
                    flow += 1;
                    if queue.contains(&key()) {
                        queue.park(&key(), Lsn(flow), &record("INCR"));
                    } else {
                        target += 1;
                    }
                    resolve(queue, flow, &mut target);
                },
                2 if reading.is_none() => reading = queue.next(now + Duration::from_secs(99)),
                3 if reading.is_some() && before.is_none() => before = Some(source + 1),
                4 => if let (Some(first), Some((key, ticket))) = (before, &reading) {
                    // The value is that of any moment in between; here the latest.
                    let value = Some(Fetched {
                        value: RawValue::new(TypeId::String, source.to_string().into_bytes().into()),
                        expire_at: None,
                        memory: MemoryHold::default(),
                    });
                    queue.answer(key, *ticket, read(first, source + 1, value), now);
                    (reading, before) = (None, None);
                    resolve(queue, flow, &mut target);
                },
                _ => {}
            };
            for (kind, by) in steps {
                step(kind, by, &mut queue);
            }
            for kind in [2, 3, 4, 1, 2, 3, 4, 1] {
                step(kind, u64::MAX, &mut queue);
            }
            prop_assert!(queue.is_empty());
            prop_assert_eq!(target, source);
        }
    }

    fn resolve(queue: &mut RefetchQueue, flow: u64, target: &mut u64) {
        if let Some((_, Resolved::Exact(value, behind))) = queue.resolve(Lsn(flow + 1), Instant::now()) {
            let text = value.unwrap().value.payload().to_vec();
            *target = String::from_utf8(text).unwrap().parse::<u64>().unwrap() + behind.len() as u64;
        }
    }
}
