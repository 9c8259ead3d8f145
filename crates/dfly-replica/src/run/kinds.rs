//! How many keys of each kind a snapshot has brought.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use dfly_rdb::ValueKind;

/// The names of the kinds, as the settings have them.
const NAMES: [&str; 12] =
    ["string", "list", "set", "hash", "zset", "stream", "json", "bloom", "cms", "topk", "cuckoo", "module"];

/// Counters that are written while others read them.
#[derive(Debug, Default)]
pub(crate) struct KindCounters([AtomicU64; NAMES.len()]);

/// Where a kind is among the names.
fn place(kind: ValueKind) -> usize {
    match kind {
        ValueKind::String => 0,
        ValueKind::List => 1,
        ValueKind::Set => 2,
        ValueKind::Hash => 3,
        ValueKind::SortedSet => 4,
        ValueKind::Stream => 5,
        ValueKind::Json => 6,
        ValueKind::Bloom => 7,
        ValueKind::CountMinSketch => 8,
        ValueKind::TopK => 9,
        ValueKind::Cuckoo => 10,
        // A module's, or of a later release.
        _ => 11,
    }
}

impl KindCounters {
    pub(crate) fn count(&self, kind: ValueKind) {
        if let Some(counter) = self.0.get(place(kind)) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// Adds what was counted, without kinds that there were none of.
    pub(crate) fn add_to(&self, kinds: &mut BTreeMap<&'static str, u64>) {
        for (name, counter) in NAMES.iter().zip(&self.0) {
            match counter.load(Relaxed) {
                0 => {}
                keys => *kinds.entry(name).or_default() += keys,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_their_names() {
        let counters = KindCounters::default();
        for kind in [ValueKind::SortedSet, ValueKind::Cuckoo, ValueKind::Module(None), ValueKind::Cuckoo] {
            counters.count(kind);
        }
        let mut kinds = BTreeMap::from([("zset", 1)]);
        counters.add_to(&mut kinds);
        assert_eq!(kinds, BTreeMap::from([("cuckoo", 2), ("module", 1), ("zset", 2)]));
    }
}
