//! A target behind Sentinel whose primary is killed under load.

use std::time::Duration;

use dfly_testkit::{
    Certificates, MasterOptions, RedisClient, RedisSentinels, Script, ScriptedMaster, SentinelOptions,
    keyspace,
};
use rustix::process::Signal;
use tokio::time::timeout;

use crate::binary::{spawn, stop};
use crate::crash::{Random, operation};

const LIMIT: Duration = Duration::from_secs(60);

fn write(master: &ScriptedMaster, random: &mut Random, serials: std::ops::Range<u64>) {
    for serial in serials {
        // What the model refuses is not journaled.
        let _is_refused = master.apply(operation(random, serial).as_str()).is_err();
    }
}

async fn caught_up(master: &ScriptedMaster, when: &str) {
    assert!(
        timeout(LIMIT, master.caught_up()).await.is_ok(),
        "not caught up {when}: {:?}",
        master.violations()
    );
}

/// How far a server's replication has come, in bytes.
fn offset(client: &mut RedisClient, field: &str) -> u64 {
    let info = client.expect(&[b"INFO", b"replication"]).unwrap().text().unwrap();
    let value = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.unwrap().trim().parse().unwrap()
}

/// Everything that the primary has now is on its replica when this returns.
async fn replica_has_it(servers: &RedisSentinels) {
    let behind = async {
        let wanted = offset(&mut servers.first.client().unwrap(), "master_repl_offset");
        while offset(&mut servers.second.client().unwrap(), "slave_repl_offset") < wanted {
            tokio::task::yield_now().await;
        }
    };
    assert!(timeout(LIMIT, behind).await.is_ok(), "the replica stays behind");
}

/// The run goes on with the replica that was promoted, and ends as the model.
async fn fails_over(options: &SentinelOptions, (target, flags): (&str, &[&str])) {
    let master = ScriptedMaster::start(Script::new(3), MasterOptions::default()).await.unwrap();
    let mut servers = RedisSentinels::start(options).unwrap();
    let target = target.replace("SENTINELS", &servers.addresses());
    let source = format!("dragonfly://{}", master.address());
    let child = spawn(&[&["replicate", "--source", &source, "--target", &target], flags].concat());
    let mut random = Random(11);
    write(&master, &mut random, 1..2000);
    caught_up(&master, "before the primary is killed").await;
    replica_has_it(&servers).await;
    servers.first.kill().unwrap();
    write(&master, &mut random, 2000..3000);
    servers.fail_over().unwrap();
    write(&master, &mut random, 3000..4000);
    caught_up(&master, "behind the fail-over").await;
    let (status, log) = stop(child, Signal::INT);
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("target=orders of the sentinels 127.0.0.1:") && !log.contains("p@ss"), "{log}");
    assert!(log.contains("no connection to the target"), "{log}");
    let mut found = keyspace(&mut servers.second.client().unwrap()).unwrap();
    found.retain(|(_, key), _| !key.starts_with(b"df2redis:"));
    assert_eq!(found, master.keyspace());
    assert_eq!(master.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_replica_is_followed() {
    let options = SentinelOptions {
        sentinels: 3,
        password: Some("p@ss".to_owned()),
        sentinel_password: Some("s&p@ss".to_owned()),
        tls: None,
    };
    // A Sentinel that is gone is passed over.
    let target = "redis+sentinel://:p%40ss@127.0.0.1:1,SENTINELS/orders?sentinel-password=s%26p%40ss";
    fails_over(&options, (target, &[])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_replica_is_followed_with_tls() {
    let certificates = Certificates::for_loopback().unwrap();
    let options = SentinelOptions { tls: Some(certificates.server(false)), ..SentinelOptions::default() };
    let authority = ["--target-tls-ca", certificates.ca().to_str().unwrap()].map(str::to_owned);
    let flags = authority.each_ref().map(String::as_str);
    fails_over(&options, ("rediss+sentinel://SENTINELS/orders", &flags)).await;
}

/// The service is named, and so is who does not know it.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_nobody_knows() {
    let master = ScriptedMaster::start(Script::new(1), MasterOptions::default()).await.unwrap();
    let servers = RedisSentinels::start(&SentinelOptions::default()).unwrap();
    let (source, sentinels) = (format!("dragonfly://{}", master.address()), servers.addresses());
    let target = format!("redis+sentinel://{sentinels}/invoices");
    let child = spawn(&["replicate", "--source", &source, "--target", &target]);
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
    let log = crate::binary::stderr(&output);
    let line = format!(
        "error: cannot connect to the target at invoices of the sentinels {sentinels}: the sentinels know no service \"invoices\""
    );
    assert!(output.status.code() == Some(5) && log.contains(&line), "{log}");
}
