//! What can be asked.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use dfly_journal::Lsn;
use dfly_replica::{ControlError, RateLimits, RefetchOutcome, SourceKey, Stop, WatchId};
use serde::Deserialize;

use super::answers::{Answer, Body, DONE};
use super::check_routes;
use super::problems::Refusal;
use super::replication::Replication;
use crate::wire::{
    Accepted, CutoverRequest, CutoverState, Flow, KeyName, KeyOutcome, Limits, OneEvent, Outcome, Refetch,
    Refetched, Release, Released, Sample, Settle, Settled, State as KeyState, Status, Watch, Watched,
};

/// What can be asked, without a prefix.
pub(super) fn api(replication: Replication) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/flows", get(flows))
        .route("/history", get(history))
        .route("/events", get(events))
        .route("/config", get(config))
        .route("/pause", post(pause))
        .route("/resume", post(resume))
        .route("/limits", post(limits))
        .route("/accept", post(accept))
        .route("/refuse", post(refuse))
        .route("/stop", post(stop))
        .route("/cutover", get(cutover_state).post(cutover))
        .route("/release", post(end_cutover))
        .route("/repair", post(repair))
        .merge(check_routes::api())
        .route("/step/watch", post(watch))
        .route("/step/settle", post(settle))
        .route("/step/release", post(release))
        .fallback(async || Refusal::new(StatusCode::NOT_FOUND, "no-such-path", "there is nothing here"))
        .method_not_allowed_fallback(async || {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", "this path takes another method")
        })
        .with_state(replication)
}

/// What the run is doing, with every flow.
#[utoipa::path(get, path = "/api/v1/status", responses((status = 200, body = Status)))]
pub(super) async fn status(State(run): State<Replication>) -> Json<Status> {
    Json(run.status())
}

/// The flows alone.
#[utoipa::path(get, path = "/api/v1/flows", responses((status = 200, body = Vec<Flow>)))]
pub(super) async fn flows(State(run): State<Replication>) -> Json<Vec<Flow>> {
    Json(run.status().flows)
}

/// Which samples are asked for.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Period {
    /// Only those that were taken after this moment, in milliseconds since 1970.
    after: Option<i64>,
}

/// The last hour, one sample a second, the oldest first.
#[utoipa::path(get, path = "/api/v1/history", params(("after" = Option<i64>, Query, description = "only samples that were taken after this moment, in milliseconds since 1970")), responses((status = 200, body = Vec<Sample>)))]
pub(super) async fn history(
    State(run): State<Replication>,
    Query(period): Query<Period>,
) -> Json<Vec<Sample>> {
    Json(run.history.read_after(period.after.unwrap_or(i64::MIN)))
}

/// What has happened last, the oldest first.
#[utoipa::path(get, path = "/api/v1/events", responses((status = 200, body = Vec<OneEvent>)))]
pub(super) async fn events(State(run): State<Replication>) -> Json<Vec<OneEvent>> {
    Json(run.reports.borrow().events.iter().map(OneEvent::from).collect())
}

/// The settings of the run, without secrets.
#[utoipa::path(get, path = "/api/v1/config", responses((status = 200, body = serde_json::Value)))]
pub(super) async fn config(State(run): State<Replication>) -> Json<serde_json::Value> {
    Json(serde_json::Value::clone(&run.config))
}

/// Applies nothing until `/resume`. The source is read on, as far as there is room.
#[utoipa::path(post, path = "/api/v1/pause", responses((status = 200, body = Accepted)))]
pub(super) async fn pause(State(run): State<Replication>) -> Answer<Accepted> {
    run.control.pause().await?;
    Ok(DONE)
}

/// Applies again.
#[utoipa::path(post, path = "/api/v1/resume", responses((status = 200, body = Accepted)))]
pub(super) async fn resume(State(run): State<Replication>) -> Answer<Accepted> {
    run.control.resume().await?;
    Ok(DONE)
}

/// Keeps other limits of speed from now on.
#[utoipa::path(post, path = "/api/v1/limits", request_body = Limits, responses((status = 200, body = Accepted)))]
pub(super) async fn limits(State(run): State<Replication>, Body(limits): Body<Limits>) -> Answer<Accepted> {
    let Limits { snapshot_bytes_per_second, target_ops_per_second } = limits;
    run.control.limit(RateLimits { snapshot_bytes_per_second, target_ops_per_second }).await?;
    Ok(DONE)
}

/// Accepts what the status asks as `question`.
#[utoipa::path(post, path = "/api/v1/accept", responses((status = 200, body = Accepted)))]
pub(super) async fn accept(State(run): State<Replication>) -> Answer<Accepted> {
    run.control.accept().await?;
    Ok(DONE)
}

/// Refuses it.
#[utoipa::path(post, path = "/api/v1/refuse", responses((status = 200, body = Accepted)))]
pub(super) async fn refuse(State(run): State<Replication>) -> Answer<Accepted> {
    run.control.refuse().await?;
    Ok(DONE)
}

