//! What was done about a finding, as it is kept and shown.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::config::Act;

/// What was done about a finding, or was not, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResponseRecord {
    /// Its number. They count on over restarts.
    pub id: u64,
    /// When it was done, RFC 3339.
    pub time: String,
    /// What was to be done.
    pub action: Act,
    /// Whether it was only said what would be done.
    pub dry_run: bool,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it came so, where that is not plain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The rule that asked for it, or the policy; where no rule found it, what did.
    pub rule: String,
    /// The finding's uid; none where the kernel decided by a policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// To whom.
    pub target: Target,
    /// Who did it.
    pub by: By,
    /// From the event to the deed, nanoseconds.
    pub latency_ns: u64,
    /// How often within the seconds after it: the kernel refuses again and again.
    pub count: u64,
    /// When it ends by itself, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// When and why it was undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone: Option<Undone>,
}

impl ResponseRecord {
    /// Whether it goes on, and can be undone.
    pub fn is_active(&self) -> bool {
        let holds = matches!(self.outcome, Outcome::Done | Outcome::Started);
        self.action.lasts() && holds && !self.dry_run && self.undone.is_none()
    }
}

/// What became of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is being done; where it stays so, the agent ended meanwhile.
    Started,
    /// It was done.
    Done,
    /// It would have been done.
    DryRun,
    /// The target is not to be acted upon.
    Protected,
    /// The target had ended before.
    Gone,
    /// It was so already.
    Unneeded,
    /// It could not be done.
    Failed,
}

impl Outcome {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Done => "done",
            Self::DryRun => "dry-run",
            Self::Protected => "protected",
            Self::Gone => "gone",
            Self::Unneeded => "unneeded",
            Self::Failed => "failed",
        }
    }
}

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// A program in the kernel, as it happened.
    Kernel,
    /// The agent, once it had heard of it.
    User,
}

impl By {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::User => "user",
        }
    }
}

/// To whom it was done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Target {
    /// The container's id; none where the host did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    /// The container's name, or the start of its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Its image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The id of its cgroup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup_id: Option<u64>,
    /// The process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// When that started, nanoseconds since boot: with the pid it is its identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ns: Option<u64>,
    /// What it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<String>,
    /// What the kernel refused to do something to: a path or an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
}

/// When and why something was undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Undone {
    /// When, RFC 3339.
    pub time: String,
    /// Why: `limit`, `request`, `exit` or `restart`; `gone` where the container had ended before.
    pub why: String,
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// It has ended.
    Gone(&'static str),
    /// It was so already.
    Unneeded(&'static str),
    /// It cannot be done.
    Failed(String),
}
