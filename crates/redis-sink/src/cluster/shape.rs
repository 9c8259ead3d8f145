//! The layout of a cluster's slots at one moment, for scans of all keys.

use std::collections::BTreeSet;

use redis_slots::{SLOTS, Slot};

use crate::cluster::map::ClusterMap;

/// Which node owns which slot at one moment, and which slots are moving.
#[derive(Debug, Clone)]
pub struct Shape {
    map: ClusterMap,
    moving: BTreeSet<Slot>,
    /// The highest epoch of all nodes. It grows whenever a slot gets another owner.
    epoch: u64,
}

impl Shape {
    pub(super) fn new(map: ClusterMap) -> Self {
        Self { map, moving: BTreeSet::new(), epoch: 0 }
    }

    /// Takes a primary's reply to CLUSTER NODES: `id address flags primary ping pong epoch link slot..`. `[slot->-node]`
    /// and `[slot-<-node]` are the slots that this primary migrates or imports (server `cluster.c`,
    /// `clusterGenNodeDescription`).
    pub(super) fn hear(&mut self, nodes: &str) {
        for line in nodes.lines() {
            let mut words = line.split(' ').skip(6);
            let epoch = words.next().and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
            self.epoch = self.epoch.max(epoch);
            let slot = |word: &str| word.strip_prefix('[')?.split('-').next()?.parse().ok().map(Slot);
            self.moving.extend(words.filter_map(slot));
        }
    }

    /// Whether a scan of all primaries that began at this moment and ended at `end` has seen every key. It has if no slot
    /// was moving and no slot has a new owner.
    pub fn is_still(&self, end: &Self) -> bool {
        self.unsettled(end).is_some_and(|slots| slots.is_empty())
    }

    /// The slots whose keys such a scan may have missed; `None` if they cannot be determined.
    pub fn unsettled(&self, end: &Self) -> Option<BTreeSet<Slot>> {
        let has_moved = |slot: &Slot| self.map.address_of(*slot) != end.map.address_of(*slot);
        let moved: BTreeSet<Slot> = (0..SLOTS).map(Slot).filter(has_moved).collect();
        let epochs = usize::try_from(end.epoch.saturating_sub(self.epoch)).unwrap_or(usize::MAX);
        // A slot that moved away and back has increased the epoch by two.
        (epochs <= moved.len()).then(|| moved.into_iter().chain(&self.moving | &end.moving).collect())
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use dfly_wire::Step;
    use redis_resp::Reply;
    use redis_slots::Topology;

    use super::*;

    fn shape(edge: u16, nodes: &str) -> Shape {
        let range = |from: u16, to: u16, port: u16| {
            format!("*3\r\n:{from}\r\n:{to}\r\n*3\r\n$1\r\nh\r\n:{port}\r\n$1\r\n{}\r\n", port % 10)
        };
        let told = format!("*2\r\n{}{}", range(0, edge, 7000), range(edge + 1, 16383, 7001));
        let Ok(Step::Ready(reply)) = Reply::decode(&mut BytesMut::from(told.as_bytes())) else { panic!() };
        let map = ClusterMap::new(&Topology::from_slots(&reply, false).unwrap(), "h").unwrap();
        let mut shape = Shape::new(map);
        shape.hear(nodes);
        shape
    }

    #[test]
    fn slots_that_moved_or_move() {
        let line =
            |epoch: u64, rest: &str| format!("a h:7000@1 myself,master - 0 1 {epoch} connected 0-99{rest}");
        let before = shape(100, &line(5, ""));
        assert!(before.is_still(&shape(100, &line(5, ""))));
        let slots = |end: &Shape| before.unsettled(end).map(|slots| slots.into_iter().collect::<Vec<_>>());
        assert_eq!(slots(&shape(102, &line(7, ""))), Some(vec![Slot(101), Slot(102)]));
        assert_eq!(slots(&shape(100, &line(5, " [7->-b] [9-<-c]"))), Some(vec![Slot(7), Slot(9)]));
        assert_eq!(slots(&shape(100, &line(7, ""))), None, "a slot has moved away and back");
    }
}
