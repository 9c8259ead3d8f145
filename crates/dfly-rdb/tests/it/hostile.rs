//! Bad input: no panic, no allocation beyond the limits, no quadratic work, and an error that says where (P13, P22).

use bytes::BytesMut;
use dfly_rdb::{Config, Decoder, Error, Event};
use dfly_wire::Step;

use crate::build::Build;
use crate::driver::{Lcg, decode, decode_whole, pieces_of};
use crate::{built, inputs};

fn refused(part: &Build, config: Config) -> String {
    let whole = decode_whole(&part.0, config).unwrap_err();
    let bytewise = decode(&part.0, config, || 1).unwrap_err();
    assert_eq!(whole, bytewise);
    whole.to_string()
}

fn check(part: &Build, stated: &str) {
    assert_eq!(refused(part, Config::default()), stated);
}

fn redis() -> Build {
    Build::stream("REDIS0012")
}

#[test]
fn an_unknown_item_is_named_with_its_place() {
    check(&redis().raw(&[0xe7]), "unknown opcode 0xe7 at offset 9");
    check(&redis().key(0, "k").str("v").raw(&[29]), "unknown opcode 0x1d at offset 14");
    check(&redis().raw(&[6]), "unknown opcode 0x06 at offset 9");
    check(&Build::stream("REDIS0011").raw(&[0xcb]), "unknown opcode 0xcb at offset 9");
    check(&redis().raw(&[0xf6]), "item 0xf6: functions of a release candidate of Redis 7.0 at offset 9");
    check(&Build::stream("VALKEY080").key(31, "k"), "unknown opcode 0x1f at offset 9");
    check(&Build::stream("REDIS0013").key(31, "k"), "unknown opcode 0x1f at offset 9");
    for magic in ["REDIS00x9", "RADIS0009", "REDIS0000", "VALKEY08+", "{\"a\": 1}\n"] {
        check(&Build::stream(magic), "no snapshot header (REDIS or VALKEY and a version) at offset 0");
    }
}

#[test]
fn a_broken_value_is_named_with_its_key() {
    let part = || redis().key(18, "list").len(2).len(2).str("node");
    check(
        &part().len(3),
        "value of key \"list\" (type 18): a list node is neither plain nor packed at offset 22",
    );
    check(
        &redis().key(5, "\x01\"").len(1).raw(&[0xc9]),
        "value of key \"\\x01\\\"\" (type 5): a string has an unknown encoding at offset 14",
    );
    let long = "k".repeat(100);
    let shown = "k".repeat(64);
    check(
        &redis().key(4, &long).raw(&[0xc0]),
        &format!(
            "value of key \"{shown}\"... (type 4): an encoded string marker (0xc0) where a plain length is expected at offset 112"
        ),
    );
    check(
        &redis().key(22, "h").len(1).raw(&[0x81]).raw(&[0xff; 8]).str("f").str("v"),
        "value of key \"h\" (type 22): an expiry is out of range at offset 13",
    );
    check(
        &redis().key(32, "s").len(1).str("m").str("soon"),
        "value of key \"s\" (type 32): a member's expiry is not a number at offset 15",
    );
    check(
        &redis().raw(&[0, 0xc3]).len(2).len(9).raw(&[0, b'a']).str("v"),
        "item 0x00: lzf string: fewer bytes than stated at offset 9",
    );
}

