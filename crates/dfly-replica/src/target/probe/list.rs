//! What a run asks of a target: one list of commands, each with what it is for and what is done without it.

use dfly_translate::Ability;

use super::needs::{Instead, Need, Scope, TargetCommand, TargetKind};

const OWN: &str = "for the positions and the other keys of this tool";
const VALUES: &str = "to write values";
const NODES: &str = "to find the nodes of the cluster";
const RECORDS: &str = "for records of this command";
const MEMBERS: &str = "for expiries of members and fields";
const FIELDS: &str = "for expiries of fields";
const COMPARE: &str = "to compare with the source";

const fn any(request: &'static str, purpose: &'static str) -> Need {
    Need::new(request, purpose)
}

const fn server(request: &'static str, purpose: &'static str) -> Need {
    Need::new(request, purpose).of(Scope::Server)
}

const fn cluster(request: &'static str, purpose: &'static str) -> Need {
    Need::new(request, purpose).of(Scope::Cluster)
}

/// A command that records become.
const fn record(request: &'static str) -> Need {
    Need::new(request, RECORDS).or(Instead::Refetch)
}

/// A command that a script calls to carry out records.
const fn script(request: &'static str, purpose: &'static str) -> Need {
    Need::new(request, purpose).or(Instead::Refetch)
}

/// A command of a target that can do this.
const fn able(ability: Ability, request: &'static str, purpose: &'static str) -> Need {
    Need::new(request, purpose).with(ability).or(Instead::DoWithout(ability))
}

const fn document(request: &'static str) -> Need {
    record(request).with(Ability::Json)
}

const fn compare(request: &'static str) -> Need {
    Need::new(request, COMPARE).of(Scope::Comparison).or(Instead::CompareOtherwise)
}

