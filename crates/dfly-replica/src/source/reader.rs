//! Reads from the source on a connection of its own: values of keys that are refetched, and which of many keys it has.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use dfly_client::{EXACT_READ_TRIES, ExactRead, FlowId, exact_read, exact_read_outcome, lsns_of};
use dfly_journal::Lsn;
use dfly_wire::{DbIndex, UnixMillis};
use redis_resp::connection::Connection;
use redis_resp::{CommandBatch, ErrorCode, Reply, ServerError};
use tokio::sync::{Semaphore, mpsc};
use tracing::debug;

use crate::config::EngineConfig;
use crate::flow::refetch::{Answer, MemoryHold, Presence, Question, Reading, Ticket};
use crate::keys::SourceKey;
use crate::source::answers::{AUTH, Expiry, ReadError, expiry, fetched, is_for_good, is_unknown_command};
use crate::target::replies::time_of;

const OFFSET: &str = "DFLY REPLICAOFFSET";

/// How many questions may wait, over all flows.
pub(crate) const QUESTIONS: usize = 64;

/// How many values are read between two looks at the flow's LSN.
const READ_AT_ONCE: usize = 64;

/// How many keys are asked about in one go.
const ASKED_AT_ONCE: usize = 2048;

/// The unit in which memory is shared out, in bytes.
const UNIT: u64 = 1024;

/// A question of one flow, and where the answer goes.
#[derive(Debug)]
pub(crate) struct ReadRequest {
    flow: FlowId,
    question: Question,
    answers: mpsc::Sender<ReadAnswer>,
}

/// The answer to a question.
#[derive(Debug)]
pub(crate) enum ReadAnswer {
    Value(SourceKey, Ticket, Answer),
    Presence(Ticket, Option<Presence>),
}

/// One flow's line to who asks the source.
#[derive(Debug)]
pub(crate) struct ReadLine {
    flow: FlowId,
    requests: mpsc::Sender<ReadRequest>,
    /// Questions that there was no room for. The flow has at most so many at a time.
    waiting: VecDeque<Question>,
    answer_to: mpsc::Sender<ReadAnswer>,
    answers: mpsc::Receiver<ReadAnswer>,
}

impl ReadLine {
    pub(crate) fn new(flow: FlowId, requests: mpsc::Sender<ReadRequest>) -> Self {
        let (answer_to, answers) = mpsc::channel(QUESTIONS);
        Self { flow, requests, waiting: VecDeque::new(), answer_to, answers }
    }

    /// Asks, as soon as there is room.
    pub(crate) fn ask(&mut self, question: Question) {
        self.waiting.push_back(question);
    }

    /// Waits for the next answer. Safe to cancel.
    pub(crate) async fn answered(&mut self) -> ReadAnswer {
        loop {
            if self.waiting.is_empty() {
                if let Some(answer) = self.answers.recv().await {
                    return answer;
                }
                std::future::pending::<()>().await;
            }
            tokio::select! {
                Some(answer) = self.answers.recv() => return answer,
                Ok(permit) = self.requests.reserve() => {
                    if let Some(question) = self.waiting.pop_front() {
                        let answers = self.answer_to.clone();
                        permit.send(ReadRequest { flow: self.flow, question, answers });
                    }
                }
                // Nobody reads any more: the session ends.
                else => std::future::pending::<()>().await,
            }
        }
    }
}

/// Serves questions until nobody can ask any more. All values that are read and not written yet take at most the memory
/// that the settings allow.
pub(crate) async fn serve(config: Arc<EngineConfig>, mut requests: mpsc::Receiver<ReadRequest>) {
    let mut server = Server::new(config);
    let mut batch = Vec::with_capacity(READ_AT_ONCE);
    while requests.recv_many(&mut batch, READ_AT_ONCE).await > 0 {
        let mut by_flow: BTreeMap<FlowId, Vec<ReadRequest>> = BTreeMap::new();
        for request in batch.drain(..) {
            by_flow.entry(request.flow).or_default().push(request);
        }
        for (flow, requests) in by_flow {
            server.serve(flow, requests).await;
        }
    }
}

/// A value that is to be read.
#[derive(Debug)]
struct Wanted {
    key: SourceKey,
    ticket: Ticket,
    is_hot: bool,
    answers: mpsc::Sender<ReadAnswer>,
}

impl Wanted {
    async fn answer(self, answer: Answer) {
        let Self { key, ticket, answers, .. } = self;
        if answers.send(ReadAnswer::Value(key, ticket, answer)).await.is_err() {
            debug!("the flow that has asked is gone");
        }
    }
}

struct Server {
    reader: SourceReader,
    memory: Arc<Semaphore>,
    /// All of the memory, in units.
    units: u32,
}

