//! What is kept of a comparison: a report that is opened later, and a comparison that goes on after a stop.

use dfly_check::{CheckConfig, CheckError, Outcome, Progress, Report, Rounds, RunSignals, Store};
use tokio::sync::watch;

use crate::sides::Sides;

fn text_of(store: &Store, most: usize) -> String {
    let mut out = Vec::new();
    Report::of(store).unwrap().write_text(&mut out, most).unwrap();
    String::from_utf8(out).unwrap()
}

async fn run(config: &CheckConfig, store: &Store, resumes: bool) -> Result<dfly_check::Summary, CheckError> {
    let (progress, _shown) = watch::channel(Progress::default());
    let (_stop, stopped) = watch::channel(false);
    let rounds = Rounds::new(config.clone(), store, RunSignals { progress, stop: stopped });
    if resumes { rounds.resume().await } else { rounds.run().await }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_opened_later() {
    let sides = Sides::standalone();
    sides.on_both(0, "SET same v");
    sides.on_source(0, &["SET", "missing", "secret1"]);
    sides.target.run(3, &["HSET", "extra", "f", "secret2"]);
    sides.on_source(0, &["SET", "value", "secret3"]);
    sides.target.run(0, &["SET", "value", "secret4", "PXAT", "99999999999999"]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report");
    let store = Store::create(&path).unwrap();
    run(&sides.config(), &store, false).await.unwrap();
    drop(store);
    let store = Store::open(&path).unwrap();
    let addresses = format!("{} -> {}", sides.source.address(), sides.target.address());
    let expected = format!(
        "{addresses}
db 0 missing: missing; source: string of 7; target: none
db 0 value: expiry, value; source: string of 7; target: string of 7, expires at 99999999999999
db 3 extra: extra; source: none; target: hash of 1
compared      4 (mode full)
equal         1
different     3
  expiry      1
  extra       1
  missing     1
  value       1
not compared  0
left out      0
the sides differ
"
    );
    assert_eq!(text_of(&store, 100), expected);
    assert!(text_of(&store, 1).contains("missing: missing") && text_of(&store, 1).contains("... and 2 more"));
    let mut json = Vec::new();
    Report::of(&store).unwrap().write_json(&mut json).unwrap();
    let json = String::from_utf8(json).unwrap();
    assert!(!json.contains("secret"), "{json}");
    let lines: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0]["source_key"], "missing");
    assert_eq!(lines[0]["different"]["what"][0], "missing");
    assert_eq!(lines[3]["outcome"], "different");
    assert_eq!(lines[3]["kinds"]["extra"], 1);
}

/// Keys of the source in a comparison that is stopped.
const KEYS: u64 = 40_000;

/// A comparison that was stopped at any page goes on there, and counts every key once.
#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_after_a_stop() {
    let sides = Sides::standalone();
    // More than the pages that are compared at the same time hold.
    let keys: String = (0..KEYS / 2).map(|nth| format!(" key:{nth} v")).collect();
    for db in [0, 7] {
        sides.on_both(db, &format!("MSET{keys}"));
    }
    sides.target.run(0, &["SET", "key:5", "w"]);
    sides.target.run(7, &["SET", "extra", "w"]);
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(&dir.path().join("report")).unwrap();
    let config = CheckConfig { requests_per_second: Some(20_000), ..sides.config() };
    let (progress, mut shown) = watch::channel(Progress::default());
    let (stop, stopped) = watch::channel(false);
    let rounds = Rounds::new(config.clone(), &store, RunSignals { progress, stop: stopped });
    let stopping = async {
        shown.wait_for(|progress| progress.keys > 500).await.unwrap();
        stop.send_replace(true);
    };
    let (summary, ()) = tokio::join!(rounds.run(), stopping);
    let summary = summary.unwrap();
    assert!(summary.is_stopped && summary.compared < KEYS, "{summary:?}");
    assert_ne!(summary.outcome(), Outcome::Equal);
    let other = CheckConfig { mode: dfly_check::Mode::Outline, ..config.clone() };
    assert!(matches!(run(&other, &store, true).await, Err(CheckError::OtherSettings)));
    let summary = run(&config, &store, true).await.unwrap();
    assert_eq!((summary.equal, summary.different, summary.is_stopped), (KEYS - 1, 2, false));
    assert!(matches!(run(&config, &store, true).await, Err(CheckError::NothingToResume)));
}
