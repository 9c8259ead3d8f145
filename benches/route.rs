//! How long does it take to tell where a command goes?
//!
//! Expected: below 100 ns for a key of usual length with the table, of which the look-up is 1 ns and the checksum of the key
//! the rest; ranges of a cluster of three are as fast, those of a scattered one slower.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use redis_slots::{KeySpec, Route, SLOTS, Slot, SlotOwners, SlotTable};

/// Owners of 3 nodes in ranges of `run` slots.
fn owners(run: u16) -> SlotOwners<u16> {
    let ranges = (0..SLOTS).step_by(run.into());
    ranges.map(|start| (start..=start.saturating_add(run - 1).min(SLOTS - 1), start / run % 3)).collect()
}

fn route(args: &[&[u8]], owner: impl Fn(Slot) -> Option<u16>) -> Option<u16> {
    match KeySpec::FIRST.route(args) {
        Route::Slot(slot) => owner(slot),
        Route::Anywhere | Route::CrossSlot => None,
    }
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route");
    group.throughput(Throughput::Elements(1));
    for (name, key) in [
        ("16 bytes", &b"user:00001234567"[..]),
        ("16 bytes with a tag", b"{user:1234567}:x"),
        ("64 bytes", &[b'k'; 64]),
    ] {
        let args = [b"SET", key, b"value"];
        for (cluster, owners) in [("3 ranges", owners(5462)), ("1639 ranges", owners(10))] {
            group.bench_function(format!("{name}/{cluster}"), |bencher| {
                bencher.iter(|| route(black_box(&args), |slot| owners.owner(slot).copied()));
            });
        }
        if let Ok(table) = SlotTable::new(&owners(10)) {
            group.bench_function(format!("{name}/table"), |bencher| {
                bencher.iter(|| route(black_box(&args), |slot| table.owner(slot)));
            });
        }
        group.bench_function(format!("{name}/slot alone"), |bencher| {
            bencher.iter(|| Slot::of(black_box(key)));
        });
    }
}

criterion_group!(routes, benches);
criterion_main!(routes);
