//! What the Go tool of the same name answers, for programs that were written for it. Read only, and not a part of the
//! document: whoever begins today uses `/api/v1`.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use dfly_replica::Phase;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::replication::Replication;
use crate::wire::{CheckResult, Differences, Flow, OneEvent, Status};

pub(super) fn routes(replication: Replication) -> Router {
    Router::new()
        .route("/api/sync/summary", get(async |State(run): State<Replication>| Json(summary(&run.status()))))
        .route(
            "/api/sync/progress",
            get(async |State(run): State<Replication>| Json(progress(&run.status()))),
        )
        .route("/api/check/latest", get(latest))
        .route("/api/events", get(events))
        .with_state(replication)
}

/// As Go writes a time; an empty text for one that is none.
fn time(millis: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

/// The Go tool's word for a phase.
fn stage(phase: Phase) -> &'static str {
    match phase {
        Phase::Connecting | Phase::Reconnecting => "handshake",
        Phase::FullSync => "full_sync",
        Phase::StableSync => "incremental",
        Phase::Stopped => "completed",
    }
}

fn checkpointed_at(status: &Status) -> String {
    let age = status.checkpoint_age.and_then(|age| i64::try_from(age).ok());
    age.map_or_else(String::new, |age| time(status.now.saturating_sub(age)))
}

fn summary(status: &Status) -> Value {
    let now = time(status.now);
    let message = status.stalled.clone().or_else(|| status.question.clone()).unwrap_or_default();
    let detail = |flow: &Flow| {
        json!({
            "name": format!("flow-{}", flow.flow),
            "status": stage(status.phase),
            "message": flow_message(flow),
            "updatedAt": now,
        })
    };
    json!({
        "stage": stage(status.phase),
        "stageMessage": message,
        "stageUpdatedAt": now,
        "source": {"type": "dragonfly", "addr": status.source.address},
        "target": {
            "type": status.target.mode.as_deref().map_or("redis", |mode| if mode == "cluster" { "redis-cluster" } else { "redis-standalone" }),
            "addr": status.target.address,
            "initialKeys": 0,
        },
        "checkpoint": {"lastSavedAt": checkpointed_at(status), "file": "", "enabled": true},
        "updatedAt": now,
        "configPath": "",
        "stateDir": "",
        "stageDetails": status.flows.iter().map(detail).collect::<Vec<_>>(),
    })
}

fn flow_message(flow: &Flow) -> String {
    match flow.durable_lsn {
        Some(lsn) => format!("position {lsn}"),
        None => format!("{} keys", flow.keys),
    }
}

fn progress(status: &Status) -> Value {
    let now = time(status.now);
    let share = match (status.phase, status.source_keys) {
        (Phase::StableSync | Phase::Stopped, _) => 1.0,
        (_, Some(of)) if of > 0 => (as_float(status.keys) / as_float(of)).min(1.0),
        _ => 0.0,
    };
    let flow = |flow: &Flow| {
        json!({
            "flowId": flow.flow,
            "state": stage(status.phase),
            "message": flow_message(flow),
            "importedKeys": flow.keys,
            "updatedAt": now,
        })
    };
    let sum = |of: fn(&Flow) -> Option<u64>| status.flows.iter().filter_map(of).sum::<u64>();
    json!({
        "phase": stage(status.phase),
        "percent": share,
        "sourceKeysEstimated": status.source_keys.unwrap_or(0),
        "targetKeysInitial": 0,
        "targetKeysCurrent": status.keys,
        "syncedKeys": status.keys,
        "flowStats": status.flows.iter().map(flow).collect::<Vec<_>>(),
        "incremental": {
            "lsnCurrent": sum(|flow| flow.source_lsn),
            "lsnApplied": sum(|flow| flow.durable_lsn),
            "lagLsns": status.lag.map_or(0, |lag| lag.records),
            "lagMillis": status.lag.map_or(0, |lag| lag.millis),
        },
        "updatedAt": now,
    })
}

/// Counts of keys are far below where this is not exact.
#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn as_float(count: u64) -> f64 {
    count as f64
}

/// Names of keys are not told: reading needs no token here.
async fn latest(State(run): State<Replication>) -> Json<Value> {
    Json(match run.checks.read().last {
        Some(result) => check(&result, &run.checks.differences()),
        None => json!({"status": "not_run", "message": "no comparison has been made"}),
    })
}

fn check(result: &CheckResult, found: &Differences) -> Value {
    let millis = result.ended_at.saturating_sub(result.started_at).max(0);
    let status = match result.outcome.as_str() {
        "equal" => "passed",
        "different" => "failed",
        _ => "error",
    };
    json!({
        "status": status,
        "mode": result.mode,
        "message": result.sentence,
        "startedAt": time(result.started_at),
        "finishedAt": time(result.ended_at),
        "durationSeconds": as_float(u64::try_from(millis).unwrap_or_default()) / 1000.0,
        "inconsistentKeys": found.keys.len() as u64 + found.more,
        "samples": [],
        "resultFile": "",
        "summaryFile": "",
    })
}

async fn events(State(run): State<Replication>) -> Json<Value> {
    let event = |event: OneEvent| {
        json!({
            "timestamp": time(event.at),
            "type": "info",
            "message": event.text,
        })
    };
    let events: Vec<Value> = run.reports.borrow().events.iter().map(OneEvent::from).map(event).collect();
    Json(json!({ "events": events }))
}

#[cfg(test)]
mod tests {
    use crate::wire::{Lag, Side};

    use super::*;

    fn status() -> Status {
        Status {
            now: 1_700_000_000_500,
            phase: Phase::StableSync,
            source: Side { address: "db:6379".to_owned(), ..Side::default() },
            target: Side {
                address: "new:6379".to_owned(),
                mode: Some("cluster".to_owned()),
                ..Side::default()
            },
            keys: 30,
            source_keys: Some(40),
            checkpoint_age: Some(500),
            lag: Some(Lag { records: 7, millis: 20 }),
            flows: vec![Flow { flow: 3, source_lsn: Some(17), durable_lsn: Some(10), ..Flow::default() }],
            ..Status::default()
        }
    }

    /// The fields of the Go tool, by its names.
    #[test]
    fn a_summary() {
        let told = summary(&status());
        assert_eq!(told["stage"], "incremental");
        assert_eq!(told["target"]["type"], "redis-cluster");
        assert_eq!(told["checkpoint"]["lastSavedAt"], "2023-11-14T22:13:20Z");
        assert_eq!(told["stageDetails"][0]["name"], "flow-3");
    }

    #[test]
    fn how_far_it_is() {
        let told = progress(&status());
        assert_eq!((&told["percent"], &told["incremental"]["lagLsns"]), (&json!(1.0), &json!(7)));
        assert_eq!(told["flowStats"][0]["flowId"], 3);
        let early = progress(&Status { phase: Phase::FullSync, ..status() });
        assert_eq!((&early["phase"], &early["percent"]), (&json!("full_sync"), &json!(0.75)));
    }

    #[test]
    fn a_comparison() {
        let result = CheckResult {
            started_at: 1000,
            ended_at: 2500,
            outcome: "different".to_owned(),
            ..CheckResult::default()
        };
        let told = check(&result, &Differences { keys: Vec::new(), more: 4 });
        assert_eq!(
            (&told["status"], &told["durationSeconds"], &told["inconsistentKeys"]),
            (&json!("failed"), &json!(1.5), &json!(4))
        );
    }
}
