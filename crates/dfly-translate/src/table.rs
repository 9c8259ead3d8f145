//! What happens to each command that a Dragonfly from v1.4 to v1.40 can journal (protocol section 3.8; the write
//! commands of the server's own command list). The only place that knows a command by its name.

use redis_slots::KeySpec;

use crate::policy::Loss;

/// One command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandSpec {
    /// The name as the journal has it.
    pub name: &'static str,
    /// The least number of arguments, the name counted.
    pub least_args: usize,
    /// Where its keys are.
    pub keys: KeySpec,
    /// What becomes of it.
    pub rule: Rule,
}

/// How a record becomes commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// The same command with the same arguments.
    Verbatim,
    /// The same, unless the master cut it down to one key: then it cannot be carried out.
    Store,
    /// SET without the options that only Dragonfly has.
    Set,
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
    /// RESTORE of a payload that is read and written anew for the target.
    Restore,
    /// Conditional delete; only without a condition.
    DelEx,
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
    SPECS
}

/// The entry for a command as the journal names it.
#[inline]
pub fn lookup(name: &[u8]) -> Option<&'static CommandSpec> {
    let found = SPECS.binary_search_by(|spec| spec.name.as_bytes().cmp(name)).ok()?;
    SPECS.get(found)
}

const fn spec(name: &'static str, least_args: usize, keys: KeySpec, rule: Rule) -> CommandSpec {
    CommandSpec { name, least_args, keys, rule }
}

const FIRST: KeySpec = KeySpec::FIRST;
const TWO: KeySpec = KeySpec::FIRST_TWO;
const ALL: KeySpec = KeySpec::ALL;
const NONE: KeySpec = KeySpec::NONE;
const PAIRS: KeySpec = KeySpec::range(1, -1, 2);
const TRIPLES: KeySpec = KeySpec::range(1, -1, 3);
const SECOND: KeySpec = KeySpec::range(2, 2, 1);

const VERBATIM: Rule = Rule::Verbatim;
const BLOOM: Rule = Rule::Lost(Loss::Bloom);
const CUCKOO: Rule = Rule::Lost(Loss::Cuckoo);
const SKETCH: Rule = Rule::Lost(Loss::CountMinSketch);
const TOPK: Rule = Rule::Lost(Loss::TopK);
const JSON: Rule = Rule::Lost(Loss::Json);
const SEARCH: Rule = Rule::Lost(Loss::Search);