impl Server {
    fn new(config: Arc<EngineConfig>) -> Self {
        let units = u32::try_from(config.refetch_memory as u64 / UNIT).unwrap_or(u32::MAX).max(1);
        let memory = Arc::new(Semaphore::new(units as usize));
        Self { reader: SourceReader::new(config), memory, units }
    }

    async fn serve(&mut self, flow: FlowId, requests: Vec<ReadRequest>) {
        let mut values = Vec::new();
        for ReadRequest { question, answers, .. } in requests {
            match question {
                Question::Value { key, ticket, is_hot } => {
                    values.push(Wanted { key, ticket, is_hot, answers });
                }
                Question::Presence(keys, ticket) => {
                    let presence = self.reader.presence(flow, &keys).await;
                    let presence = presence.inspect_err(|error| debug!(%error, "no answer")).ok();
                    drop(answers.send(ReadAnswer::Presence(ticket, presence)).await);
                }
            }
        }
        if !values.is_empty() {
            self.serve_values(flow, values).await;
        }
    }

    /// Small values are read together, as many as fit into the memory that is free.
    async fn serve_values(&mut self, flow: FlowId, wanted: Vec<Wanted>) {
        let keys: Vec<&SourceKey> = wanted.iter().map(|wanted| &wanted.key).collect();
        let sizes = match self.reader.sizes(&keys).await {
            Ok(sizes) => sizes,
            Err(error) => return answer_all(wanted, &error).await,
        };
        let (mut together, mut units) = (Vec::new(), 0u32);
        for (wanted, size) in wanted.into_iter().zip(sizes) {
            let needed = size.map_or(self.units, |bytes| self.units_of(bytes));
            if needed > self.units {
                let reason = too_large(size.unwrap_or_default(), u64::from(self.units) * UNIT);
                wanted.answer(Answer::Refused(reason)).await;
                continue;
            }
            if units + needed > self.units {
                self.read_together(flow, std::mem::take(&mut together), units).await;
                units = 0;
            }
            units += needed;
            together.push(wanted);
        }
        self.read_together(flow, together, units).await;
    }

    /// A value counts twice: as it arrives, and as the command that is written.
    fn units_of(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.saturating_mul(2) / UNIT + 1).unwrap_or(u32::MAX)
    }

    async fn read_together(&mut self, flow: FlowId, wanted: Vec<Wanted>, units: u32) {
        if wanted.is_empty() {
            return;
        }
        let Ok(share) = Arc::clone(&self.memory).acquire_many_owned(units).await else { return };
        let memory = MemoryHold::new(share);
        let mut together = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            match self.read_hot(flow, &wanted, &memory).await {
                Some(answer) => wanted.answer(answer).await,
                None => together.push(wanted),
            }
        }
        let wanted = together;
        let keys: Vec<&SourceKey> = wanted.iter().map(|wanted| &wanted.key).collect();
        match self.reader.values(flow, &keys, &memory).await {
            Ok(answers) => {
                for (wanted, answer) in wanted.into_iter().zip(answers) {
                    wanted.answer(answer).await;
                }
            }
            Err(error) => answer_all(wanted, &error).await,
        }
    }
}

impl Server {
    /// The exact value of a key that is written to all the time; `None`: it is not one, or it is to be read as the others are.
    async fn read_hot(&mut self, flow: FlowId, wanted: &Wanted, memory: &MemoryHold) -> Option<Answer> {
        if !wanted.is_hot {
            return None;
        }
        let read = self.reader.hot_value(flow, &wanted.key, memory).await;
        read.unwrap_or_else(|error| Some(error.answer()))
    }
}

async fn answer_all(wanted: Vec<Wanted>, error: &ReadError) {
    debug!(%error, "keys could not be read from the source");
    for wanted in wanted {
        wanted.answer(error.answer()).await;
    }
}

fn too_large(bytes: u64, memory: u64) -> String {
    format!(
        "its value takes some {} MiB, and {} MiB of the memory limit are for such values: raise the limit",
        bytes >> 20,
        memory >> 21
    )
}

/// An ordinary client of the source.
#[derive(Debug)]
pub(crate) struct SourceReader {
    config: Arc<EngineConfig>,
    connection: Option<(Connection, DbIndex)>,
    /// Whether the source has answered PEXPIRETIME as a command that it does not know.
    lacks_pexpiretime: bool,
    /// Whether the source or its user's rights do not allow a transaction of what reads a key.
    lacks_watch: bool,
}

impl SourceReader {
    pub(crate) fn new(config: Arc<EngineConfig>) -> Self {
        Self { config, connection: None, lacks_pexpiretime: false, lacks_watch: false }
    }

