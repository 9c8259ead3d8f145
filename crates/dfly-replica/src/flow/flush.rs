//! A flow at a flush: everything before it is carried out, then one flow carries the flush out, then all go on (I3, P10). The
//! source is read on meanwhile.

use dfly_journal::Lsn;
use dfly_translate::Flush;

/// Where a flow stands with a flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum FlushState {
    /// It has come to none.
    #[default]
    None,
    /// What precedes the flush is not carried out yet.
    Draining(Flush, Lsn),
    /// It waits for the other flows, and for the one that carries the flush out.
    Waiting(Flush, Lsn),
    /// It carries the flush out.
    Executing(Flush, Lsn),
}

/// What the session may tell a flow at a flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlushOrder {
    /// Carry it out.
    Execute,
    /// It is carried out: go on behind it.
    Pass,
}

impl FlushState {
    /// Whether the flow has come to a flush, and applies nothing before it is carried out.
    #[inline]
    pub(crate) fn is_reached(self) -> bool {
        self != Self::None
    }

    /// Whether what precedes a flush is being carried out.
    pub(crate) fn is_draining(self) -> bool {
        matches!(self, Self::Draining(..))
    }

    /// Whether nothing may be committed before the flush is carried out.
    pub(crate) fn is_waiting(self) -> bool {
        matches!(self, Self::Waiting(..) | Self::Executing(..))
    }

    /// The flow has come to the flush before `next`.
    pub(crate) fn reach(&mut self, flush: Flush, next: Lsn) {
        if *self == Self::None {
            *self = Self::Draining(flush, next);
        }
    }

    /// Everything before the flush is carried out. Gives the flush, once.
    pub(crate) fn drained(&mut self) -> Option<(Flush, Lsn)> {
        let Self::Draining(flush, next) = *self else { return None };
        *self = Self::Waiting(flush, next);
        Some((flush, next))
    }

    /// Takes an order. `None`: it crossed with the end of the wait.
    pub(crate) fn obey(&mut self, order: FlushOrder) -> Option<(Flush, Lsn)> {
        match (*self, order) {
            (Self::Waiting(flush, next), FlushOrder::Execute) => {
                *self = Self::Executing(flush, next);
                Some((flush, next))
            }
            (Self::Waiting(flush, next), FlushOrder::Pass) => {
                *self = Self::None;
                Some((flush, next))
            }
            (Self::None | Self::Draining(..) | Self::Executing(..), _) => None,
        }
    }

    /// The flow has carried the flush out, and waits for the word to go on.
    pub(crate) fn executed(&mut self) -> Option<(Flush, Lsn)> {
        let Self::Executing(flush, next) = *self else { return None };
        *self = Self::Waiting(flush, next);
        Some((flush, next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_of_the_flow_that_carries_it_out() {
        let (flush, next) = (Flush::All, Lsn(7));
        let mut state = FlushState::default();
        assert_eq!((state.drained(), state.obey(FlushOrder::Execute)), (None, None));
        state.reach(flush, next);
        state.reach(Flush::All, Lsn(99));
        assert!(state.is_reached() && state.obey(FlushOrder::Pass).is_none());
        assert_eq!((state.drained(), state.drained()), (Some((flush, next)), None), "told once");
        assert_eq!(state.obey(FlushOrder::Execute), Some((flush, next)));
        assert_eq!(state.obey(FlushOrder::Pass), None, "it is not carried out yet");
        assert_eq!((state.executed(), state.executed()), (Some((flush, next)), None));
        assert_eq!(state.obey(FlushOrder::Pass), Some((flush, next)));
        assert_eq!(state, FlushState::None);
    }

    #[test]
    fn the_way_of_every_other_flow() {
        let mut state = FlushState::Draining(Flush::All, Lsn(7));
        state.drained();
        assert!(state.executed().is_none());
        assert!(state.obey(FlushOrder::Pass).is_some() && !state.is_reached());
    }
}
