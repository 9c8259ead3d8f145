//! Writing in transactions and by single commands over many slots, and what must be there in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dfly_testkit::{RedisClient, RedisCluster, Reply};
use redis_resp::CommandBatch;
use redis_resp::connection::{Endpoint, Peer};
use redis_sink::WindowLimits;
use redis_sink::cluster::{
    AddressMap, ClusterOptions, ClusterPipeline, KnownNodes, Pauses, Split, Unit, position_key,
};
use redis_slots::Slot;
use tokio::time::timeout;

/// No step takes as long, unless something is wrong.
const LONG: Duration = Duration::from_secs(30);

pub(crate) const FIELD: &str = "flow:0";
pub(crate) const PREFIX: &str = "tool:";

/// A slot that is written to.
#[derive(Debug)]
pub(crate) struct Written {
    pub tag: String,
    pub slot: Slot,
    position_key: Vec<u8>,
    /// Positions of its transactions.
    pub transactions: Vec<u64>,
    /// What was last set.
    text: u64,
    /// What was last set together with that.
    pair: u64,
}

pub(crate) struct Load {
    pub pipeline: ClusterPipeline<u64>,
    pub slots: Vec<Written>,
    /// The position of the next batch.
    pub next: u64,
    pub settled: u64,
    lost: BTreeSet<Vec<u8>>,
    writes_pairs: bool,
    seed: u64,
}

pub(crate) fn options(cluster: &RedisCluster) -> ClusterOptions {
    let address = cluster.node(0).unwrap().address();
    let endpoint = Endpoint {
        connect_timeout: Duration::from_secs(2),
        reply_timeout: Duration::from_secs(5),
        ..Endpoint::new(Peer::Target, address.ip().to_string(), address.port())
    };
    ClusterOptions {
        endpoint,
        others: Vec::new(),
        known: KnownNodes::default(),
        addresses: AddressMap::default(),
        name: "df2redis".to_owned(),
        reserved_prefix: PREFIX.to_owned(),
        field: FIELD.to_owned(),
        claim: None,
        pauses: Pauses { longest: Duration::from_millis(100), ..Pauses::default() },
        jitter: Duration::from_millis(1),
        patience: Duration::from_secs(10),
        memo: None,
        split: Some(split()),
        look_every: Duration::from_secs(10),
    }
}

/// Takes an MSET apart into SETs.
fn split() -> Split {
    Split::new(|command, out| {
        if command.name() != "MSET" {
            return;
        }
        let words: Vec<&[u8]> = command.arguments().skip(1).collect();
        for pair in words.chunks_exact(2) {
            out.push_keyed(&[b"SET", pair[0], pair[1]], 1..2, command.tag());
        }
    })
}

pub(crate) fn run(client: &mut RedisClient, line: &str) -> Reply {
    client.expect(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>()).unwrap()
}

pub(crate) fn text(client: &mut RedisClient, line: &str) -> String {
    run(client, line).text().unwrap_or_default()
}

/// How often a node has answered with an error of this code.
pub(crate) fn errors(cluster: &RedisCluster, node: usize, code: &str) -> u64 {
    let info = text(&mut cluster.client(node).unwrap(), "INFO errorstats");
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix(&format!("errorstat_{code}:count=")).map(str::to_owned));
    line.map_or(0, |count| count.trim().parse().unwrap())
}

impl Load {
    /// To `count` slots, each of which is written to before this returns.
    pub(crate) async fn start(cluster: &RedisCluster, count: usize) -> Self {
        Self::start_with(options(cluster), count).await
    }

    pub(crate) async fn start_with(options: ClusterOptions, count: usize) -> Self {
        let limits = WindowLimits { commands: 512, bytes: 1 << 20 };
        let pipeline = ClusterPipeline::open(options, limits).await.unwrap();
        let written = |number: usize| {
            let tag = format!("t{number}");
            let slot = Slot::of(tag.as_bytes());
            Written {
                tag,
                slot,
                position_key: position_key(PREFIX, slot),
                transactions: Vec::new(),
                text: 0,
                pair: 0,
            }
        };
        let slots: BTreeMap<Slot, Written> =
            (0..count).map(written).map(|written| (written.slot, written)).collect();
        let slots = slots.into_values().collect();
        let mut load = Self {
            pipeline,
            slots,
            next: 1,
            settled: 0,
            lost: BTreeSet::new(),
            writes_pairs: false,
            seed: 7,
        };
        for is_transaction in [true, false] {
            let units = (0..load.slots.len()).map(|number| load.unit(number, is_transaction)).collect();
            load.submit(units);
        }
        load.finish().await;
        load
    }

