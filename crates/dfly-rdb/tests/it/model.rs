use std::collections::BTreeMap;

use dfly_rdb::{
    BloomPart, CountMinPart, CuckooPart, Element, Elements, Event, KeyHeader, ModulePart, StreamId,
    StreamTail, TopKPart, TypeId, ValueId, ValueKind,
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
    /// Sketches and modules: their heads as text, their raw bytes, and a module's strings.
    Opaque {
        heads: Vec<String>,
        bytes: Vec<u8>,
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
            _ => Self::Opaque { heads: Vec::new(), bytes: Vec::new(), strings: Vec::new() },
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
            (Self::Stream { tail, .. }, Element::StreamTail(found)) => *tail = *found,
            (Self::Opaque { heads, bytes, strings }, element) => match element {
                Element::Bloom(BloomPart::Bits(bits)) => bytes.extend(bits.to_vec()),
                Element::CountMinSketch(CountMinPart::Counters(run)) => bytes.extend(run),
                Element::TopK(TopKPart::Counters(run)) => bytes.extend(run),
                Element::Cuckoo(CuckooPart::Buckets(run)) => bytes.extend(run),
                Element::Module(ModulePart::String(text)) => strings.push(text.to_vec()),
                head => heads.push(format!("{head:?}")),
            },
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
            Event::Piece { id, piece } => {
                let held = open.get_mut(id).unwrap();
                held.content.add(piece.elements());
                if let Some(Ok(Element::Module(ModulePart::Id(id)))) = piece.elements().next() {
                    held.kind = ValueKind::Module(Some(id));
                }
            }
            Event::Close { id } => keep(open.remove(id).unwrap()),
            _ => {}
        }
    }
    assert!(open.is_empty());
    keys
}
