//! Streams: the entries inside nodes, and the part after the nodes (protocol section 7.6.6; Redis `t_stream.c`).

use bytes::Bytes;
use dfly_wire::UnixMillis;

use crate::error::ValueError;
use crate::pack::Body;
use crate::pack::listpack::{Listpack, ListpackIter};
use crate::scan::TailUnit;
use crate::stream_id::StreamId;
use crate::text::Text;

/// An entry of a stream.
#[derive(Debug, Clone)]
pub struct StreamEntry<'a> {
    id: StreamId,
    node: Body<'a>,
    /// Offset of the names in the node, if they are those of its first entry.
    names: Option<usize>,
    /// Offset of the values in the node, or of alternating names and values.
    values: usize,
    fields: u64,
}

impl<'a> StreamEntry<'a> {
    /// The entry's id.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// The number of fields. Names may repeat.
    pub fn len(&self) -> u64 {
        self.fields
    }

    /// Whether it has no fields.
    pub fn is_empty(&self) -> bool {
        self.fields == 0
    }

    /// Names and values, in order.
    pub fn fields(&self) -> StreamFields<'a> {
        let at = |at| ListpackIter::at_place(self.node.clone(), at);
        StreamFields { names: self.names.map(at), values: at(self.values), left: self.fields }
    }
}

impl PartialEq for StreamEntry<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.fields().eq(other.fields())
    }
}

/// Names and values of a stream entry. The node is validated up to the end of the entry, so iteration cannot fail.
#[derive(Debug, Clone)]
pub struct StreamFields<'a> {
    /// The names of the node's first entry, if this entry has the same names.
    names: Option<ListpackIter<'a>>,
    values: ListpackIter<'a>,
    left: u64,
}

impl<'a> Iterator for StreamFields<'a> {
    type Item = (Text<'a>, Text<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name = self.names.as_mut().unwrap_or(&mut self.values).next()?.ok()?;
        let value = self.values.next()?.ok()?;
        Some((name, value))
    }
}

/// The entries of one node.
#[derive(Debug, Clone)]
pub struct StreamNode<'a> {
    first: StreamId,
    items: ListpackIter<'a>,
    /// Offset of the names of the first entry.
    names: usize,
    fields: u64,
    left: u64,
}

/// The entry was deleted.
const DELETED: i64 = 1;
/// The entry has the field names of the node's first entry.
const SAME_FIELDS: i64 = 2;

impl<'a> StreamNode<'a> {
    pub(crate) fn new(first: StreamId, listpack: &Listpack<'a>) -> Result<Self, ValueError> {
        let mut items = listpack.iter();
        let (live, deleted, fields) = (count(&mut items)?, count(&mut items)?, count(&mut items)?);
        let left = live.checked_add(deleted).ok_or(ValueError::StreamNode("a count is out of range"))?;
        let (_, names) = items.place();
        skip(&mut items, fields)?;
        match number(&mut items)? {
            0 => Ok(Self { first, items, names, fields, left }),
            _ => Err(ValueError::StreamNode("the first entry has no terminator")),
        }
    }

    /// The base of the ids of the node's entries.
    pub fn first_id(&self) -> StreamId {
        self.first
    }

    fn entry(&mut self) -> Result<Option<StreamEntry<'a>>, ValueError> {
        let flags = number(&mut self.items)?;
        let ms = self.first.ms.wrapping_add(number(&mut self.items)?.cast_unsigned());
        let seq = self.first.seq.wrapping_add(number(&mut self.items)?.cast_unsigned());
        let same = flags & SAME_FIELDS != 0;
        let fields = if same { self.fields } else { count(&mut self.items)? };
        let (_, values) = self.items.place();
        let elements = if same { Some(fields) } else { fields.checked_mul(2) };
        let elements = elements.ok_or(ValueError::StreamNode("a count is out of range"))?;
        skip(&mut self.items, elements)?;
        // Flags, the two parts of the id, and the count of fields if it is stored.
        if count(&mut self.items)? != elements + if same { 3 } else { 4 } {
            return Err(ValueError::StreamNode("an entry's backward count is wrong"));
        }
        let names = same.then_some(self.names);
        let node = self.items.place().0.clone();
        let entry = StreamEntry { id: StreamId { ms, seq }, node, names, values, fields };
        Ok((flags & DELETED == 0).then_some(entry))
    }

    fn end(&mut self) -> Option<Result<StreamEntry<'a>, ValueError>> {
        match self.items.next()? {
            Ok(_) => Some(Err(ValueError::StreamNode("more entries than stated"))),
            Err(error) => Some(Err(error)),
        }
    }
}

impl<'a> Iterator for StreamNode<'a> {
    type Item = Result<StreamEntry<'a>, ValueError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            match self.entry() {
                Ok(Some(entry)) => return Some(Ok(entry)),
                Ok(None) => {}
                Err(error) => {
                    self.left = 0;
                    return Some(Err(error));
                }
            }
        }
        self.end()
    }
}

