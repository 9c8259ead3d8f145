//! A live source, the engine, a target, and a comparison of the two.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use dfly_check::{CheckConfig, Finding, Progress, Rounds, RunSignals, Store, What, line};
use dfly_replica::{Phase, Report};
use dfly_testkit::{RedisClient, RedisCluster, RedisServer, Reply};
use redis_resp::connection::Peer;
use tokio::sync::watch;

use super::due::stale;
use super::sequence::{Line, Sequence};
use crate::follower::{Follower, settings};
use crate::memcached::Memcached;
use crate::source::{endpoint, offsets, start};
use crate::tape::Tape;

/// How many sequences run before both sides are compared.
const AT_ONCE: usize = 100;

/// How many databases sequences write to.
const DATABASES: u32 = 3;

/// What is written to.
pub(super) enum Target {
    Server(RedisServer),
    Cluster(RedisCluster),
}

impl Target {
    /// A connection to each node, and how many databases they have.
    fn clients(&self) -> (Vec<RedisClient>, u32) {
        match self {
            Self::Server(server) => (vec![server.client().unwrap()], DATABASES),
            Self::Cluster(cluster) => ((0..3).map(|node| cluster.client(node).unwrap()).collect(), 1),
        }
    }
}

pub(super) struct Rig {
    client: RedisClient,
    memcached: Memcached,
    tape: Tape,
    follower: Follower,
    /// How both sides are compared.
    comparison: CheckConfig,
    /// How exactly the target tells when a key expires.
    grain: Duration,
    _source: RedisServer,
    target: Target,
}

/// What came of many sequences.
#[derive(Debug)]
pub(super) struct Tried {
    /// How many were run.
    pub sequences: usize,
    pub found: Vec<Found>,
}

/// A difference that is left when nothing more can be taken away from what leads to it.
#[derive(Debug)]
pub(super) struct Found {
    pub tag: u64,
    pub least: Sequence,
    pub differences: Vec<String>,
    pub journal: Vec<String>,
}

/// A key that differs.
#[derive(Debug, Clone)]
struct Differs {
    /// The tag of the sequence that it belongs to.
    tag: u64,
    line: String,
    is_by_expiry: bool,
}

/// A server without PEXPIRETIME is asked how much time is left, and then for its clock.
fn grain(target: &RedisServer) -> Duration {
    let asked = target.client().unwrap().expect(&[b"COMMAND", b"INFO", b"PEXPIRETIME"]).unwrap();
    let is_told = asked.array().unwrap().iter().any(|command| *command != Reply::Nil);
    if is_told { Duration::ZERO } else { Duration::from_millis(20) }
}

/// The tag of the sequence that a key belongs to.
fn tag(key: &str) -> Option<u64> {
    key.split(['{', '}']).nth(1)?.parse().ok()
}

impl Rig {
    /// A source of so many shards, that holds so many keys already. Without keys, the engine follows it when this is over.
    pub(super) fn start(binary: &OsString, shards: u64, keys: u64, target: Target) -> Self {
        let (threads, shards) = (format!("--proactor_threads={shards}"), format!("--num_shards={shards}"));
        let memcached = Memcached::free();
        let source = start(binary, &[&threads, &shards, &memcached.flag()]);
        let mut client = source.client().unwrap();
        if keys > 0 {
            let count = keys.to_string();
            client.expect(&[b"DEBUG", b"POPULATE", count.as_bytes(), b"filler", b"100"]).unwrap();
        }
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
        let grain = grain(first);
        // The tape is there before the engine: its own synchronisation is over then.
        let tape = Tape::open(&endpoint(Peer::Source, &source));
        let mut follower = Follower::start(config);
        if keys == 0 {
            let is_stable = |report: &Report| report.phase == Phase::StableSync;
            follower.runtime.block_on(follower.reports.wait_for(is_stable)).unwrap();
        }
        Self { client, memcached, tape, follower, comparison, grain, _source: source, target }
    }

    /// Runs sequences, many at a time, each on keys of its own. Gives those after which both sides differ, up to the one of which
    /// `is_last` holds.
    pub(super) fn run(&mut self, all: &[(u64, Sequence)], mut is_last: impl FnMut(&Found) -> bool) -> Tried {
        let mut tried = Tried { sequences: 0, found: Vec::new() };
        for part in all.chunks(AT_ONCE) {
            self.carry_out(part.iter().map(|(_, sequence)| sequence));
            tried.sequences += part.len();
            for (tag, differences) in self.differences() {
                let Some((_, sequence)) = part.iter().find(|(of, _)| *of == tag) else { continue };
                let mut found = self.least(tag, sequence.clone());
                if found.differences.is_empty() {
                    // Alone it did not happen: a matter of moments.
                    found.differences = differences.into_iter().map(|line| format!("once: {line}")).collect();
                }
                let ends = is_last(&found);
                tried.found.push(found);
                if ends {
                    return tried;
                }
            }
        }
        tried
    }

