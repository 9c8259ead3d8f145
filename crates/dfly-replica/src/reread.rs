//! Keys whose records do not tell what the source did, so that their value is read again, exactly in step with the
//! journal. Pure: records, answers and times in, decisions out.
//!
//! A wanted key takes no part in the journal: its records are passed over, or parked while its value is being read. The
//! reader asks the source for the flow's LSN (a), for the value, and for the LSN again (b). The value holds every record
//! before a and none from b on. If the key has no record in [a, b), the value is exact: when the flow has come to b it is
//! written, and what was parked from b on is carried out behind it. Otherwise it is read again.
//!
//! Which keys are wanted is kept in the target too, in the transactions of the positions: a run that was killed goes on
//! with them.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dfly_journal::{Command, Lsn};
use dfly_rdb::RawValue;
use dfly_wire::{DbIndex, UnixMillis};

/// A key of the source.
pub(crate) type Place = (DbIndex, Bytes);

/// A key in eight bytes, so that many can be kept in mind.
pub(crate) fn digest(db: DbIndex, key: &[u8]) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one((db.0, key))
}

/// How many keys of a flow are read at once.
pub(crate) const AT_ONCE: usize = 8;

/// The delay before a value is read that was not exact, doubled each time up to 64-fold.
const AGAIN: Duration = Duration::from_millis(20);

/// A value, and when its key expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub value: RawValue,
    pub expire_at: Option<UnixMillis>,
}

/// What the reader found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The flow's next LSN before the value was read.
    pub before: Lsn,
    /// And behind.
    pub behind: Lsn,
    /// `None`: there is no such key.
    pub found: Option<Found>,
}

/// What becomes of a key whose value was read.
#[derive(Debug)]
pub(crate) enum Resolved {
    /// The value holds at this point of the journal; these records follow it.
    Exact(Option<Found>, Vec<Command>),
    /// It does not; it is wanted again.
    Again,
}

#[derive(Debug)]
struct Wanted {
    tries: u32,
    not_before: Instant,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Waiting,
    /// With the ticket of the request.
    Reading(u64, Parked),
    Read(Parked, Answer),
}

/// Records that came while the value was being read, with their LSNs.
#[derive(Debug, Default)]
struct Parked {
    records: Vec<(Lsn, Command)>,
    /// One was not kept: the value cannot be used.
    spoiled: bool,
}

/// The wanted keys of one flow.
#[derive(Debug)]
pub(crate) struct Rereads {
    keys: BTreeMap<Place, Wanted>,
    reading: usize,
    parked: usize,
    /// The most bytes of parked records, over all keys of a flow. Beyond it a key is read again later.
    most_parked: usize,
    /// Of the next request: an answer to an older one is not taken for it.
    ticket: u64,
}

impl Rereads {
    /// None, with room for so many bytes of parked records.
    pub(crate) fn new(most_parked: usize) -> Self {
        Self { keys: BTreeMap::new(), reading: 0, parked: 0, most_parked, ticket: 0 }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn wants(&self, place: &Place) -> bool {
        self.keys.contains_key(place)
    }

    /// Wants a key; true if it was not wanted before.
    pub(crate) fn want(&mut self, place: Place, now: Instant) -> bool {
        let mut new = false;
        let wanted = self.keys.entry(place).or_insert_with(|| {
            new = true;
            Wanted { tries: 0, not_before: now, stage: Stage::Waiting }
        });
        // What is being read may have been read before this record.
        if let Stage::Reading(_, parked) | Stage::Read(parked, _) = &mut wanted.stage {
            parked.spoiled = true;
        }
        new
    }

    /// A record of a wanted key alone: it is parked as long as it may be needed.
    pub(crate) fn park(&mut self, place: &Place, lsn: Lsn, record: &Command) {
        let Some(wanted) = self.keys.get_mut(place) else { return };
        let (Stage::Reading(_, parked) | Stage::Read(parked, _)) = &mut wanted.stage else { return };
        let size = record.args.byte_len();
        if self.parked + size > self.most_parked {
            parked.spoiled = true;
        } else {
            self.parked += size;
            parked.records.push((lsn, record.clone()));
        }
    }

    /// The key's value is known without reading: it is wanted no longer. Tells whether it was.
    pub(crate) fn forget(&mut self, place: &Place) -> bool {
        let Some(wanted) = self.keys.remove(place) else { return false };
        self.leave(&wanted.stage);
        true
    }

    /// Everything is gone on the source.
    pub(crate) fn clear(&mut self, goes: impl Fn(DbIndex) -> bool) {
        let places: Vec<Place> = self.keys.keys().filter(|(db, _)| goes(*db)).cloned().collect();
        for place in places {
            self.forget(&place);
        }
    }

    fn leave(&mut self, stage: &Stage) {
        match stage {
            Stage::Waiting => {}
            Stage::Reading(_, parked) | Stage::Read(parked, _) => {
                self.reading -= 1;
                self.parked -= parked.records.iter().map(|(_, record)| record.args.byte_len()).sum::<usize>();
            }
        }
    }

    /// The next key to be read, which counts as being read from now on, and the ticket of the request.
    pub(crate) fn next(&mut self, now: Instant) -> Option<(Place, u64)> {
        if self.reading >= AT_ONCE {
            return None;
        }
        let due = |wanted: &Wanted| matches!(wanted.stage, Stage::Waiting) && wanted.not_before <= now;
        let (place, wanted) = self.keys.iter_mut().find(|(_, wanted)| due(wanted))?;
        self.ticket += 1;
        wanted.stage = Stage::Reading(self.ticket, Parked::default());
        self.reading += 1;
        Some((place.clone(), self.ticket))
    }

    /// When [`Self::next`] may have something, if it has not now.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let waiting = self.keys.values().filter(|wanted| matches!(wanted.stage, Stage::Waiting));
        waiting.map(|wanted| wanted.not_before).min().filter(|_| self.reading < AT_ONCE)
    }

