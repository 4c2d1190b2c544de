//! The questions, one function each.

use std::{collections::BTreeMap, collections::HashSet, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{
        DefaultBodyLimit, Path, Query, State,
        rejection::{BytesRejection, JsonRejection, QueryRejection},
    },
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use ethogram_detect::MAX_FILE_BYTES;
use ethogram_model::{Severity, ocsf};
use serde::Deserialize;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use utoipa::{IntoParams, ToSchema};

use super::{AlertFilter, Backend, EventFilter, OPENAPI, Problem, TrackerStatus, profiles, rules, stream};
use crate::{
    config::ParamValue,
    metrics::{Format, ProcessMetrics},
    response::{PolicyStatus, ResponseRecord},
};

/// The largest object that is taken, in bytes.
pub const MAX_OBJECT_BYTES: usize = 16 << 20;
/// The largest body of any other request, in bytes.
const MAX_BODY_BYTES: usize = 64 << 10;
/// Alerts in an answer where nobody says how many.
const ALERTS: usize = 1000;
/// The same of responses, of which no more are kept.
const RESPONSES: usize = 1000;

pub(super) type Engine = State<Arc<dyn Backend>>;
pub(super) type Answered<T> = Result<T, Problem>;

/// All of the API.
pub fn router(backend: Arc<dyn Backend>) -> Router {
    let object = put(put_object).layer(DefaultBodyLimit::max(MAX_OBJECT_BYTES));
    let profile_file = put(profiles::import).layer(DefaultBodyLimit::max(MAX_FILE_BYTES));
    Router::new()
        .route("/v1/trackers", get(trackers).post(start))
        .route("/v1/trackers/{name}", delete(stop))
        .route("/v1/pause", post(pause))
        .route("/v1/resume", post(resume))
        .route("/v1/containers", get(containers))
        .route("/v1/profiles", get(profiles::list).merge(profile_file))
        .route("/v1/profiles/{id}", get(profiles::show).delete(profiles::reset))
        .route("/v1/profiles/{id}/file", get(profiles::file))
        .route("/v1/profiles/{id}/diff", get(profiles::diff))
        .route("/v1/profiles/{id}/approve", post(profiles::approve))
        .route("/v1/alerts", get(alerts))
        .route("/v1/alerts/{uid}/accept", post(rules::accept))
        .route("/v1/accepted", get(rules::accepted))
        .route("/v1/accepted/{id}", delete(rules::revoke))
        .route("/v1/rules", get(rules::rules).post(rules::reload))
        .route("/v1/events", get(events))
        .route("/v1/responses", get(responses))
        .route("/v1/responses/{id}", delete(undo))
        .route("/v1/policies", get(policies))
        .route("/healthz", get(healthz))
        .route("/openapi.json", get(async || ([(header::CONTENT_TYPE, "application/json")], OPENAPI)))
        .route("/metrics", get(metrics))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .route("/v1/trackers/{name}/object", object)
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_this_way)
        .with_state(backend)
}

/// The metrics alone.
pub(super) fn metrics_router(backend: Arc<dyn Backend>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_this_way)
        .with_state(backend)
}

async fn nothing_here(uri: Uri) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        format!("there is nothing at {}: GET /openapi.json lists what there is", uri.path()),
    )
}

async fn not_this_way(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not answer {method}: GET /openapi.json lists what there is", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

/// All trackers, running or not.
#[utoipa::path(get, path = "/v1/trackers", responses((status = 200, body = Vec<TrackerStatus>)))]
pub(super) async fn trackers(State(engine): Engine) -> Answered<Json<Vec<TrackerStatus>>> {
    Ok(Json(engine.trackers().await?))
}

/// Which tracker to start, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    /// The tracker.
    name: String,
    /// Parameters and their values: numbers, true or false.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    params: BTreeMap<String, ParamValue>,
}

