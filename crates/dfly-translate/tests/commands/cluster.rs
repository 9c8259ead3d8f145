//! Records with several keys, for a cluster (P7, P8).

use dfly_translate::{Effect, Loss, Policy, Rules, specs};
use redis_slots::Slot;

use crate::journal::{Flow, NOW, record, redis, words};

fn flow(refetches: bool) -> Flow {
    Flow::new(redis(7, 0).in_cluster(), Rules { refetches, ..Rules::from(Policy::Skip) })
}

/// `a`, `b` and `c` are in different slots; `{a}1` and `a` share one.
#[test]
fn one_command_a_slot() {
    let mut flow = flow(true);
    for line in ["DEL a b {a}1", "MSET a 1 b 2 {a}1 3", "RENAME a {a}2", "UNLINK {b}x b"] {
        assert_eq!(flow.apply(0, line).unwrap(), Effect::Written, "{line}");
    }
    let mut lines = flow.lines();
    lines[..4].sort();
    let expected =
        ["DEL a {a}1", "DEL b", "MSET a 1 {a}1 3", "MSET b 2", "RENAME-SCRIPT a {a}2", "UNLINK {b}x b"];
    assert_eq!(lines, expected);
}

#[test]
fn what_cannot_be_split_is_read_again() {
    for line in [
        "RENAME a b",
        "RENAMENX a b",
        "LMOVE a b LEFT LEFT",
        "RPOPLPUSH a b",
        "SMOVE a b m",
        "SORT a STORE b",
        "GEORADIUS a 1 2 3 km STORE b",
        "ZRANGESTORE a b 0 1",
        "ZUNIONSTORE a 1 b",
    ] {
        let mut served = flow(true);
        assert_eq!(served.apply(0, line).unwrap(), Effect::Refetch, "{line}");
        let keys: Vec<_> =
            served.translator.take_refetches().into_iter().map(|refetch| refetch.key).collect();
        assert_eq!(keys, ["a", "b"], "{line}");
        assert!(served.batch.is_empty(), "{line}");
        assert_eq!(flow(false).apply(0, line).unwrap(), Effect::Lost(Loss::Torn), "{line}");
    }
}

/// No command for any record of the table has keys in two slots.
#[test]
fn every_command_of_the_table() {
    for spec in specs() {
        let names = [&b"a"[..], b"b", b"c", b"d", b"e", b"f"];
        let args: Vec<&[u8]> = std::iter::once(spec.name.as_bytes()).chain(names).collect();
        let mut flow = flow(true);
        flow.apply_at(&record(0, 0, &args), NOW).unwrap();
        for line in flow.lines() {
            let words = words(&line);
            let Some(written) = dfly_translate::lookup(words[0]) else { continue };
            let keys = written.key_positions(&words).into_iter().map(|at| Slot::of(words[at]));
            let slots: std::collections::BTreeSet<Slot> = keys.collect();
            assert!(slots.len() < 2, "{line}");
        }
    }
}
