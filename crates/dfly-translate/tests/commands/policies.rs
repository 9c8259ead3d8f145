//! What is left out, and what is not guessed (P23).

use dfly_journal::Args;
use dfly_translate::{Ability, Effect, Flush, Loss, Output, Policies, Policy, Rules, records_with, specs};
use dfly_wire::DbIndex;

use crate::journal::{Flow, NOW, record, redis, with_modules, words};

const LEFT_OUT: [(&str, Loss); 17] = [
    ("JSON.SET k $ 1", Loss::Json),
    ("BF.ADD k a", Loss::Bloom),
    ("CF.ADD k a", Loss::Cuckoo),
    ("CMS.MERGE a", Loss::CountMinSketch),
    ("TOPK.ADD k a", Loss::TopK),
    ("FT.CREATE i", Loss::Search),
    ("CL.THROTTLE k 1 2 3", Loss::Throttle),
    ("ZUNIONSTORE a", Loss::Truncated),
    ("GEORADIUS a", Loss::Truncated),
    ("LMPOP 1 a LEFT", Loss::Form),
    ("SET k v NX", Loss::Form),
    ("DELEX k IFDEQ 0", Loss::Form),
    ("DFLYCLUSTER FLUSHSLOTS 0 1", Loss::FlushSlots),
    ("NOSUCHCOMMAND k", Loss::Unknown),
    ("SET k", Loss::Malformed),
    ("RESTORE k soon x", Loss::Malformed),
    ("SADDEX k soon a", Loss::Malformed),
];

/// If refetches are not served, what cannot be carried out is a loss: it is counted, or an error.
#[test]
fn what_cannot_be_carried_out_is_named() {
    for (line, loss) in LEFT_OUT {
        let mut lenient = Flow::new(redis(7, 0), Policy::Skip);
        assert_eq!(lenient.apply(0, line).unwrap(), Effect::Lost(loss), "{line}");
        // If a whole document is left out, the key's old value is deleted.
        assert_eq!(lenient.batch.is_empty(), !line.starts_with("JSON.SET"), "{line}");
        let losses = lenient.translator.take_losses();
        assert_eq!(losses.iter().collect::<Vec<_>>(), [(loss, 1)]);
        let mut strict = Flow::new(redis(7, 0), Policy::Fail);
        let error = strict.apply(3, line).unwrap_err().to_string();
        assert!(error.contains("in database 3") && error.contains(loss.name()), "{error}");
        assert!(strict.batch.is_empty(), "{line}: nothing may be written");
    }
}

/// C44: where keys are refetched, slots that the source has given away are no loss. Another form of the command is.
#[test]
fn slots_that_are_given_away() {
    let rules = Rules { refetches: true, ..Rules::from(Policy::Fail) };
    let mut flow = Flow::new(redis(7, 0), rules);
    for line in ["DFLYCLUSTER FLUSHSLOTS 0 1", "DFLYCLUSTER FLUSHSLOTS 5 9 12 12"] {
        assert_eq!(flow.apply(0, line).unwrap(), Effect::FlushSlots, "{line}");
    }
    let ranges =
        dfly_translate::flushed_slots(&Args::of(&["DFLYCLUSTER", "FLUSHSLOTS", "5", "9", "12", "12"]));
    assert_eq!(ranges, Some(vec![(5, 9), (12, 12)]));
    for line in ["DFLYCLUSTER FLUSHSLOTS 0", "DFLYCLUSTER FLUSHSLOTS 0 16384", "DFLYCLUSTER CONFIG x"] {
        assert!(flow.apply(0, line).unwrap_err().to_string().contains("flush-slots"), "{line}");
    }
}

#[test]
fn policies_one_by_one() {
    let rules = |text: &str| Rules { policies: text.parse().unwrap(), ..Rules::default() };
    let mut flow = Flow::new(redis(7, 0), rules("fail,bloom=skip"));
    assert_eq!(flow.apply(0, "BF.ADD k a").unwrap(), Effect::Lost(Loss::Bloom));
    assert!(flow.apply(0, "CF.ADD k a").is_err());
    assert_eq!(flow.apply(0, "STICK k").unwrap(), Effect::Lost(Loss::Sticky), "no data is lost");
    assert_eq!(flow.apply(0, "SADDEX k 60 a").unwrap(), Effect::Written, "emulated");
    let mut flow = Flow::new(redis(7, 0), rules("member-ttl=fail"));
    assert!(flow.apply(0, "SADDEX k 60 a").is_err());
    let mut flow = Flow::new(redis(7, 0), rules("member-ttl=drop"));
    for (line, effect) in [
        ("SADDEX k 60 a b", Effect::Lost(Loss::MemberTtl)),
        ("HSETEX h 60 f v", Effect::Lost(Loss::MemberTtl)),
        ("HEXPIRE h 60 FIELDS 1 f", Effect::Lost(Loss::MemberTtl)),
        ("FIELDEXPIRE h 60 f", Effect::Lost(Loss::MemberTtl)),
    ] {
        assert_eq!(flow.apply(0, line).unwrap(), effect, "{line}");
    }
    assert_eq!(flow.lines(), ["SADD k a b", "HSET h f v"]);
}

