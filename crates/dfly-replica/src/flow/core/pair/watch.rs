//! What a run goes through, so that a test can say what it has shown.

use super::super::FlowCore;
use crate::flow::flush::FlushState;
use crate::flow::positions::FlowPositions;

/// What was seen of a session last.
#[derive(Debug, Default)]
pub(super) struct Watch {
    life: &'static str,
    flush: &'static str,
    relay: bool,
    parks: bool,
    unsynced: bool,
}

fn life(positions: &FlowPositions) -> &'static str {
    match positions {
        FlowPositions::Snapshot => "life: snapshot",
        FlowPositions::Entering(_) => "life: entering",
        FlowPositions::CatchingUp { .. } => "life: catching up",
        FlowPositions::Stable(_) => "life: stable",
    }
}

fn flush(flush: FlushState) -> &'static str {
    match flush {
        FlushState::None => "flush: none",
        FlushState::Draining(..) => "flush: draining",
        FlushState::Waiting(..) => "flush: waiting",
        FlushState::Executing(..) => "flush: executing",
    }
}

impl Watch {
    pub(super) fn of(core: &FlowCore) -> Self {
        Self {
            life: life(&core.positions),
            flush: flush(core.flush),
            relay: core.intake.relay().is_active(),
            parks: core.refetch.has_parked(),
            unsynced: core.admission.unsynced.is_some(),
        }
    }

    /// What is new.
    pub(super) fn changes(&self, before: &Self) -> impl Iterator<Item = &'static str> + use<> {
        let seen = [
            (before.life != self.life, self.life),
            (before.flush != self.flush, self.flush),
            (!before.relay && self.relay, "relay log in use"),
            (before.relay && !self.relay, "relay log caught up"),
            (!before.parks && self.parks, "admission: parked"),
            (!before.unsynced && self.unsynced, "admission: over data"),
            (before.unsynced && !self.unsynced, "scan for extra keys passed"),
        ];
        seen.into_iter().filter(|(is_new, _)| *is_new).map(|(_, what)| what)
    }
}
