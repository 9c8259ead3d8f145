//! Bad input: what it makes the decoder allocate, and how the work grows with it (P13, P22). A program of its own, whose
//! allocator counts.

#![expect(clippy::unwrap_used, reason = "a failed expectation must stop the test")]

use std::alloc::System;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use dfly_rdb::payload::{TargetFormat, parse_dump_unchecked, write_dump};
use dfly_rdb::{Config, Decoder, Event, Family, RawValue, Reader, TypeId};
use dfly_wire::Step;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[expect(
    dead_code,
    clippy::indexing_slicing,
    reason = "shared builders; a failed expectation must stop the test"
)]
#[path = "it/build.rs"]
mod build;

use build::{Build, listpack, lzf_str};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One measurement at a time.
static TURN: Mutex<()> = Mutex::new(());

/// How many bytes `work` allocates in all, those of grown allocations included.
fn allocated(work: impl FnOnce()) -> usize {
    let region = Region::new(ALLOCATOR);
    work();
    region.change().bytes_allocated
}

fn turn() -> std::sync::MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Decodes as far as it goes, and reads every element.
fn decode(mut src: BytesMut, config: Config) {
    let mut decoder = Decoder::new(config);
    while let Ok(Step::Ready(event)) = decoder.decode(&mut src) {
        match event {
            Event::Entry(entry) => drop(entry.value.elements().count()),
            Event::Piece { piece, .. } => drop(piece.elements().count()),
            _ => {}
        }
    }
}

fn redis() -> Build {
    Build::stream("REDIS0012")
}

