//! Removes what replications have left beside the keys on a target.

use std::collections::BTreeMap;

use dfly_translate::{ReservedNames, Rules, TaskName};
use dfly_wire::DbIndex;
use redis_resp::connection::{Endpoint, Peer};
use redis_sink::cluster::AddressMap;

use crate::config::{EngineConfig, TargetMode};
use crate::error::Error;
use crate::target::connect::connect_target;
use crate::target::databases::databases;
use crate::target::eviction::count_others;
use crate::target::keyspace_scan::KeyspaceScan;
use crate::target::questions::demand;
use crate::target::tasks;

/// What is to be cleaned up.
#[derive(Debug, Clone)]
pub struct Cleanup {
    /// The server, or a node of the cluster.
    pub target: Endpoint,
    /// Other nodes of the cluster.
    pub other_targets: Vec<Endpoint>,
    /// Which of the two.
    pub target_mode: TargetMode,
    /// Where the nodes of the cluster are reached whose announced addresses cannot be used from here.
    pub target_addresses: AddressMap,
    /// Whose keys: those of other tasks are spared.
    pub task: TaskName,
    /// Whether what is found is removed.
    pub removes: bool,
    /// Also while a run writes to the target.
    pub force: bool,
}

/// What a key of this tool is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owned {
    /// The hash of the positions.
    Positions,
    /// Those that the slots of a cluster hold.
    SlotPositions,
    /// Expiries of members and fields that the target itself does not remove.
    MemberExpiries,
    /// Names of keys that are to be refetched.
    Refetch,
    /// Names of keys that were left out.
    LeftOut,
    /// Names of keys that the target had before the first start.
    Protected,
    /// The expiries that a session has left for the next one.
    Expiries,
    /// Digests of keys that a first synchronisation has written.
    Written,
    /// A large value that was not complete.
    Growing,
    /// Anything else that has such a name.
    Other,
}

/// How many keys there are of each kind.
pub type Found = BTreeMap<Owned, u64>;

impl Owned {
    /// By the key's name.
    fn of(key: &[u8]) -> Self {
        let rest = ReservedNames::kind_of(key).unwrap_or_default();
        let kind = rest.split(|byte| *byte == b':').next().unwrap_or_default();
        match kind {
            b"checkpoint" => Self::Positions,
            _ if kind.starts_with(b"{") => Self::SlotPositions,
            b"due" | b"expiry" => Self::MemberExpiries,
            b"reread" => Self::Refetch,
            b"left-out" => Self::LeftOut,
            b"kept" => Self::Protected,
            b"expiries" => Self::Expiries,
            b"written" => Self::Written,
            b"growing" | b"rebuilt" => Self::Growing,
            _ => Self::Other,
        }
    }
}

impl Cleanup {
    /// Walks through the target's keys; the positions go last, so that a run that is broken off can be told.
    ///
    /// # Errors
    /// [`Error`]; [`Error::InUse`] if a run writes to the target.
    pub async fn run(self) -> Result<Found, Error> {
        // There is no source in it.
        let source = Endpoint { peer: Peer::Source, ..self.target.clone() };
        let rules = Rules { names: ReservedNames::new(&self.task), ..Rules::default() };
        let plain = EngineConfig::new(source, self.target);
        let (target_mode, target_addresses) = (self.target_mode, self.target_addresses);
        let other_targets = self.other_targets;
        let config =
            EngineConfig { other_targets, target_mode, target_addresses, rules: rules.into(), ..plain };
        let (mut target, _) = connect_target(&config).await?;
        let connections = count_others(&mut target).await?;
        if connections > 0 && !self.force {
            return Err(Error::InUse { connections });
        }
        let mut found = Found::new();
        for db in databases(&mut target).await? {
            clean(&config, db, self.removes, &mut found).await?;
        }
        if self.removes {
            target.select(DbIndex(0)).await?;
            demand(&mut target, "DEL", &["DEL", config.rules.names.checkpoint()]).await?;
            tasks::unregister(&mut target).await?;
        }
        Ok(found)
    }
}

async fn clean(config: &EngineConfig, db: DbIndex, removes: bool, found: &mut Found) -> Result<(), Error> {
    let mut scan = KeyspaceScan::reserved(config, db).await?;
    while let Some(mut names) = scan.next().await? {
        for name in &names {
            *found.entry(Owned::of(name)).or_default() += 1;
        }
        names.retain(|name| name != config.rules.names.checkpoint());
        if removes {
            scan.remove(&names).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_name() {
        for (key, owned) in [
            ("df2redis:checkpoint", Owned::Positions),
            ("df2redis:{12}", Owned::SlotPositions),
            ("df2redis:due:0", Owned::MemberExpiries),
            ("df2redis:expiry:{k}", Owned::MemberExpiries),
            ("df2redis:reread:1:{12}", Owned::Refetch),
            ("df2redis:left-out:0", Owned::LeftOut),
            ("df2redis:kept", Owned::Protected),
            ("df2redis:expiries:3", Owned::Expiries),
            ("df2redis:written:3", Owned::Written),
            ("df2redis:growing:{k}", Owned::Growing),
            ("df2redis:rebuilt:{k}", Owned::Growing),
            ("df2redis:what", Owned::Other),
        ] {
            assert_eq!(Owned::of(key.as_bytes()), owned, "{key}");
        }
    }
}
