//! How the server is doing, for programs that watch it.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};

use super::{
    OPENAPI,
    resource::{Answered, Answers, resource},
};
use crate::metrics::{Format, MetricsSnapshot, ProcessMetrics};

/// How the agent is doing.
pub trait Health: Send + Sync + 'static {
    /// Whether the engine answers.
    fn healthy(&self) -> impl Answers<()>;
    /// All that is measured, as it was a second ago at the most.
    fn metrics(&self) -> impl Answers<Arc<MetricsSnapshot>>;
}

resource!(Health: healthz, metrics, openapi);

/// Whether the server works.
#[utoipa::path(get, path = "/healthz", responses(
    (status = 200, body = String),
))]
pub(super) async fn healthz<B: Health>(State(agent): State<Arc<B>>) -> Answered<&'static str> {
    agent.healthy().await?;
    Ok("ok\n")
}

/// The metrics, in the Prometheus text format or OpenMetrics, as the Accept header asks.
#[utoipa::path(get, path = "/metrics", responses((status = 200, content(
    (String = "text/plain"),
    (String = "application/openmetrics-text"),
))))]
pub(super) async fn metrics<B: Health>(State(agent): State<Arc<B>>, headers: HeaderMap) -> Answered<Response> {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let format = Format::asked_for(accept);
    let snapshot = agent.metrics().await?;
    // Without /proc the rest is still worth having.
    let page = snapshot.encode(ProcessMetrics::read().ok().as_ref(), format);
    Ok(([(header::CONTENT_TYPE, format.content_type())], page).into_response())
}

/// This API, as an OpenAPI document.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, body = Object)))]
pub(super) async fn openapi<B: Health>(State(_agent): State<Arc<B>>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}
