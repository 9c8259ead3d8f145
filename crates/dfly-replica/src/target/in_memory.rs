//! A target in memory, for tests: a server that carries transactions out as Redis does, and a writer to it. Nothing happens
//! by itself: whoever holds the writer says when a batch is carried out, and when its answer comes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use dfly_journal::Lsn;
use dfly_translate::{CommandFacts, CommandKind, ReservedNames};
use redis_resp::{CommandBatch, EncodedCommand, EncodedCommands, ServerError};
use redis_sink::Refusal;
use redis_slots::Slot;

use super::writer::{BatchTag, FlushPlan, Held, TargetEvent, TargetWriter};
use crate::checkpoint::Position;
use crate::error::FlowError;
use crate::keys::TargetKey;
use crate::source::sharding::Sharding;

/// How many batches may be in flight.
const WINDOW: usize = 6;

/// What a server holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contents {
    pub strings: BTreeMap<Bytes, Vec<u8>>,
    pub sets: BTreeMap<Bytes, BTreeSet<Bytes>>,
    /// The flow's position.
    pub position: Option<Position>,
    /// Keys that the source does not have are still to be removed.
    pub sweeps: bool,
}

/// A server with one database.
#[derive(Debug, Default)]
pub(crate) struct Server {
    pub now: Contents,
    /// What it finds on its disk when it starts again.
    pub saved: Contents,
    /// So many data commands are refused next, although the server could carry them out.
    pub refusals: usize,
}

/// A server that several writers know, one after the other.
pub(crate) type SharedServer = Arc<Mutex<Server>>;

/// Holds the server.
pub(crate) fn lock(server: &SharedServer) -> MutexGuard<'_, Server> {
    server.lock().expect("no test goes on behind a panic")
}

impl Server {
    /// The keys, but for the tool's own.
    pub(crate) fn data(&self) -> BTreeMap<Bytes, Vec<u8>> {
        let is_data = |(key, _): &(&Bytes, &Vec<u8>)| !ReservedNames::is_reserved(key);
        self.now.strings.iter().filter(is_data).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    fn execute(&mut self, command: EncodedCommand<'_>) -> Result<(), ServerError> {
        if CommandFacts::of(command).kind == CommandKind::Data && self.refusals > 0 {
            self.refusals -= 1;
            return Err(ServerError::parse(b"ERR refused by the test"));
        }
        let words: Vec<Bytes> = command.arguments().map(Bytes::copy_from_slice).collect();
        match words.as_slice() {
            [name, ..] if name.eq_ignore_ascii_case(b"SELECT") => Ok(()),
            [name, words @ ..] => self.run(&name.to_ascii_uppercase(), words),
            [] => Err(ServerError::parse(b"ERR empty command")),
        }
    }

    fn run(&mut self, name: &[u8], words: &[Bytes]) -> Result<(), ServerError> {
        let Contents { strings, sets, .. } = &mut self.now;
        match (name, words) {
            (b"SET", [key, value, ..]) => drop(strings.insert(key.clone(), value.to_vec())),
            (b"MSET", pairs) => {
                let pairs = pairs.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].to_vec()));
                strings.extend(pairs);
            }
            (b"APPEND", [key, value]) => {
                strings.entry(key.clone()).or_default().extend_from_slice(value);
            }
            (b"INCRBY", [key, by]) => add(strings.entry(key.clone()).or_default(), by)?,
            (b"INCR", [key]) => add(strings.entry(key.clone()).or_default(), b"1")?,
            (b"DEL" | b"UNLINK", keys) => {
                for key in keys {
                    strings.remove(key);
                    sets.remove(key);
                }
            }
            // The script that checks for a key, and notes it if it is not there.
            (b"EVAL", [_script, _two, key, set, member]) if !strings.contains_key(key) => {
                sets.entry(set.clone()).or_default().insert(member.clone());
                return Err(ServerError::parse(b"MISSING it has expired"));
            }
            (b"EVAL", [_script, _two, _key, _set, _member]) => {}
            // The script that a RENAME becomes, for the source may have had the key when the target has not.
            (b"EVAL", [_script, _two, from, to]) => match strings.remove(from) {
                Some(value) => drop(strings.insert(to.clone(), value)),
                None => drop(strings.remove(to)),
            },
            (b"SADD", [key, members @ ..]) => {
                sets.entry(key.clone()).or_default().extend(members.iter().cloned());
            }
            (b"SREM", [key, members @ ..]) => {
                let set = sets.entry(key.clone()).or_default();
                set.retain(|member| !members.contains(member));
            }
            _ => panic!("the server in memory does not know {} {words:?}", name.escape_ascii()),
        }
        Ok(())
    }

    /// Goes back to what is on its disk.
    pub(crate) fn restart(&mut self) {
        self.now = self.saved.clone();
    }
}

fn add(value: &mut Vec<u8>, by: &[u8]) -> Result<(), ServerError> {
    let number = |text: &[u8]| match text {
        b"" => Some(0i64),
        text => std::str::from_utf8(text).ok()?.parse().ok(),
    };
    let sum = number(value).zip(number(by)).and_then(|(value, by)| value.checked_add(by));
    let sum = sum.ok_or_else(|| ServerError::parse(b"ERR value is not an integer or out of range"))?;
    *value = sum.to_string().into_bytes();
    Ok(())
}

/// What was sent.
#[derive(Debug)]
enum Sent {
    Batch(BatchTag),
    Flush(Box<FlushPlan>),
}

impl Sent {
    fn position(&self) -> Option<Position> {
        match self {
            Self::Batch(BatchTag::Baseline) => None,
            Self::Batch(BatchTag::Entry(at) | BatchTag::Journal(at)) => Some(*at),
            Self::Flush(plan) => Some(plan.at),
        }
    }
}

