//! Primaries that die, and that come back: what was acknowledged to the source is not lost where a replica had it, and
//! nothing is carried out twice.

use std::sync::Arc;

use dfly_replica::EngineConfig;
use dfly_testkit::{ClusterOptions, MasterOptions, Model, RedisCluster, Script, ScriptedMaster};
use tokio::time::timeout;

use super::{reshard, user_keys, without_3};
use crate::workload::{LIMIT, Run, Workload, assert_equal, patient};

fn with_replicas() -> RedisCluster {
    let options = ClusterOptions { replicas_per_primary: 1, node_timeout_ms: 500, ..super::options() };
    RedisCluster::start(&options).unwrap()
}

fn configure(config: &mut EngineConfig) {
    patient(config);
    config.target.reply_timeout = std::time::Duration::from_secs(2);
    config.target.connect_timeout = std::time::Duration::from_secs(1);
    config.target_keepalive = std::time::Duration::from_millis(100);
    config.rules = without_3(&config.rules);
}

async fn start(
    cluster: Arc<RedisCluster>,
    (wait_replicas, work): (u16, &mut Workload),
) -> Run<Arc<RedisCluster>> {
    let mut script = Script::new(3).backlog(100_000);
    for op in work.ops(200) {
        script = script.before(op);
    }
    let master = ScriptedMaster::start(script, MasterOptions::default()).await.unwrap();
    let run = Run::go_on_with(master, cluster, |config| {
        configure(config);
        config.wait_replicas = wait_replicas;
    });
    assert!(timeout(LIMIT, run.master.stable()).await.is_ok());
    run
}

fn write(run: &Run<impl crate::run::Target>, work: &mut Workload, count: usize) {
    for op in work.ops(count) {
        run.master.apply(op).unwrap();
    }
}

/// How long a primary's replication stream is, in bytes.
fn offset(cluster: &RedisCluster, primary: usize) -> u64 {
    let info = cluster.client(primary).unwrap().expect(&[b"INFO", b"replication"]).unwrap().text().unwrap();
    let (_, rest) = info.split_once("master_repl_offset:").unwrap();
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

/// Each primary is killed once, under load, and a replica takes over that lacks what was written last.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_takes_over() {
    replicas_take_over(1, 0..3).await;
}

/// C26: the node that the target's address names dies for good, and so does the session. The run goes on by the other nodes.
#[tokio::test(flavor = "multi_thread")]
async fn the_named_node_dies_for_good() {
    let mut work = Workload { random: 5, model: Model::default() };
    let mut run = start(Arc::new(with_replicas()), (1, &mut work)).await;
    run.caught_up().await;
    let keys = run.reports.borrow().keys();
    let Run { master, redis, stop, reports, control, task } = run;
    let mut cluster = Arc::into_inner(redis).unwrap();
    cluster.kill(0).unwrap();
    let cluster = tokio::task::spawn_blocking(move || {
        cluster.wait_failover(0).unwrap();
        cluster
    });
    let cluster = Arc::new(cluster.await.unwrap());
    run = Run { master, redis: cluster, stop, reports, control, task };
    for _round in 0..3 {
        run.master.cut();
        write(&run, &mut work, 100);
        run.caught_up().await;
    }
    let report = run.ends_as(|mut model, cluster| {
        model.retain(|(db, _), _| *db == 0);
        assert_equal(&model, &user_keys(cluster));
    });
    assert_eq!(report.await.keys(), keys, "no other synchronisation");
}

/// C26: of several nodes that are named, one that is dead at the start is passed over.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_named_node_is_dead() {
    let master = ScriptedMaster::start(Script::new(2).before("SET k v"), MasterOptions::default()).await;
    let cluster = Arc::new(super::cluster());
    let run = Run::go_on_with(master.unwrap(), Arc::clone(&cluster), |config| {
        configure(config);
        config.other_targets = vec![config.target.clone()];
        config.target.port = 1;
    });
    run.master.apply("SET l v").unwrap();
    run.ends_as(|model, cluster| assert_equal(&model, &user_keys(cluster))).await;
}

/// A single server is at one address.
#[tokio::test(flavor = "multi_thread")]
async fn several_addresses_of_a_single_server() {
    let master = ScriptedMaster::start(Script::new(1), MasterOptions::default()).await.unwrap();
    let run = Run::go_on_with(master, crate::run::redis(), |config| {
        configure(config);
        config.other_targets = vec![config.target.clone()];
    });
    let error = run.task.await.unwrap().unwrap_err();
    assert!(
        error.to_string().contains("is a single server; only a cluster has several addresses"),
        "{error}"
    );
}

