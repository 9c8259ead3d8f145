//! The one door for those who want something of a running replication: to refetch keys, to watch keys while they are compared,
//! to pause, to stop at given positions, to keep other limits.

mod watching;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use dfly_client::FlowId;
use dfly_journal::Lsn;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tracing::debug;

use crate::flow::core::{FlowAnswer, FlowRequest, Heard, RefetchOutcome};
use crate::flow::watched_keys::{Settled, WatchId};
use crate::keys::SourceKey;
use crate::rate_limiter::RateLimiter;
use crate::run::counters::Counters;
use watching::{ReleasedSender, SettledSender, Watches};

pub use watching::MOST_WATCHED;

/// How many requests may wait.
const WAITING: usize = 16;

/// The most keys of one request to refetch.
pub(crate) const MOST_KEYS: usize = 4096;

/// Why a request came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The run has ended.
    #[error("the run has ended")]
    Ended,
    /// There is no session with the source now, or it has ended before the answer came.
    #[error("there is no session with the source now")]
    NoSession,
    /// Too many keys in one request.
    #[error("at most {most} keys at a time")]
    TooManyKeys {
        /// How many there may be.
        most: usize,
    },
    /// Others watch keys.
    #[error("too many watches of keys are open")]
    TooManyWatches,
    /// The watch has ended, or there never was one.
    #[error("the watch has lasted for too long, or a session has ended")]
    WatchOver,
    /// It is not known which flow owns a key.
    #[error("it is not known yet how the source spreads its keys over its shards")]
    UnknownSharding,
    /// The run has no question.
    #[error("the run has not asked anything")]
    NothingAsked,
    /// Not a position for each flow.
    #[error("the source has {flows} flows: name a position for each")]
    WrongFlows {
        /// How many flows there are.
        flows: usize,
    },
}

/// How fast a run may go; `None`: as fast as it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateLimits {
    /// Bytes of the snapshot that are read in a second, over all flows.
    pub snapshot_bytes_per_second: Option<u64>,
    /// Commands that are sent to the target in a second, over all flows.
    pub target_ops_per_second: Option<u64>,
}

type Refetched = Vec<(SourceKey, RefetchOutcome)>;

/// A request.
#[derive(Debug)]
enum Request {
    Refetch(Vec<SourceKey>, oneshot::Sender<Result<Refetched, ControlError>>),
    Pause(oneshot::Sender<()>),
    Resume,
    StopAt(Vec<Lsn>, oneshot::Sender<Result<(), ControlError>>),
    Limit(RateLimits),
    Answer(bool, oneshot::Sender<Result<(), ControlError>>),
    Watch { keys: Vec<SourceKey>, holds: bool, answer: WatchSender },
    Settle { id: WatchId, before: Vec<Lsn>, behind: Vec<Lsn>, answer: SettledSender },
    Release(WatchId, ReleasedSender),
}

/// Tells the watch; what comes with it is ready once the last flow has heard of it.
type WatchSender = oneshot::Sender<Result<(WatchId, oneshot::Receiver<()>), ControlError>>;

/// A handle to a running replication.
#[derive(Debug, Clone)]
pub struct Control {
    requests: mpsc::Sender<Request>,
}

