//! Strings and counters.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::super::op::Op;
use super::{Applied, Entry, Model, OpError, integer};
use crate::value::Value;

impl Model {
    pub(super) fn strings(&mut self, op: &Op) -> Result<Applied, OpError> {
        match (op.name().as_slice(), op.rest()) {
            (b"SET", [key, value, options @ ..]) => self.set(op.db, (key, value), options),
            (b"MSET", pairs) => self.mset(op.db, pairs),
            (b"INCR", [key]) => self.add(op.db, key, 1),
            (b"DECR", [key]) => self.add(op.db, key, -1),
            (b"INCRBY", [key, by]) => self.add(op.db, key, integer(by)?),
            (b"APPEND", [key, more]) => self.edit((op.db, key.clone()), Some(empty()), |entry| {
                let text = text_of(entry)?;
                *text = [&text[..], more].concat().into();
                Ok(true)
            }),
            _ => Err(OpError::Unknown),
        }
    }

    fn set(
        &mut self,
        db: u32,
        (key, value): (&Bytes, &Bytes),
        options: &[Bytes],
    ) -> Result<Applied, OpError> {
        let words: Vec<Vec<u8>> = options.iter().map(|word| word.to_ascii_uppercase()).collect();
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let at = (db, key.clone());
        let expire_at_ms = match words.as_slice() {
            [] => -1,
            [b"KEEPTTL"] => self.entries.get(&at).map_or(-1, |entry| entry.expire_at_ms),
            [b"PXAT", ms] => integer(ms)?,
            _ => return Err(OpError::Unknown),
        };
        let value = Value::String(value.clone());
        self.entries.insert(at, Entry { value, expire_at_ms, member_ttls: BTreeMap::new(), sticky: false });
        Ok(Applied::Key(key.clone()))
    }

    fn mset(&mut self, db: u32, pairs: &[Bytes]) -> Result<Applied, OpError> {
        let (pairs, rest) = pairs.as_chunks::<2>();
        if pairs.is_empty() || !rest.is_empty() {
            return Err(OpError::Unknown);
        }
        for [key, value] in pairs {
            self.entries.insert((db, key.clone()), Value::String(value.clone()).into());
        }
        Ok(Applied::Keys(pairs.iter().map(|pair| pair.to_vec()).collect()))
    }

    fn add(&mut self, db: u32, key: &Bytes, by: i64) -> Result<Applied, OpError> {
        let zero = Value::String(Bytes::from_static(b"0"));
        self.edit((db, key.clone()), Some(zero), |entry| {
            let text = text_of(entry)?;
            let sum = integer(text)?.checked_add(by).ok_or(OpError::NotANumber)?;
            *text = sum.to_string().into();
            Ok(true)
        })
    }
}

fn empty() -> Value {
    Value::String(Bytes::new())
}

fn text_of(entry: &mut Entry) -> Result<&mut Bytes, OpError> {
    match &mut entry.value {
        Value::String(text) => Ok(text),
        _ => Err(OpError::WrongType),
    }
}
