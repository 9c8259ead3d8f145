//! Looks at some of a source's keys: SCAN in each database, then questions about the keys that it gives. SCAN goes through the
//! shards in the order of hashes, so that its first keys stand for all.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dfly_rdb::payload::parse_dump_unchecked;
use dfly_translate::ReservedNames;
use redis_resp::Reply;
use redis_resp::connection::ConnectionError;

use super::ask::{Asker, text_of};
use crate::info::DatabaseInfo;
use crate::memory::{key_bytes, weigh};
use crate::sample::{BigKey, KindSample, Sample};

/// Keys that are asked about at once.
const AT_ONCE: usize = 256;

/// Bytes of values that are read at once.
const AT_ONCE_BYTES: u64 = 1 << 20;

/// The largest value that is read, in bytes.
const LARGEST_READ: u64 = 64 << 10;

/// The size from which a value stands for large ones, in bytes.
const LARGE: u64 = 1024;

/// The most characters of a name that are shown.
const NAME: usize = 60;

/// How much is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sampling {
    /// The most keys.
    pub keys: u64,
    /// The most values that are read.
    pub values: u64,
    /// The most bytes of values that are read.
    pub bytes: u64,
    /// The longest time.
    pub time: Duration,
    /// Whether the target is a cluster.
    pub into_cluster: bool,
}

/// Values of the source, one of each encoding, for whoever tries them on the target.
pub(crate) type Payloads = std::collections::BTreeMap<u8, Bytes>;

/// A walk through the databases.
struct Walk<'a> {
    asker: &'a mut Asker,
    sampling: Sampling,
    sample: Sample,
    payloads: Payloads,
    values: u64,
    bytes: u64,
    until: Instant,
    now: fn() -> Instant,
}

/// A key that was looked at.
struct Looked {
    key: Bytes,
    kind: String,
    /// What it takes; `None`: the source does not say.
    bytes: Option<u64>,
    expires: bool,
}

/// Samples the source.
pub(super) async fn sample(
    asker: &mut Asker,
    databases: &[DatabaseInfo],
    sampling: Sampling,
    now: fn() -> Instant,
) -> Result<(Sample, Payloads), ConnectionError> {
    let total = databases.iter().map(|database| database.keys).sum();
    let sample = Sample {
        total,
        expires: databases.iter().map(|database| database.expires).sum(),
        databases: databases.iter().map(|database| (database.db, database.keys)).collect(),
        ..Sample::default()
    };
    let until = now() + sampling.time;
    let mut walk =
        Walk { asker, sampling, sample, payloads: Payloads::new(), values: 0, bytes: 0, until, now };
    for database in databases {
        // Each database gives as large a part of the sample as it has of the keys.
        let share = u128::from(sampling.keys) * u128::from(database.keys) / u128::from(total.max(1));
        let most = u64::try_from(share).unwrap_or(u64::MAX).clamp(16, sampling.keys.max(16));
        walk.database(database.db, most).await?;
    }
    Ok((walk.sample, walk.payloads))
}