fn number(items: &mut ListpackIter<'_>) -> Result<i64, ValueError> {
    let text = items.next().ok_or(ValueError::StreamNode("it ends in the middle of an entry"))??;
    text.as_i64().ok_or(ValueError::StreamNode("a number is expected"))
}

fn count(items: &mut ListpackIter<'_>) -> Result<u64, ValueError> {
    u64::try_from(number(items)?).or(Err(ValueError::StreamNode("a count is negative")))
}

fn skip(items: &mut ListpackIter<'_>, elements: u64) -> Result<(), ValueError> {
    for _ in 0..elements {
        items.next().ok_or(ValueError::StreamNode("it ends in the middle of an entry"))??;
    }
    Ok(())
}

/// Everything in a stream except its entries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StreamTail {
    /// Entries that are not deleted.
    pub length: u64,
    /// The last id that was assigned.
    pub last_id: StreamId,
    /// The first entry that is not deleted. `None` in the encoding of Redis before 7.0.
    pub first_id: Option<StreamId>,
    /// The largest id that was deleted. `None` in the encoding of Redis before 7.0.
    pub max_deleted_id: Option<StreamId>,
    /// Number of entries that were ever added. `None` in the encoding of Redis before 7.0.
    pub entries_added: Option<u64>,
    /// The consumer groups.
    pub groups: Vec<StreamGroup>,
    /// Redis 8.6: how ids of idempotent producers are kept. The ids themselves are not read.
    pub producers: Option<StreamProducers>,
}

/// A consumer group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StreamGroup {
    /// Its name.
    pub name: Bytes,
    /// The last id that was delivered.
    pub last_id: StreamId,
    /// Number of entries that it has read. `None` if the server does not know it or the encoding does not hold it.
    pub entries_read: Option<u64>,
    /// Delivered entries that are not acknowledged, ascending by id.
    pub pending: Vec<StreamPending>,
    /// Its consumers.
    pub consumers: Vec<StreamConsumer>,
}

/// A delivered entry that is not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamPending {
    /// The id of the entry, which may be deleted.
    pub id: StreamId,
    /// When it was delivered last.
    pub delivered_at: UnixMillis,
    /// Number of deliveries.
    pub deliveries: u64,
    /// Its consumer: an index into the group's consumers.
    pub consumer: Option<usize>,
}

/// A consumer of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamConsumer {
    /// Its name.
    pub name: Bytes,
    /// When it was last seen.
    pub seen_at: UnixMillis,
    /// When it last got an entry. `None` if it never did, or if the encoding does not hold it.
    pub active_at: Option<UnixMillis>,
}

/// How Redis 8.6 keeps the ids of idempotent producers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamProducers {
    /// For this many seconds.
    pub duration_seconds: u64,
    /// This many per producer.
    pub max_entries: u64,
}

impl StreamTail {
    /// Adds one unit of the tail.
    pub(crate) fn add(&mut self, unit: TailUnit<'_>) -> Result<(), ValueError> {
        match unit {
            TailUnit::Totals { length, last, since7 } => {
                (self.length, self.last_id) = (length, last);
                self.first_id = since7.map(|totals| totals.first);
                self.max_deleted_id = since7.map(|totals| totals.max_deleted);
                self.entries_added = since7.map(|totals| totals.entries_added);
            }
            TailUnit::Group { name, last, entries_read } => {
                let name = name.text()?.into_bytes();
                self.groups.push(StreamGroup { name, last_id: last, entries_read, ..StreamGroup::default() });
            }
            TailUnit::Producers { duration_seconds, max_entries } => {
                self.producers = Some(StreamProducers { duration_seconds, max_entries });
            }
            TailUnit::Silent => {}
            unit => match self.groups.last_mut() {
                Some(group) => group.add(unit)?,
                None => return Err(ValueError::NotPending),
            },
        }
        Ok(())
    }
}

impl StreamGroup {
    fn add(&mut self, unit: TailUnit<'_>) -> Result<(), ValueError> {
        match unit {
            TailUnit::Pending { id, delivered_at, deliveries } => {
                self.pending.push(StreamPending { id, delivered_at, deliveries, consumer: None });
            }
            TailUnit::Consumer { name, seen_at, active_at } => {
                if self.consumers.is_empty() && !self.pending.is_sorted_by_key(|pending| pending.id) {
                    self.pending.sort_by_key(|pending| pending.id);
                }
                self.consumers.push(StreamConsumer { name: name.text()?.into_bytes(), seen_at, active_at });
            }
            TailUnit::Owned(id) => {
                let consumer = self.consumers.len().checked_sub(1);
                let found = self.pending.binary_search_by_key(&id, |pending| pending.id);
                let found = found.ok().and_then(|at| self.pending.get_mut(at));
                found.ok_or(ValueError::NotPending)?.consumer = consumer;
            }
            TailUnit::Totals { .. }
            | TailUnit::Group { .. }
            | TailUnit::Producers { .. }
            | TailUnit::Silent => {}
        }
        Ok(())
    }
}
