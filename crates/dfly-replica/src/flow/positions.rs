//! How far a flow has come. The only arithmetic of invariant I1 is here.

use dfly_journal::Lsn;

use crate::checkpoint::Position;

/// The positions of a flow whose records count.
///
/// Invariant I1: `durable <= sent <= received` as LSNs, and none of them ever falls. Only `durable` is acknowledged or stored
/// (P5, P19). A flow that resumes may begin with `received` before `durable`: until it has come there, it reads records
/// again whose answers nobody has heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Advance {
    /// The next record to be read.
    pub received: Lsn,
    /// The last transaction that was handed to the target.
    pub sent: Position,
    /// The last transaction that the target has carried out and will not lose.
    pub durable: Position,
    /// The target's answers to everything before this record were heard.
    pub heard: Lsn,
}

/// The life of a flow, as its positions tell it. Each state holds only what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum FlowPositions {
    /// The snapshot is read. No record counts yet.
    #[default]
    Snapshot,
    /// The snapshot is complete, and the first position is in flight. Nothing is acknowledged.
    Entering(Advance),
    /// The target holds a position. Something that precedes the session's journal is not durable yet.
    CatchingUp {
        at: Advance,
        /// The record with which the session's journal begins, once it is known.
        journal_from: Option<Lsn>,
        /// Whether the session takes the flow for stable already.
        is_announced: bool,
    },
    /// Everything before the journal is durable.
    Stable(Advance),
}

impl Advance {
    fn at(position: Position) -> Self {
        Self { received: position.heard, sent: position, durable: position, heard: position.next }
    }

    fn receive(&mut self, next: Lsn) {
        debug_assert!(next >= self.received, "records come in their order");
        self.received = self.received.max(next);
    }

    /// What the target has refused so far is noted with this transaction, as are the keys of what was read again.
    fn send(&mut self) -> Position {
        let heard = self.heard.min(self.received);
        self.sent = self.sent.then(self.received.max(self.sent.next)).heard_to(heard);
        self.sent
    }

    /// Whether the record before `next` is read again.
    fn is_reread(&self, next: Lsn) -> bool {
        next <= self.durable.next && self.received < self.durable.next
    }

    /// Whether the target does not know yet that every answer was heard.
    fn has_unstored_answers(&self) -> bool {
        let is_heard = self.received == self.sent.next && self.heard == self.sent.next;
        is_heard && !self.sent.is_heard()
    }

    /// Never passes what was sent.
    fn hear(&mut self, next: Lsn) {
        self.heard = self.heard.max(next.min(self.sent.next));
    }

    /// Never passes what was sent.
    fn settle(&mut self, at: Position) {
        debug_assert!(at <= self.sent, "nothing is durable that was not sent");
        self.durable = self.durable.max(at.min(self.sent));
    }

    /// The flush before `next` is carried out, by this flow or by another.
    fn pass_flush(&mut self, next: Lsn) {
        if self.sent.next != next {
            self.sent = self.sent.behind_flush(next);
        }
        self.durable = self.sent;
        self.received = self.received.max(next);
        self.heard = self.heard.max(next);
    }
}

impl FlowPositions {
    /// A flow that resumes at `position`. Its journal begins at `journal_from`, if that is known; a session that follows
    /// the journal from its start knows that the flow does.
    pub(crate) fn resumed(position: Position, journal_from: Option<Lsn>) -> Self {
        Self::CatchingUp { at: Advance::at(position), journal_from, is_announced: journal_from.is_some() }
    }

    /// The positions, once records count.
    pub(crate) fn advance(&self) -> Option<&Advance> {
        match self {
            Self::Snapshot => None,
            Self::Entering(at) | Self::CatchingUp { at, .. } | Self::Stable(at) => Some(at),
        }
    }

    fn advance_mut(&mut self) -> Option<&mut Advance> {
        match self {
            Self::Snapshot => None,
            Self::Entering(at) | Self::CatchingUp { at, .. } | Self::Stable(at) => Some(at),
        }
    }

    /// Whether records count, so that data and position go in one transaction.
    pub(crate) fn counts(&self) -> bool {
        !matches!(self, Self::Snapshot)
    }

    /// Whether the target holds a position of the flow.
    pub(crate) fn has_entered(&self) -> bool {
        matches!(self, Self::CatchingUp { .. } | Self::Stable(_))
    }

