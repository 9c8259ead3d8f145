//! Values in one canonical form, whether they come from a recording, a model or a Redis.

mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;

use crate::redis_client::Reply;

pub use stream::{Consumer, Group, Pending, StreamInfo, StreamValue};

/// A key's value and expiry.
#[derive(Debug, Clone, PartialEq)]
pub struct CanonicalValue {
    /// The value.
    pub value: Value,
    /// When the key expires, in Unix milliseconds; -1 for never.
    pub expire_at_ms: i64,
}

/// A value, with the elements of unordered types sorted.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A string's bytes.
    String(Bytes),
    /// A list's elements in order.
    List(Vec<Bytes>),
    /// A set's members.
    Set(BTreeSet<Bytes>),
    /// A hash's fields and values.
    Hash(BTreeMap<Bytes, Bytes>),
    /// A sorted set's members and scores.
    Zset(BTreeMap<Bytes, Score>),
    /// A stream's entries, and what `XINFO STREAM FULL` says.
    Stream(Box<StreamValue>),
    /// A JSON document's text.
    Json(Bytes),
    /// A type that is not read, by the name that `TYPE` returns.
    Other(String),
    /// There is no such key.
    None,
}

/// A sorted set's score. Two scores are equal if they are the same number, so -0 equals 0. A Redis stores small sorted sets
/// as text and integers, where zero has no sign.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Score(pub f64);

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:e}", self.0)
    }
}

impl Value {
    /// The name that `TYPE` returns for such a value.
    pub fn type_name(&self) -> &str {
        match self {
            Self::String(_) => "string",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::Hash(_) => "hash",
            Self::Zset(_) => "zset",
            Self::Stream(_) => "stream",
            Self::Json(_) => "ReJSON-RL",
            Self::Other(name) => name,
            Self::None => "none",
        }
    }

    /// Whether a Redis without modules can hold it.
    pub fn is_redis_type(&self) -> bool {
        !matches!(self, Self::Json(_) | Self::Other(_) | Self::None)
    }
}

/// The commands that read the whole value of `key`, given its type. Empty for types that are not read.
pub(crate) fn read_commands(kind: &str, key: &Bytes) -> Vec<Vec<Bytes>> {
    let command = |words: &[&'static str], tail: &[&'static str]| {
        let statics =
            |words: &[&'static str]| -> Vec<Bytes> { words.iter().map(|w| Bytes::from(*w)).collect() };
        [statics(words), vec![key.clone()], statics(tail)].concat()
    };
    match kind {
        "string" => vec![command(&["GET"], &[])],
        "list" => vec![command(&["LRANGE"], &["0", "-1"])],
        "set" => vec![command(&["SMEMBERS"], &[])],
        "hash" => vec![command(&["HGETALL"], &[])],
        "zset" => vec![command(&["ZRANGE"], &["0", "-1", "WITHSCORES"])],
        "stream" => {
            vec![command(&["XRANGE"], &["-", "+"]), command(&["XINFO", "STREAM"], &["FULL", "COUNT", "0"])]
        }
        _ => Vec::new(),
    }
}

/// The value that the replies to [`read_commands`] describe. `None` if they do not have the expected form.
pub(crate) fn from_replies(kind: &str, replies: &[Reply]) -> Option<Value> {
    let first = replies.first();
    Some(match kind {
        "string" => Value::String(first?.bytes()?),
        "list" => Value::List(strings(first?)?),
        "set" => Value::Set(strings(first?)?.into_iter().collect()),
        "hash" => Value::Hash(pairs(first?)?.into_iter().collect()),
        "zset" => Value::Zset(pairs(first?)?.into_iter().map(scored).collect::<Option<_>>()?),
        "stream" => Value::Stream(Box::new(StreamValue::from_replies(first?, replies.get(1)?)?)),
        "none" => Value::None,
        other => Value::Other(other.to_owned()),
    })
}

fn strings(reply: &Reply) -> Option<Vec<Bytes>> {
    reply.array()?.iter().map(Reply::bytes).collect()
}

pub(crate) fn pairs(reply: &Reply) -> Option<Vec<(Bytes, Bytes)>> {
    let flat = strings(reply)?;
    let (pairs, rest) = flat.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[a, b]| (a.clone(), b.clone())).collect())
}

fn scored((member, score): (Bytes, Bytes)) -> Option<(Bytes, Score)> {
    Some((member, score_from_text(&score)?))
}

/// A score as a server prints it: a number, `inf` or `-inf`.
pub(crate) fn score_from_text(text: &[u8]) -> Option<Score> {
    std::str::from_utf8(text).ok()?.parse().ok().map(Score)
}
