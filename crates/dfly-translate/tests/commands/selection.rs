//! Databases are mapped, and keys are left out or renamed.

use std::collections::BTreeSet;

use dfly_rdb::ValueKind;
use dfly_translate::{Choice, Effect, Emptied, Flush, Glob, Loss, Policy, Rules, Selection};
use dfly_wire::DbIndex;

use crate::journal::{Flow, redis};

fn flow(selection: Selection) -> Flow {
    Flow::new(redis(7, 0), Rules { selection, refetches: true, ..Rules::from(Policy::Fail) })
}

fn keys(allow: &[&str], block: &[&str]) -> Selection {
    let globs = |texts: &[&str]| texts.iter().map(|text| Glob::new(*text)).collect();
    Selection { keys: Choice { allow: globs(allow), block: globs(block) }, ..Selection::default() }
}

/// The keys that are to be refetched, as `db:key`.
fn refetch(flow: &mut Flow) -> Vec<String> {
    let refetches = flow.translator.take_refetches();
    refetches.into_iter().map(|r| format!("{}:{}", r.db, r.key.escape_ascii())).collect()
}

#[test]
fn mapped_databases() {
    let mut flow = flow(Selection { dbs: "0=5,3=0,7=skip".parse().unwrap(), ..Selection::default() });
    for (db, line, effect) in [
        (0, "INCR a", Effect::Written),
        (3, "INCR b", Effect::Written),
        (1, "INCR c", Effect::Written),
        (7, "INCR d", Effect::Unselected),
        (0, "MOVE a 3", Effect::Written),
        (0, "MOVE a 7", Effect::Written),
        (7, "MOVE d 3", Effect::Refetch),
        (7, "MOVE d 8", Effect::Refetch),
        // The database of a FLUSHALL is only that of the client that sent it.
        (7, "FLUSHALL", Effect::Flush(Flush::All)),
        (0, "FLUSHDB", Effect::Flush(Flush::Db(DbIndex(0)))),
    ] {
        // Database 5 of the source would share database 5 of the target with database 0.
        let shares = line == "FLUSHDB";
        match flow.apply(db, line) {
            Ok(found) => assert_eq!(found, effect, "{db} {line}"),
            Err(error) => assert!(shares && error.to_string().contains(Loss::Form.name()), "{error}"),
        }
    }
    assert_eq!(refetch(&mut flow), ["3:d", "8:d"]);
    let expected =
        ["SELECT 5", "INCR a", "SELECT 0", "INCR b", "SELECT 1", "INCR c", "SELECT 5", "MOVE a 0", "DEL a"];
    assert_eq!(flow.lines(), expected);
}

#[test]
fn moves_between_databases_that_become_one() {
    let mut flow = flow(Selection { dbs: "3=0".parse().unwrap(), ..Selection::default() });
    assert_eq!(flow.apply(0, "MOVE a 3").unwrap(), Effect::Nothing);
    assert_eq!(flow.apply(3, "MOVE a 0").unwrap(), Effect::Nothing);
    assert!(flow.batch.is_empty());
}

#[test]
fn keys_that_are_left_out() {
    let mut flow = flow(keys(&["a*"], &["*x"]));
    for (line, effect) in [
        ("SET a 1", Effect::Written),
        ("SET b 1", Effect::Unselected),
        ("SET ax 1", Effect::Unselected),
        ("DEL a b a1", Effect::Written),
        ("MSET b 1 a1 2 ax 3 a2 4", Effect::Written),
        ("RENAME a b", Effect::Refetch),
        ("RENAME b a3", Effect::Refetch),
        ("RENAME b c", Effect::Unselected),
        ("SORT b STORE a4", Effect::Refetch),
        ("ZUNIONSTORE a5 2 b ax", Effect::Refetch),
        ("XGROUP CREATE b g 0", Effect::Unselected),
        ("PING", Effect::Nothing),
    ] {
        assert_eq!(flow.apply(0, line).unwrap(), effect, "{line}");
    }
    assert_eq!(flow.lines(), ["SET a 1", "DEL a a1", "MSET a1 2 a2 4"]);
    assert_eq!(refetch(&mut flow), ["0:a", "0:a3", "0:a4", "0:a5"]);
}

