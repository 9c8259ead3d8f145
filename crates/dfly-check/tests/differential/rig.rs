//! A live source, the engine, a target, and a comparison of the two.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use dfly_check::{CheckConfig, Finding, Progress, Rounds, Store, line};
use dfly_testkit::{RedisClient, RedisCluster, RedisServer};
use redis_resp::connection::Peer;
use tokio::sync::watch;

use super::sequence::Sequence;
use crate::follower::{Follower, settings};
use crate::source::{endpoint, offsets, start};
use crate::tape::Tape;

/// How many sequences run before both sides are compared.
const AT_ONCE: usize = 100;

/// What is written to.
pub(super) enum Target {
    Server(RedisServer),
    Cluster(RedisCluster),
}

pub(super) struct Rig {
    client: RedisClient,
    tape: Tape,
    follower: Follower,
    /// How both sides are compared.
    comparison: CheckConfig,
    _source: RedisServer,
    _target: Target,
}

/// A difference that is left when nothing more can be taken away from what leads to it.
#[derive(Debug)]
pub(super) struct Found {
    pub tag: u64,
    pub least: Sequence,
    pub differences: Vec<String>,
    pub journal: Vec<String>,
}

impl Rig {
    pub(super) fn start(binary: &OsString, shards: u64, target: Target) -> Self {
        let (threads, shards) = (format!("--proactor_threads={shards}"), format!("--num_shards={shards}"));
        let source = start(binary, &[&threads, &shards]);
        let client = source.client().unwrap();
        let first = match &target {
            Target::Server(server) => server,
            Target::Cluster(cluster) => cluster.node(0).unwrap(),
        };
        let config = settings(endpoint(Peer::Source, &source), endpoint(Peer::Target, first));
        let comparison = CheckConfig {
            rounds: 2,
            pause: Duration::from_millis(5),
            connections: 1,
            ..CheckConfig::new(config.clone())
        };
        let follower = Follower::start(config);
        let tape = Tape::open(&endpoint(Peer::Source, &source));
        Self { client, tape, follower, comparison, _source: source, _target: target }
    }

    /// Runs sequences, many at a time, each on keys of its own. Gives those after which both sides differ.
    pub(super) fn run(&mut self, all: &[(u64, Sequence)]) -> Vec<Found> {
        let mut found = Vec::new();
        for part in all.chunks(AT_ONCE) {
            self.carry_out(part.iter().map(|(_, sequence)| sequence));
            for tag in self.differences().into_keys() {
                let Some((_, sequence)) = part.iter().find(|(of, _)| *of == tag) else { continue };
                found.push(self.least(tag, sequence.clone()));
            }
        }
        found
    }

    fn least(&mut self, tag: u64, sequence: Sequence) -> Found {
        let least = sequence.shrunk(|tried| self.differs(tried));
        self.differs(&least);
        let differences = self.differences().remove(&tag).unwrap_or_default();
        let journal = self.tape.take(&offsets(&mut self.client));
        let journal = journal.into_iter().map(|record| format!("db{} {}", record.db, record.text));
        let journal = journal.filter(|record| !record.contains("FLUSHALL")).collect();
        Found { tag, least, differences, journal }
    }

    fn differs(&mut self, sequence: &Sequence) -> bool {
        self.carry_out([sequence].into_iter());
        !self.differences().is_empty()
    }

    fn carry_out<'a>(&mut self, sequences: impl Iterator<Item = &'a Sequence>) {
        self.client.expect(&[b"FLUSHALL"]).unwrap();
        self.tape.take(&offsets(&mut self.client));
        let mut what = String::new();
        for sequence in sequences {
            what = sequence.to_string();
            let commands: Vec<Vec<&str>> =
                sequence.lines().map(|line| line.0.iter().map(String::as_str).collect()).collect();
            // Refusals are part of many sequences.
            self.client.pipeline(&commands).unwrap();
        }
        let wanted = offsets(&mut self.client);
        self.follower.settle(&wanted, &what);
    }

    /// What differs, by the tag of the sequence that the key belongs to.
    fn differences(&self) -> BTreeMap<u64, Vec<String>> {
        let store = Store::temporary().unwrap();
        let (progress, _shown) = watch::channel(Progress::default());
        let (_stop, stopped) = watch::channel(false);
        let rounds = Rounds::new(self.comparison.clone(), &store, (progress, stopped));
        self.follower.runtime.block_on(rounds.run()).unwrap();
        let mut found: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for (pair, finding) in store.findings(None, 10_000).unwrap() {
            let name = String::from_utf8_lossy(&pair.source.name).into_owned();
            let tag = name.split(['{', '}']).nth(1).and_then(|tag| tag.parse().ok());
            // What the comparison cannot read has no place in a campaign about what it finds.
            if let (Some(tag), Finding::Different { .. }) = (tag, &finding) {
                found.entry(tag).or_default().push(line(&pair, &finding));
            }
        }
        found
    }

    /// How many keys were refetched, and how many records there were.
    pub(super) fn end(self) -> String {
        let report = self.follower.end();
        format!("{} records, refetched {:?}", report.records(), report.refetches)
    }
}
