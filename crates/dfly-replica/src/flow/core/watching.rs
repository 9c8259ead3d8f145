//! Keys that are compared while the flow goes on.

use std::time::Instant;

use super::{Action, FlowAnswer, FlowCore};
use crate::flow::watched_keys::{Bounds, WatchId};
use crate::keys::SourceKey;

impl FlowCore {
    /// Whether somebody wants nothing to be applied now.
    pub(super) fn is_held(&self) -> bool {
        let received = self.positions.received();
        self.requests.holds(received) || (!self.watched.is_empty() && self.watched.holds(received))
    }

    /// Whether it is open what the target is to hold under this key.
    fn is_open(&self, key: &SourceKey) -> bool {
        self.admission.unsynced.is_some() || self.refetch.is_undecided(key)
    }

    /// The source was read for a watch.
    pub(super) fn settle_watch(&mut self, id: WatchId, bounds: Bounds) {
        if !self.watched.settle(id, bounds) {
            self.actions.push_back(Action::Answer(FlowAnswer::Settled(id, self.id, None)));
        }
    }

    /// Tells those whose watches have settled, or lasted for too long.
    pub(super) fn tell_watchers(&mut self, now: Instant) {
        if self.watched.is_empty() {
            return;
        }
        for id in self.watched.expire(now) {
            self.actions.push_back(Action::Answer(FlowAnswer::Settled(id, self.id, None)));
        }
        if let Some(received) = self.positions.received() {
            self.watched.arrive(received, now);
            if self.writer.is_empty() {
                self.watched.reach(received, self.batches);
            }
        }
        let mut watched = std::mem::take(&mut self.watched);
        while let Some((id, settled)) = watched.next_settled(self.batches, |key| self.is_open(key)) {
            self.actions.push_back(Action::Answer(FlowAnswer::Settled(id, self.id, Some(settled))));
        }
        self.watched = watched;
    }

    pub(super) fn release_watch(&mut self, id: WatchId) {
        let mut watched = std::mem::take(&mut self.watched);
        let touched = watched.release(id, |key| self.is_open(key));
        self.watched = watched;
        self.actions.push_back(Action::Answer(FlowAnswer::Released(id, self.id, touched)));
    }
}
