//! Slots that move, for as long as somebody writes to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dfly_testkit::RedisCluster;

/// Moves slots from node to node, one after the other and never more than one, until it is ended. Each stands half moved
/// for a while, so that commands meet ASK and TRYAGAIN.
pub(crate) struct Resharding {
    end: Arc<AtomicBool>,
    moved: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Resharding {
    /// Moves the slots of these keys.
    pub(crate) fn of(cluster: &Arc<RedisCluster>, keys: &[&str]) -> Self {
        let (end, moved) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let nodes = [0, 8000, 16000].map(|slot| cluster.owner(slot).unwrap());
        let slots: Vec<u16> = keys.iter().map(|key| cluster.slot(key.as_bytes()).unwrap()).collect();
        let (cluster, ended, count) = (Arc::clone(cluster), Arc::clone(&end), Arc::clone(&moved));
        let task = thread::spawn(move || {
            for slot in slots.iter().cycle() {
                if ended.load(Ordering::Acquire) {
                    return;
                }
                move_slowly(&cluster, *slot, nodes);
                count.fetch_add(1, Ordering::Release);
            }
        });
        Self { end, moved, task }
    }

    /// Ends it, with every slot whole; gives how many were moved.
    pub(crate) fn end(self) -> usize {
        self.end.store(true, Ordering::Release);
        self.task.join().unwrap();
        self.moved.load(Ordering::Acquire)
    }
}

fn move_slowly(cluster: &RedisCluster, slot: u16, nodes: [usize; 3]) {
    let from = cluster.owner(slot).unwrap();
    let next = nodes.iter().cycle().skip_while(|node| **node != from).nth(1).unwrap();
    let migration = cluster.begin_migration(slot, *next).unwrap();
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(3));
        cluster.move_keys(migration, 1).unwrap();
    }
    thread::sleep(Duration::from_millis(3));
    cluster.finish_migration(migration).unwrap();
}