    /// Runs sequences while the source is synchronised. Gives what differs then, as it is: another time it would be another moment.
    pub(super) fn run_within_snapshot(&mut self, all: &[(u64, Sequence)]) -> Vec<Found> {
        let begun = |report: &Report| report.keys() > 0;
        self.follower.runtime.block_on(self.follower.reports.wait_for(begun)).unwrap();
        self.pipeline(all.iter().map(|(_, sequence)| sequence));
        let wanted = offsets(&mut self.client);
        self.follower.settle(&wanted, "a synchronisation");
        let found = self.differences().into_iter().filter_map(|(tag, differences)| {
            let (_, sequence) = all.iter().find(|(of, _)| *of == tag)?;
            Some(Found { tag, least: sequence.clone(), differences, journal: Vec::new() })
        });
        found.collect()
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
        let last = self.pipeline(sequences);
        let wanted = offsets(&mut self.client);
        self.follower.settle(&wanted, &last);
    }

    /// Gives the last one, for messages.
    fn pipeline<'a>(&mut self, sequences: impl Iterator<Item = &'a Sequence>) -> String {
        let mut last = String::new();
        for sequence in sequences {
            last = sequence.to_string();
            self.client.select(0).unwrap();
            let lines: Vec<&Line> = sequence.lines().collect();
            for lines in lines.chunk_by(|one, other| one.memcached().is_some() == other.memcached().is_some())
            {
                self.send(lines);
            }
        }
        last
    }

    /// Sends commands by one port. Refusals are part of many sequences.
    fn send(&mut self, lines: &[&Line]) {
        let requests: Vec<Vec<u8>> = lines.iter().filter_map(|line| line.memcached()).collect();
        if requests.is_empty() {
            let words = |line: &&Line| -> Vec<String> { line.0.clone() };
            self.client.pipeline(&lines.iter().map(words).collect::<Vec<_>>()).unwrap();
        }
        requests.iter().for_each(|request| self.memcached.ask(request));
    }

    /// What differs, by the tag of the sequence that the key belongs to.
    fn differences(&mut self) -> BTreeMap<u64, Vec<String>> {
        let mut found: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        // The source journals when a key expires, to the millisecond. Everything else is a matter of when a record arrives.
        let exact = self.compared(self.grain);
        let near =
            if exact.is_empty() { Vec::new() } else { self.compared(self.comparison.expiry_tolerance) };
        let late = exact.into_iter().filter(|differs| differs.is_by_expiry);
        let late = late.filter(|differs| near.iter().all(|other| other.line != differs.line));
        for Differs { tag, line, .. } in late.chain(near.iter().cloned()) {
            found.entry(tag).or_default().push(line);
        }
        let (mut clients, databases) = self.target.clients();
        for client in &mut clients {
            let stale = (0..databases).flat_map(|db| stale(&mut self.client, client, db));
            for stale in stale.collect::<Vec<_>>() {
                found.entry(tag(&stale.key).unwrap()).or_default().push(stale.line);
            }
        }
        found
    }

    /// The keys that differ, with their expiries so far apart at the most.
    fn compared(&self, expiry_tolerance: Duration) -> Vec<Differs> {
        let store = Store::temporary().unwrap();
        let (progress, _shown) = watch::channel(Progress::default());
        let (_stop, stopped) = watch::channel(false);
        let comparison = CheckConfig { expiry_tolerance, ..self.comparison.clone() };
        let rounds = Rounds::new(comparison, &store, RunSignals { progress, stop: stopped });
        self.follower.runtime.block_on(rounds.run()).unwrap();
        let found = store.findings(None, 10_000).unwrap().into_iter();
        let found = found.filter_map(|(pair, finding)| {
            let name = String::from_utf8_lossy(&pair.source.name).into_owned();
            let tag = tag(&name)?;
            // What the comparison cannot read has no place in a campaign about what it finds.
            let Finding::Different { different, .. } = &finding else { return None };
            let is_by_expiry = different.what.contains(&What::Expiry);
            Some(Differs { tag, line: line(&pair, &finding), is_by_expiry })
        });
        found.collect()
    }

    /// How many keys were refetched, and how many records there were.
    pub(super) fn end(self) -> String {
        let report = self.follower.end();
        format!("{} records, refetched {:?}", report.records(), report.refetches)
    }
}
