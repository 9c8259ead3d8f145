//! The API with its own description.

use axum::routing::get;
use axum::{Json, Router};

use super::document::document;
use super::go_tool;
use super::replication::Replication;
use super::routes::api;

/// Everything under `/api/v1`, and what the Go tool answers.
pub fn routes(replication: Replication) -> Router {
    let described = api(replication.clone()).route("/openapi.json", get(async || Json(document())));
    Router::new().nest("/api/v1", described).merge(go_tool::routes(replication))
}
