//! How much likelier an incident is an attack than ordinary life, with reasons: log-odds in bits, which add up.

use std::collections::BTreeSet;

use ethogram_model::{Incident, Origin, Part, ScorePart, Severity};

use crate::channels::behaviour::peers;

/// What connects two programs that did not start each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Flow {
    /// A file that one wrote, and another ran.
    DroppedAndRun,
    /// Out of one container into another.
    Hop,
}

/// From so many bits on it is of that severity, and of none above medium where it takes more to be that.
const HIGH_BITS: f64 = 9.0;
const CRITICAL_BITS: f64 = 18.0;
/// Of one part, so much of its surprise counts at most.
const MAX_SURPRISE: f64 = 6.0;
/// Each further part counts by this factor less than the one before: parts of one deed are not independent of each other.
const NEXT: f64 = 0.5;

/// What an attacker goes through, in the order of ATT&CK's tactics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tactic {
    Execution,
    Persistence,
    Escalation,
    Credentials,
    Command,
}

/// Sets the score, its reasons, the severity and the confidence.
pub(super) fn rate(incident: &mut Incident, flows: &[Flow]) {
    let worst = incident.parts.iter().map(|part| part.severity).max().unwrap_or(Severity::Informational);
    let mut reasons = vec![ScorePart { bits: stakes(worst), what: stakes_in_words(worst) }];
    reasons.extend(surprise(&incident.parts));
    reasons.extend(tactics(&incident.parts));
    reasons.extend(agreement(&incident.parts));
    for flow in flows {
        let what = match flow {
            Flow::DroppedAndRun => "a file that it wrote was run",
            Flow::Hop => "it went on from one container into another",
        };
        reasons.push(ScorePart { bits: 4.0, what: what.into() });
    }
    reasons.extend(origin(incident));
    reasons.retain(|reason| reason.bits != 0.0);
    incident.bits = reasons.iter().map(|reason| reason.bits).sum::<f64>().max(0.0);
    let by_score = match incident.bits {
        bits if bits < incident.medium_bits => Severity::Low,
        bits if bits >= CRITICAL_BITS => Severity::Critical,
        bits if bits >= HIGH_BITS => Severity::High,
        _ => Severity::Medium,
    };
    // What is severe by itself does not wait for company, and many small things are no attack that is certain.
    incident.severity = match worst {
        Severity::High | Severity::Critical => by_score.max(worst),
        Severity::Informational if by_score == Severity::Low => Severity::Informational,
        _ => by_score.min(Severity::High),
    };
    let surest = incident.parts.iter().filter(|part| part.severity == worst).map(|part| part.confidence).max();
    incident.confidence = surest.unwrap_or(0);
    incident.reasons = reasons;
}

fn stakes(severity: Severity) -> f64 {
    match severity {
        Severity::Informational => 0.0,
        Severity::Low => 1.0,
        Severity::Medium => 3.0,
        Severity::High => 8.0,
        Severity::Critical => 12.0,
    }
}

fn stakes_in_words(severity: Severity) -> String {
    format!("its worst part is of {} severity", severity.name().to_ascii_lowercase())
}

/// How new its parts are: the most surprising counts whole, and what comes with it less and less.
fn surprise(parts: &[Part]) -> Option<ScorePart> {
    let mut all: Vec<f64> = parts.iter().map(|part| part.surprise.min(MAX_SURPRISE)).filter(|s| *s > 0.0).collect();
    all.sort_by(|a, b| b.total_cmp(a));
    let mut weight = 0.25;
    let mut bits = 0.0;
    for surprise in &all {
        bits += surprise * weight;
        weight *= NEXT;
    }
    let what = match all.len() {
        1 => "one part is new to the workload".to_owned(),
        n => format!("{n} parts are new to the workload"),
    };
    (!all.is_empty()).then_some(ScorePart { bits: tenths(bits), what })
}

fn tactic(part: &Part) -> Option<Tactic> {
    Some(match part.operation.as_str() {
        // The own network is where a service has its peers.
        "connect" | "send" if !peers::is_public(&part.object) => return None,
        "execute" => Tactic::Execution,
        "read" => Tactic::Credentials,
        "write" | "link" | "rename" if part.severity >= Severity::High => Tactic::Persistence,
        "connect" | "send" | "listen" => Tactic::Command,
        _ if part.severity >= Severity::High => Tactic::Escalation,
        _ => return None,
    })
}

fn tactics(parts: &[Part]) -> Option<ScorePart> {
    let all: BTreeSet<Tactic> = parts.iter().filter_map(tactic).collect();
    let more = all.len().checked_sub(1).filter(|more| *more > 0)?;
    let what = format!("it has {} steps of an attack: {}", all.len(), in_words(&all));
    Some(ScorePart { bits: 2.0 * f64::from(u32::try_from(more).unwrap_or(0)), what })
}

fn in_words(all: &BTreeSet<Tactic>) -> String {
    let word = |tactic: &Tactic| match tactic {
        Tactic::Execution => "programs are run",
        Tactic::Persistence => "what decides what runs is changed",
        Tactic::Escalation => "rights or the kernel are reached for",
        Tactic::Credentials => "secrets are read",
        Tactic::Command => "the network is used",
    };
    all.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// Rules and the profile found something of it, each by itself.
fn agreement(parts: &[Part]) -> Option<ScorePart> {
    let counts = |part: &&Part| part.severity >= Severity::Medium;
    let is_of = |kind: &str| parts.iter().filter(counts).any(|part| part.analytic.starts_with(kind));
    (is_of("rule.") && is_of("behaviour."))
        .then(|| ScorePart { bits: 2.0, what: "a rule and the profile agree".into() })
}

fn origin(incident: &Incident) -> Option<ScorePart> {
    let (bits, what) = match incident.origin {
        Origin::Entered => (-4.0, "it was started from outside the container, as those who run it do"),
        Origin::Login => (-4.0, "it was started by a login, as those who look after it do"),
        Origin::Start => (-2.0, "it belongs to the start of the container"),
        _ => return None,
    };
    Some(ScorePart { bits, what: what.into() })
}

fn tenths(bits: f64) -> f64 {
    (bits * 10.0).round() / 10.0
}
