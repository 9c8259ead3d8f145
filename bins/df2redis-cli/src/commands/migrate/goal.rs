//! Waits until a replication has come to the goal of a migration.

use std::time::{Duration, Instant};

use dfly_check::Mode;
use dfly_check::{CheckConfig, CheckError, Progress, RunSignals, StepRun, Store, Summary};
use dfly_journal::Lsn;
use dfly_replica::{ControlError, Lag, Phase, Report};
use tokio::sync::watch;
use tracing::info;

use super::flags::GoalFlags;
use crate::commands::replication::Begun;

/// How long each part of a migration took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Phases {
    /// From the start to the end of the snapshot.
    pub snapshot: Duration,
    /// From there to the goal.
    pub catching_up: Duration,
    /// The comparison.
    pub verification: Option<Duration>,
}

/// A goal that was reached.
#[derive(Debug)]
pub(super) struct Reached {
    pub phases: Phases,
    /// The next record of each flow, that the target holds everything before.
    pub lsns: Vec<Lsn>,
    /// What the comparison found, in a file that is gone with this.
    pub verdict: Option<(Summary, Store)>,
}

/// The run ended before the goal was reached, or nothing can be compared.
#[derive(Debug)]
pub(super) enum Missed {
    Ended,
    NotCompared(CheckError),
}

/// Waits for the goal.
pub(super) async fn reach(mut begun: Begun, flags: &GoalFlags) -> Result<Reached, Missed> {
    let began = Instant::now();
    let mut snapshot = None;
    loop {
        wait(&mut begun.reports, follows).await?;
        let followed = *snapshot.get_or_insert_with(Instant::now);
        let lsns = mark(&mut begun.reports, followed, flags.until_lag).await?;
        match begun.control.reach(lsns.clone()).await {
            Ok(()) => {}
            Err(ControlError::Ended) => return Err(Missed::Ended),
            // The session has ended meanwhile: another one begins.
            Err(_) => {
                wait(&mut begun.reports, |report| !follows(report)).await?;
                continue;
            }
        }
        let caught_up = Instant::now();
        info!("the target has everything that the source had when the snapshot ended");
        let verdict = match flags.verify {
            Some(mode) => Some(verify(&begun, mode).await.map_err(Missed::NotCompared)?),
            None => None,
        };
        let phases = Phases {
            snapshot: followed - began,
            catching_up: caught_up - followed,
            verification: verdict.is_some().then(|| Instant::now() - caught_up),
        };
        return Ok(Reached { phases, lsns, verdict });
    }
}

/// Whether the journal is followed, and nothing is left of the full synchronisation.
fn follows(report: &Report) -> bool {
    let is_stable = |report: &Report| report.flows.iter().all(|flow| flow.positions.is_some());
    report.phase == Phase::StableSync
        && !report.flows.is_empty()
        && is_stable(report)
        && !report.is_removing_extra_keys
}

async fn wait(reports: &mut watch::Receiver<Report>, is: impl Fn(&Report) -> bool) -> Result<(), Missed> {
    let found = reports.wait_for(|report| is(report) || report.phase == Phase::Stopped).await;
    match found {
        Ok(report) if report.phase != Phase::Stopped => Ok(()),
        _ => Err(Missed::Ended),
    }
}

/// What the source had when it was first asked since `followed`, or when the target was near enough.
async fn mark(
    reports: &mut watch::Receiver<Report>,
    followed: Instant,
    until_lag: Option<u64>,
) -> Result<Vec<Lsn>, Missed> {
    wait(reports, |report| source_lsns(report, followed).is_some() && is_near(report, until_lag)).await?;
    Ok(source_lsns(&reports.borrow(), followed).unwrap_or_default())
}

fn is_near(report: &Report, until_lag: Option<u64>) -> bool {
    let Some(most) = until_lag else { return true };
    let lags: Option<Vec<Lag>> = report.flows.iter().map(|flow| flow.lag).collect();
    lags.is_some_and(|lags| lags.iter().map(|lag| lag.records).sum::<u64>() <= most)
}

fn source_lsns(report: &Report, since: Instant) -> Option<Vec<Lsn>> {
    let next = |source: dfly_replica::SourceLsn| (source.asked >= since).then_some(source.next);
    report.flows.iter().map(|flow| flow.source.and_then(next)).collect()
}

/// Compares all keys, while the replication goes on.
async fn verify(begun: &Begun, mode: Mode) -> Result<(Summary, Store), CheckError> {
    info!(mode = mode.name(), "comparing all keys with the source");
    let store = Store::temporary()?;
    let (stop, told) = watch::channel(false);
    let mut stopped = begun.stopped.clone();
    let stopping = tokio::spawn(async move {
        if stopped.wait_for(|stop| *stop != dfly_replica::Stop::Running).await.is_ok() {
            stop.send_replace(true);
        }
    });
    let (progress, _unseen) = watch::channel(Progress::default());
    let config = CheckConfig { mode, ..CheckConfig::new(begun.config.clone()) };
    let summary =
        StepRun::new(config, &store, RunSignals { progress, stop: told }).run(begun.control.clone()).await;
    stopping.abort();
    Ok((summary?, store))
}

#[cfg(test)]
mod tests {
    use dfly_replica::{FlowLsns, FlowReport, SourceLsn};

    use super::*;

    fn report(asked: Option<Instant>, records: u64) -> Report {
        let flow = FlowReport {
            positions: Some(FlowLsns { received: Lsn(5), carried: Lsn(5), durable: Lsn(5) }),
            source: asked.map(|asked| SourceLsn { next: Lsn(9), asked }),
            lag: Some(Lag { records, time: Duration::ZERO }),
            ..FlowReport::default()
        };
        Report { phase: Phase::StableSync, flows: vec![flow.clone(), flow], ..Report::default() }
    }

    /// What the source said before the snapshot ended is no goal.
    #[test]
    fn the_goal_is_what_the_source_has_behind_the_snapshot() {
        let followed = Instant::now();
        let before = followed.checked_sub(Duration::from_secs(1)).unwrap();
        assert_eq!(source_lsns(&report(None, 0), followed), None);
        assert_eq!(source_lsns(&report(Some(before), 0), followed), None);
        assert_eq!(source_lsns(&report(Some(followed), 0), followed), Some(vec![Lsn(9), Lsn(9)]));
    }

    #[test]
    fn how_far_it_may_be_behind() {
        assert!(is_near(&report(None, 4), None) && is_near(&report(None, 4), Some(8)));
        assert!(!is_near(&report(None, 4), Some(7)), "the flows together");
        assert!(follows(&report(None, 4)));
        assert!(!follows(&Report { is_removing_extra_keys: true, ..report(None, 0) }));
        assert!(!follows(&Report { flows: Vec::new(), ..report(None, 0) }));
    }
}
