//! How many bytes a second does a relay log take and give back?
//!
//! Expected on one core, in memory (`/dev/shm`, a temporary folder otherwise): 1 GB/s and more for appending and for reading
//! frames of 64 KiB, half of it for both in turn; with frames of 256 bytes about a quarter less. The checksum alone goes at
//! 2 GB/s. On a disk, appending goes as fast as the disk writes.

#![expect(clippy::expect_used, reason = "a bench that cannot run has no result")]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use df2redis_benches::logs::{append, folder, open};
use dfly_wire::crc64;
use relay_log::RelayLog;

/// How much goes through the log, in bytes.
const TOTAL: usize = 128 << 20;

fn fill(log: &mut RelayLog, body: &[u8]) {
    (0..).take(TOTAL / body.len()).for_each(|position| append(log, position, body));
    log.sync().expect("space");
}

fn drain(log: &mut RelayLog) {
    while let Some(frame) = log.next_frame().expect("a sound log") {
        black_box(frame);
    }
}

/// What is appended is read and released at once.
fn pass(log: &mut RelayLog, body: &[u8]) {
    for position in (0..).take(TOTAL / body.len()) {
        append(log, position, body);
        black_box(log.next_frame().expect("a sound log"));
        log.release(position + 1).expect("a position of the log");
    }
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("relay log");
    group.throughput(Throughput::Bytes(TOTAL as u64));
    for size in [256, 64 << 10, 1 << 20] {
        let body = Bytes::from_iter((0..=u8::MAX).cycle().take(size));
        let fresh = || {
            let dir = folder();
            (open(&dir), dir)
        };
        let full = || {
            let (mut log, dir) = fresh();
            fill(&mut log, &body);
            (log, dir)
        };
        group.bench_function(format!("append/{size}"), |bencher| {
            bencher.iter_batched_ref(fresh, |(log, _)| fill(log, &body), BatchSize::PerIteration);
        });
        group.bench_function(format!("read/{size}"), |bencher| {
            bencher.iter_batched_ref(full, |(log, _)| drain(log), BatchSize::PerIteration);
        });
        group.bench_function(format!("append and read/{size}"), |bencher| {
            bencher.iter_batched_ref(fresh, |(log, _)| pass(log, &body), BatchSize::PerIteration);
        });
        group.bench_function(format!("checksum/{size}"), |bencher| {
            bencher.iter(|| (0..TOTAL / size).map(|_| crc64::checksum(black_box(&body))).max());
        });
    }
}

criterion_group! {
    name = relay;
    config = Criterion::default().sample_size(10);
    targets = benches
}
criterion_main!(relay);
