//! What a decoder makes of a stream for each item and each type.

use std::collections::BTreeMap;

use bytes::Bytes;
use dfly_rdb::{
    BloomHeader, BloomPart, Checksum, Config, CountMinPart, CuckooPart, Element, Entry, Event, Family, Magic,
    ModuleAux, ModuleId, ModulePart, StreamId, Text, TopKPart, TypeId, ValueKind,
};
use dfly_wire::{DbIndex, UnixMillis};

use crate::build::Build;
use crate::built::{REJSON, module_items, streams};
use crate::driver::decode_whole;
use crate::model::{Content, Held, keyspace};

fn events(name: &str) -> Vec<Event> {
    let (_, input) = streams().into_iter().find(|(found, _)| *found == name).unwrap();
    decode_whole(&input, Config::default()).unwrap().0
}

fn held(name: &str) -> BTreeMap<(u32, Vec<u8>), Held> {
    keyspace(&events(name))
}

/// What the only key of a stream holds.
fn content(name: &str) -> Content {
    held(name).into_values().next().unwrap().content
}

fn text(content: &str) -> Vec<u8> {
    content.as_bytes().to_vec()
}

fn hash_with_expiry() -> Content {
    Content::Hash([(text("f"), (text("v"), None)), (text("g"), (text("w"), Some(5000)))].into())
}

