//! RDB files that were written: what stands in them, whatever the source and however it was cut.

use std::collections::BTreeMap;

use dfly_rdb::payload::TargetFormat;
use dfly_rdb::write::{RdbWriter, ValueWriter, Written};
use dfly_rdb::{Checksum, Config, Event, Family, KeyHeader, RawValue, TypeId, ValueId, ValueKind};
use dfly_wire::{DbIndex, UnixMillis};

use crate::build::Build;
use crate::driver::{decode_whole, pieces_of};
use crate::model::{Content, Held, keyspace};
use crate::{built, inputs};

const TARGETS: [&str; 9] = [
    "redis-5.0",
    "redis-6.2",
    "redis-7.0",
    "redis-7.2",
    "redis-7.4",
    "redis-8.0",
    "redis-8.6",
    "valkey-8.1",
    "valkey-9.1",
];

type Keyspace = BTreeMap<(u32, Vec<u8>), Held>;

/// What became of each key.
type Fates = BTreeMap<(u32, Vec<u8>), Written>;

/// A file for `target` of the events' keys; whole values at once, others as the command line does it.
fn write(events: &[Event], target: TargetFormat) -> (Vec<u8>, Fates) {
    let (mut writer, mut file, mut fates) = (RdbWriter::new(target), Vec::new(), Fates::new());
    let mut open: BTreeMap<ValueId, (KeyHeader, Option<ValueWriter>, Vec<u8>)> = BTreeMap::new();
    let mut note = |header: &KeyHeader, fate| fates.insert((header.db.0, header.key.to_vec()), fate);
    writer.start(&mut file);
    for event in events {
        match event {
            Event::Entry(entry) => {
                let fate = writer.entry(&entry.header, &entry.value, &mut file).unwrap();
                note(&entry.header, fate);
            }
            Event::Open { id, header, type_id } => {
                open.insert(*id, (header.clone(), ValueWriter::new(*type_id, &target), Vec::new()));
            }
            Event::Piece { id, piece } => {
                if let (_, Some(value), body) = open.get_mut(id).unwrap() {
                    value.piece(piece, body).unwrap();
                }
            }
            Event::Close { id } => match open.remove(id).unwrap() {
                (header, Some(value), body) => {
                    writer.open(&header, &value, &mut file);
                    body.chunks(1000).for_each(|part| writer.body(part, &mut file));
                    note(&header, value.written());
                }
                (header, None, _) => drop(note(&header, Written::Unsupported)),
            },
            _ => {}
        }
    }
    writer.finish(&mut file);
    (file, fates)
}

/// What the file should hold of what the source held.
fn expected(held: &Held, fate: Written, found: TypeId) -> Held {
    let mut held = held.clone();
    match &mut held.content {
        Content::Set(members) => {
            members.values_mut().for_each(|at| *at = at.filter(|_| fate != Written::WithoutExpiries));
        }
        Content::Hash(fields) => {
            fields.values_mut().for_each(|(_, at)| *at = at.filter(|_| fate != Written::WithoutExpiries));
        }
        Content::Stream { tail, .. } => {
            let (v2, v3, v4) = (
                !matches!(found, TypeId::Stream),
                matches!(found, TypeId::Stream3 | TypeId::Stream4),
                found == TypeId::Stream4,
            );
            tail.first_id = tail.first_id.filter(|_| v2);
            tail.max_deleted_id = tail.max_deleted_id.filter(|_| v2);
            tail.entries_added = tail.entries_added.filter(|_| v2);
            tail.producers = tail.producers.filter(|_| v4);
            for group in &mut tail.groups {
                group.entries_read = group.entries_read.filter(|_| v2);
                group.consumers.iter_mut().for_each(|c| c.active_at = c.active_at.filter(|_| v3));
            }
        }
        _ => {}
    }
    (held.header.sticky, held.header.memcache_flags) = (false, None);
    held.type_id = found;
    held
}

fn check(name: &str, source: &[Event], target: TargetFormat) -> Fates {
    let (file, fates) = write(source, target);
    let (events, rest) = decode_whole(&file, pieces_of(usize::MAX >> 2)).unwrap();
    assert!(rest.is_empty());
    assert!(matches!(events.last(), Some(Event::End { checksum: Checksum::Verified(_) })), "{name}");
    let (before, after): (Keyspace, Keyspace) = (keyspace(source), keyspace(&events));
    for (key, fate) in &fates {
        let held = &before[key];
        match after.get(key) {
            None => assert_eq!(*fate, Written::Unsupported, "{name} for {target}: {key:?}"),
            Some(found) => {
                assert_eq!(*found, expected(held, *fate, found.type_id), "{name} for {target}");
                assert_eq!(*fate == Written::Verbatim, found.type_id == held.type_id, "{name} for {target}");
            }
        }
    }
    let kept = fates.values().filter(|fate| **fate != Written::Unsupported).count();
    assert_eq!((after.len(), before.len()), (kept, fates.len()), "{name} for {target}");
    fates
}

/// Every snapshot of the thirteen servers for every target, whole and in pieces.
#[test]
fn snapshots_written_again() {
    for folder in inputs::folders(&inputs::snapshots()) {
        let name = folder.file_name().unwrap().to_str().unwrap();
        for piece in [1 << 30, 700, 1] {
            let files = inputs::files(&folder).into_iter();
            let events: Vec<Event> =
                files.flat_map(|file| decode_whole(&file, pieces_of(piece)).unwrap().0).collect();
            for target in TARGETS {
                let fates = check(name, &events, target.parse().unwrap());
                let modules = fates.values().filter(|fate| **fate == Written::Unsupported).count();
                assert_eq!(modules > 0, name.contains("dragonfly") || name.contains("modules"), "{name}");
            }
        }
    }
}

