//! Sigma's rules for Linux, as rules of this engine.
//!
//! The format is that of Sigma's specification: <https://sigmahq.io/sigma-specification/>. A rule becomes a condition in
//! the language of the other rules, so that all that comes after is the same for both. What has no counterpart here is
//! named, and the rule cannot fire.

mod comparison;
mod detection;
mod fields;

use ethogram_model::Priority;

use super::{Change, Items, Reader, Rule, Text};
use crate::rules::{
    problem::Position,
    yaml::{Content, Node},
};

/// Whether a document is one of Sigma's.
pub(super) fn is_rule(node: &Node) -> bool {
    let has = |key| node.get(key).is_some();
    matches!(node.content, Content::Mapping(_))
        && (has("detection") || has("logsource") || has("correlation") || (has("title") && has("action")))
}

/// Reads one document.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node, items: &mut Items) {
    let Some(title) = node.get("title").and_then(|n| reader.text(n, "title")) else {
        if node.get("title").is_none() {
            reader.error(node.at, "a rule of Sigma has a title");
        }
        return;
    };
    let mut rule = rule(reader, node, title, items);
    let known = [
        ("correlation", "correlation: events are judged one by one"),
        ("filter", "filter: what changes other rules of Sigma is not read"),
        ("action", "action: each rule is to be written in full"),
    ];
    let unmapped = known.iter().find_map(|(key, why)| Some((node.get(key)?, *why)));
    if let Some((at, why)) = unmapped {
        reader.warn(at.at, format!("the rule cannot fire: {why}"));
        rule.unmapped.push(why.into());
        return items.rules.push(rule);
    }
    let Some(detection) = node.get("detection") else {
        return reader.error(node.at, format!("the rule '{}' has no detection", rule.name.text));
    };
    let logsource = node.get("logsource");
    match logsource.map_or(Err("it has no logsource".into()), fields::source) {
        Ok(source) => {
            let Some(translated) = detection::translate(reader, detection, source, &mut items.translated) else {
                return;
            };
            rule.unmapped = translated.unmapped;
            rule.condition = Some((translated.condition, Change::Replace));
            let output = format!(
                "{} (process=%proc.exepath command=%proc.exeline parent=%proc.pexepath user=%user.name {} container=%container.name)",
                rule.name.text.replace('%', "%%"),
                source.shown
            );
            rule.output = Some((reader.translated(rule.name.at, output), Change::Replace));
        }
        Err(why) => {
            reader.warn(logsource.map_or(node.at, |n| n.at), format!("the rule cannot fire: {why}"));
            rule.unmapped.push(why);
        }
    }
    items.rules.push(rule);
}

/// All but its condition.
fn rule(reader: &mut Reader<'_>, node: &Node, title: Text, items: &mut Items) -> Rule {
    let text = |key: &str| node.get(key).and_then(Node::text).map(str::trim).filter(|t| !t.is_empty());
    let mut tags: Vec<String> = texts(node.get("tags")).map(tag).collect();
    let mut name = title.clone();
    if let Some(id) = text("id") {
        tags.push(format!("sigma:{id}"));
        // Two rules may have one title; one rule that is read again takes its own place.
        let taken = items.sigma_ids.entry(title.text.clone()).or_insert_with(|| id.to_owned());
        if taken != id {
            name.text = format!("{} ({id})", title.text);
        }
    }
    let mut desc = text("description").unwrap_or(&title.text).to_owned();
    let harmless: Vec<&str> =
        texts(node.get("falsepositives")).filter(|t| !t.eq_ignore_ascii_case("unknown")).collect();
    if !harmless.is_empty() {
        let end = if desc.ends_with('.') { "" } else { "." };
        desc = format!("{desc}{end} May be harmless: {}.", harmless.join("; ").trim_end_matches('.'));
    }
    Rule {
        condition: None,
        output: None,
        desc: Some((desc, Change::Replace)),
        priority: Some(priority(reader, node.get("level"))),
        tags: Some((tags, Change::Replace)),
        exceptions: None,
        enabled: Some(!matches!(text("status"), Some("deprecated" | "unsupported"))),
        source: None,
        next: None,
        examples: Vec::new(),
        is_change: false,
        unmapped: Vec::new(),
        skips_unknown: None,
        name,
    }
}

fn texts(node: Option<&Node>) -> impl Iterator<Item = &str> {
    let nodes = match node.map(|n| (n, &n.content)) {
        Some((_, Content::Sequence(list))) => list.as_slice(),
        Some((node, Content::Scalar { .. })) => std::slice::from_ref(node),
        _ => &[],
    };
    nodes.iter().filter_map(Node::text).filter(|t| !t.is_empty())
}

/// `attack.t1059.004` and `attack.execution` as the other rules tag them.
fn tag(tag: &str) -> String {
    let Some(attack) = tag.strip_prefix("attack.") else { return tag.to_owned() };
    match attack.strip_prefix(['t', 'T']) {
        Some(number) if number.starts_with(|c: char| c.is_ascii_digit()) => format!("T{number}"),
        _ if attack.starts_with(['s', 'g']) && attack[1..].bytes().all(|b| b.is_ascii_digit()) => tag.to_owned(),
        _ => format!("mitre_{}", attack.replace('-', "_")),
    }
}

fn priority(reader: &mut Reader<'_>, level: Option<&Node>) -> Priority {
    let Some(level) = level else { return Priority::Warning };
    match level.text() {
        Some("critical") => Priority::Critical,
        Some("high") => Priority::Error,
        Some("medium") => Priority::Warning,
        Some("low") => Priority::Notice,
        Some("informational") => Priority::Informational,
        _ => {
            let text = level.text().unwrap_or_default();
            reader
                .error(level.at, format!("'{text}' is no level: there are informational, low, medium, high, critical"));
            Priority::Warning
        }
    }
}

impl Reader<'_> {
    fn translated(&self, at: Position, text: String) -> Text {
        Text { file: self.file, at, text, is_translated: true }
    }
}
