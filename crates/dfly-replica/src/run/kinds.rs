//! Counts by kind of value: keys of the snapshot, their bytes, journal records.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use dfly_rdb::ValueKind;
use dfly_translate::WorksOn;

/// The names of the kinds, as the settings have them; behind them, those of commands that work on values of every kind, on none,
/// or are not known.
const NAMES: [&str; 15] = [
    "string", "list", "set", "hash", "zset", "stream", "json", "bloom", "cms", "topk", "cuckoo", "module",
    "any", "none", "unknown",
];

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

/// Where a command is by what it works on; `None`: it is not known.
fn place_of_command(works_on: Option<WorksOn>) -> usize {
    match works_on {
        Some(WorksOn::Kind(kind)) => place(kind),
        Some(WorksOn::Any) => 12,
        Some(WorksOn::Nothing) => 13,
        None => 14,
    }
}

impl KindCounters {
    pub(crate) fn add(&self, kind: ValueKind, by: u64) {
        self.add_at(place(kind), by);
    }

    /// A record of a command that works on this.
    pub(crate) fn count_command(&self, works_on: Option<WorksOn>) {
        self.add_at(place_of_command(works_on), 1);
    }

    fn add_at(&self, place: usize, by: u64) {
        if let Some(counter) = self.0.get(place) {
            counter.fetch_add(by, Relaxed);
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
            counters.add(kind, 1);
        }
        counters.count_command(Some(WorksOn::Kind(ValueKind::SortedSet)));
        counters.count_command(None);
        let mut kinds = BTreeMap::from([("zset", 1)]);
        counters.add_to(&mut kinds);
        assert_eq!(kinds, BTreeMap::from([("cuckoo", 2), ("module", 1), ("unknown", 1), ("zset", 3)]));
    }
}