#[test]
fn strings() {
    for (name, stated) in [
        ("string", "value"),
        ("string of 8 bits", "-128"),
        ("string of 16 bits", "300"),
        ("string of 32 bits", "-2147483647"),
        ("empty string", ""),
        ("old json 20", r#"{"a":1}"#),
        ("json number 30", "42"),
    ] {
        assert_eq!(content(name), Content::Text(text(stated)), "{name}");
    }
    assert_eq!(content("string as lzf"), Content::Text(text(&"abc".repeat(200))));
    assert!(held("key as number").contains_key(&(0, text("5"))));
    assert!(held("key as lzf").contains_key(&(0, text(&"abc".repeat(200)))));
}

#[test]
fn lists_and_sets() {
    let list = |items: &[&str]| Content::List(items.iter().map(|item| text(item)).collect());
    let set = |items: &[&str]| Content::Set(items.iter().map(|item| (text(item), None)).collect());
    let long = "abc".repeat(200);
    assert_eq!(content("list 1"), list(&["a", "7", ""]));
    assert_eq!(content("empty list"), list(&[]));
    assert_eq!(content("ziplist 10"), list(&["f", "1", "g", "2.5"]));
    assert_eq!(content("quicklist 14"), list(&["f", "1", "g", "2.5", &long]));
    assert_eq!(content("quicklist 18"), list(&[&long, "f", "1", "g", "2.5", "9"]));
    assert_eq!(content("set 2"), set(&["a", "7"]));
    assert_eq!(content("intset 11"), set(&["-300", "7"]));
    assert_eq!(content("set listpack 20"), set(&["f", "1", "g", "2.5"]));
    let expiry = (1_675_209_600 + 5) * 1000;
    assert_eq!(content("set 32"), Content::Set([(text("f"), None), (text("g"), Some(expiry))].into()));
}

#[test]
fn hashes_and_sorted_sets() {
    for name in ["hash 22 of Redis", "hash 22 of Valkey", "hash 23", "hash 24", "hash 25"] {
        assert_eq!(content(name), hash_with_expiry(), "{name}");
    }
    let pairs = |pairs: &[(&str, &str)]| {
        Content::Hash(pairs.iter().map(|(field, value)| (text(field), (text(value), None))).collect())
    };
    let long = "abc".repeat(200);
    assert_eq!(content("hash 4"), pairs(&[("f", "v"), ("7", &long)]));
    assert_eq!(content("zipmap 9"), pairs(&[("f", "v"), ("longer", &long)]));
    assert_eq!(content("hash ziplist 13"), pairs(&[("f", "1"), ("g", "2.5")]));
    assert_eq!(content("hash listpack 16"), pairs(&[("f", "1"), ("g", "2.5")]));
    let expiry = (1_675_209_600 + 5) * 1000;
    let fields = [(text("f"), (text("v"), None)), (text("g"), (text("w"), Some(expiry)))];
    assert_eq!(content("hash 31"), Content::Hash(fields.into()));
    let scores = |pairs: &[(&str, f64)]| {
        Content::SortedSet(pairs.iter().map(|(member, score)| (text(member), *score)).collect())
    };
    let infinite = f64::INFINITY;
    assert_eq!(content("zset 3"), scores(&[("a", 1.5), ("b", infinite), ("c", -infinite)]));
    assert_eq!(content("zset 5"), scores(&[("a", 1.5), ("b", infinite)]));
    assert_eq!(content("zset ziplist 12"), scores(&[("f", 1.0), ("g", 2.5)]));
    assert_eq!(content("zset listpack 17"), scores(&[("f", 1.0), ("g", 2.5)]));
}

/// P2: deleted entries, same and other fields, groups with pending entries.
#[test]
fn streams_of_all_versions() {
    for (name, since7, active) in [
        ("stream 15", false, false),
        ("stream 19", true, false),
        ("stream 21", true, true),
        ("stream 26", true, true),
    ] {
        let Content::Stream { entries, tail } = content(name) else { panic!("{name}") };
        let id = |ms, seq| StreamId { ms, seq };
        let fields = |texts: &[&str]| texts.iter().map(|item| text(item)).collect::<Vec<_>>();
        assert_eq!(entries, [(id(6, 1), fields(&["a", "x", "b", "-7"])), (id(7, 9), fields(&["f", "v"]))]);
        assert_eq!((tail.length, tail.last_id), (2, id(7, 9)));
        assert_eq!(tail.first_id, since7.then_some(id(6, 1)));
        assert_eq!(tail.max_deleted_id, since7.then_some(id(5, 1)));
        assert_eq!(tail.entries_added, since7.then_some(3));
        let [group] = &tail.groups[..] else { panic!("{name}: {} groups", tail.groups.len()) };
        assert_eq!((&group.name[..], group.last_id, group.entries_read), (&b"group"[..], id(7, 9), None));
        let pending =
            group.pending.iter().map(|one| (one.id, one.delivered_at.0, one.deliveries, one.consumer));
        assert_eq!(pending.collect::<Vec<_>>(), [(id(6, 1), 1000, 4, Some(1)), (id(7, 9), 1000, 4, Some(1))]);
        let consumers = group.consumers.iter().map(|one| (&one.name[..], one.seen_at.0, one.active_at));
        let busy = active.then_some(UnixMillis(3000));
        assert_eq!(consumers.collect::<Vec<_>>(), [(&b"idle"[..], 2000, None), (b"busy", 2000, busy)]);
        let kept = tail.producers.map(|kept| (kept.duration_seconds, kept.max_entries));
        assert_eq!(kept, (name == "stream 26").then_some((100, 50)));
    }
}

/// The elements of the only key of a stream, handed to `check`.
fn with_elements(name: &str, check: impl FnOnce(ValueKind, &[Element<'_>])) {
    let events = events(name);
    let Some(Event::Entry(Entry { value, .. })) = events.get(1) else { panic!("{name}") };
    let elements: Vec<_> = value.elements().map(Result::unwrap).collect();
    check(value.kind(), &elements);
}

#[test]
fn sketches() {
    let header =
        BloomHeader { growth: 2.0, error_rate: 0.01, previous_size: 10, size: 20, capacity: 30, filters: 2 };
    with_elements("sbf 33", |kind, elements| {
        let filter = |hash_count| Element::Bloom(BloomPart::Filter { hash_count, size: None });
        let bits = |bits| Element::Bloom(BloomPart::Bits(Text::Raw(bits)));
        let stated =
            [Element::Bloom(BloomPart::Header(header)), filter(3), bits(b"bits"), filter(4), bits(&[0; 64])];
        assert_eq!((kind, elements), (ValueKind::Bloom, &stated[..]));
    });
    with_elements("sbf 34", |_, elements| {
        let filter = |hash_count, size| Element::Bloom(BloomPart::Filter { hash_count, size: Some(size) });
        let bits = |bits| Element::Bloom(BloomPart::Bits(Text::Raw(bits)));
        let stated =
            [Element::Bloom(BloomPart::Header(header)), filter(3, 4), bits(b"bit"), bits(b"s"), filter(4, 0)];
        assert_eq!(elements, stated);
    });
    with_elements("cms 35", |kind, elements| {
        let [Element::CountMinSketch(CountMinPart::Header(header)), counters] = elements else { panic!() };
        assert_eq!((header.width, header.depth, header.total), (3, 2, 9));
        assert_eq!(*counters, Element::CountMinSketch(CountMinPart::Counters(&[7; 48])));
        assert_eq!(kind, ValueKind::CountMinSketch);
    });
    with_elements("topk 36", |kind, elements| {
        let [Element::TopK(TopKPart::Header(header)), item, counters] = elements else { panic!() };
        assert_eq!((header.k, header.width, header.depth, header.decay), (5, 2, 1, 0.9));
        assert_eq!(*item, Element::TopK(TopKPart::Item { item: Text::Raw(b"top"), count: 12 }));
        assert_eq!(*counters, Element::TopK(TopKPart::Counters(&[1; 8])));
        assert_eq!(kind, ValueKind::TopK);
    });
    with_elements("cuckoo 37", |kind, elements| {
        let [Element::Cuckoo(CuckooPart::Header(header)), filter, rest @ ..] = elements else { panic!() };
        assert_eq!((header.bucket_size, header.buckets, header.items, header.deletes), (4, 8, 3, 1));
        assert_eq!(*filter, Element::Cuckoo(CuckooPart::Filter { size: 20 }));
        let buckets = |bytes| Element::Cuckoo(CuckooPart::Buckets(bytes));
        assert_eq!(rest, [buckets(&[1; 12]), buckets(&[2; 8])]);
        assert_eq!(kind, ValueKind::Cuckoo);
    });
}

#[test]
fn modules() {
    with_elements("module 7", |kind, elements| {
        let ValueKind::Module(Some(id)) = kind else { panic!("{kind:?}") };
        assert_eq!((id.to_string(), id.encoding_version()), ("ReJSON-RL".into(), 3));
        let stated = [
            ModulePart::Id(id),
            ModulePart::Signed(-1),
            ModulePart::Unsigned(7),
            ModulePart::Float(1.5),
            ModulePart::Double(2.5),
            ModulePart::String(Text::Raw(b"text")),
        ];
        assert_eq!(elements, stated.map(Element::Module));
    });
    let body = Bytes::from(module_items(Build::part()).0);
    let aux = ModuleAux { module: ModuleId(REJSON), when: 1, body };
    assert_eq!(events("module aux")[1], Event::ModuleAux(aux));
}

#[test]
fn items_without_a_key() {
    let magic = |family, version| Event::Magic(Magic { family, version });
    assert_eq!(events("nothing"), [magic(Family::Redis, 12), Event::End { checksum: Checksum::None }]);
    assert_eq!(events("version 4").last(), Some(&Event::End { checksum: Checksum::None }));
    assert!(matches!(events("sealed").last(), Some(Event::End { checksum: Checksum::Verified(_) })));
    let aux =
        |key, value: &[u8]| Event::Aux { key: Bytes::from_static(key), value: Bytes::copy_from_slice(value) };
    assert_eq!(events("aux")[1..3], [aux(b"redis-bits", b"64"), aux(b"lua", &[b'x'; 99])]);
    let database = [Event::SelectDb(DbIndex(70_000)), Event::ResizeDb { keys: 3, expires: 1 }];
    assert_eq!(events("database")[1..3], database);
    assert!(held("database").contains_key(&(70_000, text("k"))));
    assert_eq!(events("slot info")[1], Event::SlotInfo { slot: 5, keys: 6, expires: 7 });
    assert_eq!(events("function")[1], Event::Function(Bytes::from_static(b"#!lua name=lib")));
    let import = Event::SlotImport { job: Bytes::from_static(b"job"), ranges: vec![(0, 5), (9, 16383)] };
    assert_eq!(events("slot import")[..2], [magic(Family::Valkey, 80), import]);
    let blob = |bytes: &[u8]| Event::JournalBlob(Bytes::copy_from_slice(bytes));
    let journal = [blob(b"journal"), Event::FullSyncEnd, blob(&[b'j'; 50]), Event::JournalOffset(77)];
    assert_eq!(events("journal")[1..5], journal);
}

#[test]
fn search_indexes_are_passed_over() {
    for name in ["vector index", "old vector index"] {
        let index = Event::VectorIndex { name: Bytes::from_static(b"idx:f"), nodes: 2 };
        assert_eq!(events(name)[2], index, "{name}");
        assert!(held(name).contains_key(&(0, text("k"))), "{name}");
    }
    let index = Event::ShardDocIndex { shard: 2, name: Bytes::from_static(b"idx"), documents: 2 };
    assert_eq!(events("document index")[1], index);
    assert!(held("document index").contains_key(&(0, text("k"))));
}

#[test]
fn attributes_belong_to_the_next_key_only() {
    let keys = held("attributes");
    let header = &keys[&(0, text("k"))].header;
    assert_eq!(header.expire_at, Some(UnixMillis(1234)));
    assert_eq!((header.idle_seconds, header.frequency), (Some(99), Some(3)));
    assert_eq!((header.sticky, header.memcache_flags), (true, Some(9)));
    let next = &keys[&(0, text("l"))].header;
    assert_eq!((next.expire_at, next.sticky, next.memcache_flags), (None, false, None));
    assert_eq!((next.idle_seconds, next.frequency), (None, None));
    let seconds = &held("seconds")[&(0, text("k"))].header;
    assert_eq!((seconds.expire_at, seconds.sticky), (Some(UnixMillis(-5000)), true));
    assert_eq!(held("key metadata").len(), 2);
}

#[test]
fn a_chunked_value_keeps_the_database_and_expiry_of_its_first_chunk() {
    let keys = held("chunks");
    let hash = &keys[&(2, text("hash"))];
    assert_eq!((hash.header.expire_at, hash.type_id), (Some(UnixMillis(99)), TypeId::Hash));
    let fields = [("f1", "v1"), ("f2", "v2"), ("f3", "v3")].map(|(f, v)| (text(f), (text(v), None)));
    assert_eq!(hash.content, Content::Hash(fields.into()));
    assert_eq!(keys[&(2, text("text"))].content, Content::Text(vec![b't'; 100]));
    assert!(keys.contains_key(&(3, text("between"))));
    assert!(keys.contains_key(&(3, text("again"))), "an id is free when its value is complete");
    assert!(held("chunks in blobs").contains_key(&(0, text("k"))));
    assert!(held("lz4 blob").contains_key(&(1, text("l"))), "the database holds behind the blob");
}
