//! Which keys the target may have let expire although the source had them alive when it wrote the record that is applied
//! now. Pure: keys as digests, times as arguments.
//!
//! Between the birth of a record and the moment that the target carries it out, the target's clock may pass the expiry of a
//! key that the record needs. The source may even have prolonged the key's life meanwhile (protocol section 10, pitfall
//! 38). The index holds every expiry that passes through the flow, by spans of time, and so knows the few keys for which
//! that may happen; the target checks their records. Where the expiries that the target holds are not known, every key is
//! such a key.

mod stored;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use dfly_journal::Lsn;
use dfly_wire::{DbIndex, UnixMillis};

use crate::keys::digest;

/// How long the expiry of a key may be past when a record that saw it alive is read, in milliseconds: the time that a
/// record spends in the buffers of source and network.
const PAST: i64 = 600_000;

/// A key, in four bytes: one that is taken for another is checked for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct KeyDigest(u32);

impl KeyDigest {
    pub(crate) fn of(db: DbIndex, key: &[u8]) -> Self {
        let [a, b, c, d, ..] = digest(db, key).to_le_bytes();
        Self(u32::from_le_bytes([a, b, c, d]))
    }
}

/// What an index may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TtlLimits {
    /// The most index.
    pub most: usize,
    /// Expiries within so long are not told apart.
    pub span: Duration,
}

/// How much is known of the expiries that the target holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// All of them.
    All,
    /// Only those that have come by.
    Some,
    /// All, but records before this position may need keys that had expired before.
    From(Lsn),
    /// There are too many.
    TooMany,
}

/// Keys: their bits are random already.
type Keys = HashSet<KeyDigest, BuildHasherDefault<DefaultHasher>>;

/// The expiries of one flow's keys.
#[derive(Debug)]
pub(crate) struct TtlIndex {
    known: Known,
    /// The length of a span, in milliseconds.
    span: i64,
    /// Keys by the span of their expiry, from `near_to` on.
    ahead: BTreeMap<i64, Keys>,
    /// How many keys that are.
    held: usize,
    /// The most that are held.
    most: usize,
    /// The latest span of each key whose expiry is near.
    near: HashMap<KeyDigest, i64, BuildHasherDefault<DefaultHasher>>,
    /// Spans before this one are near, or past.
    near_to: i64,
    /// Keys whose expiry came with a new name.
    carried: Keys,
    /// Records that come may be as old as this, whenever they are received: until `caught_up_at`.
    since: Option<UnixMillis>,
    /// The position from which on records are new, once that is known.
    caught_up_at: Option<Lsn>,
}

impl TtlIndex {
    /// Of a target that holds no other expiry than those that will come by.
    pub(crate) fn new(limits: TtlLimits) -> Self {
        let TtlLimits { most, span } = limits;
        Self {
            known: Known::All,
            span: i64::try_from(span.as_millis()).unwrap_or(i64::MAX).max(1),
            ahead: BTreeMap::new(),
            held: 0,
            most,
            near: HashMap::default(),
            near_to: i64::MIN,
            carried: Keys::default(),
            since: None,
            caught_up_at: None,
        }
    }

    /// Of a target that holds others.
    pub(crate) fn unknown(limits: TtlLimits) -> Self {
        Self { known: Known::Some, ..Self::new(limits) }
    }

    /// Whether the target may hold expiries that have not come by.
    pub(crate) fn is_unknown(&self) -> bool {
        self.known == Known::Some
    }