/// Records whose commands, or those of whose scripts, the target does not take; and what it counts as unable to do.
#[test]
fn records_that_the_target_has_no_command_for() {
    let rules = |refetches| Rules {
        refetched_records: records_with("LPOS").into_iter().chain(records_with("MSET")).collect(),
        forbidden_abilities: [Ability::Json].into(),
        policies: "json=warn".parse().unwrap(),
        refetches,
        ..Rules::default()
    };
    let mut served = Flow::new(with_modules(redis(7, 4)), rules(true));
    for (line, effect) in [
        ("LREM l 1 v", Effect::Refetch),
        ("MSET a 1 b 2", Effect::Refetch),
        ("LPUSH l v", Effect::Written),
        ("JSON.SET j $ 1", Effect::Lost(Loss::Json)),
    ] {
        assert_eq!(served.apply(0, line).unwrap(), effect, "{line}");
    }
    let keys: Vec<_> = served.translator.take_refetches().into_iter().map(|refetch| refetch.key).collect();
    assert_eq!(keys, ["l", "a", "b"]);
    assert_eq!(served.lines(), ["LPUSH l v", "DEL j"]);
    let mut alone = Flow::new(redis(7, 0), rules(false));
    assert!(alone.apply(0, "LREM l 1 v").is_err(), "nobody refetches");
}

#[test]
fn documents_as_strings() {
    let rules = |refetches| Rules {
        policies: Policies::default().with_json_as_string(),
        refetches,
        ..Rules::default()
    };
    let mut alone = Flow::new(redis(7, 0), rules(false));
    assert_eq!(alone.apply(0, "JSON.SET k $ {\"a\":1}").unwrap(), Effect::Written);
    assert!(alone.apply(0, "JSON.NUMINCRBY k $.a 1").is_err(), "a part of a text cannot be changed");
    assert_eq!(alone.lines(), ["SET k {\"a\":1}"]);
    let mut served = Flow::new(redis(7, 0), rules(true));
    assert_eq!(served.apply(0, "JSON.NUMINCRBY k $.a 1").unwrap(), Effect::Refetch);
    assert_eq!(served.apply(0, "JSON.MSET a $ 1 b $ 2").unwrap(), Effect::Refetch);
    let keys: Vec<_> = served.translator.take_refetches().into_iter().map(|refetch| refetch.key).collect();
    assert_eq!(keys, ["k", "a", "b"]);
    let mut module = Flow::new(with_modules(redis(7, 4)), rules(true));
    assert_eq!(module.apply(0, "JSON.SET k $ 1").unwrap(), Effect::Written);
    assert_eq!(
        module.lines(),
        ["JSON.SET k $ 1", "PERSIST k"],
        "documents stay documents if the target has them"
    );
}

/// Every record of the table, with any number of arguments, is carried out or counted as a loss. Nothing else is changed.
#[test]
fn every_command_of_the_table_in_every_length() {
    for (spec, refetches) in specs().iter().flat_map(|spec| [(spec, false), (spec, true)]) {
        for len in 1..=8 {
            let args: Vec<&[u8]> =
                std::iter::once(spec.name.as_bytes()).chain([&b"1"[..]; 7]).take(len).collect();
            let mut flow = Flow::new(redis(7, 0), Rules { refetches, ..Rules::from(Policy::Skip) });
            flow.apply(0, "SET before 1").unwrap();
            match flow.apply_at(&record(0, 0, &args), NOW) {
                Ok(Effect::Lost(Loss::Malformed)) => assert_eq!(flow.batch.len(), 1, "{} {len}", spec.name),
                Ok(_) => assert!(len >= spec.least_args, "{} with {len} words", spec.name),
                Err(error) => panic!("{} {len}: {error}", spec.name),
            }
            assert_eq!(flow.lines()[0], "SET before 1");
        }
    }
}

/// P11: databases are kept, with one SELECT for each change.
#[test]
fn databases() {
    let mut flow = Flow::new(redis(7, 0), Policy::Fail);
    for (db, line) in [(0, "INCR a"), (3, "INCR b"), (3, "INCR c"), (0, "INCR d")] {
        flow.apply(db, line).unwrap();
    }
    assert_eq!(flow.lines(), ["INCR a", "SELECT 3", "INCR b", "INCR c", "SELECT 0", "INCR d"]);
}

#[test]
fn flushes_are_left_to_the_barrier() {
    let mut flow = Flow::new(redis(7, 0), Policy::Fail);
    assert_eq!(flow.apply(3, "FLUSHALL SYNC").unwrap(), Effect::Flush(Flush::All));
    assert_eq!(flow.apply(3, "FLUSHDB").unwrap(), Effect::Flush(Flush::Db(DbIndex(3))));
    assert!(flow.batch.is_empty());
}

