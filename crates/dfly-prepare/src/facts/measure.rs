//! The pace of the snapshot: it is begun, read for some seconds, and left. What is read is written to the target under reserved
//! keys and removed again, so that its pace counts too. A cluster is not written to.

use std::time::Duration;

use dfly_client::driver::{ControlConn, FlowConn};
use dfly_client::{FlowId, FlowRequest, Plan, Reply, Resume};
use dfly_rdb::payload::TargetFormat;
use dfly_rdb::{Config, Decoder, Event, Step};
use dfly_replica::EngineConfig;
use redis_resp::connection::Endpoint;
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant as Deadline, timeout_at};

use super::ask::{Asker, hurried};
use super::mirrored::{Mirrored, Part};
use super::rehearsed_writes::{KEYS, Pace, Rehearsed, RehearsedWrites};
use crate::sample::float;

/// How long it is read.
const SPAN: Duration = Duration::from_secs(3);

/// The longest wait for its first bytes.
const BEGINNING: Duration = Duration::from_secs(10);

/// Parts that wait for the target, of all flows: about as many as a transaction has.
const PARTS: usize = 32;

/// The longest wait for a transaction.
const CARRIED_OUT: Duration = Duration::from_secs(10);

/// The name under which the source knows this reader: 40 hexadecimal characters.
const READER: &str = "00000000000000000000000000000000000000fe";

/// What it costs the target to move a key when its table doubles, as a part of writing a short string into a small table. It is
/// once more as much for every doubling since, because fewer keys are in the processor's caches. Redis 7.0 on two kinds of
/// machines, of which one took twice the time of the other for both, with 0.3 to 3 million keys.
const MOVED: f64 = 0.2;

/// Longer than any snapshot.
const MOST_SECONDS: f64 = 1e12;

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
    /// With a target that has taken it meanwhile: how long it takes for 131,072 short strings alone.
    pub short_strings: Option<Duration>,
}

/// Where what is read is written.
#[derive(Debug, Clone)]
pub(crate) struct Mirror {
    pub endpoint: Endpoint,
    pub format: TargetFormat,
    /// The names of the keys begin so.
    pub prefix: String,
}

/// The parts that are written, and what comes of it.
type Writes = (Sender<Part>, JoinHandle<Option<Rehearsed>>);

impl Mirror {
    async fn writes(&self) -> Result<RehearsedWrites, String> {
        let target = Asker::waiting(&self.endpoint, CARRIED_OUT).await?;
        Ok(RehearsedWrites::new(target, &self.prefix))
    }

    async fn open(&self) -> Result<Writes, String> {
        let (parts, written) = channel(PARTS);
        Ok((parts, tokio::spawn(self.writes().await?.run(written))))
    }

    /// How long the target takes for [`KEYS`] short strings; `None` if it does not take them.
    async fn short_strings(&self) -> Result<Option<Duration>, String> {
        let parts = || Mirrored::short_strings(self.format, &self.prefix, KEYS);
        Ok(self.writes().await?.of_short_strings(parts).await)
    }
}

impl Measured {
    /// How long so many keys take; `None` if nothing came.
    pub fn whole_takes(&self, keys: u64) -> Option<Duration> {
        let growth = self.short_strings.map_or(0.0, |time| growth(keys, time.as_secs_f64()));
        let seconds = match self.rate() {
            _ if self.is_whole => self.time.as_secs_f64(),
            rate if rate > 0.0 => float(keys) / rate,
            _ => return None,
        };
        Some(Duration::from_secs_f64((seconds + growth).min(MOST_SECONDS)))
    }

    /// Keys a second.
    pub(crate) fn rate(&self) -> f64 {
        float(self.keys) / self.time.as_secs_f64().max(0.001)
    }
}

