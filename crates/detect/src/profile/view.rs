//! Profiles as people look at them.

use std::fmt::Write;

use ethogram_model::render::{duration, escape, rfc3339};
use serde::{Deserialize, Serialize};

use super::Profile;
use crate::{
    Settings,
    channels::behaviour::{Executable, Unjudged, words},
    learning::{LearningState, Seen},
};

/// Lines that the text should have at most: a page that is read at once.
const LINES: usize = 49;
/// Executables of one operation, and objects of one executable, that the text shows: the first pair with which it fits.
const SHOWN: [(usize, usize); 10] = [(12, 12), (10, 8), (8, 6), (8, 4), (6, 4), (5, 3), (4, 3), (4, 2), (3, 1), (2, 1)];
/// Alerts that the text shows.
const SHOWN_ALERTS: usize = 5;

/// A profile in brief.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileOverview {
    /// Of the workload.
    pub uid: String,
    /// Of the workload: image, digest, owner, command.
    pub name: String,
    /// As the first container's user wrote it.
    pub image: String,
    /// How far it is.
    pub state: LearningState,
    /// When the workload was first seen, nanoseconds since the Unix epoch.
    pub since_ns: u64,
    /// When it was last seen, nanoseconds since the Unix epoch.
    pub last_seen_ns: u64,
    /// How long it has been learnt, nanoseconds.
    pub learnt_ns: u64,
    /// Since when it is approved, nanoseconds since the Unix epoch.
    #[serde(default)]
    pub approved_ns: Option<u64>,
    /// What it lacks to be stable, in words.
    #[serde(default)]
    pub missing: Vec<String>,
    /// In how many containers it was seen: exact for a few, an estimate for many.
    #[serde(default)]
    pub containers: u32,
    /// Patterns it holds.
    pub entries: usize,
    /// Behaviours seen.
    pub observations: u64,
    /// Behaviours that raised an alert.
    pub alerts: usize,
}

impl ProfileOverview {
    /// Of a profile.
    pub fn of(profile: &Profile, settings: &Settings) -> Self {
        Self {
            uid: profile.workload.uid.clone(),
            name: profile.workload.name.clone(),
            image: profile.workload.image.clone(),
            state: profile.state(),
            since_ns: profile.lifecycle.since_ns,
            last_seen_ns: profile.lifecycle.last_seen_ns,
            learnt_ns: profile.lifecycle.learnt_ns,
            approved_ns: profile.lifecycle.approved_ns,
            missing: profile.lifecycle.missing(settings.learning_period_ns),
            containers: profile.containers(),
            entries: profile.entries(),
            observations: profile.lifecycle.observations,
            alerts: profile.alerts(),
        }
    }
}

/// All that a profile holds, in the order in which people want to read it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProfileTree {
    /// Whose it is.
    #[serde(flatten)]
    pub summary: ProfileOverview,
    /// The workload whose profile it began with, as long as it is learnt.
    #[serde(default)]
    pub predecessor: Option<String>,
    /// The threshold: from this score in bits on, new behaviour of a severity below high raises an alert.
    #[serde(default)]
    pub threshold: Option<f64>,
    /// What it does, by operation: what runs, whom it talks to, what it changes.
    pub operations: Vec<OperationView>,
    /// What raised an alert, latest first.
    pub alerted: Vec<AlertView>,
}

/// What a workload does of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationView {
    /// `execute`, `write`, ...
    pub operation: String,
    /// What is listed below it, for people.
    #[serde(default)]
    pub heading: String,
    /// What of it was too various to learn.
    pub unjudged: Unjudged,
    /// By executable, busiest first; executions by the parent's.
    pub executables: Vec<ExecutableView>,
}

/// What one executable does of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutableView {
    /// Its path, and the name by which it is called where that says more.
    pub executable: String,
    /// To what, most frequent first.
    pub objects: Vec<ObjectView>,
}

