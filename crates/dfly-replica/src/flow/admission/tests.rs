//! One decision over all that a flow knows of a record's keys.

use std::time::{Duration, Instant};

use dfly_client::FlowId;
use dfly_journal::{Args, Command, TxId};

use super::ttl_index::{TtlIndex, TtlLimits};
use super::*;

fn key(name: &'static str) -> SourceKey {
    SourceKey::new(DbIndex(0), name)
}

fn admission() -> Admission {
    let index = TtlIndex::new(TtlLimits { most: 100, span: Duration::from_secs(60) });
    Admission {
        omitted: OmittedDeletes::default(),
        unsynced: None,
        expiry: EarlyExpiry::new(index, 0, Duration::from_secs(10)),
        ownership: Ownership::new(FlowId(0), 1, None),
    }
}

fn refetch(names: &[&'static str]) -> Refetch {
    let mut refetch = Refetch::new(1000);
    names.iter().for_each(|name| refetch.add(key(name), Instant::now()));
    refetch
}

fn decide(admission: &Admission, refetch: &Refetch, line: &str, lsn: Option<u64>, held: Held) -> Decision {
    let words: Vec<&str> = line.split(' ').collect();
    let command = Command { db: DbIndex(0), txid: TxId(0), args: Args::of(&words) };
    let record = RecordKeys::of(&command);
    admission.decide(&Candidate { record: &record, lsn: lsn.map(Lsn), held }, refetch)
}

fn applied() -> Decision {
    Decision::Apply { settled: Vec::new(), checked: Vec::new() }
}

#[test]
fn a_plain_record_is_applied() {
    for lsn in [None, Some(7)] {
        assert_eq!(decide(&admission(), &refetch(&[]), "INCR k", lsn, Held::No), applied());
        assert_eq!(decide(&admission(), &refetch(&["other"]), "INCR k", lsn, Held::No), applied());
    }
}

/// C43: an unknown record has its keys refetched, and never waits for a value, because it cannot be applied behind one.
#[test]
fn an_unknown_record_is_never_parked() {
    let command = Command { db: DbIndex(0), txid: TxId(0), args: Args::of(&["___SET", "k"]) };
    let decide = |lsn, held, names| {
        let record = RecordKeys::of(&command).guess(|_| true);
        admission().decide(&Candidate { record: &record, lsn, held }, &refetch(names))
    };
    for (lsn, names) in [(None, &[][..]), (Some(Lsn(7)), &[]), (Some(Lsn(7)), &["k"])] {
        assert_eq!(decide(lsn, Held::No, names), Decision::Refetch(Some(Reason::Unknown)));
    }
    assert_eq!(decide(Some(Lsn(7)), Held::Yes, &[]), Decision::Refetch(None));
}

#[test]
fn what_the_target_holds_or_has_refused_is_refetched_or_replaced() {
    let (admission, none) = (admission(), refetch(&[]));
    assert_eq!(decide(&admission, &none, "INCR k", Some(7), Held::Yes), Decision::Refetch(None));
    assert_eq!(decide(&admission, &none, "SET k v", Some(7), Held::Yes), applied());
    assert_eq!(decide(&admission, &none, "DEL k l", Some(7), Held::Yes), applied());
    assert_eq!(decide(&admission, &none, "RENAME a b", Some(7), Held::Partly), Decision::Refetch(None));
    let refetched = refetch(&["k"]);
    assert_eq!(decide(&admission, &refetched, "INCR k", Some(7), Held::Yes), Decision::Refetch(None));
    assert_eq!(decide(&admission, &refetched, "SET k v", Some(7), Held::Yes), Decision::Park(key("k")));
}

#[test]
fn records_of_a_refetched_key_wait_or_have_their_other_keys_refetched() {
    let (admission, refetch) = (admission(), refetch(&["k"]));
    let of = |line, lsn| decide(&admission, &refetch, line, lsn, Held::No);
    assert_eq!(of("INCR k", Some(7)), Decision::Park(key("k")));
    assert_eq!(of("INCR k", None), Decision::Refetch(None), "a snapshot's records cannot be parked");
    assert_eq!(of("RENAME k l", Some(7)), Decision::Refetch(None));
    assert_eq!(
        of("DEL a k", Some(7)),
        Decision::Apply { settled: vec![key("k")], checked: Vec::new() },
        "what is deleted need not be read"
    );
}

#[test]
fn no_record_is_applied_to_an_older_value() {
    let mut admission = admission();
    let mut unsynced = UnsyncedKeys::default();
    unsynced.see(DbIndex(0), b"synced");
    admission.unsynced = Some(unsynced);
    let none = refetch(&[]);
    assert_eq!(decide(&admission, &none, "INCR k", Some(7), Held::No), Decision::Refetch(None));
    assert_eq!(decide(&admission, &none, "INCR synced", Some(7), Held::No), applied());
    assert_eq!(decide(&admission, &none, "SET k v", Some(7), Held::No), applied());
    let words = ["SET", "k", "v"];
    let command = Command { db: DbIndex(0), txid: TxId(0), args: Args::of(&words) };
    admission.see_admitted(&RecordKeys::of(&command));
    assert_eq!(decide(&admission, &none, "INCR k", Some(8), Held::No), applied());
}

#[test]
fn a_key_that_may_have_expired_is_checked_or_refetched() {
    let mut admission = admission();
    admission.expiry.turn(UnixMillis(0), UnixMillis(0), None);
    admission.see_value(DbIndex(0), b"k", Some(UnixMillis(1)));
    let none = refetch(&[]);
    let of = |line, lsn| decide(&admission, &none, line, lsn, Held::No);
    let checking = |keys: &[&'static str]| Decision::Apply {
        settled: Vec::new(),
        checked: keys.iter().map(|name| key(name)).collect(),
    };
    assert_eq!(of("INCR k", Some(7)), checking(&["k"]));
    assert_eq!(of("INCR k", None), Decision::Refetch(Some(Reason::Expired)));
    assert_eq!(of("INCR other", Some(7)), applied());
    assert_eq!(of("SET k v", Some(7)), applied(), "it replaces whatever is there");
    assert_eq!(of("RENAME other k", Some(7)), applied(), "the destination need not exist");
    assert_eq!(of("RENAME k other", Some(7)), checking(&["k"]));
    // The source moves nothing onto a key that is alive, and journals the command.
    let moved = |line: &str, db| {
        let words: Vec<&str> = line.split(' ').collect();
        let command = Command { db: DbIndex(db), txid: TxId(0), args: Args::of(&words) };
        let record = RecordKeys::of(&command);
        admission.decide(&Candidate { record: &record, lsn: Some(Lsn(7)), held: Held::No }, &none)
    };
    assert_eq!(moved("MOVE k 0", 2), Decision::Refetch(Some(Reason::Expired)));
    assert_eq!(moved("MOVE other 0", 2), applied());
    assert_eq!(moved("MOVE k 2", 0), checking(&["k"]));
}

#[test]
fn a_copy_of_a_foreign_key_is_passed_over() {
    use crate::source::sharding::Sharding;
    let mut admission = admission();
    admission.ownership = Ownership::new(FlowId(0), 2, Some(Sharding::Key));
    let names: Vec<String> = (0..20).map(|n| format!("key:{n}")).collect();
    let foreign = names.iter().find(|name| Sharding::Key.owner(name.as_bytes(), 2) == FlowId(1)).unwrap();
    let own = names.iter().find(|name| Sharding::Key.owner(name.as_bytes(), 2) == FlowId(0)).unwrap();
    let none = refetch(&[]);
    let set = |name: &str, value: &str| {
        decide(&admission, &none, &format!("SET {name} {value}"), Some(7), Held::No)
    };
    assert_eq!(set(foreign, "HYLLx"), Decision::Skip(Skipped::Copy));
    assert_eq!((set(foreign, "x"), set(own, "HYLLx")), (applied(), applied()));
}
