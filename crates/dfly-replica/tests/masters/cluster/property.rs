//! Random operations into a cluster whose slots move, through random accidents: the end is the model's.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dfly_replica::{EngineConfig, OnStart};
use dfly_testkit::{MasterOptions, Model, RedisCluster, Resharding, Script, ScriptedMaster};
use dfly_translate::{Policy, Rules, Selection};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis_sink::WindowLimits;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::{cluster, empty, reshard, user_keys};
use crate::accidents::{Accident, befalls};
use crate::workload::{Keyspace, LIMIT, Run, Workload, assert_equal, patient, styles};

/// The keys of a workload, by what they begin with.
const KINDS: [&str; 8] = ["s", "l", "h", "t", "z", "n", "x", "big"];

#[derive(Debug, Clone)]
struct Shape {
    seed: u64,
    shards: usize,
    style: usize,
    /// Commands and bytes in flight.
    window: (usize, usize),
    piece: usize,
    relay: bool,
    /// Whether keys of a kind share a slot.
    tagged: bool,
    resharding: bool,
    accidents: Vec<(usize, Accident)>,
}

fn shapes() -> impl Strategy<Value = Shape> {
    let accident = prop_oneof![
        Just(Accident::SourceCut),
        (0..3usize).prop_map(Accident::TargetCut),
        (0..3usize).prop_map(Accident::Pause),
        Just(Accident::Flush),
        Just(Accident::FlushDb(0)),
        Just(Accident::Crash),
        Just(Accident::Crash),
        Just(Accident::Stop),
        Just(Accident::Restart),
        Just(Accident::FailOver),
    ];
    let accidents = prop::collection::vec((1usize..200, accident), 0..6);
    let sizes = (1usize..600, 200usize..100_000, 64usize..20_000);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (any::<u64>(), (1usize..5, 0usize..4), sizes, flags, accidents).prop_map(
        |(seed, (shards, style), (commands, bytes, piece), (relay, tagged, resharding), accidents)| Shape {
            seed: seed | 1,
            shards,
            style,
            window: (commands, bytes),
            piece,
            relay,
            tagged,
            resharding,
            accidents,
        },
    )
}

impl Shape {
    fn selection(&self) -> Selection {
        let rename = |kind: &&str| format!("{kind}={{{kind}}}{kind}").parse().unwrap();
        let renames = KINDS.iter().filter(|_| self.tagged).map(rename).collect();
        Selection { dbs: "3=skip".parse().unwrap(), renames, ..Selection::default() }
    }

    fn configure(&self, config: &mut EngineConfig, state: &Path) {
        patient(config);
        config.window = WindowLimits { commands: self.window.0, bytes: self.window.1 };
        config.limits.piece = self.piece;
        config.state_dir = self.relay.then(|| state.to_owned());
        config.target_timeout = Duration::from_secs(5);
        config.target.reply_timeout = Duration::from_millis(500);
        config.on_start = OnStart::RequireEmpty;
        // Whatever is flushed while the tool is away is to go.
        config.max_removals = 100;
        config.rules = Rules { selection: self.selection(), ..Rules::from(Policy::Fail) }.into();
    }

    fn on_target(&self, model: Keyspace) -> Keyspace {
        let selection = self.selection();
        let name = |key: bytes::Bytes| selection.renamed(&key).map_or(key, Into::into);
        model
            .into_iter()
            .filter(|((db, _), _)| *db == 0)
            .map(|((_, key), value)| ((0, name(key)), value))
            .collect()
    }

    fn start(
        &self,
        state: &Path,
        (master, cluster): (ScriptedMaster, Arc<RedisCluster>),
    ) -> Run<Arc<RedisCluster>> {
        Run::go_on_with(master, cluster, |config| self.configure(config, state))
    }

    fn slots(&self) -> Vec<&'static str> {
        match self.tagged {
            true => vec!["s", "l", "n", "z", "h"],
            false => vec!["s0", "l1", "n2", "n3", "l4", "s5", "h1", "z2"],
        }
    }
}

async fn ends_as_the_model(shape: &Shape, cluster: &Arc<RedisCluster>) {
    empty(cluster);
    let mut script = Script::new(shape.shards).style(styles().swap_remove(shape.style));
    let mut work = Workload { random: shape.seed, model: Model::default() };
    for op in work.ops(60) {
        script = script.before(op);
    }
    for op in work.ops(60) {
        script = script.during(op);
    }
    let state = tempfile::tempdir().unwrap();
    let master = ScriptedMaster::start(script, MasterOptions::default()).await.unwrap();
    let resharding = shape.resharding.then(|| reshard(cluster, &shape.slots()));
    let mut run = shape.start(state.path(), (master, Arc::clone(cluster)));
    assert!(timeout(LIMIT, run.master.stable()).await.is_ok());
    for (records, accident) in &shape.accidents {
        for op in work.ops(*records) {
            run.master.apply(op).unwrap();
        }
        let start = |master, cluster| shape.start(state.path(), (master, cluster));
        run = befalls(*accident, run, &mut work, start).await;
    }
    for op in work.ops(50) {
        run.master.apply(op).unwrap();
    }
    run.caught_up().await;
    resharding.map(Resharding::end);
    run.ends_as(|model, cluster| assert_equal_but_for_moves(&shape.on_target(model), user_keys(cluster)))
        .await;
}

/// MIGRATE hands expiries on as the time that is left, so each move makes them some milliseconds later (server `cluster.c`,
/// `migrateCommand`).
pub(crate) fn assert_equal_but_for_moves(model: &Keyspace, mut found: Keyspace) {
    for (place, held) in &mut found {
        let meant = model.get(place).map_or(-1, |value| value.expire_at_ms);
        if meant > 0 && (meant..meant + 1000).contains(&held.expire_at_ms) {
            held.expire_at_ms = meant;
        }
    }
    assert_equal(model, &found);
}

/// `PROPTEST_CASES=500 cargo test -p dfly-replica --test masters cluster::property` for more than the few that CI runs.
#[test]
fn whatever_lies_in_between() {
    let cases =
        std::env::var_os("PROPTEST_CASES").map_or(12, |cases| cases.to_str().unwrap().parse().unwrap());
    let mut runner = TestRunner::new(Config { cases, max_shrink_iters: 0, ..Config::default() });
    let runtime = Runtime::new().unwrap();
    let cluster = Arc::new(cluster());
    runner
        .run(&shapes(), |shape| {
            runtime.block_on(ends_as_the_model(&shape, &cluster));
            Ok(())
        })
        .unwrap();
}