/// Everything, in the order of messages. The words of a request are arguments that do nothing; KEY is a key of this tool.
const NEEDS: &[Need] = &[
    any("INFO server", "to tell whether the server was restarted"),
    any("PING", "to keep connections open"),
    server("SELECT 0", "to write to a database"),
    any("EVAL return KEY 1 KEY", "to check the position inside each transaction"),
    any("SCAN 0", "to find keys that the source does not have"),
    any("DBSIZE", "to count keys"),
    any("TIME", "to compare clocks"),
    any("PTTL KEY", "to learn expiries"),
    any("EXISTS KEY", OWN),
    any("DEL KEY", OWN),
    any("UNLINK KEY", "to remove keys that the source does not have"),
    any("HSET KEY f v", OWN),
    any("HGET KEY f", OWN),
    any("HMGET KEY f", OWN),
    any("HGETALL KEY", OWN),
    any("HDEL KEY f", OWN),
    any("HEXISTS KEY f", OWN),
    any("SSCAN KEY 0", OWN),
    any("SET KEY v", VALUES),
    any("GET KEY", OWN),
    any("SADD KEY m", VALUES),
    any("SREM KEY m", OWN),
    any("SMEMBERS KEY", OWN),
    any("ZADD KEY 1 m", VALUES),
    any("ZRANGE KEY 0 1", OWN),
    any("RPUSH KEY v", VALUES),
    any("LRANGE KEY 0 1", OWN),
    any("APPEND KEY v", VALUES),
    any("XADD KEY * f v", VALUES),
    any("XGROUP CREATE KEY g 0", VALUES),
    any("XSETID KEY 1-1", VALUES),
    any("XGROUP CREATECONSUMER KEY g c", VALUES),
    any("XGROUP DESTROY KEY g", VALUES),
    any("XCLAIM KEY g c 0 1-1", VALUES),
    any("XRANGE KEY - +", "to write large streams"),
    any("XDEL KEY 1-1", "to write large streams"),
    any("RENAME KEY KEY", "to put a large value in its place"),
    any("PEXPIREAT KEY 1", "to write expiries"),
    any("TYPE KEY", MEMBERS),
    any("ZRANGEBYSCORE KEY 0 1", MEMBERS),
    any("ZREM KEY m", MEMBERS),
    any("RESTORE KEY 0 v", "to write values as payloads").or(Instead::WriteCommands),
    any("MSET KEY v", "to write many strings at once").or(Instead::WriteOneByOne),
    any("FLUSHALL KEY", "to empty the target as the source is emptied").or(Instead::RemoveKeys),
    server("FLUSHDB KEY", "to empty a database as the source's is emptied").or(Instead::RemoveKeys),
    server("CLIENT SETNAME n", "to name connections").or(Instead::StayUnnamed),
    server("CLIENT ID", "to tell connections apart").or(Instead::LeaveConnections),
    any("CLIENT LIST", "to find connections of earlier sessions").or(Instead::LeaveConnections),
    server("CLIENT KILL ID 0", "to close connections of earlier sessions").or(Instead::LeaveConnections),
    cluster("CLIENT SETNAME n", "to name connections"),
    cluster("CLIENT ID", "to tell connections apart"),
    cluster("CLIENT KILL ID 0", "to close connections that broke"),
    cluster("CLUSTER SHARDS", NODES),
    cluster("CLUSTER NODES", NODES),
    cluster("CLUSTER GETKEYSINSLOT 0 1", "to find keys of slots that move"),
    cluster("ASKING", "to follow slots that move"),
    any("WAIT 0 0", "to wait for the replicas before a checkpoint is stored").of(Scope::WaitingCluster),
    any("COMMAND INFO GET", "to find out which modules it has").or(Instead::WithoutModules),
    record("LPUSH KEY v"),
    record("LPUSHX KEY v"),
    record("RPUSHX KEY v"),
    record("LINSERT KEY BEFORE p v"),
    record("LMOVE KEY KEY LEFT RIGHT"),
    record("RPOPLPUSH KEY KEY"),
    record("LPOP KEY"),
    record("RPOP KEY"),
    record("LREM KEY 0 v"),
    record("LSET KEY 0 v"),
    record("LTRIM KEY 0 1"),
    record("PERSIST KEY"),
    record("PEXPIRE KEY 1"),
    record("EXPIRE KEY 1"),
    record("EXPIREAT KEY 1"),
    record("PFADD KEY v"),
    record("PFMERGE KEY KEY"),
    record("SETEX KEY 1 v"),
    record("PSETEX KEY 1 v"),
    record("SETNX KEY v"),
    record("MSETNX KEY v"),
    record("GETSET KEY v"),
    record("GETDEL KEY"),
    record("SETBIT KEY 0 1"),
    record("SETRANGE KEY 0 v"),
    record("BITFIELD KEY SET u8 0 1"),
    record("INCR KEY"),
    record("INCRBY KEY 1"),
    record("DECR KEY"),
    record("DECRBY KEY 1"),
    record("HMSET KEY f v"),
    record("HSETNX KEY f v"),
    record("HINCRBY KEY f 1"),
    record("SMOVE KEY KEY m"),
    record("SPOP KEY"),
    record("SORT KEY STORE KEY"),
    record("GEOADD KEY 1 1 m"),
    record("GEORADIUS KEY 1 1 1 m STORE KEY"),
    record("GEORADIUSBYMEMBER KEY m 1 m STORE KEY"),
    record("ZINCRBY KEY 1 m"),
    record("ZPOPMAX KEY"),
    record("ZPOPMIN KEY"),
    record("ZREMRANGEBYLEX KEY - +"),
    record("ZREMRANGEBYRANK KEY 0 1"),
    record("ZREMRANGEBYSCORE KEY 0 1"),
    record("ZDIFFSTORE KEY 1 KEY"),
    record("ZINTERSTORE KEY 1 KEY"),
    record("ZUNIONSTORE KEY 1 KEY"),
    record("ZRANGESTORE KEY KEY 0 1"),
    record("XACK KEY g 1-1"),
    record("XAUTOCLAIM KEY g c 0 0"),
    record("XTRIM KEY MAXLEN 1"),
    record("XGROUP DELCONSUMER KEY g c"),
    record("XGROUP SETID KEY g 1-1"),
    record("MOVE KEY 1").of(Scope::Server),
    script("LPOS KEY v", "to carry out LREM as the source does"),
    script("LLEN KEY", "to carry out LREM as the source does"),
    script("ZCARD KEY", "to carry out ZADD with GT or LT as the source does"),
    script("ZSCORE KEY m", "to carry out ZADD with GT or LT, and for expiries of members"),
    script("RENAMENX KEY KEY", "to carry out RENAMENX"),
    script("SISMEMBER KEY m", MEMBERS),
    able(Ability::FieldTtl, "HPEXPIREAT KEY 1 FIELDS 1 f", FIELDS),
    able(Ability::FieldTtl, "HPEXPIRETIME KEY FIELDS 1 f", FIELDS),
    able(Ability::FieldTtl, "HPERSIST KEY FIELDS 1 f", FIELDS),
    able(Ability::Functions, "FUNCTION LOAD v", "to copy functions"),
    able(Ability::Json, "JSON.SET KEY $ 1", VALUES),
    document("JSON.ARRAPPEND KEY $ 1"),
    document("JSON.ARRINSERT KEY $ 0 1"),
    document("JSON.ARRPOP KEY"),
    document("JSON.ARRTRIM KEY $ 0 1"),
    document("JSON.CLEAR KEY"),
    document("JSON.DEL KEY"),
    document("JSON.FORGET KEY"),
    document("JSON.MERGE KEY $ 1"),
    document("JSON.MSET KEY $ 1"),
    document("JSON.NUMINCRBY KEY $ 1"),
    document("JSON.NUMMULTBY KEY $ 1"),
    document("JSON.STRAPPEND KEY $ 1"),
    document("JSON.TOGGLE KEY $"),
    able(Ability::Bloom, "BF.ADD KEY m", RECORDS),
    able(Ability::Bloom, "BF.MADD KEY m", RECORDS),
    able(Ability::Bloom, "BF.RESERVE KEY 0.1 100", RECORDS),
    able(Ability::Cuckoo, "CF.ADD KEY m", RECORDS),
    able(Ability::Cuckoo, "CF.ADDNX KEY m", RECORDS),
    able(Ability::Cuckoo, "CF.COMPACT KEY", RECORDS),
    able(Ability::Cuckoo, "CF.DEL KEY m", RECORDS),
    able(Ability::Cuckoo, "CF.INSERT KEY ITEMS m", RECORDS),
    able(Ability::Cuckoo, "CF.INSERTNX KEY ITEMS m", RECORDS),
    able(Ability::Cuckoo, "CF.RESERVE KEY 100", RECORDS),
    able(Ability::CountMin, "CMS.INCRBY KEY m 1", RECORDS),
    able(Ability::CountMin, "CMS.INITBYDIM KEY 10 10", RECORDS),
    able(Ability::CountMin, "CMS.INITBYPROB KEY 0.1 0.1", RECORDS),
    able(Ability::CountMin, "CMS.MERGE KEY 1 KEY", RECORDS),
    able(Ability::TopK, "TOPK.ADD KEY m", RECORDS),
    able(Ability::TopK, "TOPK.INCRBY KEY m 1", RECORDS),
    able(Ability::TopK, "TOPK.RESERVE KEY 10", RECORDS),
    compare("DUMP KEY"),
    compare("STRLEN KEY"),
    compare("GETRANGE KEY 0 1"),
    compare("MGET KEY"),
    compare("LLEN KEY"),
    compare("SCARD KEY"),
    compare("SMISMEMBER KEY m"),
    compare("HLEN KEY"),
    compare("HSCAN KEY 0"),
    compare("ZCARD KEY"),
    compare("ZSCAN KEY 0"),
    compare("ZMSCORE KEY m"),
    compare("XLEN KEY"),
    compare("XPENDING KEY g"),
    compare("XINFO STREAM KEY"),
    compare("XINFO GROUPS KEY"),
    compare("XINFO CONSUMERS KEY g"),
    compare("MEMORY USAGE KEY"),
    compare("JSON.GET KEY").with(Ability::Json),
];