    /// The source was asked; `None`: it could not be.
    pub(crate) fn answer(&mut self, (place, ticket): (&Place, u64), answer: Option<Answer>, now: Instant) {
        let Some(wanted) = self.keys.get_mut(place) else { return };
        if !matches!(wanted.stage, Stage::Reading(current, _) if current == ticket) {
            return;
        }
        match (std::mem::replace(&mut wanted.stage, Stage::Waiting), answer) {
            (Stage::Reading(_, parked), Some(answer)) => wanted.stage = Stage::Read(parked, answer),
            (stage, _) => {
                delay(wanted, now);
                self.leave(&stage);
            }
        }
    }

    /// A key whose value was read, once the flow has come so far (the next LSN) that it can be judged.
    pub(crate) fn resolve(&mut self, next: Lsn, now: Instant) -> Option<(Place, Resolved)> {
        let ready =
            |wanted: &Wanted| matches!(&wanted.stage, Stage::Read(_, answer) if answer.behind <= next);
        let place = self.keys.iter().find(|(_, wanted)| ready(wanted)).map(|(place, _)| place.clone())?;
        let wanted = self.keys.get_mut(&place)?;
        let stage = std::mem::replace(&mut wanted.stage, Stage::Waiting);
        self.leave(&stage);
        let Stage::Read(parked, answer) = stage else { return None };
        let within = |lsn: &Lsn| answer.before <= *lsn && *lsn < answer.behind;
        if parked.spoiled || parked.records.iter().any(|(lsn, _)| within(lsn)) {
            if let Some(wanted) = self.keys.get_mut(&place) {
                delay(wanted, now);
            }
            return Some((place, Resolved::Again));
        }
        self.keys.remove(&place);
        let behind = parked.records.into_iter().filter(|(lsn, _)| *lsn >= answer.behind);
        let behind = behind.map(|(_, record)| record).collect();
        Some((place, Resolved::Exact(answer.found, behind)))
    }
}

