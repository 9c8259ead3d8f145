//! How to handle each command that Dragonfly v1.4 to v1.40 can journal (protocol section 3.8; the write commands of the
//! server's own command list). The facts are in `data/commands.txt`, from which the table is generated.

mod commands;
mod places;

use dfly_rdb::ValueKind;
use dfly_wire::DbIndex;
use redis_slots::KeySpec;

use crate::policy::Loss;
use crate::target::Ability;

/// The facts about one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandSpec {
    /// The name, as the journal contains it.
    pub name: &'static str,
    /// The positions of its keys. A command that stores its result may have one more, after `STORE`.
    pub keys: KeySpec,
    /// The minimum number of arguments, including the name.
    pub least_args: usize,
    /// Whether carrying it out again immediately changes nothing.
    pub again: bool,
    /// The kind of value that it works on.
    pub works_on: WorksOn,
    /// What it does to the expiry of members and fields.
    pub members: Members,
    /// The first Dragonfly release that has it.
    pub since: (u8, u8),
    /// Which targets have it.
    pub target: Availability,
    /// How its records are translated.
    pub rule: Rule,
}

/// The kind of value that a command works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorksOn {
    /// Only on values of this kind.
    Kind(ValueKind),
    /// On values of any kind.
    Any,
    /// On no key's value.
    Nothing,
}

/// What a command does to the expiry of members and fields of its first key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Members {
    /// Nothing, except what its rule does.
    Kept,
    /// The key is removed, or gets another value.
    Replaced,
    /// The members from argument 2 on are removed.
    Removed,
    /// The fields in every second argument from 2 on no longer expire.
    Written,
    /// The expiries move with the value to another key.
    Moved,
    /// The key's own expiry changes, and the due times beside the key get the same expiry.
    Expiry,
}

/// Which targets have a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// Every supported version.
    Always,
    /// From this version on.
    Since((u8, u8)),
    /// A target with this ability, which a module provides.
    Module(Ability),
    /// No target.
    Never,
}

/// How a record becomes commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// The same command with the same arguments.
    Verbatim,
    /// LPUSH and RPUSH, which may be the second half of a command that moves an element.
    Push,
    /// ZREMRANGEBYLEX, whose range is not defined where scores differ.
    LexRange,
    /// LREM, which the source may not carry out to its end.
    LRem,
    /// The same command. If the master has reduced it to one key, it cannot be carried out.
    Store,
    /// SORT and GEORADIUS, which may store their result under another key.
    SortStore,
    /// PEXPIREAT, also with the time 0.
    PExpireAt,
    /// PFMERGE of a master before v1.19, which may have been reduced to some of its keys.
    StoreAll,
    /// SET without the options that only Dragonfly has.
    Set,
    /// ZADD. After a DEL in the same transaction, it has lost digits of its scores.
    ZAdd,
    /// INCRBYFLOAT in the source's arithmetic.
    IncrByFloat,
    /// HINCRBYFLOAT in the source's arithmetic.
    HIncrByFloat,
    /// PREPEND by a script.
    Prepend,
    /// RENAME, also of a key that was left out.
    Rename,
    /// RENAMENX, also of a key that was left out.
    RenameNx,
    /// MOVE into another database.
    Move,
    /// RESTORE of a payload that is decoded and encoded again for the target.
    Restore,
    /// Conditional delete.
    DelEx,
    /// LMPOP and ZMPOP, which reach every flow with only its own keys.
    Pops,
    /// SADD with an expiry for its members.
    SAddEx,
    /// HSET with an expiry for its fields, in two syntaxes.
    HSetEx,
    /// An expiry for fields of a hash, in seconds.
    HExpire,
    /// An expiry for fields or members, in seconds.
    FieldExpire,
    /// HGETEX, which changes the expiries of the fields that it reads.
    HGetEx,
    /// XCLAIM and XAUTOCLAIM, after the consumer has been created, and with a time.
    XClaim,
    /// XGROUP, without the counter that the source ignores.
    XGroup,
    /// XSETID, without the counters if the target has none.
    StreamCounters,
    /// A command on a JSON document.
    Json,
    /// JSON.SET, which may write a whole document.
    JsonSet,
    /// A command on a sketch, which needs a module.
    Sketch,
    /// CMS.MERGE, which the master may have reduced to one key.
    CmsMerge,
    /// No data changes.
    Nothing,
    /// The flag that protects a key from eviction.
    Stick,
    /// The target has no equivalent.
    Lost(Loss),
    /// FLUSHALL.
    FlushAll,
    /// FLUSHDB.
    FlushDb,
    /// DFLYCLUSTER, of which only FLUSHSLOTS is journaled.
    DflyCluster,
}

