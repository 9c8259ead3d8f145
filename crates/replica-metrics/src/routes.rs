//! What is asked for by Prometheus, and by whoever watches over processes.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use replica_api::server::Replication;

use crate::encoding::text;
use crate::health::not_ready;
use crate::metric::Seen;
use crate::process::Process;

/// The type of the text, as Prometheus expects it.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const PLAIN: &str = "text/plain; charset=utf-8";

#[derive(Debug, Clone)]
struct Watched {
    run: Replication,
    ready_lag: Duration,
}

/// `/metrics`, `/healthz` and `/readyz` of a run. It is ready in stable sync, while no record has been missing for `ready_lag`.
pub fn routes(run: Replication, ready_lag: Duration) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(Watched { run, ready_lag })
}

async fn metrics(State(watched): State<Watched>) -> impl IntoResponse {
    let (status, report) = (watched.run.status(), watched.run.reports.borrow().clone());
    let text = text(&Seen { status: &status, report: &report, process: Process::now() });
    ([(header::CONTENT_TYPE, OPENMETRICS), (header::CACHE_CONTROL, "no-store")], text)
}

/// The process answers, and its engine has not gone.
async fn healthz(State(watched): State<Watched>) -> impl IntoResponse {
    let (code, text) = match watched.run.reports.has_changed() {
        Ok(_) => (StatusCode::OK, "ok\n"),
        Err(_gone) => (StatusCode::SERVICE_UNAVAILABLE, "the engine has ended\n"),
    };
    (code, [(header::CONTENT_TYPE, PLAIN), (header::CACHE_CONTROL, "no-store")], text)
}

async fn readyz(State(watched): State<Watched>) -> impl IntoResponse {
    let (code, text) = match not_ready(&watched.run.reports.borrow(), watched.ready_lag) {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    };
    (code, [(header::CONTENT_TYPE, PLAIN), (header::CACHE_CONTROL, "no-store")], text)
}
