//! One deed, as it is kept and shown: findings that belong together, who began it, and what connects its parts.

use serde::{Deserialize, Serialize};

use crate::{ScorePart, Severity};

/// Findings that belong to one deed. It is updated as it goes on, and closed after a while without a new part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// The same for as long as it is kept.
    pub uid: String,
    /// One sentence: where, who began it, and the worst that was done.
    pub title: String,
    /// How severe all of it is.
    pub severity: Severity,
    /// How sure, 0 to 100: as sure as its surest part of that severity.
    pub confidence: u8,
    /// How much likelier it is an attack than ordinary life, in bits.
    pub bits: f64,
    /// What the bits are made of: their sum.
    pub reasons: Vec<ScorePart>,
    /// From so many bits on it is of medium severity: more where ordinary life of the workload has such scores.
    #[serde(default = "usual_medium_bits")]
    pub medium_bits: f64,
    /// Whether more may come to it.
    pub is_open: bool,
    /// The incident of which it turned out to be a part, and as which it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<String>,
    /// The uids of those that turned out to be a part of it, at most [`Incident::MAX_MERGED`]. They lead to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<String>,
    /// The earlier incident which it is again, where it is one more of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurrence_of: Option<Recurrence>,
    /// How often it came again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurrences: Option<Recurrences>,
    /// Those of other workloads that are alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Cluster>,
    /// Where it came from.
    pub origin: Origin,
    /// The container in which it began, as it was known then; none on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_in: Option<Place>,
    /// Containers that it touched, in that order, by name; `host` for the host.
    pub containers: Vec<String>,
    /// Their workloads, in the same order.
    pub workloads: Vec<String>,
    /// Programs that took part, each after the one that started it, at most [`Incident::MAX_STEPS`].
    pub steps: Vec<Step>,
    /// What was done, in the order in which it began, at most [`Incident::MAX_PARTS`].
    pub parts: Vec<Part>,
    /// What connects programs that did not start each other.
    pub links: Vec<Link>,
    /// How many findings its parts are.
    pub findings: u64,
    /// How many findings are not listed, because there are too many parts.
    pub unlisted: u64,
    /// ATT&CK techniques of its parts: `T1611`.
    pub techniques: Vec<String>,
    /// Nanoseconds since the Unix epoch.
    pub first_seen_ns: u64,
    /// Nanoseconds since the Unix epoch.
    pub last_seen_ns: u64,
}

fn usual_medium_bits() -> f64 {
    Incident::MEDIUM_BITS
}

/// The same as an earlier incident, later or elsewhere: all of its parts are parts of that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recurrence {
    /// The uid of the earlier one.
    pub of: String,
    /// Whether people are to hear of it all the same: it came after a day of quiet, or scores higher.
    pub is_news: bool,
}

/// How often an incident came again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recurrences {
    /// How often, besides the first time.
    pub count: u64,
    /// When it came again first, nanoseconds since the Unix epoch.
    pub first_seen_ns: u64,
    /// When last, nanoseconds since the Unix epoch.
    pub last_seen_ns: u64,
    /// In which containers, at most [`Recurrences::MAX_PLACES`].
    pub places: Vec<String>,
    /// How often in a container that is not listed, because there are too many.
    pub unlisted: u64,
}

impl Recurrences {
    /// Containers listed.
    pub const MAX_PLACES: usize = 16;
}

/// Incidents of other workloads whose parts are nearly the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// The uid of the first of them.
    pub of: String,
    /// How many they are, with that one.
    pub incidents: u64,
    /// In how many containers, at least.
    pub containers: u64,
}

/// How an incident that was reported went on without a new part: what is the same or alike came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentUpdate {
    /// Of which incident.
    pub uid: String,
    /// How often it came again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurrences: Option<Recurrences>,
    /// Those that are alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Cluster>,
}

/// Where an incident came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A program was started from outside the container, as `docker exec` and health checks do.
    Entered,
    /// A program that a service started, for a request for instance.
    Child,
    /// What a server for logins started.
    Login,
    /// What a scheduler started, such as cron.
    Job,
    /// A service itself: no program was started for it.
    Service,
    /// What a container does when it starts.
    Start,
    /// What was done to the agent itself, or keeps it from seeing.
    Agent,
    /// It is not known what did it.
    Unknown,
}

impl Origin {
    /// Whether it began with a program that a service started.
    pub fn is_by_a_service(self) -> bool {
        matches!(self, Self::Child | Self::Login | Self::Job)
    }

    /// For people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Entered => "started from outside the container",
            Self::Child => "started by a service",
            Self::Login => "started by a login",
            Self::Job => "started by a scheduler",
            Self::Service => "the service itself",
            Self::Start => "at the start of the container",
            Self::Agent => "the agent itself",
            Self::Unknown => "by an unknown program",
        }
    }
}

