//! Digests: equal for equal content, however it was encoded and cut; different for every small change.

use std::collections::{BTreeMap, BTreeSet};

use dfly_rdb::digest::ContentDigest;
use dfly_rdb::{Event, RawValue, TypeId, ValueId};

use crate::build::{Build, intset, listpack, zipmap};
use crate::driver::{decode_whole, pieces_of};
use crate::inputs;

fn of(value: &RawValue) -> u128 {
    let mut digest = ContentDigest::default();
    value.elements().for_each(|element| digest.add(&element.unwrap()));
    digest.finish()
}

fn digests(events: &[Event]) -> BTreeMap<(u32, Vec<u8>), u128> {
    let mut open: BTreeMap<ValueId, ((u32, Vec<u8>), ContentDigest)> = BTreeMap::new();
    let mut all = BTreeMap::new();
    for event in events {
        match event {
            Event::Entry(entry) => {
                let key = (entry.header.db.0, entry.header.key.to_vec());
                assert_eq!(all.insert(key, of(&entry.value)), None);
            }
            Event::Open { id, header, .. } => {
                open.insert(*id, ((header.db.0, header.key.to_vec()), ContentDigest::default()));
            }
            Event::Piece { id, piece } => {
                let (_, digest) = open.get_mut(id).unwrap();
                piece.elements().for_each(|element| digest.add(&element.unwrap()));
            }
            Event::Close { id } => {
                let (key, digest) = open.remove(id).unwrap();
                assert_eq!(all.insert(key, digest.finish()), None);
            }
            _ => {}
        }
    }
    all
}

#[test]
fn cuts_do_not_show() {
    for folder in inputs::folders(&inputs::snapshots()) {
        for file in inputs::files(&folder) {
            let whole = digests(&decode_whole(&file, pieces_of(1 << 30)).unwrap().0);
            for piece in [1, 50, 1000] {
                let cut = digests(&decode_whole(&file, pieces_of(piece)).unwrap().0);
                assert_eq!(whole, cut, "{}", folder.display());
            }
        }
    }
}

#[test]
fn encodings_do_not_show() {
    let value = |type_id, part: Build| of(&RawValue::new(type_id, part.0.into()));
    let set = value(TypeId::Set, Build::part().len(2).str("7").str("5"));
    assert_eq!(set, value(TypeId::SetIntset, Build::part().str(intset(2, &[5, 7]))));
    assert_eq!(set, value(TypeId::SetListpack, Build::part().str(listpack(&[5.into(), "7".into()]))));
    let hash = value(TypeId::Hash, Build::part().len(2).str("f").str("v").str("g").str("w"));
    assert_eq!(hash, value(TypeId::HashZipmap, Build::part().str(zipmap(&[("g", "w"), ("f", "v")], 0))));
    let list = value(TypeId::List, Build::part().len(2).str("a").str("1"));
    let nodes = Build::part().len(2).len(1).str("a").len(2).str(listpack(&[1.into()]));
    assert_eq!(list, value(TypeId::ListQuicklist2, nodes));
    let zset = value(TypeId::SortedSet2, Build::part().len(1).str("m").raw(&(-0.0_f64).to_le_bytes()));
    assert_eq!(zset, value(TypeId::SortedSetListpack, Build::part().str(listpack(&["m".into(), 0.into()]))));
}

#[test]
fn every_change_shows() {
    let value = |type_id, part: Build| of(&RawValue::new(type_id, part.0.into()));
    let field = |field: &str, v: &str, at: i64| Build::part().len(1).str(field).str(v).raw(&at.to_le_bytes());
    let all = [
        value(TypeId::String, Build::part().str("ab")),
        value(TypeId::String, Build::part().str("a")),
        value(TypeId::List, Build::part().len(2).str("a").str("b")),
        value(TypeId::List, Build::part().len(2).str("b").str("a")),
        value(TypeId::List, Build::part().len(1).str("ab")),
        value(TypeId::List, Build::part().len(3).str("a").str("b").str("")),
        value(TypeId::Set, Build::part().len(2).str("a").str("b")),
        value(TypeId::Set, Build::part().len(1).str("ab")),
        value(TypeId::HashValkey, field("f", "v", -1)),
        value(TypeId::HashValkey, field("f", "v", 5)),
        value(TypeId::HashValkey, field("fv", "", -1)),
        value(TypeId::HashValkey, field("v", "f", -1)),
        value(TypeId::SortedSet2, Build::part().len(1).str("m").raw(&1.0_f64.to_le_bytes())),
        value(TypeId::SortedSet2, Build::part().len(1).str("m").raw(&2.0_f64.to_le_bytes())),
    ];
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
}