/// C27: another client empties one primary, while nothing is written and while much is. It is noticed, and everything is
/// synchronised again.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_is_emptied_by_another_client() {
    let mut work = Workload { random: 3, model: Model::default() };
    let cluster = Arc::new(super::cluster());
    let checkpoint = cluster.owner(cluster.slot(b"df2redis:checkpoint").unwrap()).unwrap();
    let mut run = start(cluster, (1, &mut work)).await;
    run.caught_up().await;
    run.settled().await;
    for (round, primary) in (0..3).map(|nth| (checkpoint + nth) % 3).chain([0, 1, 2]).enumerate() {
        let before = run.reports.borrow().keys();
        run.redis.client(primary).unwrap().expect(&[b"FLUSHALL"]).unwrap();
        let writes = round >= 3;
        let noticed = async {
            while run.reports.borrow_and_update().keys() == before {
                if writes {
                    write(&run, &mut work, 1);
                }
                run.reports.changed().await.unwrap();
            }
        };
        assert!(timeout(LIMIT, noticed).await.is_ok(), "primary {primary}, writes: {writes}");
        run.caught_up().await;
        run.settled().await;
    }
    // A flush of the source is none of that kind.
    let keys = run.reports.borrow().keys();
    for _round in 0..3 {
        run.master.apply("FLUSHALL").unwrap();
        work.model = Model::default();
        write(&run, &mut work, 50);
        run.caught_up().await;
    }
    let report = run.ends_as(|mut model, cluster| {
        model.retain(|(db, _), _| *db == 0);
        assert_equal(&model, &user_keys(cluster));
    });
    assert_eq!(report.await.keys(), keys, "no synchronisation more");
}

/// What no replica had is found to be missing, and everything is synchronised again.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_takes_over_that_was_not_waited_for() {
    replicas_take_over(0, 0..1).await;
}

async fn replicas_take_over(wait_replicas: u16, primaries: std::ops::Range<usize>) {
    let mut work = Workload { random: 99, model: Model::default() };
    let mut cluster = with_replicas();
    let mut run = start(Arc::new(cluster), (wait_replicas, &mut work)).await;
    for primary in primaries {
        write(&run, &mut work, 2000);
        // The handle is shared with nobody else between two accidents.
        let Run { master, redis, stop, reports, control, task } = run;
        cluster = Arc::into_inner(redis).unwrap();
        // What the replica does not have yet is written and answered when the primary dies.
        let replica = cluster.node(3 + primary).unwrap();
        replica.pause().unwrap();
        cluster.client(primary).unwrap().expect(&[b"CLIENT", b"KILL", b"TYPE", b"replica"]).unwrap();
        let before = offset(&cluster, primary);
        for op in work.ops(1000) {
            master.apply(op).unwrap();
        }
        while offset(&cluster, primary) < before + 5000 {
            std::thread::yield_now();
        }
        cluster.kill(primary).unwrap();
        cluster.node(3 + primary).unwrap().resume().unwrap();
        for op in work.ops(1000) {
            master.apply(op).unwrap();
        }
        let cluster = tokio::task::spawn_blocking(move || {
            cluster.wait_failover(primary).unwrap();
            cluster.restart(primary).unwrap();
            cluster
        });
        run = Run { master, redis: Arc::new(cluster.await.unwrap()), stop, reports, control, task };
        write(&run, &mut work, 500);
        run.caught_up().await;
    }
    let resharding = reshard(&run.redis, &["s0", "n1", "l2"]);
    write(&run, &mut work, 500);
    run.caught_up().await;
    resharding.end();
    run.ends_as(|mut model, cluster| {
        model.retain(|(db, _), _| *db == 0);
        super::property::assert_equal_but_for_moves(&model, user_keys(cluster));
    })
    .await;
}

/// A primary without a replica is killed and started again with what its append-only file holds: that is all, for the file
/// is written before each answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_comes_back_with_its_file() {
    primaries_come_back(&["--appendonly", "yes", "--appendfsync", "always"], false).await;
}

/// One that has no file has lost all its keys: everything is synchronised again.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_comes_back_without_its_data() {
    primaries_come_back(&[], true).await;
}

async fn primaries_come_back(args: &[&str], is_lost: bool) {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    let options = ClusterOptions { args, node_timeout_ms: 5000, ..super::options() };
    let mut cluster = RedisCluster::start(&options).unwrap();
    let mut work = Workload { random: 7, model: Model::default() };
    let mut run = start(Arc::new(cluster), (1, &mut work)).await;
    run.caught_up().await;
    let keys = run.reports.borrow().keys();
    for primary in [1, 0, 2] {
        write(&run, &mut work, 1000);
        let Run { master, redis, stop, reports, control, task } = run;
        cluster = Arc::into_inner(redis).unwrap();
        cluster.kill(primary).unwrap();
        for op in work.ops(300) {
            master.apply(op).unwrap();
        }
        cluster.restart(primary).unwrap();
        run = Run { master, redis: Arc::new(cluster), stop, reports, control, task };
        write(&run, &mut work, 300);
        run.caught_up().await;
    }
    let report = run.ends_as(|mut model, cluster| {
        model.retain(|(db, _), _| *db == 0);
        assert_equal(&model, &user_keys(cluster));
    });
    let more = report.await.keys() - keys;
    assert!((more > 0) == is_lost, "{more} keys of later snapshots");
}
