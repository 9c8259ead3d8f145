//! Removes what replications have left beside the keys on a target.

use std::collections::BTreeMap;
use std::sync::Arc;

use dfly_translate::ReservedNames;
use dfly_wire::DbIndex;
use redis_resp::Reply;
use redis_resp::connection::{Endpoint, Peer};

use crate::checkpoint::KEY;
use crate::config::{EngineConfig, TargetMode};
use crate::error::Error;
use crate::sweep::Keys;
use crate::target::{TargetConnection, connect_target, databases, others};

/// What is to be cleaned up.
#[derive(Debug, Clone)]
pub struct Cleanup {
    /// The server, or a node of the cluster.
    pub target: Endpoint,
    /// Which of the two.
    pub target_mode: TargetMode,
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
    /// Names of keys that are to be read again.
    Wanted,
    /// Names of keys that were left out.
    LeftOut,
    /// Names of keys that the target had before the first start.
    Kept,
    /// The expiries that a session has left for the next one.
    Expiries,
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
            b"reread" => Self::Wanted,
            b"left-out" => Self::LeftOut,
            b"kept" => Self::Kept,
            b"expiries" => Self::Expiries,
            b"growing" => Self::Growing,
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
        let config = EngineConfig { target_mode: self.target_mode, ..EngineConfig::new(source, self.target) };
        let (mut target, _) = connect_target(&config).await?;
        let connections = writers(&mut target, &config.rules.names.connection()).await?;
        if connections > 0 && !self.force {
            return Err(Error::InUse { connections });
        }
        let (config, mut found) = (Arc::new(config), Found::new());
        for db in databases(&mut target).await? {
            clean(&config, (db, self.removes), &mut found).await?;
        }
        if self.removes {
            target.select(DbIndex(0)).await?;
            target.ask(&["DEL", KEY]).await?;
        }
        Ok(found)
    }
}

/// How many connections other than this have this name.
async fn writers(target: &mut TargetConnection, name: &str) -> Result<usize, Error> {
    let mut count = 0;
    for part in target.parts() {
        let own = match target.ask_part(&part, &["CLIENT", "ID"]).await? {
            Reply::Integer(id) => id.to_string(),
            _ => continue,
        };
        if let Reply::Bulk(list) = target.ask_part(&part, &["CLIENT", "LIST"]).await? {
            count += others(&String::from_utf8_lossy(&list), name, &own).len();
        }
    }
    Ok(count)
}

async fn clean(
    config: &Arc<EngineConfig>,
    (db, removes): (DbIndex, bool),
    found: &mut Found,
) -> Result<(), Error> {
    let mut keys = Keys::reserved(config, db).await?;
    while let Some(mut names) = keys.next().await? {
        for name in &names {
            *found.entry(Owned::of(name)).or_default() += 1;
        }
        names.retain(|name| name != KEY);
        if removes {
            keys.remove(&names).await?;
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
            ("df2redis:reread:1:{12}", Owned::Wanted),
            ("df2redis:left-out:0", Owned::LeftOut),
            ("df2redis:kept", Owned::Kept),
            ("df2redis:expiries:3", Owned::Expiries),
            ("df2redis:growing:{k}", Owned::Growing),
            ("df2redis:what", Owned::Other),
        ] {
            assert_eq!(Owned::of(key.as_bytes()), owned, "{key}");
        }
    }
}
