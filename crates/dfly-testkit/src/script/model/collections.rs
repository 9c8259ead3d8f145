//! Lists, sets, hashes and sorted sets.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::super::op::Op;
use super::{Applied, Entry, Model, OpError, integer};
use crate::value::{Score, Value, score_from_text};

/// Borrows the collection inside a value, or refuses another type.
macro_rules! as_type {
    ($name:ident, $variant:ident, $type:ty) => {
        fn $name(entry: &mut Entry) -> Result<&mut $type, OpError> {
            match &mut entry.value {
                Value::$variant(inner) => Ok(inner),
                _ => Err(OpError::WrongType),
            }
        }
    };
}

as_type!(list, List, Vec<Bytes>);
as_type!(set, Set, BTreeSet<Bytes>);
as_type!(hash, Hash, BTreeMap<Bytes, Bytes>);
as_type!(zset, Zset, BTreeMap<Bytes, Score>);

impl Model {
    pub(super) fn collections(&mut self, op: &Op) -> Result<Applied, OpError> {
        let Some((key, args)) = op.rest().split_first() else { return Err(OpError::Unknown) };
        let at = (op.db, key.clone());
        match op.name().as_slice() {
            b"LPUSH" | b"RPUSH" | b"LPOP" | b"RPOP" | b"LSET" => self.lists(at, &op.name(), args),
            b"SADD" | b"SREM" => self.sets(at, &op.name(), args),
            b"HSET" | b"HDEL" | b"HINCRBY" => self.hashes(at, &op.name(), args),
            b"ZADD" | b"ZREM" | b"ZINCRBY" => self.zsets(at, &op.name(), args),
            _ => Err(OpError::Unknown),
        }
    }

    fn lists(&mut self, at: super::At, name: &[u8], args: &[Bytes]) -> Result<Applied, OpError> {
        let new = || Some(Value::List(Vec::new()));
        match (name, args) {
            (b"RPUSH", [_, ..]) => self.edit(at, new(), |entry| {
                list(entry)?.extend(args.iter().cloned());
                Ok(true)
            }),
            (b"LPUSH", [_, ..]) => self.edit(at, new(), |entry| {
                list(entry)?.splice(0..0, args.iter().rev().cloned());
                Ok(true)
            }),
            (b"LPOP" | b"RPOP", [] | [_]) => {
                let count = args.first().map_or(Ok(1), |count| integer(count))?;
                let count = usize::try_from(count).map_err(|_negative| OpError::NotANumber)?;
                self.edit(at, None, |entry| {
                    let list = list(entry)?;
                    let count = count.min(list.len());
                    let from = if name == b"LPOP" { 0 } else { list.len() - count };
                    Ok(list.drain(from..from + count).count() > 0)
                })
            }
            (b"LSET", [index, value]) => {
                let index = integer(index)?;
                let mut found = false;
                let applied = self.edit(at, None, |entry| {
                    let list = list(entry)?;
                    let from_end = index < 0;
                    let index = usize::try_from(index.unsigned_abs()).map_err(|_large| OpError::NotFound)?;
                    let index = if from_end { list.len().wrapping_sub(index) } else { index };
                    *list.get_mut(index).ok_or(OpError::NotFound)? = value.clone();
                    found = true;
                    Ok(true)
                })?;
                if found { Ok(applied) } else { Err(OpError::NotFound) }
            }
            _ => Err(OpError::Unknown),
        }
    }

    /// SADD is logged even if every member already exists.
    fn sets(&mut self, at: super::At, name: &[u8], args: &[Bytes]) -> Result<Applied, OpError> {
        match (name, args) {
            (b"SADD", [_, ..]) => self.edit(at, Some(Value::Set(BTreeSet::new())), |entry| {
                forget_ttls(entry, args.iter());
                set(entry)?.extend(args.iter().cloned());
                Ok(true)
            }),
            (b"SREM", [_, ..]) => self.edit(at, None, |entry| {
                forget_ttls(entry, args.iter());
                let set = set(entry)?;
                Ok(args.iter().filter(|member| set.remove(*member)).count() > 0)
            }),
            _ => Err(OpError::Unknown),
        }
    }

    fn hashes(&mut self, at: super::At, name: &[u8], args: &[Bytes]) -> Result<Applied, OpError> {
        let new = || Some(Value::Hash(BTreeMap::new()));
        match (name, args) {
            (b"HSET", args) => {
                let pairs = pairs(args)?;
                self.edit(at, new(), |entry| {
                    forget_ttls(entry, pairs.iter().map(|[field, _]| field));
                    hash(entry)?.extend(pairs.iter().map(|[field, value]| (field.clone(), value.clone())));
                    Ok(true)
                })
            }
            (b"HDEL", [_, ..]) => self.edit(at, None, |entry| {
                forget_ttls(entry, args.iter());
                let hash = hash(entry)?;
                Ok(args.iter().filter(|field| hash.remove(*field).is_some()).count() > 0)
            }),
            (b"HINCRBY", [field, by]) => {
                let by = integer(by)?;
                self.edit(at, new(), |entry| {
                    let value = hash(entry)?.entry(field.clone()).or_insert_with(|| Bytes::from_static(b"0"));
                    let sum = integer(value)?.checked_add(by).ok_or(OpError::NotANumber)?;
                    *value = sum.to_string().into();
                    Ok(true)
                })
            }
            _ => Err(OpError::Unknown),
        }
    }

    fn zsets(&mut self, at: super::At, name: &[u8], args: &[Bytes]) -> Result<Applied, OpError> {
        let new = || Some(Value::Zset(BTreeMap::new()));
        match (name, args) {
            (b"ZADD", args) => {
                let pairs = pairs(args)?.iter().map(|[score, member]| Ok((member.clone(), number(score)?)));
                let pairs = pairs.collect::<Result<Vec<_>, OpError>>()?;
                self.edit(at, new(), |entry| {
                    zset(entry)?.extend(pairs);
                    Ok(true)
                })
            }
            (b"ZREM", [_, ..]) => self.edit(at, None, |entry| {
                let zset = zset(entry)?;
                Ok(args.iter().filter(|member| zset.remove(*member).is_some()).count() > 0)
            }),
            (b"ZINCRBY", [by, member]) => {
                let by = number(by)?;
                self.edit(at, new(), |entry| {
                    let score = zset(entry)?.entry(member.clone()).or_insert(Score(0.0));
                    let sum = score.0 + by.0;
                    *score = Score(sum);
                    if sum.is_nan() { Err(OpError::NotANumber) } else { Ok(true) }
                })
            }
            _ => Err(OpError::Unknown),
        }
    }
}

/// A member that is written or removed loses its own expiry.
fn forget_ttls<'a>(entry: &mut Entry, members: impl Iterator<Item = &'a Bytes>) {
    for member in members {
        entry.member_ttls.remove(member);
    }
}

fn pairs(args: &[Bytes]) -> Result<&[[Bytes; 2]], OpError> {
    match args.as_chunks::<2>() {
        (pairs @ [_, ..], []) => Ok(pairs),
        _ => Err(OpError::Unknown),
    }
}

fn number(text: &[u8]) -> Result<Score, OpError> {
    score_from_text(text).filter(|score| !score.0.is_nan()).ok_or(OpError::NotANumber)
}
