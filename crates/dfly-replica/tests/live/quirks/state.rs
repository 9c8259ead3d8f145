//! Everything that a Dragonfly holds, and where two of them differ.

use std::collections::BTreeMap;

use bytes::Bytes;
use dfly_testkit::{CanonicalValue, RedisClient, Reply, Value, keyspace};

/// How far times may be apart where a record has only a relative one, or where a server counts whole seconds.
const SLACK_MS: i64 = 2000;

/// How far a key's expiry may be apart in any case: Dragonfly makes an absolute time relative and absolute again, and
/// its clock may move in between.
const CLOCK_MS: i64 = 100;

/// What is held under a key.
#[derive(Debug, Clone, PartialEq)]
struct Held {
    value: CanonicalValue,
    /// Seconds that each member or field has left; none for those that do not expire.
    members: BTreeMap<Bytes, i64>,
    /// A document's text, or the dump of another type that is not read.
    image: Option<Reply>,
}

/// A server's content.
#[derive(Debug)]
pub(crate) struct State {
    keys: BTreeMap<(u32, Bytes), Held>,
    /// How many keys each database counts: a key that two shards hold counts twice.
    counts: BTreeMap<u32, i64>,
}

impl State {
    pub(crate) fn read(client: &mut RedisClient) -> Self {
        let counts = counts(client);
        let all = keyspace(client).unwrap();
        let keys = all.into_iter().map(|(at, value)| {
            client.select(at.0).unwrap();
            let held = held(client, &at.1, value);
            (at, held)
        });
        let keys = keys.collect();
        client.select(0).unwrap();
        Self { keys, counts }
    }

    /// Where the other differs, by database.
    pub(crate) fn differences(&self, other: &Self, drift: &dyn Fn(u32) -> bool) -> Vec<(u32, String)> {
        let mut all = Vec::new();
        let named = self.keys.keys().chain(other.keys.keys());
        for (db, key) in named.collect::<std::collections::BTreeSet<_>>() {
            let at = &(*db, key.clone());
            let sides = [self, other].map(|side| side.keys.get(at).map(|held| held.comparable(drift(*db))));
            if !alike(&sides[0], &sides[1], drift(*db)) {
                all.push((*db, format!("{key:?}: master {:?}, replica {:?}", sides[0], sides[1])));
            }
        }
        if all.is_empty() && self.counts != other.counts {
            let dbs = self.counts.keys().chain(other.counts.keys());
            let differ = dbs.filter(|db| self.counts.get(db) != other.counts.get(db));
            let count = |side: &Self, db| side.counts.get(db).copied().unwrap_or(0);
            all.extend(
                differ.map(|db| (*db, format!("{} keys, {} keys", count(self, db), count(other, db)))),
            );
        }
        all
    }
}

impl Held {
    /// Without what no record tells: when a consumer was last seen, and delivery times where they may drift.
    fn comparable(&self, drift: bool) -> Self {
        let mut held = self.clone();
        if let Value::Stream(stream) = &mut held.value.value {
            for group in stream.info.groups.values_mut() {
                for consumer in group.consumers.values_mut() {
                    (consumer.seen_at_ms, consumer.active_at_ms) = (0, None);
                }
                let pending = group.pending.iter_mut().filter(|_| drift);
                pending.for_each(|entry| entry.delivered_at_ms = 0);
            }
        }
        held
    }
}

fn alike(a: &Option<Held>, b: &Option<Held>, drift: bool) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return a == b };
    let near = |a: i64, b: i64, slack: i64| a == b || (a > 0 && b > 0 && (a - b).abs() <= slack);
    let expiry = near(a.value.expire_at_ms, b.value.expire_at_ms, if drift { SLACK_MS } else { CLOCK_MS });
    let members = a.members.len() == b.members.len()
        && a.members.iter().all(|(name, left)| {
            b.members.get(name).is_some_and(|other| near(*left, *other, SLACK_MS / 1000))
        });
    expiry && members && a.value.value == b.value.value && a.image == b.image
}

fn held(client: &mut RedisClient, key: &Bytes, value: CanonicalValue) -> Held {
    let names: Vec<Bytes> = match &value.value {
        Value::Set(members) => members.iter().cloned().collect(),
        Value::Hash(fields) => fields.keys().cloned().collect(),
        _ => Vec::new(),
    };
    let asked: Vec<Vec<&[u8]>> = names.iter().map(|name| vec![&b"FIELDTTL"[..], key, name]).collect();
    let left = client.pipeline(&asked).unwrap().into_iter().map(|reply| reply.int().unwrap());
    let members = names.iter().cloned().zip(left).filter(|(_, left)| *left != -1).collect();
    let image = match &value.value {
        Value::Other(kind) if kind == "ReJSON-RL" => Some(client.expect(&[b"JSON.GET", key]).unwrap()),
        Value::Other(_) => Some(client.expect(&[b"DUMP", key]).unwrap()),
        _ => None,
    };
    Held { value, members, image }
}

fn counts(client: &mut RedisClient) -> BTreeMap<u32, i64> {
    let info = client.expect(&[b"INFO", b"KEYSPACE"]).unwrap().text().unwrap();
    let count = |line: &str| {
        let (db, rest) = line.strip_prefix("db")?.split_once(":keys=")?;
        Some((db.parse().ok()?, rest.split(',').next()?.parse().ok()?))
    };
    info.lines().filter_map(count).filter(|(_, keys)| *keys != 0).collect()
}
