//! A stream for each item and each type that a decoder knows.

use crate::build::{Build, Elem, intset, listpack, lzf_str, ziplist, zipmap};

const REDIS: &str = "REDIS0012";

/// A module's value: a number of each kind and a string.
pub(crate) fn module_items(part: Build) -> Build {
    let part = part.len(1).len(u64::MAX).len(2).len(7).len(3).raw(&1.5_f32.to_le_bytes());
    part.len(4).raw(&2.5_f64.to_le_bytes()).len(5).str("text").len(0)
}

/// The id of `ReJSON-RL` with version 3.
pub(crate) const REJSON: u64 = 0x45e2_5238_df91_2c03;

fn id16(ms: u64, seq: u64) -> Vec<u8> {
    [ms.to_be_bytes(), seq.to_be_bytes()].concat()
}

/// A node of the entries 5-1 (deleted), 6-1 with the same fields and 7-9 with others.
fn stream_node() -> Vec<u8> {
    let first = [2.into(), 1.into(), 2.into(), "a".into(), "b".into(), 0.into()];
    let deleted = [3.into(), 0.into(), 0.into(), 1.into(), 2.into(), 5.into()];
    let same = [2.into(), 1.into(), 0.into(), "x".into(), (-7).into(), 5.into()];
    let other = [0.into(), 2.into(), 8.into(), 1.into(), "f".into(), "v".into(), 6.into()];
    listpack(&first.into_iter().chain(deleted).chain(same).chain(other).collect::<Vec<Elem>>())
}

/// A stream value of the type id, with a group that has two pending entries of one of its two consumers.
fn stream_value(part: Build, type_id: u8) -> Build {
    let since7 = type_id != 15;
    let part = part.len(1).str(id16(5, 1)).str(stream_node()).len(2).len(7).len(9);
    let part = if since7 { part.len(6).len(1).len(5).len(1).len(3) } else { part };
    let part = part.len(1).str("group").len(7).len(9);
    let part = if since7 { part.len(u64::MAX) } else { part };
    let pending = |part: Build, ms, seq| part.raw(&id16(ms, seq)).raw(&1000_i64.to_le_bytes()).len(4);
    let part = pending(pending(part.len(2), 6, 1), 7, 9);
    let consumer = |part: Build, name: &str, active: i64| {
        let part = part.str(name).raw(&2000_i64.to_le_bytes());
        if type_id >= 21 { part.raw(&active.to_le_bytes()) } else { part }
    };
    let part = consumer(part.len(2), "idle", -1).len(0);
    let part = consumer(part, "busy", 3000).len(2).raw(&id16(6, 1)).raw(&id16(7, 9));
    if type_id < 26 {
        return part;
    }
    // Two producers: one with two ids, one with none.
    let part = part.len(100).len(50).len(2).str("p1").len(2).str("i1").len(6).len(1).str("i2").len(7).len(9);
    part.str("p2").len(0).len(2).len(1)
}

