use std::time::Duration;

use dfly_testkit::{ClusterOptions, RedisClient, RedisCluster};

use crate::load::{Load, log, options, run, text};

/// Closes every connection of that name; how many there were.
fn kill(client: &mut RedisClient) -> usize {
    let list = text(client, "CLIENT LIST");
    let ours: Vec<&str> = list.lines().filter(|line| line.contains("name=df2redis ")).collect();
    for line in &ours {
        let id = line.strip_prefix("id=").unwrap().split(' ').next().unwrap();
        run(client, &format!("CLIENT KILL ID {id}"));
    }
    ours.len()
}

/// P6, P18: connections are killed again and again, with transactions on their way.
#[tokio::test]
async fn killed_connections_repeat_nothing() {
    let cluster = RedisCluster::start(&ClusterOptions::default()).unwrap();
    let mut load = Load::start(&cluster, 24).await;
    let mut clients: Vec<RedisClient> = (0..3).map(|node| cluster.client(node).unwrap()).collect();
    let (mut killed, mut in_doubt) = (0, 0);
    while killed < 60 {
        for _ in 0..5 {
            load.write();
            load.progress().await;
        }
        let node = killed % 3;
        let count = kill(&mut clients[node]);
        killed += count;
        while count > 0 && load.pipeline.gone().next().is_none() && !load.pipeline.window().is_empty() {
            load.progress().await;
        }
        in_doubt += usize::from(load.pipeline.gone().next().is_some());
    }
    assert!(in_doubt > 10, "{in_doubt} of {killed}");
    load.finish().await;
    load.check(&cluster);
    assert_eq!(load.pipeline.gone().count(), 0);
    // A node has one connection at the most: those before it are gone.
    assert!(clients.iter_mut().map(kill).all(|connections| connections <= 1));
}

/// A primary with its replica, slots of it among those that are written to.
async fn with_replicas(patience: Duration) -> (RedisCluster, Load, Vec<usize>) {
    let cluster =
        RedisCluster::start(&ClusterOptions { replicas_per_primary: 1, ..ClusterOptions::default() })
            .unwrap();
    let mut options = options(&cluster);
    options.endpoint.reply_timeout = patience;
    let mut load = Load::start_with(options, 24).await;
    for _ in 0..200 {
        load.write();
        load.progress().await;
    }
    let owners: Vec<usize> =
        load.slots.iter().map(|written| cluster.owner(written.slot.0).unwrap()).collect();
    assert!(owners.contains(&1));
    (cluster, load, owners)
}

/// Writes on until node 1 is replaced and everything has settled. Nothing is twice, and nothing is missing but what node 1 had
/// answered and not passed on: in each of its slots the last ones before it was lost.
async fn outlive(cluster: &RedisCluster, mut load: Load, owners: Vec<usize>) {
    let (address, submitted) = (cluster.node(1).unwrap().address().to_string(), load.next);
    while load.pipeline.gone().next().is_none() {
        load.write();
        load.progress().await;
    }
    let gone: Vec<String> = load.pipeline.gone().map(|gone| gone.address.to_string()).collect();
    assert_eq!(gone, [address.as_str()]);
    while load.settled < submitted + 100 {
        load.write();
        load.progress().await;
    }
    load.finish().await;
    // A connection that broke last may still be on its way back.
    while load.pipeline.gone().next().is_some() {
        load.progress().await;
    }
    let replaced: Vec<String> = load.pipeline.take_replaced().iter().map(ToString::to_string).collect();
    assert_eq!(replaced, [address]);
    for (written, owner) in load.slots.iter().zip(owners) {
        let log = log(cluster, written);
        let missing: Vec<u64> = written.transactions.iter().copied().filter(|at| !log.contains(at)).collect();
        assert!(log.is_sorted_by(|a, b| a < b), "{}: {log:?}", written.tag);
        assert!(owner == 1 || missing.is_empty(), "{}: {missing:?}", written.tag);
        assert!(missing.iter().all(|at| *at < submitted), "{}: {missing:?}", written.tag);
        let gap = written.transactions.iter().skip_while(|at| !missing.contains(at));
        assert!(gap.take(missing.len()).eq(&missing), "{}: {missing:?}", written.tag);
        load.check_slot(cluster, written, log.len());
    }
}

#[tokio::test]
async fn a_primary_dies_and_is_replaced() {
    let (mut cluster, load, owners) = with_replicas(Duration::from_secs(5)).await;
    cluster.kill(1).unwrap();
    outlive(&cluster, load, owners).await;
    assert_eq!(cluster.wait_failover(1).unwrap(), 4);
}

/// It keeps its connections open, and gives no reply on them.
#[tokio::test]
async fn a_primary_stands_still_and_is_replaced() {
    let (cluster, load, owners) = with_replicas(Duration::from_secs(1)).await;
    cluster.node(1).unwrap().pause().unwrap();
    outlive(&cluster, load, owners).await;
    cluster.node(1).unwrap().resume().unwrap();
}