/// C6: keys of the source under reserved names are left out and counted, whatever else the record does, and under every
/// policy.
#[test]
fn reserved_keys() {
    let mut flow = flow(Selection::default());
    for (line, effect) in [
        ("HSET df2redis:checkpoint flow:0 7", Effect::Lost(Loss::Reserved)),
        ("DEL df2redis@a:kept", Effect::Lost(Loss::Reserved)),
        ("SET a df2redis:kept", Effect::Written),
        ("DEL b df2redis:x", Effect::Written),
        ("MSET c 1 df2redis:x 2 d 3", Effect::Written),
        ("RENAME df2redis:x e", Effect::Refetch),
        ("RENAME f df2redis:x", Effect::Refetch),
        ("ZUNIONSTORE g 2 h df2redis:x", Effect::Refetch),
        ("FLUSHDB", Effect::Flush(Flush::Db(DbIndex(0)))),
    ] {
        assert_eq!(flow.apply(0, line).unwrap(), effect, "{line}");
    }
    assert_eq!(flow.lines(), ["SET a df2redis:kept", "DEL b", "MSET c 1 d 3"]);
    assert_eq!(refetch(&mut flow), ["0:e", "0:f", "0:g", "0:h"]);
    assert_eq!(flow.translator.take_losses().iter().collect::<Vec<_>>(), [(Loss::Reserved, 7)]);
}

/// C6: such keys are no loss if the user has left them out.
#[test]
fn reserved_keys_that_are_not_selected() {
    let mut flow = flow(keys(&[], &["df2redis:*"]));
    assert_eq!(flow.apply(0, "DEL df2redis:x").unwrap(), Effect::Unselected);
    assert!(flow.translator.take_losses().is_empty());
}

/// If refetches are not served, a record is a loss if only some of its keys are selected.
#[test]
fn torn_records() {
    let rules = Rules { selection: keys(&["a*"], &[]), ..Rules::from(Policy::Skip) };
    let mut flow = Flow::new(redis(7, 0), rules);
    assert_eq!(flow.apply(0, "RENAME b a").unwrap(), Effect::Lost(Loss::Torn));
    assert_eq!(flow.apply(0, "DEL b a").unwrap(), Effect::Written);
}

#[test]
fn renamed_keys() {
    let renames = vec!["user:=u:".parse().unwrap()];
    let mut flow = flow(Selection { renames, ..Selection::default() });
    for line in [
        "SET user:1 v",
        "RENAME user:1 other",
        "ZRANGESTORE user:2 x 0 1",
        "JSONX user:1",
        "SADDEX user:3 9 m",
    ] {
        let known = !line.starts_with("JSONX");
        assert_eq!(flow.apply(0, line).is_ok(), known, "{line}");
    }
    let lines = flow.lines();
    assert_eq!(lines[..3], ["SET u:1 v", "RENAME-SCRIPT u:1 other", "ZRANGESTORE u:2 x 0 1"]);
    assert!(lines[4].starts_with("SADDEX-SCRIPT u:3 df2redis:expiry:{u:3} "), "{lines:?}");
}

#[test]
fn kinds_and_commands() {
    let kinds = Choice { allow: Vec::new(), block: vec![ValueKind::Hash] };
    let blocked_commands = BTreeSet::from(["FLUSHALL".to_owned()]);
    let mut flow = flow(Selection { kinds, blocked_commands, ..Selection::default() });
    for (line, effect) in [
        ("HSET h f v", Effect::Unselected),
        ("SADD s a", Effect::Written),
        ("DEL h", Effect::Written),
        ("FLUSHALL", Effect::Unselected),
    ] {
        assert_eq!(flow.apply(0, line).unwrap(), effect, "{line}");
    }
}

#[test]
fn what_a_flush_empties() {
    let everything = Selection::default();
    let mapped = Selection { dbs: "0=5,7=skip".parse().unwrap(), ..Selection::default() };
    let some = keys(&["a*"], &[]);
    for (flush, selection, emptied) in [
        (Flush::All, &everything, Emptied::All),
        (Flush::All, &mapped, Emptied::Covered(None)),
        (Flush::All, &some, Emptied::Covered(None)),
        (Flush::Db(DbIndex(3)), &everything, Emptied::Db(DbIndex(3))),
        (Flush::Db(DbIndex(0)), &mapped, Emptied::Db(DbIndex(5))),
        (Flush::Db(DbIndex(7)), &mapped, Emptied::Nothing),
        (Flush::Db(DbIndex(3)), &some, Emptied::Covered(Some(DbIndex(3)))),
    ] {
        assert_eq!(flush.on_target(selection), emptied, "{flush:?}");
    }
}
