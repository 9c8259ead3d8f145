//! DUMP payloads: what each server is sent, and that it holds the same.

use std::collections::BTreeSet;
use std::fs;

use bytes::Bytes;
use dfly_rdb::payload::{Plan, TargetFormat, parse_dump, parse_dump_unchecked, plan, write_dump};
use dfly_rdb::{DumpError, Entry, Event, Family, RawValue, TypeId, ValueError};
use dfly_wire::crc64;
use serde_json::Value;

use crate::build::{Build, listpack};
use crate::driver::{decode_whole, pieces_of};
use crate::model::Content;
use crate::{built, expected, inputs};

const fn redis(major: u16, minor: u16) -> TargetFormat {
    TargetFormat { family: Family::Redis, version: (major, minor) }
}

const fn valkey(major: u16, minor: u16) -> TargetFormat {
    TargetFormat { family: Family::Valkey, version: (major, minor) }
}

const TARGETS: [TargetFormat; 7] =
    [redis(6, 2), redis(7, 0), redis(7, 2), redis(7, 4), redis(8, 6), valkey(8, 1), valkey(9, 1)];

/// Every whole value of the recorded streams, each once.
pub(crate) fn recorded_values() -> Vec<Entry> {
    let snapshots = inputs::folders(&inputs::snapshots());
    let captures = inputs::folders(&inputs::captures());
    let files = snapshots.iter().flat_map(|folder| inputs::files(folder));
    let flows = captures.iter().flat_map(|folder| inputs::flows(folder)).map(|flow| flow.stream);
    values(files.chain(flows))
}

/// Every whole value of the recorded and the built streams, each once.
fn all_values() -> Vec<Entry> {
    let built = values(built::streams().into_iter().map(|(_, stream)| stream));
    recorded_values().into_iter().chain(built).collect()
}

fn values(streams: impl Iterator<Item = Vec<u8>>) -> Vec<Entry> {
    let events = streams.flat_map(|input| decode_whole(&input, pieces_of(usize::MAX >> 2)).unwrap().0);
    let mut seen = BTreeSet::new();
    let entries = events.filter_map(|event| match event {
        Event::Entry(entry) => Some(entry),
        _ => None,
    });
    entries
        .filter(|entry| seen.insert((entry.value.type_id().wire(), entry.value.payload().clone())))
        .collect()
}

pub(crate) fn content(value: &RawValue) -> Content {
    Content::of(value.kind(), value.elements())
}

/// What an older encoding of streams has no place for is left out.
pub(crate) fn as_in(type_id: TypeId, mut content: Content) -> Content {
    if let Content::Stream { tail, .. } = &mut content {
        if type_id == TypeId::Stream {
            (tail.first_id, tail.max_deleted_id, tail.entries_added) = (None, None, None);
            tail.groups.iter_mut().for_each(|group| group.entries_read = None);
        }
        if type_id != TypeId::Stream3 {
            let consumers = tail.groups.iter_mut().flat_map(|group| &mut group.consumers);
            consumers.for_each(|consumer| consumer.active_at = None);
        }
        tail.producers = None;
    }
    content
}

#[test]
fn payloads_hold_what_the_values_hold() {
    let (mut verbatim, mut reencoded, mut commands) = (0, 0, 0);
    for entry in all_values() {
        let value = &entry.value;
        for target in &TARGETS {
            let mut out = b"before".to_vec();
            let made = write_dump(value, target, &mut out).unwrap();
            let promised = plan(value, target);
            assert!(made == promised || (promised, made) == (Plan::Reencode, Plan::Commands));
            let (before, payload) = out.split_at(6);
            assert_eq!(before, b"before");
            if made == Plan::Commands {
                assert!(payload.is_empty());
                commands += 1;
                continue;
            }
            let back = parse_dump(Bytes::copy_from_slice(payload)).unwrap();
            match made {
                Plan::Verbatim => {
                    assert_eq!(back, *value);
                    verbatim += 1;
                }
                _ => {
                    assert_ne!(back.type_id(), value.type_id());
                    assert_eq!(content(&back), as_in(back.type_id(), content(value)));
                    reencoded += 1;
                }
            }
        }
    }
    assert!(verbatim > 5000 && reencoded > 400 && commands > 100, "{verbatim} {reencoded} {commands}");
}

/// The table of what servers accept, measured on them: types by target, `v` verbatim, `r` in another encoding, `c` commands.
#[test]
fn plans_by_target() {
    let targets =
        [redis(6, 2), redis(7, 0), redis(7, 4), redis(8, 0), redis(8, 6), valkey(8, 1), valkey(9, 1)];
    for (types, plans) in [
        (&[TypeId::String, TypeId::List, TypeId::Set, TypeId::SortedSet, TypeId::Hash][..], "vvvvvvv"),
        (&[TypeId::SortedSet2, TypeId::SetIntset, TypeId::SortedSetZiplist, TypeId::HashZiplist], "vvvvvvv"),
        (&[TypeId::ListQuicklist, TypeId::ListZiplist, TypeId::Stream], "vvvvvvv"),
        (&[TypeId::HashZipmap, TypeId::HashWithExpiry, TypeId::SetWithExpiry], "rrrrrrr"),
        (
            &[TypeId::HashListpack, TypeId::SortedSetListpack, TypeId::ListQuicklist2, TypeId::Stream2],
            "rvvvvvv",
        ),
        (&[TypeId::SetListpack, TypeId::Stream3], "rrvvvvv"),
        (&[TypeId::HashListpackEx, TypeId::HashMetadata], "ccvvvcc"),
        (&[TypeId::HashValkey], "ccccccv"),
        (&[TypeId::Stream4], "rrrrvrr"),
        (&[TypeId::HashMetadataPreGa, TypeId::HashListpackExPreGa, TypeId::Module, TypeId::Json], "ccccccc"),
        (&[TypeId::Bloom, TypeId::Bloom2, TypeId::CountMinSketch, TypeId::TopK, TypeId::Cuckoo], "ccccccc"),
    ] {
        for type_id in types {
            let value = RawValue::new(*type_id, Bytes::new());
            let found = targets.iter().map(|target| match plan(&value, target) {
                Plan::Verbatim => 'v',
                Plan::Reencode => 'r',
                Plan::Commands => 'c',
            });
            assert_eq!(found.collect::<String>(), plans, "{type_id:?}");
        }
    }
}

