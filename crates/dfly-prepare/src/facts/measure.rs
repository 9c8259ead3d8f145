//! One second of the snapshot: it is begun, read for a second, and left. The source gives what it would give to a replica.

use std::time::{Duration, Instant};

use dfly_client::driver::{ControlConn, FlowConn};
use dfly_client::{FlowId, FlowRequest, Plan, Reply, Resume};
use dfly_rdb::{Config, Decoder, Event, Step};
use dfly_replica::EngineConfig;
use tokio::task::JoinSet;
use tokio::time::{Instant as Deadline, timeout_at};

use super::ask::hurried;
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
}

/// Begins a full synchronisation, reads it for a second, and ends the session.
///
/// # Errors
/// What went wrong, in words.
pub(crate) async fn measure(config: &EngineConfig, now: fn() -> Instant) -> Result<Measured, String> {
    let endpoint = hurried(&config.source);
    let (mut control, session) =
        ControlConn::open(&endpoint, READER).await.map_err(|error| error.to_string())?;
    let (mut flows, mut starts) = (Vec::new(), Vec::new());
    for flow in (0..session.flows).map(FlowId) {
        let request = FlowRequest { session: &session, flow, resume: &Resume::Nothing };
        let opened = FlowConn::open(&endpoint, &request).await.map_err(|error| error.to_string())?;
        starts.push(opened.2);
        flows.push((opened.0, opened.1));
    }
    let Plan::Full(plan) = session.plan(&starts).map_err(|error| error.to_string())? else {
        return Err("the source does not begin a snapshot".to_owned());
    };
    let began = now();
    let until = Deadline::now() + SECOND;
    let mut readers = JoinSet::new();
    for (conn, acks) in flows {
        readers.spawn(async move {
            let read = read(conn, until).await;
            drop(acks);
            read
        });
    }
    // The flows are read before its answer comes.
    let asked = timeout_at(until, control.ask(&plan.sync_request())).await;
    if let Ok(Ok(Reply::Error(error))) = asked {
        return Err(error.to_string());
    }
    let mut measured = Measured { is_whole: true, ..Measured::default() };
    while let Some(Ok(read)) = readers.join_next().await {
        measured.keys += read.keys;
        measured.bytes += read.bytes;
        measured.is_whole &= read.is_whole;
    }
    measured.time = now().duration_since(began);
    Ok(measured)
}

/// Reads one flow until its snapshot ends, or it is time.
async fn read(mut flow: FlowConn, until: Deadline) -> Measured {
    let (mut decoder, mut read) = (Decoder::new(Config::default()), Measured::default());
    loop {
        match decoder.decode(&mut flow.buffer) {
            Ok(Step::Ready(Event::Entry(_) | Event::Close { .. })) => read.keys += 1,
            Ok(Step::Ready(Event::FullSyncEnd | Event::End { .. })) => {
                read.is_whole = true;
                return read;
            }
            Ok(Step::Ready(_)) => {}
            Ok(Step::Need(_)) => match timeout_at(until, flow.fill()).await {
                Ok(Ok(bytes)) => read.bytes += bytes as u64,
                _ => return read,
            },
            Err(_) => return read,
        }
        if Deadline::now() >= until {
            return read;
        }
    }
}

impl Measured {
    /// How long so many keys take, in seconds; `None` if nothing came.
    pub fn whole_takes(&self, keys: u64) -> Option<u64> {
        if self.is_whole {
            return Some(whole(self.time.as_secs_f64()));
        }
        let rate = float(self.keys) / self.time.as_secs_f64().max(0.001);
        (rate > 0.0).then(|| whole(float(keys) / rate))
    }
}
