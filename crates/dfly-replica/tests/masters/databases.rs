//! C7: databases that the target lacks.

use dfly_replica::Error;
use dfly_testkit::{MasterOptions, Op, RedisOptions, RedisServer, Script, ScriptedMaster};

use crate::run::user_keys;
use crate::workload::{Run, patient};

/// A target with four databases.
fn four() -> RedisServer {
    let args = ["--databases", "4"].map(str::to_owned).into();
    RedisServer::start(RedisOptions { args, ..RedisOptions::default() }).unwrap()
}

async fn master(script: Script) -> ScriptedMaster {
    ScriptedMaster::start(script, MasterOptions::default()).await.unwrap()
}

/// The source has keys in one: nothing is written at all.
#[tokio::test(flavor = "multi_thread")]
async fn known_at_the_start() {
    let script = Script::new(1).before("SET k 0").before(Op::line("SET k 4").in_db(4));
    let run = Run::go_on_with(master(script).await, four(), patient);
    let (task, redis) = (run.task, run.redis);
    let error = task.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::NoDatabase { db: 4, to: 4, databases: 4 }), "{error}");
    assert!(user_keys(&redis).is_empty());
}

/// The first record for one comes later: the run ends before it, and no other database is touched by it.
#[tokio::test(flavor = "multi_thread")]
async fn known_by_a_record() {
    let script = Script::new(1).before("SET k 0").before(Op::line("SET k 3").in_db(3));
    let mut run = Run::go_on_with(master(script).await, four(), patient);
    run.caught_up().await;
    run.master.apply(Op::line("SET k 7").in_db(7)).unwrap();
    let (task, redis) = (run.task, run.redis);
    let error = task.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("database 7") && error.contains("databases 0 to 3"), "{error}");
    let mut client = redis.client().unwrap();
    assert_eq!(client.expect(&[b"GET", b"k"]).unwrap().text().as_deref(), Some("0"));
    assert_eq!(user_keys(&redis).len(), 2);
}
