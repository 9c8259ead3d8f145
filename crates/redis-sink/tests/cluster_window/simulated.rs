//! A small cluster without sockets: keys at nodes, slots on their way, and the answers of a server.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use redis_resp::{Outcome, Reply, ServerError, arguments};
use redis_slots::{KeySpec, SLOTS, Slot, Topology};

pub(crate) type Words = Vec<Vec<u8>>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(Vec<u8>),
    Set(BTreeSet<Vec<u8>>),
}

pub(crate) type Store = BTreeMap<Vec<u8>, Value>;

/// Carries out a command; the text of its refusal otherwise.
pub(crate) fn carry_out(store: &mut Store, words: &[Vec<u8>]) -> Result<(), &'static str> {
    const WRONG: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
    let key = words.get(1).cloned().unwrap_or_default();
    let last = words.last().cloned().unwrap_or_default();
    match words[0].as_slice() {
        b"SET" => drop(store.insert(key, Value::Text(last))),
        b"MSET" => {
            for pair in words[1..].chunks(2) {
                store.insert(pair[0].clone(), Value::Text(pair[1].clone()));
            }
        }
        b"DEL" => words[1..].iter().for_each(|key| drop(store.remove(key))),
        b"HSET" => drop(store.insert(key, Value::Text(last))),
        b"SADD" => match store.entry(key).or_insert_with(|| Value::Set(BTreeSet::new())) {
            Value::Set(members) => drop(members.insert(last)),
            Value::Text(_) => return Err(WRONG),
        },
        b"APPEND" => match store.entry(key).or_insert_with(|| Value::Text(Vec::new())) {
            Value::Text(text) => text.extend(last),
            Value::Set(_) => return Err(WRONG),
        },
        other => panic!("{}", other.escape_ascii()),
    }
    Ok(())
}

pub(crate) fn key_spec(words: &[Vec<u8>]) -> KeySpec {
    match words[0].as_slice() {
        b"DEL" => KeySpec::ALL,
        b"MSET" => KeySpec::range(1, -1, 2),
        _ => KeySpec::FIRST,
    }
}

pub(crate) fn keys(words: &[Vec<u8>]) -> Vec<Vec<u8>> {
    key_spec(words).keys(words).map(<[u8]>::to_vec).collect()
}

#[derive(Debug, Default)]
pub(crate) struct Node {
    pub store: Store,
    /// Replies on their way back.
    pub replies: VecDeque<Outcome>,
    /// What the next commands with a key are refused with.
    pub faults: VecDeque<&'static str>,
    is_asking: bool,
    queued: Option<Vec<Words>>,
    is_aborted: bool,
}

/// A slot on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Migration {
    pub from: usize,
    pub to: usize,
}

#[derive(Debug)]
pub(crate) struct Cluster {
    pub nodes: Vec<Node>,
    owners: Vec<usize>,
    pub migrations: BTreeMap<Slot, Migration>,
    /// Slots whose move was given up. It is not begun again: a command that was sent on before would be carried out where its key
    /// is not any more, as at a real cluster.
    given_up: BTreeSet<Slot>,
    /// Positions in the order in which transactions wrote them.
    pub written: BTreeMap<Slot, Vec<u64>>,
}

impl Cluster {
    pub(crate) fn new(count: usize) -> Self {
        let owner = |slot| usize::from(slot) * count / usize::from(SLOTS);
        let nodes = (0..count).map(|_| Node::default()).collect();
        Self {
            nodes,
            owners: (0..SLOTS).map(owner).collect(),
            migrations: BTreeMap::new(),
            given_up: BTreeSet::new(),
            written: BTreeMap::new(),
        }
    }

    pub(crate) fn owner(&self, slot: Slot) -> usize {
        self.owners[usize::from(slot.0)]
    }

    /// All slots of a node are another's from now on.
    pub(crate) fn replace(&mut self, node: usize, by: usize) {
        self.owners.iter_mut().filter(|owner| **owner == node).for_each(|owner| *owner = by);
    }

    /// As `CLUSTER SLOTS` tells it.
    pub(crate) fn topology(&self) -> Topology {
        let bulk = |text: String| Reply::Bulk(text.into_bytes().into());
        let mut ranges = Vec::new();
        let mut start = 0;
        for run in self.owners.chunk_by(|a, b| a == b) {
            let end = start + run.len();
            let number = |n: usize| Reply::Integer(i64::try_from(n).unwrap());
            let node = vec![bulk("h".to_owned()), number(7000 + run[0]), bulk(format!("node{}", run[0]))];
            ranges.push(Reply::Array(vec![number(start), number(end - 1), Reply::Array(node)]));
            start = end;
        }
        Topology::from_slots(&Reply::Array(ranges), false).unwrap()
    }

    pub(crate) fn begin(&mut self, slot: Slot, to: usize) {
        let from = self.owner(slot);
        if from != to && !self.given_up.contains(&slot) {
            self.migrations.entry(slot).or_insert(Migration { from, to });
        }
    }

    /// Moves one key of a slot on its way; whether there was one.
    pub(crate) fn move_key(&mut self, slot: Slot) -> bool {
        let Some(Migration { from, to }) = self.migrations.get(&slot).copied() else { return false };
        let found = self.nodes[from].store.keys().find(|key| Slot::of(key) == slot).cloned();
        let Some(key) = found else { return false };
        let value = self.nodes[from].store.remove(&key).unwrap();
        self.nodes[to].store.insert(key, value);
        true
    }