impl Control {
    /// Reads these keys again from the source, in step with the journal, and tells what became of each.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn refetch(&self, keys: Vec<SourceKey>) -> Result<Refetched, ControlError> {
        if keys.len() > MOST_KEYS {
            return Err(ControlError::TooManyKeys { most: MOST_KEYS });
        }
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Refetch(keys, answer)).await?;
        answered.await.map_err(|_gone| ControlError::Ended)?
    }

    /// From now on it is noted which of these keys, at most [`MOST_WATCHED`], get a record. With `holds`, the flows of these keys
    /// apply nothing between the reading of the source and that of the target, for a quarter of a second at the most.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn watch(&self, keys: Vec<SourceKey>, holds: bool) -> Result<WatchId, ControlError> {
        if keys.len() > MOST_WATCHED {
            return Err(ControlError::TooManyKeys { most: MOST_WATCHED });
        }
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Watch { keys, holds, answer }).await?;
        let (id, hears) = answered.await.map_err(|_gone| ControlError::Ended)??;
        hears.await.map_err(|_gone| ControlError::Ended)?;
        Ok(id)
    }

    /// The source was read between these positions of all flows (`DFLY REPLICAOFFSET`). Answers once the target has everything
    /// before the second, and tells for each key of the watch whether it stands still.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn settle(
        &self,
        id: WatchId,
        before: Vec<Lsn>,
        behind: Vec<Lsn>,
    ) -> Result<Vec<Settled>, ControlError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Settle { id, before, behind, answer }).await?;
        answered.await.map_err(|_gone| ControlError::Ended)?
    }

    /// The target was read: ends the watch, and tells which of its keys may have changed since the source was read.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn release(&self, id: WatchId) -> Result<Vec<bool>, ControlError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Release(id, answer)).await?;
        answered.await.map_err(|_gone| ControlError::Ended)?
    }

    /// Applies nothing until [`Self::resume`]. The source is read on, as far as there is room. Answers once every flow has
    /// heard it, so that nothing is applied from then on.
    ///
    /// # Errors
    /// [`ControlError::Ended`].
    pub async fn pause(&self) -> Result<(), ControlError> {
        let (heard, hears) = oneshot::channel();
        self.ask(Request::Pause(heard)).await?;
        hears.await.map_err(|_gone| ControlError::Ended)
    }

    /// Applies again.
    ///
    /// # Errors
    /// [`ControlError::Ended`].
    pub async fn resume(&self) -> Result<(), ControlError> {
        self.ask(Request::Resume).await
    }

    /// Ends the run once the target holds every record before these positions, one for each flow. Nothing behind them is
    /// applied. Answers when that is so.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn stop_at(&self, positions: Vec<Lsn>) -> Result<(), ControlError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::StopAt(positions, answer)).await?;
        answered.await.map_err(|_gone| ControlError::Ended)?
    }

    /// Accepts what [`Report::question`](crate::Report::question) asks: the run synchronises fully.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn accept(&self) -> Result<(), ControlError> {
        self.answer(true).await
    }

    /// Refuses it: the run ends with the error that it has asked about.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn refuse(&self) -> Result<(), ControlError> {
        self.answer(false).await
    }

    async fn answer(&self, accepts: bool) -> Result<(), ControlError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Answer(accepts, answer)).await?;
        answered.await.map_err(|_gone| ControlError::Ended)?
    }

    /// Keeps other limits from now on.
    ///
    /// # Errors
    /// [`ControlError::Ended`].
    pub async fn limit(&self, limits: RateLimits) -> Result<(), ControlError> {
        self.ask(Request::Limit(limits)).await
    }

    async fn ask(&self, request: Request) -> Result<(), ControlError> {
        self.requests.send(request).await.map_err(|_gone| ControlError::Ended)
    }
}

/// To whom the outcome of a refetch is told.
type RefetchedSender = oneshot::Sender<Result<Refetched, ControlError>>;

/// What a session has to do for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instruction {
    Pause(bool),
    /// Keys are to be given to the flows that own them.
    Route,
    /// Somebody has answered what the session has asked.
    Answer(bool),
    Nothing,
}

/// Keys whose flows are to be found.
#[derive(Debug)]
enum Unrouted {
    Refetch(Vec<SourceKey>, RefetchedSender),
    Watch(Vec<SourceKey>, bool, WatchSender),
}

/// Keys that somebody waits for.
#[derive(Debug)]
struct Awaited {
    left: Vec<SourceKey>,
    done: Refetched,
    answer: RefetchedSender,
}

/// Where the run is to end.
#[derive(Debug)]
struct Drain {
    positions: Vec<Lsn>,
    answer: oneshot::Sender<Result<(), ControlError>>,
}

/// The engine's side of [`Control`]. What lasts from one session to the next is kept here.
#[derive(Debug)]
pub(crate) struct ControlDesk {
    requests: mpsc::Receiver<Request>,
    /// A run whose handles are all gone is asked nothing more.
    is_closed: bool,
    flows: BTreeMap<FlowId, mpsc::Sender<FlowRequest>>,
    is_paused: bool,
    limits: Option<RateLimits>,
    /// The session has asked something.
    is_asked: bool,
    unrouted: Vec<Unrouted>,
    watches: Watches,
    awaited: Vec<Awaited>,
    drain: Option<Drain>,
}

/// A handle, and the engine's side of it.
pub(crate) fn channel() -> (Control, ControlDesk) {
    let (sender, requests) = mpsc::channel(WAITING);
    let desk = ControlDesk {
        requests,
        is_closed: false,
        flows: BTreeMap::new(),
        is_paused: false,
        limits: None,
        is_asked: false,
        unrouted: Vec::new(),
        watches: Watches::default(),
        awaited: Vec::new(),
        drain: None,
    };
    (Control { requests: sender }, desk)
}

/// Whoever has asked may be gone.
fn reply<T>(answer: oneshot::Sender<T>, value: T) {
    if answer.send(value).is_err() {
        debug!("nobody waits for the answer any more");
    }
}

