//! Takes the samples of a run's history.

use std::time::Duration;

use dfly_replica::{Latency, Report};
use tokio::time::{MissedTickBehavior, interval};

use super::replication::Replication;
use crate::wire::{Lag, Sample, micros};

/// What was counted up to a sample.
#[derive(Debug, Clone, Default)]
struct Totals {
    keys: u64,
    records: u64,
    bytes: u64,
    /// Positions of all flows together, of the source and on the target.
    journaled: Option<u64>,
    applied: Option<u64>,
    latency: Latency,
}

impl Totals {
    fn of(report: &Report) -> Self {
        let flows = || report.flows.iter();
        let if_any = |sum: Option<u64>| sum.filter(|_| !report.flows.is_empty());
        Self {
            keys: report.keys(),
            records: report.records(),
            bytes: report.bytes(),
            journaled: if_any(flows().map(|flow| flow.source.map(|source| source.next.0)).sum()),
            applied: if_any(flows().map(|flow| flow.positions.map(|at| at.durable.0)).sum()),
            latency: report.latency.clone(),
        }
    }
}

/// How far positions have moved; `None` if one of them is not known.
fn moved(before: Option<u64>, now: Option<u64>) -> Option<u64> {
    Some(now?.saturating_sub(before?))
}

fn between(at: i64, before: &Totals, report: &Report) -> Sample {
    let now = Totals::of(report);
    let lag = Lag::of_all(report);
    let latency = now.latency.since(&before.latency);
    Sample {
        at,
        // Another session of another source counts anew.
        keys: now.keys.saturating_sub(before.keys),
        records: now.records.saturating_sub(before.records),
        bytes: now.bytes.saturating_sub(before.bytes),
        lag_records: lag.map(|lag| lag.records),
        lag_millis: lag.map(|lag| lag.millis),
        relay_bytes: report.relay_bytes(),
        journaled: moved(before.journaled, now.journaled),
        applied: moved(before.applied, now.applied),
        batch_p50_micros: latency.quantile(500).map(micros),
        batch_p99_micros: latency.quantile(990).map(micros),
    }
}

/// Takes a sample a second until nobody reports any more.
pub async fn sample(replication: Replication) {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = Totals::default();
    while replication.reports.has_changed().is_ok() {
        ticks.tick().await;
        let sample = between((replication.clock)(), &before, &replication.reports.borrow());
        before = Totals::of(&replication.reports.borrow());
        replication.history.push(sample);
    }
}

#[cfg(test)]
mod tests {
    use dfly_replica::FlowReport;

    use super::*;

    #[test]
    fn a_sample_counts_what_was_done_since_the_last() {
        let flow = FlowReport { keys: 7, records: 20, bytes: 900, ..FlowReport::default() };
        let report = Report { flows: vec![flow.clone(), flow], ..Report::default() };
        let before = Totals { keys: 10, records: 40, bytes: 2000, ..Totals::default() };
        let sample = between(5, &before, &report);
        assert_eq!((sample.keys, sample.records, sample.bytes), (4, 0, 0), "a new count is no negative rate");
        assert_eq!(sample.lag_records, None, "before stable sync");
    }
}
