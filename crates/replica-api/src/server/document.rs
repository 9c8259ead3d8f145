//! The API as an OpenAPI document.

use utoipa::OpenApi;
use utoipa::openapi;

use super::{check_routes, routes};

#[derive(OpenApi)]
#[openapi(
    info(title = "df2redis", description = "What a running replication answers and can be asked for."),
    paths(
        routes::status,
        routes::flows,
        routes::history,
        routes::events,
        routes::config,
        routes::pause,
        routes::resume,
        routes::limits,
        routes::accept,
        routes::refuse,
        routes::stop,
        routes::cutover_state,
        routes::cutover,
        routes::end_cutover,
        routes::repair,
        check_routes::checks,
        check_routes::differences,
        check_routes::check,
        check_routes::stop_check,
        check_routes::verify,
        check_routes::checkpoint,
        routes::watch,
        routes::settle,
        routes::release,
    )
)]
struct Document;

/// The document.
pub fn document() -> openapi::OpenApi {
    Document::openapi()
}
