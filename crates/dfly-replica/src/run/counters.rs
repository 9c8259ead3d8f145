//! What the flows count while they run. Each counter is written by one flow, and read when a report is made.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dfly_client::FlowId;
use dfly_journal::Lsn;
use dfly_translate::{Loss, Losses, Reason};

use crate::run::events::Events;
use crate::run::kinds::KindCounters;
use crate::run::latency::LatencyCounters;
use crate::run::nodes::NodeCounters;
use crate::run::report::{
    ExtraKeysProgress, FlowLsns, FlowReport, Lag, Milestones, Phase, Report, SourceLsn, TargetKind,
};
use crate::run::throttle::ThrottleCounters;
use crate::session::silence::FlowTarget;
use crate::source::sharding::OwnerCheck;

/// How many answers of the source are remembered to tell how long a record has been missing.
const ANSWERS: usize = 256;

/// The counters of a run.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    flows: Vec<FlowCounters>,
    losses: Mutex<Losses>,
    refetches: Mutex<BTreeMap<Reason, u64>>,
    retries: Mutex<BTreeMap<&'static str, u64>>,
    /// Commands that the target has refused, by the first word of its answer.
    refusals: Mutex<BTreeMap<String, u64>>,
    refetched: AtomicU64,
    extra_keys_removed: AtomicU64,
    evicted_keys: AtomicU64,
    /// The flow that tells of a target that takes nothing.
    stall_teller: Mutex<Option<FlowId>>,
    is_removing_extra_keys: AtomicBool,
    extra_keys_looked_at: AtomicU64,
    extra_keys_of: AtomicU64,
    is_paused: AtomicBool,
    /// Keys of the source in all databases, as it said last.
    source_keys: Mutex<Option<u64>>,
    /// What the source calls its release, and what the target is.
    sides: Mutex<Sides>,
    /// What the run asks a person about.
    question: Mutex<Option<String>>,
    pub latency: LatencyCounters,
    pub nodes: NodeCounters,
    pub events: Events,
    /// What the flows have seen of how the source spreads its keys.
    owners: Mutex<OwnerCheck>,
}

/// Who is at the two ends.
#[derive(Debug, Clone, Default)]
struct Sides {
    source_release: Option<String>,
    target: Option<TargetKind>,
}

/// The counters of one flow.
#[derive(Debug, Default)]
pub(crate) struct FlowCounters {
    pub bytes: AtomicU64,
    pub keys: AtomicU64,
    pub kinds: KindCounters,
    pub records: AtomicU64,
    pub deletions: AtomicU64,
    pub copies: AtomicU64,
    /// Bytes of the values of the snapshot that came whole.
    pub kind_bytes: KindCounters,
    pub record_kinds: KindCounters,
    pub throttled: ThrottleCounters,
    carried: AtomicU64,
    refetching: AtomicU64,
    expiring: AtomicU64,
    relay_bytes: AtomicU64,
    in_flight: AtomicU64,
    /// 0 before stable sync; LSNs start at 1.
    received: AtomicU64,
    /// The next record whose answer has not come.
    heard: AtomicU64,
    durable: AtomicU64,
    slow: Mutex<SlowCounters>,
}

/// What changes seldom.
#[derive(Debug, Default)]
struct SlowCounters {
    oldest_refetch: Option<Instant>,
    stalled: Option<String>,
    /// When the oldest batch in flight was committed.
    waits_since: Option<Instant>,
    /// When the durable position moved last.
    moved: Option<Instant>,
    /// What the source has said, the oldest first.
    source: VecDeque<SourceLsn>,
}

