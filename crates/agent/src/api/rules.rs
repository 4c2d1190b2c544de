//! Rules, and what people accepted.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
};
use ethogram_detect::{Acceptance, rules::Problem as WrongRule};
use ethogram_model::render;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Backend, Problem};
use crate::config::Period;

type Engine = State<Arc<dyn Backend>>;
type Answered<T> = Result<T, Problem>;

/// A rule, whether it can fire, and what it has cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RuleStatus {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub desc: String,
    /// How urgent its author holds it.
    pub priority: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// The file that it stands in.
    pub file: String,
    /// The line there.
    pub line: u32,
    /// `armed`, `disabled` or `cannot_fire`.
    pub state: String,
    /// Why it cannot fire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The events that it is tested for, and that the kernel therefore reports: `open.open`.
    pub events: Vec<String>,
    /// Events that it was tested for since the start.
    pub tested: u64,
    /// Events that it matched.
    pub matched: u64,
    /// Nanoseconds that a test takes by itself, on average, where that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_ns: Option<f64>,
}

/// Something wrong in a rule file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleProblem {
    /// `error` or `warning`.
    pub level: String,
    /// The file.
    pub file: String,
    /// The line, from one.
    pub line: u32,
    /// The column, from one.
    pub column: u32,
    /// What is wrong, and what would be right.
    pub text: String,
}

impl From<&WrongRule> for RuleProblem {
    fn from(wrong: &WrongRule) -> Self {
        let level = if wrong.level == ethogram_detect::rules::Level::Error { "error" } else { "warning" };
        let (line, column) = (wrong.line, wrong.column);
        Self { level: level.into(), file: wrong.file.to_string(), line, column, text: wrong.text.clone() }
    }
}

/// All rules in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RulesStatus {
    /// The rules.
    pub rules: Vec<RuleStatus>,
    /// What is wrong with the rule files as they are now.
    pub problems: Vec<RuleProblem>,
    /// Whether the files as they are now have an error, so that older ones are still in force.
    pub outdated: bool,
    /// Events that the kernel does not report for rules unless they pass a test, and their tests, all of which it makes.
    #[serde(default)]
    pub tested: BTreeMap<String, Vec<String>>,
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
    /// How often something was not told because of it.
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
    #[schema(value_type = Option<String>)]
    period: Option<Period>,
    /// Why it is normal.
    #[serde(default)]
    reason: Option<String>,
}

/// The rules in force, whether they can fire here, and what they have cost.
#[utoipa::path(get, path = "/v1/rules", responses((status = 200, body = RulesStatus)))]
pub(super) async fn rules(State(engine): Engine) -> Answered<Json<RulesStatus>> {
    Ok(Json(engine.rules().await?))
}

/// Reads the rule files again and puts them in force at once. Where one has an error, those in force stay.
#[utoipa::path(post, path = "/v1/rules", responses(
    (status = 200, body = RulesStatus),
    (status = 422, description = "A file has an error", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn reload(State(engine): Engine) -> Answered<Json<RulesStatus>> {
    Ok(Json(engine.reload_rules().await?))
}

/// Accepts what an alert tells: the same of the same workload and executable is not told again.
#[utoipa::path(post, path = "/v1/alerts/{uid}/accept", params(("uid" = String, Path, description = "The alert")),
    request_body = Option<Accept>,
    responses(
        (status = 200, body = Accepted),
        (status = 404, description = "No such alert", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn accept(
    State(engine): Engine,
    Path(uid): Path<String>,
    body: Result<Option<Json<Accept>>, JsonRejection>,
) -> Answered<Json<Accepted>> {
    let Accept { period, reason } = body?.unwrap_or_default().0;
    let reason = reason.map(|r| r.chars().take(1000).collect());
    Ok(Json(engine.accept(uid, period.map(|p| p.as_ns()), reason).await?))
}

/// What was accepted.
#[utoipa::path(get, path = "/v1/accepted", responses((status = 200, body = Vec<Accepted>)))]
pub(super) async fn accepted(State(engine): Engine) -> Answered<Json<Vec<Accepted>>> {
    Ok(Json(engine.accepted().await?))
}

/// Takes an acceptance back: from then on it is told again.
#[utoipa::path(delete, path = "/v1/accepted/{id}", params(("id" = String, Path, description = "Its id")), responses(
    (status = 200, body = Accepted),
    (status = 404, description = "No such acceptance", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn revoke(State(engine): Engine, Path(id): Path<String>) -> Answered<Json<Accepted>> {
    Ok(Json(engine.revoke(id).await?))
}
