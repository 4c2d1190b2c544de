//! From a rule that matches to a finding.

use std::fmt::Write as _;

use ethogram_model::{Event, Finding, RuleMatch, Severity, evidence, render};

use super::{Case, Facts, Program, RuleDef, RuleSet, access_of, label};
use crate::{rules::dedup::HOST, update::OTHERS};

/// A comparison that held, with the value that it saw.
pub(super) fn explain(set: &RuleSet, program: &Program, case: &mut Case<'_>, predicate: usize) -> Option<String> {
    let predicate = program.predicates.get(predicate)?;
    let check = set.definitions.checks.get(predicate.check)?;
    let value = String::from_utf8_lossy(&case.value(predicate.slot).to_text()).into_owned();
    let short: String = value.chars().take(200).collect();
    Some(format!("{}: {short}", check.text))
}

/// The finding of a rule that matches.
pub(super) fn of(
    set: &RuleSet,
    def: &RuleDef,
    event: &Event,
    facts: &Facts,
    (uid, workload, executable): (String, &str, &str),
    because: Vec<String>,
) -> Finding {
    let process = event.context.process.clone();
    let value = |term: usize| {
        let Some(def) = set.definitions.terms.get(term) else { return ("<NA>".into(), serde_json::Value::Null) };
        let access = access_of(&event.schema, def);
        let value = access.read(event, facts);
        (String::from_utf8_lossy(&value.to_text()).into_owned(), value.to_json())
    };
    let (output, fields) = def.output.fill(value);
    let place = event.context.container.as_deref().map_or(HOST, |c| c.display_name());
    let severity = def.priority.severity();
    Finding {
        uid,
        title: format!("{}: {}", render::escape(place), def.name),
        analytic: def.analytic.clone(),
        severity,
        confidence: if severity >= Severity::Medium { 80 } else { 60 },
        reason: reason(def, &because),
        workload: workload.to_owned(),
        operation: event.schema.name.to_string(),
        executable: executable.to_owned(),
        object: object(event),
        usual: Vec::new(),
        container: event.context.container.clone(),
        process,
        evidence: vec![evidence::of(event)],
        rule: Some(RuleMatch {
            name: def.name.to_string(),
            priority: def.priority,
            output,
            fields,
            because,
            tags: def.tags.clone(),
            source: format!("{}:{}", def.file, def.line),
            next: def.next.clone(),
            profile: None,
        }),
        score: None,
        techniques: def.tags.iter().filter(|tag| is_technique(tag)).cloned().collect(),
        count: 1,
        first_seen_ns: event.time_ns,
        last_seen_ns: event.time_ns,
    }
}

/// A finding that stands for all that follow of its rule and workload, as there are many already.
pub(super) fn stand_for_many(finding: &mut Finding) {
    finding.title += ", and others like it";
    finding.object = OTHERS.to_owned();
    finding.reason = format!(
        "this rule finds more in this workload than is raised one by one: whatever else it finds there is counted here; {}",
        finding.reason
    );
}

/// What did it, as profiles name it.
pub(super) fn executable(event: &Event) -> String {
    match &event.context.process {
        Some(process) => label(&process.exec).into_owned(),
        None => event.thread_name().to_text().into_owned(),
    }
}

/// Comparisons that say little of why: that it was such an event, and in a container.
const SELF_EVIDENT: [&str; 6] = ["evt.type", "evt.is_open", "evt.dir", "fd.typechar", "fd.num", "container.id"];

/// The first sentence of what the rule is for, and what made it fire.
fn reason(def: &RuleDef, because: &[String]) -> String {
    let mut out = first_sentence(&def.desc);
    let is_of_use = |because: &&String| !SELF_EVIDENT.iter().any(|start| because.starts_with(start));
    for because in because.iter().filter(is_of_use) {
        let _ = write!(out, "; {}", render::escape(because));
    }
    out
}

/// Up to the first full stop that is followed by a capital letter.
fn first_sentence(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let ends = text.match_indices(". ").map(|(at, _)| at);
    let mut ends = ends;
    let end = ends.find(|at| text[at + 2..].starts_with(|c: char| c.is_uppercase()));
    text[..end.unwrap_or(text.len())].trim_end_matches('.').to_owned()
}

/// What the event is about, in a few words.
pub(super) fn object(event: &Event) -> String {
    let layout = event.schema.layout();
    let texts = layout.about.iter().map(|place| event.value_at(*place).to_text().into_owned());
    if let Some(text) = texts.into_iter().find(|text| !text.is_empty()) {
        return text;
    }
    let Some((address, port)) = layout.peer else { return String::new() };
    match (event.value_at(address), event.value_at(port).as_u64()) {
        (ethogram_model::Value::Ip(ip), Some(port)) => format!("{ip}:{port}"),
        _ => String::new(),
    }
}

fn is_technique(tag: &str) -> bool {
    tag.strip_prefix('T').is_some_and(|r| r.len() >= 4 && r.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}
