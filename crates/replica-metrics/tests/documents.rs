//! The documents name what there is: the table of metrics, the Grafana dashboard, the alert rules.

#![expect(clippy::unwrap_used, reason = "a failed expectation must stop the test")]

use std::collections::BTreeSet;

use replica_metrics::{Kind, METRICS, markdown};

const FOLDER: &str = "../../docs/observability";

fn read(name: &str) -> String {
    std::fs::read_to_string(format!("{FOLDER}/{name}")).unwrap()
}

/// The names that the format has for values of the table.
fn told() -> BTreeSet<String> {
    let names = METRICS.iter().flat_map(|metric| {
        let name = metric.sample_name();
        match metric.kind {
            Kind::Histogram => ["_bucket", "_count", "_sum"].map(|suffix| format!("{name}{suffix}")).to_vec(),
            Kind::Counter | Kind::Gauge | Kind::Info => vec![name],
        }
    });
    names.collect()
}

/// Every word of a text that begins like a metric.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !is_part(c));
    words.filter(|word| word.starts_with("df2redis_")).map(str::to_owned).collect()
}

/// `DF2REDIS_WRITE_DOCS=1` writes the table.
#[test]
fn the_table_of_the_document_is_the_one_of_the_code() {
    let text = read("README.md");
    let (before, _) = text.split_once("| metric |").unwrap_or((&text, ""));
    let expected = format!("{before}{}", markdown());
    if std::env::vars_os().any(|(name, _)| name == "DF2REDIS_WRITE_DOCS") {
        std::fs::write(format!("{FOLDER}/README.md"), &expected).unwrap();
    }
    assert_eq!(read("README.md"), expected, "DF2REDIS_WRITE_DOCS=1 writes it");
}

#[test]
fn dashboard_and_alerts_name_only_what_exists() {
    let told = told();
    for (file, least) in [("dashboard.json", 25), ("alerts.yaml", 14)] {
        let named = named(&read(file));
        let unknown: Vec<&String> = named.difference(&told).collect();
        assert!(unknown.is_empty() && named.len() >= least, "{file}: {unknown:?} of {}", named.len());
    }
}

#[test]
fn the_dashboard_is_one() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let has_query =
        |panel: &&serde_json::Value| panel["targets"].as_array().is_some_and(|all| !all.is_empty());
    assert!(panels.iter().filter(has_query).count() >= 15);
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
}

/// Each rule says what has happened, and what to do.
#[test]
fn each_alert_says_what_to_do() {
    let text = read("alerts.yaml");
    let rules: Vec<&str> = text.split("- alert: ").skip(1).collect();
    assert!(rules.len() >= 10);
    for rule in rules {
        assert!(
            ["expr:", "severity:", "summary:", "action:"].iter().all(|part| rule.contains(part)),
            "{rule}"
        );
    }
}

/// `promtool` reads the rules as Prometheus does, where it is installed.
#[test]
fn prometheus_takes_the_rules() {
    let mut promtool = std::process::Command::new("promtool");
    let Ok(output) = promtool.args(["check", "rules", "alerts.yaml"]).current_dir(FOLDER).output() else {
        return;
    };
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("rules found"), "{told}");
}
