//! Keys that the target held before the first start, where they are not to be overwritten. Their names are stored in the
//! target too, so that later runs know them.

use dfly_translate::Kept;
use dfly_wire::DbIndex;
use redis_resp::Reply;

use crate::config::{EngineConfig, OnConflict};
use crate::error::Error;
use crate::target::databases::databases;
use crate::target::keyspace_scan::KeyspaceScan;
use crate::target::questions::{TargetConnection, demand};
use crate::target::replies::strange;

/// Notes every key that is there.
pub(crate) async fn note(target: &mut TargetConnection, config: &EngineConfig) -> Result<Kept, Error> {
    let (mut kept, set) = (Kept::new(config.on_conflict == OnConflict::Panic), config.rules.names.kept());
    for db in databases(target).await? {
        target.select(db).await?;
        demand(target, "DEL", &["DEL", &set]).await?;
        let mut scan = KeyspaceScan::of(config, db).await?;
        while let Some(found) = scan.next().await? {
            if !found.is_empty() {
                let names = found.iter().map(|key| &key[..]);
                let words: Vec<&[u8]> = [&b"SADD"[..], set.as_bytes()].into_iter().chain(names).collect();
                demand(target, "SADD", &words).await?;
            }
            found.into_iter().for_each(|key| kept.add(db, key));
        }
    }
    target.select(DbIndex(0)).await?;
    Ok(kept)
}

/// The keys that a first start has found on the target and protects, as it has noted them there.
///
/// # Errors
/// The connection's.
pub async fn load(target: &mut TargetConnection, config: &EngineConfig) -> Result<Kept, Error> {
    let (mut kept, set) = (Kept::new(config.on_conflict == OnConflict::Panic), config.rules.names.kept());
    for db in databases(target).await? {
        target.select(db).await?;
        let mut cursor = bytes::Bytes::from_static(b"0");
        loop {
            let request = [&b"SSCAN"[..], set.as_bytes(), &cursor, b"COUNT", b"512"];
            let reply = demand(target, "SSCAN", &request).await?;
            let Reply::Array(parts) = &reply else { return Err(strange("SSCAN", &reply)) };
            let [Reply::Bulk(next), Reply::Array(names)] = parts.as_slice() else {
                return Err(strange("SSCAN", &reply));
            };
            for name in names {
                if let Reply::Bulk(name) = name {
                    kept.add(db, name.clone());
                }
            }
            if *next == "0" {
                break;
            }
            cursor = next.clone();
        }
    }
    target.select(DbIndex(0)).await?;
    Ok(kept)
}
