//! What happens to each command that a Dragonfly from v1.4 to v1.40 can journal (protocol section 3.8; the write
//! commands of the server's own command list). The facts stand in `data/commands.txt`; nothing else knows a command by
//! its name.

mod commands;

use dfly_rdb::ValueKind;
use redis_slots::KeySpec;

use crate::policy::Loss;
use crate::target::Ability;

/// One command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandSpec {
    /// The name as the journal has it.
    pub name: &'static str,
    /// Where its keys are. A command that stores its result names one more, behind `STORE`.
    pub keys: KeySpec,
    /// The least number of arguments, the name counted.
    pub least_args: usize,
    /// Whether carrying it out a second time, at once, changes nothing.
    pub again: bool,
    /// The kind of value that it works on.
    pub works_on: WorksOn,
    /// What becomes of the expiry of members and fields.
    pub members: Members,
    /// The first release of Dragonfly with it.
    pub since: (u8, u8),
    /// Which Redis has it.
    pub target: Availability,
    /// What becomes of it.
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
    /// Nothing, but for what its rule says.
    Kept,
    /// The key is gone, or holds another value.
    Replaced,
    /// The members from argument 2 on are gone.
    Removed,
    /// The fields in every second argument from 2 on no longer expire.
    Written,
    /// They follow the value to another key.
    Moved,
    /// The key's own expiry changes, and what is kept beside the key has to follow.
    Expiry,
}

/// Which Redis has a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// Every supported one.
    Always,
    /// From this version on.
    Since((u8, u8)),
    /// One with a module.
    Module(Ability),
    /// None.
    Never,
}

/// How a record becomes commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// The same command with the same arguments.
    Verbatim,
    /// The same, unless the master cut it down to one key: then it cannot be carried out.
    Store,
    /// SORT and GEORADIUS, which may store their result under another key.
    SortStore,
    /// PEXPIREAT, also with the time 0.
    PExpireAt,
    /// PFMERGE of a master before v1.19, whose keys may have been cut down likewise.
    StoreAll,
    /// SET without the options that only Dragonfly has.
    Set,
    /// ZADD; behind a DEL of the same transaction it has lost digits of its scores.
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
    /// RESTORE of a payload that is read and written anew for the target.
    Restore,
    /// Conditional delete.
    DelEx,
    /// LMPOP and ZMPOP, of which every flow gets its own keys.
    Pops,
    /// SADD with an expiry for its members.
    SAddEx,
    /// HSET with an expiry for its fields, in two syntaxes.
    HSetEx,
    /// An expiry for fields of a hash, in seconds.
    HExpire,
    /// An expiry for fields or members, in seconds.
    FieldExpire,
    /// A change of fields' expiries that comes with a read.
    HGetEx,
    /// XCLAIM and XAUTOCLAIM, with the consumer and the time.
    XClaim,
    /// XGROUP, without the counter that the source takes no notice of.
    XGroup,
    /// XSETID, without the counters where the target has none.
    StreamCounters,
    /// A command on a JSON document.
    Json,
    /// JSON.SET, which may write a whole document.
    JsonSet,
    /// A command on a sketch that a module brings.
    Sketch,
    /// CMS.MERGE, which the master may have cut down to one key.
    CmsMerge,
    /// Nothing of the data changes.
    Nothing,
    /// The flag that keeps a key from being evicted.
    Stick,
    /// The target has no such thing.
    Lost(Loss),
    /// FLUSHALL.
    FlushAll,
    /// FLUSHDB.
    FlushDb,
    /// DFLYCLUSTER, of which only FLUSHSLOTS is journaled.
    DflyCluster,
}

/// All commands of the table, in alphabetical order.
pub fn specs() -> &'static [CommandSpec] {
    commands::SPECS
}

/// The entry for a command as the journal names it.
#[inline]
pub fn lookup(name: &[u8]) -> Option<&'static CommandSpec> {
    let found = specs().binary_search_by(|spec| spec.name.as_bytes().cmp(name)).ok()?;
    specs().get(found)
}

impl CommandSpec {
    /// Whether it may store a result under a key that [`Self::keys`] does not tell.
    pub fn stores(&self) -> bool {
        matches!(self.rule, Rule::Store | Rule::SortStore)
    }

    /// Where the keys of a record are among its words, the one behind `STORE` too. Ascending.
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
