//! The shape of an incident: what it has in common with others of the same workload. Neither ids nor times are part of it.

use std::{collections::BTreeSet, net::SocketAddr};

use ethogram_model::{Incident, Part, Step};
use ring::digest::{Context, SHA256};

/// Characters that are kept of a hash.
const CHARACTERS: usize = 32;

/// Of workload, origin and severity; of the programs that took part and which started which; of what was done, with what
/// found it, and where. Another workload's incident has another shape, so that what one does says nothing of another.
pub(crate) fn shape(incident: &Incident) -> String {
    let mut words = vec![format!("{:?}", incident.origin), incident.severity.name().to_owned()];
    words.extend(incident.workloads.iter().cloned());
    words.push("programs".to_owned());
    // In which order programs of the same moment are seen differs from time to time.
    words.extend(incident.steps.iter().map(|step| program(incident, step)).collect::<BTreeSet<_>>());
    words.push("parts".to_owned());
    words.extend(incident.parts.iter().map(part).collect::<BTreeSet<_>>());
    hash(words.iter().map(String::as_str))
}

/// The start of the SHA-256 of words, each with its length, so that they cannot run into each other.
pub(super) fn hash<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut context = Context::new(&SHA256);
    for word in words {
        context.update(&(word.len() as u64).to_le_bytes());
        context.update(word.as_bytes());
    }
    let mut out: String = context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    out.truncate(CHARACTERS);
    out
}

fn program(incident: &Incident, step: &Step) -> String {
    let parent = step.parent.and_then(|parent| incident.steps.get(parent)).map_or("", |parent| parent.program.as_str());
    joined(&[&folded(parent), &folded(&step.program), if step.is_service { "service" } else { "" }])
}

fn part(part: &Part) -> String {
    let severity = part.severity.name();
    joined(&[&part.analytic, severity, &part.operation, &folded(&part.executable), &place(&part.object)])
}

fn joined(words: &[&str]) -> String {
    words.join("\0")
}

/// Of a file its folder; which peer it is does not count.
fn place(object: &str) -> String {
    match object.rsplit_once('/') {
        Some((folder, _)) if object.starts_with('/') => folded(folder),
        _ if object.parse::<SocketAddr>().is_ok() => "peer".to_owned(),
        _ => folded(object),
    }
}

/// A name with each of its numbers as one.
fn folded(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            c => out.push(c),
        }
    }
    out
}
