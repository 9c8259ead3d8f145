//! Every check, by its name. The names are stable: scripts and `--skip-checks` use them.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Whom a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The Dragonfly.
    Source,
    /// The Redis, Valkey or cluster.
    Target,
    /// The two of them together, and the network.
    Between,
    /// The host that this program runs on.
    Host,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
            Self::Between => "between",
            Self::Host => "host",
        })
    }
}

/// When a check is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// By `prepare`, and before a first start.
    Always,
    /// By `prepare` alone: it takes seconds.
    Prepare,
    /// By `prepare`. A start has it from the engine, with the same words.
    Engine,
}

macro_rules! checks {
    ($($check:ident = $name:literal, $side:ident, $when:ident, $what:literal;)*) => {
        /// What is looked at.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Check {
            $(#[doc = $what] $check,)*
        }

        impl Check {
            /// All of them, in the order of reports.
            pub const ALL: &[Self] = &[$(Self::$check),*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$check => $name,)* }
            }

            /// Whom it is about.
            pub fn side(self) -> Side {
                match self { $(Self::$check => Side::$side,)* }
            }

            /// When it is made.
            pub fn when(self) -> When {
                match self { $(Self::$check => When::$when,)* }
            }

            /// What it looks at.
            pub fn what(self) -> &'static str {
                match self { $(Self::$check => $what,)* }
            }
        }
    };
}

checks! {
    SourceAddresses = "source-addresses", Source, Engine, "Each address of the source, and each address that a name stands for, accepts connections.";
    SourceTls = "source-tls", Source, Engine, "The connection to the source is encrypted, and its certificate is verified.";
    SourceLogin = "source-login", Source, Engine, "The source accepts user and password.";
    SourceRelease = "source-release", Source, Always, "The source is a Dragonfly of a release that can be followed.";
    SourceQuirks = "source-quirks", Source, Always, "What that release gets wrong in its journal, and what it costs here.";
    SourceRole = "source-role", Source, Engine, "The source is a master that has loaded its data.";
    SourceClusterMode = "source-cluster-mode", Source, Always, "The source is no node of a Dragonfly Cluster, which holds a part of the keys.";
    SourceReplicas = "source-replicas", Source, Always, "Who else follows the source.";
    SourceCommands = "source-commands", Source, Always, "The user of the source may use each command that a run needs.";
    SourceReservedKeys = "source-reserved-keys", Source, Always, "The source holds no keys of df2redis, as one does that was a target before.";
    SourceKeys = "source-keys", Source, Always, "Keys by type, their sizes and expiries, from a sample.";
    BiggestKeys = "biggest-keys", Source, Always, "The largest values of the sample, beside the largest that can be held whole.";
    SourceMemory = "source-memory", Source, Always, "The source has memory for the buffers of a synchronisation.";
    Backlog = "backlog", Source, Prepare, "How long a run may be away and still resume, at the measured rate of writes.";
    TargetAddresses = "target-addresses", Target, Engine, "Each address of the target, and each address that a name stands for, accepts connections.";
    TargetTls = "target-tls", Target, Engine, "The connection to the target is encrypted, and its certificate is verified.";
    TargetLogin = "target-login", Target, Engine, "The target accepts user and password.";
    ClusterNodes = "cluster-nodes", Target, Engine, "Each node of the cluster is reached from here by the address that it announces.";
    ClusterSlots = "cluster-slots", Target, Always, "Each slot has an owner, none is being moved, and the cluster says that it is whole.";
    ClusterBusTls = "cluster-bus-tls", Target, Always, "Nodes that use TLS for clients use it among themselves.";
    TargetKind = "target-kind", Target, Always, "The target is a Redis (6.2 or later) or a Valkey.";
    TargetRole = "target-role", Target, Engine, "The target is a primary.";
    TargetReplicas = "target-replicas", Target, Always, "The replicas that a fail-over of the target needs.";
    TargetSharded = "target-sharded", Target, Engine, "The target is not several servers behind one address.";
    TargetPositions = "target-positions", Target, Engine, "Positions of a run before on the target fit this source and these settings.";
    TargetWriter = "target-writer", Target, Always, "No other run writes to the target.";
    TargetKeys = "target-keys", Target, Engine, "The target is empty, or it is said what becomes of its keys.";
    TargetCommands = "target-commands", Target, Engine, "The user of the target may use each command that a run needs.";
    TargetPayloads = "target-payloads", Target, Prepare, "The target takes a value of each encoding that the source holds.";
    TargetSettings = "target-settings", Target, Always, "The target says its settings, so that they can be looked at.";
    TargetMemory = "target-memory", Target, Always, "The target has the memory for what the source holds.";
    TargetEviction = "target-eviction", Target, Engine, "The target evicts no keys when its memory is full.";
    TargetPersistence = "target-persistence", Target, Always, "The target keeps what it has acknowledged through a restart.";
    TargetTimeout = "target-timeout", Target, Always, "The target does not close connections that are idle for a moment.";
    TargetClients = "target-clients", Target, Engine, "The target has room for the connections of all flows.";
    Databases = "databases", Between, Engine, "Each database of the source has its place on the target.";
    UnsupportedTypes = "unsupported-types", Between, Always, "The target holds each type of value that the source has.";
    MemberExpiries = "member-expiries", Between, Always, "Expiries of members of sets and fields of hashes.";
    NotCopied = "not-copied", Between, Always, "What no replication copies: scripts, functions, users, search indices.";
    ValueSizes = "value-sizes", Between, Always, "The largest values fit the memory limit of the run and the largest argument of the target.";
    RoundTrips = "round-trips", Between, Prepare, "The time that a request takes to each side and back.";
    Clocks = "clocks", Between, Always, "The clocks of source, target and this host agree.";
    Duration = "duration", Between, Prepare, "How long the snapshot will take, from its first seconds (`--measure`).";
    StateDir = "state-dir", Host, Always, "There is a state directory, and room in it for the journal while the target is slower.";
    OpenFiles = "open-files", Host, Engine, "The system allows as many files and connections as a run needs.";
    Begin = "begin", Between, Engine, "How a run would begin.";
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Check {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|check| check.name() == name).copied();
        found.ok_or_else(|| {
            format!(
                "there is no check \"{name}\"; docs/prepare.md lists them, and so does df2redis-cli prepare"
            )
        })
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Checks that are not made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Skipped(Vec<Check>);

impl Skipped {
    /// The checks of these names.
    ///
    /// # Errors
    /// A name that no check has.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        names.into_iter().map(str::parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a check is not made.
    pub fn has(&self, check: Check) -> bool {
        self.0.contains(&check)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_names() {
        let names: BTreeSet<&str> = Check::ALL.iter().map(|check| check.name()).collect();
        assert_eq!(names.len(), Check::ALL.len());
        assert_eq!("backlog".parse(), Ok(Check::Backlog));
        let skipped = Skipped::named(["backlog", "clocks"]).unwrap();
        assert!(skipped.has(Check::Clocks) && !skipped.has(Check::Databases));
        assert!(Skipped::named(["backlogs"]).unwrap_err().contains("no check \"backlogs\""));
    }
}