/// Servers write codes in capitals. A script may answer with anything.
fn is_code(word: &str) -> bool {
    (1..=16).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FlowCounters {
    pub(crate) fn add(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Relaxed);
    }

    pub(crate) fn set_positions(&self, at: FlowLsns, now: Instant) {
        self.received.store(at.received.0, Relaxed);
        self.heard.store(at.carried.0, Relaxed);
        if self.durable.swap(at.durable.0, Relaxed) != at.durable.0 {
            lock(&self.slow).moved = Some(now);
        }
    }

    /// How many keys are to be refetched, since when the oldest waits, and how many have members that are removed when they
    /// are due.
    pub(crate) fn refetching(&self) -> u64 {
        self.refetching.load(Relaxed)
    }

    pub(crate) fn set_waiting(&self, refetching: usize, oldest: Option<Instant>, expiring: usize) {
        let was = self.refetching.swap(refetching as u64, Relaxed);
        if was != 0 || refetching != 0 {
            lock(&self.slow).oldest_refetch = oldest;
        }
        self.expiring.store(expiring as u64, Relaxed);
    }

    pub(crate) fn set_relayed(&self, bytes: u64) {
        self.relay_bytes.store(bytes, Relaxed);
    }

    /// How many batches are in flight, and when the oldest of them was committed.
    pub(crate) fn set_in_flight(&self, batches: usize, oldest: Option<Instant>) {
        self.in_flight.store(batches as u64, Relaxed);
        lock(&self.slow).waits_since = oldest;
    }

    /// The target has carried out a batch.
    pub(crate) fn carried(&self) {
        Self::add(&self.carried, 1);
    }

    /// Whether something was committed and not carried out.
    pub(crate) fn has_in_flight(&self) -> bool {
        self.in_flight.load(Relaxed) > 0
    }

    /// What the target has done for the flow.
    pub(crate) fn at_target(&self) -> FlowTarget {
        FlowTarget {
            carried: self.carried.load(Relaxed),
            is_waited_for: self.has_in_flight(),
            is_lost: lock(&self.slow).stalled.is_some(),
        }
    }

    /// Bytes that the source has sent.
    pub(crate) fn received_bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// The next record that the target lacks; 0 before stable sync.
    pub(crate) fn durable(&self) -> Lsn {
        Lsn(self.durable.load(Relaxed))
    }

    fn report(&self, now: Instant) -> FlowReport {
        let [received, carried, durable] =
            [&self.received, &self.heard, &self.durable].map(|lsn| Lsn(lsn.load(Relaxed)));
        let slow = lock(&self.slow);
        let since = |at: Instant| now.saturating_duration_since(at);
        let is_stable = durable.0 > 0;
        FlowReport {
            bytes: self.bytes.load(Relaxed),
            keys: self.keys.load(Relaxed),
            records: self.records.load(Relaxed),
            deletions: self.deletions.load(Relaxed),
            copies: self.copies.load(Relaxed),
            refetching: self.refetching.load(Relaxed),
            oldest_refetch: slow.oldest_refetch.map(since),
            expiring: self.expiring.load(Relaxed),
            relay_bytes: self.relay_bytes.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            unanswered: slow.waits_since.map(since),
            carried: self.carried.load(Relaxed),
            stalled: slow.stalled.clone(),
            checkpoint_age: slow.moved.filter(|_| is_stable).map(since),
            positions: is_stable.then_some(FlowLsns { received, carried, durable }),
            source: slow.source.back().copied(),
            lag: if is_stable { lag(&slow.source, durable, now) } else { None },
        }
    }
}

/// What is the matter, without the words of the server or the system behind it.
fn what(reason: &str) -> &str {
    reason.split(':').next().unwrap_or(reason)
}

/// The oldest answer of the source that names a record which is not durable tells since when one has been missing.
fn lag(source: &VecDeque<SourceLsn>, durable: Lsn, now: Instant) -> Option<Lag> {
    let last = source.back()?;
    let missing = source.iter().find(|answer| answer.next > durable);
    let time = missing.map_or_else(Default::default, |first| now.saturating_duration_since(first.asked));
    Some(Lag { records: last.next.0.saturating_sub(durable.0), time })
}

impl Counters {
    /// The source has said how many keys it has, or does not say.
    pub(crate) fn set_source_keys(&self, keys: Option<u64>) {
        *lock(&self.source_keys) = keys;
    }

    /// A session has begun with this source and this target.
    pub(crate) fn set_sides(&self, source_release: &str, target: TargetKind) {
        let source_release = Some(source_release).filter(|release| !release.is_empty()).map(str::to_owned);
        *lock(&self.sides) = Sides { source_release, target: Some(target) };
    }

    /// The run asks a person something, or not any more.
    pub(crate) fn set_question(&self, question: Option<String>) {
        *lock(&self.question) = question;
    }

    /// What it said last.
    pub(crate) fn source_keys(&self) -> Option<u64> {
        *lock(&self.source_keys)
    }

    pub(crate) fn new(flows: u16) -> Self {
        Self { flows: (0..flows).map(|_| FlowCounters::default()).collect(), ..Self::default() }
    }

    pub(crate) fn flow(&self, flow: FlowId) -> Option<&FlowCounters> {
        self.flows.get(usize::from(flow.0))
    }

