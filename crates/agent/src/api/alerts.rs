//! Alerts, and what of them people accepted as normal.

use std::{collections::HashSet, sync::Arc};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use ethogram_detect::Acceptance;
use ethogram_model::{Finding, Severity, ocsf, render};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::Receiver;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    extract::{OptionalBody, PathPart, Query},
    resource::{Answered, Answers, resource},
    stream,
};
use crate::{config::Period, refusal::Refusal};

/// Alerts in an answer where the query has no limit.
const LIMIT: usize = 1000;

/// The alerts, and what is accepted.
pub trait Alerts: Send + Sync + 'static {
    /// Alerts, oldest first; of more than the limit, the latest.
    fn alerts(&self, filter: AlertFilter) -> impl Answers<Vec<Finding>>;
    /// New alerts from now on.
    fn subscribe_alerts(&self, filter: AlertFilter) -> impl Answers<Receiver<Arc<Finding>>>;
    /// Accepts an alert as normal, for so many nanoseconds or for good.
    fn accept(&self, uid: String, for_ns: Option<u64>, reason: Option<String>) -> impl Answers<Accepted>;
    /// What is accepted.
    fn accepted(&self) -> impl Answers<Vec<Accepted>>;
    /// Revokes what was accepted.
    fn revoke(&self, id: String) -> impl Answers<Accepted>;
}

resource!(Alerts: alerts, accept, accepted, revoke);

/// Which alerts are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertFilter {
    /// Of the container of this name or id.
    pub container: Option<String>,
    /// Of this severity or a higher one.
    pub severity: Option<Severity>,
    /// Of the rule of this name, or this analytic.
    pub rule: Option<String>,
    /// Of workloads whose name holds this text.
    pub workload: Option<String>,
    /// Last seen then or later, nanoseconds since the Unix epoch.
    pub since_ns: Option<u64>,
    /// First seen before then, nanoseconds since the Unix epoch.
    pub until_ns: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

impl AlertFilter {
    /// Whether a finding is wanted.
    pub fn wants(&self, finding: &Finding) -> bool {
        self.container.as_ref().is_none_or(|c| finding.container.as_ref().is_some_and(|it| it.answers_to(c)))
            && self.severity.is_none_or(|s| finding.severity >= s)
            && self.rule.as_ref().is_none_or(|wanted| {
                *wanted == finding.analytic || finding.rule.as_ref().is_some_and(|r| r.name == *wanted)
            })
            && self.workload.as_ref().is_none_or(|wanted| finding.workload.contains(wanted))
            && self.since_ns.is_none_or(|since| finding.last_seen_ns >= since)
            && self.until_ns.is_none_or(|until| finding.first_seen_ns < until)
    }
}

/// Something that people said is normal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// Its id.
    pub id: String,
    /// What finds it.
    pub analytic: String,
    /// The workload.
    pub workload: String,
    /// The executable.
    pub executable: String,
    /// The title of the alert that it was made from.
    pub title: String,
    /// Why it is normal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was accepted, RFC 3339.
    pub since: String,
    /// When that ends, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// How many findings raised no alert because of it.
    pub matched: u64,
}

impl From<&Acceptance> for Accepted {
    fn from(a: &Acceptance) -> Self {
        Self {
            id: a.id.clone(),
            analytic: a.analytic.clone(),
            workload: a.workload.clone(),
            executable: a.executable.clone(),
            title: a.title.clone(),
            reason: a.reason.clone(),
            since: render::rfc3339(a.since_ns),
            until: a.until_ns.map(render::rfc3339),
            matched: a.matched,
        }
    }
}

/// How an alert is accepted.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Accept {
    /// For how long: `30d`. Without it, until it is revoked.
    #[serde(default, rename = "for")]
    #[schema(value_type = Option<String>, pattern = "^[0-9]{1,6}(ms|s|m|h|d)$")]
    period: Option<Period>,
    /// Why it is normal.
    #[serde(default)]
    reason: Option<String>,
}