#[rustfmt::skip]
const SPECS: &[CommandSpec] = &[
    spec("APPEND", 3, FIRST, VERBATIM),
    spec("BF.ADD", 2, FIRST, BLOOM),
    spec("BF.LOADCHUNK", 2, FIRST, BLOOM),
    spec("BF.MADD", 2, FIRST, BLOOM),
    spec("BF.RESERVE", 2, FIRST, BLOOM),
    spec("BITFIELD", 2, FIRST, VERBATIM),
    spec("CF.ADD", 2, FIRST, CUCKOO),
    spec("CF.ADDNX", 2, FIRST, CUCKOO),
    spec("CF.COMPACT", 2, FIRST, CUCKOO),
    spec("CF.DEL", 2, FIRST, CUCKOO),
    spec("CF.INSERT", 2, FIRST, CUCKOO),
    spec("CF.INSERTNX", 2, FIRST, CUCKOO),
    spec("CF.RESERVE", 2, FIRST, CUCKOO),
    spec("CL.THROTTLE", 5, FIRST, Rule::Lost(Loss::Throttle)),
    spec("CMS.INCRBY", 2, FIRST, SKETCH),
    spec("CMS.INITBYDIM", 2, FIRST, SKETCH),
    spec("CMS.INITBYPROB", 2, FIRST, SKETCH),
    spec("CMS.MERGE", 2, FIRST, SKETCH),
    spec("DECR", 2, FIRST, VERBATIM),
    spec("DECRBY", 3, FIRST, VERBATIM),
    spec("DEL", 2, ALL, VERBATIM),
    spec("DELEX", 2, FIRST, Rule::DelEx),
    spec("DFLYCLUSTER", 2, NONE, Rule::DflyCluster),
    spec("EXPIRE", 3, FIRST, VERBATIM),
    spec("EXPIREAT", 3, FIRST, VERBATIM),
    spec("FIELDEXPIRE", 4, FIRST, Rule::FieldExpire),
    spec("FLUSHALL", 1, NONE, Rule::FlushAll),
    spec("FLUSHDB", 1, NONE, Rule::FlushDb),
    spec("FT.ALTER", 2, NONE, SEARCH),
    spec("FT.CREATE", 2, NONE, SEARCH),
    spec("FT.DROPINDEX", 2, NONE, SEARCH),
    spec("FT.SYNUPDATE", 2, NONE, SEARCH),
    spec("GEOADD", 5, FIRST, VERBATIM),
    spec("GEORADIUS", 2, FIRST, Rule::Store),
    spec("GEORADIUSBYMEMBER", 2, FIRST, Rule::Store),
    spec("GETDEL", 2, FIRST, VERBATIM),
    spec("GETSET", 3, FIRST, VERBATIM),
    spec("HDEL", 3, FIRST, VERBATIM),
    spec("HEXPIRE", 6, FIRST, Rule::HExpire),
    spec("HGETEX", 4, FIRST, Rule::HGetEx),
    spec("HINCRBY", 4, FIRST, VERBATIM),
    spec("HINCRBYFLOAT", 4, FIRST, Rule::HIncrByFloat),
    spec("HMSET", 4, FIRST, VERBATIM),
    spec("HSET", 4, FIRST, VERBATIM),
    spec("HSETEX", 5, FIRST, Rule::HSetEx),
    spec("HSETNX", 4, FIRST, VERBATIM),
    spec("INCR", 2, FIRST, VERBATIM),
    spec("INCRBY", 3, FIRST, VERBATIM),
    spec("INCRBYFLOAT", 3, FIRST, Rule::IncrByFloat),
    spec("JSON.ARRAPPEND", 2, FIRST, JSON),
    spec("JSON.ARRINSERT", 2, FIRST, JSON),
    spec("JSON.ARRPOP", 2, FIRST, JSON),
    spec("JSON.ARRTRIM", 2, FIRST, JSON),
    spec("JSON.CLEAR", 2, FIRST, JSON),
    spec("JSON.DEL", 2, FIRST, JSON),
    spec("JSON.FORGET", 2, FIRST, JSON),
    spec("JSON.MERGE", 2, FIRST, JSON),
    spec("JSON.MSET", 4, TRIPLES, JSON),
    spec("JSON.NUMINCRBY", 2, FIRST, JSON),
    spec("JSON.NUMMULTBY", 2, FIRST, JSON),
    spec("JSON.SET", 2, FIRST, JSON),
    spec("JSON.STRAPPEND", 2, FIRST, JSON),
    spec("JSON.TOGGLE", 2, FIRST, JSON),
    spec("LINSERT", 5, FIRST, VERBATIM),
    spec("LMOVE", 5, TWO, VERBATIM),
    spec("LPOP", 2, FIRST, VERBATIM),
    spec("LPUSH", 3, FIRST, VERBATIM),
    spec("LPUSHX", 3, FIRST, VERBATIM),
    spec("LREM", 4, FIRST, VERBATIM),
    spec("LSET", 4, FIRST, VERBATIM),
    spec("LTRIM", 4, FIRST, VERBATIM),
    spec("MOVE", 3, FIRST, VERBATIM),
    spec("MSET", 3, PAIRS, VERBATIM),
    spec("MSETNX", 3, PAIRS, VERBATIM),
    spec("PERSIST", 2, FIRST, VERBATIM),
    spec("PEXPIRE", 3, FIRST, VERBATIM),
    spec("PEXPIREAT", 3, FIRST, VERBATIM),
    spec("PFADD", 3, FIRST, VERBATIM),
    spec("PING", 1, NONE, Rule::Nothing),
    spec("PREPEND", 3, FIRST, Rule::Prepend),
    spec("PSETEX", 4, FIRST, VERBATIM),
    spec("RENAME", 3, TWO, Rule::Rename),
    spec("RENAMENX", 3, TWO, Rule::RenameNx),
    spec("RESTORE", 4, FIRST, Rule::Restore),
    spec("RPOP", 2, FIRST, VERBATIM),
    spec("RPOPLPUSH", 3, TWO, VERBATIM),
    spec("RPUSH", 3, FIRST, VERBATIM),
    spec("RPUSHX", 3, FIRST, VERBATIM),
    spec("SADD", 3, FIRST, VERBATIM),
    spec("SADDEX", 4, FIRST, Rule::SAddEx),
    spec("SCRIPT", 2, NONE, Rule::Nothing),
    spec("SET", 3, FIRST, Rule::Set),
    spec("SETBIT", 4, FIRST, VERBATIM),
    spec("SETEX", 4, FIRST, VERBATIM),
    spec("SETNX", 3, FIRST, VERBATIM),
    spec("SETRANGE", 4, FIRST, VERBATIM),
    spec("SHRINK", 2, FIRST, Rule::Nothing),
    spec("SMOVE", 4, TWO, VERBATIM),
    spec("SORT", 2, FIRST, Rule::Store),
    spec("SPOP", 2, FIRST, VERBATIM),
    spec("SREM", 3, FIRST, VERBATIM),
    spec("STICK", 2, ALL, Rule::Stick),
    spec("TOPK.ADD", 2, FIRST, TOPK),
    spec("TOPK.INCRBY", 2, FIRST, TOPK),
    spec("TOPK.RESERVE", 2, FIRST, TOPK),
    spec("UNLINK", 2, ALL, VERBATIM),
    spec("XACK", 4, FIRST, VERBATIM),
    spec("XADD", 5, FIRST, VERBATIM),
    spec("XAUTOCLAIM", 6, FIRST, VERBATIM),
    spec("XCLAIM", 6, FIRST, VERBATIM),
    spec("XDEL", 3, FIRST, VERBATIM),
    spec("XGROUP", 4, SECOND, VERBATIM),
    spec("XSETID", 3, FIRST, VERBATIM),
    spec("XTRIM", 4, FIRST, VERBATIM),
    spec("ZADD", 4, FIRST, VERBATIM),
    spec("ZDIFFSTORE", 2, FIRST, Rule::Store),
    spec("ZINCRBY", 4, FIRST, VERBATIM),
    spec("ZINTERSTORE", 2, FIRST, Rule::Store),
    spec("ZPOPMAX", 2, FIRST, VERBATIM),
    spec("ZPOPMIN", 2, FIRST, VERBATIM),
    spec("ZRANGESTORE", 2, FIRST, Rule::Store),
    spec("ZREM", 3, FIRST, VERBATIM),
    spec("ZREMRANGEBYLEX", 4, FIRST, VERBATIM),
    spec("ZREMRANGEBYRANK", 4, FIRST, VERBATIM),
    spec("ZREMRANGEBYSCORE", 4, FIRST, VERBATIM),
    spec("ZUNIONSTORE", 2, FIRST, Rule::Store),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_found() {
        assert!(SPECS.is_sorted_by(|a, b| a.name < b.name));
        for spec in SPECS {
            assert_eq!(lookup(spec.name.as_bytes()), Some(spec));
        }
        assert_eq!(lookup(b"GET"), None);
        assert_eq!(lookup(b"set"), None, "the journal writes names in upper case");
    }

    /// P8: keys come from the table.
    #[test]
    fn keys() {
        let keys = |line: &str| {
            let args: Vec<&str> = line.split(' ').collect();
            let spec = lookup(args[0].as_bytes()).unwrap();
            spec.keys.keys(&args).map(|key| String::from_utf8_lossy(key).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(keys("XGROUP CREATE s g 0"), ["s"]);
        assert_eq!(keys("MSET a 1 b 2"), ["a", "b"]);
        assert_eq!(keys("JSON.MSET a $ 1 b $ 2"), ["a", "b"]);
        assert_eq!(keys("RENAME a b"), ["a", "b"]);
    }
}
