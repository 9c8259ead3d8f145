//! What does a DUMP payload cost, with the bytes unchanged and with the value written again?
//!
//! Expected on one core: unchanged bytes at the speed of a copy and a CRC-64 (1 to 1.5 GB/s), 1 us for a listpack of 50
//! fields; written again, element by element, 0.2 GB/s.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use df2redis_benches::streams::{self, values};
use dfly_rdb::payload::{TargetFormat, write_dump};
use dfly_rdb::{Family, RawValue};

fn write(values: &[RawValue], target: &TargetFormat, out: &mut Vec<u8>) {
    for value in values {
        out.clear();
        assert!(write_dump(value, target, out).is_ok());
        black_box(&out);
    }
}

fn benches(criterion: &mut Criterion) {
    let redis = |major, minor| TargetFormat { family: Family::Redis, version: (major, minor) };
    let mut group = criterion.benchmark_group("payload");
    let strings = streams::entries(0, |key, out| streams::string(&streams::text(key, 100), out));
    for (name, items, target) in [
        ("strings of 100 bytes, unchanged", strings, redis(7, 0)),
        ("listpack hashes of 50, unchanged", streams::listpack_hashes(), redis(7, 0)),
        ("listpack hashes of 50, written again", streams::listpack_hashes(), redis(6, 2)),
        ("quicklists of 4 x 100, unchanged", streams::quicklists(), redis(7, 0)),
        ("quicklists of 4 x 100, written again", streams::quicklists(), redis(6, 2)),
    ] {
        let (values, mut out) = (values(&items), Vec::new());
        let size: usize = values.iter().map(|value| value.payload().len()).sum();
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(name, |bencher| bencher.iter(|| write(&values, &target, &mut out)));
    }
}

criterion_group! {
    name = payload;
    config = Criterion::default().sample_size(10);
    targets = benches
}
criterion_main!(payload);
