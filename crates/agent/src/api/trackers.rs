//! The trackers: which there are, how each is doing, and starting, stopping and replacing them.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract, http::StatusCode};
use ethogram_model::{Param as SchemaParam, TrackerSchema};
use ethogram_probe::{ProgramState, ProgramStatus, TrackerStatus as Status};
use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, SchemaType, Type},
    },
};

use super::{
    Problem,
    extract::{Body, OptionalBody, PathPart, RawBody},
    resource::{Answered, Answers, resource},
};
use crate::{
    config::ParamValue,
    metrics::{Counters, TrackerState},
    refusal::Refusal,
};

/// The largest object that is taken, in bytes.
pub const MAX_OBJECT_BYTES: usize = 16 << 20;

/// The trackers.
pub trait Trackers: Send + Sync + 'static {
    /// All trackers, running or not, by name.
    fn trackers(&self) -> impl Answers<Vec<TrackerStatus>>;
    /// Starts a tracker with these parameters.
    fn start(&self, name: String, params: BTreeMap<String, String>) -> impl Answers<TrackerStatus>;
    /// Stops a tracker.
    fn stop(&self, name: String) -> impl Answers<TrackerStatus>;
    /// Detaches the programs of these trackers until they are resumed; without names, of all but those that the agent
    /// needs for processes and containers. Gives the names.
    fn pause(&self, names: Vec<String>) -> impl Answers<Vec<String>>;
    /// Attaches the programs of these paused trackers again; without names, of all. Gives the names.
    fn resume(&self, names: Vec<String>) -> impl Answers<Vec<String>>;
    /// Loads a `.bpf.o` under that name and starts it, in place of the tracker of that name.
    fn put_object(&self, name: String, object: Vec<u8>) -> impl Answers<TrackerStatus>;
}

resource!(Trackers: trackers, start, stop, pause, resume, put_object up to MAX_OBJECT_BYTES);

/// A tracker and how it is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrackerStatus {
    /// Its name.
    pub name: String,
    /// What it does, in one line.
    pub summary: String,
    /// Whether it works.
    pub state: TrackerState,
    /// Why this kernel or the agent's privileges cannot run it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether the server starts it by itself.
    pub default: bool,
    /// Its programs in the kernel.
    pub programs: Vec<Program>,
    /// Its parameters.
    pub params: Vec<Param>,
    /// Where its events went.
    pub counters: Counters,
}

impl TrackerStatus {
    /// A tracker that no server runs.
    pub fn stopped(schema: TrackerSchema) -> Self {
        let (params, programs) = (BTreeMap::new(), Vec::new());
        Status {
            schema: Arc::new(schema),
            state: ethogram_probe::TrackerState::Stopped,
            params,
            programs,
            counters: Default::default(),
        }
        .into()
    }
}

impl From<Status> for TrackerStatus {
    fn from(status: Status) -> Self {
        let value = |p: &SchemaParam| if p.boolean { (p.default != 0).to_string() } else { p.default.to_string() };
        let param = |p: &SchemaParam| Param {
            name: p.name.clone(),
            value: status.params.get(&p.name).cloned().unwrap_or_else(|| value(p)),
            default: value(p),
            doc: p.doc.clone(),
        };
        Self {
            name: status.schema.name.to_string(),
            summary: status.schema.summary.clone(),
            state: TrackerState::from(&status.state),
            reason: match &status.state {
                ethogram_probe::TrackerState::Refused(reason) => Some(reason.clone()),
                _ => None,
            },
            default: status.schema.default,
            params: status.schema.params.iter().map(param).collect(),
            programs: status.programs.into_iter().map(Program::from).collect(),
            counters: Counters::from(&status.counters),
        }
    }
}

/// A program in the kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Program {
    /// The function's name in C.
    pub name: String,
    /// Where it is attached, such as `tp_btf/sched_process_exec`.
    pub attach: String,
    /// `attached`, `idle` while its events have no subscription, `withheld` unless all its tracker's events have one, `skipped` or `refused`.
    pub state: String,
    /// Why it is not attached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl From<ProgramStatus> for Program {
    fn from(program: ProgramStatus) -> Self {
        let (state, reason) = match program.state {
            ProgramState::Attached => ("attached", None),
            ProgramState::Idle => ("idle", None),
            ProgramState::Withheld(reason) => ("withheld", Some(reason)),
            ProgramState::Unneeded => ("skipped", Some("a better one does the same".to_owned())),
            ProgramState::Refused(reason) => ("refused", Some(reason)),
        };
        Self { name: program.name, attach: program.attach, state: state.into(), reason }
    }
}

/// A parameter of a tracker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its value now.
    pub value: String,
    /// Its value where it is not set.
    pub default: String,
    /// What it does.
    pub doc: String,
}