/// One pattern. Times are nanoseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectView {
    /// A path, a peer, a port, with classes for what varies.
    pub pattern: String,
    /// How often it was seen.
    pub count: u64,
    /// First.
    pub first_seen_ns: u64,
    /// Last.
    pub last_seen_ns: u64,
    /// In how many containers: exact for a few, an estimate for many.
    #[serde(default)]
    pub containers: u32,
}

impl ObjectView {
    fn of((pattern, seen): (String, Seen)) -> Self {
        let Seen { count, first_seen_ns, last_seen_ns, .. } = seen.up_to_now();
        Self { pattern, count, first_seen_ns, last_seen_ns, containers: seen.containers() }
    }
}

/// A behaviour that raised an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertView {
    /// Of its finding.
    pub uid: String,
    /// What was done.
    pub operation: String,
    /// By what.
    pub executable: String,
    /// To what.
    pub object: String,
    /// How often and when.
    #[serde(flatten)]
    pub seen: Seen,
}

impl Profile {
    /// All that it holds, ordered for people, and the threshold by which it judges.
    pub fn describe(&self, settings: &Settings, threshold: Option<f64>) -> ProfileTree {
        let operations = self.channels.behaviour.operations.iter().map(|(name, operation)| {
            let mut executables: Vec<ExecutableView> = operation
                .executables
                .iter()
                .map(|(name, executable)| ExecutableView { executable: name.clone(), objects: shown(executable) })
                .collect();
            let busy = |e: &ExecutableView| e.objects.iter().fold(0, |n: u64, o| n.saturating_add(o.count));
            executables.sort_by_key(|e| std::cmp::Reverse(busy(e)));
            let heading = operation.heading.clone().unwrap_or_else(|| words::heading(name).to_owned());
            let view = OperationView { operation: name.clone(), heading, unjudged: operation.unjudged, executables };
            (operation.rank(name), view)
        });
        let mut operations: Vec<(u32, OperationView)> = operations.collect();
        operations.sort_by_key(|(rank, _)| *rank);
        let operations = operations.into_iter().map(|(_, view)| view).collect();
        let mut alerted: Vec<AlertView> = Vec::new();
        for (operation, executables) in &self.channels.behaviour.alerted {
            for (executable, objects) in executables {
                alerted.extend(objects.iter().map(|(object, alert)| AlertView {
                    uid: alert.uid.clone(),
                    operation: operation.clone(),
                    executable: executable.clone(),
                    object: object.clone(),
                    seen: alert.seen,
                }));
            }
        }
        alerted.sort_by_key(|a| std::cmp::Reverse(a.seen.last_seen_ns));
        let (summary, predecessor) = (ProfileOverview::of(self, settings), self.lifecycle.predecessor.clone());
        ProfileTree { summary, predecessor, threshold, operations, alerted }
    }
}

/// A profile as text: a page for people, safe in a terminal. What is rare is counted, not listed.
pub fn render_profile(profile: &Profile) -> String {
    render_tree(&profile.describe(&Settings::default(), None))
}

/// The same of a tree that came over the API.
pub fn render_tree(tree: &ProfileTree) -> String {
    let mut out = String::new();
    for (executables, objects) in SHOWN {
        out = page(tree, executables, objects);
        if out.lines().count() <= LINES {
            break;
        }
    }
    out
}

