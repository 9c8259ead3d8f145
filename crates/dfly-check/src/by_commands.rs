//! What a value's own commands tell of it, for a side that forbids DUMP.

use std::collections::BTreeMap;

use bytes::Bytes;
use dfly_rdb::{StreamId, UnixMillis, ValueKind};
use dfly_replica::Question;
use redis_resp::Reply;

use crate::elements::entry_digest;
use crate::held::{Elements, Named, digest};
use crate::link::{bytes_of, number_of};
use crate::stream_state::{Group, Pending, StreamState};

/// The requests that give a whole value of this type; none if its content cannot be told so.
pub(crate) fn requests(kind: ValueKind, key: &Bytes) -> Vec<Question> {
    let question = |name: &'static [u8], rest: &[&'static [u8]]| {
        let rest = rest.iter().map(|word| Bytes::from_static(word));
        Question([Bytes::from_static(name), key.clone()].into_iter().chain(rest).collect())
    };
    match kind {
        ValueKind::List => vec![question(b"LRANGE", &[b"0", b"-1"])],
        ValueKind::Set => vec![question(b"SMEMBERS", &[])],
        ValueKind::Hash => vec![question(b"HGETALL", &[])],
        ValueKind::SortedSet => vec![question(b"ZRANGE", &[b"0", b"-1", b"WITHSCORES"])],
        ValueKind::Stream => vec![question(b"XRANGE", &[b"-", b"+"]), full(key)],
        _ => Vec::new(),
    }
}

/// The request for all that a stream is beside its entries.
fn full(key: &Bytes) -> Question {
    let words: [&[u8]; 6] = [b"XINFO", b"STREAM", key, b"FULL", b"COUNT", b"0"];
    Question::new(&words)
}

/// A value of this type, from the replies to [`requests`]. `None` if they have another form.
pub(crate) fn elements(kind: ValueKind, replies: &[Reply]) -> Option<Elements> {
    let first = array(replies.first()?)?;
    Some(match kind {
        ValueKind::List => Elements::List(first.iter().map(digest_of).collect::<Option<_>>()?),
        ValueKind::Set => {
            let member = |reply| Some((digest_of(reply)?, Named { value: 0, expires_at: None }));
            Elements::Named(first.iter().map(member).collect::<Option<_>>()?)
        }
        ValueKind::Hash => {
            let named = |pair: &[Reply; 2]| {
                Some((digest_of(&pair[0])?, Named { value: digest_of(&pair[1])?, expires_at: None }))
            };
            Elements::Named(first.as_chunks::<2>().0.iter().map(named).collect::<Option<_>>()?)
        }
        ValueKind::SortedSet => {
            let scored = |[member, score]: &[Reply; 2]| Some((digest_of(member)?, score_of(score)?));
            Elements::Scored(first.as_chunks::<2>().0.iter().map(scored).collect::<Option<_>>()?)
        }
        ValueKind::Stream => {
            let entries = first.iter().map(entry).collect::<Option<_>>()?;
            Elements::Stream(entries, Box::new(state(replies.get(1)?)?))
        }
        _ => return None,
    })
}

pub(crate) fn array(reply: &Reply) -> Option<&[Reply]> {
    if let Reply::Array(replies) = reply { Some(replies) } else { None }
}

fn digest_of(reply: &Reply) -> Option<u128> {
    bytes_of(reply).map(|bytes| digest(&bytes))
}

/// A score, as servers write it.
pub(crate) fn score_of(reply: &Reply) -> Option<f64> {
    let text = bytes_of(reply)?;
    let score: f64 = std::str::from_utf8(&text).ok()?.parse().ok()?;
    (!score.is_nan()).then_some(score)
}

/// An id, as `ms-seq`.
pub(crate) fn id_of(reply: &Reply) -> Option<StreamId> {
    let text = bytes_of(reply)?;
    let (ms, seq) = std::str::from_utf8(&text).ok()?.split_once('-')?;
    Some(StreamId { ms: ms.parse().ok()?, seq: seq.parse().ok()? })
}

/// An entry of a stream: its id, and what stands for its fields.
pub(crate) fn entry(reply: &Reply) -> Option<(StreamId, u128)> {
    let [id, words] = array(reply)? else { return None };
    let words: Vec<Bytes> = array(words)?.iter().map(bytes_of).collect::<Option<_>>()?;
    Some((id_of(id)?, entry_digest(words.iter().map(|word| &word[..]))))
}

/// The values of a flat list of names and values.
pub(crate) fn field<'a>(reply: &'a Reply, name: &str) -> Option<&'a Reply> {
    let is_named = |pair: &&[Reply; 2]| bytes_of(&pair[0]).is_some_and(|found| found == name.as_bytes());
    array(reply)?.as_chunks::<2>().0.iter().find(is_named).map(|pair| &pair[1])
}

pub(crate) fn count(reply: Option<&Reply>) -> Option<u64> {
    reply.and_then(number_of).and_then(|count| u64::try_from(count).ok())
}

/// The reply to `XINFO STREAM key FULL`.
fn state(reply: &Reply) -> Option<StreamState> {
    let mut groups = BTreeMap::new();
    for found in array(field(reply, "groups")?)? {
        groups.insert(bytes_of(field(found, "name")?)?, group(found)?);
    }
    Some(StreamState {
        last_id: id_of(field(reply, "last-generated-id")?)?,
        max_deleted_id: field(reply, "max-deleted-entry-id").and_then(id_of),
        entries_added: count(field(reply, "entries-added")),
        groups,
    })
}

fn group(reply: &Reply) -> Option<Group> {
    let consumers = array(field(reply, "consumers")?)?.iter().map(|found| bytes_of(field(found, "name")?));
    // Dragonfly and old servers call the list differently.
    let pending = field(reply, "pending").or_else(|| field(reply, "pel"))?;
    Some(Group {
        last_id: id_of(field(reply, "last-delivered-id")?)?,
        entries_read: count(field(reply, "entries-read")),
        consumers: consumers.collect::<Option<_>>()?,
        pending: array(pending)?.iter().map(pending_of).collect::<Option<_>>()?,
    })
}

fn pending_of(reply: &Reply) -> Option<(StreamId, Pending)> {
    let [id, consumer, delivered, deliveries] = array(reply)? else { return None };
    let delivered_at = UnixMillis(number_of(delivered)?);
    let deliveries = count(Some(deliveries))?;
    Some((id_of(id)?, Pending { consumer: bytes_of(consumer)?, delivered_at, deliveries }))
}
