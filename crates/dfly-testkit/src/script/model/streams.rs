//! Streams whose entries have explicit ids.

use bytes::Bytes;

use super::super::op::Op;
use super::{Applied, Entry, Model, OpError};
use crate::value::{StreamInfo, StreamValue, Value};

const NO_ID: &str = "0-0";

impl Model {
    pub(super) fn streams(&mut self, op: &Op) -> Result<Applied, OpError> {
        match (op.name().as_slice(), op.rest()) {
            (b"XADD", [key, id, fields @ ..]) if !fields.is_empty() && fields.len().is_multiple_of(2) => {
                let id = id_of(id)?;
                self.edit((op.db, key.clone()), Some(empty()), |entry| add(stream(entry)?, id, fields))
            }
            (b"XDEL", [key, ids @ ..]) if !ids.is_empty() => {
                let ids = ids.iter().map(|id| id_of(id)).collect::<Result<Vec<_>, _>>()?;
                self.edit((op.db, key.clone()), None, |entry| Ok(delete(stream(entry)?, &ids)))
            }
            _ => Err(OpError::Unknown),
        }
    }
}

fn empty() -> Value {
    let no_id = || NO_ID.to_owned();
    let info =
        StreamInfo { last_id: no_id(), max_deleted_id: no_id(), first_id: no_id(), ..StreamInfo::default() };
    Value::Stream(Box::new(StreamValue { entries: Vec::new(), info }))
}

fn stream(entry: &mut Entry) -> Result<&mut StreamValue, OpError> {
    match &mut entry.value {
        Value::Stream(stream) => Ok(stream),
        _ => Err(OpError::WrongType),
    }
}

fn add(stream: &mut StreamValue, id: (u64, u64), fields: &[Bytes]) -> Result<bool, OpError> {
    if id <= parse_id(&stream.info.last_id).ok_or(OpError::StreamId)? {
        return Err(OpError::StreamId);
    }
    stream.entries.push((text_of(id), fields.to_vec()));
    stream.info.last_id = text_of(id);
    stream.info.entries_added += 1;
    recount(stream);
    Ok(true)
}

fn delete(stream: &mut StreamValue, ids: &[(u64, u64)]) -> bool {
    let before = stream.entries.len();
    for id in ids {
        let text = text_of(*id);
        let there = stream.entries.iter().position(|(found, _)| *found == text);
        if let Some(there) = there {
            stream.entries.remove(there);
            if parse_id(&stream.info.max_deleted_id).is_none_or(|max| max < *id) {
                stream.info.max_deleted_id = text;
            }
        }
    }
    recount(stream);
    stream.entries.len() < before
}

fn recount(stream: &mut StreamValue) {
    stream.info.length = i64::try_from(stream.entries.len()).unwrap_or(i64::MAX);
    stream.info.first_id = stream.entries.first().map_or_else(|| NO_ID.to_owned(), |(id, _)| id.clone());
}

fn id_of(text: &[u8]) -> Result<(u64, u64), OpError> {
    std::str::from_utf8(text).ok().and_then(parse_id).ok_or(OpError::StreamId)
}

/// Parses an id of the form `milliseconds-sequence`.
pub(crate) fn parse_id(text: &str) -> Option<(u64, u64)> {
    let (ms, seq) = text.split_once('-')?;
    Some((ms.parse().ok()?, seq.parse().ok()?))
}

fn text_of((ms, seq): (u64, u64)) -> String {
    format!("{ms}-{seq}")
}
