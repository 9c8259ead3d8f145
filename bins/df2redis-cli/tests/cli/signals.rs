//! Signals, the service manager and log files, with a run that goes on.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use dfly_testkit::{MasterOptions, RedisOptions, RedisServer, Script, ScriptedMaster};
use rustix::process::Signal;
use tokio::time::timeout;

use crate::binary::signal;

const LIMIT: Duration = Duration::from_secs(20);

/// A source with a key, an empty target, and what the run of the binary between them says.
struct Running {
    master: ScriptedMaster,
    _redis: RedisServer,
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    /// `config` is a configuration file without the servers.
    async fn start(config: &Path, variables: &[(&str, &str)]) -> Self {
        let script = Script::new(1).before("SET k v");
        let master = ScriptedMaster::start(script, MasterOptions::default()).await.unwrap();
        let redis = RedisServer::start(RedisOptions::default()).unwrap();
        // systemd tells the process which one it watches.
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "export WATCHDOG_PID=$$; exec \"$0\" \"$@\"",
            env!("CARGO_BIN_EXE_df2redis-cli"),
        ]);
        command.args(["replicate", "--config", config.to_str().unwrap()]).stdin(Stdio::null());
        command.env("DF2REDIS_SOURCE", master.address().to_string());
        command.env("DF2REDIS_TARGET", redis.address().to_string());
        command.envs(variables.iter().copied()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let read = BufReader::new(child.stderr.take().unwrap()).lines();
        let (said, lines) = sync_channel(10_000);
        std::thread::spawn(move || read.map_while(Result::ok).try_for_each(|line| said.send(line)));
        assert!(timeout(LIMIT, master.caught_up()).await.is_ok());
        Self { master, _redis: redis, child, lines }
    }

    /// Reads the log up to a line with these words.
    #[expect(clippy::panic, reason = "a failed expectation must stop the test")]
    fn says(&self, words: &str) -> String {
        let mut log = Vec::new();
        let end = Instant::now() + LIMIT;
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if line.contains(words) {
                return line;
            }
            log.push(line);
        }
        panic!("\"{words}\" is missing in {log:#?}");
    }

    fn stops(mut self) {
        signal(&self.child, Signal::TERM);
        self.says("stopping: 0 records that were read are not on the target yet");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        assert_eq!(self.master.violations(), [""; 0]);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, unless a test fails.
        drop(self.child.kill());
    }
}

/// The file is read again: what can change does, and what cannot is named. A file that is wrong changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn settings_are_read_again_at_a_hangup() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("c.toml");
    let write = |text: &str| std::fs::write(&config, text).unwrap();
    write("target-ops-per-second = 1000\n");
    let run = Running::start(&config, &[]).await;
    write("target-ops-per-second = 500\n[log]\nlevel = \"debug\"\n[start]\nmax-removals = 3\n");
    signal(&run.child, Signal::HUP);
    let line = run.says("the settings were read again");
    assert!(line.contains("changed=log-level, target-ops-per-second"), "{line}");
    let line = run.says("other settings have changed too");
    assert!(line.ends_with("from the next start on: max-removals"), "{line}");
    run.master.apply("SET k w").unwrap();
    assert!(timeout(LIMIT, run.master.caught_up()).await.is_ok());
    write("[log]\nlevel = \"loud\"\n");
    signal(&run.child, Signal::HUP);
    run.says("the settings stay as they are: --log-level");
    run.stops();
}

/// What systemd is told: ready, alive, the state, and that the run stops.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("c.toml");
    std::fs::write(&config, "").unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let variables = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "1000000")];
    let run = Running::start(&config, &variables).await;
    let heard = |words: &str| {
        let mut all = String::new();
        let mut buffer = [0; 4096];
        while !all.contains(words) {
            let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{words} in {all}: {error}"));
            all += std::str::from_utf8(&buffer[..length]).unwrap();
        }
        all
    };
    let all = heard("STATUS=stable sync");
    assert!(all.contains("READY=1"), "{all}");
    heard("WATCHDOG=1");
    run.stops();
    let all = heard("STOPPING=1");
    assert!(all.contains("STATUS=stopping: 0 records"), "{all}");
}

/// P29: a file named after the task, appended to by the next run, with the state of the run and without values.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_file() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("c.toml");
    let logs = dir.path().join("logs");
    let text = format!("task-name = \"orders\"\n[log]\ndir = \"{}\"\nfiles = 2\n", logs.display());
    std::fs::write(&config, text).unwrap();
    for start in 1..=2 {
        Running::start(&config, &[]).await.stops();
        let log = std::fs::read_to_string(logs.join("orders.log")).unwrap();
        assert_eq!(log.matches(" INFO starting ").count(), start, "{log}");
        assert!(log.contains("stopped; the target has everything") && !log.contains('\x1b'), "{log}");
    }
}
