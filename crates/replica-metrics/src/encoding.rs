//! The OpenMetrics format.

use std::fmt::Error;
use std::time::Duration;

use dfly_replica::Latency;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text as openmetrics};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::metric::{Kind, Metric, Readings, Seen};
use crate::table::METRICS;

/// What was read of every metric.
#[derive(Debug)]
struct Everything(Vec<(&'static Metric, Readings)>);

/// Every metric, in the OpenMetrics format.
pub fn text(seen: &Seen<'_>) -> String {
    let read = |metric: &'static Metric| {
        let mut readings = Readings::default();
        (metric.read)(seen, &mut readings);
        (metric, readings)
    };
    let mut registry = Registry::with_prefix("df2redis");
    registry.register_collector(Box::new(Everything(METRICS.iter().map(read).collect())));
    let mut out = String::new();
    match openmetrics::encode(&mut out, &registry) {
        Ok(()) => out,
        // Writing into a string does not fail.
        Err(Error) => String::new(),
    }
}

impl Collector for Everything {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        for (metric, readings) in &self.0 {
            let unit = (!metric.unit.is_empty()).then(|| Unit::Other(metric.unit.to_owned()));
            // The encoder adds the full stop.
            let help = metric.help.trim_end_matches('.');
            let mut family =
                encoder.encode_descriptor(metric.name, help, unit.as_ref(), of_kind(metric.kind))?;
            for (labels, value) in &readings.values {
                let labels: Vec<(&str, &str)> =
                    metric.labels.iter().copied().zip(labels.iter().map(String::as_str)).collect();
                match metric.kind {
                    Kind::Info => family.encode_info(&labels)?,
                    _ if labels.is_empty() => value_of(metric.kind, &mut family, *value)?,
                    _ => value_of(metric.kind, &mut family.encode_family(&labels)?, *value)?,
                }
            }
            if let Some(distribution) = &readings.distribution {
                histogram(&mut family, distribution)?;
            }
        }
        Ok(())
    }
}

fn of_kind(kind: Kind) -> MetricType {
    match kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
        Kind::Info => MetricType::Info,
    }
}

fn value_of(kind: Kind, family: &mut MetricEncoder<'_>, value: f64) -> Result<(), Error> {
    match kind {
        Kind::Counter => family.encode_counter::<NoLabelSet, _, f64>(&value, None),
        Kind::Gauge | Kind::Histogram | Kind::Info => family.encode_gauge(&value),
    }
}

/// The encoder makes the counts of the buckets cumulative.
fn histogram(family: &mut MetricEncoder<'_>, distribution: &Latency) -> Result<(), Error> {
    let bound = |bound: Option<Duration>| bound.map_or(f64::INFINITY, |bound| bound.as_secs_f64());
    let buckets: Vec<(f64, u64)> =
        distribution.buckets().map(|(upper, count)| (bound(upper), count)).collect();
    family.encode_histogram::<NoLabelSet>(
        distribution.sum().as_secs_f64(),
        distribution.count(),
        &buckets,
        None,
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use dfly_replica::{FlowReport, Lag, NodeReport, Phase, Report, Tally};
    use replica_api::wire::Status;

    use super::*;
    use crate::process::Process;

    fn report() -> Report {
        let lag = Some(Lag { records: 12, time: Duration::from_millis(2500) });
        let tally = Tally { answered: 9, moved: 2, ..Tally::default() };
        let node = NodeReport { address: "new:6379".to_owned(), tally, ..NodeReport::default() };
        let flow = FlowReport { bytes: 900, lag, in_flight: 3, ..FlowReport::default() };
        let flows = vec![flow.clone(), flow];
        Report { phase: Phase::StableSync, flows, nodes: vec![node], ..Report::default() }
    }

    #[test]
    fn the_format() {
        let (report, status) = (report(), Status::default().with_report(&report()));
        let text = text(&Seen { status: &status, report: &report, process: Process::default() });
        for line in [
            "# TYPE df2redis_received_bytes counter",
            "# UNIT df2redis_received_bytes bytes",
            "df2redis_received_bytes_total{flow=\"1\"} 900.0",
            "df2redis_lag_seconds 2.5",
            "df2redis_lag_records 24.0",
            "df2redis_phase{phase=\"stable-sync\"} 1.0",
            "df2redis_phase{phase=\"full-sync\"} 0.0",
            "df2redis_batches_in_flight{flow=\"0\"} 3.0",
            "df2redis_batch_duration_seconds_count 0",
            "df2redis_target_commands_total{node=\"new:6379\",result=\"done\"} 7.0",
            "df2redis_redirects_total{kind=\"moved\"} 2.0",
            "df2redis_batch_duration_seconds_bucket{le=\"+Inf\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    /// The names of the table are those of the text.
    #[test]
    fn the_table_names_what_is_told() {
        let (report, status) = (report(), Status::default().with_report(&report()));
        let text = text(&Seen { status: &status, report: &report, process: Process::now() });
        let named: BTreeSet<String> = METRICS.iter().map(Metric::sample_name).collect();
        assert_eq!(named.len(), METRICS.len(), "each name is of one metric");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        for line in lines {
            let name = line.split(['{', ' ']).next().unwrap();
            let base = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| name.strip_suffix(suffix));
            assert!(named.contains(name) || base.is_some_and(|base| named.contains(base)), "{line}");
        }
        let labels = METRICS.iter().flat_map(|metric| metric.labels);
        assert!(labels.clone().all(|label| label.chars().all(|c| c.is_ascii_lowercase())));
        assert!(METRICS.iter().all(|metric| metric.help.ends_with('.')));
    }
}
