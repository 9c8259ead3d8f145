//! What Prometheus scrapes of a real run in each phase, read by parsers of others: `prometheus-parse`, and `promtool` where it is
//! installed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use dfly_testkit::Op;
use prometheus_parse::{Sample, Scrape, Value};
use replica_api::wire::Limits;
use replica_metrics::{Kind, METRICS};

use crate::page_run::{PageRun, get, until};

/// What was scraped, by name.
#[derive(Debug)]
struct Scraped(BTreeMap<String, Vec<Sample>>);

impl Scraped {
    /// Of a run; each line is of a metric of the table, and well formed.
    fn of(run: &PageRun) -> Self {
        let (code, head, body) = get(&run.address, "/metrics").unwrap();
        assert_eq!(code, 200);
        assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
        check_with_promtool(&body);
        let scrape = Scrape::parse(body.lines().map(|line| Ok(line.to_owned()))).unwrap();
        let values = body.lines().filter(|line| !line.starts_with('#')).count();
        let mut by_name: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
        for sample in scrape.samples {
            by_name.entry(sample.metric.clone()).or_default().push(sample);
        }
        let scraped = Self(by_name);
        scraped.is_whole(values);
        scraped
    }

    /// The parser has read every line, and the table has every name.
    fn is_whole(&self, values: usize) {
        let read = |sample: &Sample| match &sample.value {
            Value::Histogram(buckets) => buckets.len(),
            _ => 1,
        };
        assert_eq!(self.0.values().flatten().map(read).sum::<usize>(), values, "{self:#?}");
        let told: BTreeSet<String> = METRICS.iter().flat_map(names).collect();
        let unknown: Vec<&String> = self.0.keys().filter(|name| !told.contains(*name)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    /// The values of a name whose labels hold this word.
    fn sum(&self, name: &str, label: &str) -> Option<f64> {
        let samples = self.0.get(&format!("df2redis_{name}"))?;
        let is_asked = |sample: &&Sample| label.is_empty() || sample.labels.values().any(|v| v == label);
        let values = samples.iter().filter(is_asked).filter_map(|sample| match sample.value {
            Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => Some(value),
            Value::Histogram(_) | Value::Summary(_) => None,
        });
        Some(values.sum())
    }

    fn has(&self, name: &str, label: &str) -> bool {
        self.sum(name, label).is_some_and(|sum| sum > 0.0)
    }
}

/// The names under which a parser of the older format knows a metric.
fn names(metric: &replica_metrics::Metric) -> Vec<String> {
    let name = metric.sample_name();
    match metric.kind {
        Kind::Histogram => ["", "_count", "_sum"].map(|suffix| format!("{name}{suffix}")).to_vec(),
        Kind::Counter | Kind::Gauge | Kind::Info => vec![name],
    }
}

/// A line of the older format, which has no infos and no units, and whose lines of types name what the values are named.
fn older(line: &str) -> Option<String> {
    let (comment, rest) = line.strip_prefix("# ").and_then(|rest| rest.split_once(' ')).unwrap_or(("", line));
    let is_older = !line.starts_with('#') || matches!(comment, "HELP" | "TYPE");
    let name = |rest: &str| {
        METRICS.iter().map(|metric| metric.sample_name()).find(|name| {
            let base = rest.split(' ').next().unwrap_or_default();
            [base.to_owned(), format!("{base}_total"), format!("{base}_info")].contains(name)
        })
    };
    let told = match (comment, name(rest)) {
        ("", _) | (_, None) => line.to_owned(),
        (_, Some(name)) => {
            let rest = rest.split_once(' ').map_or("", |(_, rest)| rest);
            format!("# {comment} {name} {}", if rest == "info" { "gauge" } else { rest })
        }
    };
    is_older.then_some(told)
}

/// `promtool` reads the older format, and judges the names too.
fn check_with_promtool(body: &str) {
    let body: String = body.lines().filter_map(older).map(|line| line + "\n").collect();
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut promtool) = promtool.spawn() else { return };
    promtool.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_phase_is_scraped() {
    let run = PageRun::start(20_000, &["--snapshot-bytes-per-second", "32KiB"]).await;
    let snapshot = until("the snapshot", || {
        Some(Scraped::of(&run))
            .filter(|now| now.has("snapshot_keys_total", "hash") && now.has("throttled_seconds_total", ""))
    });
    assert_eq!((snapshot.sum("phase", "full-sync"), snapshot.sum("in_sync", "")), (Some(1.0), Some(0.0)));
    assert!(snapshot.has("throttled_seconds_total", "snapshot-rate") && snapshot.has("source_keys", ""));
    for absent in ["lag_seconds", "lag_records", "flow_durable_lsn", "checkpoint_age_seconds"] {
        assert_eq!(snapshot.sum(absent, ""), None, "{absent} before stable sync (P31)");
    }
    assert_eq!(get(&run.address, "/readyz").unwrap().0, 503);
    assert_eq!(
        run.client().status().await.unwrap().source_keys,
        Some(20_000),
        "the page tells the share by it"
    );

    run.client().limit(&Limits::default()).await.unwrap();
    run.until_in_sync().await;
    let stable = Scraped::of(&run);
    assert_eq!((stable.sum("phase", "stable-sync"), stable.sum("lag_records", "")), (Some(1.0), Some(0.0)));
    for known in ["flow_source_lsn", "flow_received_lsn", "flow_carried_lsn", "flow_durable_lsn"] {
        assert!(stable.has(known, "0") && stable.has(known, "1"), "{known}");
    }
    let target = run.redis.address().to_string();
    assert!(stable.sum("target_commands_total", &target).unwrap() >= 20_000.0, "{stable:#?}");
    assert!(stable.has("target_commands_total", "done") && !stable.has("target_commands_total", "refused"));
    assert!(stable.has("batch_duration_seconds_count", "") && stable.has("resume_window_records", ""));
    assert_eq!(
        (get(&run.address, "/readyz").unwrap().0, get(&run.address, "/healthz").unwrap().0),
        (200, 200)
    );

    run.redis.pause().unwrap();
    (0..50u32).for_each(|nth| run.master.apply(Op::line(&format!("SET away:{nth} x"))).unwrap());
    let away = until("the silence of the target", || {
        Some(Scraped::of(&run)).filter(|now| now.sum("target_node_unanswered_seconds", &target) > Some(2.0))
    });
    assert!(away.has("target_commands_in_flight", &target) && away.has("batches_in_flight", ""));
    assert!(
        away.has("lag_records", "")
            && away.has("lag_seconds", "")
            && away.has("target_unanswered_seconds", "")
    );
    run.redis.resume().unwrap();
    run.until_in_sync().await;
    let after = Scraped::of(&run);
    assert!(after.sum("target_commands_total", "done") > stable.sum("target_commands_total", "done"));

    // What has ended tells nothing: what is absent is an alert.
    let address = run.address.clone();
    drop(run.stop());
    assert_eq!(get(&address, "/metrics"), None);
}
