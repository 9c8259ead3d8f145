//! Names of keys on either side.

use bytes::Bytes;
use dfly_journal::Command;
use dfly_translate::{CommandFacts, CommandSpec, NamedKey, ReservedNames, WorksOn, lookup};
use dfly_wire::DbIndex;
use redis_resp::EncodedCommand;
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
    /// The keys of a command for the target, but for the tool's own. One that moves to another database counts in both.
    pub(crate) fn of_command(command: EncodedCommand<'_>) -> impl Iterator<Item = Self> + '_ {
        let facts = CommandFacts::of(command);
        let keys = command.keys().filter(|key| !ReservedNames::is_reserved(key));
        keys.flat_map(move |key| {
            let name = Bytes::copy_from_slice(key);
            let moved = facts.moves_to.map(|db| Self::new(db, name.clone()));
            [Some(Self::new(facts.db, name)), moved].into_iter().flatten()
        })
    }

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

/// The most arguments of an unknown command that are taken for keys. What has more of them is a command with many values.
const MOST_GUESSES: usize = 128;

/// The longest argument behind the first that is taken for a key, in bytes.
const LONGEST_GUESS: usize = 1024;

/// The keys of one journal record, found at most once, by whoever asks first.
#[derive(Debug)]
pub(crate) struct RecordKeys<'a> {
    pub command: &'a Command,
    /// `None` if no table has the command.
    spec: Option<&'static CommandSpec>,
    keys: std::cell::OnceCell<Vec<SourceKey>>,
}

impl<'a> RecordKeys<'a> {
    pub(crate) fn of(command: &'a Command) -> Self {
        Self { command, spec: lookup(command.args.name()), keys: std::cell::OnceCell::new() }
    }

    /// Whether the table has the command. If not, [`Self::all`] gives what may be its keys.
    pub(crate) fn is_known(&self) -> bool {
        self.spec.is_some()
    }

    /// What the command works on; `None` if the table does not have it.
    pub(crate) fn works_on(&self) -> Option<WorksOn> {
        self.spec.map(|spec| spec.works_on)
    }

    /// The same record. If the table does not have the command, its keys are those arguments that may be keys of the flow,
    /// by `owns`. There are none if it has so many arguments that they cannot all be keys, or if it may be a flush.
    pub(crate) fn guess(self, owns: impl Fn(&[u8]) -> bool) -> Self {
        if self.is_known() || self.may_flush() {
            return self;
        }
        let args = &self.command.args;
        let may_be_key = |(at, name): &(usize, &[u8])| {
            let is_name = *at == 1 || name.len() <= LONGEST_GUESS;
            *at > 0 && is_name && !ReservedNames::is_reserved(name) && owns(name)
        };
        let found = args.iter().enumerate().filter(may_be_key).filter_map(|(at, _)| args.shared(at));
        let keys: Vec<SourceKey> =
            found.map(|name| SourceKey::new(self.command.db, name)).take(MOST_GUESSES + 1).collect();
        match keys.len() > MOST_GUESSES {
            true => self,
            false => Self { keys: keys.into(), ..self },
        }
    }

    /// Whether it has no argument but the options of a flush.
    fn may_flush(&self) -> bool {
        let options = [&b"ASYNC"[..], b"SYNC", b"FLUSHSLOTS"];
        let is_option = |word: &[u8]| options.iter().any(|option| word.eq_ignore_ascii_case(option));
        self.command.args.get(1).is_none_or(is_option)
    }

    /// In the order in which the record names them. MOVE names its key in two databases (D1).
    pub(crate) fn all(&self) -> &[SourceKey] {
        self.keys.get_or_init(|| {
            let words: Vec<&[u8]> = self.command.args.iter().collect();
            let named = self.spec.map(|spec| spec.named_keys(self.command.db, &words)).unwrap_or_default();
            let key = |key: NamedKey| Some(SourceKey::new(key.db, self.command.args.shared(key.at)?));
            named.into_iter().filter_map(key).collect()
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

    /// C43: what an unknown command may have changed. A flush under another name has no key.
    #[test]
    fn keys_of_unknown_commands() {
        let long = format!("___SET k {}", "v".repeat(LONGEST_GUESS + 1));
        let many = format!("___SADD k{}", " m".repeat(MOST_GUESSES));
        for (line, keys) in [
            ("___SET k v", &["k", "v"][..]),
            ("___SET k foreign", &["k"]),
            ("___DEL a foreign b", &["a", "b"]),
            ("___SET df2redis:k v", &["v"]),
            (&long, &["k"]),
            (&many, &[]),
            ("___FLUSHALL", &[]),
            ("___FLUSHDB async", &[]),
            ("___DFLYCLUSTER FLUSHSLOTS 0 9", &[]),
            ("INCR n", &["n"]),
        ] {
            let command = command(line);
            let record = RecordKeys::of(&command).guess(|name| name != b"foreign");
            let found: Vec<&[u8]> = record.all().iter().map(|key| &key.name[..]).collect();
            assert_eq!(found, keys.iter().map(|key| key.as_bytes()).collect::<Vec<_>>(), "{line:.20}");
            assert_eq!(record.is_known(), line == "INCR n", "{line:.20}");
        }
    }

    #[test]
    fn a_key_that_moves_has_two_places() {
        let record = command("MOVE k 5");
        let places = [SourceKey::new(DbIndex(3), "k"), SourceKey::new(DbIndex(5), "k")];
        assert_eq!(RecordKeys::of(&record).all(), places);
        let mut batch = redis_resp::CommandBatch::default();
        let facts = CommandFacts::data(DbIndex(3)).moving_to(DbIndex(5));
        let mut move_key = batch.start(3);
        move_key.arg(b"MOVE").key(b"k").arg(b"5");
        move_key.finish_with(facts.tag());
        let found: Vec<TargetKey> = batch.iter().flat_map(TargetKey::of_command).collect();
        assert_eq!(found, [TargetKey::new(DbIndex(3), "k"), TargetKey::new(DbIndex(5), "k")]);
    }

    /// Digests lie in targets: these values never change.
    #[test]
    fn digests_are_the_same_for_ever() {
        assert_eq!(digest(DbIndex(0), b""), 0x2d06_8005_38d3_94c2);
        assert_ne!(digest(DbIndex(0), b"k"), digest(DbIndex(1), b"k"));
    }
}
