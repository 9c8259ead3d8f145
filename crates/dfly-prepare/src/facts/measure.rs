//! One second of the snapshot: it is begun, read for a second, and left. What is read is written to the target under reserved
//! keys, so that its pace counts too; they are removed at once. A cluster is not written to.

use std::time::Duration;

use dfly_client::driver::{ControlConn, FlowConn};
use dfly_client::{FlowId, FlowRequest, Plan, Reply, Resume};
use dfly_rdb::payload::{Plan as Form, TargetFormat, write_dump};
use dfly_rdb::{Config, Decoder, Element, Entry, Event, Step, ValueKind};
use dfly_replica::EngineConfig;
use redis_resp::CommandBatch;
use redis_resp::connection::Endpoint;
use tokio::task::JoinSet;
use tokio::time::{Instant as Deadline, timeout_at};

use super::ask::{Asker, hurried};
use super::surplus::Surplus;
use crate::sample::{float, whole};

/// How long it is read.
const SECOND: Duration = Duration::from_secs(1);

/// The name under which the source knows this reader: 40 hexadecimal characters.
const READER: &str = "00000000000000000000000000000000000000fe";

/// Keys that are written at once: many, because a run waits for no answer before it sends on.
const AT_ONCE: usize = 2048;

/// The most bytes of values that are written at once.
const AT_ONCE_BYTES: usize = 1 << 20;

/// The longest that what is written stays if the connection breaks, in milliseconds.
const STAYS: &[u8] = b"20000";

/// What came in the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measured {
    /// Keys.
    pub keys: u64,
    /// Bytes.
    pub bytes: u64,
    /// How long it was read.
    pub time: Duration,
    /// Whether the whole snapshot has come by then.
    pub is_whole: bool,
    /// Whether the target has taken it meanwhile.
    pub with_target: bool,
    /// For how much of the time the source was ahead, and the target was waited for.
    target_bound: Duration,
    /// For how much of it the target was.
    source_bound: Duration,
    /// What the written keys have cost the target more than those of a run do.
    surplus: Duration,
}

/// Where what is read is written.
#[derive(Debug, Clone)]
pub(crate) struct Mirror {
    pub endpoint: Endpoint,
    pub format: TargetFormat,
    /// The names of the keys begin so.
    pub prefix: String,
}

impl Mirror {
    async fn surplus(&self) -> Result<Surplus, String> {
        let mut asker = Asker::open(&self.endpoint).await?;
        Surplus::of(&mut asker, &self.prefix).await.map_err(|error| error.to_string())
    }
}

impl Measured {
    /// How long so many keys take, in seconds; `None` if nothing came.
    pub fn whole_takes(&self, keys: u64) -> Option<u64> {
        if self.is_whole {
            return Some(whole(self.time.as_secs_f64()));
        }
        let rate = self.rate();
        (rate > 0.0).then(|| whole(float(keys) / rate))
    }

    /// Keys a second, at the pace of a run.
    pub(crate) fn rate(&self) -> f64 {
        float(self.keys) / self.time.saturating_sub(self.unpaid()).as_secs_f64().max(0.001)
    }

    /// What a run does not pay, as far as the target was waited for.
    fn unpaid(&self) -> Duration {
        let waited = self.target_bound + self.source_bound;
        if waited.is_zero() {
            return Duration::ZERO;
        }
        let share = self.target_bound.as_secs_f64() / waited.as_secs_f64();
        self.surplus.mul_f64(share).min(self.time / 2)
    }
}

/// Begins a full synchronisation, reads it for a second, and ends the session.
///
/// # Errors
/// What went wrong, in words.
pub(crate) async fn measure(config: &EngineConfig, mirror: Option<&Mirror>) -> Result<Measured, String> {
    let endpoint = hurried(&config.source);
    let (mut control, session) =
        ControlConn::open(&endpoint, READER).await.map_err(|error| error.to_string())?;
    let surplus = match mirror {
        Some(mirror) => mirror.surplus().await?,
        None => Surplus::default(),
    };
    let (mut flows, mut starts) = (Vec::new(), Vec::new());
    for flow in (0..session.flows).map(FlowId) {
        let request = FlowRequest { session: &session, flow, resume: &Resume::Nothing };
        let opened = FlowConn::open(&endpoint, &request).await.map_err(|error| error.to_string())?;
        starts.push(opened.2);
        flows.push((Reader::new(flow, opened.0, mirror).await?, opened.1));
    }
    let Plan::Full(plan) = session.plan(&starts).map_err(|error| error.to_string())? else {
        return Err("the source does not begin a snapshot".to_owned());
    };
    let until = Deadline::now() + SECOND;
    let mut readers = JoinSet::new();
    for (reader, acks) in flows {
        readers.spawn(async move {
            let read = reader.run(until).await;
            drop(acks);
            read
        });
    }
    // The flows are read before its answer comes.
    if let Ok(Ok(Reply::Error(error))) = timeout_at(until, control.ask(&plan.sync_request())).await {
        return Err(error.to_string());
    }
    let mut measured = Measured { is_whole: true, with_target: mirror.is_some(), ..Measured::default() };
    let mut written = Vec::new();
    while let Some(Ok((read, reader))) = readers.join_next().await {
        measured.keys += read.keys;
        measured.bytes += read.bytes;
        measured.is_whole &= read.is_whole;
        measured.time = measured.time.max(read.time);
        measured.target_bound += read.target_bound;
        measured.source_bound += read.source_bound;
        measured.surplus += reader.stream.cost(surplus);
        written.push(reader);
    }
    for reader in written {
        reader.remove().await;
    }
    Ok(measured)
}

