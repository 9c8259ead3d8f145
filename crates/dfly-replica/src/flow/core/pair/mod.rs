//! A source, a flow and a target in one thread and in virtual time: a seed decides what happens next, and every accident
//! may come anywhere. In the end the target must hold what the source does, every record exactly once.
//!
//! `PAIR_SEEDS` says how many seeds are tried, `PAIR_RECORDS` how many commands the source executes under each, and
//! `PAIR_FIRST` where to begin.

mod chance;
mod disk;
mod pace;
mod rig;
mod session;
mod source;
mod watch;

use std::collections::BTreeMap;

use rig::Rig;
use session::{Session, Stepped};

/// How often each thing has happened, over all seeds.
type Coverage = BTreeMap<&'static str, u64>;

/// What a run is asked to do.
#[derive(Debug, Clone, Copy)]
struct Plan {
    seed: u64,
    records: usize,
    accidents: usize,
}

#[expect(clippy::disallowed_methods, reason = "how much is tried is said from outside")]
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// What has to have happened at least once, or the seeds show too little.
const EXPECTED: [&str; 36] = [
    "life: snapshot",
    "life: entering",
    "life: catching up",
    "life: stable",
    "flush: draining",
    "flush: waiting",
    "flush: executing",
    "relay log in use",
    "relay log caught up",
    "admission: parked",
    "admission: over data",
    "scan for extra keys passed",
    "superseded by a record",
    "refused",
    "moved-slot",
    "snapshot begun",
    "snapshot over data",
    "journal resumed",
    "backlog resumed",
    "relay log resumed",
    "relay frame written",
    "relay log full",
    "cut",
    "crash",
    "crash in the snapshot",
    "reconnect",
    "restart",
    "refusal",
    "reordered",
    "flush",
    "flush in the snapshot",
    "refetched",
    "refetched again",
    "asked from outside",
    "extra keys",
    "acknowledged",
];

#[test]
fn every_record_exactly_once_under_every_accident() {
    let (first, seeds) = (setting("PAIR_FIRST", 0), setting("PAIR_SEEDS", 300));
    let records = usize::try_from(setting("PAIR_RECORDS", 1000)).expect("a size");
    let mut coverage = Coverage::new();
    for seed in first..first + seeds {
        let plan = Plan { seed, records, accidents: 6 };
        let outcome = std::panic::catch_unwind(|| Rig::new(plan).run());
        let found = outcome.unwrap_or_else(|_| panic!("PAIR_FIRST={seed} PAIR_SEEDS=1 shows it again"));
        found.into_iter().for_each(|(what, times)| *coverage.entry(what).or_default() += times);
    }
    println!("{seeds} seeds: {coverage:#?}");
    if seeds >= 300 {
        let missing: Vec<&str> = EXPECTED.into_iter().filter(|what| !coverage.contains_key(what)).collect();
        assert_eq!(missing, [""; 0], "never happened");
    }
}

fn line(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// Steps until the target holds everything.
fn settle(rig: &mut Rig, session: &mut Session) {
    for _ in 0..100_000 {
        if rig.is_done(session) {
            return;
        }
        assert!(matches!(rig.step(session), Stepped::On));
    }
    panic!("not settled: {:?}", session.core.positions);
}

/// While the target carries out a flush, however long that takes, the source is read on, and what it sends goes to disk (P26).
#[test]
fn a_flush_that_takes_long_holds_up_no_reading() {
    let mut rig = Rig::new(Plan { seed: 1, records: 1, accidents: 0 });
    rig.source.run(line("SET a v"));
    let mut session = rig.begin();
    settle(&mut rig, &mut session);
    rig.source.run(line("FLUSHALL"));
    for _ in 0..200 {
        rig.arrive(&mut session);
        rig.advance(&mut session);
        if !session.orders.is_empty() {
            break;
        }
    }
    rig.order(&mut session);
    assert!(!session.writer_is_idle(), "the flush is in flight");
    let before = rig.disk.written;
    for n in 0..60 {
        rig.source.run(line(&format!("SET b {n}")));
        rig.arrive(&mut session);
        rig.advance(&mut session);
        session.disk(&mut rig.disk, rig.now.instant);
    }
    assert!(rig.disk.written > before, "what arrives goes to disk");
    assert!(session.core.is_at_flush() && session.core.is_hurried());
    settle(&mut rig, &mut session);
    rig.judge();
}

/// The same seed gives the same run.
#[test]
fn a_seed_says_everything() {
    let plan = Plan { seed: 7, records: 200, accidents: 3 };
    assert_eq!(Rig::new(plan).run(), Rig::new(plan).run());
}
