//! How much likelier an incident is an attack than ordinary life, with reasons: log-odds in bits, which add up.

use ethogram_model::{Incident, LinkKind, Origin, Part, ScorePart, Severity};

use crate::channels::behaviour::peers;

/// What connects two programs that did not start each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Flow {
    /// A file that one wrote, and another ran.
    DroppedAndRun,
    /// Out of one container into another.
    Hop,
}

impl Flow {
    /// What counts of such a connection.
    pub(super) fn of(kind: LinkKind) -> Option<Self> {
        match kind {
            LinkKind::File => Some(Self::DroppedAndRun),
            LinkKind::Connection => Some(Self::Hop),
            LinkKind::Time => None,
        }
    }
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
    Impact,
}

/// Sets the score, its reasons, the severity and the confidence.
pub(super) fn rate(incident: &mut Incident, flows: &[Flow]) {
    let worst = incident.parts.iter().map(|part| part.severity).max().unwrap_or(Severity::Informational);
    let mut reasons = vec![ScorePart { bits: stakes(worst), what: stakes_in_words(worst) }];
    reasons.extend(surprise(&incident.parts));
    reasons.extend(tactics(&incident.parts));
    reasons.extend(agreement(&incident.parts));
    reasons.extend(usual_lineage(incident));
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
    // What a rule knows to be bad is no less for where it came from.
    let of_rules = incident.parts.iter().filter(|part| part.analytic.starts_with("rule."));
    let known = of_rules.map(|part| part.severity).max().filter(|severity| *severity >= Severity::Medium);
    incident.severity = known.map_or(incident.severity, |known| incident.severity.max(known));
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
        // What is mild was read for another purpose.
        "read" if part.severity >= Severity::Medium => Tactic::Credentials,
        "write" | "link" | "rename" if part.severity >= Severity::High => Tactic::Persistence,
        "connect" | "send" | "listen" => Tactic::Command,
        "tunnel" if part.severity >= Severity::Medium => Tactic::Command,
        "replace" if part.severity >= Severity::Medium => Tactic::Impact,
        _ if part.severity >= Severity::High => Tactic::Escalation,
        _ => return None,
    })
}

/// How many steps of an attack it has. What comes in the order in which attacks go on counts twice as much as what does not.
fn tactics(parts: &[Part]) -> Option<ScorePart> {
    let mut by_time: Vec<&Part> = parts.iter().collect();
    by_time.sort_by_key(|part| part.first_seen_ns);
    let mut all: Vec<Tactic> = Vec::new();
    for tactic in by_time.into_iter().filter_map(tactic) {
        if !all.contains(&tactic) {
            all.push(tactic);
        }
    }
    let more = all.len().checked_sub(1).filter(|more| *more > 0)?;
    let in_order = longest_in_order(&all).saturating_sub(1);
    let order = if in_order == more { "in the order of one" } else { "not all in the order of one" };
    let what = format!("it has {} steps of an attack, {order}: {}", all.len(), in_words(&all));
    Some(ScorePart { bits: (in_order + more) as f64, what })
}

/// How many of them, from left to right, follow each other.
fn longest_in_order(all: &[Tactic]) -> usize {
    let mut longest: Vec<usize> = Vec::with_capacity(all.len());
    for (at, tactic) in all.iter().enumerate() {
        let before = all.iter().zip(&longest).take(at).filter(|(other, _)| *other < tactic).map(|(_, n)| *n).max();
        longest.push(before.unwrap_or(0) + 1);
    }
    longest.into_iter().max().unwrap_or(0)
}

/// Most of the programs on the way to it are usual there: it is a known way that does something new.
fn usual_lineage(incident: &Incident) -> Option<ScorePart> {
    let runs = |part: &&Part| part.operation == "execute";
    let is_new = |program: &str| {
        let of_step = |at: usize| incident.steps.get(at).is_some_and(|step| step.program == program);
        incident.parts.iter().filter(runs).any(|part| part.step.is_some_and(of_step))
    };
    let all = incident.steps.len();
    let usual = incident.steps.iter().filter(|step| !is_new(&step.program)).count();
    (incident.origin.is_by_a_service() && all >= 2 && 2 * usual > all).then(|| ScorePart {
        bits: -1.0,
        what: format!("{usual} of the {all} programs of its lineage are usual there"),
    })
}

fn in_words(all: &[Tactic]) -> String {
    let word = |tactic: &Tactic| match tactic {
        Tactic::Execution => "programs are run",
        Tactic::Persistence => "what decides what runs is changed",
        Tactic::Escalation => "rights or the kernel are reached for",
        Tactic::Credentials => "secrets are read",
        Tactic::Command => "the network is used",
        Tactic::Impact => "data are changed",
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

#[cfg(test)]
mod tests {
    use ethogram_model::Step;

    use super::*;
    use crate::incidents::tests::part;

    fn incident(parts: &[(&str, &str, Option<usize>)]) -> Incident {
        let part = |(at, (operation, object, step)): (usize, &(&str, &str, Option<usize>))| Part {
            operation: (*operation).into(),
            object: (*object).into(),
            step: *step,
            first_seen_ns: 1 + at as u64,
            ..part(Severity::Medium)
        };
        let mut incident = Incident::begun("1".into(), Origin::Child, 1);
        incident.parts = parts.iter().enumerate().map(part).collect();
        incident
    }

    fn bits(incident: &Incident, about: &str) -> Option<f64> {
        let mut rated = incident.clone();
        rate(&mut rated, &[]);
        rated.reasons.iter().find(|reason| reason.what.contains(about)).map(|reason| reason.bits)
    }

    #[test]
    fn steps_in_the_order_of_an_attack_count_more() {
        let of = |operations: &[(&str, &str, Option<usize>)]| bits(&incident(operations), "steps of an attack");
        let (run, read, send) =
            (("execute", "/bin/sh", None), ("read", "/etc/shadow", None), ("connect", "203.0.113.9:443", None));
        assert_eq!(of(&[run, read, send]), Some(4.0));
        assert_eq!(of(&[send, read, run]), Some(2.0));
        assert_eq!(of(&[run, run, run]), None, "one step is no way");
    }

    #[test]
    fn what_a_rule_knows_is_no_less_for_where_it_came_from_and_what_is_only_new_is() {
        let of = |analytic: &str| {
            let part = Part { analytic: analytic.into(), ..part(Severity::Medium) };
            let mut entered = Incident { origin: Origin::Entered, parts: vec![part], ..incident(&[]) };
            rate(&mut entered, &[]);
            entered.severity
        };
        assert_eq!((of("rule.log_emptied"), of("behaviour.execute")), (Severity::Medium, Severity::Low));
    }

    #[test]
    fn a_known_way_that_does_something_new_counts_less_than_new_programs() {
        let step = |program: &str| Step {
            parent: None,
            container: "web".into(),
            pid: 1,
            program: program.into(),
            args: String::new(),
            is_service: false,
            started_ns: 1,
        };
        let steps = || ["/bin/sh", "/usr/bin/backup", "/usr/bin/curl"].map(step).to_vec();
        let known = Incident { steps: steps(), ..incident(&[("execute", "/usr/bin/curl", Some(2))]) };
        assert_eq!(bits(&known, "of its lineage are usual"), Some(-1.0));
        let new = [("execute", "/bin/sh", Some(0)), ("execute", "/usr/bin/curl", Some(2))];
        assert_eq!(bits(&Incident { steps: steps(), ..incident(&new) }, "of its lineage are usual"), None);
        let service = Incident { origin: Origin::Service, ..known };
        assert_eq!(bits(&service, "of its lineage are usual"), None);
    }
}