/// The commands that a target is sent.
pub fn target_commands() -> impl Iterator<Item = TargetCommand> {
    [Need::transactions(), Need::exec(), Need::watch()].into_iter().chain(NEEDS).map(TargetCommand::from)
}

/// What is asked of such a target.
pub(super) fn needs(kind: TargetKind) -> impl Iterator<Item = &'static Need> {
    NEEDS.iter().filter(move |need| need.is_for(&kind))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use dfly_rdb::Family;
    use dfly_rdb::payload::TargetFormat;
    use dfly_translate::{CommandSpec, Target, called_by, called_for_values, specs};
    use redis_resp::{Reply, ServerError};

    use super::*;
    use crate::target::probe::needs::{Lack, Lacks};

    const SERVER: TargetKind = TargetKind { is_cluster: false, waits: true, compares: true, abilities: None };
    const CLUSTER: TargetKind = TargetKind { is_cluster: true, ..SERVER };

    fn refused(line: &str) -> Reply {
        Reply::Error(ServerError::parse(line.as_bytes()))
    }

    fn need(kind: TargetKind, request: &str) -> &'static Need {
        needs(kind).find(|need| need.name().starts_with(request)).unwrap()
    }

    /// C14: what is lacking, and what is done without.
    #[test]
    fn answers_of_servers() {
        let mut lacks = Lacks::default();
        let forbidden = refused("NOPERM this user has no permissions to run the 'eval' command");
        lacks.hear(need(SERVER, "EVAL"), &forbidden);
        lacks.hear(
            need(SERVER, "SCAN"),
            &refused("ERR unknown command 'SCAN', with args beginning with: '0' "),
        );
        lacks.hear(need(SERVER, "RESTORE"), &refused("NOPERM this user has no permissions"));
        for other in ["OOM x", "MOVED 5 a:1", "ERR WATCH inside MULTI is not allowed", "READONLY x"] {
            lacks.hear(Need::watch(), &refused(other));
        }
        let texts: Vec<String> = lacks.needed.iter().map(ToString::to_string).collect();
        let expected = [
            "EVAL is forbidden (to check the position inside each transaction)",
            "SCAN is unknown (to find keys that the source does not have)",
        ];
        assert_eq!(texts, expected);
        assert!(lacks.has(Instead::WriteCommands) && !lacks.has(Instead::RemoveKeys));
    }

    #[test]
    fn a_user_without_the_keys_of_this_tool() {
        let mut lacks = Lacks::default();
        let line = "NOPERM this user has no permissions to access one of the keys used as arguments";
        needs(SERVER).for_each(|need| lacks.hear(need, &refused(line)));
        assert_eq!((lacks.needed, lacks.replaced), (vec![Lack::Keys], Vec::new()));
    }

    #[test]
    fn each_kind_of_target_needs_its_own() {
        let names = |kind| needs(kind).map(Need::name).collect::<Vec<_>>();
        assert!(names(SERVER).iter().all(|name| name != "WAIT" && name != "CLUSTER NODES"));
        assert!(names(CLUSTER).iter().all(|name| name != "WATCH" && name != "SELECT"));
        assert!(names(CLUSTER).contains(&"WAIT".to_owned()));
        assert!(!names(TargetKind { waits: false, ..CLUSTER }).contains(&"WAIT".to_owned()));
        assert_eq!(need(SERVER, "EVAL").words("k"), ["EVAL", "return", "k", "1", "k"]);
    }

    /// A target that can do everything.
    fn able() -> TargetKind {
        let plain = Target::plain(TargetFormat { family: Family::Redis, version: (8, 0) });
        let able = Ability::OF_MODULES.iter().fold(plain, |target, (ability, _)| target.with(*ability));
        TargetKind { abilities: Some(able), ..SERVER }
    }

    /// The first words of everything that is asked.
    fn asked(kind: TargetKind) -> BTreeSet<String> {
        needs(kind).map(|need| need.words("k")[0].to_owned()).collect()
    }

    fn missing<'a>(used: impl IntoIterator<Item = &'a str>, asked: &BTreeSet<String>) -> Vec<&'a str> {
        used.into_iter().filter(|name| !asked.contains(*name)).collect()
    }

    /// Whatever a record or a value becomes is asked about, what their scripts call among it.
    #[test]
    fn commands_of_records_and_values() {
        let used: BTreeSet<&str> = specs().iter().flat_map(CommandSpec::commands).collect();
        assert!(used.len() > 80, "{used:?}");
        assert_eq!(missing(used, &asked(able())), [""; 0]);
        assert_eq!(missing(called_for_values(), &asked(SERVER)), [""; 0]);
    }

    fn files(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.is_dir() {
                true => files(&entry, found),
                false => found.push(entry),
            }
        }
    }

    /// Whatever a script of this crate calls is asked about, and there is nothing instead.
    #[test]
    fn commands_of_own_scripts() {
        let mut sources = Vec::new();
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut sources);
        let texts: String = sources.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        let called: BTreeSet<&str> = texts
            .split_inclusive("redis.call('")
            .skip(1)
            .filter_map(|text| text.split_once('\'').map(|(name, _)| name))
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_uppercase()))
            .collect();
        assert!(called.len() > 8 && called_by("redis.call('GET',k)").len() == 1, "{called:?}");
        let needed: BTreeSet<String> =
            needs(SERVER).filter(|need| need.instead().is_none()).map(Need::name).collect();
        assert_eq!(missing(called, &needed), [""; 0]);
    }

    /// Each command is asked about once for each thing that is done without it.
    #[test]
    fn nothing_is_asked_twice() {
        let mut seen = BTreeSet::new();
        for need in needs(able()) {
            let key = (need.name(), need.instead(), need.words("k").len());
            assert!(seen.insert(key), "{need:?}");
        }
    }
}
