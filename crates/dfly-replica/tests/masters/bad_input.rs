//! What cannot be replicated ends with one clear line.

use dfly_replica::{Blame, Error};
use dfly_testkit::{Capa, Mangle, MasterOptions, RecordedMaster, Recording, RedisOptions, RedisServer};
use dfly_translate::{Policy, Rules};
use redis_resp::connection::Credentials;

use crate::run::{config, redis, until_it_ends};

async fn against(options: MasterOptions) -> Error {
    let recording = Recording::bundled("types-lz4-2shards").unwrap();
    let (master, redis) = (RecordedMaster::start(recording, options).await.unwrap(), redis());
    let error = until_it_ends(config(&master, &redis)).await.unwrap_err();
    assert_eq!(master.violations(), [""; 0], "P28: {error}");
    if master.sent(0, 0) == 0 {
        let mut client = redis.client().unwrap();
        assert_eq!(client.command(&[b"DBSIZE"]).unwrap().int(), Some(0), "{error}");
    }
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_are_no_master() {
    for (capa, words) in
        [(Capa::Redis, "not a Dragonfly"), (Capa::Old, "before v1.4"), (Capa::Replica, "itself a replica")]
    {
        let error = against(MasterOptions { capa, ..MasterOptions::default() }).await;
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.blame(), Blame::Source);
    }
    let error = against(MasterOptions { loading: true, ..MasterOptions::default() }).await;
    assert!(error.to_string().contains("loading"), "{error}");
    let error = against(MasterOptions { password: Some("other".into()), ..MasterOptions::default() }).await;
    assert!(error.to_string().contains("login"), "{error}");
}

/// P22: an unknown opcode is named with its offset.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_opcode() {
    let mangle = Mangle { session: 0, flow: 0, offset: 9, remove: 0, insert: vec![0xe7] };
    let error = against(MasterOptions { mangle: Some(mangle), ..MasterOptions::default() }).await;
    let text = error.to_string();
    assert!(text.contains("flow 0") && text.contains("0xe7") && text.contains("offset 9"), "{text}");
}

/// P14: a target that refuses one key ends the run, and the key is named.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_target_refuses() {
    let recording = Recording::bundled("types-lz4-2shards").unwrap();
    let master = RecordedMaster::start(recording, MasterOptions::default()).await.unwrap();
    let redis = redis();
    let mut client = redis.client().unwrap();
    client.expect(&[b"ACL", b"SETUSER", b"writer", b"on", b">pw", b"+@all", b"~df2redis*"]).unwrap();
    let mut config = config(&master, &redis);
    config.target.credentials = Some(Credentials { user: Some("writer".into()), password: "pw".into() });
    let error = until_it_ends(config).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("the target refuses ") && text.contains(" \"") && text.contains("NOPERM"),
        "{text}"
    );
    assert_eq!(error.blame(), Blame::Target);
}

/// What the target cannot hold stops the run before anything of the key is written, and the key is named.
#[tokio::test(flavor = "multi_thread")]
async fn an_unsupported_type_under_the_default_policy() {
    let recording = Recording::bundled("types-lz4-2shards").unwrap();
    let (master, redis) =
        (RecordedMaster::start(recording, MasterOptions::default()).await.unwrap(), redis());
    let mut config = config(&master, &redis);
    config.rules = Rules::from(Policy::Fail).into();
    let error = until_it_ends(config).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("the target cannot hold the value of key \""), "{text}");
    assert_eq!(error.blame(), Blame::Target);
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_that_take_no_writes() {
    let recording = Recording::bundled("types-lz4-2shards").unwrap();
    let master = RecordedMaster::start(recording, MasterOptions::default()).await.unwrap();
    let primary = redis();
    let port = primary.address().port().to_string();
    for (args, words) in [
        (vec!["--cluster-enabled".to_owned(), "yes".to_owned()], "nobody owns slot 0"),
        (vec!["--replicaof".to_owned(), "127.0.0.1".to_owned(), port], "is a replica"),
        (vec!["--requirepass".to_owned(), "pw".to_owned()], "refuses the login"),
    ] {
        let requirepass = (args[0] == "--requirepass").then(|| "pw".to_owned());
        let args = if requirepass.is_some() { Vec::new() } else { args };
        let target =
            RedisServer::start(RedisOptions { args, requirepass, ..RedisOptions::default() }).unwrap();
        let error = until_it_ends(config(&master, &target)).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.blame(), Blame::Target);
    }
    let mut nobody = config(&master, &primary);
    nobody.target.port = 1;
    let error = until_it_ends(nobody).await.unwrap_err();
    assert!(error.to_string().contains("cannot connect to the target at 127.0.0.1:1"), "{error}");
    assert_eq!(master.commands().len(), 0, "a source is not asked before the target is known to be fit");
}
