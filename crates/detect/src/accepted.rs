//! Acceptances (allowlist entries): findings that people called normal raise no alert again, for a while or for good.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use ethogram_model::{Finding, Severity};
use serde::{Deserialize, Serialize};

use crate::{subject::normalise, uid, update::is_many};

/// One thing that is normal: by what it was found, of which workload, done by which executable, to what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// The same for the same scope.
    pub id: String,
    /// What finds it: `rule.terminal_shell_in_container`, `behaviour.execute`.
    pub analytic: String,
    /// The workload.
    pub workload: String,
    /// The executable.
    pub executable: String,
    /// What it is done to, generalised; none: whatever that is. Acceptances of earlier agents have none.
    #[serde(default)]
    pub object: Option<String>,
    /// Whether findings of high severity and above raise alerts all the same.
    #[serde(default)]
    pub spares_severe: bool,
    /// The uid of the finding that it was made from. Earlier agents did not say.
    #[serde(default)]
    pub finding: String,
    /// The title of the finding that it was made from.
    pub title: String,
    /// Why, as the person said who accepted it.
    pub reason: Option<String>,
    /// Nanoseconds since the Unix epoch.
    pub since_ns: u64,
    /// When it ends, nanoseconds since the Unix epoch; none: when it is revoked.
    pub until_ns: Option<u64>,
    /// How many findings raised no alert because of it.
    #[serde(default)]
    pub matched: u64,
    /// When the last of them was, nanoseconds since the Unix epoch.
    #[serde(default)]
    pub last_matched_ns: Option<u64>,
    /// What that one was done to.
    #[serde(default)]
    pub last_object: Option<String>,
}

/// How much is accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Width {
    /// Whatever it is done to.
    pub any_object: bool,
    /// What is severe as well.
    pub force: bool,
}

/// Why a finding cannot be accepted so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TooWide {
    /// It is of high severity or above, and any object is a lot.
    Severe(Severity),
    /// It stands for many objects.
    Many,
}

impl fmt::Display for TooWide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Severe(severity) => write!(
                f,
                "the alert's severity is {}: to accept it for any object takes force, too; \
                 without both, its own object alone is accepted",
                severity.name().to_lowercase()
            ),
            Self::Many => f.write_str("the alert stands for many objects: accept it for any object, or others singly"),
        }
    }
}

impl std::error::Error for TooWide {}

/// A finding, as acceptances know it.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// What finds it.
    pub analytic: &'a str,
    /// The workload.
    pub workload: &'a str,
    /// The executable.
    pub executable: &'a str,
    /// What it is done to.
    pub object: &'a str,
    /// How severe it is.
    pub severity: Severity,
}

impl Candidate<'_> {
    fn is_severe(&self) -> bool {
        self.severity >= Severity::High
    }
}

impl Acceptance {
    /// Accepts what was found: its object alone, unless any is meant.
    ///
    /// # Errors
    /// If that is wider than it looks: [`TooWide`] says why.
    pub fn of(
        finding: &Finding,
        width: Width,
        reason: Option<String>,
        now_ns: u64,
        for_ns: Option<u64>,
    ) -> Result<Self, TooWide> {
        let Finding { analytic, workload, executable, object, .. } = finding;
        // That of the rule: what is usual for a workload is shown one step lower.
        let of_rule = finding.rule.as_ref().map(|rule| rule.priority.severity());
        let severity = finding.severity.max(of_rule.unwrap_or(finding.severity));
        if width.any_object && !width.force && severity >= Severity::High {
            return Err(TooWide::Severe(severity));
        }
        if !width.any_object && is_many(object) {
            return Err(TooWide::Many);
        }
        let object = (!width.any_object).then(|| pattern(object).into_owned());
        Ok(Self {
            id: id(analytic, workload, executable, object.as_deref()),
            analytic: analytic.clone(),
            workload: workload.clone(),
            executable: executable.clone(),
            object,
            spares_severe: width.any_object && !width.force,
            finding: finding.uid.clone(),
            title: finding.title.clone(),
            reason,
            since_ns: now_ns,
            until_ns: for_ns.map(|ns| now_ns.saturating_add(ns)),
            matched: 0,
            last_matched_ns: None,
            last_object: None,
        })
    }

