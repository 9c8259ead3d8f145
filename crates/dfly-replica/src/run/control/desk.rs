//! The engine's side of a handle: what is asked of a run goes to its session and its flows, and their answers come back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dfly_client::FlowId;
use dfly_journal::Lsn;
use tokio::sync::{mpsc, oneshot};

use super::error::ControlError;
use super::limits::RateLimits;
use super::request::{Refetched, Request, WatchSender, reply};
use super::watching::Watches;
use crate::flow::core::{FlowAnswer, FlowRequest, Heard, RefetchOutcome};
use crate::keys::SourceKey;
use crate::rate_limiter::RateLimiter;
use crate::run::counters::Counters;

/// The most keys of one request to refetch.
pub(crate) const MOST_KEYS: usize = 4096;

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
    /// The source is to be taken over, and waits for so long.
    TakeOver(Duration),
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

/// Keys that got records last, as far as the flows have told.
#[derive(Debug)]
struct Recent {
    flows: usize,
    keys: Vec<SourceKey>,
    answer: oneshot::Sender<Result<Vec<SourceKey>, ControlError>>,
}

/// Positions that the target is to hold: where the run is to end, or where somebody waits for it.
#[derive(Debug)]
struct Drain {
    positions: Vec<Lsn>,
    answer: oneshot::Sender<Result<(), ControlError>>,
}

/// What holds in the next session too.
#[derive(Debug, Default)]
struct Lasting {
    is_paused: bool,
    remembers_keys: bool,
    limits: Option<RateLimits>,
}

/// The engine's side of a handle. What lasts from one session to the next is kept here.
#[derive(Debug)]
pub(crate) struct ControlDesk {
    requests: mpsc::Receiver<Request>,
    /// A run whose handles are all gone is asked nothing more.
    is_closed: bool,
    flows: BTreeMap<FlowId, mpsc::Sender<FlowRequest>>,
    lasting: Lasting,
    /// The session has asked something.
    is_asked: bool,
    unrouted: Vec<Unrouted>,
    watches: Watches,
    /// Who waits for the target to have come so far.
    reaching: Vec<Drain>,
    recent: Option<Recent>,
    /// Who waits for the source to be taken over.
    takeover: Option<oneshot::Sender<Result<(), ControlError>>>,
    awaited: Vec<Awaited>,
    drain: Option<Drain>,
}

impl ControlDesk {
    /// A desk that nobody has asked anything.
    pub(super) fn new(requests: mpsc::Receiver<Request>) -> Self {
        Self {
            requests,
            is_closed: false,
            flows: BTreeMap::new(),
            lasting: Lasting::default(),
            is_asked: false,
            unrouted: Vec::new(),
            watches: Watches::default(),
            reaching: Vec::new(),
            recent: None,
            takeover: None,
            awaited: Vec::new(),
            drain: None,
        }
    }

    /// A session begins with these flows.
    pub(crate) fn begin_session(
        &mut self,
        flows: impl IntoIterator<Item = (FlowId, mpsc::Sender<FlowRequest>)>,
    ) {
        self.flows = flows.into_iter().collect();
        if self.lasting.is_paused {
            self.tell_all(&FlowRequest::Pause(Arc::default()));
        }
        if self.lasting.remembers_keys {
            self.tell_all(&FlowRequest::RememberKeys(true));
        }
        if let Some(limits) = self.lasting.limits {
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
        for reaching in self.reaching.drain(..) {
            reply(reaching.answer, Err(ControlError::NoSession));
        }
        if let Some(recent) = self.recent.take() {
            reply(recent.answer, Err(ControlError::NoSession));
        }
        if let Some(takeover) = self.takeover.take() {
            reply(takeover, Err(ControlError::NoSession));
        }
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
                Some(Request::Reach(_, answer) | Request::TakeOver(_, answer)) => {
                    reply(answer, Err(ControlError::NoSession));
                }
                Some(Request::RecentKeys(answer)) => reply(answer, Err(ControlError::NoSession)),
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
            Some(Request::TakeOver(within, answer)) => {
                self.takeover = Some(answer);
                Instruction::TakeOver(within)
            }
            Some(Request::Pause(asker)) => {
                self.lasting.is_paused = true;
                self.tell_all(&FlowRequest::Pause(Arc::new(Heard(Some(asker)))));
                Instruction::Pause(true)
            }
            Some(Request::Resume) => {
                self.lasting.is_paused = false;
                self.tell_all(&FlowRequest::Resume);
                Instruction::Pause(false)
            }
            Some(request) => {
                self.pass_on(request);
                Instruction::Nothing
            }
            None => {
                self.is_closed = true;
                Instruction::Nothing
            }
        }
    }

