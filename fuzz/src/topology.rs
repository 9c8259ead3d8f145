//! Replies of cluster nodes.

use bytes::BytesMut;
use dfly_wire::Step;
use redis_resp::{ErrorCode, Reply};
use redis_slots::{Retry, SLOTS, Slot, SlotOwners, Topology, TopologyError};

/// Replies to CLUSTER SHARDS and CLUSTER SLOTS, and error lines: a topology that is accepted has one owner for each of its
/// slots, and the one slot that it is said to lack; a redirection stays in the range of slots.
pub fn topology(data: &[u8]) {
    let mut src = BytesMut::from(data);
    while let Ok(Step::Ready(reply)) = Reply::decode(&mut src) {
        let read = [
            Topology::from_shards(&reply),
            Topology::from_slots(&reply, false),
            Topology::from_slots(&reply, true),
        ];
        read.iter().flatten().for_each(check);
        let is_refused = |read: &Result<_, _>| matches!(read, Err(TopologyError::Refused(_)));
        assert_eq!(read.iter().all(is_refused), matches!(reply, Reply::Error(_)));
        if let Reply::Error(error) = &reply {
            match Retry::on_error(error) {
                Retry::Moved(to) | Retry::Ask(to) => {
                    assert!(to.slot.0 < SLOTS);
                    assert!(to.address("asked").is_none_or(|address| address.port == to.port && to.port > 0));
                }
                Retry::Never => {}
                _ => assert_ne!(error.code, ErrorCode::Generic),
            }
        }
    }
}

fn check(topology: &Topology) {
    let mut owners = SlotOwners::default();
    for (i, shard) in topology.shards().iter().enumerate() {
        for slots in &shard.slots {
            owners.insert(slots.clone(), i).expect("ranges of one topology share no slot");
        }
        for node in shard.replicas.iter().chain([&shard.primary]) {
            assert!(node.port != Some(0) && node.tls_port != Some(0));
        }
    }
    assert_eq!(topology.first_uncovered(), owners.first_uncovered());
    match (topology.table(), owners.first_uncovered()) {
        (Ok(table), None) => {
            for slot in (0..SLOTS).map(Slot) {
                assert_eq!(table.owner(slot).map(usize::from).as_ref(), owners.owner(slot));
            }
        }
        (Err(TopologyError::Uncovered(slot)), Some(first)) => assert_eq!(slot, first),
        (table, first) => panic!("{table:?}, but the first without an owner is {first:?}"),
    }
}
