//! One second of the snapshot: it is begun, read for a second, and left. What is read is written to the target under reserved
//! keys and removed again, so that its pace counts too. A cluster is not written to.

use std::time::Duration;

use dfly_client::driver::{ControlConn, FlowConn};
use dfly_client::{FlowId, FlowRequest, Plan, Reply, Resume};
use dfly_rdb::payload::TargetFormat;
use dfly_rdb::{Config, Decoder, Event, Step};
use dfly_replica::EngineConfig;
use redis_resp::CommandBatch;
use redis_resp::connection::Endpoint;
use tokio::task::JoinSet;
use tokio::time::{Instant as Deadline, timeout_at};

use super::ask::{Asker, hurried};
use super::mirrored::Mirrored;
use crate::sample::{float, whole};

/// How long it is read.
const SECOND: Duration = Duration::from_secs(1);

/// The name under which the source knows this reader: 40 hexadecimal characters.
const READER: &str = "00000000000000000000000000000000000000fe";

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
}

/// Where what is read is written.
#[derive(Debug, Clone)]
pub(crate) struct Mirror {
    pub endpoint: Endpoint,
    pub format: TargetFormat,
    /// The names of the keys begin so.
    pub prefix: String,
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

    /// Keys a second.
    pub(crate) fn rate(&self) -> f64 {
        float(self.keys) / self.time.as_secs_f64().max(0.001)
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
    while let Some(Ok(read)) = readers.join_next().await {
        measured.keys += read.keys;
        measured.bytes += read.bytes;
        measured.is_whole &= read.is_whole;
        measured.with_target &= read.with_target;
        measured.time = measured.time.max(read.time);
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
    mirrored: Option<Mirrored>,
    /// When the first bytes came: the source takes a moment to begin.
    began: Option<Deadline>,
}

impl Reader {
    async fn new(flow: FlowId, source: FlowConn, mirror: Option<&Mirror>) -> Result<Self, String> {
        let target = match mirror {
            Some(mirror) => Some(Asker::open(&mirror.endpoint).await?),
            None => None,
        };
        let mirrored =
            mirror.map(|mirror| Mirrored::new(mirror.format, &format!("{}{flow}:", mirror.prefix)));
        let read = Measured { with_target: target.is_some(), ..Measured::default() };
        let decoder = Decoder::new(Config::default());
        Ok(Self { stream: SnapshotStream { source, decoder, read, mirrored, began: None }, target })
    }

    /// Reads until the snapshot ends or it is time. The target is given what was read, while the next is read.
    async fn run(mut self, until: Deadline) -> Measured {
        let mut commands = self.stream.next(until).await;
        while let Some(mut batch) = commands {
            commands = match &mut self.target {
                Some(target) => {
                    let (answered, next) =
                        tokio::join!(target.ask_batch(&mut batch), self.stream.next(until));
                    let is_done =
                        answered.is_ok_and(|replies| matches!(replies.last(), Some(Reply::Array(_))));
                    self.stream.read.with_target &= is_done;
                    next
                }
                None => self.stream.next(until).await,
            };
        }
        let took = self.stream.began.map(|began| Deadline::now().duration_since(began));
        self.stream.read.time = took.unwrap_or_default();
        self.stream.read
    }
}

impl SnapshotStream {
    /// The next commands for the target; `None` at the end of the snapshot or of the time.
    async fn next(&mut self, until: Deadline) -> Option<CommandBatch> {
        loop {
            let mut goes_on = true;
            while goes_on && !self.read.is_whole && self.mirrored.as_ref().is_none_or(Mirrored::has_room) {
                goes_on = self.read_on(until).await;
            }
            if !goes_on || Deadline::now() >= until {
                // What was read and is not written has cost the target nothing.
                let unwritten = self.mirrored.as_ref().map_or(0, Mirrored::keys);
                self.read.keys = self.read.keys.saturating_sub(unwritten as u64);
                return None;
            }
            let commands = self.mirrored.as_mut().and_then(Mirrored::take);
            if commands.is_some() || self.read.is_whole {
                return commands;
            }
        }
    }

    /// Reads the next key, or bytes of it. False: it is time, or the source has gone.
    async fn read_on(&mut self, until: Deadline) -> bool {
        match self.decoder.decode(&mut self.source.buffer) {
            Ok(Step::Ready(Event::Entry(entry))) => {
                self.read.keys += 1;
                if let Some(mirrored) = &mut self.mirrored {
                    mirrored.add(&entry);
                }
            }
            Ok(Step::Ready(Event::Close { .. })) => self.read.keys += 1,
            Ok(Step::Ready(Event::FullSyncEnd | Event::End { .. })) => self.read.is_whole = true,
            Ok(Step::Ready(_)) => {}
            Ok(Step::Need(_)) => match timeout_at(until, self.source.fill()).await {
                Ok(Ok(read)) => {
                    self.began.get_or_insert_with(Deadline::now);
                    self.read.bytes += read as u64;
                }
                _ => return false,
            },
            Err(_) => return false,
        }
        true
    }
}
