//! What positions that were reached with one master are worth to a session (protocol sections 6.2 and 6.3).

use crate::session::{MasterVersion, ReplicationId, Session};

/// The first number whose masters all take the last master's id: v1.37 and later.
const ALL_TAKE_LAST_MASTER: MasterVersion = MasterVersion(5);

/// What can be asked of a session's master for positions of a run before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// They are its own: [`crate::Resume::Position`].
    Own,
    /// They are of another master, perhaps the one that it was promoted from: [`crate::Resume::LastMaster`].
    LastMaster(ReplicationId),
    /// The same, if the master's release knows that form: [`Release::takes_last_master`].
    IfReleaseTakes(ReplicationId),
    /// Nothing: everything has to be synchronised.
    Nothing(NoClaim),
}

/// Why positions are of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoClaim {
    /// A position is that of a shard, and shards are counted otherwise now.
    #[error("the source has another number of shards than the positions are of")]
    Shards,
    /// The positions are of another master process, and this one is of a release that cannot know of it.
    #[error("the source is another process than the positions are of")]
    Stranger,
    /// The master was asked to go on from them, and does not.
    #[error("the source is another process than the positions are of, and does not go on from them")]
    Refused,
}

impl Session {
    /// What to ask for with positions of `flows` flows that were reached with the master `source_id`.
    pub fn claim(&self, source_id: &str, flows: usize) -> Claim {
        if flows != usize::from(self.flows) {
            return Claim::Nothing(NoClaim::Shards);
        }
        if self.replication_id.0 == source_id {
            return Claim::Own;
        }
        let Some(other) = ReplicationId::parse(source_id) else { return Claim::Nothing(NoClaim::Stranger) };
        match self.version {
            _ if self.lineage.is_some() => Claim::LastMaster(other),
            version if version >= ALL_TAKE_LAST_MASTER => Claim::LastMaster(other),
            // v1.16 to v1.21 and v1.30 to v1.36 announce the same number (protocol section 1.3).
            MasterVersion(4) => Claim::IfReleaseTakes(other),
            _ => Claim::Nothing(NoClaim::Stranger),
        }
    }
}

/// A Dragonfly release, as its `INFO server` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    /// 1 in all releases so far.
    pub major: u32,
    /// Such as 40 in v1.40.1.
    pub minor: u32,
    /// Such as 1 in v1.40.1.
    pub patch: u32,
}

impl Release {
    /// Reads the line `dragonfly_version:df-v1.34.2` of `INFO server`, or what follows the colon. A build that bears no
    /// release's number gives `None`.
    pub fn from_info(text: &str) -> Option<Self> {
        let version = text.lines().find_map(|line| line.strip_prefix("dragonfly_version:")).unwrap_or(text);
        let numbers = version.trim().strip_prefix("df-v")?;
        let mut parts = numbers.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        let mut next = || parts.next()?.ok();
        Some(Self { major: next()?, minor: next()?, patch: next()? })
    }

    /// Whether `DFLY FLOW` takes the last master's id and the positions with it: from v1.30 on, and in the backports of
    /// v1.28.30 and later (protocol sections 1.3 and 2.1). Others answer with a syntax error.
    pub fn takes_last_master(self) -> bool {
        (self.major, self.minor) >= (1, 30) || ((self.major, self.minor) == (1, 28) && self.patch >= 30)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(version: u32, lineage: bool) -> Session {
        let id = ReplicationId::parse(&"b".repeat(40)).unwrap();
        let lineage = lineage.then(|| id.clone());
        Session {
            replication_id: id,
            sync_id: "SYNC1".into(),
            flows: 2,
            version: MasterVersion(version),
            lineage,
        }
    }

    #[test]
    fn what_positions_are_worth() {
        let (own, other) = ("b".repeat(40), "d".repeat(40));
        let last = ReplicationId::parse(&other).unwrap();
        let stranger = Claim::Nothing(NoClaim::Stranger);
        for (version, lineage, expected) in [
            (1, false, stranger.clone()),
            (2, false, stranger.clone()),
            (3, false, stranger.clone()),
            (4, false, Claim::IfReleaseTakes(last.clone())),
            (4, true, Claim::LastMaster(last.clone())),
            (5, false, Claim::LastMaster(last.clone())),
            (5, true, Claim::LastMaster(last)),
        ] {
            let session = session(version, lineage);
            assert_eq!(session.claim(&other, 2), expected, "{version} {lineage}");
            assert_eq!(session.claim(&own, 2), Claim::Own);
            assert_eq!(session.claim(&own, 3), Claim::Nothing(NoClaim::Shards));
            assert_eq!(session.claim("no id", 2), stranger);
        }
    }

    #[test]
    fn releases() {
        for (text, takes) in [
            ("df-v1.40.1", Some(true)),
            ("df-v1.30.0", Some(true)),
            ("df-v1.29.0", Some(false)),
            ("df-v1.28.29", Some(false)),
            ("df-v1.28.32", Some(true)),
            ("df-v1.21.2-0a1b2c", Some(false)),
            ("df-v2.0.0", Some(true)),
            ("df-dev", None),
            ("df-v1.x.2", None),
            ("", None),
        ] {
            assert_eq!(Release::from_info(text).map(Release::takes_last_master), takes, "{text}");
            let info = format!("# Server\r\nredis_version:7.4.0\r\ndragonfly_version:{text}\r\nos:Linux\r\n");
            assert_eq!(Release::from_info(&info).map(Release::takes_last_master), takes, "{text}");
        }
        assert_eq!(Release::from_info("redis_version:7.4.0\r\n"), None);
    }
}
