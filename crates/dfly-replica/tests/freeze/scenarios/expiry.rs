//! Keys, and members of keys, that expire.

use dfly_testkit::Script;

use super::{ONCE, TARGETS, a_little, raw};
use crate::run::{Stage, set_clock};
use crate::target::NOW;

/// Keys that expire within the time for which the target may let records wait.
fn volatile() -> Script {
    let soon = NOW + 5_000;
    ["s", "n", "l", "h", "z"]
        .into_iter()
        .fold(a_little(1), |script, key| script.before(format!("PEXPIREAT {key} {soon}").as_str()))
}

/// Records of such keys are checked on the target; of one that is gone there the key is read again.
#[tokio::test]
async fn too_early() {
    for nodes in TARGETS {
        let mut stage = Stage::set(volatile(), nodes).await;
        stage.go();
        stage.settled().await;
        stage.one_by_one(ONCE).await;
        stage.target.forget(0, "h");
        stage.one_by_one(["HSET h q 1", "HSET h q 2", "SADD t q"]).await;
        stage.one_by_one(["PERSIST n", "INCR n", "SET z 1", "APPEND z x"]).await;
        stage.stop().await;
        stage.compare("expired-early");
    }
}

/// Records come in the snapshot behind the expiry of their keys: they are read again.
#[tokio::test]
async fn before_they_came() {
    for nodes in TARGETS {
        let script = volatile().during("INCR n");
        set_clock(NOW + 60_000);
        let mut stage = Stage::set(script, nodes).await;
        stage.go();
        stage.settled().await;
        stage.one_by_one(["INCR n"]).await;
        stage.stop().await;
        set_clock(NOW);
        stage.compare("expired-before");
    }
}

/// Behind a kill it is not known what expires on the target, until it was looked at.
#[tokio::test]
async fn unknown() {
    for nodes in TARGETS {
        let mut stage = Stage::set(volatile(), nodes).await;
        stage.go();
        stage.settled().await;
        stage.kill().await;
        stage.target.forget(0, "n");
        stage.apply(["INCR n"]);
        stage.go();
        stage.settled().await;
        stage.one_by_one(ONCE).await;
        stage.stop().await;
        stage.compare("expiries-unknown");
    }
}

/// Members whose time the target cannot keep: noted beside the key, swept, and removed before a record that touches it.
#[tokio::test]
async fn of_members() {
    for nodes in TARGETS {
        let mut stage = Stage::set(a_little(1), nodes).await;
        stage.go();
        stage.settled().await;
        stage
            .one_by_one([
                raw("SADDEX t 100 a q"),
                raw("FIELDEXPIRE h 100 FIELDS 1 f"),
                raw("HSETEX h 50 k v"),
            ])
            .await;
        stage.one_by_one(["SADD t r", "RENAME t u", "RENAME u t"]).await;
        set_clock(NOW + 200_000);
        stage.one_by_one(["SADD t w"]).await;
        stage.stop().await;
        stage.go();
        stage.settled().await;
        stage.one_by_one(["SADD t y", "DEL h", "SADD t z"]).await;
        stage.stop().await;
        set_clock(NOW);
        stage.compare("members");
    }
}
