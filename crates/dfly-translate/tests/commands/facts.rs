//! Compares the facts about each command with what its encoded form says.

use std::collections::BTreeSet;

use dfly_translate::{CommandFacts, CommandKind, Policy, ReservedNames, Rules, lookup, specs};
use dfly_wire::DbIndex;
use redis_resp::{CommandBatch, EncodedCommand, arguments};

use crate::journal::{Flow, NOW, record, redis, with_modules};

/// Checks every command of a batch, given that database 0 was selected before.
pub(crate) fn check(batch: &CommandBatch, is_cluster: bool) {
    let mut db = DbIndex(0);
    for command in batch.iter() {
        let words: Vec<&[u8]> = arguments(command.wire()).collect();
        if let [b"SELECT", to] = words[..] {
            db = DbIndex(std::str::from_utf8(to).unwrap().parse().unwrap());
        }
        check_one(command, &words, db);
        assert!(!is_cluster || command.keys().next().is_some(), "{}", command.describe());
    }
}

fn check_one(command: EncodedCommand<'_>, words: &[&[u8]], db: DbIndex) {
    let (facts, shown) = (CommandFacts::of(command), crate::journal::shown(words));
    let keys: Vec<&[u8]> = command.keys().collect();
    if words[0] != b"FUNCTION" {
        assert_eq!(facts.db, db, "{shown}");
    }
    assert_eq!(facts.idempotent, sets_cells(words), "{shown}");
    if let Some(parsed) = parsed_keys(words) {
        assert_eq!(keys, parsed, "{shown}");
    }
    let is_side_key = !keys.is_empty() && keys.iter().all(|key| ReservedNames::is_reserved(key));
    let kind = match words {
        [b"SELECT", ..] => CommandKind::Control,
        [b"EVAL", script, ..] if script.windows(6).any(|part| part == b"ipairs") => CommandKind::Sweep,
        _ if is_side_key => CommandKind::SideKey,
        [b"RESTORE", ..] => CommandKind::Value,
        // Records and values have other commands in common.
        _ if facts.kind == CommandKind::Value => CommandKind::Value,
        _ => CommandKind::Data,
    };
    assert_eq!(facts.kind, kind, "{shown}");
}

/// The keys of a command, if the table or the command itself says where they are.
fn parsed_keys<'a>(words: &[&'a [u8]]) -> Option<Vec<&'a [u8]>> {
    if let [b"EVAL", _, count, rest @ ..] = words {
        let count: usize = std::str::from_utf8(count).unwrap().parse().unwrap();
        return Some(rest[..count].to_vec());
    }
    // In a command that only the target has, the key comes first.
    let Some(spec) = lookup(words[0]) else {
        return (words[0] == b"HPEXPIREAT").then(|| vec![words[1]]);
    };
    Some(spec.key_positions(words).into_iter().map(|at| words[at]).collect())
}

/// Whether a command only sets cells (a key, a field, a member, a bit) to what it names, whatever was there before.
fn sets_cells(words: &[&[u8]]) -> bool {
    let is = |word: Option<&&[u8]>, name: &[u8]| word.is_some_and(|word| word.eq_ignore_ascii_case(name));
    let has = |name: &[u8]| (4..words.len()).any(|at| is(words.get(at), name));
    match words[0] {
        b"DEL" | b"UNLINK" | b"SADD" | b"HSET" | b"PERSIST" | b"SETBIT" | b"PFADD" | b"MSET" => true,
        b"SET" => {
            let is_timed = is(words.get(3), b"PXAT") || is(words.get(3), b"EXAT");
            words.len() == 3 || (words.len() == 5 && is_timed)
        }
        b"ZADD" => {
            let conditions = [&b"NX"[..], b"XX", b"GT", b"LT", b"CH", b"INCR"];
            words.len() > 2 && !conditions.iter().any(|name| is(words.get(2), name))
        }
        b"RESTORE" => has(b"REPLACE") && (words[2] == b"0" || has(b"ABSTTL")),
        _ => false,
    }
}

/// Every command of the table, with numbers and with names as arguments, for each kind of target.
#[test]
fn every_command_of_the_table() {
    for target in [redis(6, 2), redis(7, 0), with_modules(redis(7, 4)), redis(7, 0).in_cluster()] {
        let db = u32::from(!target.is_cluster()) * 3;
        for spec in specs() {
            for names in
                [&[&b"1"[..], b"1", b"1", b"1", b"1", b"1"][..], &[b"a", b"1", b"{a}", b"2", b"{a}b", b"3"]]
            {
                let args: Vec<&[u8]> =
                    [spec.name.as_bytes()].into_iter().chain(names.iter().copied()).collect();
                let mut flow = Flow::new(target, Rules { refetches: true, ..Rules::from(Policy::Skip) });
                // An error does not matter here: only what was written is checked.
                flow.apply_at(&record(db, 0, &args), NOW).ok();
                flow.lines();
            }
        }
    }
}

#[test]
fn reserved_names_are_those_of_the_task() {
    let names = ReservedNames::new(&"blue".parse().unwrap());
    let rules = Rules { names, ..Rules::from(Policy::Skip) };
    let mut flow = Flow::new(redis(7, 0), rules);
    for line in ["SADDEX s 60 m", "DEL s"] {
        flow.apply(0, line).unwrap();
    }
    flow.translator.sweep(NOW, &mut flow.batch);
    let keys = flow.batch.iter().flat_map(EncodedCommand::keys);
    let own: BTreeSet<&[u8]> = keys.filter(|key| ReservedNames::is_reserved(key)).collect();
    assert_eq!(own, BTreeSet::from([&b"df2redis@blue:expiry:{s}"[..], b"df2redis@blue:due:0"]));
    flow.lines();
}
