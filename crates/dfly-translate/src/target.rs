//! What the target can do, as plain data. How this is found out is not part of this module.

use dfly_rdb::Family;
use dfly_rdb::payload::TargetFormat;

/// Something that not every Redis and Valkey can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Ability {
    /// Fields of hashes can expire (`HPEXPIREAT`: Redis 7.4, Valkey 9).
    FieldTtl,
    /// Libraries of functions (`FUNCTION LOAD`: Redis 7.0, Valkey).
    Functions,
    /// Streams count the entries that they ever had (`ENTRIESREAD`, `ENTRIESADDED`: Redis 7.0, Valkey).
    StreamCounters,
    /// JSON documents (`JSON.SET`).
    Json,
    /// Bloom filters (`BF.ADD`).
    Bloom,
    /// Cuckoo filters (`CF.ADD`).
    Cuckoo,
    /// Count-min sketches (`CMS.INITBYDIM`).
    CountMin,
    /// Top-K sketches (`TOPK.RESERVE`).
    TopK,
}

impl Ability {
    /// The abilities that modules provide, each with a command that only a server with that module knows.
    pub const OF_MODULES: [(Self, &'static str); 5] = [
        (Self::Json, "JSON.SET"),
        (Self::Bloom, "BF.ADD"),
        (Self::Cuckoo, "CF.ADD"),
        (Self::CountMin, "CMS.INITBYDIM"),
        (Self::TopK, "TOPK.RESERVE"),
    ];

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A target: which payloads it reads, what it can do, and whether keys of one command must share a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Which payloads it reads.
    pub format: TargetFormat,
    abilities: u16,
    cluster: bool,
    /// How many databases it has.
    databases: u32,
}

impl Target {
    /// A standalone server without modules.
    pub fn plain(format: TargetFormat) -> Self {
        let target = Self { format, abilities: 0, cluster: false, databases: u32::MAX };
        let (redis, valkey) = (format.family == Family::Redis, format.family == Family::Valkey);
        let field_ttl = format.version >= if redis { (7, 4) } else { (9, 0) };
        let seven = valkey || format.version >= (7, 0);
        [(Ability::FieldTtl, field_ttl), (Ability::Functions, seven), (Ability::StreamCounters, seven)]
            .into_iter()
            .filter(|(_, has)| *has)
            .fold(target, |target, (ability, _)| target.with(ability))
    }

    /// The same target with one more ability.
    #[must_use]
    pub fn with(self, ability: Ability) -> Self {
        Self { abilities: self.abilities | ability.bit(), ..self }
    }

    /// The same target without this ability.
    #[must_use]
    pub fn without(self, ability: Ability) -> Self {
        Self { abilities: self.abilities & !ability.bit(), ..self }
    }

    /// The same target as a cluster.
    #[must_use]
    pub fn in_cluster(self) -> Self {
        Self { cluster: true, databases: 1, ..self }
    }

    /// The same target with so many databases. Without this, a single server has as many as are asked for.
    #[must_use]
    pub fn with_databases(self, databases: u32) -> Self {
        Self { databases, ..self }
    }

    /// How many databases it has.
    pub fn databases(&self) -> u32 {
        self.databases
    }

    /// Whether it has this ability.
    pub fn has(&self, ability: Ability) -> bool {
        self.abilities & ability.bit() != 0
    }

    /// Whether the keys of one command must share a slot.
    pub fn is_cluster(&self) -> bool {
        self.cluster
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abilities_by_version() {
        let target = |family, version| Target::plain(TargetFormat { family, version });
        for (family, version, field_ttl, functions) in [
            (Family::Redis, (6, 2), false, false),
            (Family::Redis, (7, 0), false, true),
            (Family::Redis, (7, 4), true, true),
            (Family::Valkey, (8, 1), false, true),
            (Family::Valkey, (9, 0), true, true),
        ] {
            let target = target(family, version);
            assert_eq!(target.has(Ability::FieldTtl), field_ttl, "{family:?} {version:?}");
            assert_eq!(target.has(Ability::Functions), functions, "{family:?} {version:?}");
            assert!(!target.has(Ability::Json) && target.with(Ability::Json).has(Ability::Json));
            assert_eq!(target.with(Ability::Json).without(Ability::Json), target);
            assert!(!target.is_cluster() && target.in_cluster().is_cluster());
        }
    }
}
