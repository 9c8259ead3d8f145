//! What is asked of a flow from outside: to refetch keys, to watch keys, to pause, to stop at a position, to keep other limits.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use dfly_client::FlowId;
use dfly_journal::Lsn;
use tokio::sync::oneshot;

use super::{Action, FlowCore};
use crate::flow::recent_keys::RecentKeys;
use crate::flow::refetch::Fetched;
use crate::flow::watched_keys::{Bounds, Settled, WatchId};
use crate::keys::SourceKey;
use crate::rate_limiter::RateLimiter;
use crate::target::writer::TargetWriter;

/// A request to one flow.
#[derive(Debug, Clone)]
pub(crate) enum FlowRequest {
    /// Read these keys again, and tell what became of each.
    Refetch(Vec<SourceKey>),
    /// Apply nothing until told otherwise, and drop this: whoever asked then knows that nothing more is applied.
    Pause(Arc<Heard>),
    /// Apply again.
    Resume,
    /// Apply nothing from this record on.
    StopAt(Lsn),
    /// Read the snapshot and write no faster than this.
    Limit { reading: RateLimiter, writing: RateLimiter },
    /// Note which of these keys get a record, and drop `heard` then. With `holds`, apply nothing until the source was read.
    Watch { id: WatchId, keys: Vec<SourceKey>, holds: bool, heard: Arc<Heard> },
    /// The source was read: tell once the target has come so far.
    Settle(WatchId, Bounds),
    /// The target was read: tell which keys have changed since.
    Release(WatchId),
    /// Store the position as soon as the target has everything before this record.
    StoreAt(Lsn),
    /// Remember the keys that get records, or do not any more.
    RememberKeys(bool),
    /// Tell the keys that are remembered.
    RecentKeys,
}

/// What a flow answers.
#[derive(Debug)]
pub(crate) enum FlowAnswer {
    /// A key was refetched.
    Refetched(SourceKey, RefetchOutcome),
    /// What is said of the keys of a watch; `None` if it has ended before.
    Settled(WatchId, FlowId, Option<Vec<Settled>>),
    /// Which keys of a watch have changed; `None` if it has ended before.
    Released(WatchId, FlowId, Option<Vec<bool>>),
    /// The keys that got records last.
    RecentKeys(Vec<SourceKey>),
}

/// Tells whoever asked, once the last flow has dropped it.
#[derive(Debug, Default)]
pub(crate) struct Heard(pub Option<oneshot::Sender<()>>);

impl Drop for Heard {
    fn drop(&mut self) {
        if let Some(asker) = self.0.take() {
            // Who is gone does not care.
            let _gone = asker.send(());
        }
    }
}

/// What became of a key that was to be refetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefetchOutcome {
    /// Its value was written; it holds every record before this one.
    Written(Lsn),
    /// The source does not have it: it was removed.
    Removed(Lsn),
    /// A record has said what becomes of it before it was read.
    Superseded,
    /// The source refuses to give it.
    Refused,
}

/// The requests that a flow keeps in mind.
#[derive(Debug, Default)]
pub(super) struct Requests {
    is_paused: bool,
    stop_at: Option<Lsn>,
    /// Keys whose outcome somebody waits for.
    awaited: BTreeSet<SourceKey>,
    /// The position behind this record is to be stored without delay.
    store_at: Option<Lsn>,
    /// The keys that got records last, if somebody wants to know.
    pub recent: Option<RecentKeys>,
}

impl Requests {
    /// Whether somebody waits for a position to be stored.
    pub(super) fn awaits_position(&self) -> bool {
        self.store_at.is_some()
    }

    /// Whether nothing is applied from `received` on.
    #[inline]
    pub(super) fn holds(&self, received: Option<Lsn>) -> bool {
        self.is_paused || (self.stop_at.is_some() && received >= self.stop_at)
    }

    fn take(&mut self, key: &SourceKey) -> bool {
        !self.awaited.is_empty() && self.awaited.remove(key)
    }
}

impl FlowCore {
    /// Something is asked of the flow.
    pub(crate) fn on_request(&mut self, request: FlowRequest, target: &dyn TargetWriter, now: Instant) {
        match request {
            FlowRequest::Refetch(keys) => {
                for key in keys {
                    self.requests.awaited.insert(key.clone());
                    self.refetch.add(key, now);
                }
                self.write_notes(target);
            }
            FlowRequest::Pause(_heard) => self.requests.is_paused = true,
            FlowRequest::Resume => self.requests.is_paused = false,
            FlowRequest::StopAt(lsn) => self.requests.stop_at = Some(lsn),
            FlowRequest::Limit { reading, writing } => self.set_rates(reading, writing),
            // A record inside the snapshot has no LSN, so nothing can be said about when it came.
            FlowRequest::Watch { .. } if !self.positions.has_entered() => {}
            FlowRequest::Watch { id, keys, holds, heard: _heard } => self.watched.begin(id, keys, holds, now),
            FlowRequest::Settle(id, bounds) => self.settle_watch(id, bounds),
            FlowRequest::Release(id) => self.release_watch(id),
            FlowRequest::StoreAt(lsn) => self.requests.store_at = Some(lsn),
            FlowRequest::RememberKeys(remembers) => {
                self.requests.recent = remembers.then(RecentKeys::default);
            }
            FlowRequest::RecentKeys => {
                let keys = self.requests.recent.as_ref().map(RecentKeys::all).unwrap_or_default();
                self.actions.push_back(Action::Answer(FlowAnswer::RecentKeys(keys)));
            }
        }
    }

    /// Stores the position that somebody waits for, once everything before it is carried out.
    pub(super) fn store_awaited(&mut self, target: &mut dyn TargetWriter, now: Instant) {
        let Some(awaited) = self.requests.store_at else { return };
        let Some(at) = self.positions.advance() else { return };
        match at.durable.next >= awaited {
            true => self.requests.store_at = None,
            false if at.heard >= awaited => target.checkpoint_now(now),
            false => {}
        }
    }

    /// A key was refetched: tells whoever waits.
    pub(super) fn tell_refetched(&mut self, key: &SourceKey, value: Option<&Fetched>) {
        if self.requests.take(key) {
            let at = self.positions.received().unwrap_or_default();
            let outcome =
                if value.is_some() { RefetchOutcome::Written(at) } else { RefetchOutcome::Removed(at) };
            self.actions.push_back(Action::Answer(FlowAnswer::Refetched(key.clone(), outcome)));
        }
    }

    /// A key is not refetched after all: tells whoever waits.
    pub(super) fn tell_not_refetched(&mut self, key: &SourceKey, outcome: RefetchOutcome) {
        if self.requests.take(key) {
            self.actions.push_back(Action::Answer(FlowAnswer::Refetched(key.clone(), outcome)));
        }
    }
}
