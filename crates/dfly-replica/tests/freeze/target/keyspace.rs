//! What a node holds: the tool's own hashes, sets and texts as they are, and of all other keys only that they are there.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::resp::reply::{array, bulk, int, nil, ok, optional};
use crate::resp::{Command, begins};

/// A key and its database.
pub(crate) type Place = (u32, Bytes);

/// Commands that leave no key where there was none.
const MAKES_NONE: &[&str] = &[
    "PEXPIREAT",
    "EXPIREAT",
    "PEXPIRE",
    "EXPIRE",
    "PERSIST",
    "LPOP",
    "RPOP",
    "LREM",
    "LTRIM",
    "LSET",
    "LINSERT",
    "SREM",
    "SPOP",
    "HDEL",
    "ZREM",
    "ZPOPMIN",
    "ZPOPMAX",
    "XDEL",
    "XTRIM",
    "XGROUP",
    "XACK",
    "XCLAIM",
    "XSETID",
    "HPERSIST",
    "HPEXPIREAT",
    "GETEX",
    "RPUSHX",
    "LPUSHX",
    "ZREMRANGEBYSCORE",
    "ZREMRANGEBYRANK",
    "ZREMRANGEBYLEX",
];

#[derive(Debug, Clone)]
enum Value {
    Hash(BTreeMap<Bytes, Bytes>),
    /// A set, or a sorted set without its scores.
    Set(BTreeSet<Bytes>),
    Text(Bytes),
    Other,
}

/// The keys of one node.
#[derive(Debug, Default)]
pub(crate) struct Keyspace {
    keys: BTreeMap<Place, Value>,
    /// How often a key was touched that others may watch.
    touched: BTreeMap<Place, u64>,
}

impl Keyspace {
    pub(crate) fn plant(&mut self, db: u32, key: &str) {
        self.keys.insert((db, Bytes::copy_from_slice(key.as_bytes())), Value::Other);
    }

    pub(crate) fn touch(&mut self, place: Place) {
        *self.touched.entry(place).or_default() += 1;
    }

    pub(crate) fn touches(&self, place: &Place) -> u64 {
        self.touched.get(place).copied().unwrap_or_default()
    }

    pub(crate) fn has(&self, place: &Place) -> bool {
        self.keys.contains_key(place)
    }

    pub(crate) fn remove(&mut self, place: &Place) -> bool {
        self.keys.remove(place).is_some()
    }

    pub(crate) fn make(&mut self, place: Place) {
        self.keys.entry(place).or_insert(Value::Other);
    }

    pub(crate) fn rename(&mut self, from: &Place, to: Place) -> bool {
        let Some(value) = self.keys.remove(from) else { return false };
        self.keys.insert(to, value);
        true
    }

    pub(crate) fn clear(&mut self, db: Option<u32>) {
        self.keys.retain(|(at, _), _| db.is_some_and(|db| db != *at));
    }

    pub(crate) fn names(&self, db: u32) -> Vec<Bytes> {
        self.keys.keys().filter(|(at, _)| *at == db).map(|(_, key)| key.clone()).collect()
    }

    /// The databases that hold keys, and how many.
    pub(crate) fn sizes(&self) -> BTreeMap<u32, usize> {
        let mut sizes = BTreeMap::new();
        self.keys.keys().for_each(|(db, _)| *sizes.entry(*db).or_default() += 1);
        sizes
    }

    pub(crate) fn field(&self, place: &Place, field: &[u8]) -> Option<&Bytes> {
        match self.keys.get(place) {
            Some(Value::Hash(fields)) => fields.get(field),
            _ => None,
        }
    }