    /// What the target holds, if it holds any.
    pub(crate) fn durable(&self) -> Option<Position> {
        self.advance().filter(|_| self.has_entered()).map(|at| at.durable)
    }

    /// What may be acknowledged to the source.
    pub(crate) fn acknowledgeable(&self) -> Option<Lsn> {
        match self {
            Self::Stable(at) => Some(at.durable.next),
            Self::Snapshot | Self::Entering(_) | Self::CatchingUp { .. } => None,
        }
    }

    /// The next record to be read.
    pub(crate) fn received(&self) -> Option<Lsn> {
        self.advance().map(|at| at.received)
    }

    /// The last transaction that was handed to the target.
    pub(crate) fn sent(&self) -> Position {
        self.advance().map(|at| at.sent).unwrap_or_default()
    }

    /// Whether records were applied that are in no transaction yet.
    pub(crate) fn has_unsent(&self) -> bool {
        self.advance().is_some_and(|at| at.received > at.sent.next)
    }

    /// Whether the record before `next` is read again: the target has it, or has refused it.
    pub(crate) fn is_reread(&self, next: Lsn) -> bool {
        self.advance().is_some_and(|at| at.is_reread(next))
    }

    /// Whether every answer was heard, and the target does not know it yet.
    pub(crate) fn has_unstored_answers(&self) -> bool {
        self.has_entered() && self.advance().is_some_and(Advance::has_unstored_answers)
    }

    /// The snapshot is complete; the journal begins at `next`. Gives the first position.
    pub(crate) fn begin(&mut self, next: Lsn) -> Position {
        let first = Position::first(next);
        *self = Self::Entering(Advance::at(first));
        first
    }

    /// The session's journal begins at `next`: behind a backlog in the form of a snapshot.
    pub(crate) fn journal_begins(&mut self, next: Lsn) {
        if let Self::CatchingUp { journal_from, .. } = self {
            *journal_from = Some(next);
        }
    }

    /// All records before `next` are read.
    pub(crate) fn receive(&mut self, next: Lsn) {
        if let Some(at) = self.advance_mut() {
            at.receive(next);
        }
    }

    /// A transaction with all that was received is handed to the target. Gives its position.
    pub(crate) fn send(&mut self) -> Option<Position> {
        self.advance_mut().map(Advance::send)
    }

    /// The target has answered everything before `next`, and what it has refused is known.
    pub(crate) fn hear(&mut self, next: Lsn) {
        if let Some(advance) = self.advance_mut() {
            advance.hear(next);
        }
    }

    /// The target has carried out everything up to `at`, and will not lose it.
    pub(crate) fn settle(&mut self, at: Position) {
        if let Some(advance) = self.advance_mut() {
            advance.settle(at);
        }
        self.enter();
    }

    /// The flush before `next` is carried out, and stored with the positions behind it.
    pub(crate) fn pass_flush(&mut self, next: Lsn) {
        if let Some(at) = self.advance_mut() {
            at.pass_flush(next);
        }
        self.enter();
    }

    /// The target holds a position.
    fn enter(&mut self) {
        if let Self::Entering(at) = *self {
            *self = Self::CatchingUp { at, journal_from: Some(at.durable.next), is_announced: false };
        }
    }