/// Ends the run as a signal does: what was read becomes durable first.
#[utoipa::path(post, path = "/api/v1/stop", responses((status = 200, body = Accepted)))]
pub(super) async fn stop(State(run): State<Replication>) -> Answer<Accepted> {
    let Some(stop) = &run.stop else {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "no-stop", "this run is not stopped from outside"));
    };
    stop.send_replace(Stop::Drain);
    Ok(DONE)
}

fn no_cutover() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "no-cutover", "no cutover was begun")
}

/// How far the cutover has come.
#[utoipa::path(get, path = "/api/v1/cutover", responses((status = 200, body = CutoverState)))]
pub(super) async fn cutover_state(State(run): State<Replication>) -> Answer<CutoverState> {
    run.cutovers.stage().map(|stage| Json(stage.into())).ok_or_else(no_cutover)
}

/// Begins a cutover: writes are stopped at the source, and it is safe to switch once the target has everything.
#[utoipa::path(post, path = "/api/v1/cutover", request_body = CutoverRequest, responses((status = 200, body = Accepted)))]
pub(super) async fn cutover(
    State(run): State<Replication>,
    Body(asked): Body<CutoverRequest>,
) -> Answer<Accepted> {
    let Some(config) = run.engine.clone() else {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "no-cutover-here", "this run cannot be cut over"));
    };
    let (control, reports) = (run.control.clone(), run.reports.clone());
    run.beginning(|| run.cutovers.begin((control, reports), &config, &asked))?;
    Ok(DONE)
}

/// Ends the cutover: writes go on at the source. Answers once they do.
#[utoipa::path(post, path = "/api/v1/release", responses((status = 200, body = CutoverState)))]
pub(super) async fn end_cutover(State(run): State<Replication>) -> Answer<CutoverState> {
    let mut stage = run.cutovers.release().ok_or_else(no_cutover)?;
    let ended = stage.wait_for(|stage| !stage.is_running()).await;
    let ended = ended.map_err(|_gone| Refusal::from(ControlError::Ended))?.clone();
    Ok(Json(ended.into()))
}

fn named(keys: &[KeyName]) -> Result<Vec<SourceKey>, Refusal> {
    keys.iter().map(|key| Ok(SourceKey::try_from(key)?)).collect()
}

/// Reads keys again from the source, in step with the journal, and answers once the target has them.
#[utoipa::path(post, path = "/api/v1/repair", request_body = Refetch, responses((status = 200, body = Refetched)))]
pub(super) async fn repair(State(run): State<Replication>, Body(asked): Body<Refetch>) -> Answer<Refetched> {
    let done = run.control.refetch(named(&asked.keys)?).await?;
    let keys = done.iter().map(|(key, outcome)| {
        let (outcome, lsn) = match outcome {
            RefetchOutcome::Written(lsn) => (Outcome::Written, Some(lsn.0)),
            RefetchOutcome::Removed(lsn) => (Outcome::Removed, Some(lsn.0)),
            RefetchOutcome::Superseded => (Outcome::Superseded, None),
            RefetchOutcome::Refused => (Outcome::Refused, None),
        };
        KeyOutcome { key: KeyName::from(key), outcome, lsn }
    });
    Ok(Json(Refetched { keys: keys.collect() }))
}

/// From now on it is noted which of these keys get a record.
#[utoipa::path(post, path = "/api/v1/step/watch", request_body = Watch, responses((status = 200, body = Watched)))]
pub(super) async fn watch(State(run): State<Replication>, Body(asked): Body<Watch>) -> Answer<Watched> {
    let WatchId(watch) = run.control.watch(named(&asked.keys)?, asked.holds).await?;
    Ok(Json(Watched { watch }))
}

/// Answers once the target has everything that came before the source was read.
#[utoipa::path(post, path = "/api/v1/step/settle", request_body = Settle, responses((status = 200, body = Settled)))]
pub(super) async fn settle(State(run): State<Replication>, Body(asked): Body<Settle>) -> Answer<Settled> {
    let lsns = |lsns: Vec<u64>| lsns.into_iter().map(Lsn).collect();
    let settled = run.control.settle(WatchId(asked.watch), lsns(asked.before), lsns(asked.behind)).await?;
    let keys = settled.into_iter().map(|key| match key {
        dfly_replica::Settled::Stands(lsn) => KeyState::Stands(lsn.0),
        dfly_replica::Settled::Waits => KeyState::Waits,
        dfly_replica::Settled::Touched => KeyState::Touched,
    });
    Ok(Json(Settled { keys: keys.collect() }))
}

/// Ends the watch.
#[utoipa::path(post, path = "/api/v1/step/release", request_body = Release, responses((status = 200, body = Released)))]
pub(super) async fn release(State(run): State<Replication>, Body(asked): Body<Release>) -> Answer<Released> {
    let touched = run.control.release(WatchId(asked.watch)).await?;
    Ok(Json(Released { touched }))
}
