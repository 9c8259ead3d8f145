//! Keys that somebody compares with the source while the flow goes on: which of them got a record, and since when the target
//! holds everything that a reading of the source can have seen.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use dfly_journal::Lsn;

use crate::keys::{RecordKeys, SourceKey};

/// How long a watch lasts at the most, so that nobody who is gone leaves one behind.
const LONGEST_WATCH: Duration = Duration::from_secs(300);

/// How long a flow stands still at the most while the source is read, and again while the target is.
const LONGEST_HOLD: Duration = Duration::from_millis(250);

/// The most watches of one flow.
const MOST_WATCHES: usize = 64;

/// One watch of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub u64);

/// What a flow says of a watched key once the target has everything that came before the source was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Settled {
    /// The target holds every record before this one, and no record of the key came since the source was read. It holds as
    /// long as the watch is not touched.
    Stands(Lsn),
    /// The key waits to be refetched, or to be looked for on the source.
    Waits,
    /// A record of the key came since the source was read.
    Touched,
}

/// Where the source stood when the keys were read: its next record before, and behind that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub before: Lsn,
    pub behind: Lsn,
}

/// Whether a watch holds the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    Free,
    /// Nothing is applied until the source was read.
    Reading {
        until: Instant,
    },
    /// The flow goes on to before this record, however far that is.
    Ahead {
        lsn: Lsn,
    },
    /// It has come there: nothing is applied until the target was read.
    Behind {
        until: Instant,
    },
}

#[derive(Debug)]
struct Watch {
    keys: Vec<SourceKey>,
    expires: Instant,
    hold: Hold,
    progress: Progress,
}

/// How far a watch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// The source is being read.
    Reading,
    /// The flow has to come to where the source was read.
    Coming(Bounds),
    /// It has, and so many batches have to be carried out, over the life of the flow: what the flow has written of its own
    /// accord is among them.
    Fenced(Bounds, u64),
    /// Somebody was told, and reads the target.
    Told(Bounds),
}

impl Progress {
    fn bounds(self) -> Option<Bounds> {
        match self {
            Self::Reading => None,
            Self::Coming(bounds) | Self::Fenced(bounds, _) | Self::Told(bounds) => Some(bounds),
        }
    }

    fn is_awaited(self) -> bool {
        matches!(self, Self::Coming(_) | Self::Fenced(..))
    }
}

/// How many batches a flow has handed to the target, and how many of them were carried out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Batches {
    pub committed: u64,
    pub carried: u64,
}

/// A key that is watched.
#[derive(Debug, Default)]
struct Seen {
    watches: usize,
    /// Its last record.
    last: Option<Lsn>,
}

/// The watches of one flow.
#[derive(Debug, Default)]
pub(crate) struct WatchedKeys {
    watches: BTreeMap<WatchId, Watch>,
    seen: HashMap<SourceKey, Seen>,
}

