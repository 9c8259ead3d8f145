//! `demo --live`: a master that keeps writing, so that status, check and cutover can be tried without a Dragonfly.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use dfly_replica::{Phase, Stop};
use dfly_testkit::{
    CompareOptions, MasterOptions, Op, OpError, RedisServer, Script, ScriptedMaster, compare,
};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::info;

use super::{run_until, table};
use crate::commands::replication::{Begun, Start};
use crate::config::Environment;
use crate::console::Console;
use crate::control::flags::ControlFlags;
use crate::exit::Failure;
use crate::flags::{DemoFlags, ReplicateFlags, Settings};
use crate::logs::flags::LogFlags;
use crate::runtime;

/// Records in a second.
const RATE: u32 = 200;

/// Shards of the master.
const SHARDS: usize = 2;

/// Users that the master knows before anybody follows it.
const USERS: u32 = 2000;

/// The token with which the page changes something.
const TOKEN: &str = "demo";

pub(super) struct Live<'a> {
    pub flags: &'a DemoFlags,
    pub seconds: u64,
    pub log: LogFlags,
    pub console: &'a Console,
}

impl Live<'_> {
    pub(super) fn run(&self, redis: &RedisServer) -> Result<(), Failure> {
        let runtime = runtime::of_threads()?;
        let folder = tempfile::tempdir().context("cannot make a directory for the state")?;
        let state_dir = self.flags.state_dir.as_deref().unwrap_or(folder.path());
        let token = write_token(state_dir).context("cannot write the token")?;
        let master = runtime.block_on(ScriptedMaster::start(script(), master_options()));
        let master = master.context("the demo's master does not start")?;
        let flags = ReplicateFlags {
            settings: Settings {
                source: Some(format!("dragonfly://{}", master.address())),
                target: Some(format!("redis://{}", redis.address())),
                state_dir: Some(state_dir.to_owned()),
                log: self.log.clone(),
                control: ControlFlags {
                    dashboard_addr: self.flags.dashboard_addr.clone(),
                    control_token_file: Some(token),
                    ..ControlFlags::default()
                },
                ..Settings::default()
            },
            ..ReplicateFlags::default()
        };
        let config =
            write_config(&flags.settings, state_dir).context("cannot write the configuration file")?;
        let none = Environment::default();
        let start = Start::new(&flags, &none, self.console)?;
        let engine = start.engine_config()?;
        let (report, written) = runtime.block_on(start.run(|begun| {
            self.console.line(&invitation(&config, self.seconds, begun.page.as_deref()));
            write(&master, begun, Duration::from_secs(self.seconds))
        }))?;
        match written {
            Some(written) => written.context("the demo's master cannot write")?,
            // The run was stopped before the master: another one goes on for what came since.
            None => drop(runtime.block_on(run_until(engine, master.caught_up()))?),
        }
        let mut client = redis.client().context("cannot connect to the target")?;
        let options = CompareOptions {
            entries_read_may_be_unknown: true,
            reserved_prefix: Some("df2redis:".into()),
            ..CompareOptions::default()
        };
        let rows = master.rows();
        let comparison = compare(&mut client, &rows, &options).context("cannot read the target")?;
        table::show(&report, &comparison, &rows).context("cannot write the result")?;
        table::verdict(&comparison)
    }
}

/// The token is no secret: the demo changes nothing but itself.
fn write_token(dir: &Path) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(dir)?;
    let path = dir.join("demo.token");
    std::fs::write(&path, TOKEN)?;
    Ok(path)
}

/// A file for the commands that are tried meanwhile.
fn write_config(settings: &Settings, dir: &Path) -> std::io::Result<String> {
    let path = dir.join("demo.toml");
    let word = |text: &Option<String>| text.clone().unwrap_or_default();
    let text = format!(
        "source = \"{}\"\ntarget = \"{}\"\nstate-dir = \"{}\"\n",
        word(&settings.source),
        word(&settings.target),
        dir.display()
    );
    std::fs::write(&path, text)?;
    Ok(path.display().to_string())
}

fn invitation(config: &str, seconds: u64, page: Option<&str>) -> String {
    let page = page.map_or_else(String::new, |url| {
        format!("\n  {url} (the page of this run; the token for its buttons is \"{TOKEN}\")")
    });
    format!(
        "\
A demo master holds {USERS} users and writes {RATE} records a second for {seconds} s. Meanwhile try in another terminal:{page}
  df2redis-cli status  --config {config} --watch
  df2redis-cli check   --config {config}
  df2redis-cli cutover --config {config} --dry-run
  df2redis-cli cutover --config {config}
  df2redis-cli cutover --config {config} --release
Ctrl-C ends it early. At the end every key is compared."
    )
}

/// The master has the clock of this machine.
fn master_options() -> MasterOptions {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    MasterOptions { clock: Some(clock), ..MasterOptions::default() }
}

/// What the master holds at the start.
fn script() -> Script {
    let users = (0..USERS).flat_map(|user| {
        [
            format!("HSET user:{user} name user-{user} visits 0"),
            format!("ZADD ranking {} user:{user}", user % 97),
        ]
    });
    users.fold(Script::new(SHARDS), |script, op| script.before(Op::line(&op)))
}

/// What clients of a shop would write, one after the other.
fn op(nth: u64) -> Op {
    let user = nth.wrapping_mul(7919) % u64::from(USERS);
    let line = match nth % 8 {
        0 => format!("HINCRBY user:{user} visits 1"),
        1 => format!("ZINCRBY ranking 1 user:{user}"),
        2 => format!("SET session:{} user:{user}", nth % 500),
        3 => "INCR orders".to_owned(),
        4 => format!("RPUSH cart:{} item-{nth}", user % 100),
        5 => format!("SADD online user:{user}"),
        6 => format!("SREM online user:{user}"),
        _ => format!("DEL cart:{}", user % 100),
    };
    Op::line(&line)
}

/// Writes until the time is over, but not while a client has paused writes.
async fn write(master: &ScriptedMaster, mut begun: Begun, time: Duration) -> Result<(), OpError> {
    let followed = begun.reports.wait_for(|report| report.phase == Phase::StableSync).await.is_ok();
    let (end, mut nth) = (Instant::now() + time, 0);
    let mut ticks = interval(Duration::from_secs(1) / RATE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while followed && Instant::now() < end && *begun.stopped.borrow() == Stop::Running {
        ticks.tick().await;
        if !master.is_paused() {
            master.apply(op(nth))?;
            nth += 1;
        }
    }
    info!(records = nth, "the demo's master has written its last record");
    master.caught_up().await;
    Ok(())
}
