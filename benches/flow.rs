//! How many journal records a second does one flow of the engine apply, without sockets and with a target that only counts?
//!
//! Expected on one core: 4 M records a second for commands of one key, 2 M for an MSET of ten keys.

#![expect(clippy::expect_used, reason = "a bench that cannot run has no result")]

use std::hint::black_box;
use std::time::Instant;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use dfly_journal::{Lsn, TxId, encode};
use dfly_replica::FlowInMemory;

/// Records in one measurement.
const RECORDS: u64 = 100_000;

/// How much of the journal arrives at once, in bytes.
const READ: usize = 64 << 10;

/// Records of the journal, in pieces of whole records as they may arrive.
fn journal(words: impl Fn(u64) -> Vec<String>) -> Vec<Vec<u8>> {
    let (mut pieces, mut piece) = (Vec::new(), Vec::new());
    for n in 0..RECORDS {
        let words = words(n);
        let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
        encode::command(TxId(n), &words, &mut piece);
        if piece.len() >= READ {
            pieces.push(std::mem::take(&mut piece));
        }
    }
    pieces.push(piece);
    pieces
}

fn apply(mut flow: FlowInMemory, pieces: &[Vec<u8>]) -> u64 {
    let mut durable = None;
    for piece in pieces {
        durable = flow.apply(piece).expect("whole records");
    }
    assert_eq!(durable, Some(Lsn(RECORDS + 1)));
    flow.commands()
}

fn text(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("flow");
    group.throughput(Throughput::Elements(RECORDS)).sample_size(10);
    let key = |n: u64| format!("key:{}", n * 7919 % 50_000);
    let cases = [
        ("SET", journal(|n| vec!["SET".to_owned(), key(n), format!("value-{n:020}")])),
        ("INCR", journal(|n| vec!["INCRBY".to_owned(), key(n), "1".to_owned()])),
        ("HSET", journal(|n| [text(&["HSET"]), vec![key(n)], text(&["field", "value"])].concat())),
        (
            "MSET of ten",
            journal(|n| {
                let pairs = (0..10).flat_map(|nth| [key(n + nth), "value".to_owned()]);
                text(&["MSET"]).into_iter().chain(pairs).collect()
            }),
        ),
    ];
    for (name, pieces) in &cases {
        group.bench_function(*name, |bench| {
            bench.iter_batched(
                || FlowInMemory::new(Lsn(1), Instant::now()),
                |flow| black_box(apply(flow, pieces)),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(flow, benches);
criterion_main!(flow);
