//! `migrate --engine redis-shake`: has RedisShake copy what the source holds now (documentation of the public repository
//! tair-opensource/RedisShake, version 4), by its scan reader, or from a file that the source writes with `SAVE RDB`.
//!
//! It follows no journal: what is written while it runs may be missing, so the comparison behind it says what the target is worth.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use dfly_check::{CheckConfig, Mode, Progress, Rounds, RunSignals, Store, Summary, tell_lines};
use dfly_replica::{EngineConfig, OnStart, TargetMode};
use redis_resp::Reply;
use redis_resp::connection::{Connection, Endpoint};
use serde::Serialize;
use tokio::process::Command;
use tokio::sync::watch;
use tracing::info;

use super::flags::{GoalFlags, MigrateFormat};
use crate::commands::check;
use crate::console::Console;
use crate::exit::Failure;

/// How long the source may take to write its file.
const SAVE: Duration = Duration::from_secs(3600);

/// RedisShake.
#[derive(Debug)]
pub(super) struct RedisShake<'a> {
    pub program: PathBuf,
    /// The file that the source is to write, as it is seen from this host; `None`: the keys are scanned.
    pub rdb: Option<&'a Path>,
    pub config: &'a EngineConfig,
}

/// Its configuration file.
#[derive(Debug, Serialize)]
struct File {
    #[serde(skip_serializing_if = "Option::is_none")]
    scan_reader: Option<ScanReader>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rdb_reader: Option<RdbReader>,
    redis_writer: Server,
    advanced: Advanced,
}

#[derive(Debug, Serialize)]
struct ScanReader {
    #[serde(flatten)]
    server: Server,
    scan: bool,
    ksn: bool,
}

#[derive(Debug, Serialize)]
struct RdbReader {
    filepath: String,
}

#[derive(Debug, Serialize)]
struct Server {
    cluster: bool,
    address: String,
    username: String,
    password: String,
    tls: bool,
}

#[derive(Debug, Serialize)]
struct Advanced {
    dir: String,
    log_file: String,
    log_level: &'static str,
    log_interval: u32,
    rdb_restore_command_behavior: &'static str,
}

/// Has it copy, and says how long that took and, if that is wanted, what the target is worth.
pub(super) async fn migrate(
    config: &EngineConfig,
    flags: &GoalFlags,
    console: &Console,
) -> Result<(), Failure> {
    if flags.dry_run || flags.until_lag.is_some() {
        return Err(Failure::Usage("--dry-run and --until-lag are of this tool's own engine".to_owned()));
    }
    let program = flags.engine_binary.clone().unwrap_or_else(|| PathBuf::from("redis-shake"));
    let took = RedisShake { program, rdb: flags.engine_rdb.as_deref(), config }.run(console).await?;
    let summary = match flags.verify {
        Some(mode) => Some(compare(config, mode).await?),
        None => None,
    };
    let told = match flags.format {
        MigrateFormat::Text => text(config, took, summary.as_ref()),
        MigrateFormat::Json => json(config, took, summary.as_ref()),
    };
    writeln!(std::io::stdout().lock(), "{told}").map_err(Failure::of_output)?;
    summary.as_ref().map_or(Ok(()), check::result)
}

/// Compares in rounds: there is no replication to be in step with.
async fn compare(config: &EngineConfig, mode: Mode) -> Result<Summary, Failure> {
    let store = Store::temporary().context("what differs cannot be kept")?;
    let (progress, _unseen) = watch::channel(Progress::default());
    let (_stop, stopped) = watch::channel(false);
    let config = CheckConfig { mode, ..CheckConfig::new(config.clone()) };
    let done = Box::pin(Rounds::new(config, &store, RunSignals { progress, stop: stopped }).run()).await;
    Ok(done.context("the target could not be compared")?)
}

fn text(config: &EngineConfig, took: Duration, summary: Option<&Summary>) -> String {
    let verdict = summary.map_or_else(
        || {
            "not known: nothing was compared, and RedisShake follows no writes (--verify full compares)"
                .to_owned()
        },
        |summary| {
            format!(
                "{}: {} keys compared, {} differ",
                summary.sentence(),
                summary.compared,
                summary.different
            )
        },
    );
    format!(
        "source          {}\ntarget          {}\nengine          RedisShake\ncopying         {:.2} s\nverdict         {verdict}",
        config.source,
        config.target,
        took.as_secs_f64(),
    )
}

fn json(config: &EngineConfig, took: Duration, summary: Option<&Summary>) -> String {
    serde_json::json!({
        "source": config.source.to_string(),
        "target": config.target.to_string(),
        "engine": "redis-shake",
        "seconds": {"copying": took.as_secs_f64()},
        "verdict": summary,
    })
    .to_string()
}

