//! How many bytes a second does the decoder pass on, by type, by the size of the parts that arrive, and with or without a
//! look at the elements?
//!
//! Expected on one core: 1 GB/s and more on strings of 100 bytes and on plain collections, 5 GB/s and more where a value is one
//! string (listpacks, intsets) or a few (quicklists), since only lengths are looked at; 1 GB/s where each element of a
//! listpack is visited, half of that on plain collections. Blobs go at the speed of the decompressor, 1 GB/s with LZ4 and
//! 0.3 GB/s with zstd of what is stored. Parts of 64 KiB cost a copy of the bytes, parts of a packet little more; 7 bytes
//! at a time, 0.1 GB/s and more, are there to show that nothing is quadratic. A checksum alone goes at 1.5 GB/s.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use df2redis_benches::streams::{self, Named};
use dfly_rdb::{Config, Decoder, Event};
use dfly_wire::Step;

/// Decodes a stream that is there whole.
fn whole(mut src: BytesMut, config: Config, mut each: impl FnMut(Event)) {
    let mut decoder = Decoder::new(config);
    while let Ok(Step::Ready(event)) = decoder.decode(&mut src) {
        each(event);
    }
    assert!(decoder.is_finished());
}

/// Decodes a stream that arrives in parts.
fn parts(stream: &[u8], size: usize) {
    let mut decoder = Decoder::new(Config::default());
    let mut src = BytesMut::new();
    for part in stream.chunks(size) {
        src.extend_from_slice(part);
        while let Ok(Step::Ready(event)) = decoder.decode(&mut src) {
            black_box(event);
        }
    }
    assert!(decoder.is_finished());
}

/// Looks at every element.
fn visit(event: &Event) {
    let elements = match event {
        Event::Entry(entry) => entry.value.elements(),
        Event::Piece { piece, .. } => piece.elements(),
        _ => return,
    };
    elements.for_each(|element| drop(black_box(element)));
}

fn by_type(criterion: &mut Criterion, streams: &[Named]) {
    let mut group = criterion.benchmark_group("decode");
    for (name, stream) in streams {
        group.throughput(Throughput::Bytes(stream.len() as u64));
        group.bench_function(format!("{name}/values"), |bencher| {
            let input = || BytesMut::from(&stream[..]);
            bencher.iter_batched(
                input,
                |src| whole(src, Config::default(), |event| drop(black_box(event))),
                BatchSize::LargeInput,
            );
        });
        group.bench_function(format!("{name}/elements"), |bencher| {
            let input = || BytesMut::from(&stream[..]);
            bencher.iter_batched(
                input,
                |src| whole(src, Config::default(), |event| visit(&event)),
                BatchSize::LargeInput,
            );
        });
    }
}

fn by_part(criterion: &mut Criterion, streams: &[Named]) {
    let mut group = criterion.benchmark_group("decode in parts");
    for (name, stream) in streams {
        group.throughput(Throughput::Bytes(stream.len() as u64));
        for size in [64 << 10, 1460, 7] {
            group.bench_function(format!("{name}/{size}"), |bencher| bencher.iter(|| parts(stream, size)));
        }
    }
}

/// What the checksum of a file of Redis costs on top.
fn checksum(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("checksum");
    let strings = streams::entries(0, |key, out| streams::string(&streams::text(key, 100), out));
    let file = streams::file(&strings);
    group.throughput(Throughput::Bytes(file.len() as u64));
    for verify_checksum in [true, false] {
        let config = Config { verify_checksum, ..Config::default() };
        group.bench_function(format!("strings of 100 bytes/{verify_checksum}"), |bencher| {
            let input = || BytesMut::from(&file[..]);
            bencher.iter_batched(
                input,
                |src| whole(src, config, |event| drop(black_box(event))),
                BatchSize::LargeInput,
            );
        });
    }
}

fn benches(criterion: &mut Criterion) {
    let streams = streams::all();
    by_type(criterion, &streams);
    by_part(criterion, &streams);
    checksum(criterion);
}

criterion_group! {
    name = decode;
    config = Criterion::default().sample_size(10);
    targets = benches
}
criterion_main!(decode);
