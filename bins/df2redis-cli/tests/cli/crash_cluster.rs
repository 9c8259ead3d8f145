//! The same with a cluster as the target, whose slots move all the while: the tool killed, a primary killed and started
//! again with its append-only file, both at once, connections cut on both sides.

use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dfly_testkit::{ClusterOptions, RedisClient, RedisCluster, Resharding, ScriptedMaster};
use rustix::process::Signal;

use crate::binary::{spawn_quiet, stop};
use crate::crash::{Source, accidents, kill};

/// Keys that are renamed, and named together in one command, share a slot.
const TAGGED: [&str; 2] = ["s", "l"];

struct Run {
    source: Source,
    cluster: Arc<Mutex<RedisCluster>>,
    tool: Child,
    state: tempfile::TempDir,
}

impl Run {
    async fn start(seed: u64) -> Self {
        let source = Source::start(seed).await;
        let args = ["--appendonly", "yes", "--appendfsync", "always"].map(str::to_owned).into();
        let options = ClusterOptions { args, node_timeout_ms: 10_000, ..ClusterOptions::default() };
        let cluster = Arc::new(Mutex::new(RedisCluster::start(&options).unwrap()));
        let state = tempfile::tempdir().unwrap();
        let tool = tool((&source.master, &cluster), &state);
        let mut run = Self { source, cluster, tool, state };
        run.caught_up("at the start").await;
        run
    }

    async fn caught_up(&mut self, when: &str) {
        let (cluster, state) = (&self.cluster, &self.state);
        let start = |master: &ScriptedMaster| tool((master, cluster), state);
        self.source.caught_up((&mut self.tool, start), when).await;
    }

    fn accident(&mut self) {
        let node = usize::try_from(self.source.random.below(3)).unwrap();
        match self.source.random.below(6) {
            0 => self.source.master.cut(),
            1 => self.restart_node(node, false),
            2 => self.restart_node(node, true),
            3 => cut_connections(&mut self.cluster.lock().unwrap().client(node).unwrap()),
            _ => {
                kill(&mut self.tool);
                self.start_tool();
            }
        }
    }

    /// Between two moves of slots: what becomes of a key whose node dies while it moves is not for the tool to say.
    fn restart_node(&mut self, node: usize, tool_too: bool) {
        let cluster = Arc::clone(&self.cluster);
        let mut cluster = cluster.lock().unwrap();
        cluster.kill(node).unwrap();
        if tool_too {
            kill(&mut self.tool);
        }
        cluster.restart(node).unwrap();
        drop(cluster);
        if tool_too {
            self.start_tool();
        }
    }

    fn start_tool(&mut self) {
        self.tool = tool((&self.source.master, &self.cluster), &self.state);
    }

    fn reshard(&self) -> Resharding {
        let keys = ["s", "n1", "l", "z2", "h3", "x0"];
        let slots = keys.map(|key| self.cluster.lock().unwrap().slot(key.as_bytes()).unwrap());
        let cluster = Arc::clone(&self.cluster);
        Resharding::start(move |round| {
            let cluster = cluster.lock().unwrap();
            cluster.wait_whole().unwrap();
            cluster
                .move_slowly(slots.get(round % slots.len()).copied().unwrap(), Duration::from_millis(2))
                .unwrap();
            drop(cluster);
            // Whoever waits for it comes first.
            std::thread::sleep(Duration::from_millis(1));
        })
    }
}

/// Those of the tool alone: others move slots.
fn cut_connections(client: &mut RedisClient) {
    let list = client.expect(&[b"CLIENT", b"LIST"]).unwrap().text().unwrap();
    let ours = list.lines().filter(|line| line.contains(" name=df2redis "));
    for id in ours.filter_map(|line| line.strip_prefix("id=")?.split(' ').next()) {
        client.command(&[b"CLIENT", b"KILL", b"ID", id.as_bytes()]).unwrap();
    }
}

fn tool((master, cluster): (&ScriptedMaster, &Mutex<RedisCluster>), state: &tempfile::TempDir) -> Child {
    let (source, dir) = (format!("dragonfly://{}", master.address()), state.path().to_str().unwrap());
    let target = cluster.lock().unwrap().node(0).unwrap().url();
    let servers = ["replicate", "--source", &source, "--target", &target, "--state-dir", dir];
    let renames = ["--rename-keys", "s={s}s", "--rename-keys", "l={l}l", "--log-level", "error"];
    spawn_quiet(&[&servers[..], &renames].concat())
}

fn on_target(key: &[u8]) -> Vec<u8> {
    let tag = TAGGED.iter().find(|tag| key.starts_with(tag.as_bytes()));
    [tag.map(|tag| format!("{{{tag}}}")).unwrap_or_default().as_bytes(), key].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_once_in_a_cluster_whose_slots_move() {
    let crashes = accidents();
    let mut run = Run::start(0x9e37_79b9_7f4a_7c15).await;
    let resharding = run.reshard();
    for crash in 0..crashes {
        run.source.work().await;
        run.accident();
        run.source.work().await;
        if crash % 10 == 9 {
            run.caught_up(&format!("after crash {crash}")).await;
        }
    }
    run.caught_up("at the end").await;
    let moved = resharding.end();
    run.caught_up("behind the last move").await;
    let (status, log) = stop(run.tool, Signal::INT);
    assert_eq!(status.code(), Some(0), "{log}");
    println!("{crashes} accidents while {moved} slots moved");
    let mut found = run.cluster.lock().unwrap().keyspace().unwrap();
    found.retain(|(_, key), _| !key.starts_with(b"df2redis:"));
    let model = run.source.master.keyspace().into_iter();
    let model = model.map(|((db, key), value)| ((db, on_target(&key).into()), value)).collect();
    assert_eq!(found, model);
    assert_eq!(run.source.master.violations(), [""; 0]);
    assert!(moved > 0);
}
