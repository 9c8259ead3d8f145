//! Containers inside strings: everything that can be written reads back, and nothing that cannot makes a panic.

use bytes::Bytes;
use dfly_rdb::{Element, Encoding, Node, RawValue, Text, TypeId, ValueError};
use proptest::prelude::*;

use crate::build::{Build, Elem, intset, listpack, lzf, lzf_str, ziplist, zipmap};

fn value(type_id: TypeId, container: &[u8]) -> RawValue {
    RawValue::new(type_id, Build::part().str(container).0.into())
}

/// The items of a list value.
fn items(value: &RawValue) -> Result<Vec<Vec<u8>>, ValueError> {
    let elements = value.elements().map(|element| match element? {
        Element::Item(text) => Ok(text.to_vec()),
        other => panic!("{other:?}"),
    });
    elements.collect()
}

/// A list whose only node is the container.
fn packed_list(listpack: &[u8]) -> RawValue {
    RawValue::new(TypeId::ListQuicklist2, Build::part().len(1).len(2).str(listpack).0.into())
}

fn elem() -> impl Strategy<Value = Elem> {
    let near = |bits: u32| (-3_i64..3).prop_map(move |off| (1_i64 << bits).wrapping_add(off));
    let edges = prop_oneof![near(7), near(12), near(15), near(23), near(31), near(62)];
    prop_oneof![
        any::<i64>().prop_map(Elem::Int),
        (-5000_i64..5000).prop_map(Elem::Int),
        (edges, any::<bool>()).prop_map(|(edge, negative)| Elem::Int(if negative { -edge } else { edge })),
        prop::collection::vec(any::<u8>(), 0..80).prop_map(Elem::Text),
        (0_usize..20_000, any::<u8>()).prop_map(|(size, byte)| Elem::Text(vec![byte; size])),
    ]
}

proptest! {
    #[test]
    fn listpacks_read_back(elements in prop::collection::vec(elem(), 0..40)) {
        let stated: Vec<_> = elements.iter().map(Elem::text).collect();
        let container = listpack(&elements);
        prop_assert_eq!(&items(&packed_list(&container)).unwrap(), &stated);
        let compressed = RawValue::new(
            TypeId::ListQuicklist2,
            Build::part().len(1).len(2).raw(&lzf_str(&container)).0.into(),
        );
        prop_assert_eq!(&items(&compressed).unwrap(), &stated);
    }

    #[test]
    fn ziplists_read_back(elements in prop::collection::vec(elem(), 0..40)) {
        let stated: Vec<_> = elements.iter().map(Elem::text).collect();
        let list = value(TypeId::ListZiplist, &ziplist(&elements));
        prop_assert_eq!(items(&list).unwrap(), stated);
    }

    #[test]
    fn lzf_reads_back(words in prop::collection::vec(prop::collection::vec(0_u8..4, 0..300), 0..12)) {
        let text = words.concat();
        let stored = Build::part().raw(&[0xc3]).len(lzf(&text).len() as u64).len(text.len() as u64).raw(&lzf(&text));
        let value = RawValue::new(TypeId::String, stored.0.into());
        let Some(Ok(Element::String(found))) = value.elements().next() else { panic!("no string") };
        prop_assert_eq!(found.to_vec(), text);
    }

    /// A changed byte is an error or another content; never a panic, and never more elements than bytes.
    #[test]
    fn damaged_containers(
        elements in prop::collection::vec(elem(), 1..10),
        at in any::<prop::sample::Index>(),
        byte: u8,
        cut: bool,
    ) {
        let damage = |mut container: Vec<u8>| {
            let at = at.index(container.len());
            if cut { container.truncate(at) } else { container[at] = byte }
            container
        };
        let good = (listpack(&elements), ziplist(&elements));
        for value in [packed_list(&damage(good.0)), value(TypeId::ListZiplist, &damage(good.1))] {
            let limit = value.payload().len();
            prop_assert!(value.elements().take(limit + 1).count() <= limit);
        }
    }

    #[test]
    fn rubbish_in_every_type(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for type_id in every_type() {
            for value in [value(type_id, &body), RawValue::new(type_id, Bytes::from(body.clone()))] {
                prop_assert!(value.elements().take(body.len() + 10).count() < body.len() + 10);
                prop_assert!(value.encoding().map_or(0, walk) <= body.len() + 10);
            }
        }
    }
}

fn every_type() -> impl Iterator<Item = TypeId> {
    use dfly_rdb::{Family, Magic};
    let magics = [(Family::Redis, 9), (Family::Redis, 12), (Family::Valkey, 80)];
    let magics = magics.map(|(family, version)| Magic { family, version });
    (0..=u8::MAX).flat_map(move |id| magics.into_iter().filter_map(move |magic| TypeId::resolve(id, magic)))
}

/// Walks through the containers of an encoding and counts their texts.
fn walk(encoding: Encoding<'_>) -> usize {
    match encoding {
        Encoding::Listpack(listpack) => listpack.iter().count(),
        Encoding::Ziplist(ziplist) => ziplist.iter().count(),
        Encoding::Intset(intset) => intset.iter().count(),
        Encoding::Zipmap(zipmap) => zipmap.iter().count(),
        Encoding::Quicklist(nodes) => nodes.map(|node| node.map_or(0, walk_node)).sum(),
        Encoding::Stream(nodes) => nodes.map(|node| node.map_or(0, Iterator::count)).sum(),
        _ => 1,
    }
}

fn walk_node(node: Node<'_>) -> usize {
    match node {
        Node::Plain(_) => 1,
        Node::Listpack(listpack) => listpack.iter().count(),
        Node::Ziplist(ziplist) => ziplist.iter().count(),
        other => panic!("no test for {other:?}"),
    }
}

