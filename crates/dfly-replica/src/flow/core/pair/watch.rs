//! What a run goes through, so that a test can say what it has shown.

use super::rig::Rig;
use super::session::Session;
use crate::flow::flush::FlushState;
use crate::flow::positions::FlowPositions;
use crate::run::report::Phase;

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

impl Rig {
    /// Counts what has changed since the last step.
    pub(super) fn watch(&mut self, session: &mut Session) {
        let core = &session.core;
        let now = Watch {
            life: life(&core.positions),
            flush: flush(core.flush),
            relay: core.intake.relay().is_active(),
            parks: core.refetch.has_parked(),
            unsynced: core.admission.unsynced.is_some(),
        };
        let before = std::mem::replace(&mut session.watch, now);
        let now = &session.watch;
        let seen = [
            (before.life != now.life, now.life),
            (before.flush != now.flush, now.flush),
            (!before.relay && now.relay, "relay log in use"),
            (before.relay && !now.relay, "relay log caught up"),
            (!before.parks && now.parks, "admission: parked"),
            (!before.unsynced && now.unsynced, "admission: over data"),
            (before.unsynced && !now.unsynced, "scan for extra keys passed"),
        ];
        for (_, what) in seen.into_iter().filter(|(has_changed, _)| *has_changed) {
            self.count(what);
        }
    }

    /// Counts why keys were refetched in a session that ends.
    pub(super) fn count_reasons(&mut self, session: &Session) {
        let report = session.core.counters.report(Phase::StableSync, None, self.now.instant);
        for (reason, times) in report.refetches {
            self.count_times(reason.name(), times);
        }
    }
}
