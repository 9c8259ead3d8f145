//! Whether positions that were reached with one master can be used with another (protocol sections 6.2 and 6.3).

use crate::session::{MasterVersion, ReplicationId, Session};

/// The first version number whose masters all accept the id of their last master: v1.37 and later.
const ALL_TAKE_LAST_MASTER: MasterVersion = MasterVersion(5);

/// How positions of an earlier run can be used with the master of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// They are positions of this master: [`crate::Resume::Position`].
    Own,
    /// They are positions of another master, perhaps the one that this master was promoted from: [`crate::Resume::LastMaster`].
    LastMaster(ReplicationId),
    /// As [`Claim::LastMaster`], if the release of the master supports it: [`Release::takes_last_master`].
    IfReleaseTakes(ReplicationId),
    /// Not at all: a full synchronisation is needed.
    Nothing(NoClaim),
}

/// Why positions cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoClaim {
    /// Positions belong to shards, and the number of shards has changed.
    #[error("the source has another number of shards than the positions are of")]
    Shards,
    /// The positions belong to another master process, and the release of this one cannot resume from them.
    #[error("the source is another process than the positions are of")]
    Stranger,
    /// The master was a replica of another server since, and holds the data of that one.
    #[error("the source was a replica of another server since the positions were reached")]
    Demoted,
    /// The master was asked to resume from them, and refused.
    #[error("the source is another process than the positions are of, and does not go on from them")]
    Refused,
}

impl Session {
    /// How positions of `flows` flows that were reached with the master `source_id` can be used.
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

/// A Dragonfly release, as in `INFO server`.
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
    /// Parses the line `dragonfly_version:df-v1.34.2` of `INFO server`, or the part after the colon. `None` for a build
    /// without a release number.
    pub fn from_info(text: &str) -> Option<Self> {
        let version = text.lines().find_map(|line| line.strip_prefix("dragonfly_version:")).unwrap_or(text);
        let numbers = version.trim().strip_prefix("df-v")?;
        let mut parts = numbers.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        let mut next = || parts.next()?.ok();
        Some(Self { major: next()?, minor: next()?, patch: next()? })
    }

    /// Whether `DFLY FLOW` accepts the id of the last master and positions of it: v1.30 and later, and v1.28.30 and later
    /// of v1.28 (protocol sections 1.3 and 2.1). Other releases answer with a syntax error.
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
