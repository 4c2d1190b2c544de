//! Profiles as people look at them.

use std::fmt::Write;

use ethogram_model::render::{escape, rfc3339};
use serde::{Deserialize, Serialize};

use super::{Executable, State, Unjudged};
use crate::{Profile, Seen, model::finding::duration};

/// Objects of one executable that the text shows.
const SHOWN_OBJECTS: usize = 6;
/// Executables of one operation that the text shows.
const SHOWN_EXECUTABLES: usize = 8;
/// Alerts that the text shows.
const SHOWN_ALERTS: usize = 8;

/// A profile in brief.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileSummary {
    /// Of the workload.
    pub uid: String,
    /// Of the workload: image, digest, owner, command.
    pub name: String,
    /// As the first container's user wrote it.
    pub image: String,
    /// How far it is.
    pub state: State,
    /// When the workload was first seen, nanoseconds since the Unix epoch.
    pub since_ns: u64,
    /// When it was last seen, nanoseconds since the Unix epoch.
    pub last_seen_ns: u64,
    /// How long it has been learnt, nanoseconds.
    pub learnt_ns: u64,
    /// Patterns it holds.
    pub entries: usize,
    /// Behaviours seen.
    pub observations: u64,
    /// Behaviours told.
    pub alerts: usize,
}

impl ProfileSummary {
    /// Of a profile.
    pub fn of(profile: &Profile) -> Self {
        Self {
            uid: profile.workload.uid.clone(),
            name: profile.workload.name.clone(),
            image: profile.workload.image.clone(),
            state: profile.state(),
            since_ns: profile.since_ns,
            last_seen_ns: profile.last_seen_ns,
            learnt_ns: profile.learnt_ns,
            entries: profile.entries(),
            observations: profile.observations,
            alerts: profile.alerts(),
        }
    }
}

/// All that a profile holds, in the order in which people want to read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileTree {
    /// Whose it is.
    #[serde(flatten)]
    pub summary: ProfileSummary,
    /// What it does, by operation.
    pub operations: Vec<OperationView>,
    /// What was told, latest first.
    pub alerted: Vec<AlertView>,
}

/// What a workload does of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationView {
    /// `execute`, `write`, ...
    pub operation: String,
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

/// A behaviour that was told.
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
    /// All that it holds, ordered for people.
    pub fn describe(&self) -> ProfileTree {
        let operations = self.operations.iter().map(|(name, operation)| {
            let mut executables: Vec<ExecutableView> = operation
                .executables
                .iter()
                .map(|(name, executable)| ExecutableView { executable: name.clone(), objects: shown(executable) })
                .collect();
            let busy = |e: &ExecutableView| e.objects.iter().fold(0, |n: u64, o| n.saturating_add(o.count));
            executables.sort_by_key(|e| std::cmp::Reverse(busy(e)));
            OperationView { operation: name.clone(), unjudged: operation.unjudged, executables }
        });
        let mut alerted: Vec<AlertView> = Vec::new();
        for (operation, executables) in &self.alerted {
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
        ProfileTree { summary: ProfileSummary::of(self), operations: operations.collect(), alerted }
    }
}

/// A profile as text: a page for people, safe in a terminal. What is rare is counted, not listed.
pub fn render_profile(profile: &Profile) -> String {
    render_tree(&profile.describe())
}

/// The same of a tree that came over the API.
pub fn render_tree(tree: &ProfileTree) -> String {
    let s = &tree.summary;
    let mut out = format!("{}\n", escape(&s.name));
    let learnt = duration(s.learnt_ns);
    let mut since = rfc3339(s.since_ns);
    if let Some(fraction) = since.find('.') {
        since.replace_range(fraction.., "Z");
    }
    let state = match s.state {
        State::Learning => format!("learning for {learnt}"),
        State::Stable => format!("learnt in {learnt}, judged"),
        State::Partial => format!("learnt in {learnt}, judged, though not all was seen"),
        State::Drifted => format!("learnt in {learnt}, judged; it has changed of late"),
    };
    let _ = writeln!(out, "  {state}; since {}, {} behaviours seen, {} kept", since, s.observations, s.entries);
    let _ = writeln!(out, "  uid {}", escape(&s.uid));
    for operation in &tree.operations {
        let note = match operation.unjudged {
            Unjudged::Nothing => "",
            Unjudged::Ordinary => "  (ordinary paths are too many to learn: not judged)",
            Unjudged::All => "  (too various to learn: not judged)",
        };
        let _ = writeln!(out, "\n{}{note}", escape(&operation.operation));
        for executable in operation.executables.iter().take(SHOWN_EXECUTABLES) {
            let _ = writeln!(out, "  {}", escape(&executable.executable));
            for object in executable.objects.iter().take(SHOWN_OBJECTS) {
                let _ = writeln!(out, "    {:>8}  {}", object.count, escape(&object.pattern));
            }
            more(&mut out, "              ", executable.objects.len(), SHOWN_OBJECTS);
        }
        more(&mut out, "  ", operation.executables.len(), SHOWN_EXECUTABLES);
    }
    if !tree.alerted.is_empty() {
        out += "\nnot usual, told\n";
        for alert in tree.alerted.iter().take(SHOWN_ALERTS) {
            let (operation, executable) = (escape(&alert.operation), escape(&alert.executable));
            let _ = writeln!(out, "    {:>8}  {executable} {operation} {}", alert.seen.count, escape(&alert.object));
        }
        more(&mut out, "              ", tree.alerted.len(), SHOWN_ALERTS);
    }
    out
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
