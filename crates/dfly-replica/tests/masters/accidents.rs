//! What happens between two runs of records, to a master, a target, or the tool.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dfly_replica::{Blame, Error, Stop};
use dfly_testkit::{Op, RedisCluster, RedisServer, ScriptedMaster};
use tokio::time::timeout;

use crate::run::Target;
use crate::workload::{LIMIT, Run, Workload};

#[derive(Debug, Clone, Copy)]
pub(crate) enum Accident {
    SourceCut,
    /// The tool's connections to one of the target's servers.
    TargetCut(usize),
    Pause(usize),
    /// Keys expire on the target while it stands still, and have lost their expiry on the source in time.
    Volatile,
    Flush,
    FlushDb(u32),
    /// The tool is killed, and started again.
    Crash,
    /// It is stopped, and started again.
    Stop,
    /// The source is another process then, without a backlog.
    Restart,
    FailOver,
}

/// A target to which something can happen.
pub(crate) trait Victim: Target {
    /// One of its servers.
    fn server(&self, nth: usize) -> &RedisServer;

    /// Closes the tool's connections to a server, and nobody else's.
    fn cut(&self, nth: usize) {
        let mut client = self.server(nth).client().unwrap();
        let list = client.expect(&[b"CLIENT", b"LIST"]).unwrap().text().unwrap();
        let ours = list.lines().filter(|line| line.contains(" name=df2redis "));
        for id in ours.filter_map(|line| line.strip_prefix("id=")?.split(' ').next()) {
            client.command(&[b"CLIENT", b"KILL", b"ID", id.as_bytes()]).unwrap();
        }
    }
}

impl Victim for RedisServer {
    fn server(&self, _nth: usize) -> &RedisServer {
        self
    }
}

impl Victim for Arc<RedisCluster> {
    fn server(&self, nth: usize) -> &RedisServer {
        self.node(nth).unwrap()
    }
}

/// Applies to both.
fn apply(op: &Op, run: &Run<impl Target>, work: &mut Workload) {
    run.master.apply(op.clone()).unwrap();
    work.model.apply(op).unwrap();
}

fn write(run: &Run<impl Target>, work: &mut Workload, count: usize) {
    for op in work.ops(count) {
        run.master.apply(op).unwrap();
    }
}

async fn caught_up(run: &Run<impl Target>) {
    assert!(timeout(LIMIT, run.master.caught_up()).await.is_ok(), "{:?}", run.master.violations());
}

/// Lets it happen; a run that ends by it is followed by one that `start` begins.
pub(crate) async fn befalls<T: Victim>(
    accident: Accident,
    run: Run<T>,
    work: &mut Workload,
    start: impl FnOnce(ScriptedMaster, T) -> Run<T>,
) -> Run<T> {
    match accident {
        Accident::SourceCut => run.master.cut(),
        Accident::TargetCut(nth) => run.redis.cut(nth),
        Accident::Pause(nth) => {
            run.redis.server(nth).pause().unwrap();
            write(&run, work, 100);
            run.redis.server(nth).resume().unwrap();
        }
        Accident::Volatile => volatile(&run, work).await,
        Accident::Flush => apply(&Op::line("FLUSHALL"), &run, work),
        Accident::FlushDb(db) => apply(&Op::line("FLUSHDB").in_db(db), &run, work),
        Accident::Crash => {
            run.task.abort();
            assert!(run.task.await.unwrap_err().is_cancelled());
            return start(run.master, run.redis);
        }
        Accident::Stop => {
            run.stop.send_replace(Stop::Drain);
            let ended = run.task.await.unwrap();
            // A target that is gone at that moment is not waited for.
            let blame = ended.as_ref().err().map(Error::blame);
            assert!(matches!(blame, None | Some(Blame::Target | Blame::Unfinished)), "{ended:?}");
            return start(run.master, run.redis);
        }
        // A run that starts behind it would refuse the old one's positions.
        Accident::Restart | Accident::FailOver => {
            caught_up(&run).await;
            write(&run, work, 10);
            match accident {
                Accident::Restart => run.master.restart(),
                _ => run.master.fail_over(),
            }
            caught_up(&run).await;
        }
    }
    run
}

async fn volatile(run: &Run<impl Victim>, work: &mut Workload) {
    run.redis.server(0).pause().unwrap();
    let soon = SystemTime::now() + Duration::from_millis(100);
    let at = soon.duration_since(UNIX_EPOCH).unwrap().as_millis();
    try_all(run, work, |key| format!("PEXPIREAT {key} {at}"));
    write(run, work, 30);
    try_all(run, work, |key| format!("PERSIST {key}"));
    tokio::time::sleep(soon.duration_since(SystemTime::now()).unwrap_or_default()).await;
    run.redis.server(0).resume().unwrap();
}

/// For every key that takes it.
fn try_all(run: &Run<impl Target>, work: &mut Workload, line: impl Fn(String) -> String) {
    for (name, serial) in
        ["s", "l", "h", "t", "z", "n", "x", "big"].into_iter().flat_map(|name| (0..6).map(move |k| (name, k)))
    {
        for db in [0, 3] {
            let op = Op::line(&line(format!("{name}{serial}"))).in_db(db);
            if work.model.apply(&op).is_ok() {
                run.master.apply(op).unwrap();
            }
        }
    }
}
