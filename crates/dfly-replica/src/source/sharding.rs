//! Which flow a key belongs to (protocol section 3.10): XXH64 with a fixed seed, modulo the number of flows, of the key, or
//! of its hash tag, or of its slot, by how the master was started. The snapshot shows which of them it is.

use dfly_client::FlowId;
use redis_slots::Slot;
use xxhash_rust::xxh64::xxh64;

/// Dragonfly `sharding.cc`, `Shard`; the same in all releases from v1.0 to v1.40.
const SEED: u64 = 120_577_240_643;

/// A formula is believed when it holds for this many keys, and for all of them.
const ENOUGH: u32 = 200;

/// How a master spreads its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharding {
    /// By the whole key.
    Key,
    /// By the hash tag, if there is one (`--lock_on_hashtags`, cluster mode).
    HashTag,
    /// By the slot (`--experimental_cluster_shard_by_slot`).
    Slot,
}

impl Sharding {
    /// As it stands among the positions in the target.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::HashTag => "hash-tag",
            Self::Slot => "slot",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sharding| sharding.name() == name)
    }

    const ALL: [Self; 3] = [Self::Key, Self::HashTag, Self::Slot];

    /// The flow of a key.
    pub fn owner(self, key: &[u8], flows: u16) -> FlowId {
        let flows = u64::from(flows.max(1));
        let shard = match self {
            Self::Key => xxh64(key, SEED) % flows,
            Self::HashTag => xxh64(redis_slots::hash_tag(key), SEED) % flows,
            Self::Slot => u64::from(Slot::of(key).0) % flows,
        };
        FlowId(u16::try_from(shard).unwrap_or(0))
    }
}

/// What a flow has seen of its keys: which formulas hold for all of them.
#[derive(Debug, Clone, Default)]
pub struct OwnerCheck {
    seen: u32,
    /// By the index in [`Sharding::ALL`]: how many keys the formula puts into another flow.
    misses: [u32; 3],
}

impl OwnerCheck {
    /// A key of the snapshot came on this flow.
    pub fn see(&mut self, key: &[u8], flow: FlowId, flows: u16) {
        if self.is_sated() {
            return;
        }
        self.seen += 1;
        for (sharding, misses) in Sharding::ALL.into_iter().zip(&mut self.misses) {
            *misses += u32::from(sharding.owner(key, flows) != flow);
        }
    }

    /// The formulas that hold. A few keys may lie on the wrong flow all the same.
    fn holding(&self) -> impl Iterator<Item = Sharding> {
        let holds = |misses: u32| misses.saturating_mul(1000) <= self.seen;
        Sharding::ALL
            .into_iter()
            .zip(self.misses)
            .filter(move |(_, misses)| holds(*misses))
            .map(|(sharding, _)| sharding)
    }

    /// The formula that holds; `None` if none does. Few keys may fit several formulas; then it is the most common one.
    pub fn likely(&self) -> Option<Sharding> {
        self.holding().next()
    }

    /// Whether a key belongs to another flow by every formula that holds.
    pub fn is_foreign(&self, key: &[u8], flow: FlowId, flows: u16) -> bool {
        self.likely().is_some() && self.holding().all(|sharding| sharding.owner(key, flows) != flow)
    }

    /// The flow of a key by every formula that holds; `None` if they disagree, or none holds.
    pub fn owner(&self, key: &[u8], flows: u16) -> Option<FlowId> {
        let mut owners = self.holding().map(|sharding| sharding.owner(key, flows));
        let first = owners.next()?;
        owners.all(|owner| owner == first).then_some(first)
    }

    /// The flow of a key for a session that resumes and has seen no key: the first synchronisation would have kept a formula
    /// that is not fitted by keys without hash tags, so it is that of the whole key or of the hash tag. `None` if they disagree.
    pub fn owner_if_unseen(&self, key: &[u8], flows: u16) -> Option<FlowId> {
        let [by_key, by_tag] = [Sharding::Key, Sharding::HashTag].map(|sharding| sharding.owner(key, flows));
        (self.seen == 0 && by_key == by_tag).then_some(by_key)
    }

    /// The only formula that holds, once enough keys were seen that it can be kept for later sessions.
    pub fn certain(&self) -> Option<Sharding> {
        self.likely().filter(|_| self.seen >= ENOUGH && self.holding().count() == 1)
    }

    /// Whether it has seen so many keys that more change nothing.
    pub fn is_sated(&self) -> bool {
        self.seen >= 100 * ENOUGH
    }