/// Level 2 shows the containers as they stand.
#[test]
fn encodings() {
    let four: Vec<Elem> = vec!["f".into(), 1.into(), "g".into(), 2.into()];
    let hash = value(TypeId::HashListpack, &listpack(&four));
    let Encoding::Listpack(found) = hash.encoding().unwrap() else { panic!("no listpack") };
    assert_eq!((found.stated_len(), found.as_bytes()), (Some(4), &listpack(&four)[..]));
    let texts: Vec<_> = found.iter().map(Result::unwrap).collect();
    assert!(matches!(texts[..], [Text::Raw(b"f"), Text::Int(1), Text::Raw(b"g"), Text::Int(2)]));
    let set = value(TypeId::SetIntset, &intset(4, &[-70_000, 70_000]));
    let Encoding::Intset(found) = set.encoding().unwrap() else { panic!("no intset") };
    assert_eq!((found.len(), found.iter().collect::<Vec<_>>()), (2, vec![-70_000, 70_000]));
    let list = RawValue::new(
        TypeId::ListQuicklist2,
        Build::part().len(2).len(1).str("plain").len(2).str(listpack(&four)).0.into(),
    );
    let Encoding::Quicklist(nodes) = list.encoding().unwrap() else { panic!("no quicklist") };
    let nodes: Vec<_> = nodes.map(Result::unwrap).collect();
    assert!(matches!(&nodes[..], [Node::Plain(Text::Raw(b"plain")), Node::Listpack(_)]));
    let map = value(TypeId::HashZipmap, &zipmap(&[("f", "v")], 2));
    assert!(matches!(map.encoding().unwrap(), Encoding::Zipmap(_)));
    let text = RawValue::new(TypeId::String, Bytes::from_static(&[0xc0, 5]));
    assert!(matches!(text.encoding().unwrap(), Encoding::Text(Text::Int(5))));
    let plain = RawValue::new(TypeId::Set, Bytes::from_static(&[0]));
    assert!(matches!(plain.encoding().unwrap(), Encoding::Plain));
}

/// The first error that the elements of a value end with.
fn error(value: &RawValue) -> String {
    let all: Vec<_> = value.elements().take(100).collect();
    let (last, before) = all.split_last().unwrap();
    assert!(before.iter().all(Result::is_ok), "an error is the last");
    last.as_ref().unwrap_err().to_string()
}

/// What is wrong is named.
#[test]
fn broken_containers_are_named() {
    let change = |mut container: Vec<u8>, at: usize, byte: u8| {
        container[at] = byte;
        container
    };
    let two = listpack(&["a".into(), 7.into()]);
    for (container, stated) in [
        (change(two.clone(), 0, 99), "listpack: the stated size is not the size at byte 0 of it"),
        (change(two.clone(), 4, 3), "listpack: the stated count is not the count at byte 11 of it"),
        (change(two.clone(), 8, 9), "listpack: an element's backward length is wrong at byte 6 of it"),
        (change(two.clone(), 6, 0xf7), "listpack: a malformed element at byte 6 of it"),
        (change(two.clone(), 6, 0xbf), "listpack: a malformed element at byte 6 of it"),
        (vec![1, 2], "listpack: no header at byte 0 of it"),
        (change(two, 11, 0), "listpack: no end mark at byte 12 of it"),
    ] {
        assert_eq!(error(&packed_list(&container)), stated);
    }
    let two = ziplist(&["a".into(), 7.into()]);
    for (container, stated) in [
        (change(two.clone(), 8, 3), "ziplist: the stated count is not the count at byte 15 of it"),
        (change(two.clone(), 13, 2), "ziplist: an element's backward length is wrong at byte 13 of it"),
        (change(two, 11, 0xc1), "ziplist: a malformed element at byte 10 of it"),
    ] {
        assert_eq!(error(&value(TypeId::ListZiplist, &container)), stated);
    }
    let three = listpack(&["a".into(), 7.into(), "b".into()]);
    assert_eq!(error(&value(TypeId::HashListpack, &three)), "a field or member without its value");
    let scores = listpack(&["a".into(), "nan".into()]);
    assert_eq!(error(&value(TypeId::SortedSetListpack, &scores)), "a score is not a number");
    let set = value(TypeId::SetIntset, &change(intset(2, &[1]), 0, 3));
    assert_eq!(error(&set), "intset: an integer width other than 2, 4 and 8 at byte 0 of it");
    let set = value(TypeId::SetIntset, &change(intset(2, &[1]), 4, 2));
    assert_eq!(error(&set), "intset: the stated count is not the count at byte 4 of it");
    let map = value(TypeId::HashZipmap, &change(zipmap(&[("f", "v")], 0), 0, 2));
    assert_eq!(error(&map), "zipmap: the stated count is not the count at byte 6 of it");
}

#[test]
fn broken_lzf_is_named() {
    let text = |packed: &[u8], length| {
        let stored = Build::part().raw(&[0xc3]).len(packed.len() as u64).len(length).raw(packed);
        error(&RawValue::new(TypeId::String, stored.0.into()))
    };
    assert_eq!(text(&[0, b'a'], 2), "lzf string: fewer bytes than stated");
    assert_eq!(text(&[1, b'a', b'b'], 1), "lzf string: more bytes than stated");
    assert_eq!(text(&[1, b'a'], 2), "lzf string: it ends in the middle of a run");
    assert_eq!(text(&[0, b'a', 0x20, 1], 4), "lzf string: a reference before the start");
    assert_eq!(text(&[0, b'a'], 1 << 40), "lzf string: the stated length cannot come from so few bytes");
}