    /// What the flows do without the session.
    fn pass_on(&mut self, request: Request) {
        match request {
            Request::Settle { id, before, behind, answer } => {
                for (flow, bounds) in self.watches.settle(id, (&before, &behind), answer) {
                    if !self.tell(flow, FlowRequest::Settle(id, bounds)) {
                        self.watches.settled(id, flow, None);
                    }
                }
            }
            Request::Release(id, answer) => {
                for flow in self.watches.release(id, answer) {
                    if !self.tell(flow, FlowRequest::Release(id)) {
                        self.watches.released(id, flow, None);
                    }
                }
            }
            Request::Reach(positions, answer) => self.begin_reaching(positions, answer),
            Request::RememberKeys(remembers) => {
                self.lasting.remembers_keys = remembers;
                self.tell_all(&FlowRequest::RememberKeys(remembers));
            }
            Request::RecentKeys(answer) if self.flows.is_empty() => {
                reply(answer, Err(ControlError::NoSession));
            }
            Request::RecentKeys(answer) => {
                self.recent = Some(Recent { flows: self.flows.len(), keys: Vec::new(), answer });
                self.tell_all(&FlowRequest::RecentKeys);
            }
            Request::Limit(limits) => {
                self.lasting.limits = Some(limits);
                self.tell_limits(limits);
            }
            Request::StopAt(positions, answer) => self.begin_drain(positions, answer),
            Request::Answer(..)
            | Request::Refetch(..)
            | Request::Watch { .. }
            | Request::TakeOver(..)
            | Request::Pause(_)
            | Request::Resume => {}
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

    fn begin_reaching(&mut self, positions: Vec<Lsn>, answer: oneshot::Sender<Result<(), ControlError>>) {
        let flows = self.flows.len();
        if positions.len() != flows {
            return reply(answer, Err(ControlError::WrongFlows { flows }));
        }
        for (flow, position) in self.flows.keys().zip(&positions) {
            self.tell(*flow, FlowRequest::StoreAt(*position));
        }
        self.reaching.push(Drain { positions, answer });
    }

    /// Whether somebody waits for the target to have come somewhere.
    pub(crate) fn is_reaching(&self) -> bool {
        !self.reaching.is_empty()
    }

    /// Tells those who wait for what the target has reached.
    pub(crate) fn tell_reached(&mut self, counters: &Counters) {
        let (reached, rest): (Vec<_>, Vec<_>) =
            self.reaching.drain(..).partition(|wanted| holds(counters, &wanted.positions));
        self.reaching = rest;
        reached.into_iter().for_each(|wanted| reply(wanted.answer, Ok(())));
    }

    /// What became of the takeover.
    pub(crate) fn taken_over(&mut self, done: Result<(), ControlError>) {
        if let Some(takeover) = self.takeover.take() {
            reply(takeover, done);
        }
    }

    fn recent(&mut self, keys: Vec<SourceKey>) {
        let Some(recent) = &mut self.recent else { return };
        recent.keys.extend(keys);
        recent.flows = recent.flows.saturating_sub(1);
        if recent.flows == 0
            && let Some(Recent { keys, answer, .. }) = self.recent.take()
        {
            reply(answer, Ok(keys));
        }
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
            FlowAnswer::RecentKeys(keys) => self.recent(keys),
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
        if !are_durable(counters, &drain.positions) {
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

/// Whether the target holds everything before these positions, and the positions themselves.
fn are_durable(counters: &Counters, positions: &[Lsn]) -> bool {
    positions.iter().enumerate().all(|(nth, position)| {
        let flow = u16::try_from(nth).ok().and_then(|nth| counters.flow(FlowId(nth)));
        flow.is_some_and(|flow| flow.durable() >= *position)
    })
}

/// Whether, besides, no key waits for its value.
fn holds(counters: &Counters, positions: &[Lsn]) -> bool {
    let waits = |nth: usize| {
        let flow = u16::try_from(nth).ok().and_then(|nth| counters.flow(FlowId(nth)));
        flow.is_none_or(|flow| flow.refetching() > 0)
    };
    are_durable(counters, positions) && !(0..positions.len()).any(waits)
}
