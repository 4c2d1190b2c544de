//! What was done about findings, and what the kernel does by itself.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    Problem,
    extract::{PathPart, Query},
    resource::{Answered, Answers, resource},
};
use crate::response::{PolicyStatus, ResponseRecord};

/// Records in an answer where the query has no limit: no more are kept.
const LIMIT: usize = 1000;

/// Responses and policies.
pub trait Responses: Send + Sync + 'static {
    /// What was done about findings, oldest first; of more than the limit, the latest.
    fn responses(&self, limit: usize) -> impl Answers<Vec<ResponseRecord>>;
    /// Undoes a response that goes on.
    fn undo(&self, id: String) -> impl Answers<ResponseRecord>;
    /// What the kernel is to deny or to kill for, and whether it does.
    fn policies(&self) -> impl Answers<Vec<PolicyStatus>>;
}

resource!(Responses: responses, undo, policies);

/// How many are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ResponseQuery {
    /// At most so many, the latest of them.
    #[param(maximum = 4294967295_u32)]
    limit: Option<u32>,
}

/// What was done about findings, or would have been, oldest first.
#[utoipa::path(get, path = "/v1/responses", params(ResponseQuery), responses((status = 200, body = Vec<ResponseRecord>)))]
pub(super) async fn responses<B: Responses>(
    State(agent): State<Arc<B>>,
    Query(query): Query<ResponseQuery>,
) -> Answered<Json<Vec<ResponseRecord>>> {
    Ok(Json(agent.responses(query.limit.map_or(LIMIT, |limit| limit as usize)).await?))
}

/// Undoes a response that goes on: thaws a container, or connects it again.
#[utoipa::path(delete, path = "/v1/responses/{id}", params(("id" = String, Path, description = "Its number")),
    responses(
        (status = 200, body = ResponseRecord),
        (status = 404, description = "No such response", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is over, or too much waits", body = Problem, content_type = "application/problem+json"),
        (status = 501, description = "It cannot be undone", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn undo<B: Responses>(
    State(agent): State<Arc<B>>,
    PathPart(id): PathPart,
) -> Answered<Json<ResponseRecord>> {
    Ok(Json(agent.undo(id).await?))
}

/// What the kernel is to deny or to kill for, and whether it does.
#[utoipa::path(get, path = "/v1/policies", responses((status = 200, body = Vec<PolicyStatus>)))]
pub(super) async fn policies<B: Responses>(State(agent): State<Arc<B>>) -> Answered<Json<Vec<PolicyStatus>>> {
    Ok(Json(agent.policies().await?))
}