impl ControlDesk {
    /// A session begins with these flows.
    pub(crate) fn begin_session(
        &mut self,
        flows: impl IntoIterator<Item = (FlowId, mpsc::Sender<FlowRequest>)>,
    ) {
        self.flows = flows.into_iter().collect();
        if self.is_paused {
            self.tell_all(&FlowRequest::Pause(Arc::default()));
        }
        if let Some(limits) = self.limits {
            self.tell_limits(limits);
        }
        if let Some(drain) = &self.drain {
            let positions = drain.positions.clone();
            self.tell_stops(&positions);
        }
    }

    /// The session asks a person something: the next answer is its own.
    pub(crate) fn ask(&mut self) {
        self.is_asked = true;
    }

    /// The session is over: what it was asked for and has not done is answered so.
    pub(crate) fn end_session(&mut self) {
        self.flows.clear();
        self.is_asked = false;
        self.watches.end_session();
        for awaited in self.awaited.drain(..) {
            reply(awaited.answer, Err(ControlError::NoSession));
        }
    }

    /// Waits for the next request. Safe to cancel.
    pub(crate) async fn next_instruction(&mut self) -> Instruction {
        if self.is_closed {
            std::future::pending::<()>().await;
        }
        let request = self.requests.recv().await;
        self.take(request)
    }

    /// Waits for the answer to a question that is asked while there is no session. Safe to cancel.
    pub(crate) async fn answered(&mut self) -> bool {
        loop {
            if self.is_closed {
                std::future::pending::<()>().await;
            }
            match self.requests.recv().await {
                Some(Request::Answer(accepts, answer)) => {
                    reply(answer, Ok(()));
                    return accepts;
                }
                Some(Request::Refetch(_, answer)) => reply(answer, Err(ControlError::NoSession)),
                Some(Request::Watch { answer, .. }) => reply(answer, Err(ControlError::NoSession)),
                other => {
                    self.take(other);
                }
            }
        }
    }

    fn take(&mut self, request: Option<Request>) -> Instruction {
        match request {
            Some(Request::Answer(accepts, answer)) if self.is_asked => {
                self.is_asked = false;
                reply(answer, Ok(()));
                Instruction::Answer(accepts)
            }
            Some(Request::Answer(_, answer)) => {
                reply(answer, Err(ControlError::NothingAsked));
                Instruction::Nothing
            }
            Some(Request::Refetch(keys, answer)) => {
                self.unrouted.push(Unrouted::Refetch(keys, answer));
                Instruction::Route
            }
            Some(Request::Watch { keys, holds, answer }) => {
                self.unrouted.push(Unrouted::Watch(keys, holds, answer));
                Instruction::Route
            }
            Some(Request::Settle { id, before, behind, answer }) => {
                for (flow, bounds) in self.watches.settle(id, (&before, &behind), answer) {
                    if !self.tell(flow, FlowRequest::Settle(id, bounds)) {
                        self.watches.settled(id, flow, None);
                    }
                }
                Instruction::Nothing
            }
            Some(Request::Release(id, answer)) => {
                for flow in self.watches.release(id, answer) {
                    if !self.tell(flow, FlowRequest::Release(id)) {
                        self.watches.released(id, flow, None);
                    }
                }
                Instruction::Nothing
            }
            Some(Request::Pause(asker)) => {
                self.is_paused = true;
                self.tell_all(&FlowRequest::Pause(Arc::new(Heard(Some(asker)))));
                Instruction::Pause(true)
            }
            Some(Request::Resume) => {
                self.is_paused = false;
                self.tell_all(&FlowRequest::Resume);
                Instruction::Pause(false)
            }
            Some(Request::Limit(limits)) => {
                self.limits = Some(limits);
                self.tell_limits(limits);
                Instruction::Nothing
            }
            Some(Request::StopAt(positions, answer)) => {
                self.begin_drain(positions, answer);
                Instruction::Nothing
            }
            None => {
                self.is_closed = true;
                Instruction::Nothing
            }
        }
    }

    fn begin_drain(&mut self, positions: Vec<Lsn>, answer: oneshot::Sender<Result<(), ControlError>>) {
        let flows = self.flows.len();
        if positions.len() != flows {
            return reply(answer, Err(ControlError::WrongFlows { flows }));
        }
        self.tell_stops(&positions);
        self.drain = Some(Drain { positions, answer });
    }

    /// Gives keys to the flows that own them.
    pub(crate) fn route(&mut self, owner: impl Fn(&[u8]) -> Option<FlowId>) {
        for unrouted in std::mem::take(&mut self.unrouted) {
            match unrouted {
                Unrouted::Refetch(keys, answer) => self.route_refetch(keys, answer, &owner),
                Unrouted::Watch(keys, holds, answer) => self.route_watch(&keys, holds, answer, &owner),
            }
        }
    }

