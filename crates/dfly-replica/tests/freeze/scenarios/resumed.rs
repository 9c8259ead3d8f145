//! Sessions that go on where another stood.

use dfly_testkit::{PartialForm, Script};

use super::{ONCE, TARGETS, a_little};
use crate::run::Stage;

const FORMS: [(PartialForm, &str); 2] =
    [(PartialForm::StartStable, "journal"), (PartialForm::Sync, "snapshot")];

fn in_form(form: PartialForm) -> Script {
    a_little(2).partial(form)
}

/// The snapshot with records in it, then records one by one and in groups.
#[tokio::test]
async fn from_the_snapshot_to_the_journal() {
    for nodes in TARGETS {
        let script = a_little(2).during("INCR n").during("SET new 1").tail("APPEND s y").tail("DEL new");
        let mut stage = Stage::set(script, nodes).await;
        stage.go();
        stage.settled().await;
        stage.one_by_one(ONCE).await;
        stage.together(ONCE).await;
        stage
            .one_by_one(["MSET a 1 b 2 c 3 d 4", "DEL a b c", "PEXPIREAT s 1990000000000", "PERSIST s"])
            .await;
        stage.one_by_one(["XADD x 2-1 f v", "SADD t q", "SREM t a", "SET s kept KEEPTTL", "SET big 0"]).await;
        stage.master.ping();
        stage.settled().await;
        stage.stop().await;
        stage.compare("journal");
    }
}

#[tokio::test]
async fn behind_an_orderly_stop() {
    for (form, name) in FORMS {
        for nodes in TARGETS {
            let mut stage = Stage::set(in_form(form), nodes).await;
            stage.go();
            stage.settled().await;
            stage.one_by_one(["INCR n", "SET s w PXAT 1990000000001"]).await;
            stage.stop().await;
            stage.apply(ONCE);
            stage.go();
            stage.settled().await;
            stage.one_by_one(ONCE).await;
            stage.stop().await;
            stage.compare(&format!("stopped-{name}"));
        }
    }
}

#[tokio::test]
async fn behind_a_kill() {
    for (form, name) in FORMS {
        for nodes in TARGETS {
            let mut stage = Stage::set(in_form(form), nodes).await;
            stage.go();
            stage.settled().await;
            stage.one_by_one(["INCR n", "SET s w PXAT 1990000000001"]).await;
            stage.kill().await;
            stage.apply(ONCE);
            stage.go();
            stage.settled().await;
            stage.one_by_one(ONCE).await;
            stage.stop().await;
            stage.compare_without_heard(&format!("killed-{name}"));
        }
    }
}

/// Killed while a transaction was on its way that the target has carried out, or not.
#[tokio::test]
async fn behind_a_kill_with_a_transaction_in_flight() {
    for (carried_out, name) in [(0, "lost"), (1, "done")] {
        for nodes in TARGETS {
            let mut stage = Stage::set(in_form(PartialForm::StartStable), nodes).await;
            stage.go();
            stage.settled().await;
            stage.held(["INCR n"]).await;
            stage.target.break_writers(carried_out);
            stage.kill().await;
            stage.go();
            stage.settled().await;
            stage.one_by_one(["INCR n", "APPEND s x"]).await;
            stage.stop().await;
            stage.compare(&format!("killed-in-flight-{name}"));
        }
    }
}

/// The source's connections break, and are opened again by the same run.
#[tokio::test]
async fn within_a_run() {
    for (form, name) in FORMS {
        for nodes in TARGETS {
            let mut stage = Stage::set(in_form(form), nodes).await;
            stage.go();
            stage.settled().await;
            stage.one_by_one(["INCR n"]).await;
            stage.master.cut();
            stage.apply(ONCE);
            stage.settled().await;
            stage.one_by_one(["INCR n"]).await;
            stage.stop().await;
            stage.compare(&format!("cut-{name}"));
        }
    }
}

/// The source was promoted: the positions are moved to it.
#[tokio::test]
async fn from_a_promoted_replica() {
    for (form, name) in FORMS {
        for nodes in TARGETS {
            let mut stage = Stage::set(in_form(form), nodes).await;
            stage.go();
            stage.settled().await;
            stage.one_by_one(["INCR n"]).await;
            stage.master.fail_over();
            stage.apply(ONCE);
            stage.settled().await;
            stage.one_by_one(["INCR n"]).await;
            stage.stop().await;
            stage.master.fail_over();
            stage.apply(["APPEND s x"]);
            stage.go();
            stage.settled().await;
            stage.stop().await;
            stage.compare(&format!("fail-over-{name}"));
        }
    }
}

/// The backlog does not reach back, or there is none: everything is synchronised anew, over what is there.
#[tokio::test]
async fn anew() {
    for nodes in TARGETS {
        let mut stage = Stage::set(a_little(1).before("SET gone v").backlog(2), nodes).await;
        stage.go();
        stage.settled().await;
        stage.one_by_one(["INCR n"]).await;
        stage.stop().await;
        stage.apply(["DEL gone", "INCR n", "INCR n", "INCR n"]);
        stage.go();
        stage.settled().await;
        stage.one_by_one(["RPUSH l d", "RPUSH newcomer a"]).await;
        stage.master.restart();
        stage.settled().await;
        stage.one_by_one(["RPUSH l e"]).await;
        stage.stop().await;
        stage.compare("anew");
    }
}