/// What it cannot do; told before it runs.
fn check(config: &EngineConfig) -> Result<(), Failure> {
    let sides = [&config.source, &config.target];
    let reason = if !config.rules.selection.is_everything() {
        "copies all keys under their own names here, and the settings leave out or rename some"
    } else if config.target.sentinels.is_some() {
        "is given an address here, and the target is found by Sentinels"
    } else if sides.iter().any(|side| side.socket.is_some()) {
        "is given addresses here, and a side is a socket of this host"
    } else if matches!(config.on_start, OnStart::Mirror | OnStart::Flush) {
        "removes nothing from the target, and --on-start says so"
    } else {
        return Ok(());
    };
    Err(Failure::Usage(format!("--engine redis-shake: RedisShake {reason}")))
}

impl RedisShake<'_> {
    /// Runs it to its end. `tell` is where its lines go.
    pub(super) async fn run(&self, console: &Console) -> Result<Duration, Failure> {
        check(self.config)?;
        let began = Instant::now();
        if let Some(rdb) = self.rdb {
            save(&self.config.source, rdb).await?;
        }
        let folder = tempfile::tempdir().context("cannot make a directory for RedisShake")?;
        let file = folder.path().join("shake.toml");
        write(&file, &self.file(folder.path()).await?).context("cannot write RedisShake's configuration")?;
        info!(program = %self.program.display(), "RedisShake copies what the source holds now");
        let spawned = Command::new(&self.program)
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut child = spawned.map_err(|error| {
            anyhow!(
                "{} cannot be run ({error}): install RedisShake 4, or name its program with --engine-binary",
                self.program.display()
            )
        })?;
        tell_lines(&mut child, &|line| console.line(line)).await;
        let status = child.wait().await.context("RedisShake was lost")?;
        match status.success() {
            true => Ok(Instant::now() - began),
            false => Err(Failure::Other(anyhow!("RedisShake ended with {status}; its last lines say why"))),
        }
    }

    async fn file(&self, folder: &Path) -> Result<String, Failure> {
        let behavior = if self.config.on_start == OnStart::Merge { "rewrite" } else { "panic" };
        let text = |path: PathBuf| path.display().to_string();
        let scan_reader = match self.rdb {
            Some(_) => None,
            None => {
                Some(ScanReader { server: server(&self.config.source, false).await?, scan: true, ksn: false })
            }
        };
        let file = File {
            scan_reader,
            rdb_reader: self.rdb.map(|rdb| RdbReader { filepath: rdb.display().to_string() }),
            redis_writer: server(&self.config.target, self.config.target_mode == TargetMode::Cluster).await?,
            advanced: Advanced {
                dir: text(folder.join("data")),
                log_file: "shake.log".to_owned(),
                log_level: "info",
                log_interval: 5,
                rdb_restore_command_behavior: behavior,
            },
        };
        Ok(toml::to_string(&file).context("RedisShake's configuration")?)
    }
}

async fn server(endpoint: &Endpoint, cluster: bool) -> Result<Server, Failure> {
    let (username, password) = match &endpoint.credentials {
        Some(login) => {
            let words = login.request(endpoint.peer).await.context("the password cannot be read")?;
            let password = words.last().map(|word| String::from_utf8_lossy(word).into_owned());
            (login.user.clone().unwrap_or_default(), password.unwrap_or_default())
        }
        None => Default::default(),
    };
    let address = format!("{}:{}", endpoint.host, endpoint.port);
    Ok(Server { cluster, address, username, password, tls: endpoint.tls.is_some() })
}

/// It holds passwords, so nobody else may read it.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// Has the source write its file, and makes sure that it is to be seen here.
async fn save(source: &Endpoint, rdb: &Path) -> Result<(), Failure> {
    let name = rdb.file_name().and_then(|name| name.to_str()).filter(|_| rdb.is_absolute());
    let name = name.ok_or_else(|| {
        Failure::Usage(format!("--engine-rdb {}: an absolute path of a file is expected", rdb.display()))
    })?;
    info!(file = name, "the source writes its snapshot");
    let patient = Endpoint { reply_timeout: SAVE, ..source.clone() };
    let mut connection = Connection::open(&patient).await.context("the source cannot be reached")?;
    if let Some(login) = &source.credentials
        && let Reply::Error(error) = connection.log_in(login).await.context("the source cannot be reached")?
    {
        return Err(Failure::Other(anyhow!("the source refuses the login: {error}")));
    }
    let saved = connection.ask(&["SAVE", "RDB", name]).await.context("the source does not save")?;
    if let Reply::Error(error) = saved {
        return Err(Failure::Other(anyhow!("the source does not save: {error}")));
    }
    match rdb.is_file() {
        true => Ok(()),
        false => Err(Failure::Other(anyhow!(
            "the source has written {name}, but there is no {}: name the file in the source's own --dir, on this host",
            rdb.display()
        ))),
    }
}
