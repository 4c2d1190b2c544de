//! Alerts, and what of them people accepted as normal.

use std::{collections::HashSet, fmt, pin::Pin, str::FromStr, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, Uri, header::LINK},
    response::Response,
};
use ethogram_detect::{Acceptance, Width};
use ethogram_model::{Container, Finding, Severity, StoredFinding, ocsf, render};
use serde::{Deserialize, Serialize};
use tokio_stream::{Stream, StreamExt};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    extract::{OptionalBody, PathPart, Query},
    resource::{Answered, Answers, resource},
    stream,
};
use crate::{config::Period, refusal::Refusal};

/// Alerts in an answer at most.
const LIMIT: usize = 1000;

/// Alerts, as they are raised.
pub type Findings = Pin<Box<dyn Stream<Item = Arc<Finding>> + Send>>;

/// The alerts, and what is accepted.
pub trait Alerts: Send + Sync + 'static {
    /// A page of alerts, oldest first; of more than the limit, the latest.
    fn alerts(&self, filter: AlertFilter) -> impl Answers<AlertPage>;
    /// New alerts from now on.
    fn subscribe_alerts(&self, filter: AlertFilter) -> impl Answers<Findings>;
    /// Accepts an alert as normal, so wide, for so many nanoseconds or for good.
    fn accept(&self, uid: String, width: Width, for_ns: Option<u64>, reason: Option<String>) -> impl Answers<Accepted>;
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
    /// Only those before this one.
    pub before: Option<Cursor>,
    /// At most so many.
    pub limit: usize,
}

/// The place of an alert among all: after those first seen earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Nanoseconds since the Unix epoch.
    pub first_seen_ns: u64,
    /// Of two at that time, the later one has the larger uid.
    pub uid: String,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first_seen_ns, self.uid)
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (time, uid) = text.split_once('-').ok_or(())?;
        let is_uid = (1..=64).contains(&uid.len()) && uid.bytes().all(|b| b.is_ascii_alphanumeric());
        let is_time = time.len() <= 19 && time.bytes().all(|b| b.is_ascii_digit());
        let first_seen_ns = time.parse().map_err(|_| ())?;
        (is_uid && is_time).then(|| Self { first_seen_ns, uid: uid.to_owned() }).ok_or(())
    }
}

/// Some alerts, and whether there are more.
#[derive(Debug, Default)]
pub struct AlertPage {
    /// Oldest first. There are as many as the filter's limit says, or fewer where they are large.
    pub alerts: Vec<StoredFinding>,
    /// Where there are earlier ones: the first of these here.
    pub next: Option<Cursor>,
}

/// What alerts are found by, apart from when they were seen.
#[derive(Debug, Clone, Copy)]
pub struct AlertTraits<'a> {
    /// The id and the name of the container that showed it; none where the host did.
    pub container: Option<(&'a str, Option<&'a str>)>,
    /// The severity.
    pub severity: Severity,
    /// What found it.
    pub analytic: &'a str,
    /// The name of the rule that found it, where one did.
    pub rule: Option<&'a str>,
    /// The workload.
    pub workload: &'a str,
}

impl<'a> From<&'a Finding> for AlertTraits<'a> {
    fn from(finding: &'a Finding) -> Self {
        Self {
            container: finding.container.as_ref().map(|it| (it.id.as_str(), it.name.as_deref())),
            severity: finding.severity,
            analytic: &finding.analytic,
            rule: finding.rule.as_ref().map(|rule| rule.name.as_str()),
            workload: &finding.workload,
        }
    }
}

impl AlertFilter {
    /// Whether a finding is wanted.
    pub fn wants(&self, finding: &Finding) -> bool {
        self.wants_seen(finding.into(), finding.first_seen_ns, finding.last_seen_ns)
    }