const HUGE: [u8; 9] = [0x81, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

/// The largest length that the limits accept: 1 GiB a string.
const GIBIBYTE: [u8; 5] = [0x80, 0x40, 0, 0, 0];

/// Each item with a length or count that nothing follows.
fn hostile() -> Vec<Build> {
    let ids = (0..=26).chain(30..=37);
    let mut streams: Vec<Build> = Vec::new();
    for length in [&HUGE[..], &GIBIBYTE] {
        streams.extend(ids.clone().map(|id| redis().key(id, "k").raw(length).str("more")));
        streams.extend(ids.clone().map(|id| redis().key(id, "k").len(1).raw(length).str("more")));
        streams.extend(ids.clone().map(|id| redis().key(id, "k").raw(&[0xc3]).raw(length).raw(length)));
        streams.extend(ids.clone().map(|id| redis().raw(&[id]).raw(length)));
        streams.extend((0xc8..=0xff).map(|opcode| redis().raw(&[opcode]).raw(length).raw(length)));
        streams.push(redis().raw(&[0xe0, 1, 0, 0, 0]).raw(&(256_u32 << 20).to_le_bytes()).raw(b"part"));
        streams.push(Build::stream("VALKEY080").raw(&[0xf3]).str("job").raw(&[0x80, 0, 0, 0x40, 0]));
    }
    streams
}

#[test]
fn a_hostile_length_reserves_nothing() {
    let _turn = turn();
    for stream in hostile() {
        let src = BytesMut::from(&stream.0[..]);
        let bytes = allocated(|| decode(src, Config::default()));
        assert!(bytes <= 8 << 10, "{bytes} bytes for {:x?}", stream.0);
        let bytes = allocated(|| {
            let mut reader = Reader::new(&stream.0[..], Config::default());
            while let Ok(Some(_)) = reader.next_event() {}
        });
        assert!(bytes <= 80 << 10, "{bytes} bytes in a reader for {:x?}", stream.0);
    }
}

#[test]
fn a_hostile_payload_reserves_nothing() {
    let _turn = turn();
    let target = TargetFormat { family: Family::Redis, version: (6, 2) };
    for id in (0..=26).chain(30..=37) {
        for body in [
            &HUGE[..],
            &GIBIBYTE,
            b"\x01\xc3\x02\x80\x40\x00\x00\x00ab",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            let dump = Build::part().raw(&[id]).raw(body).raw(&[12, 0]).raw(&[0; 8]).0;
            let bytes = allocated(|| drop(parse_dump_unchecked(dump.into())));
            assert!(bytes <= 1024, "{bytes} bytes to parse type {id}");
        }
    }
    for type_id in [
        TypeId::SetWithExpiry,
        TypeId::HashListpack,
        TypeId::Stream4,
        TypeId::SetListpack,
        TypeId::HashZipmap,
    ] {
        let value = RawValue::new(type_id, Build::part().raw(&HUGE).str("more").0.into());
        let mut out = Vec::new();
        let bytes = allocated(|| assert!(write_dump(&value, &target, &mut out).is_err()));
        assert!(bytes <= 1024, "{bytes} bytes to write {type_id:?}");
    }
}

/// 64 MiB that come out of a few bytes end at the limit; so do the strings inside a value.
#[test]
fn a_bomb_allocates_no_more_than_the_limit() {
    let _turn = turn();
    let zeros = vec![0; 64 << 20];
    let mut config = Config::default();
    (config.limits.blob, config.limits.string) = (1 << 20, 1 << 20);
    let bombs = [
        redis().lz4(&zeros),
        #[cfg(feature = "zstd")]
        redis().zstd(&zeros),
        redis().key(0, "k").raw(&lzf_str(&zeros[..2 << 20])).raw(&[0xff]).raw(&[0; 8]),
        redis().key(18, "k").len(1).len(2).raw(&lzf_str(&zeros[..2 << 20])).raw(&[0xff]).raw(&[0; 8]),
    ];
    for bomb in bombs {
        assert!(bomb.0.len() < 1 << 20);
        let src = BytesMut::from(&bomb.0[..]);
        let bytes = allocated(|| decode(src, config));
        // What a doubling vector allocates on its way to the limit, and the two blocks of 4 MiB that an LZ4 frame may ask for.
        assert!(bytes <= 11 << 20, "{bytes} bytes");
    }
}

/// Unfinished values hold what `open_bytes` says, whatever their number.
#[test]
fn unfinished_values_hold_no_more_than_the_limit() {
    let _turn = turn();
    let config = Config { open_bytes: 1 << 20, ..Config::default() };
    let part = [&b"\x04\x01k\x81"[..], &[0; 8], &[0x80, 0x3f, 0xff, 0xff, 0xff], &[7; 4000]].concat();
    let stream = (1..5000).fold(redis(), |stream, id| stream.chunk(id, &part));
    let src = BytesMut::from(&stream.0[..]);
    let bytes = allocated(|| decode(src, config));
    assert!(bytes <= 4 << 20, "{bytes} bytes");
}

/// The least time of three runs over a stream of `size` items, which arrives in parts of `part` bytes.
fn time(stream: &[u8], part: usize) -> Duration {
    let run = || {
        let (mut decoder, mut src) = (Decoder::new(Config::default()), BytesMut::new());
        let start = Instant::now();
        for part in stream.chunks(part) {
            src.extend_from_slice(part);
            while let Step::Ready(event) = decoder.decode(&mut src).unwrap() {
                if let Event::Entry(entry) = &event {
                    entry.value.elements().for_each(drop);
                }
            }
        }
        assert!(decoder.is_finished());
        Instant::now().duration_since(start)
    };
    (0..3).map(|_| run()).min().unwrap()
}

/// Sixteen times the input may take no more than 64 times as long: linear work takes 16 times, quadratic work 256.
fn check_linear(name: &str, stream: impl Fn(u64) -> Vec<u8>, (size, part): (u64, usize)) {
    let (small, large) = (time(&stream(size), part), time(&stream(16 * size), part));
    assert!(large <= 64 * small.max(Duration::from_micros(50)), "{name}: {small:?} and {large:?}");
}

/// A hash of `fields` fields in chunks of a byte each.
fn tiny_chunks(fields: u64) -> Vec<u8> {
    let value = (0..fields).fold(Build::part().key(4, "k").len(fields), |part, _| part.str("f").str("v"));
    value.0.iter().fold(redis(), |part, byte| part.chunk(9, &[*byte])).end()
}

/// A string of `size` bytes in chunks of a byte each.
fn string_in_tiny_chunks(size: u64) -> Vec<u8> {
    let value = Build::part().key(16, "k").str(vec![b's'; usize::try_from(size).unwrap()]);
    let chunks = value.0.iter().fold(redis(), |part, byte| part.chunk(9, &[*byte]));
    // The listpack is none, which is found only where elements are asked for.
    chunks.end()
}

/// 1000 values that are open at a time, each in chunks of a byte.
fn open_values(rounds: u64) -> Vec<u8> {
    let value = (0..rounds).fold(Build::part().key(2, "k").len(rounds), |part, _| part.str("m"));
    let chunks = value.0.iter().flat_map(|byte| (1..=1000).map(move |id| (id, *byte)));
    chunks.fold(redis(), |part, (id, byte)| part.chunk(id, &[byte])).end()
}

/// A stream value whose group has `pending` pending entries, all owned.
fn pending_entries(pending: u64) -> Vec<u8> {
    let tail = redis().key(15, "s").len(0).len(0).len(9).len(9).len(1).str("g").len(9).len(9).len(pending);
    let tail = (0..pending).fold(tail, |part, id| part.raw(&id.to_be_bytes()).raw(&[0; 16]).len(1));
    let tail = tail.len(1).str("c").raw(&[0; 8]).len(pending);
    (0..pending).fold(tail, |part, id| part.raw(&id.to_be_bytes()).raw(&[0; 8])).end()
}

/// A list of nodes that hold nothing.
fn empty_nodes(nodes: u64) -> Vec<u8> {
    let empty = listpack(&[]);
    (0..nodes).fold(redis().key(18, "k").len(nodes), |part, _| part.len(2).str(&empty)).end()
}

/// Blobs of one small key each.
fn tiny_blobs(blobs: u64) -> Vec<u8> {
    let item = Build::part().key(0, "k").str("v").0;
    (0..blobs).fold(redis(), |part, _| part.lz4(&item)).end()
}

/// Ranges of slots in their longest form; an import has at most 16384.
fn slot_ranges(ranges: u64) -> Vec<u8> {
    let part = Build::stream("VALKEY080").raw(&[0xf3]).str("job").len(ranges);
    let range = [0x81, 0, 0, 0, 0, 0, 0, 0, 5];
    (0..2 * ranges).fold(part, |part, _| part.raw(&range)).end()
}

/// Attributes without a key, and modules' metadata without any.
fn attributes(count: u64) -> Vec<u8> {
    (0..count).fold(redis(), |part, _| part.raw(&[0xf9, 1, 0xf3, 0])).key(0, "k").str("v").end()
}

#[test]
fn work_is_linear() {
    let _turn = turn();
    check_linear("tiny chunks", tiny_chunks, (10_000, usize::MAX));
    check_linear("tiny chunks by bytes", tiny_chunks, (4_000, 1));
    check_linear("a string in tiny chunks", string_in_tiny_chunks, (20_000, usize::MAX));
    check_linear("open values", open_values, (5, usize::MAX));
    check_linear("pending entries by bytes", pending_entries, (2_000, 1));
    check_linear("empty nodes by bytes", empty_nodes, (5_000, 1));
    check_linear("tiny blobs", tiny_blobs, (200, usize::MAX));
    check_linear("slot ranges by bytes", slot_ranges, (1_000, 1));
    check_linear("attributes by bytes", attributes, (10_000, 1));
    check_linear(
        "a long string by bytes",
        |size| redis().key(16, "k").str(vec![b's'; usize::try_from(size).unwrap()]).end(),
        (60_000, 1),
    );
}
