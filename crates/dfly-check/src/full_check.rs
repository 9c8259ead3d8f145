//! Has redis-full-check compare, and reads its result (README of the public repository tair-opensource/RedisFullCheck).
//!
//! It looks up the keys of its source on its target only, so it is run in both directions: what the second one misses is extra.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

use dfly_replica::{SourceKey, TargetKey, TargetMode};
use dfly_wire::DbIndex;
use redis_resp::connection::Endpoint;
use rusqlite::{Connection, OpenFlags};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use crate::config::CheckConfig;
use crate::error::CheckError;
use crate::mode::Mode;
use crate::plan::source_databases;
use crate::report::About;
use crate::store::{Changes, Finding, Store, facts};
use crate::summary::Summary;
use crate::throttle::Throttle;
use crate::verdict::{Certainty, Different, Outline, Pair, What};

/// How many requests a second it sends if nothing else is asked for, as it does by default.
const QPS: u64 = 15_000;

/// redis-full-check.
#[derive(Debug)]
pub struct FullCheck {
    program: PathBuf,
    config: CheckConfig,
}

/// Which side is looked up on the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

/// A row of its result.
#[derive(Debug)]
struct Row {
    key: Vec<u8>,
    kind: String,
    conflict: String,
    db: u32,
    lengths: (u64, u64),
}

impl FullCheck {
    /// The program, which is looked up in PATH if it is a bare name.
    pub fn new(program: PathBuf, config: CheckConfig) -> Self {
        Self { program, config }
    }

    /// Runs it in both directions. `tell` hears every line that it writes.
    ///
    /// # Errors
    /// It is not installed, cannot compare these sides, or the file fails. What it could not compare is told by the summary.
    pub async fn run(&self, store: &Store, tell: impl Fn(&str)) -> Result<Summary, CheckError> {
        self.check_sides()?;
        store.clear()?;
        let engine = &self.config.engine;
        let throttle = Arc::new(Throttle::new(None, None, Instant::now()));
        let (dbs, _) = source_databases(engine, &throttle).await?;
        let mut summary = Summary {
            mode: format!("{} of redis-full-check", self.config.mode.name()),
            rounds: self.config.rounds,
            ..Summary::default()
        };
        let folder = tempfile::tempdir().map_err(CheckError::Folder)?;
        let mut changes = Changes::default();
        changes.fact(facts::ABOUT, &About::of(&self.config))?;
        for way in [Way::There, Way::Back] {
            match self.one_way(way, folder.path(), &tell).await? {
                Ok(rows) => {
                    for (pair, finding) in rows.into_iter().filter_map(|row| row.finding(way)) {
                        summary.count(&finding);
                        changes.put(&pair, &finding)?;
                    }
                }
                Err(gap) => summary.add_gap(gap),
            }
        }
        let all: u64 = dbs.iter().map(|(_, keys)| keys).sum();
        summary.compared = all.max(summary.different);
        summary.equal = summary.compared - summary.different;
        changes.fact(facts::SUMMARY, &summary)?;
        store.commit(changes)?;
        Ok(summary)
    }

    /// What it cannot do is said before it runs.
    fn check_sides(&self) -> Result<(), CheckError> {
        let engine = &self.config.engine;
        let named = |endpoint: &Endpoint| {
            endpoint
                .credentials
                .as_ref()
                .and_then(|login| login.user.as_deref())
                .is_some_and(|user| user != "default")
        };
        let sides = [&engine.source, &engine.target];
        let reason = if sides.iter().any(|side| side.tls.is_some()) {
            "does not speak TLS"
        } else if sides.iter().any(|side| named(side)) {
            "logs in with a password alone, and an address has a user"
        } else if engine.target.sentinels.is_some() {
            "does not ask Sentinels"
        } else if engine.target_mode == TargetMode::Cluster {
            "is run for single servers only, and the target is a cluster"
        } else if !engine.rules.selection.is_everything() {
            "compares all keys under their own names, and the settings leave out or rename some"
        } else if self.config.sample.is_some() {
            "compares all keys, and no sample"
        } else {
            return Ok(());
        };
        Err(CheckError::Engine(reason))
    }

