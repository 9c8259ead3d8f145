//! Emptying the target as a whole, outside the journal.

use std::collections::BTreeMap;

use dfly_translate::{Emptied, Flush};

use super::cluster::flush::{self, Behind};
use super::connect::connect_target;
use super::keyspace_scan;
use super::questions::{TargetConnection, demand};
use crate::checkpoint::UNNAMED;
use crate::config::EngineConfig;
use crate::error::Error;

/// Removes everything.
pub(crate) async fn empty(
    config: &EngineConfig,
    target: &mut TargetConnection,
    owner: &str,
) -> Result<(), Error> {
    if config.rules.selection.removes_by_key {
        return keyspace_scan::remove_all(config).await;
    }
    if !target.has_slots() {
        return demand(target, "FLUSHALL", &["FLUSHALL"]).await.map(drop);
    }
    let fields = ["syncing", UNNAMED].map(|word| word.as_bytes().to_vec()).into();
    let behind = Behind { owner: owner.to_owned(), fields, flows: BTreeMap::new(), replicas: 0 };
    flush::empty_all(target, &behind).await?;
    let checkpoint = target.names().checkpoint().to_owned();
    demand(target, "DEL", &["DEL", &checkpoint]).await.map(drop)
}

/// Empties the target as the source was emptied during its full synchronisation.
pub(crate) async fn follow_flush(config: &EngineConfig, flush: Flush, owner: &str) -> Result<(), Error> {
    let (mut target, _) = connect_target(config).await?;
    match flush.on_target(&config.rules.selection) {
        Emptied::Nothing => {}
        Emptied::Covered(db) => keyspace_scan::remove_covered(config, db).await?,
        Emptied::All => empty(config, &mut target, owner).await?,
        Emptied::Db(_) if target.has_slots() => empty(config, &mut target, owner).await?,
        Emptied::Db(db) => {
            target.select(db).await?;
            demand(&mut target, "FLUSHDB", &["FLUSHDB"]).await?;
        }
    }
    Ok(())
}
