//! Random operations over few keys, through random shapes of everything in between: the end is the model's.

use std::path::Path;
use std::time::Duration;

use dfly_replica::{EngineConfig, OnStart};
use dfly_testkit::{MasterOptions, RedisServer, Script, ScriptedMaster};
use dfly_translate::{Choice, Glob, Policy, Rules, Selection};
use dfly_wire::DbIndex;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis_sink::WindowLimits;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::accidents::{Accident, befalls};
use crate::run::{redis, user_keys};
use crate::workload::{Keyspace, LIMIT, Run, Workload, assert_equal, patient, styles};

/// What lies between the master and the model.
#[derive(Debug, Clone)]
struct Shape {
    seed: u64,
    shards: usize,
    style: usize,
    /// Commands and bytes in flight.
    window: (usize, usize),
    piece: usize,
    read_ahead: usize,
    relay: bool,
    /// Records between two accidents, and what happens then.
    accidents: Vec<(usize, Accident)>,
    selection: Picked,
    /// What the first start does with the keys that the target holds; it holds none where that is to refuse.
    over: OnStart,
}

#[derive(Debug, Clone, Copy)]
enum Picked {
    Everything,
    /// Database 3 becomes 5.
    Mapped,
    /// Keys `s*` and `l*` only.
    Some,
    /// Keys that begin with `s` begin with `renamed:` on the target.
    Renamed,
}

fn shapes() -> impl Strategy<Value = Shape> {
    let accident = prop_oneof![
        Just(Accident::SourceCut),
        Just(Accident::TargetCut(0)),
        Just(Accident::Pause(0)),
        Just(Accident::Volatile),
        Just(Accident::Flush),
        prop_oneof![Just(0), Just(3)].prop_map(Accident::FlushDb),
        Just(Accident::Crash),
        Just(Accident::Stop),
        Just(Accident::Restart),
        Just(Accident::FailOver),
    ];
    let selection = prop_oneof![
        Just(Picked::Everything),
        Just(Picked::Mapped),
        Just(Picked::Some),
        Just(Picked::Renamed)
    ];
    let accidents = prop::collection::vec((1usize..150, accident), 0..5);
    let over = prop_oneof![
        3 => Just(OnStart::RequireEmpty),
        2 => Just(OnStart::Mirror),
        1 => Just(OnStart::Merge),
        1 => Just(OnStart::Flush)
    ];
    let sizes = (1usize..600, 200usize..100_000, 64usize..20_000, 300usize..60_000);
    (any::<u64>(), (1usize..5, 0usize..4), sizes, (any::<bool>(), over), accidents, selection).prop_map(
        |(
            seed,
            (shards, style),
            (commands, bytes, piece, read_ahead),
            (relay, over),
            accidents,
            selection,
        )| Shape {
            seed: seed | 1,
            shards,
            style,
            window: (commands, bytes),
            piece,
            read_ahead,
            relay,
            accidents,
            selection,
            over,
        },
    )
}

impl Picked {
    fn selection(self) -> Selection {
        match self {
            Self::Everything => Selection::default(),
            Self::Mapped => Selection { dbs: "3=5".parse().unwrap(), ..Selection::default() },
            Self::Some => {
                let allow = vec![Glob::new("s*"), Glob::new("l*")];
                Selection { keys: Choice { allow, block: Vec::new() }, ..Selection::default() }
            }
            Self::Renamed => {
                Selection { renames: vec!["s=renamed:".parse().unwrap()], ..Selection::default() }
            }
        }
    }

    /// What the model holds, as the target is to hold it.
    fn on_target(self, model: Keyspace) -> Keyspace {
        let selection = self.selection();
        let place = |((db, key), value): ((u32, bytes::Bytes), _)| {
            let to = selection.dbs.get(DbIndex(db))?;
            let name = selection.renamed(&key).map_or_else(|| key.clone(), Into::into);
            selection.takes_key(&key).then_some(((to.0, name), value))
        };
        model.into_iter().filter_map(place).collect()
    }
}

impl Shape {
    fn configure(&self, config: &mut EngineConfig, state: &Path) {
        patient(config);
        config.window = WindowLimits { commands: self.window.0, bytes: self.window.1 };
        config.limits.piece = self.piece;
        config.read_ahead = self.read_ahead;
        config.state_dir = self.relay.then(|| state.to_owned());
        config.target_timeout = Duration::from_millis(500);
        config.on_start = self.over;
        // Whatever is flushed while the tool is away is to go.
        config.max_removals = 100;
        let selection = self.selection.selection();
        config.rules = Rules { selection, ..Rules::from(Policy::Fail) }.into();
    }

