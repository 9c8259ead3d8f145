//! What can be asked about source and target being equal.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use dfly_journal::Lsn;
use dfly_replica::{ControlError, EngineConfig};

use super::answers::{Answer, Body, DONE};
use super::checks::Compared;
use super::problems::Refusal;
use super::replication::Replication;
use super::verification::Verifiable;
use crate::wire::{Accepted, CheckRequest, Checkpointed, Checks, Differences, VerifyRequest};

pub(super) fn api() -> Router<Replication> {
    Router::new()
        .route("/checks", get(checks).delete(stop_check))
        .route("/checks/differences", get(differences))
        .route("/check", post(check))
        .route("/verify", post(verify))
        .route("/checkpoint", post(checkpoint))
}

fn settings(run: &Replication) -> Result<Arc<EngineConfig>, Refusal> {
    let missing = || Refusal::new(StatusCode::FORBIDDEN, "no-check-here", "this run cannot be compared");
    run.engine.clone().ok_or_else(missing)
}

/// The comparison that runs, and the last one that has ended.
#[utoipa::path(get, path = "/api/v1/checks", responses((status = 200, body = Checks)))]
pub(super) async fn checks(State(run): State<Replication>) -> Json<Checks> {
    Json(run.checks.read())
}

/// The keys that the last comparison has found, without values. Needs the token, where there is one.
#[utoipa::path(get, path = "/api/v1/checks/differences", responses((status = 200, body = Differences)))]
pub(super) async fn differences(State(run): State<Replication>) -> Json<Differences> {
    Json(run.checks.differences())
}

/// Begins a comparison of all keys, in step with the replication.
#[utoipa::path(post, path = "/api/v1/check", request_body = CheckRequest, responses((status = 200, body = Accepted)))]
pub(super) async fn check(
    State(run): State<Replication>,
    Body(asked): Body<CheckRequest>,
) -> Answer<Accepted> {
    let config = settings(&run)?;
    let compared = Compared { control: run.control.clone(), config, clock: run.clock };
    run.beginning(|| run.checks.begin(compared, asked))?;
    Ok(DONE)
}

/// Stops the comparison that runs.
#[utoipa::path(delete, path = "/api/v1/checks", responses((status = 200, body = Accepted)))]
pub(super) async fn stop_check(State(run): State<Replication>) -> Answer<Accepted> {
    match run.checks.stop() {
        true => Ok(DONE),
        false => Err(Refusal::new(StatusCode::NOT_FOUND, "no-check", "no comparison runs")),
    }
}

/// Compares and repairs all keys again and again, at this rate from now on.
#[utoipa::path(post, path = "/api/v1/verify", request_body = VerifyRequest, responses((status = 200, body = Accepted)))]
pub(super) async fn verify(
    State(run): State<Replication>,
    Body(asked): Body<VerifyRequest>,
) -> Answer<Accepted> {
    let config = EngineConfig::clone(&*settings(&run)?);
    let verifiable = Verifiable { control: run.control.clone(), reports: run.reports.clone(), config };
    run.beginning(|| run.verification.set(verifiable, asked.keys_per_second));
    Ok(DONE)
}

/// Stores what has been read so far without delay, and answers once the target holds it for certain.
#[utoipa::path(post, path = "/api/v1/checkpoint", responses((status = 200, body = Checkpointed)))]
pub(super) async fn checkpoint(State(run): State<Replication>) -> Answer<Checkpointed> {
    let received: Option<Vec<Lsn>> = {
        let report = run.reports.borrow();
        report.flows.iter().map(|flow| flow.positions.map(|at| at.received)).collect()
    };
    let received = received.filter(|lsns| !lsns.is_empty()).ok_or(ControlError::NoSession)?;
    run.control.reach(received.clone()).await?;
    Ok(Json(Checkpointed { lsns: received.iter().map(|lsn| lsn.0).collect() }))
}