/// A key that a record names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedKey {
    /// Its database on the source.
    pub db: DbIndex,
    /// The position of its name among the words of the record.
    pub at: usize,
}

/// The database that a word of a record names.
pub(crate) fn database(word: &[u8]) -> Option<DbIndex> {
    std::str::from_utf8(word).ok()?.parse().ok().map(DbIndex)
}

/// All commands of the table, in alphabetical order.
pub fn specs() -> &'static [CommandSpec] {
    commands::SPECS
}

/// The entry for a command, by its name in the journal.
#[inline]
pub fn lookup(name: &[u8]) -> Option<&'static CommandSpec> {
    places::of(name)
}

impl CommandSpec {
    /// Whether it may store a result under a key that [`Self::keys`] does not include.
    pub fn stores(&self) -> bool {
        matches!(self.rule, Rule::Store | Rule::SortStore)
    }

    /// The keys that a record names, with their databases, including the key after `STORE`. `db` is the record's database;
    /// MOVE names its key in another one too.
    pub fn named_keys(&self, db: DbIndex, words: &[&[u8]]) -> Vec<NamedKey> {
        let named = |at| NamedKey { db, at };
        let mut keys: Vec<NamedKey> = self.key_positions(words).into_iter().map(named).collect();
        if let (Rule::Move, Some(to)) = (self.rule, words.get(2).and_then(|word| database(word))) {
            keys.push(NamedKey { db: to, at: 1 });
        }
        keys
    }

    /// The positions of the keys among the words of a record, including the key after `STORE`. Ascending.
    pub fn key_positions(&self, words: &[&[u8]]) -> Vec<usize> {
        let mut positions: Vec<usize> = self.keys.positions(words).collect();
        if self.stores() && words.len() > 2 {
            store_positions(self.name, words, &mut positions);
        }
        positions
    }
}

/// `dest n key..` of Z*STORE, `dest src` of ZRANGESTORE, `src .. STORE dest` of SORT and GEORADIUS.
fn store_positions(name: &str, words: &[&[u8]], positions: &mut Vec<usize>) {
    match name {
        "ZRANGESTORE" => positions.push(2),
        "ZDIFFSTORE" | "ZINTERSTORE" | "ZUNIONSTORE" => {
            positions.extend(KeySpec::counted(2).positions(words));
        }
        _ => {
            let store =
                |word: &&[u8]| word.eq_ignore_ascii_case(b"STORE") || word.eq_ignore_ascii_case(b"STOREDIST");
            let behind = words.iter().skip(2).position(store).map(|at| at + 3);
            positions.extend(behind.filter(|at| *at < words.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_found() {
        assert!(specs().is_sorted_by(|a, b| a.name < b.name));
        for spec in specs() {
            assert_eq!(lookup(spec.name.as_bytes()), Some(spec));
        }
        assert_eq!(lookup(b"GET"), None);
        assert_eq!(lookup(b"set"), None, "the journal writes names in upper case");
    }

    /// D1: MOVE takes a key's place along.
    #[test]
    fn keys_of_two_databases() {
        let named = |line: &str| {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            lookup(words[0]).unwrap().named_keys(DbIndex(3), &words)
        };
        let key = |db, at| NamedKey { db: DbIndex(db), at };
        assert_eq!(named("MOVE k 5"), [key(3, 1), key(5, 1)]);
        assert_eq!(named("MOVE k x"), [key(3, 1)]);
        assert_eq!(named("RENAME a b"), [key(3, 1), key(3, 2)]);
    }

    /// P8: keys come from the table.
    #[test]
    fn keys() {
        for (line, expected) in [
            ("XGROUP CREATE s g 0", &["s"][..]),
            ("MSET a 1 b 2", &["a", "b"]),
            ("JSON.MSET a $ 1 b $ 2", &["a", "b"]),
            ("RENAME a b", &["a", "b"]),
            ("LMPOP 2 a b LEFT", &["a", "b"]),
            ("SORT a", &["a"]),
            ("SORT a BY x STORE b", &["a", "b"]),
            ("GEORADIUS a 1 2 3 km STOREDIST b", &["a", "b"]),
            ("SORT a STORE", &["a"]),
            ("ZRANGESTORE d s 0 -1", &["d", "s"]),
            ("ZUNIONSTORE d 2 a b WEIGHTS 1 2", &["d", "a", "b"]),
            ("ZUNIONSTORE d 9 a", &["d", "a"]),
        ] {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            let spec = lookup(words[0]).unwrap();
            let keys: Vec<&[u8]> = spec.key_positions(&words).into_iter().map(|at| words[at]).collect();
            assert_eq!(keys, expected.iter().map(|key| key.as_bytes()).collect::<Vec<_>>(), "{line}");
        }
    }
}
