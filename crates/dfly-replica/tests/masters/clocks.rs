//! C22: the clock of the tool's host decides nothing that touches data.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dfly_replica::Clock;
use dfly_testkit::{MasterOptions, Script, ScriptedMaster};
use dfly_wire::UnixMillis;

use crate::run::redis;
use crate::workload::{Run, patient};

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

fn ten_minutes_ahead() -> UnixMillis {
    UnixMillis(Clock::system().host().0 + 600_000)
}

fn ten_minutes_behind() -> UnixMillis {
    UnixMillis(Clock::system().host().0 - 600_000)
}

/// Keys, members and records that expire in five minutes are there, and those that have expired are not.
#[tokio::test(flavor = "multi_thread")]
async fn the_host_may_be_ten_minutes_wrong() {
    for host in [ten_minutes_ahead as fn() -> UnixMillis, ten_minutes_behind] {
        let soon = now().as_millis() + 300_000;
        let script = Script::new(1)
            .before(format!("SET before v PXAT {soon}").as_str())
            .during(format!("SET during v PXAT {soon}").as_str());
        let options = MasterOptions { clock: Some(now), ..MasterOptions::default() };
        let master = ScriptedMaster::start(script, options).await.unwrap();
        let mut run = Run::go_on_with(master, redis(), |config| {
            patient(config);
            config.clock = Clock::new(host);
        });
        run.caught_up().await;
        run.master.apply(format!("SET later v PXAT {soon}").as_str()).unwrap();
        run.master.apply(format!("PEXPIREAT later {}", soon + 1000).as_str()).unwrap();
        run.ends_as_the_model().await;
    }
}