fn page(tree: &ProfileTree, executables: usize, objects: usize) -> String {
    let s = &tree.summary;
    // Writing to a string does not fail.
    let mut out = format!("{}\n", escape(&s.name));
    let _ = writeln!(out, "  {}", standing(s));
    if !s.missing.is_empty() {
        let _ = writeln!(out, "  missing for stable: {}", escape(&s.missing.join("; ")));
    }
    if let Some(predecessor) = &tree.predecessor {
        let _ = writeln!(out, "  began with what {} did", escape(predecessor));
    }
    let containers = match s.containers {
        0 => String::new(),
        1 => " in one container".to_owned(),
        n => format!(" in {n} containers"),
    };
    let _ = writeln!(
        out,
        "  since {}{containers}: {} behaviours seen, {} kept",
        minute(s.since_ns),
        short(s.observations),
        short(s.entries as u64)
    );
    let alerts = match (s.alerts, tree.threshold) {
        (0, _) => "no alerts".to_owned(),
        (1, _) => "1 alert".to_owned(),
        (n, _) => format!("{} alerts", short(n as u64)),
    };
    let from = match tree.threshold {
        _ if s.state == LearningState::Learning => String::new(),
        _ if s.approved_ns.is_some() => "; everything new raises an alert".to_owned(),
        Some(bits) => format!("; new behaviour raises an alert from severity high, or from a score of {bits:.1} bits"),
        None => String::new(),
    };
    let _ = writeln!(out, "  {alerts}{from}\n  id {}", escape(&s.uid));
    for operation in &tree.operations {
        let note = match operation.unjudged {
            Unjudged::Nothing => String::new(),
            unjudged => format!("  ({})", unjudged.words()),
        };
        let gap = if operation.heading.is_empty() { "" } else { "  " };
        let _ = writeln!(out, "\n{}{gap}{}{note}", escape(&operation.operation), escape(&operation.heading));
        for executable in operation.executables.iter().take(executables) {
            let _ = writeln!(out, "  {}", escape(&executable.executable));
            for object in executable.objects.iter().take(objects) {
                let _ = writeln!(out, "    {:>6}  {}", times(object.count), escape(&object.pattern));
            }
            more(&mut out, "            ", executable.objects.len(), objects);
        }
        more(&mut out, "  ", operation.executables.len(), executables);
    }
    if !tree.alerted.is_empty() {
        out += "\nnew, with an alert\n";
        for alert in tree.alerted.iter().take(SHOWN_ALERTS) {
            let (operation, executable) = (escape(&alert.operation), escape(&alert.executable));
            let object = escape(&alert.object);
            let _ = writeln!(out, "    {:>6}  {executable} {operation} {object}", times(alert.seen.count));
        }
        more(&mut out, "            ", tree.alerted.len(), SHOWN_ALERTS);
    }
    out
}

/// How far it is, in words.
fn standing(s: &ProfileOverview) -> String {
    let learnt = duration(s.learnt_ns);
    match (s.state, s.approved_ns) {
        (_, Some(approved_ns)) => {
            format!("{}, approved {}: it learns nothing more", s.state.name(), minute(approved_ns))
        }
        (LearningState::Learning, _) => format!("learning for {learnt}: new behaviour is learnt and raises no alert"),
        (LearningState::Partial, _) => format!("partial, learnt in {learnt}: it judges, though not all was seen"),
        (LearningState::Stable, _) => format!("stable, learnt in {learnt}: it judges"),
        (LearningState::Drifted, _) => {
            format!("drifted, learnt in {learnt}: it judges, and much new behaviour came lately (drift)")
        }
    }
}

/// A moment without its seconds: `2026-01-31 12:00`.
fn minute(time_ns: u64) -> String {
    let moment = rfc3339(time_ns);
    moment.get(..16).unwrap_or(&moment).replace('T', " ")
}

/// A count in few characters: `12.3k`.
pub fn short(n: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000), ("T", 1_000_000_000_000)];
    let unit = UNITS.iter().rev().find(|(_, size)| n >= *size);
    match unit {
        None => n.to_string(),
        Some((unit, size)) if n / size >= 100 => format!("{}{unit}", n / size),
        Some((unit, size)) => format!("{}.{}{unit}", n / size, n % size * 10 / size),
    }
}

/// How often something was seen; what a file brought may not have been.
fn times(count: u64) -> String {
    if count == 0 { "-".to_owned() } else { short(count) }
}

/// The objects of an executable with all that was noted, most frequent first.
fn shown(executable: &Executable) -> Vec<ObjectView> {
    let mut all: Vec<_> = executable.objects.by_frequency().into_iter().map(ObjectView::of).collect();
    all.sort_by_key(|object| std::cmp::Reverse(object.count));
    all
}

fn more(out: &mut String, indent: &str, there: usize, shown: usize) {
    if there > shown {
        let _ = writeln!(out, "{indent}and {} more", there - shown);
    }
}
