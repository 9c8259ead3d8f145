//! Names of keys on either side.

use bytes::Bytes;
use dfly_journal::Command;
use dfly_translate::lookup;
use dfly_wire::DbIndex;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A key of the source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceKey {
    /// Its database there.
    pub db: DbIndex,
    /// Its name.
    pub name: Bytes,
}

/// A key of the target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetKey {
    /// Its database there.
    pub db: DbIndex,
    /// Its name.
    pub name: Bytes,
}

impl SourceKey {
    /// The key `name` in `db`.
    pub fn new(db: DbIndex, name: impl Into<Bytes>) -> Self {
        Self { db, name: name.into() }
    }

    /// Eight bytes that stand for the key where many of them are remembered.
    pub(crate) fn digest(&self) -> u64 {
        digest(self.db, &self.name)
    }
}

impl TargetKey {
    /// The key `name` in `db`.
    pub fn new(db: DbIndex, name: impl Into<Bytes>) -> Self {
        Self { db, name: name.into() }
    }
}

/// XXH3 of the name, seeded with the database. Digests are stored in the target from one session to the next, so this is
/// the same for every compiler, machine and release.
pub(crate) fn digest(db: DbIndex, name: &[u8]) -> u64 {
    xxh3_64_with_seed(name, u64::from(db.0))
}

/// The keys of one journal record, found at most once, by whoever asks first.
#[derive(Debug)]
pub(crate) struct RecordKeys<'a> {
    pub command: &'a Command,
    keys: std::cell::OnceCell<Vec<SourceKey>>,
}

impl<'a> RecordKeys<'a> {
    pub(crate) fn of(command: &'a Command) -> Self {
        Self { command, keys: std::cell::OnceCell::new() }
    }

    /// In the order in which the record names them.
    pub(crate) fn all(&self) -> &[SourceKey] {
        self.keys.get_or_init(|| {
            let words: Vec<&[u8]> = self.command.args.iter().collect();
            let spec = lookup(self.command.args.name());
            let positions = spec.map(|spec| spec.key_positions(&words)).unwrap_or_default();
            let key = |at| Some(SourceKey::new(self.command.db, self.command.args.shared(at)?));
            positions.into_iter().filter_map(key).collect()
        })
    }

    /// Whether nothing of an older value of its keys is left once it is carried out.
    pub(crate) fn replaces(&self) -> bool {
        let args = &self.command.args;
        match args.name() {
            b"SET" => !args.iter().skip(3).any(|option| option == b"KEEPTTL"),
            b"DEL" | b"UNLINK" | b"MSET" | b"RESTORE" | b"SETEX" | b"PSETEX" => true,
            _ => false,
        }
    }

    /// Whether its keys are gone once it is carried out.
    pub(crate) fn deletes(&self) -> bool {
        matches!(self.command.args.name(), b"DEL" | b"UNLINK")
    }
}

#[cfg(test)]
mod tests {
    use dfly_journal::{Args, TxId};

    use super::*;

    fn command(line: &str) -> Command {
        let words: Vec<&str> = line.split(' ').collect();
        Command { db: DbIndex(3), txid: TxId(0), args: Args::of(&words) }
    }

    #[test]
    fn keys_and_what_becomes_of_them() {
        for (line, keys, replaces, deletes) in [
            ("SET k v", &["k"][..], true, false),
            ("SET k v KEEPTTL", &["k"], false, false),
            ("MSET a 1 b 2", &["a", "b"], true, false),
            ("DEL a b", &["a", "b"], true, true),
            ("RENAME a b", &["a", "b"], false, false),
            ("INCR n", &["n"], false, false),
            ("NOSUCH n", &[], false, false),
        ] {
            let command = command(line);
            let record = RecordKeys::of(&command);
            let expected: Vec<SourceKey> =
                keys.iter().map(|key| SourceKey::new(DbIndex(3), key.to_string())).collect();
            assert_eq!(record.all(), expected, "{line}");
            assert_eq!((record.replaces(), record.deletes()), (replaces, deletes), "{line}");
        }
    }

    /// Digests lie in targets: these values never change.
    #[test]
    fn digests_are_the_same_for_ever() {
        assert_eq!(digest(DbIndex(0), b""), 0x2d06_8005_38d3_94c2);
        assert_ne!(digest(DbIndex(0), b"k"), digest(DbIndex(1), b"k"));
    }
}
