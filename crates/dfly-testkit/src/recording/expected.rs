//! `expected.jsonl`: what the master held at the end, one line for each key.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use super::RecordingError;
use crate::redis_client::Reply;
use crate::value::{StreamValue, Value, score_from_text};

/// One key of the master.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The database.
    pub db: u32,
    /// The key.
    pub key: Bytes,
    /// The value; [`Value::None`] if the master did not hold the key.
    pub value: Value,
    /// When it expires, in Unix milliseconds; -1 for never; -2 if there is no such key.
    pub expire_at_ms: i64,
    /// Members or fields with their own expiry, and the seconds left when the recording ended.
    pub member_ttls: BTreeMap<Bytes, i64>,
    /// What Dragonfly's own replica held, if it differed from the master. `Some(None)` means that it held nothing.
    pub native_replica: Option<Option<Box<Self>>>,
}

impl Row {
    /// The rows of an `expected.jsonl`.
    ///
    /// # Errors
    /// A line is not a row.
    pub fn read_all(jsonl: &[u8]) -> Result<Vec<Self>, RecordingError> {
        parse(jsonl)
    }
}

#[derive(Deserialize)]
struct RawRow {
    db: u32,
    key: String,
    #[serde(rename = "type")]
    kind: String,
    expire_at_ms: i64,
    value: Json,
    #[serde(default)]
    member_ttl: BTreeMap<String, i64>,
    #[serde(default, deserialize_with = "present")]
    native_replica: Option<Option<Box<Self>>>,
}

/// Makes a field that is present `Some`, even if it is null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Box<RawRow>>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

pub(super) fn parse(text: &[u8]) -> Result<Vec<Row>, RecordingError> {
    let lines = text.split(|b| *b == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    lines.map(|(i, line)| parse_line(i + 1, line)).collect()
}

fn parse_line(line: usize, text: &[u8]) -> Result<Row, RecordingError> {
    let file = "expected.jsonl".to_owned();
    let raw: RawRow =
        serde_json::from_slice(text).map_err(|source| RecordingError::Json { file, line, source })?;
    raw.decode().ok_or_else(|| RecordingError::Value {
        line,
        what: format!("the {} is not in the expected form", raw.kind),
    })
}

impl RawRow {
    fn decode(&self) -> Option<Row> {
        let native_replica = match &self.native_replica {
            None => None,
            Some(None) => Some(None),
            Some(Some(raw)) => Some(Some(Box::new(raw.decode()?))),
        };
        let mut member_ttls: BTreeMap<Bytes, i64> = self
            .member_ttl
            .iter()
            .map(|(member, ttl)| Some((unbase64(member)?, *ttl)))
            .collect::<Option<_>>()?;
        if self.kind == "hash" {
            member_ttls.extend(field_ttls(&self.value)?);
        }
        Some(Row {
            db: self.db,
            key: unbase64(&self.key)?,
            value: value(&self.kind, &self.value)?,
            expire_at_ms: self.expire_at_ms,
            member_ttls,
            native_replica,
        })
    }
}

fn value(kind: &str, json: &Json) -> Option<Value> {
    Some(match kind {
        "string" => Value::String(text(json)?),
        "list" => Value::List(list(json)?),
        "set" => Value::Set(list(json)?.into_iter().collect()),
        "hash" => Value::Hash(rows(json, |row| Some((text(row.first()?)?, text(row.get(1)?)?)))?),
        "zset" => Value::Zset(rows(json, |row| {
            Some((text(row.first()?)?, score_from_text(row.get(1)?.as_str()?.as_bytes())?))
        })?),
        "stream" => {
            let (entries, info) = (reply(json.get("entries")?)?, reply(json.get("info")?)?);
            Value::Stream(Box::new(StreamValue::from_replies(&entries, &info)?))
        }
        "ReJSON-RL" => Value::Json(text(json)?),
        "none" => Value::None,
        other => Value::Other(other.to_owned()),
    })
}

fn rows<V>(json: &Json, row: impl Fn(&[Json]) -> Option<(Bytes, V)>) -> Option<BTreeMap<Bytes, V>> {
    json.as_array()?.iter().map(|found| row(found.as_array()?)).collect()
}

fn field_ttls(json: &Json) -> Option<BTreeMap<Bytes, i64>> {
    let fields = json.as_array()?.iter().map(|field| field.as_array());
    let ttl = |field: &[Json]| Some((text(field.first()?)?, field.get(2)?.as_i64()));
    let all = fields.map(|field| ttl(field?)).collect::<Option<Vec<_>>>()?;
    Some(all.into_iter().filter_map(|(field, ttl)| Some((field, ttl?))).collect())
}

fn list(json: &Json) -> Option<Vec<Bytes>> {
    json.as_array()?.iter().map(text).collect()
}

fn text(json: &Json) -> Option<Bytes> {
    unbase64(json.as_str()?)
}

fn unbase64(text: &str) -> Option<Bytes> {
    STANDARD.decode(text).ok().map(Bytes::from)
}

/// A reply as the recording holds it: byte strings in base64, lists and integers as they are.
fn reply(json: &Json) -> Option<Reply> {
    match json {
        Json::Null => Some(Reply::Nil),
        Json::Number(number) => number.as_i64().map(Reply::Int),
        Json::String(encoded) => unbase64(encoded).map(Reply::Bulk),
        Json::Array(elements) => elements.iter().map(reply).collect::<Option<_>>().map(Reply::Array),
        Json::Bool(_) | Json::Object(_) => None,
    }
}