#[test]
fn a_member_expiry_needs_commands() {
    let plain = Build::part().len(1).str("m").raw(&[0xc0, 0xff]).0;
    let expiring = Build::part().len(2).str("m").raw(&[0xc0, 0xff]).str("n").raw(&[0xc0, 5]).0;
    for (payload, stated) in [(plain, Plan::Reencode), (expiring, Plan::Commands)] {
        let value = RawValue::new(TypeId::SetWithExpiry, payload.into());
        let mut out = Vec::new();
        assert_eq!(write_dump(&value, &redis(7, 0), &mut out).unwrap(), stated);
        assert_eq!(out.is_empty(), stated == Plan::Commands);
    }
}

/// The exact bytes, and the lowest footer that says what the type id means.
#[test]
fn the_bytes_of_a_payload() {
    let value = RawValue::new(TypeId::String, Bytes::from_static(b"\x01x"));
    let mut out = Vec::new();
    write_dump(&value, &redis(7, 0), &mut out).unwrap();
    assert_eq!(out[..5], *b"\x00\x01x\x06\x00");
    assert_eq!(out[5..], crc64::checksum(b"\x00\x01x\x06\x00").to_le_bytes());
    let members = Build::part().str(listpack(&["m".into()])).0;
    for (type_id, payload, target, footer) in [
        (TypeId::SetListpack, members, redis(7, 4), 11),
        (TypeId::HashValkey, vec![0], valkey(9, 1), 80),
        (TypeId::List, vec![0], valkey(9, 1), 6),
    ] {
        out.clear();
        write_dump(&RawValue::new(type_id, payload.into()), &target, &mut out).unwrap();
        assert_eq!(out[out.len() - 10], footer, "{type_id:?}");
    }
}

#[test]
fn a_value_that_cannot_be_read_leaves_nothing_behind() {
    let broken = RawValue::new(TypeId::HashListpack, Bytes::from_static(b"\x03abc"));
    let mut out = b"before".to_vec();
    let error = write_dump(&broken, &redis(6, 2), &mut out).unwrap_err();
    assert!(matches!(error, ValueError::Container { container: "listpack", .. }), "{error}");
    assert_eq!(out, b"before");
    assert_eq!(write_dump(&broken, &redis(7, 0), &mut out).unwrap(), Plan::Verbatim, "bytes pass unread");
}

/// Payloads that a Dragonfly master made, from the commands of the recorded sessions.
#[test]
fn payloads_of_a_real_server() {
    let mut found = 0;
    for folder in inputs::folders(&inputs::captures()) {
        for line in fs::read_to_string(folder.join("commands.jsonl")).unwrap().lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            let command: Vec<_> = row["cmd"].as_array().unwrap().iter().map(expected::bytes).collect();
            if command[0] == b"RESTORE" {
                let value = parse_dump(command[3].clone().into()).unwrap();
                let Content::SortedSet(members) = content(&value) else { panic!("{value:?}") };
                assert_eq!(members.len(), 2000);
                found += 1;
            }
        }
    }
    assert!(found > 0);
}

#[test]
fn the_version_in_the_footer_tells_what_a_type_is() {
    let json = |version| Build::part().raw(&[20]).str("{}").dump(version).into();
    assert_eq!(parse_dump(json(9)).unwrap().type_id(), TypeId::Json);
    assert_eq!(parse_dump(json(11)).unwrap().type_id(), TypeId::SetListpack);
    let hash = |version| Build::part().raw(&[22]).len(0).dump(version).into();
    assert_eq!(parse_dump(hash(12)).unwrap().type_id(), TypeId::HashMetadataPreGa);
    assert_eq!(parse_dump(hash(80)).unwrap().type_id(), TypeId::HashValkey);
}

#[test]
fn broken_payloads() {
    let good = Build::part().raw(&[0]).str("v").dump(9);
    for cut in 0..good.len() {
        assert!(parse_dump(good[..cut].to_vec().into()).is_err(), "cut at {cut}");
    }
    let mut wrong = good.clone();
    *wrong.last_mut().unwrap() ^= 1;
    assert!(matches!(parse_dump(wrong.clone().into()), Err(DumpError::Checksum { .. })));
    assert_eq!(parse_dump_unchecked(wrong.into()).unwrap(), parse_dump(good.into()).unwrap());
    let kind = |part: Build| parse_dump(part.dump(9).into()).unwrap_err();
    assert!(matches!(
        kind(Build::part().raw(&[0]).str("v").raw(&[0])),
        DumpError::Value(ValueError::Trailing { at: 2 })
    ));
    assert!(matches!(kind(Build::part().raw(&[0, 5])), DumpError::Value(ValueError::Truncated { at: 1 })));
    assert_eq!(kind(Build::part().raw(&[99])), DumpError::UnknownType { type_id: 99, version: 9 });
    assert_eq!(parse_dump(Bytes::new()), Err(DumpError::TooShort(0)));
}