/// A stream with the name that tests know it by.
pub(crate) type Named = (&'static str, Vec<u8>);

fn four() -> Vec<Elem> {
    vec!["f".into(), 1.into(), "g".into(), "2.5".into()]
}

fn long() -> String {
    "abc".repeat(200)
}

fn texts() -> Vec<Named> {
    let redis = || Build::stream(REDIS);
    let long = long();
    vec![
        ("string", redis().key(0, "k").str("value").end()),
        ("string of 8 bits", redis().key(0, "k").raw(&[0xc0, 0x80]).end()),
        ("string of 16 bits", redis().key(0, "k").raw(&[0xc1, 0x2c, 0x01]).end()),
        ("string of 32 bits", redis().key(0, "k").raw(&[0xc2, 1, 0, 0, 0x80]).end()),
        ("string as lzf", redis().key(0, "k").raw(&lzf_str(long.as_bytes())).end()),
        ("long string", redis().key(0, "k").str(long.repeat(5)).end()),
        ("empty string", redis().key(0, "").str("").end()),
        ("key as number", redis().raw(&[0, 0xc0, 5]).str("v").end()),
        ("key as lzf", redis().raw(&[0]).raw(&lzf_str(long.as_bytes())).str("v").end()),
        ("old json 20", Build::stream("REDIS0009").key(20, "k").str(r#"{"a":1}"#).end()),
        (
            "json 30",
            redis().key(30, "k").str(r#"{"a":[1,2,3],"b":"some text that is longer than a piece"}"#).end(),
        ),
        ("json number 30", redis().key(30, "k").raw(&[0xc0, 42]).end()),
    ]
}

fn lists_and_sets() -> Vec<Named> {
    let redis = || Build::stream(REDIS);
    let (four, long) = (four(), long());
    vec![
        ("list 1", redis().key(1, "k").len(3).str("a").raw(&[0xc0, 7]).str("").end()),
        ("empty list", redis().key(1, "k").len(0).end()),
        ("set 2", redis().key(2, "k").len(2).str("a").raw(&[0xc0, 7]).end()),
        ("ziplist 10", redis().key(10, "k").str(ziplist(&four)).end()),
        ("intset 11", redis().key(11, "k").str(intset(2, &[-300, 7])).end()),
        (
            "quicklist 14",
            redis()
                .key(14, "k")
                .len(2)
                .str(ziplist(&four))
                .raw(&lzf_str(&ziplist(&[long.as_str().into()])))
                .end(),
        ),
        (
            "quicklist 18",
            redis()
                .key(18, "k")
                .len(3)
                .len(1)
                .str(&long)
                .len(2)
                .str(listpack(&four))
                .len(1)
                .raw(&[0xc0, 9])
                .end(),
        ),
        ("set listpack 20", redis().key(20, "k").str(listpack(&four)).end()),
        ("set 32", redis().key(32, "k").len(2).str("f").raw(&[0xc0, 0xff]).str("g").raw(&[0xc0, 5]).end()),
    ]
}

fn hashes() -> Vec<Named> {
    let redis = || Build::stream(REDIS);
    let (four, long) = (four(), long());
    let min = 1_000_u64.to_le_bytes();
    vec![
        (
            "hash 4",
            redis().key(4, "k").len(2).str("f").str("v").raw(&[0xc0, 7]).raw(&lzf_str(long.as_bytes())).end(),
        ),
        ("zipmap 9", redis().key(9, "k").str(zipmap(&[("f", "v"), ("longer", &long)], 3)).end()),
        ("hash ziplist 13", redis().key(13, "k").raw(&lzf_str(&ziplist(&four))).end()),
        ("hash listpack 16", redis().key(16, "k").str(listpack(&four)).end()),
        (
            "hash 22 of Redis",
            redis().key(22, "k").len(2).len(0).str("f").str("v").len(5000).str("g").str("w").end(),
        ),
        (
            "hash 22 of Valkey",
            Build::stream("VALKEY080")
                .key(22, "k")
                .len(2)
                .str("f")
                .str("v")
                .raw(&(-1_i64).to_le_bytes())
                .str("g")
                .str("w")
                .raw(&5000_i64.to_le_bytes())
                .end(),
        ),
        (
            "hash 23",
            redis()
                .key(23, "k")
                .str(listpack(&["f".into(), "v".into(), 0.into(), "g".into(), "w".into(), 5000.into()]))
                .end(),
        ),
        (
            "hash 24",
            redis().key(24, "k").raw(&min).len(2).len(0).str("f").str("v").len(4001).str("g").str("w").end(),
        ),
        (
            "hash 25",
            redis()
                .key(25, "k")
                .raw(&min)
                .str(listpack(&["f".into(), "v".into(), 0.into(), "g".into(), "w".into(), 5000.into()]))
                .end(),
        ),
        (
            "hash 31",
            redis().key(31, "k").len(2).str("f").str("v").raw(&[0xc0, 0xff]).str("g").str("w").str("5").end(),
        ),
    ]
}

fn sorted_sets_and_streams() -> Vec<Named> {
    let redis = || Build::stream(REDIS);
    let four = four();
    vec![
        (
            "zset 3",
            redis().key(3, "k").len(3).str("a").str("1.5").str("b").raw(&[254]).str("c").raw(&[255]).end(),
        ),
        (
            "zset 5",
            redis()
                .key(5, "k")
                .len(2)
                .str("a")
                .raw(&1.5_f64.to_le_bytes())
                .str("b")
                .raw(&f64::INFINITY.to_le_bytes())
                .end(),
        ),
        ("zset ziplist 12", redis().key(12, "k").str(ziplist(&four)).end()),
        ("stream 15", stream_value(redis().key(15, "k"), 15).end()),
        ("zset listpack 17", redis().key(17, "k").raw(&lzf_str(&listpack(&four))).end()),
        ("stream 19", stream_value(redis().key(19, "k"), 19).end()),
        ("stream 21", stream_value(redis().key(21, "k"), 21).end()),
        ("stream 26", stream_value(redis().key(26, "k"), 26).end()),
    ]
}

fn modules_and_sketches() -> Vec<Named> {
    let redis = || Build::stream(REDIS);
    vec![
        ("module 7", module_items(redis().key(7, "k").len(REJSON)).end()),
        ("sbf 33", bloom(redis().key(33, "k")).len(3).str("bits").len(4).raw(&lzf_str(&[0; 64])).end()),
        (
            "sbf 34",
            bloom(redis().key(34, "k")).len(3).len(4).len(3).raw(b"bit").len(1).raw(b"s").len(4).len(0).end(),
        ),
        ("cms 35", redis().key(35, "k").len(3).len(2).len(9).raw(&[7; 48]).end()),
        ("empty cms 35", redis().key(35, "k").len(0).len(2).len(9).end()),
        (
            "topk 36",
            redis()
                .key(36, "k")
                .len(0)
                .len(5)
                .len(2)
                .len(1)
                .raw(&0.9_f64.to_le_bytes())
                .len(1)
                .str("top")
                .len(12)
                .len(8)
                .raw(&[1; 8])
                .end(),
        ),
        (
            "cuckoo 37",
            redis()
                .key(37, "k")
                .len(4)
                .len(20)
                .len(2)
                .len(8)
                .len(3)
                .len(1)
                .len(1)
                .len(20)
                .len(12)
                .raw(&[1; 12])
                .len(8)
                .raw(&[2; 8])
                .end(),
        ),
    ]
}

fn bloom(part: Build) -> Build {
    part.len(0).raw(&2.0_f64.to_le_bytes()).raw(&0.01_f64.to_le_bytes()).len(10).len(20).len(30).len(2)
}

fn redis_items() -> Vec<Named> {
    let redis = || Build::stream(REDIS);
    let metadata =
        |part: Build| module_items(part.raw(&[0xf3]).len(2).raw(&[1, 2, 3, 4])).raw(&[5, 6, 7, 8]).len(0);
    vec![
        ("nothing", redis().end()),
        ("version 4", Build::stream("REDIS0004").key(0, "k").str("v").raw(&[0xff]).0),
        ("sealed", redis().key(0, "k").str("v").sealed()),
        (
            "aux",
            redis()
                .raw(&[0xfa])
                .str("redis-bits")
                .raw(&[0xc0, 64])
                .raw(&[0xfa])
                .str("lua")
                .raw(&lzf_str(&[b'x'; 99]))
                .end(),
        ),
        ("database", redis().raw(&[0xfe]).len(70_000).raw(&[0xfb]).len(3).len(1).key(0, "k").str("v").end()),
        ("slot info", redis().raw(&[0xf4]).len(5).len(6).len(7).end()),
        ("function", redis().raw(&[0xf5]).str("#!lua name=lib").end()),
        ("module aux", module_items(redis().raw(&[0xf7]).len(REJSON).len(2).len(1)).end()),
        (
            "attributes",
            redis()
                .raw(&[0xfc])
                .raw(&1234_i64.to_le_bytes())
                .raw(&[0xf8])
                .len(99)
                .raw(&[0xf9, 3])
                .raw(&[0xdc, 3, 0, 0, 0, 9, 0, 0, 0])
                .key(0, "k")
                .str("v")
                .key(0, "l")
                .str("v")
                .end(),
        ),
        (
            "seconds",
            redis()
                .raw(&[0xfd])
                .raw(&(-5_i32).to_le_bytes())
                .raw(&[0xdc, 1, 0, 0, 0])
                .key(0, "k")
                .str("v")
                .end(),
        ),
        ("key metadata", metadata(redis()).key(0, "k").str("v").raw(&[0xf3, 0]).key(0, "l").str("v").end()),
        (
            "slot import",
            Build::stream("VALKEY080").raw(&[0xf3]).str("job").len(2).len(0).len(5).len(9).len(16383).end(),
        ),
    ]
}

fn dragonfly_items() -> Vec<Named> {
    let redis = || Build::stream(REDIS);
    let entry = Build::part().raw(&[0xfe, 1]).key(0, "k").str("v").0;
    vec![
        (
            "journal",
            redis()
                .raw(&[0xd2, 1])
                .str("journal")
                .raw(&[0xc8])
                .raw(&[0; 8])
                .raw(&[0xd2, 1])
                .raw(&lzf_str(&[b'j'; 50]))
                .raw(&[0xd3])
                .raw(&77_u64.to_le_bytes())
                .end(),
        ),
        ("vector index", vector_index(df_version("df-v1.40.1"), true).end()),
        ("old vector index", vector_index(df_version("df-v1.38.2"), false).end()),
        (
            "document index",
            redis()
                .raw(&[0xdf])
                .len(2)
                .str("idx")
                .len(2)
                .str("k1")
                .len(70)
                .str("k2")
                .len(5)
                .key(0, "k")
                .str("v")
                .end(),
        ),
        ("lz4 blob", redis().lz4(&entry).key(0, "l").str("v").end()),
        #[cfg(feature = "zstd")]
        ("zstd blob", redis().zstd(&entry).lz4(&[]).key(0, "l").str("v").end()),
        ("chunks", chunks().end()),
        ("chunks in blobs", redis().lz4(&Build::part().chunk(1, &entry[2..5]).0).chunk(1, &entry[5..]).end()),
    ]
}

/// All of them, by name.
pub(crate) fn streams() -> Vec<Named> {
    let values = [texts(), lists_and_sets(), hashes(), sorted_sets_and_streams(), modules_and_sketches()];
    values.into_iter().chain([redis_items(), dragonfly_items()]).flatten().collect()
}

fn df_version(version: &str) -> Build {
    Build::stream("REDIS0009").raw(&[0xfa]).str("df-ver").str(version)
}

fn vector_index(part: Build, entry_point: bool) -> Build {
    let part = part.raw(&[0xde]).str("idx:f");
    let part = if entry_point { part.len(1) } else { part };
    let node = |part: Build, level: u32| {
        let part = part.raw(&[0; 12]).raw(&level.to_le_bytes());
        (0..=level).fold(part, |part, n| part.raw(&n.to_le_bytes()).raw(&vec![9; 4 * n as usize]))
    };
    node(node(part.len(2), 0), 3).key(0, "k").str("v")
}

/// Two values in chunks that are cut in the middle of everything, with a key and a database change between them.
fn chunks() -> Build {
    let hash = Build::part().raw(&[0xfc]).raw(&99_i64.to_le_bytes()).key(4, "hash").len(3);
    let hash = hash.str("f1").str("v1").str("f2").str("v2").str("f3").str("v3").0;
    let text = Build::part().key(0, "text").str([b't'; 100]).0;
    let mut stream = Build::stream(REDIS).raw(&[0xfe, 2]).chunk(1, &hash[..1]).chunk(7, &text[..3]);
    stream = stream.raw(&[0xfe, 3]).key(0, "between").str("v");
    for (a, b) in hash[1..].chunks(5).zip(text[3..].chunks(20).chain(std::iter::repeat(&[][..]))) {
        stream = stream.chunk(1, a);
        stream = if b.is_empty() { stream } else { stream.chunk(7, b) };
    }
    stream.chunk(1, &Build::part().key(0, "again").str("v").0)
}