/// Every type that a decoder knows for every target.
#[test]
fn every_type_written_again() {
    for (name, stream) in built::streams() {
        let (events, _) = decode_whole(&stream, Config::default()).unwrap();
        for target in TARGETS {
            check(name, &events, target.parse().unwrap());
        }
    }
}

fn redis(major: u16, minor: u16) -> TargetFormat {
    TargetFormat { family: Family::Redis, version: (major, minor) }
}

/// Field expiries of one server in the encoding of another, and what older servers lose.
#[test]
fn field_expiries() {
    let at = UnixMillis(1_893_456_000_007);
    let body =
        Build::part().len(2).str("f").str("v").raw(&at.0.to_le_bytes()).str("g").str("w").raw(&[0xff; 8]);
    let hash = RawValue::new(TypeId::HashValkey, body.0.into());
    let bare = Build::part().len(1).str("f").str("v").raw(&[0xff; 8]);
    let bare = RawValue::new(TypeId::HashValkey, bare.0.into());
    let header = KeyHeader { key: "h".into(), ..KeyHeader::default() };
    for (target, fate, type_id) in [
        (redis(7, 0), Written::WithoutExpiries, TypeId::Hash),
        (redis(7, 4), Written::Reencoded, TypeId::HashMetadata),
        ("valkey-8.0".parse().unwrap(), Written::WithoutExpiries, TypeId::Hash),
        ("valkey-9.0".parse().unwrap(), Written::Verbatim, TypeId::HashValkey),
    ] {
        for (value, fate, type_id) in [
            (&hash, fate, type_id),
            (&bare, if fate == Written::Verbatim { fate } else { Written::Reencoded }, type_id),
        ] {
            let (mut writer, mut file) = (RdbWriter::new(target), Vec::new());
            writer.start(&mut file);
            assert_eq!(writer.entry(&header, value, &mut file).unwrap(), fate, "{target}");
            writer.finish(&mut file);
            let held = keyspace(&decode_whole(&file, Config::default()).unwrap().0);
            let held = &held[&(0, b"h".to_vec())];
            let Content::Hash(fields) = &held.content else { panic!("{held:?}") };
            let kept = (value == &hash && fate != Written::WithoutExpiries).then_some(at.0);
            assert_eq!(fields[&b"f"[..]], (b"v".to_vec(), kept), "{target}");
            let plain = value == &bare && fate != Written::Verbatim;
            assert_eq!(held.type_id, if plain { TypeId::Hash } else { type_id }, "{target}");
        }
    }
}

/// Everything that is no key.
#[test]
fn the_bytes_of_a_file() {
    let (mut writer, mut file) = (RdbWriter::new(redis(7, 0)), Vec::new());
    writer.start(&mut file);
    writer.aux(b"redis-ver", b"7.0.0", &mut file);
    assert!(writer.function(b"#!lua name=l", &mut file));
    writer.sizes(DbIndex(3), (2, 1), &mut file);
    let header = KeyHeader {
        db: DbIndex(3),
        key: "k".into(),
        expire_at: Some(UnixMillis(0x0102)),
        idle_seconds: Some(300),
        frequency: Some(7),
        sticky: true,
        ..KeyHeader::default()
    };
    writer.entry(&header, &RawValue::new(TypeId::String, b"\x01v"[..].into()), &mut file).unwrap();
    writer.finish(&mut file);
    let stated = Build::stream("REDIS0010")
        .raw(&[0xfa])
        .str("redis-ver")
        .str("7.0.0")
        .raw(&[0xf5])
        .str("#!lua name=l")
        .raw(&[0xfe, 3, 0xfb, 2, 1, 0xfc, 2, 1, 0, 0, 0, 0, 0, 0, 0xf8, 0x41, 0x2c, 0xf9, 7, 0])
        .str("k")
        .str("v");
    assert_eq!(file, stated.sealed());
    assert!(!RdbWriter::new(redis(6, 2)).function(b"", &mut file), "Redis 6.2 has no functions");
}

#[test]
fn a_value_that_cannot_be_read_leaves_nothing_behind() {
    let broken = RawValue::new(TypeId::HashListpack, b"\x03abc"[..].into());
    let (mut writer, mut file) = (RdbWriter::new(redis(6, 2)), Vec::new());
    assert!(writer.entry(&KeyHeader::default(), &broken, &mut file).is_err());
    assert!(file.is_empty());
}

#[test]
fn names_of_targets() {
    assert_eq!("redis-7.0".parse(), Ok(redis(7, 0)));
    assert_eq!("redis-7.0.15".parse(), Ok(redis(7, 0)));
    assert_eq!("valkey-9.1".parse::<TargetFormat>().unwrap().to_string(), "valkey-9.1");
    for wrong in
        ["", "redis", "redis-", "redis-7", "redis-4.0", "redis-x.y", "valkey-6.0", "keydb-6.3", "redis-7.0.x"]
    {
        let error = wrong.parse::<TargetFormat>().unwrap_err().to_string();
        assert!(error.starts_with(&format!("\"{wrong}\" is no server")), "{error}");
    }
}

#[test]
fn names_of_kinds() {
    assert_eq!(ValueKind::SortedSet.to_string(), "zset");
    assert_eq!(ValueKind::Module(None).to_string(), "module");
    assert!(ValueKind::Stream.is_core() && !ValueKind::Json.is_core());
    assert!(ValueKind::Hash.is_collection() && !ValueKind::String.is_collection());
}
