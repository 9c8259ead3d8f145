//! The API of a run in another process, served here.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use super::problems::Refusal;
use crate::client::Client;

/// Everything under `/api/v1`, as the run answers that the client reaches. Who may ask for what is decided here first.
pub fn forward(client: Client) -> Router {
    Router::new().route("/api/v1/{*path}", any(pass_on)).with_state(Arc::new(client))
}

async fn pass_on(
    State(client): State<Arc<Client>>,
    method: Method,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Response {
    let path = match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    // A request may take long: others do not wait for it.
    match client.again().pass_on(method, &path, body).await {
        Ok((status, body)) => (status, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => Refusal::new(StatusCode::BAD_GATEWAY, "no-run", error.to_string()).into_response(),
    }
}
