//! A master that follows a script. More operations may be applied while a replica is connected.

mod origin;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use bytes::Bytes;
use thiserror::Error;

use crate::front::{Ended, Front, MasterOptions, Phase, State};
use crate::recording::Row;
use crate::script::{Lsns, Op, OpError, Record, Script};
use crate::value::CanonicalValue;
use origin::ScriptedOrigin;
pub use origin::StaleReplica;

/// A Dragonfly master made from a [`Script`]. Its data is known at every moment, so that a test can compare.
///
/// It lives in the tokio runtime that started it and ends when it is dropped.
#[derive(Debug)]
pub struct ScriptedMaster {
    front: Front<ScriptedOrigin>,
}

/// Why a scripted master does not start.
#[derive(Debug, Error)]
pub enum ScriptError {
    /// An operation of the script is refused.
    #[error("{op:?}: refused")]
    Refused {
        /// The operation.
        op: Op,
        /// Why.
        source: OpError,
    },
    /// No port is available.
    #[error("cannot listen")]
    Listen(#[source] std::io::Error),
}

impl ScriptedMaster {
    /// Starts to listen on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// The model refuses an operation of the script (all of them are tried), or no port is available.
    pub async fn start(script: Script, options: MasterOptions) -> Result<Self, ScriptError> {
        if let Some((op, source)) = script.refused {
            return Err(ScriptError::Refused { op, source });
        }
        let mut dry_run = script.model.clone();
        for op in script.during.iter().chain(&script.tail).chain(&script.stable) {
            let refused = |source| ScriptError::Refused { op: op.clone(), source };
            dry_run.apply(op).map_err(refused)?;
        }
        let front = Front::start(ScriptedOrigin::new(script), options).await.map_err(ScriptError::Listen)?;
        Ok(Self { front })
    }

    /// Runs an operation now. Its records go to the newest session, if that has begun its sync, and to the backlog.
    ///
    /// # Errors
    /// The model refuses the operation. It is not logged then.
    pub fn apply(&self, op: impl Into<Op>) -> Result<(), OpError> {
        let mut state = self.front.shared.lock();
        let records = state.origin.execute(&op.into())?;
        send(&mut state, &records);
        drop(state);
        self.front.shared.changed();
        Ok(())
    }

    /// Runs operations at a steady rate. Returns when the last one has run.
    ///
    /// # Errors
    /// The error of the first operation that is refused. Those after it do not run.
    pub async fn apply_paced(
        &self,
        ops: impl IntoIterator<Item = Op>,
        per_second: u32,
    ) -> Result<(), OpError> {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second.max(1));
        for op in ops {
            ticks.tick().await;
            self.apply(op)?;
        }
        Ok(())
    }

    /// Gives slots away, as a node of a Dragonfly Cluster does: their keys go, the journal of every shard says so, and questions
    /// about such keys are answered with `MOVED`.
    ///
    /// # Errors
    /// The model refuses it.
    pub fn give_away(&self, slots: RangeInclusive<u16>) -> Result<(), OpError> {
        let (first, last) = (*slots.start(), *slots.end());
        self.front.shared.lock().given_away.push(i64::from(first)..=i64::from(last));
        self.apply(format!("DFLYCLUSTER FLUSHSLOTS {first} {last}").as_str())
    }

    /// Whether a client has paused writes. Whoever applies operations for clients waits meanwhile.
    pub fn is_paused(&self) -> bool {
        self.front.shared.lock().pause.goes_on(Instant::now())
    }

    /// From now on, clients that log in must give this password. Those that are logged in stay so.
    pub fn set_password(&self, password: &str) {
        self.front.shared.lock().options.password = Some(password.to_owned());
    }

    /// Writes a PING record on every flow, as a master does for TAKEOVER and WAIT.
    pub fn ping(&self) {
        let mut state = self.front.shared.lock();
        let records = state.origin.ping();
        send(&mut state, &records);
        drop(state);
        self.front.shared.changed();
    }

    /// Ends every session and continues like a restarted master: it has another replication id, LSNs from 1 and no backlog.
    /// Its data stays.
    pub fn restart(&self) {
        self.renew(ScriptedOrigin::restart);
    }

