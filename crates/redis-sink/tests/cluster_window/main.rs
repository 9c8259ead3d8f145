//! `ClusterWindow` against a simulated cluster: whatever moves, breaks and refuses, each slot ends as if its units had been
//! carried out one by one.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    reason = "a failed expectation must stop the test"
)]

mod memos;
mod rows;
mod simulated;
mod splits;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::Index;
use redis_resp::{CommandBatch, EncodedCommand, commands};
use redis_sink::WindowLimits;
use redis_sink::cluster::{ClusterMap, ClusterWindow, NodeId, Pauses, Split, Unit, position_key};
use redis_slots::Slot;

use simulated::{Cluster, Store, Words, carry_out, key_spec, keys};

const NODES: usize = 3;
const PREFIX: &str = "tool:";
const TAGS: [&str; 3] = ["a", "b", "c"];
const FAULTS: [&str; 7] = [
    "LOADING Redis is loading the dataset in memory",
    "CLUSTERDOWN Hash slot not served",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY You can't write against a read only replica.",
    "BUSY Redis is busy running a script.",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
];

/// A unit of the slot of one of [`TAGS`].
#[derive(Debug, Clone)]
struct Planned {
    tag: usize,
    is_transaction: bool,
    commands: Vec<(u8, u8, u8)>,
}

#[derive(Debug, Clone)]
enum Step {
    Push(Vec<Planned>),
    Deliver(usize, usize),
    Answer(usize, usize),
    Begin(usize, usize),
    MoveKey(usize),
    Finish(usize),
    GiveUp(usize),
    /// The connection breaks behind this many more commands.
    Break(usize, usize),
    Heal(usize),
    Fault(usize, Index),
    Look,
    Wait(u64),
}

fn planned() -> impl Strategy<Value = Planned> {
    let command = (0u8..4, 0u8..3, any::<u8>());
    (0..TAGS.len(), any::<bool>(), prop::collection::vec(command, 1..4))
        .prop_map(|(tag, is_transaction, commands)| Planned { tag, is_transaction, commands })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::collection::vec(planned(), 0..4).prop_map(Step::Push),
        8 => (0..NODES, 1..12usize).prop_map(|(node, count)| Step::Deliver(node, count)),
        8 => (0..NODES, 1..12usize).prop_map(|(node, count)| Step::Answer(node, count)),
        2 => (0..TAGS.len(), 0..NODES).prop_map(|(tag, to)| Step::Begin(tag, to)),
        3 => (0..TAGS.len()).prop_map(Step::MoveKey),
        1 => (0..TAGS.len()).prop_map(Step::Finish),
        1 => (0..TAGS.len()).prop_map(Step::GiveUp),
        1 => (0..NODES, 0..8usize).prop_map(|(node, count)| Step::Break(node, count)),
        2 => (0..NODES).prop_map(Step::Heal),
        1 => (0..NODES, any::<Index>()).prop_map(|(node, fault)| Step::Fault(node, fault)),
        1 => Just(Step::Look),
        2 => (0u64..40).prop_map(Step::Wait),
    ]
}

/// The window, the cluster that it writes to, and one that has no nodes to write to.
struct Bench {
    window: ClusterWindow<usize>,
    cluster: Cluster,
    model: Store,
    now: Instant,
    broken: BTreeSet<usize>,
    pushed: usize,
    settled: usize,
    /// Keys that the caller has to look after.
    handed_out: BTreeSet<Vec<u8>>,
}

fn node(number: usize) -> NodeId {
    NodeId(u16::try_from(number).unwrap())
}

fn slot_of(tag: usize) -> Slot {
    Slot::of(TAGS[tag].as_bytes())
}