impl WatchedKeys {
    /// Whether records need no look at this part.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.watches.is_empty()
    }

    /// From now on it is noted which of these keys get a record. With `holds`, nothing is applied until the source was read.
    pub(crate) fn begin(&mut self, id: WatchId, keys: Vec<SourceKey>, holds: bool, now: Instant) {
        if self.watches.len() >= MOST_WATCHES {
            return;
        }
        for key in &keys {
            self.seen.entry(key.clone()).or_default().watches += 1;
        }
        let hold = match holds {
            true => Hold::Reading { until: now + LONGEST_HOLD },
            false => Hold::Free,
        };
        let expires = now + LONGEST_WATCH;
        self.watches.insert(id, Watch { keys, expires, hold, progress: Progress::Reading });
    }

    /// A record that is applied. One that does not tell its keys may be of any.
    pub(crate) fn see(&mut self, record: &RecordKeys<'_>, lsn: Lsn) {
        if self.seen.is_empty() {
            return;
        }
        match record.all() {
            [] if !record.is_known() => self.touch_all(lsn),
            keys => keys.iter().for_each(|key| self.touch(key, lsn)),
        }
    }

    /// The value of a key on the target changes with this record.
    pub(crate) fn touch(&mut self, key: &SourceKey, lsn: Lsn) {
        if let Some(seen) = self.seen.get_mut(key) {
            seen.last = seen.last.max(Some(lsn));
        }
    }

    /// Any key may change with this record.
    pub(crate) fn touch_all(&mut self, lsn: Lsn) {
        self.seen.values_mut().for_each(|seen| seen.last = seen.last.max(Some(lsn)));
    }

    /// The source was read: somebody waits for the target to have come so far. False if there is no such watch any more.
    pub(crate) fn settle(&mut self, id: WatchId, bounds: Bounds) -> bool {
        let Some(watch) = self.watches.get_mut(&id) else { return false };
        watch.progress = Progress::Coming(bounds);
        if let Hold::Reading { .. } = watch.hold {
            watch.hold = Hold::Ahead { lsn: bounds.behind };
        }
        true
    }

    /// Everything before `received` was applied: whoever holds the flow there may read the target from now on.
    pub(crate) fn arrive(&mut self, received: Lsn, now: Instant) {
        for watch in self.watches.values_mut() {
            if let Hold::Ahead { lsn } = watch.hold
                && lsn <= received
            {
                watch.hold = Hold::Behind { until: now + LONGEST_HOLD };
            }
        }
    }

    /// The flow has written everything before `received`, and handed it to the target.
    pub(crate) fn reach(&mut self, received: Lsn, batches: Batches) {
        for watch in self.watches.values_mut() {
            if let Progress::Coming(bounds) = watch.progress
                && bounds.behind <= received
            {
                watch.progress = Progress::Fenced(bounds, batches.committed);
            }
        }
    }

    /// A watch for which the target has come far enough, and what is said of its keys, of which `waits` are to be refetched.
    pub(crate) fn next_settled(
        &mut self,
        batches: Batches,
        waits: impl Fn(&SourceKey) -> bool,
    ) -> Option<(WatchId, Vec<Settled>)> {
        let (id, watch, bounds) = self.watches.iter_mut().find_map(|(id, watch)| match watch.progress {
            Progress::Fenced(bounds, fence) if fence <= batches.carried => Some((*id, watch, bounds)),
            _ => None,
        })?;
        watch.progress = Progress::Told(bounds);
        let state = |key: &SourceKey| match self.seen.get(key).and_then(|seen| seen.last) {
            Some(last) if last >= bounds.before => Settled::Touched,
            _ if waits(key) => Settled::Waits,
            _ => Settled::Stands(bounds.behind),
        };
        Some((id, watch.keys.iter().map(state).collect()))
    }

    /// Ends a watch: which of its keys changed since the source was read. `None` if there is no such watch any more.
    pub(crate) fn release(&mut self, id: WatchId, waits: impl Fn(&SourceKey) -> bool) -> Option<Vec<bool>> {
        let watch = self.watches.remove(&id)?;
        let before = watch.progress.bounds().map(|bounds| bounds.before);
        let is_touched = |key: &SourceKey| {
            let last = self.seen.get(key).and_then(|seen| seen.last);
            last.is_some_and(|last| before.is_none_or(|before| last >= before)) || waits(key)
        };
        let touched = watch.keys.iter().map(is_touched).collect();
        self.forget(&watch.keys);
        Some(touched)
    }

    fn forget(&mut self, keys: &[SourceKey]) {
        for key in keys {
            if let Some(seen) = self.seen.get_mut(key) {
                seen.watches -= 1;
                if seen.watches == 0 {
                    self.seen.remove(key);
                }
            }
        }
    }

    /// Ends what has lasted for too long. Gives the watches that are gone and that somebody waits for.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<WatchId> {
        let mut awaited = Vec::new();
        while let Some(id) = self.watches.iter().find(|(_, watch)| watch.expires <= now).map(|(id, _)| *id) {
            let Some(watch) = self.watches.remove(&id) else { break };
            self.forget(&watch.keys);
            if watch.progress.is_awaited() {
                awaited.push(id);
            }
        }
        for watch in self.watches.values_mut() {
            if let Hold::Reading { until } | Hold::Behind { until } = watch.hold
                && until <= now
            {
                watch.hold = Hold::Free;
            }
        }
        awaited
    }

    /// The flow is held no longer.
    pub(crate) fn end_holds(&mut self) {
        self.watches.values_mut().for_each(|watch| watch.hold = Hold::Free);
    }

    /// Whether nothing is applied from `received` on.
    pub(crate) fn holds(&self, received: Option<Lsn>) -> bool {
        self.watches.values().any(|watch| match watch.hold {
            Hold::Free => false,
            Hold::Reading { .. } | Hold::Behind { .. } => true,
            Hold::Ahead { lsn } => received >= Some(lsn),
        })
    }

    /// When a hold or a watch ends by itself.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let end = |watch: &Watch| match watch.hold {
            Hold::Free | Hold::Ahead { .. } => watch.expires,
            Hold::Reading { until } | Hold::Behind { until } => until,
        };
        self.watches.values().map(end).min()
    }
}

#[cfg(test)]
mod tests {
    use dfly_journal::{Args, Command, TxId};
    use dfly_wire::DbIndex;

    use super::*;

    const ID: WatchId = WatchId(1);

    fn key(name: &str) -> SourceKey {
        SourceKey::new(DbIndex(0), name.to_owned())
    }