    fn random(&mut self, below: usize) -> usize {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.seed >> 33).unwrap() % below
    }

    fn unit(&mut self, number: usize, is_transaction: bool) -> Unit {
        let position = self.next;
        let written = &mut self.slots[number];
        let (tag, value) = (&written.tag, position.to_string());
        let mut batch = CommandBatch::default();
        if !is_transaction {
            written.text = position;
            let keys = ["", "pair-"].map(|name| format!("{{{tag}}}{name}text"));
            let mut words = vec![&b"SET"[..], keys[0].as_bytes(), value.as_bytes()];
            if self.writes_pairs && position.is_multiple_of(2) {
                written.pair = position;
                words = [&[&b"MSET"[..]], &words[1..], &[keys[1].as_bytes(), value.as_bytes()]].concat();
            }
            let mut writer = batch.start(words.len());
            for (at, word) in words.iter().enumerate() {
                if at % 2 == 1 {
                    writer.key(word)
                } else {
                    writer.arg(word)
                };
            }
            writer.finish_with(position);
            return Unit::plain(written.slot, &mut batch);
        }
        written.transactions.push(position);
        batch.push(&[b"MULTI"]);
        batch.push(&[b"INCR", format!("{{{tag}}}count").as_bytes()]);
        batch.push(&[b"RPUSH", format!("{{{tag}}}log").as_bytes(), value.as_bytes()]);
        batch.push(&[b"HSET", &written.position_key, FIELD.as_bytes(), value.as_bytes()]);
        batch.push(&[b"EXEC"]);
        Unit::transaction(written.slot, &mut batch, position)
    }

    /// Another batch, to all of the slots, with no transaction, and every other time with two keys in each.
    pub(crate) fn write_plain(&mut self) {
        self.writes_pairs = true;
        let units = (0..self.slots.len()).map(|number| self.unit(number, false)).collect();
        self.submit(units);
    }

    fn submit(&mut self, units: Vec<Unit>) {
        self.pipeline.submit(units, self.next);
        self.next += 1;
    }

    /// Another batch, if there is room, to about a third of the slots.
    pub(crate) fn write(&mut self) {
        if !self.pipeline.window().has_room() {
            return;
        }
        let mut units = Vec::new();
        for number in 0..self.slots.len() {
            let kind = self.random(6);
            if kind < 2 {
                units.push(self.unit(number, kind == 0));
            }
        }
        self.submit(units);
    }

    /// Waits until something moves, and takes what has settled.
    pub(crate) async fn progress(&mut self) {
        timeout(LONG, self.pipeline.progress()).await.unwrap().unwrap();
        assert_eq!(self.pipeline.take_refusals(), []);
        for lost in self.pipeline.take_lost() {
            assert!(lost.keys().all(|key| key.ends_with(b"text")), "{}", lost.describe());
            self.lost.extend(lost.keys().map(<[u8]>::to_vec));
        }
        while let Some(tag) = self.pipeline.settled() {
            self.settled += 1;
            assert_eq!(tag, self.settled);
        }
    }

    /// The port of the node to which a slot's commands go.
    pub(crate) fn owner(&self, slot: u16) -> u16 {
        let map = self.pipeline.window().map();
        map.address(map.owner(Slot(slot)).unwrap()).unwrap().port
    }

    pub(crate) async fn finish(&mut self) {
        while !self.pipeline.window().is_empty() {
            self.progress().await;
        }
        assert_eq!(self.settled, self.next - 1);
    }

    /// Every transaction was carried out once and in its order, and what was set last is there.
    pub(crate) fn check(&self, cluster: &RedisCluster) {
        for written in &self.slots {
            assert_eq!(log(cluster, written), written.transactions, "{}", written.tag);
            self.check_slot(cluster, written, written.transactions.len());
        }
    }

    /// `count` transactions have been carried out, the last of them among them; and what was set last is there.
    pub(crate) fn check_slot(&self, cluster: &RedisCluster, written: &Written, count: usize) {
        let tag = &written.tag;
        let mut client = cluster.client_for(tag.as_bytes()).unwrap();
        assert_eq!(text(&mut client, &format!("GET {{{tag}}}count")), count.to_string(), "{tag}");
        let position = client.expect(&[b"HGET", &written.position_key, FIELD.as_bytes()]).unwrap().text();
        assert_eq!(position, written.transactions.last().map(u64::to_string), "{tag}");
        for (name, value) in [("", written.text), ("pair-", written.pair)] {
            let key = format!("{{{tag}}}{name}text");
            if value > 0 && !self.lost.contains(key.as_bytes()) {
                assert_eq!(text(&mut client, &format!("GET {key}")), value.to_string(), "{key}");
            }
        }
    }
}

/// The positions of the transactions that a slot has seen.
pub(crate) fn log(cluster: &RedisCluster, written: &Written) -> Vec<u64> {
    let mut client = cluster.client_for(written.tag.as_bytes()).unwrap();
    let log = run(&mut client, &format!("LRANGE {{{}}}log 0 -1", written.tag));
    log.array().unwrap().iter().map(|position| position.text().unwrap().parse().unwrap()).collect()
}