    fn is_over(&self, now_ns: u64) -> bool {
        self.until_ns.is_some_and(|until| now_ns >= until)
    }

    /// Whether it is about such findings, of whatever severity.
    pub(crate) fn is_about(&self, analytic: &str, workload: &str, executable: &str, object: &str) -> bool {
        self.analytic == analytic
            && self.workload == workload
            && self.executable == executable
            && self.object.as_ref().is_none_or(|accepted| *accepted == pattern(object))
    }
}

/// An object with what varies from run to run taken out. What profiles find is so already.
pub(crate) fn pattern(object: &str) -> Cow<'_, str> {
    if object.starts_with('/') { normalise::path(object) } else { Cow::Borrowed(object) }
}

fn id(analytic: &str, workload: &str, executable: &str, object: Option<&str>) -> String {
    let mut id = uid::of([analytic, workload, executable].into_iter().chain(object));
    id.truncate(16);
    id
}

/// Acceptances that changed, by id; none where one was revoked.
pub type Changes = BTreeMap<String, Option<Acceptance>>;

/// All that is accepted, by id.
#[derive(Debug, Clone, Default)]
pub struct Acceptances {
    by_id: BTreeMap<String, Acceptance>,
    changed: Changes,
}

impl Acceptances {
    /// Acceptances kept at most; a further one is refused.
    pub const MAX: usize = 10_000;

    /// Takes one up that was made before.
    pub fn restore(&mut self, acceptance: Acceptance) {
        if self.by_id.len() < Self::MAX {
            self.by_id.insert(acceptance.id.clone(), acceptance);
        }
    }

    /// Accepts something. One of the same scope is replaced, its count goes on.
    pub fn accept(&mut self, mut acceptance: Acceptance) {
        if let Some(known) = self.by_id.get(&acceptance.id) {
            acceptance.matched = known.matched;
            acceptance.last_matched_ns = known.last_matched_ns;
            acceptance.last_object = known.last_object.clone();
        } else if self.by_id.len() >= Self::MAX {
            return;
        }
        self.changed.insert(acceptance.id.clone(), Some(acceptance.clone()));
        self.by_id.insert(acceptance.id.clone(), acceptance);
    }

    /// Takes an acceptance back.
    pub fn revoke(&mut self, id: &str) {
        if self.by_id.remove(id).is_some() {
            self.changed.insert(id.to_owned(), None);
        }
    }

    /// Whether what was found is accepted at that time, nanoseconds since the Unix epoch. An acceptance of the object alone is asked
    /// before one of all of them.
    pub fn covers(&mut self, found: &Candidate<'_>, now_ns: u64) -> bool {
        if self.by_id.is_empty() {
            return false;
        }
        let Candidate { analytic, workload, executable, object, .. } = *found;
        let ids = [Some(&*pattern(object)), None].map(|object| id(analytic, workload, executable, object));
        let covers = |id: &&String| {
            let known = self.by_id.get(*id);
            known.is_some_and(|known| !(known.is_over(now_ns) || known.spares_severe && found.is_severe()))
        };
        let Some(known) = ids.iter().find(covers).cloned().and_then(|id| self.by_id.get_mut(&id)) else { return false };
        known.matched += 1;
        known.last_matched_ns = Some(now_ns);
        if known.last_object.as_deref() != Some(object) {
            known.last_object = Some(object.to_owned());
        }
        self.changed.insert(known.id.clone(), Some(known.clone()));
        true
    }

    /// All that has not ended, by id.
    pub fn list(&self) -> impl Iterator<Item = &Acceptance> {
        self.by_id.values()
    }

    /// Forgets those that have ended.
    pub fn expire(&mut self, now_ns: u64) {
        let ended: Vec<String> = self.by_id.values().filter(|a| a.is_over(now_ns)).map(|a| a.id.clone()).collect();
        ended.iter().for_each(|id| self.revoke(id));
    }

    /// Those that changed since the last call, to be stored; none where one was revoked.
    pub fn take_changed(&mut self) -> Changes {
        std::mem::take(&mut self.changed)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