/// What so many keys cost the target more, in seconds, than as many of which it never holds more than [`KEYS`] together: its table
/// doubles, and each time all keys that are there are moved. [`KEYS`] short strings take so many seconds.
fn growth(keys: u64, short_strings: f64) -> f64 {
    let (mut size, mut doublings, mut moves) = (2 * KEYS, 1.0, 0.0);
    while size < keys {
        moves += float(size) * doublings;
        (size, doublings) = (size.saturating_mul(2), doublings + 1.0);
    }
    moves * MOVED * short_strings / float(KEYS)
}

/// Begins a full synchronisation, reads it for [`SPAN`], and ends the session.
///
/// # Errors
/// What went wrong, in words.
pub(crate) async fn measure(config: &EngineConfig, mirror: Option<&Mirror>) -> Result<Measured, String> {
    let endpoint = hurried(&config.source);
    let (mut control, session) =
        ControlConn::open(&endpoint, READER).await.map_err(|error| error.to_string())?;
    let short_strings = match mirror {
        Some(mirror) => mirror.short_strings().await?,
        None => None,
    };
    let (parts, writes) = match mirror {
        Some(mirror) => mirror.open().await.map(|(parts, writes)| (Some(parts), Some(writes)))?,
        None => (None, None),
    };
    let (mut flows, mut starts) = (Vec::new(), Vec::new());
    for flow in (0..session.flows).map(FlowId) {
        let request = FlowRequest { session: &session, flow, resume: &Resume::Nothing };
        let (conn, start) = FlowConn::open(&endpoint, &request).await.map_err(|error| error.to_string())?;
        starts.push(start);
        let mirrored = mirror.map(|mirror| Mirrored::new(mirror.format, &mirror.prefix, flow, session.flows));
        flows.push(SnapshotStream::new(conn, mirrored, parts.clone()));
    }
    drop(parts);
    let Plan::Full(plan) = session.plan(&starts).map_err(|error| error.to_string())? else {
        return Err("the source does not begin a snapshot".to_owned());
    };
    let began = Deadline::now();
    let mut readers = JoinSet::new();
    for stream in flows {
        readers.spawn(stream.run());
    }
    // The flows are read before its answer comes.
    if let Ok(Ok(Reply::Error(error))) =
        timeout_at(began + BEGINNING, control.ask(&plan.sync_request())).await
    {
        return Err(error.to_string());
    }
    let mut all = Read { is_whole: true, ..Read::default() };
    while let Some(Ok(read)) = readers.join_next().await {
        all.add(&read);
    }
    let rehearsed = match writes {
        Some(writes) => writes.await.ok().flatten(),
        None => None,
    };
    let first = all.first.unwrap_or(began);
    let pace = rehearsed.and_then(|all_of_it| match all.is_whole {
        true => all_of_it.whole(first),
        false => all_of_it.pace(first),
    });
    Ok(all.measured(pace, short_strings))
}

/// What was read, of one flow or of all.
#[derive(Debug, Clone, Copy, Default)]
struct Read {
    keys: u64,
    bytes: u64,
    is_whole: bool,
    /// When the first bytes came: the source takes a moment to begin.
    first: Option<Deadline>,
    last: Option<Deadline>,
}

impl Read {
    fn add(&mut self, flow: &Self) {
        self.keys += flow.keys;
        self.bytes += flow.bytes;
        self.is_whole &= flow.is_whole;
        self.first = [self.first, flow.first].into_iter().flatten().min();
        self.last = self.last.max(flow.last);
    }

    /// Which keys and bytes have taken which time, here alone or with the target.
    fn measured(&self, pace: Option<Pace>, short_strings: Option<Duration>) -> Measured {
        let taken = self.first.zip(self.last).map(|(first, last)| last.duration_since(first));
        let alone = Pace { keys: self.keys, bytes: self.bytes, time: taken.unwrap_or_default() };
        let Pace { keys, bytes, time } = pace.unwrap_or(alone);
        let short_strings = pace.and(short_strings);
        Measured { keys, bytes, time, is_whole: self.is_whole, short_strings }
    }
}