/// Starts a tracker, while everything else goes on.
#[utoipa::path(post, path = "/v1/trackers", request_body = Start, responses(
    (status = 201, body = TrackerStatus),
    (status = 404, description = "No such tracker", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "It runs already", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "Wrong parameters", body = Problem, content_type = "application/problem+json"),
    (status = 501, description = "This kernel cannot", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn start(
    State(engine): Engine,
    body: Result<Json<Start>, JsonRejection>,
) -> Answered<(StatusCode, Json<TrackerStatus>)> {
    let Json(Start { name, params }) = body?;
    let params = params.into_iter().map(|(name, value)| (name, value.0)).collect();
    Ok((StatusCode::CREATED, Json(engine.start(name, params).await?)))
}

/// Stops a tracker, while everything else goes on.
#[utoipa::path(delete, path = "/v1/trackers/{name}", params(("name" = String, Path, description = "The tracker")),
    responses(
        (status = 200, body = TrackerStatus),
        (status = 404, description = "No such tracker", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It does not run", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn stop(State(engine): Engine, Path(name): Path<String>) -> Answered<Json<TrackerStatus>> {
    Ok(Json(engine.stop(name).await?))
}

/// Which trackers to pause or resume.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Their names; none are all that can be paused.
    #[serde(default)]
    trackers: Vec<String>,
}

/// Detaches trackers' programs until they are resumed: from then on they cost nothing. All that they have is kept.
#[utoipa::path(post, path = "/v1/pause", request_body = Option<Which>, responses(
    (status = 200, body = Vec<String>, description = "The names of those that are paused"),
    (status = 404, description = "No such tracker", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "One does not run, or the agent needs it", body = Problem,
        content_type = "application/problem+json"),
))]
pub(super) async fn pause(
    State(engine): Engine,
    body: Result<Option<Json<Which>>, JsonRejection>,
) -> Answered<Json<Vec<String>>> {
    Ok(Json(engine.pause(body?.unwrap_or_default().0.trackers).await?))
}

/// Attaches the programs of paused trackers again.
#[utoipa::path(post, path = "/v1/resume", request_body = Option<Which>, responses(
    (status = 200, body = Vec<String>, description = "The names of those that run again"),
    (status = 404, description = "No such tracker", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "One is stopped", body = Problem, content_type = "application/problem+json"),
    (status = 501, description = "This kernel cannot", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn resume(
    State(engine): Engine,
    body: Result<Option<Json<Which>>, JsonRejection>,
) -> Answered<Json<Vec<String>>> {
    Ok(Json(engine.resume(body?.unwrap_or_default().0.trackers).await?))
}

/// Loads an object (`.bpf.o`) and starts it, in the place of the tracker that bore the name.
#[utoipa::path(put, path = "/v1/trackers/{name}/object", params(("name" = String, Path, description = "The tracker")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, body = TrackerStatus),
        (status = 413, description = "Larger than 16 MiB", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No usable object", body = Problem, content_type = "application/problem+json"),
        (status = 501, description = "This kernel cannot", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn put_object(
    State(engine): Engine,
    Path(name): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Answered<Json<TrackerStatus>> {
    let object = body?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if name.is_empty() || name.len() > 32 || !name.chars().all(fits) {
        let detail = "a tracker's name is made of up to 32 of a-z, 0-9, - and _";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    if !object.starts_with(b"\x7fELF") {
        let detail = "the body is not an ELF object: send the .bpf.o file itself, with curl --data-binary @FILE.bpf.o";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    Ok(Json(engine.put_object(name, object.into()).await?))
}

/// The containers that run now.
#[utoipa::path(get, path = "/v1/containers", responses((status = 200, body = Vec<serde_json::Value>)))]
pub(super) async fn containers(State(engine): Engine) -> Answered<Response> {
    Ok(Json(engine.containers().await?).into_response())
}

/// Which alerts are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AlertQuery {
    /// Of the container of this name or id.
    container: Option<String>,
    /// At least this grave: `informational`, `low`, `medium`, `high` or `critical`.
    #[param(value_type = Option<String>)]
    severity: Option<Severity>,
    /// Of the rule of this name, or this analytic: `behaviour.execute`.
    rule: Option<String>,
    /// Of workloads whose name holds this text.
    workload: Option<String>,
    /// Last seen at this time or later, RFC 3339.
    since: Option<String>,
    /// First seen before this time, RFC 3339.
    until: Option<String>,
    /// At most so many, the latest of them.
    limit: Option<usize>,
    /// Whether to go on with alerts as they are raised, one JSON object a line.
    #[serde(default)]
    follow: bool,
}

/// Alerts as OCSF Detection Findings, oldest first.
#[utoipa::path(get, path = "/v1/alerts", params(AlertQuery), responses((status = 200, content(
    (Vec<serde_json::Value> = "application/json"),
    (String = "application/x-ndjson"),
))))]
pub(super) async fn alerts(
    State(engine): Engine,
    query: Result<Query<AlertQuery>, QueryRejection>,
) -> Answered<Response> {
    let Query(AlertQuery { container, severity, rule, workload, since, until, limit, follow }) = query?;
    let (since_ns, until_ns) = (moment(since)?, moment(until)?);
    let limit = limit.unwrap_or(ALERTS);
    let filter = AlertFilter { container, severity, rule, workload, since_ns, until_ns, limit };
    if !follow {
        let alerts = engine.alerts(filter).await?;
        return Ok(Json(alerts.iter().map(ocsf::from_finding).collect::<Vec<_>>()).into_response());
    }
    // Asked for in this order, none is missed; one that is in both is sent once.
    let later = engine.subscribe_alerts(filter.clone()).await?;
    let earlier = engine.alerts(filter).await?;
    let sent: HashSet<(String, u64)> = earlier.iter().map(|f| (f.uid.clone(), f.count)).collect();
    let later = ReceiverStream::new(later).filter(move |f| !sent.contains(&(f.uid.clone(), f.count)));
    let earlier = tokio_stream::iter(earlier).map(|f| ocsf::from_finding(&f).to_string());
    Ok(stream::lines(earlier.chain(later.map(|f| ocsf::from_finding(&f).to_string()))))
}

