//! Whether a run is ready: others may rely on the target.

use std::time::Duration;

use dfly_replica::{Phase, Report};
use replica_api::wire::Lag;

/// Why a run is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotReady {
    /// It does not follow the journal.
    Phase(Phase),
    /// The target is further behind than it may be, by so many milliseconds; `None`: it is not known how far.
    Behind(Option<u64>),
}

impl std::fmt::Display for NotReady {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Phase(phase) => write!(f, "not ready: the run is in the phase {phase}"),
            Self::Behind(Some(millis)) => write!(f, "not ready: the target is {millis} ms behind"),
            Self::Behind(None) => f.write_str("not ready: it is not known how far the target is behind"),
        }
    }
}

/// Why a run is not ready; `None` if it is: it follows the journal, and no record has been missing for longer than `ready_lag`.
pub fn not_ready(report: &Report, ready_lag: Duration) -> Option<NotReady> {
    if report.phase != Phase::StableSync {
        return Some(NotReady::Phase(report.phase));
    }
    let lag = Lag::of_all(report).map(|lag| lag.millis);
    let is_near = lag.is_some_and(|millis| u128::from(millis) < ready_lag.as_millis());
    (!is_near).then_some(NotReady::Behind(lag))
}

#[cfg(test)]
mod tests {
    use dfly_replica::{FlowReport, Lag};

    use super::*;

    #[test]
    fn a_run_is_ready_while_it_is_near() {
        let of = |phase, lag: Option<u64>| {
            let lag = lag.map(|millis| Lag { records: 1, time: Duration::from_millis(millis) });
            let report = Report {
                phase,
                flows: vec![FlowReport { lag, ..FlowReport::default() }],
                ..Report::default()
            };
            not_ready(&report, Duration::from_secs(5))
        };
        assert_eq!(of(Phase::StableSync, Some(4999)), None);
        assert_eq!(of(Phase::StableSync, Some(5000)), Some(NotReady::Behind(Some(5000))));
        assert_eq!(of(Phase::StableSync, None), Some(NotReady::Behind(None)));
        assert_eq!(of(Phase::FullSync, None), Some(NotReady::Phase(Phase::FullSync)));
        assert_eq!(
            not_ready(&Report { phase: Phase::StableSync, ..Report::default() }, Duration::MAX),
            Some(NotReady::Behind(None))
        );
    }
}
