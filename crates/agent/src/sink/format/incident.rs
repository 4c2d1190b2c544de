//! What the formats have in common of an incident.

use std::cmp::Reverse;

use ethogram_model::{Incident, Part, Place, render::escape};
use serde_json::{Value as Json, json};

/// What found it, for receivers that know rules.
pub(super) const NAME: &str = "Incident";
/// Parts that a message lists.
const MAX_PARTS: usize = 16;
/// Names of one kind that it lists.
const MAX_NAMES: usize = 16;

/// The parts that a message lists, in the order in which they began; of too many, the most severe. And how many are not
/// listed.
pub(super) fn parts(incident: &Incident) -> (Vec<&Part>, u64) {
    let mut worst_first: Vec<(usize, &Part)> = incident.parts.iter().enumerate().collect();
    worst_first.sort_by_key(|(_, part)| Reverse(part.severity));
    let left = worst_first.len().saturating_sub(MAX_PARTS) as u64 + incident.unlisted;
    worst_first.truncate(MAX_PARTS);
    worst_first.sort_by_key(|(at, _)| *at);
    (worst_first.into_iter().map(|(_, part)| part).collect(), left)
}

/// The parts as one text.
pub(super) fn story(incident: &Incident, between: &str) -> String {
    let (parts, left) = parts(incident);
    let mut lines: Vec<String> = parts.into_iter().map(line).collect();
    if left > 0 {
        lines.push(format!("and {left} more"));
    }
    lines.join(between)
}

/// A part as JSON.
pub(super) fn as_json(part: &Part) -> Json {
    json!({ "what": part.what, "severity": part.severity.name(), "technique": part.techniques.join(", ") })
}

fn line(part: &Part) -> String {
    let severity = part.severity.name().to_lowercase();
    let more: Vec<&str> = std::iter::once(&*severity).chain(part.techniques.iter().map(String::as_str)).collect();
    format!("{} ({})", escape(&part.what), more.join(", "))
}

/// Some of its names, such as its containers.
pub(super) fn some(names: &[String]) -> &[String] {
    names.get(..MAX_NAMES).unwrap_or(names)
}

/// Where it began. What is not known is empty.
pub(super) struct Began<'a> {
    pub(super) container: &'a str,
    pub(super) image: &'a str,
    pub(super) namespace: &'a str,
    pub(super) pod: &'a str,
    pub(super) workload: &'a str,
}

impl<'a> Began<'a> {
    pub(super) fn of(incident: &'a Incident) -> Self {
        let text = |read: fn(&Place) -> &String| incident.began_in.as_ref().map_or("", |place| read(place));
        Self {
            container: text(|place| &place.container),
            image: text(|place| &place.image),
            namespace: text(|place| &place.namespace),
            pod: text(|place| &place.pod),
            workload: incident.workloads.first().map_or("", String::as_str),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ethogram_model::Severity;

    use super::{super::tests::incident, *};

    #[test]
    fn of_too_many_parts_the_most_severe_are_listed_in_their_order() {
        let mut long = incident();
        let part = |n: usize| Part {
            what: n.to_string(),
            severity: if n.is_multiple_of(3) { Severity::High } else { Severity::Low },
            ..incident().parts.remove(1)
        };
        (long.parts, long.unlisted) = ((0..60).map(part).collect(), 5);
        let (listed, left) = parts(&long);
        let listed: Vec<usize> = listed.iter().map(|part| part.what.parse().unwrap()).collect();
        assert_eq!(listed, (0..16).map(|n| n * 3).collect::<Vec<_>>());
        assert_eq!(left, 44 + 5);
        assert!(story(&long, "; ").ends_with("45 (high); and 49 more"), "{}", story(&long, "; "));
        assert_eq!(
            story(&incident(), "; "),
            "/bin/sh ran /usr/bin/curl (high, T1105); /bin/sh wrote /tmp/a\"]\\n\\u{1b}[2J (low)"
        );
    }
}
