//! Writes a profile's file.

use std::fmt::Write;

use ethogram_model::{ObjectKind, render};

use super::{EXACTLY, FILE_VERSION, KINDS, LIKE, OBJECTS, SKETCH, UNJUDGED, VERSION, WORKLOAD, is_pattern, natural};
use crate::{
    Profile,
    channels::behaviour::{Executable, Operation, Unjudged},
};

pub(super) fn file(profile: &Profile) -> String {
    let workload = &profile.workload;
    // Writing to a string does not fail.
    let mut out = format!(
        "# What this workload does, by operation and executable; executions by who starts them.\n\
         # `ethogram profile import` has a server judge by it.\n\
         {VERSION} = {FILE_VERSION}\n\n[{WORKLOAD}]\n"
    );
    match workload.service() {
        Some(service) => {
            let _ = writeln!(out, "service = {}", quoted(service));
        }
        None => {
            let _ = writeln!(out, "image = {}\ndigest = {}", quoted(&workload.image), quoted(&workload.digest));
        }
    }
    if workload.service().is_none() {
        list(&mut out, "command", workload.command.iter().map(|argument| quoted(argument)));
    }
    if let Some(owner) = &workload.owner {
        let _ = writeln!(out, "owner = {}", quoted(owner));
    }
    // No tracker has an operation that is called as one of the file's own tables.
    let is_table = |name: &str| [VERSION, WORKLOAD, UNJUDGED, OBJECTS].contains(&name);
    let mut operations: Vec<(&String, &Operation)> =
        profile.channels.behaviour.operations.iter().filter(|(name, _)| !is_table(name)).collect();
    operations.sort_by_key(|(name, operation)| operation.rank(name));
    for (name, operation) in &operations {
        if operation.executables.values().all(|executable| executable.objects.is_empty()) {
            continue;
        }
        let _ = writeln!(out, "\n[{}]", key(name));
        let kind = kind(operation);
        for (executable, does) in &operation.executables {
            list(&mut out, &key(executable), objects(does, kind));
        }
    }
    let mut unjudged = operations.iter().filter(|(_, o)| o.unjudged != Unjudged::Nothing).peekable();
    if unjudged.peek().is_some() {
        let _ = writeln!(out, "\n[{UNJUDGED}]");
    }
    for (name, operation) in unjudged {
        let _ = writeln!(out, "{} = {}", key(name), quoted(operation.unjudged.words()));
    }
    let mut sketched = operations.iter().filter_map(|(name, o)| Some((name, o.sketch_text()?))).peekable();
    if sketched.peek().is_some() {
        let _ = writeln!(out, "\n[{SKETCH}]");
    }
    for (name, sketch) in sketched {
        let _ = writeln!(out, "{} = {}", key(name), quoted(&sketch));
    }
    let _ = writeln!(out, "\n[{OBJECTS}]");
    for (name, operation) in &operations {
        let kind = kind(operation);
        let word = KINDS.iter().find(|(_, known)| *known == kind).map_or("names", |(word, _)| word);
        let _ = writeln!(out, "{} = {}", key(name), quoted(word));
    }
    out
}

/// What an operation's objects are. Where an earlier agent did not note it, its patterns show it.
fn kind(operation: &Operation) -> Option<ObjectKind> {
    let has_patterns = || operation.executables.values().any(|e| e.objects.shrinkable() > 0);
    operation.kind.or_else(|| has_patterns().then_some(ObjectKind::Path))
}

/// What one executable does, in order.
fn objects(does: &Executable, kind: Option<ObjectKind>) -> impl Iterator<Item = String> {
    let mut all = does.objects.patterns();
    all.sort_by(|(a, a_is_path, _), (b, b_is_path, _)| (natural(a), a_is_path).cmp(&(natural(b), b_is_path)));
    all.into_iter().map(move |(object, is_path, _)| match (is_path, is_pattern(kind, &object)) {
        (true, false) => format!("{{ {LIKE} = {} }}", quoted(&object)),
        (false, true) => format!("{{ {EXACTLY} = {} }}", quoted(&object)),
        _ => quoted(&object),
    })
}

/// A list, one entry a line, so that a comparison of two files shows which entries differ.
fn list(out: &mut String, key: &str, entries: impl Iterator<Item = String>) {
    let mut entries = entries.peekable();
    if entries.peek().is_none() {
        return;
    }
    let _ = writeln!(out, "{key} = [");
    for entry in entries {
        let _ = writeln!(out, "    {entry},");
    }
    *out += "]\n";
}

/// A key, bare where TOML allows that.
fn key(name: &str) -> String {
    let is_bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if is_bare { name.to_owned() } else { quoted(name) }
}

/// A string of TOML, safe in a terminal and in a review: whatever would hide or move text is written as its number.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            _ if matches!(render::escape(c.encode_utf8(&mut [0; 4])), std::borrow::Cow::Owned(_)) => {
                let number = u32::from(c);
                let _ = if number > 0xffff { write!(out, "\\U{number:08X}") } else { write!(out, "\\u{number:04X}") };
            }
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}
