//! Every command of the table with several keys, from the journal's bytes to what a cluster holds: its keys in different
//! slots, in one slot, and some of both. A single Redis that carries out the same commands says what is right.

use std::collections::BTreeSet;

use dfly_testkit::{MasterOptions, Op, Script, ScriptedMaster, dumps};
use dfly_translate::{Rule, specs};

use super::{cluster, user_keys};
use crate::run::{redis, user_keys as keys_of};
use crate::workload::{Run, assert_equal, patient};

/// What is there before, and the record.
const CASES: [(&str, &str); 26] = [
    ("SET a 1; SET b 2; RPUSH c x; SET e 3", "DEL a b c d"),
    ("SET a 1; SET b 2; SET e 3", "UNLINK a b d"),
    ("SET a 1; RPUSH b x", "MSET a 2 b 3 c 4"),
    ("SET z 1", "MSETNX a 2 b 3 c 4"),
    ("SET a 1; SET b 2", "MSETNX a 2 c 3"),
    ("SET a 1 PXAT 4000000000000; RPUSH b x", "RENAME a b"),
    ("HSET a f v", "RENAME a b"),
    ("SET a 1", "RENAMENX a b"),
    ("SET a 1; SET b 2", "RENAMENX a b"),
    ("RPUSH a 1 2 3; RPUSH b x", "LMOVE a b LEFT RIGHT"),
    ("RPUSH a 1", "LMOVE a b LEFT RIGHT"),
    ("RPUSH a 1 2 3; RPUSH b x", "RPOPLPUSH a b"),
    ("SADD a 1 2; SADD b 3", "SMOVE a b 1"),
    ("SADD a 1; SADD b 3", "SMOVE a b 9"),
    ("RPUSH a 3 1 2; SET b x", "SORT a STORE b"),
    ("GEOADD a 13.361389 38.115556 P 15.087269 37.502669 C", "GEORADIUS a 15 37 200 km STORE b"),
    ("ZADD a 1 x 2 y 3 z; SET b x", "ZRANGESTORE b a 0 1"),
    ("ZADD a 1 x 2 y; ZADD b 5 y 6 z; SET c x", "ZUNIONSTORE c 2 a b WEIGHTS 1 2"),
    ("ZADD a 1 x 2 y; ZADD b 5 y 6 z", "ZINTERSTORE c 2 a b"),
    ("ZADD a 1 x 2 y; ZADD b 5 y 6 z", "ZDIFFSTORE c 2 a b"),
    ("PFADD a x y; PFADD b y z", "PFMERGE c a b"),
    ("PFADD a x y; PFADD b y z", "PFCOUNT a b"),
    ("RPUSH b 1 2; RPUSH c 3", "LMPOP 3 a b c LEFT COUNT 2"),
    ("ZADD b 1 x 2 y; ZADD c 3 z", "ZMPOP 3 a b c MIN"),
    ("GEOADD a 13.361389 38.115556 P 15.087269 37.502669 C", "GEORADIUSBYMEMBER a P 200 km STORE b"),
    ("SET a 1", "STICK a b"),
];

/// How the letters of a case become keys.
const NAMES: [fn(&str) -> String; 3] = [
    str::to_owned,
    |key| format!("{{t}}{key}"),
    |key| if key < "c" { format!("{{t}}{key}") } else { key.to_owned() },
];

fn named(line: &str, name: fn(&str) -> String) -> String {
    let is_key = |word: &str| word.len() == 1 && ("a"..="e").contains(&word);
    line.split(' ')
        .map(|word| if is_key(word) { name(word) } else { word.to_owned() })
        .collect::<Vec<_>>()
        .join(" ")
}

/// Whether the command has several keys on a Redis without modules.
fn has_many_keys(rule: Rule, is_many: bool) -> bool {
    let is_module = matches!(rule, Rule::Json | Rule::CmsMerge | Rule::Sketch | Rule::Lost(_));
    (is_many || matches!(rule, Rule::Store | Rule::SortStore | Rule::StoreAll)) && !is_module
}

#[test]
fn no_command_of_the_table_is_missing() {
    let tried: BTreeSet<&str> = CASES.iter().filter_map(|(_, record)| record.split(' ').next()).collect();
    let missing: Vec<&str> = specs()
        .iter()
        .filter(|spec| has_many_keys(spec.rule, spec.keys.is_many()) && !tried.contains(spec.name))
        .map(|spec| spec.name)
        .collect();
    assert_eq!(missing, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_slots_they_lie_in() {
    let (mut cluster, redis) = (cluster(), redis());
    let mut client = redis.client().unwrap();
    for name in NAMES {
        for (before, record) in CASES {
            let (before, record) = (named(before, name), named(record, name));
            client.expect(&[b"FLUSHALL"]).unwrap();
            super::empty(&cluster);
            let lines =
                before.split("; ").chain(Some(record.as_str()).filter(|line| !line.starts_with("STICK")));
            for line in lines {
                client.expect(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>()).unwrap();
            }
            let script = before
                .split("; ")
                .chain([record.as_str()])
                .fold(Script::new(1), |script, line| script.stable(Op::line(line).raw()));
            let options = MasterOptions {
                values: Some(dumps(&mut client).unwrap().into()),
                ..MasterOptions::default()
            };
            let master = ScriptedMaster::start(script, options).await.unwrap();
            let run = Run::go_on_with(master, cluster, patient);
            println!("{before} > {record}");
            cluster = run.ends_with(|_, cluster| assert_equal(&keys_of(&redis), &user_keys(cluster))).await.1;
        }
    }
}