/// All trackers, running or not.
#[utoipa::path(get, path = "/v1/trackers", responses((status = 200, body = Vec<TrackerStatus>)))]
pub(super) async fn trackers<B: Trackers>(
    extract::State(agent): extract::State<Arc<B>>,
) -> Answered<Json<Vec<TrackerStatus>>> {
    Ok(Json(agent.trackers().await?))
}

/// Which tracker to start, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    /// The tracker.
    name: String,
    /// Parameters and their values: numbers, true or false.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, ParamValue>)]
    params: BTreeMap<String, ParamValue>,
}

impl PartialSchema for ParamValue {
    fn schema() -> RefOr<Schema> {
        let types = SchemaType::from_iter([Type::Integer, Type::Boolean, Type::String]);
        let whole = ObjectBuilder::new()
            .schema_type(types)
            .description(Some("a whole number, true or false, or either as text"));
        whole.minimum(Some(i64::MIN)).maximum(Some(i64::MAX)).build().into()
    }
}

impl ToSchema for ParamValue {}

/// Starts a tracker, while everything else goes on.
#[utoipa::path(post, path = "/v1/trackers", request_body = Start, responses(
    (status = 201, body = TrackerStatus),
    (status = 404, description = "No such tracker", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "It runs already", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "Wrong parameters", body = Problem, content_type = "application/problem+json"),
    (status = 501, description = "This kernel cannot", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn start<B: Trackers>(
    extract::State(agent): extract::State<Arc<B>>,
    Body(Start { name, params }): Body<Start>,
) -> Answered<(StatusCode, Json<TrackerStatus>)> {
    let params = params.into_iter().map(|(name, value)| (name, value.0)).collect();
    Ok((StatusCode::CREATED, Json(agent.start(name, params).await?)))
}

/// Stops a tracker, while everything else goes on.
#[utoipa::path(delete, path = "/v1/trackers/{name}", params(("name" = String, Path, description = "The tracker", pattern = "^[a-z0-9_]{1,32}$")),
    responses(
        (status = 200, body = TrackerStatus),
        (status = 404, description = "No such tracker", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It does not run, or the agent needs it", body = Problem,
            content_type = "application/problem+json"),
        (status = 501, description = "This kernel cannot", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn stop<B: Trackers>(
    extract::State(agent): extract::State<Arc<B>>,
    PathPart(name): PathPart,
) -> Answered<Json<TrackerStatus>> {
    Ok(Json(agent.stop(name).await?))
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
    (status = 501, description = "This kernel cannot", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn pause<B: Trackers>(
    extract::State(agent): extract::State<Arc<B>>,
    OptionalBody(which): OptionalBody<Which>,
) -> Answered<Json<Vec<String>>> {
    Ok(Json(agent.pause(which.trackers).await?))
}

/// Attaches the programs of paused trackers again.
#[utoipa::path(post, path = "/v1/resume", request_body = Option<Which>, responses(
    (status = 200, body = Vec<String>, description = "The names of those that run again"),
    (status = 404, description = "No such tracker", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "One is stopped", body = Problem, content_type = "application/problem+json"),
    (status = 501, description = "This kernel cannot", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn resume<B: Trackers>(
    extract::State(agent): extract::State<Arc<B>>,
    OptionalBody(which): OptionalBody<Which>,
) -> Answered<Json<Vec<String>>> {
    Ok(Json(agent.resume(which.trackers).await?))
}

/// Loads an object (`.bpf.o`) and starts it, in the place of the tracker that bore the name.
#[utoipa::path(put, path = "/v1/trackers/{name}/object", params(("name" = String, Path, description = "The tracker", pattern = "^[a-z0-9_]{1,32}$")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, body = TrackerStatus),
        (status = 413, description = "Larger than 16 MiB", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No usable object", body = Problem, content_type = "application/problem+json"),
        (status = 501, description = "This kernel cannot", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn put_object<B: Trackers>(
    extract::State(agent): extract::State<Arc<B>>,
    PathPart(name): PathPart,
    RawBody(object): RawBody,
) -> Answered<Json<TrackerStatus>> {
    if !is_tracker_name(&name) {
        let detail = "a tracker's name has 1 to 32 lower-case letters, digits and underscores";
        return Err(Refusal::Invalid(detail.into()).into());
    }
    if !object.starts_with(b"\x7fELF") {
        let detail = "the body is not an ELF object: send the .bpf.o file itself, with curl --data-binary @FILE.bpf.o";
        return Err(Refusal::Invalid(detail.into()).into());
    }
    Ok(Json(agent.put_object(name, object.into()).await?))
}

/// Whether a tracker can have that name.
fn is_tracker_name(name: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
    (1..=32).contains(&name.len()) && name.bytes().all(plain)
}