    /// Whether no key is at risk.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.known == Known::All && self.near.is_empty() && self.carried.is_empty()
    }

    /// Whether the key may have an expiry.
    pub(crate) fn may_expire(&self, key: KeyDigest) -> bool {
        match self.known {
            Known::Some | Known::TooMany => true,
            Known::All | Known::From(_) => {
                self.near.contains_key(&key)
                    || self.carried.contains(&key)
                    || self.ahead.values().any(|keys| keys.contains(&key))
            }
        }
    }

    /// Whether a record of this key has to be checked.
    pub(crate) fn is_at_risk(&self, key: KeyDigest) -> bool {
        self.known != Known::All || self.near.contains_key(&key) || self.carried.contains(&key)
    }

    /// A key has this expiry. True if that is one too many to be kept in mind, for the first time.
    pub(crate) fn learn(&mut self, key: KeyDigest, at: UnixMillis) -> bool {
        let span = at.0.div_euclid(self.span);
        if span < self.near_to {
            let latest = self.near.entry(key).or_insert(span);
            *latest = span.max(*latest);
        } else if self.known != Known::TooMany && self.ahead.entry(span).or_default().insert(key) {
            self.held += 1;
            if self.held + self.carried.len() > self.most {
                self.give_up();
                return true;
            }
        }
        false
    }

    /// A key has come to the expiry of another. As [`Self::learn`].
    pub(crate) fn carry(&mut self, key: KeyDigest) -> bool {
        let full = self.known != Known::TooMany
            && self.carried.insert(key)
            && self.held + self.carried.len() > self.most;
        if full {
            self.give_up();
        }
        full
    }

    /// A key has no expiry, or is gone on the source too.
    pub(crate) fn forget(&mut self, key: KeyDigest) {
        self.near.remove(&key);
        self.carried.remove(&key);
    }

    /// No key is left.
    pub(crate) fn clear(&mut self) {
        (self.ahead, self.held) = (BTreeMap::new(), 0);
        self.near.clear();
        self.carried.clear();
    }

    fn give_up(&mut self) {
        self.known = Known::TooMany;
        self.clear();
    }

    /// Every expiry that the target holds has come by; records before that position may need keys that had none any more.
    pub(crate) fn complete(&mut self, from: Lsn) {
        self.caught_up_at = Some(from);
        if self.known == Known::Some {
            self.known = Known::From(from);
        }
    }

    /// The flow has come to this position.
    #[inline]
    pub(crate) fn reach(&mut self, next: Lsn) {
        if matches!(self.known, Known::From(from) if from <= next) {
            self.known = Known::All;
        }
        if self.since.is_some() && self.caught_up_at.is_some_and(|from| from <= next) {
            self.since = None;
        }
    }

    /// What is applied from now on was received at `received` or later, and the target carries it out while its clock
    /// shows at the most `latest`.
    pub(crate) fn turn(&mut self, received: UnixMillis, latest: UnixMillis) {
        let near_to = latest.0.div_euclid(self.span) + 1;
        if near_to <= self.near_to {
            return;
        }
        self.near_to = near_to;
        let ahead = self.ahead.split_off(&near_to);
        for (span, keys) in std::mem::replace(&mut self.ahead, ahead) {
            self.held -= keys.len();
            for key in keys {
                let latest = self.near.entry(key).or_insert(span);
                *latest = span.max(*latest);
            }
        }
        let oldest = self.since.map_or(received.0, |since| received.0.min(since.0));
        let past = oldest.saturating_sub(PAST).div_euclid(self.span);
        self.near.retain(|_, span| *span >= past);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;
    const SPAN: Duration = Duration::from_secs(60);

    fn limits(most: usize) -> TtlLimits {
        TtlLimits { most, span: SPAN }
    }

    fn mark(name: &str) -> KeyDigest {
        KeyDigest::of(DbIndex(0), name.as_bytes())
    }

    #[test]
    fn near_for_a_while() {
        let mut index = TtlIndex::new(limits(100));
        let turn = |index: &mut TtlIndex, now| index.turn(UnixMillis(now), UnixMillis(now + 1));
        turn(&mut index, 0);
        index.learn(mark("k"), UnixMillis(HOUR));
        for (now, at_risk) in [
            (0, false),
            (HOUR - MINUTE - 2, false),
            (HOUR - 1, true),
            (HOUR + 9 * MINUTE, true),
            (2 * HOUR, false),
        ] {
            turn(&mut index, now);
            assert_eq!((index.is_at_risk(mark("k")), index.is_quiet()), (at_risk, !at_risk), "{now}");
        }
        index.learn(mark("k"), UnixMillis(2 * HOUR));
        assert!(index.is_at_risk(mark("k")) && !index.is_at_risk(mark("other")));
        index.forget(mark("k"));
        index.carry(mark("l"));
        assert!(!index.is_at_risk(mark("k")) && index.is_at_risk(mark("l")));
        index.clear();
        assert!(index.is_quiet());
    }

    #[test]
    fn every_key_where_it_is_not_known() {
        let mut index = TtlIndex::unknown(limits(1));
        assert!(index.is_at_risk(mark("k")) && !index.is_quiet());
        index.reach(Lsn(100));
        assert!(index.is_at_risk(mark("k")));
        index.complete(Lsn(101));
        index.reach(Lsn(100));
        assert!(index.is_at_risk(mark("k")));
        index.reach(Lsn(101));
        assert!(!index.is_at_risk(mark("k")));
        assert!(!index.learn(mark("a"), UnixMillis(HOUR)) && index.learn(mark("b"), UnixMillis(HOUR)));
        assert!(!index.learn(mark("c"), UnixMillis(HOUR)) && index.is_at_risk(mark("k")));
        index.complete(Lsn(0));
        assert!(!index.is_quiet(), "too many stay too many");
    }

    proptest! {
        /// A key whose last expiry the target may have passed, and the source not, is always at risk.
        #[test]
        fn none_is_missed(
            steps in prop::collection::vec((0u8..4, 0u8..5, 0i64..200 * MINUTE), 1..100),
        ) {
            let (mut index, mut model) = (TtlIndex::new(limits(1000)), BTreeMap::new());
            let (mut now, horizon) = (0, 10_000);
            for (kind, key, by) in steps {
                let name = mark(&key.to_string());
                match kind {
                    0 => {
                        index.learn(name, UnixMillis(now + by));
                        model.insert(key, now + by);
                    }
                    1 => {
                        index.forget(name);
                        model.remove(&key);
                    }
                    _ => now += by / 40,
                }
                index.turn(UnixMillis(now), UnixMillis(now + horizon));
                for (key, at) in &model {
                    let passed = *at <= now + horizon && *at > now - PAST;
                    let name = mark(&key.to_string());
                    prop_assert!(!passed || index.is_at_risk(name), "{} at {} of {}", key, at, now);
                }
            }
        }
    }
}
