//! Streams: entries, and what `XINFO STREAM key FULL` reports about ids, groups, consumers and pending entries.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::redis_client::Reply;

/// A stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamValue {
    /// Every entry: its id, and its fields and values in order.
    pub entries: Vec<(String, Vec<Bytes>)>,
    /// Everything else.
    pub info: StreamInfo,
}

/// What `XINFO STREAM key FULL` reports, except entries and radix tree sizes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamInfo {
    /// The number of entries.
    pub length: i64,
    /// The last id that was ever generated.
    pub last_id: String,
    /// The highest id that was ever deleted.
    pub max_deleted_id: String,
    /// How many entries were ever added.
    pub entries_added: i64,
    /// The first entry's id.
    pub first_id: String,
    /// The groups by name.
    pub groups: BTreeMap<Bytes, Group>,
}

/// A consumer group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// The last id that was delivered to the group.
    pub last_delivered_id: String,
    /// How many entries the group has read. `None` if the server does not know.
    pub entries_read: Option<i64>,
    /// Pending entries of all consumers, by id.
    pub pending: Vec<Pending>,
    /// The consumers by name.
    pub consumers: BTreeMap<Bytes, Consumer>,
}

/// An entry that was delivered but not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pending {
    /// The entry's id.
    pub id: String,
    /// The consumer that owns it.
    pub consumer: Bytes,
    /// When it was last delivered, in Unix milliseconds.
    pub delivered_at_ms: i64,
    /// How many times it was delivered.
    pub count: i64,
}

/// A consumer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Consumer {
    /// When it last tried to read or claim, in Unix milliseconds.
    pub seen_at_ms: i64,
    /// When it last read or claimed something, in Unix milliseconds. `None` if it never did, or if the server (Redis before
    /// 7.2) does not report it.
    pub active_at_ms: Option<i64>,
    /// The ids of its pending entries.
    pub pending: Vec<String>,
}

impl StreamValue {
    /// Parses the replies to `XRANGE key - +` and `XINFO STREAM key FULL COUNT 0`.
    pub(crate) fn from_replies(range: &Reply, info: &Reply) -> Option<Self> {
        let entries = range.array()?.iter().map(entry).collect::<Option<_>>()?;
        Some(Self { entries, info: StreamInfo::from_reply(info)? })
    }
}

fn entry(reply: &Reply) -> Option<(String, Vec<Bytes>)> {
    let [id, fields] = reply.array()? else { return None };
    Some((id.text()?, fields.array()?.iter().map(Reply::bytes).collect::<Option<_>>()?))
}

/// The value for `name` in a flat list of names and values.
fn field<'a>(flat: &'a [Reply], name: &str) -> Option<&'a Reply> {
    let (pairs, _) = flat.as_chunks::<2>();
    pairs.iter().find(|[key, _]| key.bytes().is_some_and(|key| key == name)).map(|[_, value]| value)
}

impl StreamInfo {
    fn from_reply(reply: &Reply) -> Option<Self> {
        let flat = reply.array()?;
        Some(Self {
            length: field(flat, "length")?.int()?,
            last_id: field(flat, "last-generated-id")?.text()?,
            max_deleted_id: field(flat, "max-deleted-entry-id")?.text()?,
            entries_added: field(flat, "entries-added")?.int()?,
            first_id: field(flat, "recorded-first-entry-id")?.text()?,
            groups: field(flat, "groups")?.array()?.iter().map(Group::from_reply).collect::<Option<_>>()?,
        })
    }
}

impl Group {
    fn from_reply(reply: &Reply) -> Option<(Bytes, Self)> {
        let flat = reply.array()?;
        let mut pending: Vec<Pending> =
            field(flat, "pending")?.array()?.iter().map(Pending::from_reply).collect::<Option<_>>()?;
        pending.sort();
        let consumers = field(flat, "consumers")?.array()?;
        let group = Self {
            last_delivered_id: field(flat, "last-delivered-id")?.text()?,
            entries_read: field(flat, "entries-read")?.int(),
            pending,
            consumers: consumers.iter().map(Consumer::from_reply).collect::<Option<_>>()?,
        };
        Some((field(flat, "name")?.bytes()?, group))
    }
}

impl Pending {
    fn from_reply(reply: &Reply) -> Option<Self> {
        let [id, consumer, time, count] = reply.array()? else { return None };
        let (delivered_at_ms, count) = (time.int()?, count.int()?);
        Some(Self { id: id.text()?, consumer: consumer.bytes()?, delivered_at_ms, count })
    }
}

impl Consumer {
    fn from_reply(reply: &Reply) -> Option<(Bytes, Self)> {
        let flat = reply.array()?;
        let pending = field(flat, "pending")?.array()?.iter();
        let mut ids: Vec<String> =
            pending.map(|entry| entry.array()?.first()?.text()).collect::<Option<_>>()?;
        ids.sort();
        let consumer = Self {
            seen_at_ms: field(flat, "seen-time")?.int()?,
            active_at_ms: field(flat, "active-time").and_then(Reply::int).filter(|ms| *ms >= 0),
            pending: ids,
        };
        Some((field(flat, "name")?.bytes()?, consumer))
    }
}