#[test]
fn every_length_has_a_limit() {
    let huge = || Build::part().raw(&[0x81]).raw(&[0x7f; 8]).0;
    let over = "length 9187201950435737471 is over the limit of 1073741824";
    check(&redis().raw(&[0]).raw(&huge()), &format!("item 0x00: {over} at offset 10"));
    check(&redis().key(16, "k").raw(&huge()), &format!("value of key \"k\" (type 16): {over} at offset 12"));
    check(
        &redis().key(4, "k").len(1).raw(&huge()),
        &format!("value of key \"k\" (type 4): {over} at offset 13"),
    );
    check(
        &redis().key(0, "k").raw(&[0xc3]).len(2).raw(&huge()),
        &format!("value of key \"k\" (type 0): {over} at offset 14"),
    );
    check(&redis().raw(&[0xd2, 1]).raw(&huge()), &format!("item 0xd2: {over} at offset 11"));
    check(
        &redis().raw(&[0xfe]).raw(&huge()),
        "item 0xfe: length 9187201950435737471 is over the limit of 4294967295 at offset 10",
    );
    let over = "length 9187201950435737471 is over the limit of 268435456";
    check(&redis().raw(&[0xca]).raw(&huge()), &format!("item 0xca: {over} at offset 10"));
    let chunk = redis().raw(&[0xe0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    check(&chunk, "item 0xe0: length 4294967295 is over the limit of 268435456 at offset 14");
}

/// Counts of elements are not believed: the bytes have to come.
#[test]
fn a_huge_count_allocates_nothing() {
    for type_id in [1, 2, 4, 5, 7, 14, 15, 18, 21, 31, 32, 33, 34, 36] {
        let mut src = BytesMut::from(&redis().key(type_id, "k").raw(&[0x81]).raw(&[0x7f; 8]).0[..]);
        let mut decoder = Decoder::new(Config::default());
        assert!(matches!(decoder.decode(&mut src), Ok(Step::Ready(Event::Magic(_)))));
        assert!(matches!(decoder.decode(&mut src), Ok(Step::Need(n)) if n.get() <= 32), "type {type_id}");
        assert!(src.capacity() <= 64);
    }
}

#[test]
fn blobs_hold_whole_items_only_and_are_bounded() {
    let entry = Build::part().key(0, "k").str("value").0;
    check(
        &redis().lz4(&entry[..5]),
        "item 0xca: the blob ends in the middle of an item at offset 31 (byte 0 of the blob that ends there)",
    );
    check(
        &redis().lz4(&[0xfc, 0, 0, 0, 0, 0, 0, 0, 0]).key(0, "k").str("v"),
        "item 0xca: the blob ends in the middle of an item at offset 35 (byte 9 of the blob that ends there)",
    );
    let nested = Build::part().lz4(&entry).0;
    let error = decode_whole(&redis().lz4(&nested).0, Config::default()).unwrap_err();
    assert!(error.to_string().starts_with("misplaced opcode 0xca at offset"), "{error}");
    let error = decode_whole(&redis().lz4(&[0xff; 9]).0, Config::default()).unwrap_err();
    assert!(error.to_string().starts_with("misplaced opcode 0xff at offset"), "{error}");
    let inner = [&entry[..], &[0xe7]].concat();
    let error = decode_whole(&redis().lz4(&inner).0, Config::default()).unwrap_err();
    assert_eq!((error.in_blob, error.opcode), (Some(9), Some(0xe7)));
    let not_raw = redis().raw(&[0xca, 0xc0, 5]);
    check(&not_raw, "item 0xca: a blob is not a raw string at offset 9");
    let error = refused(&redis().raw(&[0xca]).str("no frame"), Config::default());
    assert!(error.starts_with("item 0xca: compressed blob: damaged frame"), "{error}");
}

/// A few bytes that would become many.
#[test]
fn a_bomb_ends_at_the_limit() {
    let mut config = Config::default();
    config.limits.blob = 1 << 20;
    let zeros = vec![0; 4 << 20];
    let bombs = [
        redis().lz4(&zeros),
        #[cfg(feature = "zstd")]
        redis().zstd(&zeros),
    ];
    for bomb in bombs {
        let error = decode_whole(&bomb.0, config).unwrap_err().to_string();
        assert!(error.contains("compressed blob: more than 1048576 bytes come out of it"), "{error}");
    }
}

#[test]
fn chunks_are_checked() {
    let value = Build::part().key(0, "k").str("v").0;
    check(&redis().chunk(0, &value), "item 0xe0: a chunk is empty or has no stream at offset 10");
    check(&redis().chunk(1, &[]), "item 0xe0: a chunk is empty or has no stream at offset 10");
    check(
        &redis().chunk(1, &[&value[..], b"more"].concat()),
        "item 0xe0: 4 bytes follow the end of a chunked value at offset 27",
    );
    check(&redis().chunk(1, &[0xfe, 1]), "misplaced opcode 0xfe at offset 20");
    check(&redis().chunk(1, &[0xff]), "misplaced opcode 0xff at offset 19");
    let unfinished = redis().chunk(2, &Build::part().key(4, "open").len(9).0).raw(&[0xff]).raw(&[0; 8]);
    check(
        &unfinished,
        "value of key \"open\": the stream ends with 1 unfinished values, this is one at offset 34",
    );
    let mut config = Config::default();
    config.limits.open_values = 3;
    let many = (1..=4).fold(redis(), |part, id| part.chunk(id, &value[..1]));
    assert_eq!(refused(&many, config), "item 0xe0: more than 3 values are unfinished at offset 49");
    config.open_bytes = 10;
    let many = redis().chunk(1, &[&[0, 20][..], &[b'k'; 6]].concat()).chunk(2, &[0, 20, b'k']);
    assert_eq!(refused(&many, config), "item 0xe0: unfinished values hold more than 10 bytes at offset 38");
}

/// A value of many tiny chunks costs what its bytes cost: each chunk is looked at once.
#[test]
fn a_million_chunks_of_a_byte() {
    let fields = 100_000_u64;
    let value = (0..fields).fold(Build::part().key(4, "k").len(fields), |part, _| part.str("f").str("v"));
    let stream = value.0.iter().fold(redis(), |part, byte| part.chunk(9, &[*byte])).end();
    let (events, _) = decode_whole(&stream, Config::default()).unwrap();
    assert!(matches!(events.last(), Some(Event::End { .. })));
    assert!(events.iter().any(|event| matches!(event, Event::Close { .. })));
}

/// A tail that never ends, and a stream of attributes: both come a byte at a time.
#[test]
fn long_items_by_bytes_are_linear() {
    let pending = 40_000_u64;
    let mut tail = Build::part().key(21, "s").len(0).len(0).len(9).len(9).len(0).len(0).len(0).len(0).len(0);
    tail = tail.len(1).str("g").len(9).len(9).len(0).len(pending);
    let tail = (0..pending).fold(tail, |part, id| part.raw(&id.to_be_bytes()).raw(&[0; 16]).len(1)).len(0);
    let attributes = (0..100_000).fold(redis().raw(&tail.0), |part, _| part.raw(&[0xf9, 1]));
    let stream = attributes.key(0, "k").str("v").end();
    let (events, _) = decode(&stream, Config::default(), || 1).unwrap();
    assert_eq!(events.len(), 4);
}

#[test]
fn a_wrong_checksum() {
    let mut stream = redis().key(0, "k").str("v").sealed();
    stream[13] ^= 1;
    let error = decode_whole(&stream, Config::default()).unwrap_err().to_string();
    assert!(error.starts_with("item 0xff: checksum 0x") && error.ends_with("at offset 23"), "{error}");
    let config = Config { verify_checksum: false, ..Config::default() };
    assert!(decode_whole(&stream, config).is_ok());
}

#[test]
fn an_error_comes_back() {
    let mut decoder = Decoder::new(Config::default());
    let mut src = BytesMut::from(&redis().raw(&[0xe7]).0[..]);
    assert!(matches!(decoder.decode(&mut src), Ok(Step::Ready(Event::Magic(_)))));
    let first = decoder.decode(&mut src).unwrap_err();
    src.clear();
    src.extend_from_slice(&Build::part().key(0, "k").str("v").0);
    assert_eq!(decoder.decode(&mut src).unwrap_err(), first);
}

/// Bytes changed anywhere: every outcome but a panic, and the same however the bytes arrive.
#[test]
fn changed_bytes_anywhere() {
    let mut lcg = Lcg(42);
    let small = built::streams().into_iter().map(|(_, stream)| stream).chain([inputs::vector()]);
    for input in small {
        for _ in 0..150 {
            let mut changed = input.clone();
            for _ in 0..=lcg.below(3) {
                let at = 9 + lcg.below(changed.len() - 9);
                changed[at] = u8::try_from(lcg.below(256)).unwrap();
            }
            let whole = decode_whole(&changed, pieces_of(16));
            let size = 1 + lcg.below(9);
            let cut = decode(&changed, pieces_of(16), || size);
            assert!(same_outcome(&whole, &cut), "{whole:?}\n{cut:?}");
            let elements: usize = whole.map_or(0, |(events, _)| events.iter().map(walk).sum());
            assert!(elements <= changed.len());
        }
    }
}

type Outcome = Result<(Vec<Event>, Vec<u8>), Error>;

fn same_outcome(whole: &Outcome, cut: &Outcome) -> bool {
    match (whole, cut) {
        // NaN is not equal to itself.
        (Ok(a), Ok(b)) => format!("{a:?}") == format!("{b:?}"),
        (Err(a), Err(b)) => a == b,
        _ => false,
    }
}

/// Reads all that an event holds.
fn walk(event: &Event) -> usize {
    match event {
        Event::Entry(entry) => entry.value.elements().count(),
        Event::Piece { piece, .. } => piece.elements().count(),
        _ => 0,
    }
}