/// A time in nanoseconds since the Unix epoch.
fn moment(text: Option<String>) -> Answered<Option<u64>> {
    let Some(text) = text else { return Ok(None) };
    let read = text.parse::<jiff::Timestamp>().ok().and_then(|t| u64::try_from(t.as_nanosecond()).ok());
    let wrong = || format!("{text:?} is no time such as 2026-01-31T12:00:00Z");
    read.map(Some).ok_or_else(|| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, wrong()))
}

/// Which events are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventQuery {
    /// Of the container of this name or id.
    container: Option<String>,
    /// Of this tracker.
    tracker: Option<String>,
}

/// Events from now on, one JSON object a line.
#[utoipa::path(get, path = "/v1/events", params(EventQuery), responses(
    (status = 200, body = String, content_type = "application/x-ndjson"),
    (status = 404, description = "No such tracker", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn events(
    State(engine): Engine,
    query: Result<Query<EventQuery>, QueryRejection>,
) -> Answered<Response> {
    let Query(EventQuery { container, tracker }) = query?;
    let events = engine.subscribe_events(EventFilter { container, tracker }).await?;
    Ok(stream::lines(events))
}

/// How many are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ResponseQuery {
    /// At most so many, the latest of them.
    limit: Option<usize>,
}

/// What was done about findings, or would have been, oldest first.
#[utoipa::path(get, path = "/v1/responses", params(ResponseQuery), responses((status = 200, body = Vec<ResponseRecord>)))]
pub(super) async fn responses(
    State(engine): Engine,
    query: Result<Query<ResponseQuery>, QueryRejection>,
) -> Answered<Json<Vec<ResponseRecord>>> {
    Ok(Json(engine.responses(query?.limit.unwrap_or(RESPONSES)).await?))
}

/// Undoes a response that goes on: thaws a container, or connects it again.
#[utoipa::path(delete, path = "/v1/responses/{id}", params(("id" = String, Path, description = "Its number")),
    responses(
        (status = 200, body = ResponseRecord),
        (status = 404, description = "No such response", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is over", body = Problem, content_type = "application/problem+json"),
        (status = 501, description = "It cannot be undone", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn undo(State(engine): Engine, Path(id): Path<String>) -> Answered<Json<ResponseRecord>> {
    Ok(Json(engine.undo(id).await?))
}

/// What the kernel is to refuse or to kill for, and whether it does.
#[utoipa::path(get, path = "/v1/policies", responses((status = 200, body = Vec<PolicyStatus>)))]
pub(super) async fn policies(State(engine): Engine) -> Answered<Json<Vec<PolicyStatus>>> {
    Ok(Json(engine.policies().await?))
}

/// Whether the server works.
#[utoipa::path(get, path = "/healthz", responses(
    (status = 200, body = String),
    (status = 503, description = "The engine does not answer", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn healthz(State(engine): Engine) -> Answered<&'static str> {
    engine.healthy().await?;
    Ok("ok\n")
}

/// The metrics, in the Prometheus text format or OpenMetrics, as the Accept header asks.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String)))]
pub(super) async fn metrics(State(engine): Engine, headers: HeaderMap) -> Answered<Response> {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let format = Format::asked_for(accept);
    let snapshot = engine.metrics().await?;
    // Without /proc the rest is still worth having.
    let page = snapshot.encode(ProcessMetrics::read().ok().as_ref(), format);
    Ok(([(header::CONTENT_TYPE, format.content_type())], page).into_response())
}