#[derive(Debug)]
struct InFlight {
    commands: EncodedCommands,
    sent: Sent,
    /// What the server refused, once it has carried the rest out.
    carried: Option<Vec<Refusal>>,
}

/// Writes one flow's batches to a server in memory.
#[derive(Debug)]
pub(crate) struct InMemoryWriter {
    server: SharedServer,
    in_flight: VecDeque<InFlight>,
    events: VecDeque<TargetEvent>,
    sent: Position,
}

impl InMemoryWriter {
    /// For a flow that stands at `position`.
    pub(crate) fn new(server: SharedServer, position: Option<Position>) -> Self {
        let sent = position.unwrap_or_default();
        Self { server, in_flight: VecDeque::new(), events: VecDeque::new(), sent }
    }

    /// The server carries out the oldest batch that it has not carried out. False if there is none.
    pub(crate) fn carry_out(&mut self) -> bool {
        let Some(next) = self.in_flight.iter_mut().find(|batch| batch.carried.is_none()) else {
            return false;
        };
        let mut server = lock(&self.server);
        let mut refused = Vec::new();
        for (place, command) in next.commands.iter().enumerate() {
            if let Err(error) = server.execute(command) {
                refused.push(Refusal::new(next.commands.part(place, usize::MAX), error));
            }
        }
        if let Sent::Flush(_) = next.sent {
            server.now.strings.clear();
            server.now.sets.clear();
        }
        if let Some(at) = next.sent.position() {
            let is_next = server.now.position.is_none_or(|before| before.transaction + 1 == at.transaction);
            assert!(is_next || at.transaction == 0, "{at} behind {:?}", server.now.position);
            server.now.position = Some(at);
        }
        next.carried = Some(refused);
        true
    }

    /// The answer to the oldest batch comes, if it was carried out.
    pub(crate) fn answer(&mut self) -> bool {
        if self.in_flight.front().is_none_or(|batch| batch.carried.is_none()) {
            return false;
        }
        let Some(InFlight { sent, carried, .. }) = self.in_flight.pop_front() else { return false };
        for refusal in carried.unwrap_or_default() {
            self.events.push_back(TargetEvent::Refused(Box::new(refusal)));
        }
        match sent {
            Sent::Flush(_) => self.events.push_back(TargetEvent::Flushed),
            Sent::Batch(_) => {
                self.events.push_back(TargetEvent::Carried);
                self.events.extend(sent.position().map(TargetEvent::Durable));
            }
        }
        true
    }

    /// Whether the server has refused something whose answer has not come.
    pub(crate) fn has_unanswered_refusals(&self) -> bool {
        self.in_flight.iter().any(|batch| batch.carried.as_ref().is_some_and(|refused| !refused.is_empty()))
    }

    /// The connection breaks, and another is made: what the server has carried out counts, and the rest is sent again.
    pub(crate) fn reconnect(&mut self) {
        self.events.push_back(TargetEvent::Stalled("cut by the test".to_owned()));
        while self.answer() {}
        self.events.push_back(TargetEvent::Resumed);
    }

    /// The server has started again, and does not hold what it held.
    pub(crate) fn forget(&mut self) {
        self.events.push_back(TargetEvent::Lost(FlowError::TargetForgot));
    }
}

impl TargetWriter for InMemoryWriter {
    fn has_room(&self) -> bool {
        self.in_flight.len() < WINDOW
    }

    fn has_plenty(&self) -> bool {
        !self.has_room()
    }

    fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.events.is_empty()
    }

    fn is_settled(&self) -> bool {
        self.is_idle()
    }

    fn commit(&mut self, batch: &mut CommandBatch, tag: BatchTag, _now: Instant) {
        if let BatchTag::Entry(at) | BatchTag::Journal(at) = tag {
            self.sent = at;
        }
        assert!(self.in_flight.len() < 3 * WINDOW, "more is committed than there is room for");
        self.in_flight.push_back(InFlight { commands: batch.take(), sent: Sent::Batch(tag), carried: None });
    }

    fn may_hold(&self, _lsn: Lsn) -> bool {
        false
    }

    fn holds(&self, _lsn: Lsn, _keys: &mut dyn Iterator<Item = TargetKey>) -> Held {
        Held::No
    }

    fn home(&self, _key: &[u8]) -> Option<Slot> {
        None
    }

    fn for_each_in_flight(&self, visit: &mut dyn FnMut(EncodedCommand<'_>)) {
        self.in_flight.iter().flat_map(|batch| batch.commands.iter()).for_each(visit);
    }

    fn learn_sharding(&mut self, _sharding: Sharding) {}

    fn await_flush(&mut self, _at: Position) {}

    fn flush(&mut self, plan: FlushPlan, _now: Instant) {
        assert!(self.in_flight.is_empty(), "a flush comes behind everything");
        let commands = CommandBatch::default().take();
        self.in_flight.push_back(InFlight { commands, sent: Sent::Flush(Box::new(plan)), carried: None });
    }

    fn pass_flush(&mut self, at: Position) {
        self.sent = at;
    }

    fn checkpoint_now(&mut self, _now: Instant) {}

    fn finish(&mut self, _now: Instant) {}

    fn deadline(&self, _now: Instant) -> Option<Instant> {
        None
    }

    fn on_deadline(&mut self, _now: Instant) {}

    fn poll_progress(&mut self, _context: &mut Context<'_>, _now: Instant) -> Poll<()> {
        self.carry_out();
        if self.answer() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn next_event(&mut self, _now: Instant) -> Option<TargetEvent> {
        self.events.pop_front()
    }
}