/// Which alerts are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AlertQuery {
    /// Of the container of this name or id.
    container: Option<String>,
    /// Of this severity or a higher one: `informational`, `low`, `medium`, `high` or `critical`.
    #[param(value_type = Option<String>, pattern = "^(informational|low|medium|high|critical)$")]
    severity: Option<Severity>,
    /// Of the rule of this name, or this analytic: `behaviour.execute`.
    rule: Option<String>,
    /// Of workloads whose name holds this text.
    workload: Option<String>,
    /// Last seen at this time or later, RFC 3339.
    #[param(format = DateTime)]
    since: Option<String>,
    /// First seen before this time, RFC 3339.
    #[param(format = DateTime)]
    until: Option<String>,
    /// At most so many, the latest of them.
    #[param(maximum = 4294967295_u32)]
    limit: Option<u32>,
    /// Whether to go on with alerts as they are raised, one JSON object a line.
    #[serde(default)]
    follow: bool,
}

/// Alerts as OCSF Detection Findings, oldest first.
#[utoipa::path(get, path = "/v1/alerts", params(AlertQuery), responses(
    (status = 200, content(
        (Vec<serde_json::Value> = "application/json"),
        (String = "application/x-ndjson"),
    )),
    (status = 409, description = "Too many follow already", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn alerts<B: Alerts>(
    State(agent): State<Arc<B>>,
    Query(query): Query<AlertQuery>,
) -> Answered<Response> {
    let AlertQuery { container, severity, rule, workload, since, until, limit, follow } = query;
    let (since_ns, until_ns) = (moment(since)?, moment(until)?);
    let limit = limit.map_or(LIMIT, |limit| limit as usize);
    let filter = AlertFilter { container, severity, rule, workload, since_ns, until_ns, limit };
    if !follow {
        let alerts = agent.alerts(filter).await?;
        return Ok(Json(alerts.iter().map(ocsf::from_finding).collect::<Vec<_>>()).into_response());
    }
    // Asked for in this order, none is missed; one that is in both is sent once.
    let later = agent.subscribe_alerts(filter.clone()).await?;
    let earlier = agent.alerts(filter).await?;
    let sent: HashSet<(String, u64)> = earlier.iter().map(|f| (f.uid.clone(), f.count)).collect();
    let later = ReceiverStream::new(later).filter(move |f| !sent.contains(&(f.uid.clone(), f.count)));
    let earlier = tokio_stream::iter(earlier).map(|f| ocsf::from_finding(&f).to_string());
    Ok(stream::lines(earlier.chain(later.map(|f| ocsf::from_finding(&f).to_string()))))
}

/// A time in nanoseconds since the Unix epoch.
fn moment(text: Option<String>) -> Answered<Option<u64>> {
    let Some(text) = text else { return Ok(None) };
    // What was before 1970 is before everything.
    let since_1970 = |time: jiff::Timestamp| u64::try_from(time.as_nanosecond().max(0)).unwrap_or(u64::MAX);
    let read = text.parse().ok().map(since_1970);
    let wrong = || format!("{text:?} is no time such as 2026-01-31T12:00:00Z");
    read.map(Some).ok_or_else(|| Refusal::Invalid(wrong()).into())
}

/// Accepts an alert as normal: the same of the same workload and executable raises none again.
#[utoipa::path(post, path = "/v1/alerts/{uid}/accept", params(("uid" = String, Path, description = "The alert")),
    request_body = Option<Accept>,
    responses(
        (status = 200, body = Accepted),
        (status = 404, description = "No such alert", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn accept<B: Alerts>(
    State(agent): State<Arc<B>>,
    PathPart(uid): PathPart,
    OptionalBody(accept): OptionalBody<Accept>,
) -> Answered<Json<Accepted>> {
    let Accept { period, reason } = accept;
    let reason = reason.map(|r| r.chars().take(1000).collect());
    Ok(Json(agent.accept(uid, period.map(|p| p.as_ns()), reason).await?))
}

/// What was accepted.
#[utoipa::path(get, path = "/v1/accepted", responses((status = 200, body = Vec<Accepted>)))]
pub(super) async fn accepted<B: Alerts>(State(agent): State<Arc<B>>) -> Answered<Json<Vec<Accepted>>> {
    Ok(Json(agent.accepted().await?))
}

/// Takes an acceptance back: from then on it raises alerts again.
#[utoipa::path(delete, path = "/v1/accepted/{id}", params(("id" = String, Path, description = "Its id")), responses(
    (status = 200, body = Accepted),
    (status = 404, description = "No such acceptance", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn revoke<B: Alerts>(State(agent): State<Arc<B>>, PathPart(id): PathPart) -> Answered<Json<Accepted>> {
    Ok(Json(agent.revoke(id).await?))
}
