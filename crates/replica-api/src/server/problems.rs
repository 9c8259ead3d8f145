//! Errors as answers.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use dfly_replica::ControlError;

use crate::wire::{KeyNameError, Problem, ProblemBody};

/// A request that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status of HTTP.
    pub status: StatusCode,
    /// What is told.
    pub problem: Problem,
}

impl Refusal {
    /// With a stable name and a sentence.
    pub fn new(status: StatusCode, id: &str, message: impl Into<String>) -> Self {
        Self { status, problem: Problem { id: id.to_owned(), message: message.into(), action: None } }
    }

    /// And with what to do.
    #[must_use]
    pub fn with_action(mut self, action: impl Into<String>) -> Self {
        self.problem.action = Some(action.into());
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(ProblemBody { error: self.problem })).into_response()
    }
}

impl From<ControlError> for Refusal {
    fn from(error: ControlError) -> Self {
        let (status, id) = match error {
            ControlError::Ended => (StatusCode::SERVICE_UNAVAILABLE, "run-ended"),
            ControlError::NoSession => (StatusCode::SERVICE_UNAVAILABLE, "no-session"),
            ControlError::TooManyKeys { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too-many-keys"),
            ControlError::TooManyWatches => (StatusCode::TOO_MANY_REQUESTS, "too-many-watches"),
            ControlError::WatchOver => (StatusCode::GONE, "watch-over"),
            ControlError::UnknownSharding => (StatusCode::CONFLICT, "unknown-sharding"),
            ControlError::NothingAsked => (StatusCode::CONFLICT, "nothing-asked"),
            ControlError::WrongFlows { .. } => (StatusCode::BAD_REQUEST, "wrong-flows"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "control"),
        };
        Self::new(status, id, error.to_string())
    }
}

impl From<KeyNameError> for Refusal {
    fn from(error: KeyNameError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-key", error.to_string())
    }
}
