//! The rules: which are in force, whether each can fire, and what it has cost.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use ethogram_detect::rules::Problem as WrongRule;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Problem,
    resource::{Answered, Answers, resource},
};

/// The rules.
pub trait Rules: Send + Sync + 'static {
    /// The rules in force.
    fn rules(&self) -> impl Answers<RulesStatus>;
    /// Reads the rule files again.
    fn reload_rules(&self) -> impl Answers<RulesStatus>;
}

resource!(Rules: rules, reload);

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

/// The rules in force, whether they can fire here, and what they have cost.
#[utoipa::path(get, path = "/v1/rules", responses((status = 200, body = RulesStatus)))]
pub(super) async fn rules<B: Rules>(State(agent): State<Arc<B>>) -> Answered<Json<RulesStatus>> {
    Ok(Json(agent.rules().await?))
}

/// Reads the rule files again and puts them in force at once. Where one has an error, those in force stay.
#[utoipa::path(post, path = "/v1/rules", responses(
    (status = 200, body = RulesStatus),
    (status = 422, description = "A file has an error", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn reload<B: Rules>(State(agent): State<Arc<B>>) -> Answered<Json<RulesStatus>> {
    Ok(Json(agent.reload_rules().await?))
}
