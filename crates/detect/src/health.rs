//! What the agent could not see, and what was done to it, as findings: silence must not look like peace.

use std::collections::{BTreeMap, BTreeSet};

use ethogram_model::{Finding, Severity, render::rfc3339};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::{FindingUpdate, uid};

/// How long the same goes on as one finding; then it is raised anew.
const RENEW_NS: u64 = 3_600_000_000_000;
/// Impairments kept at most. There are a few for each tracker.
const MAX_KEPT: usize = 512;
/// Containers that a finding of each thing names within that time at most: so often it is raised anew at most, too.
const MAX_NAMED: usize = 8;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Something could not be seen or identified.
    Blinded,
    /// More came than could be taken.
    Overwhelmed,
    /// The agent itself was interfered with.
    Tampered,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Blinded => "blinded",
            Self::Overwhelmed => "overwhelmed",
            Self::Tampered => "tampered",
        }
    }

    fn next(self) -> &'static str {
        match self {
            Self::Blinded => "`ethogram doctor` and the server's log say what does not work.",
            Self::Overwhelmed => {
                "See which container does so much, and whether it hides something. `[collection] ring_bytes` has more room."
            }
            Self::Tampered => "Find out who did it: an attacker who is root on the host would.",
        }
    }
}

/// One thing that impaired the agent, as it was noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Impairment {
    /// What is wrong.
    pub fault: Fault,
    /// What it is about: a tracker and why its events were lost, a table, a runtime. The same for the same.
    pub cause: String,
    /// What happened, as the end of a sentence that begins with "The agent".
    pub what: String,
    /// What could not be judged.
    pub unjudged: String,
    /// Whose containers and workloads it concerns, for people, where that is known; the most concerned first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub concerned: Vec<String>,
    /// Whether events are missing from what is learnt.
    pub loses_events: bool,
    /// How many events or things it concerns since the last time; zero where it has no number.
    pub count: u64,
    /// Since when, nanoseconds since the Unix epoch.
    pub from_ns: u64,
    /// Until when.
    pub until_ns: u64,
}

/// What has impaired the agent, and what was raised of it.
#[derive(Debug, Default)]
pub struct Health {
    ongoing: BTreeMap<(Fault, String), Ongoing>,
    updates: Vec<FindingUpdate>,
}

#[derive(Debug)]
struct Ongoing {
    uid: String,
    raised_ns: u64,
    times: u64,
    /// Who was named.
    named: BTreeSet<String>,
}

impl Health {
    /// Takes an impairment. Gives a finding where the same was not raised within the last hour, or did not concern those
    /// whom it concerns now.
    pub fn impaired(&mut self, impairment: &Impairment) -> Option<Finding> {
        let now_ns = impairment.until_ns;
        let key = (impairment.fault, impairment.cause.clone());
        let is_recent = |o: &Ongoing| now_ns.saturating_sub(o.raised_ns) < RENEW_NS;
        let before = self.ongoing.get(&key).filter(|o| is_recent(o)).map(|o| o.named.clone());
        let named = name_more(before.clone().unwrap_or_default(), &impairment.concerned);
        let names_others = before.is_some_and(|before| before != named);
        if let Some(ongoing) = self.ongoing.get_mut(&key).filter(|o| is_recent(o) && !names_others) {
            ongoing.times += 1;
            self.updates.push(FindingUpdate {
                uid: ongoing.uid.clone(),
                count: ongoing.times,
                last_seen_ns: now_ns,
                evidence: Vec::new(),
            });
            return None;
        }
        if !self.ongoing.contains_key(&key) && self.ongoing.len() >= MAX_KEPT {
            self.ongoing.retain(|_, ongoing| now_ns.saturating_sub(ongoing.raised_ns) < RENEW_NS);
            if self.ongoing.len() >= MAX_KEPT {
                return None;
            }
        }
        let finding = finding(impairment);
        self.ongoing.insert(key, Ongoing { uid: finding.uid.clone(), raised_ns: now_ns, times: 1, named });
        Some(finding)
    }

    /// How findings went on since the last call.
    pub fn take_updates(&mut self) -> Vec<FindingUpdate> {
        std::mem::take(&mut self.updates)
    }
}

/// Those who are named, and as many more as are.
fn name_more(mut named: BTreeSet<String>, concerned: &[String]) -> BTreeSet<String> {
    for name in concerned {
        if named.len() < MAX_NAMED {
            named.insert(name.clone());
        }
    }
    named
}

/// What it was and whom it concerned, for programs.
fn evidence(impairment: &Impairment) -> Vec<Json> {
    let Impairment { fault, cause, count, concerned, from_ns, until_ns, .. } = impairment;
    if concerned.is_empty() {
        return Vec::new();
    }
    let event = format!("agent.{}", fault.name());
    let (start, end) = (rfc3339(*from_ns), rfc3339(*until_ns));
    vec![json!({ "event": event, "cause": cause, "count": count, "concerned": concerned, "start": start, "end": end })]
}