    fn watched(holds: bool, now: Instant) -> WatchedKeys {
        let mut watched = WatchedKeys::default();
        watched.begin(ID, vec![key("a"), key("b")], holds, now);
        watched
    }

    fn batches(committed: u64, carried: u64) -> Batches {
        Batches { committed, carried }
    }

    fn see(watched: &mut WatchedKeys, line: &str, lsn: u64) {
        let words: Vec<&str> = line.split(' ').collect();
        let command = Command { db: DbIndex(0), txid: TxId(0), args: Args::of(&words) };
        watched.see(&RecordKeys::of(&command), Lsn(lsn));
    }

    #[test]
    fn a_record_since_the_source_was_read_touches_its_key() {
        let mut watched = watched(false, Instant::now());
        see(&mut watched, "SET a older", 4);
        assert!(watched.settle(ID, Bounds { before: Lsn(5), behind: Lsn(7) }));
        watched.reach(Lsn(6), batches(2, 2));
        assert_eq!(watched.next_settled(batches(2, 2), |_| false), None, "the flow lacks what was read");
        see(&mut watched, "SADD b within", 6);
        watched.reach(Lsn(7), batches(4, 2));
        assert_eq!(watched.next_settled(batches(5, 3), |_| false), None, "the target lacks it");
        let settled = watched.next_settled(batches(6, 4), |_| false);
        assert_eq!(settled, Some((ID, vec![Settled::Stands(Lsn(7)), Settled::Touched])));
        assert_eq!(watched.next_settled(batches(6, 6), |_| false), None, "told once");
        see(&mut watched, "RENAME c a", 9);
        assert_eq!(watched.release(ID, |_| false), Some(vec![true, true]));
        assert!(watched.is_empty() && watched.seen.is_empty());
        assert_eq!(watched.release(ID, |_| false), None);
    }

    #[test]
    fn what_waits_to_be_refetched_is_not_compared() {
        let mut watched = watched(false, Instant::now());
        watched.settle(ID, Bounds { before: Lsn(5), behind: Lsn(5) });
        let waits = |waiting: &SourceKey| *waiting == key("a");
        watched.reach(Lsn(5), batches(0, 0));
        let settled = watched.next_settled(batches(0, 0), waits).map(|(_, settled)| settled);
        assert_eq!(settled, Some(vec![Settled::Waits, Settled::Stands(Lsn(5))]));
        assert_eq!(watched.release(ID, waits), Some(vec![true, false]));
    }

    #[test]
    fn a_record_without_known_keys_touches_all() {
        for line in ["NOSUCHCOMMAND", "SET other v"] {
            let mut watched = watched(false, Instant::now());
            watched.settle(ID, Bounds { before: Lsn(5), behind: Lsn(5) });
            see(&mut watched, line, 8);
            let is_any = line == "NOSUCHCOMMAND";
            assert_eq!(watched.release(ID, |_| false), Some(vec![is_any; 2]), "{line}");
        }
    }

    #[test]
    fn a_hold_lets_the_flow_come_to_where_the_source_was_read() {
        let now = Instant::now();
        let mut watched = watched(true, now);
        assert!(watched.holds(Some(Lsn(3))), "until the source was read");
        watched.settle(ID, Bounds { before: Lsn(5), behind: Lsn(7) });
        assert_eq!([6, 7, 8].map(|lsn| watched.holds(Some(Lsn(lsn)))), [false, true, true]);
        // The target is far behind: the time of the hold begins when the flow has come there.
        let arrived = now + 40 * LONGEST_HOLD;
        assert_eq!(watched.expire(arrived), []);
        watched.arrive(Lsn(6), now);
        watched.arrive(Lsn(7), arrived);
        assert!(watched.holds(Some(Lsn(7))));
        assert_eq!(watched.deadline(), Some(arrived + LONGEST_HOLD));
        watched.arrive(Lsn(7), arrived + LONGEST_HOLD / 2);
        assert_eq!(watched.expire(arrived + LONGEST_HOLD), []);
        assert!(!watched.holds(Some(Lsn(7))), "nobody holds a flow for longer");
        assert_eq!(watched.expire(now + LONGEST_WATCH), [ID], "somebody waits for it");
        assert!(watched.is_empty() && watched.seen.is_empty() && watched.deadline().is_none());
    }

    #[test]
    fn a_key_is_watched_as_long_as_anybody_does() {
        let now = Instant::now();
        let mut watched = watched(false, now);
        watched.begin(WatchId(2), vec![key("a")], false, now);
        watched.release(ID, |_| false);
        watched.settle(WatchId(2), Bounds { before: Lsn(5), behind: Lsn(5) });
        see(&mut watched, "DEL a", 5);
        assert_eq!(watched.release(WatchId(2), |_| false), Some(vec![true]));
    }
}
