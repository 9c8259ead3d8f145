//! Everything in a stream except its entries, and where two of them differ.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use dfly_rdb::{StreamId, StreamTail, UnixMillis};

use crate::verdict::What;

/// Everything in a stream except its entries. What a server does not tell is `None`, and is not compared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct StreamState {
    /// The last id that was assigned.
    pub last_id: StreamId,
    /// The largest id that was deleted.
    pub max_deleted_id: Option<StreamId>,
    /// How many entries were ever added.
    pub entries_added: Option<u64>,
    /// The groups, by their names.
    pub groups: BTreeMap<Bytes, Group>,
}

/// A consumer group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Group {
    /// The last id that was delivered.
    pub last_id: StreamId,
    /// How many entries it has read.
    pub entries_read: Option<u64>,
    /// The names of its consumers.
    pub consumers: BTreeSet<Bytes>,
    /// Delivered entries that are not acknowledged.
    pub pending: BTreeMap<StreamId, Pending>,
}

/// A delivered entry that is not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pending {
    /// The name of its consumer.
    pub consumer: Bytes,
    /// When it was delivered last.
    pub delivered_at: UnixMillis,
    /// How many times it was delivered.
    pub deliveries: u64,
}

impl From<&StreamTail> for StreamState {
    fn from(tail: &StreamTail) -> Self {
        let groups = tail.groups.iter().map(|group| {
            let name = |at: Option<usize>| {
                at.and_then(|at| group.consumers.get(at)).map(|consumer| consumer.name.clone())
            };
            let pending = group.pending.iter().map(|pending| {
                let consumer = name(pending.consumer).unwrap_or_default();
                let (delivered_at, deliveries) = (pending.delivered_at, pending.deliveries);
                (pending.id, Pending { consumer, delivered_at, deliveries })
            });
            Group {
                last_id: group.last_id,
                entries_read: group.entries_read,
                consumers: group.consumers.iter().map(|consumer| consumer.name.clone()).collect(),
                pending: pending.collect(),
            }
        });
        let names = tail.groups.iter().map(|group| group.name.clone());
        Self {
            last_id: tail.last_id,
            max_deleted_id: tail.max_deleted_id,
            entries_added: tail.entries_added,
            groups: names.zip(groups).collect(),
        }
    }
}

/// Whether both are known and differ.
fn unlike<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if one != other)
}

impl StreamState {
    /// Where this state of the source and that of the target differ. Times of delivery within `tolerance_ms` are equal; when
    /// consumers were seen is not compared, because no journal tells it.
    pub(crate) fn differences(&self, target: &Self, tolerance_ms: i64) -> Vec<What> {
        let mut what = Vec::new();
        if self.last_id != target.last_id
            || unlike(self.max_deleted_id.as_ref(), target.max_deleted_id.as_ref())
            || unlike(self.entries_added.as_ref(), target.entries_added.as_ref())
        {
            what.push(What::StreamState);
        }
        let (mut groups, mut consumers, mut pending) = (0, 0, 0);
        for name in self.groups.keys().chain(target.groups.keys()).collect::<BTreeSet<_>>() {
            match (self.groups.get(name), target.groups.get(name)) {
                (Some(one), Some(other)) => {
                    groups += u64::from(one.is_elsewhere(other));
                    consumers += one.consumers.symmetric_difference(&other.consumers).count() as u64;
                    pending += one.pending_differences(other, tolerance_ms);
                }
                _ => groups += 1,
            }
        }
        let counted = [
            (groups, What::Groups { differ: groups }),
            (consumers, What::Consumers { differ: consumers }),
            (pending, What::Pending { differ: pending }),
        ];
        what.extend(counted.into_iter().filter(|(count, _)| *count > 0).map(|(_, what)| what));
        what
    }
}

impl Group {
    fn is_elsewhere(&self, other: &Self) -> bool {
        self.last_id != other.last_id || unlike(self.entries_read.as_ref(), other.entries_read.as_ref())
    }

    fn pending_differences(&self, other: &Self, tolerance_ms: i64) -> u64 {
        let ids: BTreeSet<&StreamId> = self.pending.keys().chain(other.pending.keys()).collect();
        let differs = |id: &&&StreamId| match (self.pending.get(**id), other.pending.get(**id)) {
            (Some(one), Some(other)) => !one.is_like(other, tolerance_ms),
            _ => true,
        };
        ids.iter().filter(differs).count() as u64
    }
}

impl Pending {
    fn is_like(&self, other: &Self, tolerance_ms: i64) -> bool {
        let apart = self.delivered_at.0.saturating_sub(other.delivered_at.0).saturating_abs();
        self.consumer == other.consumer && self.deliveries == other.deliveries && apart <= tolerance_ms
    }
}
