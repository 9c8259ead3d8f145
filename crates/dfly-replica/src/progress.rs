//! The three positions of a flow.

use dfly_journal::Lsn;

/// How far a flow has come, as the LSN of the next record in each sense.
///
/// Invariant I1: `durable <= dispatched <= received`, always, and none of them ever falls. Only `durable` is
/// acknowledged or stored (P5, P19).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    received: Lsn,
    dispatched: Lsn,
    durable: Lsn,
}

impl Progress {
    /// Everything before `next` is behind us: at the start of a journal.
    pub fn at(next: Lsn) -> Self {
        Self { received: next, dispatched: next, durable: next }
    }

    /// Records before `next` are decoded.
    pub fn receive(&mut self, next: Lsn) {
        debug_assert!(next >= self.received);
        self.received = self.received.max(next);
    }

    /// Commands of all records before `next` are handed to the target's connection. Capped by what was received.
    pub fn dispatch(&mut self, next: Lsn) {
        debug_assert!(next <= self.received);
        self.dispatched = self.dispatched.max(next.min(self.received));
    }

    /// The target has carried out all records before `next`. Capped by what was dispatched.
    pub fn settle(&mut self, next: Lsn) {
        debug_assert!(next <= self.dispatched);
        self.durable = self.durable.max(next.min(self.dispatched));
    }

    /// The next record to be decoded.
    pub fn received(&self) -> Lsn {
        self.received
    }

    /// The next record to be handed to the target's connection.
    pub fn dispatched(&self) -> Lsn {
        self.dispatched
    }

    /// The next record to be applied; what is acknowledged.
    pub fn durable(&self) -> Lsn {
        self.durable
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// I1, for every order in which records come, go and settle.
        #[test]
        fn positions_never_pass_each_other(steps in prop::collection::vec((0u8..3, 0u64..5), 0..200)) {
            let mut progress = Progress::at(Lsn(7));
            for (kind, by) in steps {
                let before = progress;
                match kind {
                    0 => progress.receive(Lsn(progress.received().0 + by)),
                    1 => progress.dispatch(Lsn((progress.dispatched().0 + by).min(progress.received().0))),
                    _ => progress.settle(Lsn((progress.durable().0 + by).min(progress.dispatched().0))),
                }
                prop_assert!(progress.durable() <= progress.dispatched());
                prop_assert!(progress.dispatched() <= progress.received());
                prop_assert!(progress.durable() >= before.durable());
            }
        }
    }
}
