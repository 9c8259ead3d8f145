//! Values in the form that RESTORE takes.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::read::all_keys;
use crate::redis_client::{RedisClient, RedisError, Reply};

/// For each key of each database, its DUMP payload and its expiry in Unix milliseconds, -1 for never.
pub type Dumps = BTreeMap<(u32, Bytes), (Vec<u8>, i64)>;

/// Reads a whole server.
///
/// # Errors
/// The server cannot be read.
pub fn dumps(client: &mut RedisClient) -> Result<Dumps, RedisError> {
    let mut all = Dumps::new();
    for (db, key) in all_keys(client)? {
        client.select(db)?;
        let (dump, expiry) = (client.expect(&[b"DUMP", &key])?, client.expect(&[b"PEXPIRETIME", &key])?);
        if let (Reply::Bulk(payload), Reply::Int(at)) = (dump, expiry) {
            all.insert((db, key), (payload.to_vec(), at));
        }
    }
    Ok(all)
}
