//! Reads keys, databases and whole servers.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::BATCH;
use crate::redis_client::{RedisClient, RedisError, Reply};
use crate::value::{CanonicalValue, Value, from_replies, read_commands};

/// What a server holds under a key.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// The value, or why it cannot be read.
    pub(super) value: Result<CanonicalValue, String>,
    /// The expiries of a hash's fields, in Unix milliseconds, if they were requested.
    pub(super) field_expiries: BTreeMap<Bytes, i64>,
}

/// Reads the whole server: every key of every database.
///
/// # Errors
/// The server, or a key's value, cannot be read.
pub fn keyspace(client: &mut RedisClient) -> Result<BTreeMap<(u32, Bytes), CanonicalValue>, RedisError> {
    let mut all = BTreeMap::new();
    for db in databases(client)? {
        client.select(db)?;
        let keys = scan(client)?;
        for batch in keys.chunks(BATCH) {
            for (key, found) in batch.iter().zip(read_keys(client, batch, false)?) {
                match found.value {
                    // A key may expire between SCAN and the read of its value.
                    Ok(value) if value.value == Value::None => {}
                    Ok(value) => drop(all.insert((db, key.clone()), value)),
                    Err(reply) => {
                        return Err(RedisError::Refused { command: "reading a key".to_owned(), reply });
                    }
                }
            }
        }
    }
    Ok(all)
}

/// Every key of every database.
pub(crate) fn all_keys(client: &mut RedisClient) -> Result<Vec<(u32, Bytes)>, RedisError> {
    let mut all = Vec::new();
    for db in databases(client)? {
        client.select(db)?;
        all.extend(scan(client)?.into_iter().map(|key| (db, key)));
    }
    Ok(all)
}

/// The databases that hold a key, according to `INFO keyspace`.
fn databases(client: &mut RedisClient) -> Result<Vec<u32>, RedisError> {
    let info = client.expect(&[b"INFO", b"keyspace"])?;
    let text = info.text().ok_or(RedisError::Shape { command: "INFO".to_owned() })?;
    Ok(text.lines().filter_map(|line| line.strip_prefix("db")?.split(':').next()?.parse().ok()).collect())
}

fn scan(client: &mut RedisClient) -> Result<Vec<Bytes>, RedisError> {
    let shape = || RedisError::Shape { command: "SCAN".to_owned() };
    let (mut cursor, mut keys) = (Bytes::from_static(b"0"), Vec::new());
    loop {
        let reply = client.expect(&[b"SCAN", &cursor, b"COUNT", b"1000"])?;
        let Some([next, part]) = reply.array() else { return Err(shape()) };
        let part = part.array().ok_or_else(shape)?.iter().map(Reply::bytes).collect::<Option<Vec<_>>>();
        keys.extend(part.ok_or_else(shape)?);
        cursor = next.bytes().ok_or_else(shape)?;
        if cursor == "0" {
            break;
        }
    }
    keys.sort();
    keys.dedup();
    Ok(keys)
}

/// Reads `keys` of the selected database. Types, expiries and values are read in pipelines; the expiries of fields take a
/// round trip for each hash.
pub(super) fn read_keys(
    client: &mut RedisClient,
    keys: &[Bytes],
    field_expiries: bool,
) -> Result<Vec<Found>, RedisError> {
    let command = |words: &[&'static str], key: &Bytes| -> Vec<Bytes> {
        words.iter().map(|w| Bytes::from(*w)).chain([key.clone()]).collect()
    };
    let heads = keys.iter().flat_map(|key| [command(&["TYPE"], key), command(&["PEXPIRETIME"], key)]);
    let heads = client.pipeline(&heads.collect::<Vec<_>>())?;
    let (heads, _) = heads.as_chunks::<2>();
    let kinds: Vec<String> = heads.iter().map(|[kind, _]| kind.text().unwrap_or_default()).collect();
    let reads: Vec<Vec<Vec<Bytes>>> =
        kinds.iter().zip(keys).map(|(kind, key)| read_commands(kind, key)).collect();
    let replies = client.pipeline(&reads.concat())?;
    let mut replies = replies.into_iter();
    let mut found = Vec::with_capacity(keys.len());
    for ((kind, [_, expiry]), reads) in kinds.iter().zip(heads).zip(&reads) {
        let own: Vec<Reply> = replies.by_ref().take(reads.len()).collect();
        found.push(Found { value: value(kind, expiry, &own), field_expiries: BTreeMap::new() });
    }
    if field_expiries {
        read_field_expiries(client, keys, &mut found)?;
    }
    Ok(found)
}

fn value(kind: &str, expiry: &Reply, replies: &[Reply]) -> Result<CanonicalValue, String> {
    if let Some(refused) = replies.iter().chain([expiry]).find_map(Reply::error) {
        return Err(refused.to_owned());
    }
    let value =
        from_replies(kind, replies).ok_or_else(|| format!("the {kind} does not have the expected form"))?;
    let expire_at_ms = expiry.int().ok_or("PEXPIRETIME returned no number")?;
    Ok(CanonicalValue { value, expire_at_ms })
}

fn read_field_expiries(
    client: &mut RedisClient,
    keys: &[Bytes],
    found: &mut [Found],
) -> Result<(), RedisError> {
    for (key, found) in keys.iter().zip(found) {
        let Ok(CanonicalValue { value: Value::Hash(fields), .. }) = &found.value else { continue };
        let count = fields.len().to_string();
        let mut args: Vec<&[u8]> = vec![b"HPEXPIRETIME", key, b"FIELDS", count.as_bytes()];
        args.extend(fields.keys().map(|field| &field[..]));
        let reply = client.command(&args)?;
        match reply.array() {
            Some(times) => {
                let times = fields.keys().cloned().zip(times.iter().filter_map(Reply::int));
                found.field_expiries = times.filter(|(_, at)| *at >= 0).collect();
            }
            None => found.value = Err(reply.error().unwrap_or("HPEXPIRETIME returned no list").to_owned()),
        }
    }
    Ok(())
}