    /// Runs it once. The rows of its last result; why there are none, in words.
    async fn one_way(
        &self,
        way: Way,
        folder: &Path,
        tell: &impl Fn(&str),
    ) -> Result<Result<Vec<Row>, String>, CheckError> {
        let file = folder.join(match way {
            Way::There => "there.db",
            Way::Back => "back.db",
        });
        let arguments = self.arguments(way, &file).await?;
        let spawned = Command::new(&self.program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut child = spawned
            .map_err(|error| CheckError::NoEngine { program: self.program.display().to_string(), error })?;
        tell_lines(&mut child, tell).await;
        let ended = match child.wait().await {
            Ok(status) if status.success() => read(&file, self.config.rounds),
            Ok(status) => Err(format!("redis-full-check ended with {status}")),
            Err(error) => Err(format!("redis-full-check was lost: {error}")),
        };
        Ok(ended)
    }

    async fn arguments(&self, way: Way, file: &Path) -> Result<Vec<OsString>, CheckError> {
        let engine = &self.config.engine;
        let (one, other) = match way {
            Way::There => (&engine.source, &engine.target),
            Way::Back => (&engine.target, &engine.source),
        };
        let mode = match self.config.mode {
            Mode::Full => 1,
            Mode::Length => 2,
            Mode::Outline => 3,
            Mode::Smart => 4,
        };
        let mut arguments: Vec<OsString> = vec![
            format!("--source={}:{}", one.host, one.port).into(),
            format!("--target={}:{}", other.host, other.port).into(),
            format!("--comparemode={mode}").into(),
            format!("--comparetimes={}", self.config.rounds).into(),
            format!("--interval={}", self.config.pause.as_secs()).into(),
            format!("--qps={}", self.config.requests_per_second.unwrap_or(QPS)).into(),
            format!("--parallel={}", self.config.connections).into(),
            format!("--bigkeythreshold={}", self.config.big_key_threshold).into(),
        ];
        let mut db = OsString::from("--db=");
        db.push(file);
        arguments.push(db);
        for (name, side) in [("--sourcepassword=", one), ("--targetpassword=", other)] {
            if let Some(login) = &side.credentials {
                let words = login.request(side.peer).await.map_err(crate::link::SideError::Source)?;
                let password = words.last().map(|word| String::from_utf8_lossy(word.as_ref()).into_owned());
                arguments.push(format!("{name}{}", password.unwrap_or_default()).into());
            }
        }
        Ok(arguments)
    }
}

/// Passes on the lines that a program writes, until it writes no more.
pub async fn tell_lines(child: &mut Child, tell: &impl Fn(&str)) {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    tokio::join!(lines(out, tell), lines(err, tell));
}

async fn lines(from: Option<impl AsyncRead + Unpin>, tell: &impl Fn(&str)) {
    let Some(from) = from else { return };
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tell(&line);
    }
}

/// Reads the result of the last round: each has a file of its own.
fn read(file: &Path, rounds: u32) -> Result<Vec<Row>, String> {
    let of_round = |round: u32| {
        let mut name = file.as_os_str().to_owned();
        name.push(format!(".{round}"));
        PathBuf::from(name)
    };
    let last = (1..=rounds).rev().map(of_round).find(|path| path.exists());
    let last = last.ok_or("redis-full-check has left no result")?;
    rows(&last).map_err(|error| format!("the result of redis-full-check cannot be read: {error}"))
}

fn rows(path: &Path) -> rusqlite::Result<Vec<Row>> {
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut query = database
        .prepare("SELECT key, type, conflict_type, db, source_len, target_len FROM key ORDER BY id")?;
    let row = |row: &rusqlite::Row<'_>| {
        Ok(Row {
            key: row.get_ref(0)?.as_bytes_or_null()?.unwrap_or_default().to_vec(),
            kind: row.get(1)?,
            conflict: row.get(2)?,
            db: row.get(3)?,
            lengths: (length(row.get(4)?), length(row.get(5)?)),
        })
    };
    query.query_map([], row)?.collect()
}

fn length(length: i64) -> u64 {
    u64::try_from(length).unwrap_or(0)
}

impl Row {
    /// The finding. On the way back only keys that the source lacks say something new.
    fn finding(self, way: Way) -> Option<(Pair, Finding)> {
        let outline =
            |length| Outline { kind: Some(self.kind.clone()), length: Some(length), expires_at: None };
        let (there, back) = (outline(self.lengths.0), outline(self.lengths.1));
        let (what, source, target) = match (way, self.conflict.as_str()) {
            (Way::There, "lack_target") => (What::Missing, there, Outline::absent()),
            (Way::There, "lack_source") => (What::Extra, Outline::absent(), back),
            (Way::Back, "lack_target") => (What::Extra, Outline::absent(), there),
            (Way::Back, _) => return None,
            (Way::There, "type") => (What::Type, there, back),
            (Way::There, _) if self.lengths.0 != self.lengths.1 => (What::Length, there, back),
            (Way::There, _) => (What::Value, there, back),
        };
        let db = DbIndex(self.db);
        let pair =
            Pair { source: SourceKey::new(db, self.key.clone()), target: TargetKey::new(db, self.key) };
        let different = Different { what: vec![what], source, target, print: (0, 0) };
        Some((pair, Finding::Different { different, certainty: Certainty::DiffersOrChanges }))
    }
}
