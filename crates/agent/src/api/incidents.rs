//! Incidents: findings that belong to one deed.

use std::{pin::Pin, sync::Arc};

use axum::{extract::State, response::Response};
use ethogram_model::{AnnotatedIncident, Incident, IncidentGraph, Severity, explain::Explanation, ocsf};
use serde::{Deserialize, Serialize};
use tokio_stream::{Stream, StreamExt};
use utoipa::{IntoParams, ToSchema};

use super::{
    Accepted, Problem,
    alerts::moment,
    extract::{OptionalBody, PathPart, Query},
    resource::{Answered, Answers, resource},
    stream,
};
use crate::{config::Period, refusal::Refusal};

/// Incidents in an answer at most: no more are kept.
const LIMIT: usize = 1_000;

/// Incidents, as they begin, go on and end.
pub type IncidentStream = Pin<Box<dyn Stream<Item = Arc<Incident>> + Send>>;

/// The incidents.
pub trait Incidents: Send + Sync + 'static {
    /// Those that are wanted, oldest first; of more than the limit, the latest.
    fn incidents(&self, filter: IncidentFilter) -> impl Answers<Vec<AnnotatedIncident>>;
    /// The one of this uid, or whose uid begins so.
    fn incident(&self, uid: String) -> impl Answers<AnnotatedIncident>;
    /// How they begin, go on and end, from now on.
    fn subscribe_incidents(&self, filter: IncidentFilter) -> impl Answers<IncidentStream>;
    /// Accepts all parts of an incident as normal, each with its object, for so many nanoseconds or for good.
    fn accept_incident(&self, uid: String, for_ns: Option<u64>, reason: Option<String>) -> impl Answers<Vec<Accepted>>;
}

resource!(Incidents: incidents, incident, incident_graph, explain_incident, accept_incident);

/// Which incidents are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IncidentFilter {
    /// That touched the container of this name.
    pub container: Option<String>,
    /// Of this severity or a higher one.
    pub severity: Option<Severity>,
    /// Last seen then or later, nanoseconds since the Unix epoch.
    pub since_ns: Option<u64>,
    /// First seen before then, nanoseconds since the Unix epoch.
    pub until_ns: Option<u64>,
    /// Only those that are open, or only those that are not.
    pub is_open: Option<bool>,
    /// At most so many.
    pub limit: usize,
}

impl IncidentFilter {
    /// Whether an incident is wanted.
    pub fn wants(&self, incident: &Incident) -> bool {
        self.container.as_ref().is_none_or(|wanted| incident.containers.contains(wanted))
            && self.severity.is_none_or(|severity| incident.severity >= severity)
            && self.since_ns.is_none_or(|since| incident.last_seen_ns >= since)
            && self.until_ns.is_none_or(|until| incident.first_seen_ns < until)
            && self.is_open.is_none_or(|is_open| incident.is_open == is_open)
    }
}

/// Which incidents are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct IncidentQuery {
    /// That touched the container of this name.
    container: Option<String>,
    /// Of this severity or a higher one: `informational`, `low`, `medium`, `high` or `critical`.
    #[param(value_type = Option<String>, pattern = "^(informational|low|medium|high|critical)$")]
    severity: Option<Severity>,
    /// Last seen at this time or later, RFC 3339.
    #[param(format = DateTime)]
    since: Option<String>,
    /// First seen before this time, RFC 3339.
    #[param(format = DateTime)]
    until: Option<String>,
    /// Only those that are open, or only those that are not.
    open: Option<bool>,
    /// At most so many, the latest of them.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Whether to go on with incidents as they begin, go on and end, one JSON object a line.
    #[serde(default)]
    follow: bool,
}