    pub(crate) fn finish(&mut self, slot: Slot) {
        while self.move_key(slot) {}
        if let Some(migration) = self.migrations.remove(&slot) {
            self.owners[usize::from(slot.0)] = migration.to;
        }
    }

    /// Gives a migration up: keys that have gone come back.
    pub(crate) fn give_up(&mut self, slot: Slot) {
        if let Some(Migration { from, to }) = self.migrations.get(&slot).copied() {
            self.migrations.insert(slot, Migration { from: to, to: from });
            while self.move_key(slot) {}
            self.migrations.remove(&slot);
            self.given_up.insert(slot);
        }
    }

    /// Everything that the nodes hold.
    pub(crate) fn everything(&self) -> Store {
        let mut all = Store::new();
        for (key, value) in self.nodes.iter().flat_map(|node| &node.store) {
            assert_eq!(all.insert(key.clone(), value.clone()), None, "a key is at two nodes");
        }
        all
    }

    /// The position that a slot holds, wherever it is.
    pub(crate) fn position(&self, slot: Slot) -> u64 {
        self.written.get(&slot).and_then(|written| written.last()).copied().unwrap_or(0)
    }

    /// The connection to a node is closed.
    pub(crate) fn disconnect(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        node.replies.clear();
        (node.is_asking, node.queued, node.is_aborted) = (false, None, false);
    }

    /// A command arrives.
    pub(crate) fn receive(&mut self, node: usize, command: &[u8]) {
        let words: Words = arguments(command).map(<[u8]>::to_vec).collect();
        let outcome = match words[0].as_slice() {
            b"ASKING" => {
                self.nodes[node].is_asking = true;
                Outcome::Done
            }
            b"MULTI" => {
                assert_eq!(self.nodes[node].queued.replace(Vec::new()), None);
                Outcome::Done
            }
            b"EXEC" => self.execute(node),
            _ => self.command(node, words),
        };
        self.nodes[node].replies.push_back(outcome);
    }

    fn command(&mut self, node: usize, words: Words) -> Outcome {
        let refused = self.refused(node, &keys(&words));
        let server = &mut self.nodes[node];
        if let Some(queued) = &mut server.queued {
            server.is_aborted |= refused.is_some();
            queued.push(words);
            return refused.map_or(Outcome::Done, |error| refusal(&error));
        }
        server.is_asking = false;
        let done = match refused {
            Some(error) => Err(error),
            None => carry_out(&mut server.store, &words).map_err(str::to_owned),
        };
        done.map_or_else(|error| refusal(&error), |()| Outcome::Done)
    }

    fn execute(&mut self, node: usize) -> Outcome {
        let queued = self.nodes[node].queued.take().expect("EXEC without MULTI");
        let all: Vec<Vec<u8>> = queued.iter().flat_map(|words| keys(words)).collect();
        let is_aborted = std::mem::take(&mut self.nodes[node].is_aborted);
        let refused = if is_aborted { None } else { self.refused(node, &all) };
        self.nodes[node].is_asking = false;
        if is_aborted {
            return refusal("EXECABORT Transaction discarded because of previous errors.");
        }
        if let Some(error) = refused {
            return match error.split_once(' ') {
                Some(("LOADING" | "OOM", _)) => {
                    refusal(&format!("EXECABORT Transaction discarded because of: {error}"))
                }
                _ => refusal(&error),
            };
        }
        let mut errors = Vec::new();
        for (index, words) in queued.iter().enumerate() {
            if let Err(error) = carry_out(&mut self.nodes[node].store, words) {
                errors.push((index, ServerError::parse(error.as_bytes())));
            }
            if words[0] == b"HSET" {
                let position = std::str::from_utf8(&words[3]).unwrap().parse().unwrap();
                self.written.entry(Slot::of(&words[1])).or_default().push(position);
            }
        }
        let count = queued.len();
        if errors.is_empty() { Outcome::Done } else { Outcome::RefusedInside { count, errors } }
    }

    /// Why a node does not take a command with these keys (server `cluster.c`, `getNodeByQuery`).
    fn refused(&mut self, node: usize, keys: &[Vec<u8>]) -> Option<String> {
        if let Some(fault) = self.nodes[node].faults.pop_front() {
            return Some(fault.to_owned());
        }
        let slot = Slot::of(&keys[0]);
        assert!(keys.iter().all(|key| Slot::of(key) == slot), "CROSSSLOT");
        let missing = keys.iter().filter(|key| !self.nodes[node].store.contains_key(*key)).count();
        let migration = self.migrations.get(&slot).copied();
        let redirect = |word, to| Some(format!("{word} {} h:{}", slot.0, 7000 + to));
        let try_again = || Some("TRYAGAIN Multiple keys request during rehashing of slot".to_owned());
        if self.owner(slot) == node {
            return match migration {
                Some(_) if missing > 0 && missing < keys.len() => try_again(),
                Some(migration) if missing > 0 => redirect("ASK", migration.to),
                _ => None,
            };
        }
        match migration {
            Some(migration) if migration.to == node && self.nodes[node].is_asking => {
                if keys.len() > 1 && missing > 0 { try_again() } else { None }
            }
            _ => redirect("MOVED", self.owner(slot)),
        }
    }
}

fn refusal(line: &str) -> Outcome {
    Outcome::Refused(ServerError::parse(line.as_bytes()))
}
