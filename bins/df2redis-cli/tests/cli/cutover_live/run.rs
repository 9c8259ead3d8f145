//! A replication under load.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::{Child, Output};

use dfly_testkit::{ClusterOptions, RedisCluster, RedisOptions, RedisServer};

use super::until;
use super::writers::{Writers, lists};
use crate::binary::{run, spawn, spawn_quiet};

/// What kind of target there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Server,
    /// Three nodes.
    Cluster,
}

/// Where the tool writes to.
#[derive(Debug)]
pub(crate) enum Target {
    Server(RedisServer),
    Cluster(RedisCluster),
}

impl Target {
    pub(crate) fn start(kind: Kind) -> Self {
        match kind {
            Kind::Server => Self::Server(RedisServer::start(RedisOptions::default()).unwrap()),
            Kind::Cluster => Self::Cluster(RedisCluster::start(&ClusterOptions::default()).unwrap()),
        }
    }

    pub(crate) fn servers(&self) -> Vec<&RedisServer> {
        match self {
            Self::Server(server) => vec![server],
            Self::Cluster(cluster) => (0..cluster.len()).map(|i| cluster.node(i).unwrap()).collect(),
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Server(server) => server.url(),
            Self::Cluster(cluster) => {
                let nodes = (0..cluster.len()).map(|i| cluster.node(i).unwrap().address().to_string());
                format!("redis://{}", nodes.collect::<Vec<_>>().join(","))
            }
        }
    }
}

/// A Dragonfly that is written to, and the tool that replicates it.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) source: RedisServer,
    pub(crate) writers: Writers,
    target: Target,
    tool: Tool,
    state: tempfile::TempDir,
}

impl Run {
    pub(crate) fn start(binary: OsString, kind: Kind) -> Self {
        let source = RedisServer::start(RedisOptions::dragonfly(binary, &["--proactor_threads=2"])).unwrap();
        let target = Target::start(kind);
        let state = tempfile::tempdir().unwrap();
        let tool = tool(&source, &target, &state);
        let writers = Writers::start(source.address());
        let run = Self { source, writers, target, tool, state };
        run.is_in_sync();
        run.writers.go_on();
        run
    }

    pub(crate) fn ask(&self, command: &str, more: &[&str]) -> Output {
        run(&[&[command, "--state-dir", self.state.path().to_str().unwrap()], more].concat())
    }

    pub(crate) fn is_in_sync(&self) {
        until("in sync", || {
            String::from_utf8_lossy(&self.ask("status", &[]).stdout).contains("in order: in sync")
        });
    }

    pub(crate) fn nothing_is_lost(&self, when: &str) {
        let mut held = BTreeMap::new();
        for server in self.target.servers() {
            held.extend(lists(&mut server.client().unwrap()));
        }
        self.writers.nothing_is_lost(&held, when);
    }

    /// Every server of the target stands still.
    pub(crate) fn pause_target(&self) {
        self.target.servers().iter().for_each(|server| server.pause().unwrap());
    }

    pub(crate) fn resume_target(&self) {
        self.target.servers().iter().for_each(|server| server.resume().unwrap());
    }

    /// Kills every server of the target, which has no persistence, and starts it again.
    pub(crate) fn restart_target(&mut self) {
        match &mut self.target {
            Target::Server(server) => server.restart().unwrap(),
            Target::Cluster(cluster) => (0..cluster.len()).for_each(|node| cluster.restart(node).unwrap()),
        }
    }

    pub(crate) fn target_holds_lists(&self) -> bool {
        self.target.servers().iter().any(|server| !lists(&mut server.client().unwrap()).is_empty())
    }

    /// A cutover that goes on while the test does something else.
    pub(crate) fn begin_cutover(&self, more: &[&str]) -> Child {
        spawn(&[&["cutover", "--state-dir", self.state.path().to_str().unwrap()], more].concat())
    }

    pub(crate) fn kill_tool(&mut self) {
        self.tool.end();
    }

    pub(crate) fn restart_tool(&mut self) {
        self.tool = tool(&self.source, &self.target, &self.state);
    }

    pub(crate) fn end(mut self) {
        self.writers.stop();
        self.kill_tool();
        drop(self.source);
        self.writers.join();
    }
}

/// The tool. It ends with its owner.
#[derive(Debug)]
pub(crate) struct Tool(Child);

impl Tool {
    fn end(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

pub(crate) fn tool(source: &RedisServer, target: &Target, state: &tempfile::TempDir) -> Tool {
    tool_with(source, target, state, &[])
}

/// The tool with more flags.
pub(crate) fn tool_with(
    source: &RedisServer,
    target: &Target,
    state: &tempfile::TempDir,
    more: &[&str],
) -> Tool {
    let (from, to) = (format!("dragonfly://{}", source.address()), target.url());
    let servers = ["replicate", "--source", &from, "--target", &to];
    let rest = ["--state-dir", state.path().to_str().unwrap(), "--log-level", "info"];
    Tool(spawn_quiet(&[&servers[..], &rest, more].concat()))
}