    /// Ends every session and continues like a promoted replica that had received everything: it has another replication id,
    /// keeps its LSNs, begins a backlog of its own, and remembers which master it followed.
    pub fn fail_over(&self) {
        self.renew(ScriptedOrigin::fail_over);
    }

    /// What a replica has that receives nothing more from now on.
    pub fn replica(&self) -> StaleReplica {
        self.front.shared.lock().origin.replica()
    }

    /// As [`Self::fail_over`], to a replica that lacks what came since.
    pub fn fail_over_to(&self, replica: StaleReplica) {
        self.renew(|origin| origin.fail_over_to(replica));
    }

    fn renew(&self, change: impl FnOnce(&mut ScriptedOrigin)) {
        let mut state = self.front.shared.lock();
        change(&mut state.origin);
        for session in 0..state.sessions.len() {
            state.end(session, Ended::ByMaster);
        }
        drop(state);
        self.front.shared.changed();
    }

    /// The replication id (40 hexadecimal characters).
    pub fn repl_id(&self) -> String {
        self.front.shared.lock().origin.repl_id()
    }

    /// The LSN of the next record of each shard. An up-to-date replica has acknowledged it.
    pub fn lsns(&self) -> Vec<u64> {
        self.front.shared.lock().origin.next_lsns()
    }

    /// Everything that it holds now, in the form in which a Redis is read.
    pub fn keyspace(&self) -> BTreeMap<(u32, Bytes), CanonicalValue> {
        self.front.shared.lock().origin.script().model().keyspace()
    }

    /// Everything that it holds now, as rows to compare with a Redis.
    pub fn rows(&self) -> Vec<Row> {
        self.front.shared.lock().origin.script().model().rows()
    }

    /// Waits until the newest session is in stable sync.
    pub async fn stable(&self) {
        let stable = |state: &mut State<ScriptedOrigin>| {
            let last = state.sessions.last()?;
            (last.phase == Phase::Stable && last.ended.is_none()).then_some(())
        };
        self.front.shared.until(stable).await;
    }

    /// Waits until the newest session is in stable sync, everything has been sent, and each flow's last ACK is the shard's
    /// LSN.
    pub async fn caught_up(&self) {
        let caught_up = |state: &mut State<ScriptedOrigin>| {
            let last = state.sessions.len().checked_sub(1)?;
            let live = state.sessions.last().is_some_and(|session| session.ended.is_none());
            (live && Front::is_complete(state, last)).then_some(())
        };
        self.front.shared.until(caught_up).await;
    }
}

observations!(ScriptedMaster);

/// Appends records to the live session's flows: journal blobs during its full sync, the journal in stable sync.
fn send(state: &mut State<ScriptedOrigin>, records: &[Record]) {
    let Some(session) = state.sessions.last_mut().filter(|session| session.ended.is_none()) else { return };
    let phase = session.phase;
    for record in records {
        let Some(flow) = session.flows.get_mut(record.shard).and_then(Option::as_mut) else { continue };
        match phase {
            // The snapshot or the backlog will hold it.
            Phase::Preparation => {}
            Phase::FullSync => flow.stream.extend_first(&state.origin.blob(&record.bytes)),
            Phase::Stable => {
                flow.stream.push_record(&record.bytes, Some(record.lsn + 1));
                if let Some(marker) = state.origin.marker(record) {
                    flow.stream.push_record(&marker, None);
                }
            }
        }
    }
}

/// Joins records into a journal stream with its LSN records. Also returns where the records end.
fn stream_of<'a>(
    records: impl Iterator<Item = &'a Record>,
    lsns: &mut Lsns,
) -> (Vec<u8>, Vec<crate::journal_walk::Mark>) {
    let (mut bytes, mut marks) = (Vec::new(), Vec::new());
    for record in records {
        bytes.extend_from_slice(&record.bytes);
        marks.push(crate::journal_walk::Mark { end: bytes.len(), next_lsn: record.lsn + 1 });
        bytes.extend(lsns.after(record.lsn).unwrap_or_default());
    }
    (bytes, marks)
}