fn finding(impairment: &Impairment) -> Finding {
    let Impairment { fault, cause, what, unjudged, concerned, count, from_ns, until_ns, .. } = impairment;
    let concerned = if concerned.is_empty() { String::new() } else { format!(" Concerned: {}.", concerned.join(", ")) };
    let number = if *count > 0 { format!(" ({count})") } else { String::new() };
    let seconds = until_ns.saturating_sub(*from_ns) / 1_000_000_000;
    let analytic = format!("agent.{}", fault.name());
    Finding {
        uid: uid::of(["agent", fault.name(), cause, &until_ns.to_string()]),
        title: format!("The agent {what}{number}"),
        severity: Severity::High,
        confidence: 100,
        reason: format!(
            "The agent {what}{number}, within {seconds} s.{concerned} Not judged: {unjudged}. While it goes on, this is raised once an hour. {}",
            fault.next()
        ),
        workload: "agent".into(),
        operation: fault.name().into(),
        executable: "ethogram".into(),
        object: cause.clone(),
        usual: Vec::new(),
        container: None,
        process: None,
        evidence: evidence(impairment),
        rule: None,
        score: None,
        techniques: if matches!(fault, Fault::Tampered | Fault::Overwhelmed) {
            vec!["T1562.001".into()]
        } else {
            Vec::new()
        },
        count: 1,
        first_seen_ns: *from_ns,
        last_seen_ns: *until_ns,
        analytic,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn lost(cause: &str, at_s: u64) -> Impairment {
        Impairment {
            fault: Fault::Overwhelmed,
            cause: cause.into(),
            what: "lost events of open".into(),
            unjudged: "what they showed".into(),
            concerned: Vec::new(),
            loses_events: true,
            count: 7,
            from_ns: at_s.saturating_sub(3) * SECOND,
            until_ns: at_s * SECOND,
        }
    }

    #[test]
    fn the_same_is_one_finding_an_hour_and_another_cause_is_another() {
        let mut health = Health::default();
        let first = health.impaired(&lost("open: ring full", 10)).unwrap();
        assert_eq!((&*first.analytic, &*first.title), ("agent.overwhelmed", "The agent lost events of open (7)"));
        assert_eq!(health.impaired(&lost("open: ring full", 13)), None);
        let updates = health.take_updates();
        assert_eq!((updates.len(), &updates[0].uid, updates[0].count), (1, &first.uid, 2));
        assert!(health.impaired(&lost("tcp: ring full", 13)).is_some());
        let renewed = health.impaired(&lost("open: ring full", 10 + 3600)).unwrap();
        assert_ne!(renewed.uid, first.uid, "it is raised anew");
        assert!(health.take_updates().is_empty());
    }

    #[test]
    fn who_is_concerned_is_named_and_another_is_another_finding() {
        let mut health = Health::default();
        let by = |who: &[&str], at_s| Impairment {
            concerned: who.iter().map(|&name| name.to_owned()).collect(),
            ..lost("open: ring full", at_s)
        };
        let first = health.impaired(&by(&["web", "db"], 10)).unwrap();
        assert!(
            first.reason.contains("within 3 s. Concerned: web, db. Not judged: what they showed."),
            "{}",
            first.reason
        );
        assert_eq!(first.evidence[0]["concerned"], json!(["web", "db"]));
        assert_eq!(health.impaired(&by(&["db"], 13)), None, "it was named");
        assert_eq!(health.impaired(&by(&[], 16)), None, "of none is known that it is another");
        let second = health.impaired(&by(&["db", "cron"], 19)).unwrap();
        assert!(second.reason.contains("Concerned: db, cron."), "{}", second.reason);
        assert_eq!(health.impaired(&by(&["cron", "web"], 22)), None);
        assert_eq!(health.take_updates().last().unwrap().uid, second.uid);
        let renewed = health.impaired(&by(&["web"], 19 + 3600)).unwrap();
        assert!(renewed.reason.contains("Concerned: web."), "it is renewed by who is concerned then");
        let raised = (0..100).filter_map(|n| health.impaired(&by(&[&n.to_string()], 20 + 3600))).count();
        assert_eq!(raised, MAX_NAMED - 1, "so many names, so many findings");
    }

    #[test]
    fn where_none_is_known_none_is_named() {
        let finding = Health::default().impaired(&lost("open: ring full", 10)).unwrap();
        assert!(!finding.reason.contains("Concerned") && finding.evidence.is_empty(), "{}", finding.reason);
    }

    #[test]
    fn it_stays_bounded() {
        let mut health = Health::default();
        let raised = (0..2000).filter_map(|n| health.impaired(&lost(&n.to_string(), 10))).count();
        assert_eq!(raised, MAX_KEPT);
        assert!(health.impaired(&lost("later", 10 + 3600)).is_some());
    }
}