/// The snapshot of one flow.
struct SnapshotStream {
    source: FlowConn,
    decoder: Decoder,
    read: Read,
    /// What is written, and where it goes; `None` once the target does not take it.
    mirrored: Option<(Mirrored, Sender<Part>)>,
}

impl SnapshotStream {
    fn new(source: FlowConn, mirrored: Option<Mirrored>, parts: Option<Sender<Part>>) -> Self {
        let decoder = Decoder::new(Config::default());
        Self { source, decoder, read: Read::default(), mirrored: mirrored.zip(parts) }
    }

    /// Reads until the snapshot ends, or it was read for [`SPAN`].
    async fn run(mut self) -> Read {
        let mut goes_on = self.fill(Deadline::now() + BEGINNING).await;
        let until = Deadline::now() + SPAN;
        while goes_on && !self.read.is_whole {
            goes_on = self.read_on(until).await && self.hand_over(until).await;
        }
        if self.read.is_whole
            && let Some((mut mirrored, parts)) = self.mirrored.take()
        {
            // Whoever does not take it has said so.
            drop(parts.send(mirrored.take()).await);
        }
        self.read.last = Some(Deadline::now());
        self.read
    }

    /// Gives a full part away. False: it is time.
    async fn hand_over(&mut self, until: Deadline) -> bool {
        let Some((mirrored, parts)) = self.mirrored.as_mut().filter(|(mirrored, _)| !mirrored.has_room())
        else {
            return true;
        };
        match timeout_at(until, parts.send(mirrored.take())).await {
            Ok(Ok(())) => true,
            Ok(Err(_)) => {
                self.mirrored = None;
                true
            }
            Err(_elapsed) => false,
        }
    }

    /// Reads the next key, or bytes of it. False: it is time, or the source has gone.
    async fn read_on(&mut self, until: Deadline) -> bool {
        match self.decoder.decode(&mut self.source.buffer) {
            Ok(Step::Ready(Event::Entry(entry))) => {
                self.read.keys += 1;
                if let Some((mirrored, _)) = &mut self.mirrored {
                    mirrored.add(&entry);
                }
            }
            Ok(Step::Ready(Event::Close { .. })) => {
                self.read.keys += 1;
                if let Some((mirrored, _)) = &mut self.mirrored {
                    mirrored.count();
                }
            }
            Ok(Step::Ready(Event::FullSyncEnd | Event::End { .. })) => self.read.is_whole = true,
            Ok(Step::Ready(_)) => {}
            Ok(Step::Need(_)) => return self.fill(until).await,
            Err(_) => return false,
        }
        true
    }

    /// Reads bytes. False: none came in time, or the source has gone.
    async fn fill(&mut self, until: Deadline) -> bool {
        let Ok(Ok(read)) = timeout_at(until, self.source.fill()).await else { return false };
        self.read.first.get_or_insert_with(Deadline::now);
        self.read.bytes += read as u64;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_keys_cost_the_target_more_each() {
        let measured = Measured {
            keys: 1_000_000,
            time: Duration::from_secs(1),
            short_strings: Some(Duration::from_millis(131)),
            ..Measured::default()
        };
        let takes = |measured: Measured, keys| measured.whole_takes(keys).map(|time| time.as_millis());
        assert_eq!(takes(measured, 100_000), Some(100), "as many as were held together");
        assert_eq!(takes(measured, 2 * 131_072), Some(262), "the table is full, and does not double yet");
        // 262,144 keys were moved once, and 524,288 once, which took twice as long each.
        assert_eq!(takes(measured, 600_000), Some(600 + 262));
        assert_eq!(takes(Measured { is_whole: true, ..measured }, 600_000), Some(1262));
        assert_eq!(takes(Measured { short_strings: None, ..measured }, 2_000_000), Some(2000));
        assert_eq!(takes(Measured::default(), 5), None);
    }
}
