//! What is compared: the databases of the source, and the pairs of names on both sides.

use std::sync::Arc;

use bytes::Bytes;
use dfly_replica::{EngineConfig, OnConflict, SourceKey, TargetKey, connect_target, protected_keys};
use dfly_translate::{ReservedNames, Selection};
use dfly_wire::DbIndex;
use redis_resp::Reply;

use crate::config::CheckConfig;
use crate::error::CheckError;
use crate::link::{Link, SideError};
use crate::policy::Policy;
use crate::sample::Sample;
use crate::throttle::Throttle;
use crate::verdict::Pair;

/// What was found out before the first key is read.
#[derive(Debug)]
pub(crate) struct Plan {
    pub selection: Arc<Selection>,
    pub policy: Arc<Policy>,
    /// Databases of the source that are compared, each with how many keys it holds, in ascending order.
    pub dbs: Vec<(DbIndex, u64)>,
    /// What cannot be compared, in words.
    pub gaps: Vec<String>,
    pub sample: Option<Sample>,
}

/// As many databases as a source has by default.
const USUAL_DATABASES: u32 = 16;

impl Plan {
    pub(crate) async fn make(config: &CheckConfig, throttle: &Arc<Throttle>) -> Result<Self, CheckError> {
        let (mut target, abilities) = connect_target(&config.engine).await?;
        let rules = &config.engine.rules;
        let mut selection = rules.selection.clone();
        if config.engine.on_conflict != OnConflict::Overwrite {
            selection.kept = protected_keys(&mut target, &config.engine).await?;
        }
        let mut plan = Self {
            policy: Arc::new(Policy::new(rules.policies.clone(), &abilities)),
            selection: Arc::new(selection),
            dbs: Vec::new(),
            gaps: Vec::new(),
            sample: config.sample,
        };
        let (dbs, gap) = source_databases(&config.engine, throttle).await?;
        plan.gaps.extend(gap);
        for (db, keys) in dbs {
            match plan.selection.dbs.get(db) {
                Some(DbIndex(1..)) if target.has_slots() => plan.gaps.push(format!(
                    "database {db} of the source has no place on the target, because a cluster has database 0 alone; map it or leave it out (--map-db {db}=skip)"
                )),
                Some(_) => plan.dbs.push((db, keys)),
                None => {}
            }
        }
        Ok(plan)
    }

    /// How many keys the source holds in the databases that are compared.
    pub(crate) fn keys(&self) -> u64 {
        self.dbs.iter().map(|(_, keys)| keys).sum()
    }

    /// What becomes of a key of the source.
    pub(crate) fn place(&self, db: DbIndex, name: &Bytes) -> Place {
        let selection = &self.selection;
        let Some((target_db, target)) = selection.destination(db, name) else {
            let is_reserved = selection.takes_key(name) && selection.is_reserved(name);
            return if is_reserved { Place::Reserved } else { Place::Unselected };
        };
        let target = TargetKey::new(target_db, target);
        if self.sample.is_some_and(|sample| !sample.takes(&target)) {
            return Place::Unsampled;
        }
        Place::Compared(Pair { source: SourceKey::new(db, name.clone()), target })
    }

    /// The pairs that a key of the target may belong to, one for each name that it may have on the source.
    pub(crate) fn origins(&self, key: &TargetKey) -> Vec<Pair> {
        if ReservedNames::is_reserved(&key.name) || !self.selection.covers(key.db, &key.name) {
            return Vec::new();
        }
        let pair = |(db, name)| Pair { source: SourceKey::new(db, name), target: key.clone() };
        self.selection.origins(key.db, &key.name).into_iter().map(pair).collect()
    }

    /// Whether a key of the target belongs to the sample, or everything is compared.
    pub(crate) fn samples(&self, key: &TargetKey) -> bool {
        self.sample.is_none_or(|sample| sample.takes(key))
    }
}

/// What becomes of a key of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Compared(Pair),
    Unselected,
    /// Its name on the target would be one of the tool's own.
    Reserved,
    Unsampled,
}

pub(crate) type Databases = Vec<(DbIndex, u64)>;

/// The source's databases with how many keys each holds, and what could not be found out.
pub(crate) async fn source_databases(
    config: &Arc<EngineConfig>,
    throttle: &Arc<Throttle>,
) -> Result<(Databases, Option<String>), SideError> {
    let mut link = Link::to_source(config, throttle);
    let Reply::Bulk(text) = link.ask_one(DbIndex(0), &[b"INFO", b"keyspace"]).await? else {
        let gap = format!(
            "the source does not tell which databases hold keys (INFO is refused), so only databases 0 to {} were compared",
            USUAL_DATABASES - 1
        );
        return Ok(((0..USUAL_DATABASES).map(|db| (DbIndex(db), 0)).collect(), Some(gap)));
    };
    let text = String::from_utf8_lossy(&text);
    let mut dbs: Databases = text.lines().filter_map(database).collect();
    dbs.sort_unstable();
    Ok((dbs, None))
}

/// From a line such as `db0:keys=40,expires=0`.
fn database(line: &str) -> Option<(DbIndex, u64)> {
    let (db, counts) = line.trim().strip_prefix("db")?.split_once(':')?;
    let keys = counts.split(',').find_map(|field| field.strip_prefix("keys="))?;
    Some((DbIndex(db.parse().ok()?), keys.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_info() {
        assert_eq!(database("db3:keys=40,expires=0,avg_ttl=-1"), Some((DbIndex(3), 40)));
        assert_eq!((database("# Keyspace"), database("db:keys=1"), database("")), (None, None, None));
    }
}