    pub(crate) fn flow_count(&self) -> usize {
        self.flows.len()
    }

    /// A key is to be refetched for this reason.
    pub(crate) fn refetch(&self, reason: Reason) {
        *lock(&self.refetches).entry(reason).or_default() += 1;
    }

    pub(crate) fn refetched(&self) {
        FlowCounters::add(&self.refetched, 1);
    }

    /// The target has refused a command with this line.
    pub(crate) fn refused(&self, line: &str) {
        let code = line.split(' ').next().filter(|word| is_code(word)).unwrap_or("ERR");
        *lock(&self.refusals).entry(code.to_owned()).or_default() += 1;
    }

    /// An attempt has failed.
    pub(crate) fn retry(&self, cause: &'static str) {
        *lock(&self.retries).entry(cause).or_default() += 1;
    }

    pub(crate) fn removed(&self, keys: usize) {
        FlowCounters::add(&self.extra_keys_removed, keys as u64);
    }

    /// The target has evicted so many keys more.
    pub(crate) fn evicted(&self, keys: u64) {
        FlowCounters::add(&self.evicted_keys, keys);
    }

    /// The target takes nothing of a flow for this reason. True if it is this flow that tells of it: of all that the same holds
    /// up, one does.
    pub(crate) fn stalled(&self, flow: FlowId, reason: &str) -> bool {
        let mut teller = lock(&self.stall_teller);
        let is_held_up = |other: FlowId| {
            let stalled = self.flow(other).and_then(|counters| lock(&counters.slow).stalled.clone());
            stalled.is_some_and(|other| what(&other) == what(reason))
        };
        if teller.is_none_or(|told| !is_held_up(told)) {
            *teller = Some(flow);
        }
        if let Some(counters) = self.flow(flow) {
            lock(&counters.slow).stalled = Some(reason.to_owned());
        }
        *teller == Some(flow)
    }

    /// The target takes what the flow has. True if no other flow is held up.
    pub(crate) fn goes_on(&self, flow: FlowId) -> bool {
        if let Some(counters) = self.flow(flow) {
            lock(&counters.slow).stalled = None;
        }
        self.flows.iter().all(|counters| lock(&counters.slow).stalled.is_none())
    }

    /// The source has said which record comes next on each flow.
    pub(crate) fn set_source(&self, lsns: &[Lsn], asked: Instant) {
        for (counters, next) in self.flows.iter().zip(lsns) {
            let mut slow = lock(&counters.slow);
            if slow.source.len() >= ANSWERS {
                slow.source.pop_front();
            }
            slow.source.push_back(SourceLsn { next: *next, asked });
        }
    }

    /// Another session begins: what the source said counts no longer, and whether the target takes anything is
    /// found out anew.
    pub(crate) fn begin_session(&self) {
        for counters in &self.flows {
            let mut slow = lock(&counters.slow);
            slow.source.clear();
            slow.stalled = None;
        }
    }

    pub(crate) fn see_owners(&self, owners: &OwnerCheck) {
        lock(&self.owners).merge(owners);
    }

    pub(crate) fn owners(&self) -> OwnerCheck {
        lock(&self.owners).clone()
    }

    /// Whether the target has taken everything of each flow before its record there.
    pub(crate) fn have_come_to(&self, lsns: &[Lsn]) -> bool {
        let durable = self.flows.iter().map(|counters| counters.durable());
        durable.zip(lsns).all(|(durable, lsn)| durable >= *lsn)
    }

    pub(crate) fn set_removing_extra_keys(&self, is_removing: bool) {
        self.is_removing_extra_keys.store(is_removing, Relaxed);
    }

    /// A search for extra keys begins, in which the source is asked about so many keys.
    pub(crate) fn begin_extra_keys(&self, of: u64) {
        self.extra_keys_looked_at.store(0, Relaxed);
        self.extra_keys_of.store(of, Relaxed);
    }

    /// The source was asked about so many keys more.
    pub(crate) fn looked_at(&self, keys: usize) {
        FlowCounters::add(&self.extra_keys_looked_at, keys as u64);
    }

    pub(crate) fn set_paused(&self, is_paused: bool) {
        self.is_paused.store(is_paused, Relaxed);
    }

    /// Adds losses; gives those that are the first of their kind.
    pub(crate) fn lose(&self, more: &Losses) -> Vec<Loss> {
        let mut losses = lock(&self.losses);
        let is_new = |loss: &Loss| losses.iter().all(|(seen, _)| seen != *loss);
        let first = more.iter().map(|(loss, _)| loss).filter(is_new).collect();
        losses.merge(more);
        first
    }