    /// Becomes stable once everything before the journal is durable. True if the session has to be told.
    pub(crate) fn reach_stable(&mut self) -> bool {
        match *self {
            Self::CatchingUp { at, journal_from: Some(from), is_announced } if at.durable.next >= from => {
                *self = Self::Stable(at);
                !is_announced
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_full_synchronisation() {
        let mut flow = FlowPositions::default();
        flow.receive(Lsn(9));
        assert_eq!((flow.counts(), flow.received(), flow.send()), (false, None, None));
        let first = flow.begin(Lsn(7));
        assert_eq!((first, flow.has_entered(), flow.durable()), (Position::first(Lsn(7)), false, None));
        flow.receive(Lsn(9));
        let second = flow.send().unwrap();
        assert_eq!(second, Position::at(1, Lsn(9)).heard_to(Lsn(7)));
        assert!(!flow.reach_stable(), "the first position is in flight");
        flow.settle(first);
        assert!(flow.reach_stable() && !flow.reach_stable(), "once");
        assert_eq!(flow.acknowledgeable(), Some(Lsn(7)));
        flow.settle(second);
        assert_eq!(flow.acknowledgeable(), Some(Lsn(9)));
    }

    #[test]
    fn a_resumed_flow_acknowledges_nothing_before_its_journal() {
        let at = Position::at(5, Lsn(70));
        let mut journal = FlowPositions::resumed(at, Some(Lsn(80)));
        assert!(journal.has_entered() && !journal.reach_stable());
        journal.receive(Lsn(80));
        let sent = journal.send().unwrap();
        journal.settle(sent);
        assert_eq!((journal.acknowledgeable(), journal.reach_stable()), (None, false), "the session knows");
        assert_eq!(journal.acknowledgeable(), Some(Lsn(80)));
        let mut snapshot = FlowPositions::resumed(at, None);
        assert!(!snapshot.reach_stable());
        snapshot.journal_begins(Lsn(70));
        assert!(snapshot.reach_stable());
    }

    #[test]
    fn a_flush_moves_every_flow_behind_it_once() {
        let at = Position::at(5, Lsn(70));
        let mut executor = FlowPositions::resumed(at, Some(Lsn(70)));
        executor.receive(Lsn(71));
        let sent = executor.send().unwrap();
        executor.settle(sent);
        for _ in 0..2 {
            executor.pass_flush(Lsn(72));
            assert_eq!(executor.durable(), Some(Position::at(7, Lsn(72))), "every answer is heard before");
        }
        let mut other = FlowPositions::resumed(at, Some(Lsn(70)));
        other.pass_flush(Lsn(71));
        assert_eq!(other.durable(), Some(Position::at(6, Lsn(71))));
        let mut entering = FlowPositions::default();
        entering.begin(Lsn(4));
        entering.pass_flush(Lsn(5));
        assert_eq!(entering.durable(), Some(Position::at(1, Lsn(5))));
    }

    #[test]
    fn records_whose_answers_were_not_heard_are_read_again() {
        let mut flow = FlowPositions::resumed(Position::at(5, Lsn(70)).heard_to(Lsn(60)), Some(Lsn(60)));
        assert_eq!(flow.received(), Some(Lsn(60)));
        assert!(flow.is_reread(Lsn(61)) && flow.is_reread(Lsn(70)) && !flow.is_reread(Lsn(71)));
        flow.receive(Lsn(65));
        assert!(!flow.has_unsent(), "the target has them");
        let noted = flow.send().unwrap();
        assert_eq!(noted, Position::at(6, Lsn(70)).heard_to(Lsn(65)), "so far their keys are noted");
        flow.settle(noted);
        flow.receive(Lsn(70));
        assert!(!flow.is_reread(Lsn(70)) && flow.has_unstored_answers());
        assert_eq!(flow.send(), Some(Position::at(7, Lsn(70))));
        assert!(!flow.has_unstored_answers());
    }

    #[test]
    fn only_answers_that_came_are_heard() {
        let mut flow = FlowPositions::resumed(Position::at(5, Lsn(70)), Some(Lsn(70)));
        flow.receive(Lsn(75));
        assert_eq!(flow.send(), Some(Position::at(6, Lsn(75)).heard_to(Lsn(70))));
        flow.receive(Lsn(80));
        flow.hear(Lsn(75));
        assert_eq!(flow.send(), Some(Position::at(7, Lsn(80)).heard_to(Lsn(75))));
        assert!(!flow.has_unstored_answers(), "some are to come");
        flow.hear(Lsn(80));
        assert!(flow.has_unstored_answers());
    }

    proptest! {
        /// I1, for every order in which records come, go and settle.
        #[test]
        fn positions_never_pass_each_other(steps in prop::collection::vec((0u8..4, 0u64..5), 0..200)) {
            let mut flow = FlowPositions::resumed(Position::first(Lsn(7)), Some(Lsn(9)));
            let mut in_flight = std::collections::VecDeque::new();
            for (kind, by) in steps {
                let before = *flow.advance().unwrap();
                match kind {
                    0 => flow.receive(Lsn(before.received.0 + by)),
                    1 => in_flight.extend(flow.send()),
                    2 => if let Some(at) = in_flight.pop_front() {
                        flow.hear(at.next);
                        flow.settle(at);
                    },
                    _ => drop(flow.reach_stable()),
                }
                let now = *flow.advance().unwrap();
                prop_assert!(now.durable <= now.sent && now.sent.next <= now.received);
                prop_assert!(now.durable >= before.durable && now.sent >= before.sent);
                prop_assert!(now.received >= before.received);
            }
        }
    }
}