fn delay(wanted: &mut Wanted, now: Instant) {
    wanted.not_before = now + AGAIN * (1 << wanted.tries.min(6));
    wanted.tries = wanted.tries.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use dfly_journal::{Args, TxId};
    use dfly_rdb::TypeId;
    use proptest::prelude::*;

    use super::*;

    fn place() -> Place {
        (DbIndex(0), "k".into())
    }

    fn record(name: &str) -> Command {
        Command { db: DbIndex(0), txid: TxId(0), args: Args::of(&[name, "k"]) }
    }

    fn found(text: u8) -> Option<Found> {
        let value = RawValue::new(TypeId::String, vec![1, text].into());
        Some(Found { value, expire_at: None })
    }

    #[test]
    fn exact_without_a_record_in_between() {
        let now = Instant::now();
        let mut rereads = Rereads::new(4096);
        assert!(rereads.want(place(), now) && !rereads.want(place(), now));
        assert_eq!((rereads.next(now), rereads.next(now)), (Some((place(), 1)), None));
        for (lsn, name) in [(4, "BEFORE"), (7, "BEHIND")] {
            rereads.park(&place(), Lsn(lsn), &record(name));
        }
        let answer = || Some(Answer { before: Lsn(5), behind: Lsn(7), found: found(b'v') });
        rereads.answer((&place(), 0), answer(), now);
        assert!(rereads.resolve(Lsn(9), now).is_none(), "the answer to another request");
        rereads.answer((&place(), 1), answer(), now);
        assert!(rereads.resolve(Lsn(6), now).is_none(), "the flow has not come to 7");
        let Some((_, Resolved::Exact(value, behind))) = rereads.resolve(Lsn(8), now) else { panic!() };
        assert_eq!((value, behind), (found(b'v'), vec![record("BEHIND")]));
        assert!(rereads.is_empty() && rereads.parked == 0 && rereads.reading == 0);
    }

    #[test]
    fn again_with_a_record_in_between_or_one_that_was_not_kept() {
        let now = Instant::now();
        for spoil in [false, true] {
            let mut rereads = Rereads::new(4096);
            rereads.want(place(), now);
            rereads.next(now);
            if spoil {
                rereads.want(place(), now);
            } else {
                rereads.park(&place(), Lsn(5), &record("WITHIN"));
            }
            rereads.answer((&place(), 1), Some(Answer { before: Lsn(5), behind: Lsn(6), found: None }), now);
            assert!(matches!(rereads.resolve(Lsn(6), now), Some((_, Resolved::Again))));
            assert_eq!((rereads.next(now), rereads.deadline()), (None, Some(now + AGAIN)));
            assert_eq!(rereads.next(now + AGAIN), Some((place(), 2)));
            rereads.answer((&place(), 2), None, now);
            assert_eq!(rereads.deadline(), Some(now + 2 * AGAIN), "the source could not be asked");
            assert!(rereads.forget(&place()) && rereads.parked == 0 && rereads.reading == 0);
        }
    }

    proptest! {
        /// A counter that the source increases with each record: whatever the times of reading, what is written and what
        /// follows it end with the source's value.
        #[test]
        fn in_step_whenever_it_is_read(
            steps in prop::collection::vec((0u8..5, 1u64..4), 1..120),
        ) {
            let (now, mut rereads) = (Instant::now(), Rereads::new(4096));
            // The source's records are increments; its value is their number. The flow lags behind.
            let (mut source, mut flow, mut target) = (0u64, 0u64, 0u64);
            let (mut reading, mut before) = (None, None);
            rereads.want(place(), now);
            let mut step = |kind: u8, by: u64, rereads: &mut Rereads| match kind {
                0 => source += by,
                1 => for _ in 0..by.min(source - flow) {
                    flow += 1;
                    if rereads.wants(&place()) {
                        rereads.park(&place(), Lsn(flow), &record("INCR"));
                    } else {
                        target += 1;
                    }
                    resolve(rereads, flow, &mut target);
                },
                2 if reading.is_none() => reading = rereads.next(now + Duration::from_secs(99)),
                3 if reading.is_some() && before.is_none() => before = Some(source + 1),
                4 => if let (Some(first), Some((place, ticket))) = (before, &reading) {
                    // The value is that of any moment in between; here the latest.
                    let found = Some(Found {
                        value: RawValue::new(TypeId::String, source.to_string().into_bytes().into()),
                        expire_at: None,
                    });
                    let answer = Answer { before: Lsn(first), behind: Lsn(source + 1), found };
                    rereads.answer((place, *ticket), Some(answer), now);
                    (reading, before) = (None, None);
                    resolve(rereads, flow, &mut target);
                },
                _ => {}
            };
            for (kind, by) in steps {
                step(kind, by, &mut rereads);
            }
            for kind in [2, 3, 4, 1, 2, 3, 4, 1] {
                step(kind, u64::MAX, &mut rereads);
            }
            prop_assert!(rereads.is_empty());
            prop_assert_eq!(target, source);
        }
    }

    fn resolve(rereads: &mut Rereads, flow: u64, target: &mut u64) {
        if let Some((_, Resolved::Exact(found, behind))) = rereads.resolve(Lsn(flow + 1), Instant::now()) {
            let text = found.unwrap().value.payload().to_vec();
            *target = String::from_utf8(text).unwrap().parse::<u64>().unwrap() + behind.len() as u64;
        }
    }
}