    fn route_refetch(
        &mut self,
        keys: Vec<SourceKey>,
        answer: RefetchedSender,
        owner: impl Fn(&[u8]) -> Option<FlowId>,
    ) {
        let owners: Option<Vec<FlowId>> = keys.iter().map(|key| owner(&key.name)).collect();
        let Some(owners) = owners else {
            return reply(answer, Err(ControlError::UnknownSharding));
        };
        let mut by_flow: BTreeMap<FlowId, Vec<SourceKey>> = BTreeMap::new();
        for (flow, key) in owners.into_iter().zip(&keys) {
            by_flow.entry(flow).or_default().push(key.clone());
        }
        let are_told = by_flow.into_iter().all(|(flow, keys)| self.tell(flow, FlowRequest::Refetch(keys)));
        match are_told {
            true if keys.is_empty() => reply(answer, Ok(Vec::new())),
            true => self.awaited.push(Awaited { left: keys, done: Vec::new(), answer }),
            false => reply(answer, Err(ControlError::NoSession)),
        }
    }

    fn route_watch(
        &mut self,
        keys: &[SourceKey],
        holds: bool,
        answer: WatchSender,
        owner: impl Fn(&[u8]) -> Option<FlowId>,
    ) {
        let flows: Vec<FlowId> = self.flows.keys().copied().collect();
        let (id, shares) = match self.watches.begin(keys, &flows, owner) {
            Ok(begun) => begun,
            Err(error) => return reply(answer, Err(error)),
        };
        let (heard, hears) = oneshot::channel();
        let heard = Arc::new(Heard(Some(heard)));
        for (flow, keys) in shares {
            self.tell(flow, FlowRequest::Watch { id, keys, holds, heard: Arc::clone(&heard) });
        }
        reply(answer, Ok((id, hears)));
    }

    /// A flow answers.
    pub(crate) fn on_answer(&mut self, answer: FlowAnswer) {
        match answer {
            FlowAnswer::Refetched(key, outcome) => self.refetched(&key, outcome),
            FlowAnswer::Settled(id, flow, said) => self.watches.settled(id, flow, said),
            FlowAnswer::Released(id, flow, said) => self.watches.released(id, flow, said),
        }
    }

    /// A key was refetched.
    fn refetched(&mut self, key: &SourceKey, outcome: RefetchOutcome) {
        for awaited in &mut self.awaited {
            if let Some(at) = awaited.left.iter().position(|left| left == key) {
                awaited.done.push((awaited.left.swap_remove(at), outcome));
            }
        }
        for at in (0..self.awaited.len()).rev() {
            if self.awaited.get(at).is_some_and(|awaited| awaited.left.is_empty()) {
                let Awaited { done, answer, .. } = self.awaited.swap_remove(at);
                reply(answer, Ok(done));
            }
        }
    }

    /// Whether the target holds everything up to where the run is to end. Answers whoever waits for that.
    pub(crate) fn is_drained(&mut self, counters: &Counters) -> bool {
        let Some(drain) = &self.drain else { return false };
        let is_held = |(nth, position): (usize, &Lsn)| {
            let flow = u16::try_from(nth).ok().and_then(|nth| counters.flow(FlowId(nth)));
            flow.is_some_and(|flow| flow.durable() >= *position)
        };
        if !drain.positions.iter().enumerate().all(is_held) {
            return false;
        }
        if let Some(drain) = self.drain.take() {
            reply(drain.answer, Ok(()));
        }
        true
    }

    fn tell(&self, flow: FlowId, request: FlowRequest) -> bool {
        self.flows.get(&flow).is_some_and(|line| line.try_send(request).is_ok())
    }

    fn tell_all(&self, request: &FlowRequest) {
        for flow in self.flows.keys() {
            self.tell(*flow, request.clone());
        }
    }

    fn tell_limits(&self, limits: RateLimits) {
        let (flows, now) = (u16::try_from(self.flows.len()).unwrap_or(u16::MAX), Instant::now());
        let reading = RateLimiter::new(limits.snapshot_bytes_per_second, flows, now);
        let writing = RateLimiter::new(limits.target_ops_per_second, flows, now);
        self.tell_all(&FlowRequest::Limit { reading, writing });
    }

    fn tell_stops(&self, positions: &[Lsn]) {
        for (flow, position) in self.flows.keys().zip(positions) {
            self.tell(*flow, FlowRequest::StopAt(*position));
        }
    }
}
