//! The API with its own description.

use axum::routing::get;
use axum::{Json, Router};

use super::document::document;
use super::replication::Replication;
use super::routes::api;

/// Everything under `/api/v1`.
pub fn routes(replication: Replication) -> Router {
    let described = api(replication).route("/openapi.json", get(async || Json(document())));
    Router::new().nest("/api/v1", described)
}