    /// Adds what another flow has seen.
    pub fn merge(&mut self, other: &Self) {
        self.seen = self.seen.saturating_add(other.seen);
        for (misses, more) in self.misses.iter_mut().zip(other.misses) {
            *misses = misses.saturating_add(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sharding: Sharding, flows: u16, wrong: u32) -> Option<Sharding> {
        let mut check = OwnerCheck::default();
        for n in 0..2000u32 {
            let key = format!("key:{{{}}}:{n}", n % 700);
            if sharding.owner(key.as_bytes(), flows) == FlowId(1) || n < wrong {
                check.see(key.as_bytes(), FlowId(1), flows);
            }
        }
        assert_eq!(check.likely(), check.certain());
        check.certain()
    }

    /// Keys without hash tags fit two formulas, so neither is kept for the next session.
    #[test]
    fn a_session_that_has_seen_nothing() {
        let unseen = OwnerCheck::default();
        assert_eq!(unseen.owner_if_unseen(b"plain", 4), Some(Sharding::Key.owner(b"plain", 4)));
        let differs = |n: &u32| {
            let key = format!("k{n}:{{tag}}");
            Sharding::Key.owner(key.as_bytes(), 4) != Sharding::HashTag.owner(key.as_bytes(), 4)
        };
        let tagged = format!("k{}:{{tag}}", (0..99).find(differs).unwrap());
        assert_eq!(unseen.owner_if_unseen(tagged.as_bytes(), 4), None);
        let mut seen = OwnerCheck::default();
        seen.see(b"plain", FlowId(0), 4);
        assert_eq!(seen.owner_if_unseen(b"plain", 4), None, "what was seen decides");
    }

    #[test]
    fn the_formula_shows() {
        for sharding in Sharding::ALL {
            assert_eq!(check(sharding, 4, 0), Some(sharding));
            assert_eq!(check(sharding, 4, 500), None, "too many keys lie elsewhere");
        }
        assert_eq!(OwnerCheck::default().certain(), None);
        assert_eq!(OwnerCheck::default().likely(), Some(Sharding::Key));
    }

    #[test]
    fn a_key_without_a_tag_has_one_owner() {
        let mut check = OwnerCheck::default();
        for n in 0..300 {
            let key = format!("key:{n}");
            if Sharding::Key.owner(key.as_bytes(), 4) == FlowId(1) {
                check.see(key.as_bytes(), FlowId(1), 4);
            }
        }
        assert_eq!(check.certain(), None, "no key tells the whole key from the tag");
        assert_eq!(check.owner(b"other", 4), Some(Sharding::Key.owner(b"other", 4)));
        let disputed = (0..)
            .map(|n| format!("a:{{{n}}}"))
            .find(|key| Sharding::Key.owner(key.as_bytes(), 4) != Sharding::HashTag.owner(key.as_bytes(), 4));
        assert_eq!(check.owner(disputed.unwrap().as_bytes(), 4), None);
    }

    #[test]
    fn a_few_keys_tell_of_most_others() {
        let mut check = OwnerCheck::default();
        let (flow, flows) = (FlowId(1), 3);
        let (mine, foreign): (Vec<String>, Vec<String>) = (0..300)
            .map(|n| format!("key:{n}"))
            .partition(|key| Sharding::Key.owner(key.as_bytes(), flows) == flow);
        mine.iter().take(12).for_each(|key| check.see(key.as_bytes(), flow, flows));
        assert_eq!(check.certain(), None);
        assert!(foreign.iter().all(|key| check.is_foreign(key.as_bytes(), flow, flows)));
        assert!(!mine.iter().any(|key| check.is_foreign(key.as_bytes(), flow, flows)));
        let tagged = |key: &&String| {
            let owner = Sharding::HashTag.owner(format!("{{{key}}}x").as_bytes(), flows);
            owner == flow && Sharding::Key.owner(format!("{{{key}}}x").as_bytes(), flows) != flow
        };
        let tagged = mine.iter().chain(&foreign).find(tagged).unwrap();
        assert!(
            !check.is_foreign(format!("{{{tagged}}}x").as_bytes(), flow, flows),
            "by one of two that hold it is not"
        );
    }

    /// Seen on a live v1.40.1 with three shards (protocol section 3.10).
    #[test]
    fn one_flow_owns_everything() {
        assert_eq!(Sharding::Key.owner(b"k", 1), FlowId(0));
    }
}
