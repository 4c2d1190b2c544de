//! Policies as the API shows them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::config::Act;

/// A policy, or a rule that leads to a kill or a refusal, and who decides it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PolicyStatus {
    /// Its name, or that of the rule.
    pub name: String,
    /// Whether it stands for a rule that `[[response.action]]` names.
    #[serde(default)]
    pub of_rule: bool,
    /// What it does.
    pub action: Act,
    /// Whether it is enforced.
    pub state: PolicyState,
    /// Why the kernel does not enforce it, or not all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How often it has held.
    pub hits: u64,
}

/// Who decides a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyState {
    /// The mode is `off`.
    Off,
    /// What it would have led to is only recorded.
    DryRun,
    /// The kernel enforces it.
    Enforced,
    /// The kernel enforces some of what the rule is about. For the rest the agent kills, or only alerts where it is to be denied.
    Partly,
    /// The agent kills once it has heard of it.
    User,
    /// This kernel cannot: nothing is refused.
    Refused,
}

impl PolicyState {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::DryRun => "dry-run",
            Self::Enforced => "enforced",
            Self::Partly => "partly",
            Self::User => "user",
            Self::Refused => "refused",
        }
    }
}