    pub(crate) fn set_fields(&mut self, place: Place, pairs: &[Bytes]) {
        let value = self.keys.entry(place).or_insert_with(|| Value::Hash(BTreeMap::new()));
        if let Value::Hash(fields) = value {
            fields.extend(pairs.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())));
        }
    }

    pub(crate) fn add(&mut self, place: Place, member: Bytes) {
        let value = self.keys.entry(place).or_insert_with(|| Value::Set(BTreeSet::new()));
        if let Value::Set(members) = value {
            members.insert(member);
        }
    }

    /// A command with a key, in database `db`.
    pub(crate) fn carry_out(&mut self, db: u32, command: &Command) -> Vec<u8> {
        let place = (db, command.get(1).cloned().unwrap_or_default());
        let name = std::str::from_utf8(&command[0]).unwrap();
        match name {
            "DEL" | "UNLINK" => int(command[1..]
                .iter()
                .filter(|key| self.keys.remove(&(db, (*key).clone())).is_some())
                .count()),
            "EXISTS" => int(command[1..].iter().filter(|key| self.has(&(db, (*key).clone()))).count()),
            "RENAME" => {
                self.rename(&place, (db, command[2].clone()));
                ok()
            }
            "GETDEL" | "MOVE" => int(usize::from(self.remove(&place))),
            "PTTL" => {
                if self.has(&place) {
                    b":-1\r\n".to_vec()
                } else {
                    b":-2\r\n".to_vec()
                }
            }
            _ if place.1.starts_with(b"df2redis") => self.on_own(place, command),
            _ if MAKES_NONE.contains(&name) => int(1),
            _ => {
                self.make(place);
                ok()
            }
        }
    }

    fn on_own(&mut self, place: Place, command: &Command) -> Vec<u8> {
        match &command[0][..] {
            b"HSET" => {
                self.set_fields(place, &command[2..]);
                int(1)
            }
            b"HGET" => optional(self.field(&place, &command[2])),
            b"HMGET" => array(command[2..].iter().map(|field| optional(self.field(&place, field)))),
            b"HEXISTS" => int(usize::from(self.field(&place, &command[2]).is_some())),
            b"HGETALL" => self.whole(&place),
            b"HDEL" | b"SREM" | b"ZREM" => int(self.take_out(&place, &command[2..])),
            b"SADD" => {
                command[2..].iter().for_each(|member| self.add(place.clone(), member.clone()));
                int(1)
            }
            b"ZADD" => {
                command[2..].chunks(2).for_each(|pair| self.add(place.clone(), pair[1].clone()));
                int(1)
            }
            b"SMEMBERS" | b"ZRANGE" => array(self.members(&place)),
            b"SSCAN" => array([bulk("0"), array(self.members(&place))]),
            b"SET" => {
                self.keys.insert(place, Value::Text(command[2].clone()));
                ok()
            }
            b"GET" => match self.keys.get(&place) {
                Some(Value::Text(text)) => bulk(text),
                _ => nil(),
            },
            _ => {
                assert!(!begins(command, &["WATCH"]));
                self.make(place);
                ok()
            }
        }
    }

    fn whole(&self, place: &Place) -> Vec<u8> {
        match self.keys.get(place) {
            Some(Value::Hash(fields)) => {
                array(fields.iter().flat_map(|(field, value)| [bulk(field), bulk(value)]))
            }
            _ => array([]),
        }
    }

    fn members(&self, place: &Place) -> Vec<Vec<u8>> {
        match self.keys.get(place) {
            Some(Value::Set(members)) => members.iter().map(bulk).collect(),
            _ => Vec::new(),
        }
    }

    fn take_out(&mut self, place: &Place, members: &[Bytes]) -> usize {
        let (taken, is_empty) = match self.keys.get_mut(place) {
            Some(Value::Hash(fields)) => {
                (members.iter().filter(|member| fields.remove(*member).is_some()).count(), fields.is_empty())
            }
            Some(Value::Set(set)) => {
                (members.iter().filter(|member| set.remove(*member)).count(), set.is_empty())
            }
            _ => (0, false),
        };
        if is_empty {
            self.keys.remove(place);
        }
        taken
    }
}
