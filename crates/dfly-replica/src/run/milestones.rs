//! When the run came to each part of its way.

use dfly_wire::UnixMillis;

use crate::run::report::{Milestones, Phase, Report};

impl Milestones {
    /// Notes what `report` shows for the first time.
    pub(crate) fn see(&mut self, before: Phase, report: &Report, now: UnixMillis) {
        match report.phase {
            Phase::FullSync if before != Phase::FullSync => {
                *self = Self { snapshot: Some(now), ..Self::default() };
            }
            Phase::StableSync => {
                self.journal.get_or_insert(now);
                if report.is_in_sync() {
                    self.in_sync.get_or_insert(now);
                }
            }
            Phase::FullSync | Phase::Connecting | Phase::Reconnecting | Phase::Stopped => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_snapshot_begins_a_new_way() {
        let mut seen = Milestones::default();
        let at = |phase| Report { phase, ..Report::default() };
        let steps = [
            (Phase::Connecting, Phase::FullSync),
            (Phase::FullSync, Phase::FullSync),
            (Phase::FullSync, Phase::StableSync),
            (Phase::StableSync, Phase::Reconnecting),
            (Phase::Reconnecting, Phase::StableSync),
        ];
        for (second, (before, phase)) in (0..).zip(steps) {
            seen.see(before, &at(phase), UnixMillis(second));
        }
        let expected =
            Milestones { snapshot: Some(UnixMillis(0)), journal: Some(UnixMillis(2)), in_sync: None };
        assert_eq!(seen, expected);
        seen.see(Phase::Reconnecting, &at(Phase::FullSync), UnixMillis(9));
        assert_eq!(seen, Milestones { snapshot: Some(UnixMillis(9)), ..Milestones::default() });
    }
}
