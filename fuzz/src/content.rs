//! The elements of a value as bytes that can be compared, however the value is encoded and cut.

use dfly_rdb::{
    BloomPart, CountMinPart, CuckooPart, Element, Encoding, ModulePart, Node, StreamTail, Text, TopKPart,
    TypeId, ValueError,
};

/// What elements hold. Parts of one run of bytes are one.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Content {
    items: Vec<Vec<u8>>,
    tail: Option<StreamTail>,
    /// The last item is a run that may go on.
    running: bool,
    /// How many elements there were.
    pub(crate) elements: usize,
}

impl Content {
    pub(crate) fn of<'a>(
        elements: impl Iterator<Item = Result<Element<'a>, ValueError>>,
    ) -> Result<Self, ValueError> {
        let mut content = Self::default();
        content.add(elements)?;
        Ok(content)
    }

    pub(crate) fn add<'a>(
        &mut self,
        elements: impl Iterator<Item = Result<Element<'a>, ValueError>>,
    ) -> Result<(), ValueError> {
        elements.into_iter().try_for_each(|element| element.map(|element| self.put(element)))
    }

    fn put(&mut self, element: Element<'_>) {
        self.elements += 1;
        match element {
            Element::String(text) | Element::Json(text) | Element::Bloom(BloomPart::Bits(text)) => {
                self.run(&text.to_vec());
            }
            Element::CountMinSketch(CountMinPart::Counters(run))
            | Element::TopK(TopKPart::Counters(run))
            | Element::Cuckoo(CuckooPart::Buckets(run)) => self.run(run),
            Element::Item(text) | Element::Module(ModulePart::String(text)) => self.texts(&[text]),
            Element::Member { member, expire_at } => self.member(&[member], expire_at.map(|at| at.0)),
            Element::Field { field, value, expire_at } => {
                self.member(&[field, value], expire_at.map(|at| at.0));
            }
            Element::Scored { member, score } => {
                self.texts(&[member]);
                self.items.push(score.to_bits().to_le_bytes().to_vec());
            }
            Element::StreamEntry(entry) => {
                self.items.push(entry.id().to_string().into_bytes());
                entry.fields().for_each(|(name, value)| self.texts(&[name, value]));
                self.running = false;
            }
            Element::StreamTail(tail) => self.tail = Some(*tail),
            head => self.head(format!("{head:?}")),
        }
    }

    fn head(&mut self, head: String) {
        self.items.push(head.into_bytes());
        self.running = false;
    }

    fn member(&mut self, texts: &[Text<'_>], expire_at: Option<i64>) {
        self.texts(texts);
        self.items.extend(expire_at.map(|at| at.to_le_bytes().to_vec()));
    }

    fn texts(&mut self, texts: &[Text<'_>]) {
        self.items.extend(texts.iter().map(Text::to_vec));
        self.running = false;
    }

    fn run(&mut self, bytes: &[u8]) {
        match self.items.last_mut() {
            Some(last) if self.running => last.extend_from_slice(bytes),
            _ => self.items.push(bytes.to_vec()),
        }
        self.running = true;
    }

    /// Without what the stream encoding `type_id` has no place for.
    pub(crate) fn into_form(mut self, type_id: TypeId) -> Self {
        let Some(tail) = &mut self.tail else { return self };
        if type_id == TypeId::Stream {
            (tail.first_id, tail.max_deleted_id, tail.entries_added) = (None, None, None);
            tail.groups.iter_mut().for_each(|group| group.entries_read = None);
        }
        if type_id != TypeId::Stream3 {
            let consumers = tail.groups.iter_mut().flat_map(|group| &mut group.consumers);
            consumers.for_each(|consumer| consumer.active_at = None);
        }
        tail.producers = None;
        self
    }
}

/// How many texts and entries the containers of an encoding hold, up to the first fault in each.
pub(crate) fn count(encoding: Encoding<'_>) -> usize {
    match encoding {
        Encoding::Listpack(listpack) => listpack.iter().count(),
        Encoding::Ziplist(ziplist) => ziplist.iter().count(),
        Encoding::Intset(intset) => intset.iter().count(),
        Encoding::Zipmap(zipmap) => zipmap.iter().count(),
        Encoding::Quicklist(nodes) => nodes.map(|node| node.map_or(0, count_node)).sum(),
        Encoding::Stream(nodes) => nodes.map(|node| node.map_or(0, Iterator::count)).sum(),
        _ => 0,
    }
}

fn count_node(node: Node<'_>) -> usize {
    match node {
        Node::Plain(_) => 1,
        Node::Listpack(listpack) => listpack.iter().count(),
        Node::Ziplist(ziplist) => ziplist.iter().count(),
        other => panic!("no target reads {other:?}"),
    }
}