/// Incidents as OCSF Incident Findings, oldest first.
///
/// What a language model wrote about one, where triage is configured, is in `unmapped.triage`, unless they are followed: it comes
/// later than the incident.
#[utoipa::path(get, path = "/v1/incidents", params(IncidentQuery), responses(
    (status = 200, content(
        (Vec<serde_json::Value> = "application/json"),
        (String = "application/x-ndjson"),
    )),
    (status = 409, description = "Too many follow already", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn incidents<B: Incidents>(
    State(agent): State<Arc<B>>,
    Query(query): Query<IncidentQuery>,
) -> Answered<Response> {
    let IncidentQuery { container, severity, since, until, open: is_open, limit, follow } = query;
    let (since_ns, until_ns) = (moment(since)?, moment(until)?);
    let limit = limit.map_or(LIMIT, |limit| limit as usize);
    if !(1..=LIMIT).contains(&limit) {
        return Err(Refusal::Invalid(format!("limit is {limit}, and must be from 1 to {LIMIT}")).into());
    }
    let filter = IncidentFilter { container, severity, since_ns, until_ns, is_open, limit };
    if !follow {
        let incidents = agent.incidents(filter).await?;
        return Ok(stream::list(tokio_stream::iter(incidents).map(|one| one.to_ocsf().to_string())));
    }
    // Asked for in this order, none is missed; what is sent again says no less than before.
    let later = agent.subscribe_incidents(filter.clone()).await?;
    // An annotation comes later than what is followed: it is no part of it.
    let earlier = agent.incidents(filter).await?.into_iter().map(|one| one.incident);
    let earlier = tokio_stream::iter(earlier);
    Ok(stream::lines(earlier.chain(later).map(|incident| ocsf(&incident))))
}

/// An incident as an OCSF Incident Finding.
///
/// What a language model wrote about it, where triage is configured, is in `unmapped.triage`. Its texts are untrusted. The uid of
/// an incident that turned out to be part of another leads to that: the answer has its own uid in `metadata.correlation_uid`, and
/// those that became part of it in `unmapped.incident.merged`. The same holds for all that is asked of an incident by its uid.
#[utoipa::path(get, path = "/v1/incidents/{uid}", params(("uid" = String, Path, description = "The incident, or the start of its uid")),
    responses(
        (status = 200, content((serde_json::Value = "application/json"))),
        (status = 404, description = "No such incident", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn incident<B: Incidents>(
    State(agent): State<Arc<B>>,
    PathPart(uid): PathPart,
) -> Answered<axum::Json<serde_json::Value>> {
    Ok(axum::Json(agent.incident(uid).await?.to_ocsf()))
}

/// An incident's provenance graph: programs, what they did it to, and what connects them.
#[utoipa::path(get, path = "/v1/incidents/{uid}/graph", params(("uid" = String, Path, description = "The incident, or the start of its uid")),
    responses(
        (status = 200, content((serde_json::Value = "application/json"))),
        (status = 404, description = "No such incident", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn incident_graph<B: Incidents>(
    State(agent): State<Arc<B>>,
    PathPart(uid): PathPart,
) -> Answered<axum::Json<IncidentGraph>> {
    Ok(axum::Json(IncidentGraph::of(&agent.incident(uid).await?.incident)))
}

/// An incident in plain words.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ExplainedIncident {
    /// The incident.
    pub uid: String,
    /// What happened, why that is unusual, what speaks for an attack and what for ordinary life, and what to look at next. Lines
    /// that begin with four blanks and `$` are commands.
    pub text: String,
}

/// An incident in plain words, without a language model.
#[utoipa::path(get, path = "/v1/incidents/{uid}/explain", params(("uid" = String, Path, description = "The incident, or the start of its uid")),
    responses(
        (status = 200, body = ExplainedIncident),
        (status = 404, description = "No such incident", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn explain_incident<B: Incidents>(
    State(agent): State<Arc<B>>,
    PathPart(uid): PathPart,
) -> Answered<axum::Json<ExplainedIncident>> {
    let incident = agent.incident(uid).await?.incident;
    let text = Explanation::of(&incident).text();
    Ok(axum::Json(ExplainedIncident { uid: incident.uid.clone(), text }))
}

/// How an incident is accepted.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AcceptIncident {
    /// For how long: `30d`. Without it, until it is revoked.
    #[serde(default, rename = "for")]
    #[schema(value_type = Option<String>, pattern = "^[0-9]{1,6}(ms|s|m|h|d)$")]
    period: Option<Period>,
    /// Why it is normal.
    #[serde(default)]
    reason: Option<String>,
}

/// Accepts what is unusual about an incident as normal: each of its alerts, with its object. Nothing else is accepted.
#[utoipa::path(post, path = "/v1/incidents/{uid}/accept", params(("uid" = String, Path, description = "The incident, or the start of its uid")),
    request_body = Option<AcceptIncident>,
    responses(
        (status = 200, body = Vec<Accepted>),
        (status = 404, description = "No such incident", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "None of its alerts is kept any more", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn accept_incident<B: Incidents>(
    State(agent): State<Arc<B>>,
    PathPart(uid): PathPart,
    OptionalBody(accept): OptionalBody<AcceptIncident>,
) -> Answered<axum::Json<Vec<Accepted>>> {
    let reason = accept.reason.map(|reason| reason.chars().take(1000).collect());
    Ok(axum::Json(agent.accept_incident(uid, accept.period.map(|period| period.as_ns()), reason).await?))
}

fn ocsf(incident: &Incident) -> String {
    ocsf::from_incident(incident).to_string()
}
