//! What every route takes and gives.

use axum::Json;
use axum::extract::FromRequest;
use axum::extract::rejection::JsonRejection;

use super::problems::Refusal;
use crate::wire::Accepted;

/// A body that is told in words what is wrong with it.
#[derive(FromRequest)]
#[from_request(via(Json), rejection(Refusal))]
pub(super) struct Body<T>(pub T);

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), "bad-body", rejection.body_text())
    }
}

pub(super) const DONE: Json<Accepted> = Json(Accepted { done: true });

pub(super) type Answer<T> = Result<Json<T>, Refusal>;