    /// A target with keys of others: under names that the source uses, of this type and that, and under others.
    fn target(&self) -> RedisServer {
        let redis = redis();
        if self.over != OnStart::RequireEmpty {
            let mut client = redis.client().unwrap();
            for (db, serial) in [0, 3, 5].into_iter().flat_map(|db| (0..6u64).map(move |serial| (db, serial)))
            {
                client.select(db).unwrap();
                for (nth, name) in
                    ["s", "l", "h", "t", "z", "n", "x", "renamed:", "other:"].iter().enumerate()
                {
                    let key = format!("{name}{serial}").into_bytes();
                    let command: &[&[u8]] = match (self.seed >> nth).wrapping_add(serial) % 5 {
                        0 => &[b"SET", &key, b"7"],
                        1 => &[b"RPUSH", &key, b"theirs", b"7"],
                        2 => &[b"HSET", &key, b"f1", b"theirs", b"c1", b"7"],
                        3 => &[b"ZADD", &key, b"7", b"m1", b"8", b"theirs"],
                        _ => continue,
                    };
                    client.expect(command).unwrap();
                }
            }
        }
        redis
    }

    /// The source's keys are as the model has them. Where others may stay, nothing but such is left besides; with a second
    /// full synchronisation, keys that the source has deleted meanwhile too.
    fn assert_end(&self, model: &Keyspace, theirs: &Keyspace, mut found: Keyspace) {
        let covers = |db: u32, key: &[u8]| self.selection.selection().covers(DbIndex(db), key);
        let may_stay = |db: u32, key: &[u8]| match self.over {
            OnStart::Merge => true,
            OnStart::Mirror => !covers(db, key),
            OnStart::RequireEmpty | OnStart::Flush => false,
        };
        let again = self.over == OnStart::Merge && !self.accidents.is_empty();
        found.retain(|place, value| {
            model.contains_key(place)
                || !(may_stay(place.0, &place.1) && (again || theirs.get(place) == Some(value)))
        });
        assert_equal(model, &found);
    }

    fn start(&self, state: &Path, (master, redis): (ScriptedMaster, RedisServer)) -> Run {
        Run::go_on_with(master, redis, |config| self.configure(config, state))
    }
}

async fn ends_as_the_model(shape: Shape) {
    let mut script = Script::new(shape.shards).style(styles().swap_remove(shape.style));
    let mut work = Workload { random: shape.seed, model: dfly_testkit::Model::default() };
    for op in work.ops(60) {
        script = script.before(op);
    }
    for op in work.ops(60) {
        script = script.during(op);
    }
    let state = tempfile::tempdir().unwrap();
    let master = ScriptedMaster::start(script, MasterOptions::default()).await.unwrap();
    let redis = shape.target();
    let theirs = user_keys(&redis);
    let mut run = shape.start(state.path(), (master, redis));
    assert!(timeout(LIMIT, run.master.stable()).await.is_ok());
    for (records, accident) in &shape.accidents {
        for op in work.ops(*records) {
            run.master.apply(op).unwrap();
        }
        let accident = match *accident {
            // With a map, database 5 of the target may be that of two of the source's.
            Accident::FlushDb(_) if matches!(shape.selection, Picked::Mapped) => Accident::FlushDb(0),
            accident => accident,
        };
        let start = |master, redis| shape.start(state.path(), (master, redis));
        run = befalls(accident, run, &mut work, start).await;
    }
    for op in work.ops(50) {
        run.master.apply(op).unwrap();
    }
    let picked = shape.selection;
    run.ends_as(|model, redis| shape.assert_end(&picked.on_target(model), &theirs, user_keys(redis))).await;
}

/// `PROPTEST_CASES=500 cargo test -p dfly-replica --test masters property` for more than the few that CI runs.
#[test]
fn whatever_lies_in_between() {
    let cases =
        std::env::var_os("PROPTEST_CASES").map_or(16, |cases| cases.to_str().unwrap().parse().unwrap());
    let mut runner = TestRunner::new(Config { cases, max_shrink_iters: 0, ..Config::default() });
    let runtime = Runtime::new().unwrap();
    runner
        .run(&shapes(), |shape| {
            runtime.block_on(ends_as_the_model(shape));
            Ok(())
        })
        .unwrap();
}
