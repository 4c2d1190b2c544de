//! What the API needs from the rest of the agent, and the words of its answers.

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc};

use ethogram_detect::{ProfileDiff, ProfileTree, State};
use ethogram_model::{
    Container, Finding, Severity,
    nearest::{nearest, suggestion},
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::Receiver;
use tokio_stream::Stream;
use utoipa::ToSchema;

use super::{Accepted, RulesStatus};
use crate::{
    metrics::{Counters, MetricsSnapshot, TrackerState},
    response::{PolicyStatus, ResponseRecord},
};

/// An answer that takes a while.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Refusal>> + Send + 'a>>;

/// Text, line by line, as it comes.
pub type Lines = Pin<Box<dyn Stream<Item = String> + Send>>;

/// Who answers the API's questions.
pub trait Backend: Send + Sync + 'static {
    /// All trackers, running or not, by name.
    fn trackers(&self) -> Answer<'_, Vec<TrackerStatus>>;
    /// Starts a tracker with these parameters.
    fn start(&self, name: String, params: BTreeMap<String, String>) -> Answer<'_, TrackerStatus>;
    /// Stops a tracker.
    fn stop(&self, name: String) -> Answer<'_, TrackerStatus>;
    /// Detaches the programs of these trackers until they are resumed; without names, of all but those that tell
    /// processes and containers apart. Gives the names.
    fn pause(&self, names: Vec<String>) -> Answer<'_, Vec<String>>;
    /// Attaches the programs of these paused trackers again; without names, of all. Gives the names.
    fn resume(&self, names: Vec<String>) -> Answer<'_, Vec<String>>;
    /// Loads a `.bpf.o` under that name and starts it, in the place of the one that bore the name.
    fn put_object(&self, name: String, object: Vec<u8>) -> Answer<'_, TrackerStatus>;
    /// The containers that run now.
    fn containers(&self) -> Answer<'_, Vec<Arc<Container>>>;
    /// All profiles.
    fn profiles(&self) -> Answer<'_, Vec<ProfileSummary>>;
    /// One profile, by its id or its workload's name.
    fn profile(&self, id: String) -> Answer<'_, ProfileTree>;
    /// One profile as a file.
    fn profile_file(&self, id: String) -> Answer<'_, String>;
    /// What differs from the profile `with` to the profile `id`; without `with`, from that of the image's version before it.
    fn diff_profiles(&self, id: String, with: Option<String>) -> Answer<'_, ProfileDiff>;
    /// Takes up a profile's file, approved: for the workload that it names or, with `any_digest`, for those versions of its image
    /// that are known here. Gives the profiles that were taken up.
    fn import_profile(&self, file: String, any_digest: bool) -> Answer<'_, Vec<ProfileSummary>>;
    /// A profile is right as it is, with what was told of it: nothing more is learnt.
    fn approve_profile(&self, id: String) -> Answer<'_, ProfileSummary>;
    /// Forgets a profile, so that its workload is learnt anew. Gives it as it was.
    fn reset_profile(&self, id: String) -> Answer<'_, ProfileSummary>;
    /// Alerts, oldest first; of more than the limit, the latest.
    fn alerts(&self, filter: AlertFilter) -> Answer<'_, Vec<Finding>>;
    /// The rules in force.
    fn rules(&self) -> Answer<'_, RulesStatus>;
    /// Reads the rule files again.
    fn reload_rules(&self) -> Answer<'_, RulesStatus>;
    /// Accepts what an alert tells, for so many nanoseconds or for good.
    fn accept(&self, uid: String, for_ns: Option<u64>, reason: Option<String>) -> Answer<'_, Accepted>;
    /// What was accepted.
    fn accepted(&self) -> Answer<'_, Vec<Accepted>>;
    /// Takes an acceptance back.
    fn revoke(&self, id: String) -> Answer<'_, Accepted>;
    /// Events from now on, one JSON object each. Whoever does not keep up misses some.
    fn subscribe_events(&self, filter: EventFilter) -> Answer<'_, Lines>;
    /// New alerts from now on.
    fn subscribe_alerts(&self, filter: AlertFilter) -> Answer<'_, Receiver<Arc<Finding>>>;
    /// What was done about findings, oldest first; of more than the limit, the latest.
    fn responses(&self, limit: usize) -> Answer<'_, Vec<ResponseRecord>>;
    /// Undoes a response that goes on.
    fn undo(&self, id: String) -> Answer<'_, ResponseRecord>;
    /// What the kernel is to refuse or to kill for, and whether it does.
    fn policies(&self) -> Answer<'_, Vec<PolicyStatus>>;
    /// All that is measured.
    fn metrics(&self) -> Answer<'_, MetricsSnapshot>;
    /// Whether the engine answers.
    fn healthy(&self) -> Answer<'_, ()>;
}