impl Walk<'_> {
    async fn database(&mut self, db: u32, most: u64) -> Result<(), ConnectionError> {
        if matches!(self.asker.ask(&["SELECT", &db.to_string()]).await?, Reply::Error(_)) {
            return Ok(());
        }
        let (mut cursor, mut looked) = ("0".to_owned(), 0);
        let mut waiting = VecDeque::new();
        loop {
            let Some((next, keys)) = page(&self.asker.ask(&["SCAN", &cursor, "COUNT", "256"]).await?) else {
                break;
            };
            waiting.extend(keys);
            while !waiting.is_empty() && looked < most {
                let count = waiting.len().min(AT_ONCE).min(usize::try_from(most - looked).unwrap_or(AT_ONCE));
                let some: Vec<Bytes> = waiting.drain(..count).collect();
                looked += some.len() as u64;
                self.look(db, some).await?;
            }
            cursor = next;
            if cursor == "0" || looked >= most || (self.now)() >= self.until {
                break;
            }
        }
        Ok(())
    }

    async fn look(&mut self, db: u32, keys: Vec<Bytes>) -> Result<(), ConnectionError> {
        let (reserved, keys): (Vec<Bytes>, Vec<Bytes>) =
            keys.into_iter().partition(|key| ReservedNames::is_reserved(key));
        self.sample.reserved += reserved.len() as u64;
        self.sample.keys += reserved.len() as u64;
        let mut looked = self.outlines(keys).await?;
        for key in &looked {
            let bytes = key.bytes.unwrap_or(0);
            let kind = self.sample.kinds.entry(key.kind.clone()).or_default();
            kind.keys += 1;
            kind.source_bytes += bytes;
            self.sample.keys += 1;
            let (name, kind) = (shortened(&key.key), key.kind.clone());
            self.sample.note_big(BigKey { bytes, db, key: name, kind });
        }
        // A value of which nobody knows how large it is may be too large.
        looked.retain(|key| key.bytes.is_some_and(|bytes| bytes <= LARGEST_READ));
        while !looked.is_empty() {
            let some = within(&mut looked, AT_ONCE_BYTES);
            self.read(some).await?;
        }
        Ok(())
    }

    /// Types, sizes and expiries. A key that is gone by then is left out.
    async fn outlines(&mut self, keys: Vec<Bytes>) -> Result<Vec<Looked>, ConnectionError> {
        let mut requests = Vec::with_capacity(keys.len() * 3);
        for key in &keys {
            requests.push(vec![&b"TYPE"[..], key]);
            requests.push(vec![b"MEMORY", b"USAGE", key]);
            requests.push(vec![b"PTTL", key]);
        }
        let replies = self.asker.ask_all(&requests).await?;
        let mut found = Vec::with_capacity(keys.len());
        for (key, replies) in keys.into_iter().zip(replies.chunks_exact(3)) {
            let [kind, bytes, ttl] = replies else { continue };
            let Some(kind) = text_of(kind).filter(|kind| kind != "none") else { continue };
            let bytes = number(bytes);
            let expires = matches!(ttl, Reply::Integer(left) if *left >= 0);
            found.push(Looked { key, kind, bytes, expires });
        }
        Ok(found)
    }

    /// Reads values as long as there is room, and weighs them.
    async fn read(&mut self, keys: Vec<Looked>) -> Result<(), ConnectionError> {
        let mut wanted = Vec::new();
        for key in keys {
            if self.values >= self.sampling.values || self.bytes >= self.sampling.bytes {
                break;
            }
            self.values += 1;
            self.bytes += key.bytes.unwrap_or(0);
            wanted.push(key);
        }
        let requests: Vec<Vec<&[u8]>> = wanted.iter().map(|key| vec![&b"DUMP"[..], &key.key]).collect();
        if requests.is_empty() {
            return Ok(());
        }
        let replies = self.asker.ask_all(&requests).await?;
        let into_cluster = self.sampling.into_cluster;
        for (key, reply) in wanted.iter().zip(replies) {
            let Reply::Bulk(payload) = reply else { continue };
            let encoding = payload.first().copied().unwrap_or_default();
            let Ok(value) = parse_dump_unchecked(payload.clone()) else { continue };
            let Ok(weighed) = weigh(&value) else { continue };
            self.payloads.entry(encoding).or_insert(payload);
            let kind: &mut KindSample = self.sample.kinds.entry(key.kind.clone()).or_default();
            kind.read += 1;
            let bytes = key.bytes.unwrap_or(0);
            kind.read_source_bytes += bytes;
            let on_target = weighed.bytes + key_bytes(key.key.len(), key.expires, into_cluster);
            kind.read_target_bytes += on_target;
            if bytes >= LARGE {
                kind.large = [kind.large[0] + bytes, kind.large[1] + on_target];
            }
            kind.member_expiries += u64::from(weighed.has_member_expiry);
        }
        Ok(())
    }
}

/// Takes the last of the keys, as many as take so many bytes; one at the least.
fn within(keys: &mut Vec<Looked>, most: u64) -> Vec<Looked> {
    let mut bytes = 0;
    let count = keys.iter().rev().take_while(|key| {
        bytes += key.bytes.unwrap_or(0);
        bytes <= most
    });
    let count = count.count().max(1);
    keys.split_off(keys.len().saturating_sub(count))
}

/// The cursor and the keys of an answer to SCAN.
fn page(reply: &Reply) -> Option<(String, Vec<Bytes>)> {
    let Reply::Array(parts) = reply else { return None };
    let [cursor, Reply::Array(keys)] = parts.as_slice() else { return None };
    let key = |reply: &Reply| match reply {
        Reply::Bulk(key) => Some(key.clone()),
        _ => None,
    };
    Some((text_of(cursor)?, keys.iter().filter_map(key).collect()))
}

fn number(reply: &Reply) -> Option<u64> {
    match reply {
        Reply::Integer(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

fn shortened(key: &[u8]) -> String {
    let name: String = key.escape_ascii().to_string();
    if name.len() <= NAME { name } else { format!("{}...", name.chars().take(NAME - 3).collect::<String>()) }
}
