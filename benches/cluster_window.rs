//! What does a command cost in the window of a cluster, beyond what it costs in that of a single server?
//!
//! Expected: below 500 ns for a command in a unit of its own, from its encoding to its batch's tag, most of it for the unit's
//! buffers and the look-ups of its slot; some 50 ns for each in a unit of many, and 35 ns on a single server.

use std::time::Instant;

use bytes::Buf;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use redis_resp::{CommandBatch, Outcome, Reply};
use redis_sink::cluster::{ClusterMap, ClusterWindow, NodeId, Pauses, Unit};
use redis_sink::{Window, WindowLimits};
use redis_slots::{Slot, Topology};

const COMMANDS: usize = 512;
const NODE: NodeId = NodeId(0);

fn fill(batch: &mut CommandBatch, commands: usize) {
    for _ in 0..commands {
        let mut set = batch.start(3);
        set.arg(b"SET").key(b"user:00001234567").arg(b"some thirty-two bytes of a value").finish_with(1);
    }
}

/// A cluster of one node.
fn window() -> Option<ClusterWindow<()>> {
    let node = vec![Reply::Bulk("h".into()), Reply::Integer(1), Reply::Bulk("some".into())];
    let range = vec![Reply::Integer(0), Reply::Integer(16383), Reply::Array(node)];
    let topology = Topology::from_slots(&Reply::Array(vec![Reply::Array(range)]), false).ok()?;
    let map = ClusterMap::new(&topology, "h").ok()?;
    let mut window = ClusterWindow::new(WindowLimits::default(), Pauses::default(), map);
    window.on_open(NODE);
    Some(window)
}

/// A batch of units of `each` commands, to slots far apart, through the window and answered.
fn through(window: &mut ClusterWindow<()>, batch: &mut CommandBatch, each: usize) {
    let slots = (0..COMMANDS / each).filter_map(|unit| u16::try_from(unit * 31 % 16384).ok());
    let units = slots.map(|slot| {
        fill(batch, each);
        Unit::plain(Slot(slot), batch)
    });
    window.push(units, ());
    let written = window.outgoing(NODE).len();
    window.outgoing(NODE).advance(written);
    let now = Instant::now();
    for _ in 0..COMMANDS {
        drop(window.on_outcome(NODE, Outcome::Done, now));
    }
    assert_eq!(window.settled(), Some(()));
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("window");
    group.throughput(Throughput::Elements(COMMANDS as u64));
    group.bench_function("single server", |bencher| {
        let (mut window, mut batch) = (Window::new(WindowLimits::default()), CommandBatch::default());
        bencher.iter(|| {
            fill(&mut batch, COMMANDS);
            drop(window.push(&mut batch, ()));
            for _ in 0..COMMANDS {
                drop(window.on_outcome(Outcome::Done));
            }
            assert_eq!(window.settled(), Some(()));
        });
    });
    let Some(mut window) = window() else { return };
    for each in [1, 8, 64] {
        let mut batch = CommandBatch::default();
        group.bench_function(format!("cluster/{each} to a unit"), |bencher| {
            bencher.iter(|| through(&mut window, &mut batch, each));
        });
    }
}

criterion_group!(windows, benches);
criterion_main!(windows);
