//! Some of a source's keys, and what follows from them for all. Pure.

use std::collections::BTreeMap;

/// Some keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sample {
    /// Keys in all databases, as the source says.
    pub total: u64,
    /// Keys that were looked at.
    pub keys: u64,
    /// Keys with an expiry, in all databases.
    pub expires: u64,
    /// By type, as TYPE names it.
    pub kinds: BTreeMap<String, KindSample>,
    /// The largest values, largest first.
    pub biggest: Vec<BigKey>,
    /// Keys that are reserved for df2redis.
    pub reserved: u64,
    /// Databases with keys, each with how many.
    pub databases: Vec<(u32, u64)>,
}

/// The keys of one type in a sample.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KindSample {
    /// Keys.
    pub keys: u64,
    /// What the source says that they take, in bytes; 0 if it does not say.
    pub source_bytes: u64,
    /// Keys whose values were read.
    pub read: u64,
    /// What the source says that those take, in bytes.
    pub read_source_bytes: u64,
    /// What those will take on a Redis with their keys, by the model.
    pub read_target_bytes: u64,
    /// The same two of those that take a kilobyte or more on the source: small ones say nothing of large ones.
    pub large: [u64; 2],
    /// Of those, the ones with members or fields that expire.
    pub member_expiries: u64,
}

/// A large value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BigKey {
    /// What it takes on the source, in bytes.
    pub bytes: u64,
    /// Its database.
    pub db: u32,
    /// Its name, shortened.
    pub key: String,
    /// Its type.
    pub kind: String,
}

/// How many large values are kept.
const BIGGEST: usize = 3;

/// A count of all keys that a sample stands for, and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// The most likely count.
    pub count: u64,
    /// With a confidence of 95 %, the true count differs by no more than this.
    pub margin: u64,
}

impl Sample {
    /// Whether each key was looked at.
    pub fn is_whole(&self) -> bool {
        self.keys >= self.total
    }

    /// The types of keys, by how many the sample stands for.
    pub fn by_kind(&self) -> BTreeMap<&str, Estimate> {
        self.kinds.iter().map(|(kind, of)| (kind.as_str(), self.estimate(of.keys))).collect()
    }

    /// How many of all keys have what so many of the sample have.
    pub fn estimate(&self, having: u64) -> Estimate {
        if self.keys == 0 {
            return Estimate { count: 0, margin: 0 };
        }
        let (keys, total) = (float(self.keys), float(self.total.max(self.keys)));
        let share = float(having) / keys;
        // Drawn without putting back: nothing is in doubt once all are drawn.
        let drawn = if total > 1.0 { ((total - keys) / (total - 1.0)).max(0.0) } else { 0.0 };
        let margin = 1.96 * (share * (1.0 - share) / keys * drawn).sqrt() * total;
        Estimate { count: whole(share * total), margin: whole(margin) }
    }

    /// What the source says that all keys take, in bytes; nothing if it does not say.
    pub fn source_bytes(&self) -> u64 {
        let sampled: u64 = self.kinds.values().map(|kind| kind.source_bytes).sum();
        self.scaled(float(sampled))
    }

    /// What all values take on a single Redis, in bytes, without the tables of its databases. `None` if no value could be read.
    pub fn target_bytes(&self) -> Option<u64> {
        let mut bytes = 0.0;
        for kind in self.kinds.values() {
            bytes += kind.target_bytes()?;
        }
        (self.keys > 0 || self.total == 0).then(|| self.scaled(bytes))
    }

    fn scaled(&self, of_sample: f64) -> u64 {
        if self.keys == 0 {
            0
        } else {
            whole(of_sample * float(self.total.max(self.keys)) / float(self.keys))
        }
    }

    /// Keeps the largest values.
    pub fn note_big(&mut self, key: BigKey) {
        self.biggest.push(key);
        self.biggest.sort_by(|one, other| other.cmp(one));
        self.biggest.truncate(BIGGEST);
    }
}

impl KindSample {
    /// What the keys of this type in the sample take on a Redis: values that were read stand for the others.
    fn target_bytes(&self) -> Option<f64> {
        let unread = self.keys.saturating_sub(self.read);
        let unread_bytes = self.source_bytes.saturating_sub(self.read_source_bytes);
        let others = match (self.read, unread_bytes) {
            _ if unread == 0 => 0.0,
            (0, 0) => return None,
            (read, 0) => float(self.read_target_bytes) / float(read) * float(unread),
            (_, bytes) => float(bytes) * self.growth(),
        };
        Some(float(self.read_target_bytes) + others)
    }

    /// How much more a large value takes on a Redis than on the source.
    fn growth(&self) -> f64 {
        let [source, target] = self.large;
        if source > 0 { float(target) / float(source) } else { 1.0 }
    }
}

/// As a number that is calculated with. Counts beyond 2^53 lose their last digits.
#[expect(clippy::cast_precision_loss, reason = "an estimate has fewer digits than a double")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// Rounded; negative numbers are 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate: the cast keeps within the type's bounds"
)]
pub(crate) fn whole(value: f64) -> u64 {
    value.round().max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(total: u64, kinds: &[(&str, u64, u64)]) -> Sample {
        let kind = |(name, keys, bytes): &(&str, u64, u64)| {
            let of = KindSample {
                keys: *keys,
                source_bytes: *bytes,
                read: 1,
                read_source_bytes: 1000,
                read_target_bytes: 1500,
                large: [1000, 1500],
                member_expiries: 0,
            };
            ((*name).to_owned(), of)
        };
        let kinds: BTreeMap<_, _> = kinds.iter().map(kind).collect();
        Sample { total, keys: kinds.values().map(|kind| kind.keys).sum(), kinds, ..Sample::default() }
    }

    #[test]
    fn a_part_stands_for_all() {
        let part = sample(100_000, &[("string", 900, 90_000), ("hash", 100, 50_000)]);
        let of = part.by_kind();
        assert_eq!(of["string"].count, 90_000);
        assert_eq!((of["hash"].count, of["hash"].margin), (10_000, 1850));
        assert_eq!((part.source_bytes(), part.target_bytes()), (14_000_000, Some(21_000_000)));
    }

    #[test]
    fn all_keys_leave_no_doubt() {
        let all = sample(1000, &[("string", 990, 1), ("hash", 10, 1)]);
        assert!(all.is_whole());
        assert_eq!(all.by_kind()["hash"], Estimate { count: 10, margin: 0 });
        assert_eq!(Sample::default().target_bytes(), Some(0));
    }

    #[test]
    fn the_largest_are_kept() {
        let mut sample = Sample::default();
        for bytes in [5, 1, 9, 7, 3] {
            sample.note_big(BigKey { bytes, db: 0, key: String::new(), kind: String::new() });
        }
        assert_eq!(sample.biggest.iter().map(|key| key.bytes).collect::<Vec<_>>(), [9, 7, 5]);
    }
}
