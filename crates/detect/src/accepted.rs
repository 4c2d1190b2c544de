//! Acceptances (allowlist entries): findings that people called normal raise no alert again, for a while or for good.

use std::collections::BTreeMap;

use ethogram_model::Finding;
use serde::{Deserialize, Serialize};

use crate::uid;

/// One thing that is normal: by what it was found, of which workload, done by which executable.
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
}

impl Acceptance {
    /// Accepts what was found.
    pub fn of(finding: &Finding, reason: Option<String>, now_ns: u64, for_ns: Option<u64>) -> Self {
        let Finding { analytic, workload, executable, .. } = finding;
        Self {
            id: id(analytic, workload, executable),
            analytic: analytic.clone(),
            workload: workload.clone(),
            executable: executable.clone(),
            title: finding.title.clone(),
            reason,
            since_ns: now_ns,
            until_ns: for_ns.map(|ns| now_ns.saturating_add(ns)),
            matched: 0,
        }
    }
}

fn id(analytic: &str, workload: &str, executable: &str) -> String {
    let mut id = uid::of([analytic, workload, executable]);
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

    /// Whether what was found is accepted at that time, nanoseconds since the Unix epoch.
    pub fn covers(&mut self, analytic: &str, workload: &str, executable: &str, now_ns: u64) -> bool {
        if self.by_id.is_empty() {
            return false;
        }
        let Some(known) = self.by_id.get_mut(&id(analytic, workload, executable)) else { return false };
        if known.until_ns.is_some_and(|until| now_ns >= until) {
            return false;
        }
        known.matched += 1;
        self.changed.insert(known.id.clone(), Some(known.clone()));
        true
    }

    /// All that has not ended, by id.
    pub fn list(&self) -> impl Iterator<Item = &Acceptance> {
        self.by_id.values()
    }

    /// Forgets those that have ended.
    pub fn expire(&mut self, now_ns: u64) {
        let ended: Vec<String> = self
            .by_id
            .values()
            .filter(|a| a.until_ns.is_some_and(|until| now_ns >= until))
            .map(|a| a.id.clone())
            .collect();
        ended.iter().for_each(|id| self.revoke(id));
    }

    /// Those that changed since the last call, to be stored; none where one was revoked.
    pub fn take_changed(&mut self) -> Changes {
        std::mem::take(&mut self.changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acceptance(until_ns: Option<u64>) -> Acceptance {
        Acceptance {
            id: id("rule.x", "web", "/bin/sh"),
            analytic: "rule.x".into(),
            workload: "web".into(),
            executable: "/bin/sh".into(),
            title: "t".into(),
            reason: None,
            since_ns: 1,
            until_ns,
            matched: 0,
        }
    }

    #[test]
    fn only_what_is_in_scope_is_accepted_and_only_while_it_lasts() {
        let mut all = Acceptances::default();
        all.accept(acceptance(Some(100)));
        assert!(all.covers("rule.x", "web", "/bin/sh", 99));
        for (analytic, workload, executable) in
            [("rule.y", "web", "/bin/sh"), ("rule.x", "api", "/bin/sh"), ("rule.x", "web", "/bin/bash")]
        {
            assert!(!all.covers(analytic, workload, executable, 99), "{analytic} {workload} {executable}");
        }
        assert!(!all.covers("rule.x", "web", "/bin/sh", 100));
        assert_eq!(all.list().map(|a| a.matched).collect::<Vec<_>>(), [1]);
        all.expire(100);
        assert_eq!(all.list().count(), 0);
        assert_eq!(all.take_changed().values().cloned().collect::<Vec<_>>(), [None]);
    }

    #[test]
    fn what_is_revoked_is_reported_again() {
        let mut all = Acceptances::default();
        all.accept(acceptance(None));
        assert!(all.covers("rule.x", "web", "/bin/sh", u64::MAX));
        let id = all.list().next().map(|a| a.id.clone()).unwrap_or_default();
        all.revoke(&id);
        assert!(!all.covers("rule.x", "web", "/bin/sh", 1));
    }
}