    /// Whether a finding is wanted that was first and last seen then, nanoseconds since the Unix epoch.
    pub fn wants_seen(&self, of: AlertTraits<'_>, first_seen_ns: u64, last_seen_ns: u64) -> bool {
        self.container.as_ref().is_none_or(|c| of.container.is_some_and(|(id, name)| Container::is_meant(id, name, c)))
            && self.severity.is_none_or(|s| of.severity >= s)
            && self.rule.as_deref().is_none_or(|wanted| wanted == of.analytic || of.rule == Some(wanted))
            && self.workload.as_ref().is_none_or(|wanted| of.workload.contains(wanted))
            && self.since_ns.is_none_or(|since| last_seen_ns >= since)
            && self.until_ns.is_none_or(|until| first_seen_ns < until)
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
    /// What it is done to, generalised; left out where whatever that is is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The uid of the alert that it was made from. Those of earlier versions have none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub finding: String,
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
    /// When the last of them was, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_matched: Option<String>,
    /// What that one was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_object: Option<String>,
}

impl From<&Acceptance> for Accepted {
    fn from(a: &Acceptance) -> Self {
        Self {
            id: a.id.clone(),
            analytic: a.analytic.clone(),
            workload: a.workload.clone(),
            executable: a.executable.clone(),
            object: a.object.clone(),
            finding: a.finding.clone(),
            title: a.title.clone(),
            reason: a.reason.clone(),
            since: render::rfc3339(a.since_ns),
            until: a.until_ns.map(render::rfc3339),
            matched: a.matched,
            last_matched: a.last_matched_ns.map(render::rfc3339),
            last_object: a.last_object.clone(),
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
    /// Whether it is normal whatever it is done to, and not only to this alert's object.
    #[serde(default)]
    any_object: bool,
    /// Whether any object is accepted of an alert of high severity or above, too.
    #[serde(default)]
    force: bool,
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
    /// At most so many, the latest of them; fewer where they are large. Where there are earlier ones, the answer's header `Link` has the
    /// path of the page of these, as `rel="next"`.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Only those before this place, as the header `Link` of the page after has it.
    #[param(pattern = "^[0-9]{1,19}-[0-9A-Za-z]{1,64}$")]
    before: Option<String>,
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
    uri: Uri,
    Query(query): Query<AlertQuery>,
) -> Answered<Response> {
    let AlertQuery { container, severity, rule, workload, since, until, limit, before, follow } = query;
    let (since_ns, until_ns) = (moment(since)?, moment(until)?);
    let limit = limit.map_or(LIMIT, |limit| limit as usize);
    if !(1..=LIMIT).contains(&limit) {
        return Err(Refusal::Invalid(format!("limit is {limit}, and must be from 1 to {LIMIT}: ask for pages")).into());
    }
    let before = before.map(|text| text.parse().map_err(|()| wrong_cursor(&text))).transpose()?;
    let filter = AlertFilter { container, severity, rule, workload, since_ns, until_ns, before, limit };
    if !follow {
        let AlertPage { alerts, next } = agent.alerts(filter).await?;
        let mut response = stream::list(tokio_stream::iter(alerts).filter_map(|alert| Some(ocsf(&alert.read()?))));
        if let Some(link) = next.and_then(|next| link(&uri, &next)) {
            response.headers_mut().insert(LINK, link);
        }
        return Ok(response);
    }
    // Asked for in this order, none is missed; one that is in both is sent once.
    let later = agent.subscribe_alerts(filter.clone()).await?;
    let earlier = agent.alerts(filter).await?.alerts;
    let earlier = earlier.into_iter().filter_map(|alert| Some((alert.read()?.uid, alert)));
    let earlier: Vec<(String, StoredFinding)> = earlier.collect();
    let sent: HashSet<(String, u64)> = earlier.iter().map(|(uid, alert)| (uid.clone(), alert.count)).collect();
    let later = later.filter(move |f| !sent.contains(&(f.uid.clone(), f.count)));
    let earlier = tokio_stream::iter(earlier).filter_map(|(_, alert)| Some(ocsf(&alert.read()?)));
    Ok(stream::lines(earlier.chain(later.map(|f| ocsf(&f)))))
}

fn ocsf(alert: &Finding) -> String {
    ocsf::from_finding(alert).to_string()
}

/// Where the page before this one is.
fn link(uri: &Uri, next: &Cursor) -> Option<HeaderValue> {
    let others =
        uri.query().unwrap_or_default().split('&').filter(|part| !part.is_empty() && !part.starts_with("before="));
    let before = format!("before={next}");
    let query: Vec<&str> = others.chain([before.as_str()]).collect();
    HeaderValue::try_from(format!("<{}?{}>; rel=\"next\"", uri.path(), query.join("&"))).ok()
}

fn wrong_cursor(text: &str) -> Refusal {
    Refusal::Invalid(format!("{text:?} is no place among alerts: take the one of the header Link of the page after it"))
}

/// A time in nanoseconds since the Unix epoch.
pub(super) fn moment(text: Option<String>) -> Answered<Option<u64>> {
    let Some(text) = text else { return Ok(None) };
    // What was before 1970 is before everything.
    let since_1970 = |time: jiff::Timestamp| u64::try_from(time.as_nanosecond().max(0)).unwrap_or(u64::MAX);
    let read = text.parse().ok().map(since_1970);
    let wrong = || format!("{text:?} is no time such as 2026-01-31T12:00:00Z");
    read.map(Some).ok_or_else(|| Refusal::Invalid(wrong()).into())
}

/// Accepts an alert as normal: the same of the same workload and executable, done to the same object, raises none again.
#[utoipa::path(post, path = "/v1/alerts/{uid}/accept", params(("uid" = String, Path, description = "The alert")),
    request_body = Option<Accept>,
    responses(
        (status = 200, body = Accepted),
        (status = 404, description = "No such alert", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It would accept more than it looks like", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn accept<B: Alerts>(
    State(agent): State<Arc<B>>,
    PathPart(uid): PathPart,
    OptionalBody(accept): OptionalBody<Accept>,
) -> Answered<Json<Accepted>> {
    let Accept { period, reason, any_object, force } = accept;
    let reason = reason.map(|r| r.chars().take(1000).collect());
    let width = Width { any_object, force };
    Ok(Json(agent.accept(uid, width, period.map(|p| p.as_ns()), reason).await?))
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