/// One flow, and its connection to the target.
struct Reader {
    stream: SnapshotStream,
    target: Option<Asker>,
}

/// The snapshot of one flow.
struct SnapshotStream {
    source: FlowConn,
    decoder: Decoder,
    read: Measured,
    mirror: Option<Mirror>,
    flow: FlowId,
    /// Keys that were named on the target.
    named: u64,
    /// Those of them that are strings.
    strings: u64,
    /// When the first bytes came: the source takes a moment to begin.
    began: Option<Deadline>,
}

impl Reader {
    async fn new(flow: FlowId, source: FlowConn, mirror: Option<&Mirror>) -> Result<Self, String> {
        let target = match mirror {
            Some(mirror) => Some(Asker::open(&mirror.endpoint).await?),
            None => None,
        };
        let (decoder, read, mirror) = (Decoder::new(Config::default()), Measured::default(), mirror.cloned());
        Ok(Self {
            stream: SnapshotStream { source, decoder, read, mirror, flow, named: 0, strings: 0, began: None },
            target,
        })
    }

    /// Reads until the snapshot ends or it is time. The target is given what was read, while the next is read.
    async fn run(mut self, until: Deadline) -> (Measured, Self) {
        let mut commands = self.stream.next(until).await;
        while let Some(mut batch) = commands {
            commands = match &mut self.target {
                Some(target) if !batch.is_empty() => {
                    let answers = async { (target.ask_batch(&mut batch).await, Deadline::now()) };
                    let next = async { (self.stream.next(until).await, Deadline::now()) };
                    let ((answered, heard), (next, read)) = tokio::join!(answers, next);
                    self.stream.read.target_bound += heard.saturating_duration_since(read);
                    self.stream.read.source_bound += read.saturating_duration_since(heard);
                    if answered.is_err() {
                        self.target = None;
                    }
                    next
                }
                _ => self.stream.next(until).await,
            };
        }
        let took = self.stream.began.map(|began| Deadline::now().duration_since(began));
        self.stream.read.time = took.unwrap_or_default();
        (self.stream.read, self)
    }

    /// Removes what was written.
    async fn remove(mut self) {
        let (Some(target), stream) = (&mut self.target, &self.stream) else { return };
        let names: Vec<Vec<u8>> = (0..stream.named).map(|nth| stream.name(nth)).collect();
        for names in names.chunks(AT_ONCE) {
            let names = names.iter().map(Vec::as_slice);
            let unlink: Vec<&[u8]> = [&b"UNLINK"[..]].into_iter().chain(names).collect();
            if target.ask_all(&[unlink]).await.is_err() {
                // What stays expires.
                return;
            }
        }
    }
}

impl SnapshotStream {
    /// The next commands for the target; `None` at the end of the snapshot or of the time.
    async fn next(&mut self, until: Deadline) -> Option<CommandBatch> {
        let (mut commands, mut bytes) = (CommandBatch::default(), 0);
        while !self.read.is_whole && commands.len() < AT_ONCE && bytes < AT_ONCE_BYTES {
            match self.decoder.decode(&mut self.source.buffer) {
                Ok(Step::Ready(Event::Entry(entry))) => {
                    self.read.keys += 1;
                    bytes += entry.value.payload().len();
                    self.write(&entry, &mut commands);
                }
                Ok(Step::Ready(Event::Close { .. })) => self.read.keys += 1,
                Ok(Step::Ready(Event::FullSyncEnd | Event::End { .. })) => self.read.is_whole = true,
                Ok(Step::Ready(_)) => {}
                Ok(Step::Need(_)) => match timeout_at(until, self.source.fill()).await {
                    Ok(Ok(read)) => {
                        self.began.get_or_insert_with(Deadline::now);
                        self.read.bytes += read as u64;
                    }
                    _ => return None,
                },
                Err(_) => return None,
            }
        }
        let is_over = Deadline::now() >= until || commands.is_empty() && self.read.is_whole;
        (!is_over).then_some(commands)
    }

    /// Writes a value under a reserved key; values that only commands can write are left out.
    fn write(&mut self, entry: &Entry, commands: &mut CommandBatch) {
        let Some(format) = self.mirror.as_ref().map(|mirror| mirror.format) else { return };
        let name = self.name(self.named);
        self.named += 1;
        if entry.value.kind() == ValueKind::String
            && let Some(Ok(Element::String(text))) = entry.value.elements().next()
        {
            self.strings += 1;
            commands.push(&[b"SET", &name, &text.into_bytes(), b"PX", STAYS]);
            return;
        }
        let mut dump = Vec::new();
        match write_dump(&entry.value, &format, &mut dump) {
            Ok(Form::Verbatim | Form::Reencode) => commands.push(&[b"RESTORE", &name, STAYS, &dump]),
            Ok(Form::Commands) | Err(_) => {}
        }
    }

    /// What the written keys have cost more than those of a run.
    fn cost(&self, surplus: Surplus) -> Duration {
        let times = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        surplus.string * times(self.strings) + surplus.other * times(self.named - self.strings)
    }

    fn name(&self, nth: u64) -> Vec<u8> {
        let prefix = self.mirror.as_ref().map_or("", |mirror| mirror.prefix.as_str());
        format!("{prefix}{}:{nth}", self.flow).into_bytes()
    }
}
