use std::collections::BTreeMap;

use dfly_rdb::{
    Element, Elements, Event, KeyHeader, ModulePart, StreamId, StreamTail, TypeId, ValueId, ValueKind,
};

/// What a value holds, however it was encoded and cut.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Text(Vec<u8>),
    List(Vec<Vec<u8>>),
    Set(BTreeMap<Vec<u8>, Option<i64>>),
    Hash(BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>),
    SortedSet(BTreeMap<Vec<u8>, f64>),
    Stream {
        entries: Vec<(StreamId, Vec<Vec<u8>>)>,
        tail: StreamTail,
    },
    /// Sketches and modules: their parts as text, and all strings.
    Opaque {
        parts: usize,
        strings: Vec<Vec<u8>>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Held {
    pub(crate) header: KeyHeader,
    pub(crate) type_id: TypeId,
    pub(crate) kind: ValueKind,
    pub(crate) content: Content,
}

impl Content {
    fn empty(kind: ValueKind) -> Self {
        match kind {
            ValueKind::String | ValueKind::Json => Self::Text(Vec::new()),
            ValueKind::List => Self::List(Vec::new()),
            ValueKind::Set => Self::Set(BTreeMap::new()),
            ValueKind::Hash => Self::Hash(BTreeMap::new()),
            ValueKind::SortedSet => Self::SortedSet(BTreeMap::new()),
            ValueKind::Stream => Self::Stream { entries: Vec::new(), tail: StreamTail::default() },
            _ => Self::Opaque { parts: 0, strings: Vec::new() },
        }
    }

    pub(crate) fn of(kind: ValueKind, elements: Elements<'_>) -> Self {
        let mut content = Self::empty(kind);
        content.add(elements);
        content
    }

    fn add(&mut self, elements: Elements<'_>) {
        for element in elements {
            self.put(element.unwrap());
        }
    }

    fn put(&mut self, element: Element<'_>) {
        match (self, element) {
            (Self::Text(all), Element::String(text) | Element::Json(text)) => all.extend(text.to_vec()),
            (Self::List(items), Element::Item(item)) => items.push(item.to_vec()),
            (Self::Set(members), Element::Member { member, expire_at }) => {
                assert_eq!(members.insert(member.to_vec(), expire_at.map(|at| at.0)), None);
            }
            (Self::Hash(fields), Element::Field { field, value, expire_at }) => {
                let old = fields.insert(field.to_vec(), (value.to_vec(), expire_at.map(|at| at.0)));
                assert_eq!(old, None);
            }
            (Self::SortedSet(members), Element::Scored { member, score }) => {
                assert_eq!(members.insert(member.to_vec(), score), None);
            }
            (Self::Stream { entries, .. }, Element::StreamEntry(entry)) => {
                let fields = entry.fields().flat_map(|(name, value)| [name.to_vec(), value.to_vec()]);
                entries.push((entry.id(), fields.collect()));
            }
            (Self::Stream { tail, .. }, Element::StreamTail(found)) => *tail = found,
            (Self::Opaque { parts, strings }, element) => {
                *parts += 1;
                if let Element::Module(ModulePart::String(text)) = element {
                    strings.push(text.to_vec());
                }
            }
            (content, element) => panic!("{element:?} in {content:?}"),
        }
    }
}

/// The keys that events bring, by database and name.
pub(crate) fn keyspace<'e>(events: impl IntoIterator<Item = &'e Event>) -> BTreeMap<(u32, Vec<u8>), Held> {
    let (mut keys, mut open) = (BTreeMap::new(), BTreeMap::<ValueId, Held>::new());
    let mut keep = |held: Held| {
        let name = (held.header.db.0, held.header.key.to_vec());
        assert_eq!(keys.insert(name.clone(), held), None, "{name:?} came twice");
    };
    for event in events {
        match event {
            Event::Entry(entry) => {
                let (type_id, kind) = (entry.value.type_id(), entry.value.kind());
                let content = Content::of(kind, entry.value.elements());
                keep(Held { header: entry.header.clone(), type_id, kind, content });
            }
            Event::Open { id, header, type_id } => {
                let (header, type_id, kind) = (header.clone(), *type_id, type_id.kind());
                let held = Held { header, type_id, kind, content: Content::empty(kind) };
                assert!(open.insert(*id, held).is_none());
            }
            Event::Piece { id, piece } => open.get_mut(id).unwrap().content.add(piece.elements()),
            Event::Close { id } => keep(open.remove(id).unwrap()),
            _ => {}
        }
    }
    assert!(open.is_empty());
    keys
}