/// The container in which an incident began. A text is empty where that is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its name, or its short id where it has none.
    pub container: String,
    /// Its image.
    pub image: String,
    /// The namespace of its pod.
    pub namespace: String,
    /// Its pod.
    pub pod: String,
}

/// A program that took part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The place of the step that started it; none where that is no part of it.
    pub parent: Option<usize>,
    /// The container, or `host`.
    pub container: String,
    /// The pid that called exec.
    pub pid: u32,
    /// What it runs, as profiles name it.
    pub program: String,
    /// Its arguments, secrets masked, cut to [`Step::MAX_ARGS`] bytes.
    pub args: String,
    /// Whether it was there before, and ran for other things: a service.
    pub is_service: bool,
    /// When it was started, nanoseconds since the Unix epoch; zero where that was not seen.
    pub started_ns: u64,
}

impl Step {
    /// Bytes of arguments that are kept.
    pub const MAX_ARGS: usize = 256;
}

/// Something that was done: one finding, or several of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The place of the step that did it first; none where that is not known.
    pub step: Option<usize>,
    /// One line for people.
    pub what: String,
    /// Why it is unusual, and what had been usual.
    pub why: String,
    /// What found it.
    pub analytic: String,
    /// The highest of its findings'.
    pub severity: Severity,
    /// How sure that is.
    pub confidence: u8,
    /// The operation: `execute`, `write`, ...
    pub operation: String,
    /// What it was done with.
    pub executable: String,
    /// What it was done to; of several objects, what they have in common.
    pub object: String,
    /// How many objects that are.
    pub objects: u64,
    /// How surprising it is, in bits, where a profile found it.
    pub surprise: f64,
    /// ATT&CK techniques of its findings: `T1611`.
    #[serde(default)]
    pub techniques: Vec<String>,
    /// The findings' uids, at most [`Part::MAX_FINDINGS`].
    pub findings: Vec<String>,
    /// Nanoseconds since the Unix epoch.
    pub first_seen_ns: u64,
    /// Nanoseconds since the Unix epoch.
    pub last_seen_ns: u64,
}

impl Part {
    /// Findings that are named.
    pub const MAX_FINDINGS: usize = 16;
    /// Techniques that are named.
    pub const MAX_TECHNIQUES: usize = 8;
}

/// What connects two steps where one did not start the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// What kind of connection it is.
    pub kind: LinkKind,
    /// The place of the step that it comes from.
    pub from: usize,
    /// The place of the step that it leads to.
    pub to: usize,
    /// The file, or the address.
    pub by: String,
}

/// Kinds of connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// One wrote a file that the other runs.
    File,
    /// One connected to the other.
    Connection,
    /// They are close in time, and one is a service that started the other.
    Time,
}

impl Incident {
    /// Programs listed.
    pub const MAX_STEPS: usize = 64;
    /// Parts listed.
    pub const MAX_PARTS: usize = 64;
    /// Connections listed.
    pub const MAX_LINKS: usize = 32;
    /// Uids of those that became part of it.
    pub const MAX_MERGED: usize = 64;

    /// From so many bits on it is of medium severity where ordinary life has none.
    pub const MEDIUM_BITS: f64 = 3.0;

    /// Whether people are to hear of it: not where it is one more of what they heard of within a day.
    pub fn is_news(&self) -> bool {
        self.recurrence_of.as_ref().is_none_or(|recurrence| recurrence.is_news)
    }

    /// Takes over how it went on.
    pub fn update(&mut self, update: IncidentUpdate) {
        (self.recurrences, self.cluster) = (update.recurrences, update.cluster);
    }

    /// One that begins, of which nothing else is known yet.
    pub fn begun(uid: String, origin: Origin, at_ns: u64) -> Self {
        Self {
            uid,
            title: String::new(),
            severity: Severity::Informational,
            confidence: 0,
            bits: 0.0,
            reasons: Vec::new(),
            medium_bits: Self::MEDIUM_BITS,
            is_open: true,
            merged_into: None,
            merged: Vec::new(),
            recurrence_of: None,
            recurrences: None,
            cluster: None,
            origin,
            began_in: None,
            containers: Vec::new(),
            workloads: Vec::new(),
            steps: Vec::new(),
            parts: Vec::new(),
            links: Vec::new(),
            findings: 0,
            unlisted: 0,
            techniques: Vec::new(),
            first_seen_ns: at_ns,
            last_seen_ns: at_ns,
        }
    }

    /// The number in OCSF of what happened to it: created, updated, closed.
    pub fn activity(&self) -> (u8, &'static str) {
        match (self.is_open, self.findings) {
            (false, _) => (3, "Close"),
            (true, 1) => (1, "Create"),
            (true, _) => (2, "Update"),
        }
    }
}