fn words(text: &str) -> Words {
    text.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

impl Planned {
    fn words(&self) -> Vec<Words> {
        let tag = TAGS[self.tag];
        let word = |(kind, key, value): &(u8, u8, u8)| match (self.is_transaction, kind) {
            (true, 0..3) => format!("APPEND {{{tag}}}{key} {value},"),
            (true, _) => format!("SADD {{{tag}}}{key} {value}"),
            (false, 0) => format!("SADD {{{tag}}}{key} {value}"),
            (false, 1) => format!("DEL {{{tag}}}{key} {{{tag}}}{}", (key + 1) % 3),
            (false, 2) => format!("SET {{{tag}}}{key} {value}"),
            (false, _) => format!("MSET {{{tag}}}{key} {value} {{{tag}}}{} {value}", (key + 1) % 3),
        };
        self.commands.iter().map(|command| words(&word(command))).collect()
    }

    fn unit(&self, position: u64) -> Unit {
        let mut batch = CommandBatch::default();
        let mut push = |words: &Words| {
            let keys: Vec<usize> = key_spec(words).positions(words).collect();
            let mut writer = batch.start(words.len());
            for (at, word) in words.iter().enumerate() {
                if keys.contains(&at) {
                    writer.key(word)
                } else {
                    writer.arg(word)
                };
            }
            writer.finish_with(position);
        };
        let slot = slot_of(self.tag);
        if !self.is_transaction {
            self.words().iter().for_each(push);
            return Unit::plain(slot, &mut batch);
        }
        push(&words("MULTI"));
        self.words().iter().for_each(&mut push);
        let write = vec![
            b"HSET".to_vec(),
            position_key(PREFIX, slot),
            b"f".to_vec(),
            position.to_string().into_bytes(),
        ];
        push(&write);
        push(&words("EXEC"));
        Unit::transaction(slot, &mut batch, position)
    }
}

/// Takes MSETs apart, as a slot needs that never finishes its move.
pub(crate) fn split() -> Split {
    Split::new(|command, out| {
        if command.name() != "MSET" {
            return;
        }
        let mut words = command.arguments().skip(1);
        while let (Some(key), Some(value)) = (words.next(), words.next()) {
            out.push_keyed(&[b"SET", key, value], 1..2, command.tag());
        }
    })
}

/// The keys of a command, which are the ones that its words name.
fn marked_keys(command: EncodedCommand<'_>) -> Vec<Vec<u8>> {
    let words: Words = command.arguments().map(<[u8]>::to_vec).collect();
    let marked: Vec<Vec<u8>> = command.keys().map(<[u8]>::to_vec).collect();
    assert_eq!(marked, keys(&words));
    marked
}

impl Bench {
    fn new() -> Self {
        let cluster = Cluster::new(NODES);
        let map = ClusterMap::new(&cluster.topology(), "h").unwrap();
        for number in 0..NODES {
            assert_eq!(map.address(node(number)).unwrap().port, 7000 + u16::try_from(number).unwrap());
        }
        let limits = WindowLimits { commands: 60, bytes: 1 << 20 };
        Self {
            window: ClusterWindow::new(limits, Pauses::default(), map).with_split(Some(split())),
            cluster,
            model: Store::new(),
            now: Instant::now(),
            broken: BTreeSet::new(),
            pushed: 0,
            settled: 0,
            handed_out: BTreeSet::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Push(units) => self.push(units),
            Step::Deliver(node, count) => self.deliver(*node, *count),
            Step::Answer(node, count) => self.answer(*node, *count),
            Step::Begin(tag, to) => self.cluster.begin(slot_of(*tag), *to),
            Step::MoveKey(tag) => drop(self.cluster.move_key(slot_of(*tag))),
            Step::Finish(tag) => self.cluster.finish(slot_of(*tag)),
            Step::GiveUp(tag) => self.cluster.give_up(slot_of(*tag)),
            Step::Break(node, count) => self.cut(*node, *count),
            Step::Heal(node) => self.heal(*node),
            Step::Fault(node, fault) => {
                self.cluster.nodes[*node].faults.push_back(FAULTS[fault.index(FAULTS.len())]);
            }
            Step::Look => self.window.on_topology(&self.cluster.topology(), "h"),
            Step::Wait(millis) => {
                self.now += Duration::from_millis(*millis);
                self.window.on_time(self.now);
            }
        }
        self.take();
    }

    fn push(&mut self, planned: &[Planned]) {
        if !self.window.has_room() {
            return;
        }
        // One unit for each slot.
        let planned: BTreeMap<usize, &Planned> =
            planned.iter().map(|planned| (planned.tag, planned)).collect();
        let position = u64::try_from(self.pushed).unwrap() + 1;
        let batch = self.window.open_batch(self.pushed);
        for planned in planned.values() {
            self.window.add(&batch, [planned.unit(position)]);
            self.take();
        }
        assert!(self.settled <= self.pushed, "a batch settles before it is complete");
        self.window.close_batch(batch);
        self.pushed += 1;
        for words in planned.values().flat_map(|planned| planned.words()) {
            // A record that the source could not carry out is none.
            carry_out(&mut self.model, &words).unwrap_or_default();
        }
    }

    fn deliver(&mut self, number: usize, count: usize) {
        if self.broken.contains(&number) {
            return;
        }
        let outgoing = self.window.outgoing(node(number));
        let arrived: Vec<Vec<u8>> = commands(outgoing).take(count).map(<[u8]>::to_vec).collect();
        for command in arrived {
            drop(outgoing.split_to(command.len()));
            self.cluster.receive(number, &command);
        }
    }

    fn answer(&mut self, number: usize, count: usize) {
        for _ in 0..count {
            let Some(outcome) = self.cluster.nodes[number].replies.pop_front() else { return };
            self.window.on_outcome(node(number), outcome, self.now).unwrap();
        }
    }

    fn cut(&mut self, number: usize, count: usize) {
        self.deliver(number, count);
        self.cluster.disconnect(number);
        self.window.on_broken(node(number));
        self.broken.insert(number);
    }

    /// The old connection is dead for sure, positions are read, and a new one is open.
    fn heal(&mut self, number: usize) {
        let is_wanted = self.window.wanted().any(|wanted| wanted == node(number));
        if self.broken.remove(&number) || is_wanted {
            let in_doubt = self.window.in_doubt(node(number));
            let positions = in_doubt.into_iter().map(|slot| (slot, self.cluster.position(slot))).collect();
            self.window.on_positions(node(number), &positions, self.now);
            assert!(!self.window.is_in_doubt(node(number)));
            self.window.on_open(node(number));
        }
    }

    fn take(&mut self) {
        for lost in self.window.take_lost() {
            assert_ne!(lost.name(), "MULTI", "a transaction lost its place");
            self.handed_out.extend(marked_keys(lost.command()));
        }
        for refusal in self.window.take_refusals() {
            self.handed_out.extend(marked_keys(refusal.command()));
        }
        while let Some(tag) = self.window.settled() {
            assert_eq!(tag, self.settled);
            self.settled += 1;
        }
    }

    /// Until everything has settled.
    fn finish(&mut self) {
        for _ in 0..1000 {
            if self.window.is_empty() {
                return;
            }
            for number in 0..NODES {
                for step in
                    [Step::Heal(number), Step::Deliver(number, usize::MAX), Step::Answer(number, usize::MAX)]
                {
                    self.step(&step);
                }
            }
            if self.window.is_stale() {
                self.step(&Step::Look);
            }
            self.step(&Step::Wait(1000));
        }
        panic!("it never settles: {:?}", self.window);
    }

    fn check(&mut self) {
        assert_eq!(self.settled, self.pushed);
        let kept = |store: &Store| -> Store {
            let is_ours = |key: &[u8]| key.starts_with(PREFIX.as_bytes()) || self.handed_out.contains(key);
            store
                .iter()
                .filter(|(key, _)| !is_ours(key))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        };
        assert_eq!(kept(&self.cluster.everything()), kept(&self.model));
        for (slot, written) in &self.cluster.written {
            assert!(written.is_sorted_by(|a, b| a < b), "{slot:?} was written {written:?}");
        }
        assert!(self.window.has_room() && !self.window.is_half_full());
    }
}

proptest! {
    /// P9, P18: every batch settles in its turn, every transaction is carried out once and in the order of its slot, and every key that was
    /// not handed out is what it would be without a cluster.
    #[test]
    fn each_slot_ends_as_if_alone(steps in prop::collection::vec(step(), 1..120)) {
        let mut bench = Bench::new();
        for step in &steps {
            bench.step(step);
        }
        for tag in 0..TAGS.len() {
            bench.step(&Step::Finish(tag));
        }
        bench.finish();
        bench.check();
    }
}