    /// The next LSN of every flow.
    pub(crate) async fn lsns(&mut self) -> Result<Vec<Lsn>, ReadError> {
        let reply = self.ask(OFFSET, &[&b"DFLY"[..], b"REPLICAOFFSET"]).await?;
        lsns_of(&reply).ok_or_else(|| ReadError::strange(OFFSET, &reply))
    }

    /// The value of a key that is written to all the time, and the LSN before which it holds. `None`: not this time, or not by
    /// this source.
    async fn hot_value(
        &mut self,
        flow: FlowId,
        key: &SourceKey,
        memory: &MemoryHold,
    ) -> Result<Option<Answer>, ReadError> {
        if self.lacks_watch || self.lacks_pexpiretime {
            return Ok(None);
        }
        for _ in 0..EXACT_READ_TRIES {
            let mut connection = self.connected(key.db).await?;
            let replies = connection.ask_all(&mut value_at_an_lsn(&key.name)).await?;
            match exact_read_outcome(replies) {
                ExactRead::Read { lsns, replies } => {
                    self.connection = Some((connection, key.db));
                    let Some(at) = lsns.get(usize::from(flow.0)).copied() else { return Ok(None) };
                    let Ok([dump, time]) = <[Reply; 2]>::try_from(replies) else { return Ok(None) };
                    let value = fetched(dump, expiry("PEXPIRETIME", time, UnixMillis(0)), memory);
                    let reading = |value| Answer::Read(Reading { before: at, behind: at, value });
                    return Ok(Some(value.map_or_else(|error| error.answer(), reading)));
                }
                ExactRead::Changed => self.connection = Some((connection, key.db)),
                ExactRead::Refused(error) => {
                    self.lacks_watch = error.is_none_or(|error| is_for_good(&error));
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }

    async fn lsn(&mut self, flow: FlowId) -> Result<Lsn, ReadError> {
        let lsns = self.lsns().await?;
        let missing = || ReadError::Strange { request: OFFSET, answer: format!("{} LSNs", lsns.len()) };
        lsns.get(usize::from(flow.0)).copied().ok_or_else(missing)
    }

    /// Which of these keys the source does not have, between two looks at the flow's LSN.
    async fn presence(&mut self, flow: FlowId, keys: &[SourceKey]) -> Result<Presence, ReadError> {
        let before = self.lsn(flow).await?;
        let keys: Vec<&SourceKey> = keys.iter().collect();
        let there = self.exist(&keys).await?;
        let behind = self.lsn(flow).await?;
        let missing = keys.into_iter().zip(there).filter(|(_, there)| !there);
        Ok(Presence { before, behind, missing: missing.map(|(key, _)| key.clone()).collect() })
    }

    /// Which of these keys are there.
    pub(crate) async fn exist(&mut self, keys: &[&SourceKey]) -> Result<Vec<bool>, ReadError> {
        let replies = self.ask_each("EXISTS", keys, |key, out| out.push(&[b"EXISTS", key])).await?;
        let there = |reply: Reply| match reply {
            Reply::Integer(count) => Ok(count > 0),
            // A node of a Dragonfly Cluster that has given the key's slot away.
            Reply::Error(ServerError { code: ErrorCode::Moved(_), .. }) => Ok(false),
            Reply::Error(error) => Err(ReadError::refused("EXISTS", error)),
            other => Err(ReadError::strange("EXISTS", &other)),
        };
        replies.into_iter().map(there).collect()
    }

    /// What these keys take on the source, in bytes; `None` where it does not say. A key that is not there takes nothing.
    async fn sizes(&mut self, keys: &[&SourceKey]) -> Result<Vec<Option<u64>>, ReadError> {
        let ask = |key: &Bytes, out: &mut CommandBatch| out.push(&[b"MEMORY", b"USAGE", key]);
        let replies = self.ask_each("MEMORY USAGE", keys, ask).await?;
        let size = |reply: Reply| match reply {
            Reply::Integer(bytes) => Some(bytes.unsigned_abs()),
            Reply::Nil | Reply::Error(ServerError { code: ErrorCode::Moved(_), .. }) => Some(0),
            _ => None,
        };
        Ok(replies.into_iter().map(size).collect())
    }

    /// The values of these keys, between two looks at the flow's LSN.
    async fn values(
        &mut self,
        flow: FlowId,
        keys: &[&SourceKey],
        memory: &MemoryHold,
    ) -> Result<Vec<Answer>, ReadError> {
        let before = self.lsn(flow).await?;
        let dumps = self.ask_each("DUMP", keys, |key, out| out.push(&[b"DUMP", key])).await?;
        let times = self.expiries(keys).await?;
        let behind = self.lsn(flow).await?;
        let answer = |(dump, time)| match fetched(dump, time, memory) {
            Ok(value) => Answer::Read(Reading { before, behind, value }),
            Err(error) => error.answer(),
        };
        Ok(dumps.into_iter().zip(times).map(answer).collect())
    }

    /// When these keys expire. A source before v1.22, which has no PEXPIRETIME (C4), is asked how much time they have left, and
    /// for its clock before and behind that.
    async fn expiries(&mut self, keys: &[&SourceKey]) -> Result<Vec<Expiry>, ReadError> {
        if !self.lacks_pexpiretime {
            let ask = |key: &Bytes, out: &mut CommandBatch| out.push(&[b"PEXPIRETIME", key]);
            let times = self.ask_each("PEXPIRETIME", keys, ask).await?;
            self.lacks_pexpiretime = times.iter().any(is_unknown_command);
            if !self.lacks_pexpiretime {
                return Ok(times
                    .into_iter()
                    .map(|time| expiry("PEXPIRETIME", time, UnixMillis(0)))
                    .collect());
            }
        }
        let before = self.time().await?;
        let left = self.ask_each("PTTL", keys, |key, out| out.push(&[b"PTTL", key])).await?;
        let now = UnixMillis(before.0.midpoint(self.time().await?.0));
        Ok(left.into_iter().map(|left| expiry("PTTL", left, now)).collect())
    }

    /// The source's clock; as far as it is known, if its user may not ask.
    async fn time(&mut self) -> Result<UnixMillis, ReadError> {
        let mut connection = self.connected(DbIndex(0)).await?;
        let reply = connection.ask(&[b"TIME"]).await?;
        self.connection = Some((connection, DbIndex(0)));
        Ok(time_of(&reply).unwrap_or_else(|| self.config.clock.now()))
    }

    /// Asks about each key in its database, many at once, and gives the replies in the order of the keys.
    async fn ask_each(
        &mut self,
        name: &'static str,
        keys: &[&SourceKey],
        write: impl Fn(&Bytes, &mut CommandBatch),
    ) -> Result<Vec<Reply>, ReadError> {
        let mut replies = Vec::with_capacity(keys.len());
        for keys in keys.chunk_by(|one, other| one.db == other.db) {
            let db = keys.first().map_or(DbIndex(0), |key| key.db);
            for keys in keys.chunks(ASKED_AT_ONCE) {
                let mut batch = CommandBatch::default();
                keys.iter().for_each(|key| write(&key.name, &mut batch));
                let mut connection = self.connected(db).await?;
                let found = connection.ask_all(&mut batch).await?;
                self.connection = Some((connection, db));
                if found.len() != keys.len() {
                    let answer = format!("{} replies to {} questions", found.len(), keys.len());
                    return Err(ReadError::Strange { request: name, answer });
                }
                replies.extend(found);
            }
        }
        Ok(replies)
    }

    async fn ask(&mut self, name: &'static str, request: &[&[u8]]) -> Result<Reply, ReadError> {
        let mut connection = self.connected(DbIndex(0)).await?;
        let reply = connection.ask(request).await?;
        self.connection = Some((connection, DbIndex(0)));
        match reply {
            Reply::Error(error) => Err(ReadError::refused(name, error)),
            reply => Ok(reply),
        }
    }

    /// The connection, in database `db`. It is put back when it has answered; one that failed is opened anew.
    async fn connected(&mut self, db: DbIndex) -> Result<Connection, ReadError> {
        match self.connection.take() {
            Some((connection, at)) if at == db => Ok(connection),
            Some((connection, _)) => select(connection, db).await,
            None => {
                let connection = self.open().await?;
                if db == DbIndex(0) { Ok(connection) } else { select(connection, db).await }
            }
        }
    }

    async fn open(&self) -> Result<Connection, ReadError> {
        let endpoint = &self.config.source;
        let mut connection = Connection::open(endpoint).await?;
        if let Some(credentials) = &endpoint.credentials
            && let Reply::Error(error) = connection.log_in(credentials).await?
        {
            return Err(ReadError::refused(AUTH, error));
        }
        Ok(connection)
    }
}

fn value_at_an_lsn(key: &Bytes) -> CommandBatch {
    let ask = |name| vec![Bytes::from_static(name), key.clone()];
    let mut batch = CommandBatch::default();
    for words in exact_read(key, vec![ask(b"DUMP"), ask(b"PEXPIRETIME")]) {
        batch.push(&words.iter().map(|word| &word[..]).collect::<Vec<_>>());
    }
    batch
}

async fn select(mut connection: Connection, db: DbIndex) -> Result<Connection, ReadError> {
    match connection.ask(&["SELECT", &db.to_string()]).await? {
        Reply::Error(error) => Err(ReadError::refused("SELECT", error)),
        _ => Ok(connection),
    }
}