    /// Keys of the snapshot by kind, over all flows.
    fn kinds(&self, of: impl Fn(&FlowCounters) -> &KindCounters) -> BTreeMap<&'static str, u64> {
        let mut kinds = BTreeMap::new();
        self.flows.iter().for_each(|flow| of(flow).add_to(&mut kinds));
        kinds
    }

    /// For how long flows were held up, over all flows.
    fn throttled(&self) -> BTreeMap<&'static str, Duration> {
        let mut times = BTreeMap::new();
        self.flows.iter().for_each(|flow| flow.throttled.add_to(&mut times));
        times
    }

    pub(crate) fn report(&self, phase: Phase, source_id: Option<String>, now: Instant) -> Report {
        let Sides { source_release, target } = lock(&self.sides).clone();
        Report {
            phase,
            source_id,
            source_release,
            target,
            // The publisher knows them.
            milestones: Milestones::default(),
            source_keys: self.source_keys(),
            flows: self.flows.iter().map(|flow| flow.report(now)).collect(),
            kinds: self.kinds(|flow| &flow.kinds),
            kind_bytes: self.kinds(|flow| &flow.kind_bytes),
            record_kinds: self.kinds(|flow| &flow.record_kinds),
            losses: lock(&self.losses).clone(),
            is_removing_extra_keys: self.is_removing_extra_keys.load(Relaxed),
            extra_keys: ExtraKeysProgress {
                looked_at: self.extra_keys_looked_at.load(Relaxed),
                of: self.extra_keys_of.load(Relaxed),
            },
            extra_keys_removed: self.extra_keys_removed.load(Relaxed),
            evicted_keys: self.evicted_keys.load(Relaxed),
            refetches: lock(&self.refetches).clone(),
            refetched: self.refetched.load(Relaxed),
            refusals: lock(&self.refusals).clone(),
            retries: lock(&self.retries).clone(),
            throttled: self.throttled(),
            nodes: self.nodes.report(now),
            latency: self.latency.read(),
            events: self.events.read(),
            is_paused: self.is_paused.load(Relaxed),
            question: lock(&self.question).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Once a state, and not once a flow.
    #[test]
    fn one_flow_tells_of_a_stall() {
        let counters = Counters::new(3);
        let [first, second, third] = [FlowId(0), FlowId(1), FlowId(2)];
        assert!(counters.stalled(second, "it is full"));
        assert!(!counters.stalled(first, "it is full: very"));
        assert!(counters.stalled(second, "it is full"), "again, as often as it tells");
        assert!(counters.stalled(third, "it is away"), "something else");
        assert!(!counters.goes_on(second) && counters.stalled(first, "it is full"));
        assert!(!counters.goes_on(third) && counters.goes_on(first));
        assert!(counters.stalled(first, "it is away"));
        counters.begin_session();
        let report = counters.report(Phase::StableSync, None, Instant::now());
        assert!(
            report.flows.iter().all(|flow| flow.stalled.is_none()),
            "another session has other connections"
        );
    }

    /// P31: there is no lag before stable sync, and none is made up.
    #[test]
    fn lag_is_told_in_records_and_time() {
        let (counters, start) = (Counters::new(1), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        counters.set_source(&[Lsn(100)], at(0));
        let of = |now| counters.report(Phase::StableSync, None, now).flows[0].lag;
        assert_eq!(of(at(1)), None);
        let stands = |lsn| FlowLsns { received: Lsn(lsn), carried: Lsn(lsn), durable: Lsn(lsn) };
        counters.flow(FlowId(0)).unwrap().set_positions(stands(100), at(1));
        assert_eq!(of(at(1)), Some(Lag { records: 0, time: Duration::ZERO }));
        counters.set_source(&[Lsn(110)], at(2));
        counters.set_source(&[Lsn(120)], at(3));
        assert_eq!(of(at(4)), Some(Lag { records: 20, time: Duration::from_secs(2) }));
        counters.flow(FlowId(0)).unwrap().set_positions(stands(112), at(4));
        assert_eq!(of(at(5)), Some(Lag { records: 8, time: Duration::from_secs(2) }));
        let report = counters.report(Phase::StableSync, None, at(7));
        assert_eq!(report.flows[0].checkpoint_age, Some(Duration::from_secs(3)));
    }
}