/// Redis 6.2 does not accept counters of streams.
#[test]
fn stream_counters() {
    let mut flow = Flow::new(redis(6, 2), Policy::Fail);
    flow.apply(0, "XGROUP SETID k g 1-1 ENTRIESREAD 3").unwrap();
    flow.apply(0, "XSETID k 1-1 ENTRIESADDED 3 MAXDELETEDID 1-0").unwrap();
    flow.apply(0, "XGROUP CREATE k entriesread 0 MKSTREAM").unwrap();
    assert_eq!(
        flow.lines(),
        ["XGROUP SETID k g 1-1", "XSETID k 1-1", "XGROUP CREATE k entriesread 0 MKSTREAM"]
    );
}

/// Changes to a sketch that was left out do not create it again with a part of its content.
#[test]
fn sketches_that_were_left_out() {
    let mut flow = Flow::new(with_modules(redis(7, 4)), Policy::Skip);
    flow.translator.adopt_left_out(DbIndex(0), b"k");
    assert_eq!(flow.apply(0, "BF.ADD k a").unwrap(), Effect::Lost(Loss::Bloom));
    assert_eq!(flow.apply(0, "RENAME k j").unwrap(), Effect::Written);
    assert_eq!(flow.apply(0, "BF.ADD k a").unwrap(), Effect::Written, "this is another sketch");
    assert_eq!(flow.apply(0, "BF.ADD j a").unwrap(), Effect::Lost(Loss::Bloom));
    assert_eq!(flow.apply(0, "DEL j").unwrap(), Effect::Written);
    assert_eq!(flow.apply(0, "BF.ADD j a").unwrap(), Effect::Written);
    let expected = [
        "SADD df2redis:left-out:0 j",
        "RENAME-SCRIPT k j",
        "BF.ADD k a",
        "DEL j",
        "SREM df2redis:left-out:0 j",
        "BF.ADD j a",
    ];
    assert_eq!(flow.lines(), expected);
}

/// C12: a value that the target refuses in every form stays left out until it is replaced as a whole.
#[test]
fn values_that_the_target_refuses() {
    let rules = Rules { refetches: true, ..Rules::from(Policy::Skip) };
    let mut flow = Flow::new(redis(7, 0), rules);
    let mut out = Output { commands: &mut flow.batch, now: NOW };
    flow.translator.leave_out_refused(DbIndex(0), b"k", &mut out);
    for line in ["RPUSH k a", "SET k v KEEPTTL", "EXPIRE k 9", "LMOVE j k LEFT LEFT"] {
        assert_eq!(flow.apply(0, line).unwrap(), Effect::Refetch, "{line}");
    }
    assert!(flow.translator.take_refetches().iter().any(|refetch| refetch.key == "k"));
    assert_eq!(flow.apply(0, "RENAME k j").unwrap(), Effect::Written);
    assert_eq!(flow.apply(0, "RPUSH j a").unwrap(), Effect::Refetch);
    assert_eq!(flow.apply(0, "SET j v").unwrap(), Effect::Written);
    assert_eq!(flow.apply(0, "APPEND j w").unwrap(), Effect::Written);
    let expected = [
        "DEL k",
        "SADD df2redis:left-out:0 k",
        "SADD df2redis:left-out:0 j",
        "RENAME-SCRIPT k j",
        "SET j v",
        "SREM df2redis:left-out:0 j",
        "APPEND j w",
    ];
    assert_eq!(flow.lines(), expected);
}

/// A HyperLogLog of PFMERGE is written and refetched, because its expiry is not in the record.
#[test]
fn hyperloglogs() {
    let dense = [&b"HYLL"[..], &[0; 12300]].concat();
    for (refetches, effect) in [(false, Effect::Written), (true, Effect::Refetch)] {
        let mut flow = Flow::new(redis(7, 0), Rules { refetches, ..Rules::default() });
        assert_eq!(flow.apply_at(&record(0, 0, &[b"SET", b"k", &dense]), NOW).unwrap(), effect);
        assert_eq!((flow.batch.len(), flow.translator.take_refetches().len()), (1, usize::from(refetches)));
        assert_eq!(flow.apply_at(&record(0, 0, &[b"SET", b"k", b"HYLL"]), NOW).unwrap(), Effect::Written);
    }
}

#[test]
fn words_that_are_no_text() {
    let mut flow = Flow::new(redis(7, 0), Policy::Fail);
    let args = [&b"SET"[..], b"\xff\0\r\n", b"\x80"];
    flow.apply_at(&record(0, 0, &args), NOW).unwrap();
    assert_eq!(flow.batch.command(0).unwrap().arguments().collect::<Vec<_>>(), args);
    assert_eq!(words("a b").len(), 2);
}