/// Why a question is not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such thing.
    #[error("{what}")]
    NotFound {
        /// One line: what there is not, and what there is.
        what: String,
        /// What may have been meant.
        nearest: Vec<String>,
    },
    /// The question itself is wrong: what, and what would be right.
    #[error("{0}")]
    Invalid(String),
    /// It cannot be done now, such as starting what runs.
    #[error("{0}")]
    Conflict(String),
    /// This kernel, or the agent's privileges, cannot do it.
    #[error("{0}")]
    Unable(String),
    /// The engine has ended.
    #[error("the engine does not answer: see the server's log")]
    Gone,
}

impl Refusal {
    /// There is no `kind`, such as a tracker, that is called `name`; `names` are what there is.
    pub fn unknown<N: AsRef<str>>(kind: &str, name: &str, names: impl IntoIterator<Item = N>) -> Self {
        let names: Vec<String> = names.into_iter().map(|n| n.as_ref().to_owned()).collect();
        let what = format!("no {kind} is called {name:?}{}", suggestion(name, &names));
        Self::NotFound { what, nearest: nearest(name, &names) }
    }
}

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

/// A program in the kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Program {
    /// The function's name in C.
    pub name: String,
    /// Where it is attached, such as `tp_btf/sched_process_exec`.
    pub attach: String,
    /// `attached`, `idle` while nobody wants what it is for, `withheld` unless all its tracker's events are, `skipped` or `refused`.
    pub state: String,
    /// Why it is not attached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A parameter of a tracker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its value now.
    pub value: String,
    /// Its value where nobody sets it.
    pub default: String,
    /// What it does.
    pub doc: String,
}

/// How far a profile is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProfileState {
    /// What is new is added. Where the workload is another version of one that was learnt, what is grave is an alert.
    Learning,
    /// What is new is an alert, though the agent has seen only part: no start of a container, or events were lost.
    Partial,
    /// What is new is an alert.
    Stable,
    /// What is new is an alert, and there is much of it of late: the workload has changed.
    Drifted,
}

impl ProfileState {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Learning, Self::Partial, Self::Stable, Self::Drifted];

    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Learning => State::Learning.name(),
            Self::Partial => State::Partial.name(),
            Self::Stable => State::Stable.name(),
            Self::Drifted => State::Drifted.name(),
        }
    }
}

impl From<State> for ProfileState {
    fn from(state: State) -> Self {
        match state {
            State::Learning => Self::Learning,
            State::Partial => Self::Partial,
            State::Stable => Self::Stable,
            State::Drifted => Self::Drifted,
        }
    }
}

/// What is known of a workload, in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProfileSummary {
    /// Its id.
    pub id: String,
    /// The workload's name.
    pub workload: String,
    /// The image's name.
    pub image: String,
    /// Whether it is being learnt.
    pub state: ProfileState,
    /// When learning began, RFC 3339.
    pub since: String,
    /// Seconds until learning ends; none once it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_seconds_left: Option<u64>,
    /// Since when somebody has said that it is right, RFC 3339; it learns nothing more from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<String>,
    /// What it lacks to be stable, in words.
    #[serde(default)]
    pub missing: Vec<String>,
    /// In how many containers it was seen: exact for a few, an estimate for many.
    #[serde(default)]
    pub containers: u32,
    /// How often anything was seen.
    pub observations: u64,
    /// How many behaviours it holds.
    pub behaviours: u64,
    /// How many behaviours were told.
    #[serde(default)]
    pub alerts: u64,
}

/// Which alerts are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertFilter {
    /// Of the container of this name or id.
    pub container: Option<String>,
    /// At least this grave.
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

/// Which events are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of the container of this name or id.
    pub container: Option<String>,
    /// Of this tracker.
    pub tracker: Option<String>,
}
