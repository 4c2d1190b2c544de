//! Reads a profile's file, and believes nothing in it.

use std::{collections::BTreeMap, ops::Range};

use ethogram_model::{
    ObjectKind,
    nearest::{nearest, suggestion},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    EXACTLY, FILE_VERSION, FileProblem, FileProblems, KINDS, LIKE, MAX_FILE_BYTES, MAX_NAME, MAX_PATTERNS,
    MAX_PROBLEMS, OBJECTS, SKETCH, UNJUDGED, UNJUDGED_WORDS, VERSION, WORKLOAD, is_pattern,
};
use crate::{
    Profile,
    channels::behaviour::peers,
    learning::Seen,
    subject::{normalise::MAX_PATH, workload::Workload},
};

/// What to do where a file is no profile at all.
const HOW_TO_GET_ONE: &str = "`ethogram profile export ID` writes a profile";

pub(super) fn file(text: &str, now_ns: u64) -> Result<Profile, FileProblems> {
    let alone = |line, what: String| FileProblems(vec![FileProblem { line, what }]);
    if text.len() > MAX_FILE_BYTES {
        return Err(alone(None, format!("it is longer than {} MiB: it is no profile", MAX_FILE_BYTES >> 20)));
    }
    if text.trim().is_empty() {
        return Err(alone(None, format!("it is empty: {HOW_TO_GET_ONE}")));
    }
    let table = DeTable::parse(text).map_err(|e| {
        let what = e.message().trim().replace('\n', ", ");
        alone(e.span().map(|span| line_of(text, span.start)), format!("it is damaged, this is no TOML: {what}"))
    })?;
    let mut reader = Reader { text, problems: Vec::new(), patterns: 0 };
    let profile = reader.profile(table.get_ref(), now_ns);
    match profile {
        Some(profile) if reader.problems.is_empty() => Ok(profile),
        _ => Err(FileProblems(reader.problems)),
    }
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes().iter().take(at).filter(|b| **b == b'\n').count()
}

/// What an object of the file says of how it is held.
enum Object<'a> {
    Pattern(&'a str),
    Name(&'a str),
}

struct Reader<'t> {
    text: &'t str,
    problems: Vec<FileProblem>,
    /// Read so far.
    patterns: usize,
}

impl Reader<'_> {
    fn wrong(&mut self, at: Range<usize>, what: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(FileProblem { line: Some(line_of(self.text, at.start)), what });
        }
    }

    fn lacks(&mut self, what: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(FileProblem { line: None, what });
        }
    }

    fn profile(&mut self, table: &DeTable<'_>, now_ns: u64) -> Option<Profile> {
        // Of a later version all else may be different.
        self.version(table)?;
        let workload = self.workload(table)?;
        let kinds = self.words(table, OBJECTS, &KINDS);
        let unjudged = self.words(table, UNJUDGED, &UNJUDGED_WORDS);
        let mut profile = Profile::new(workload, now_ns);
        for (name, value) in table.iter() {
            let operation = name.get_ref().as_ref();
            if [VERSION, WORKLOAD, OBJECTS, UNJUDGED, SKETCH].contains(&operation) {
                continue;
            }
            let Some(kind) = kinds.get(operation).copied() else {
                let known = kinds.keys().map(String::as_str).chain([WORKLOAD, OBJECTS, UNJUDGED]);
                let what = match nearest(operation, known).first() {
                    Some(meant) => format!("unknown table [{operation}], did you mean [{meant}]?"),
                    None => {
                        let words = KINDS.map(|(word, _)| format!("\"{word}\"")).join(", ");
                        format!(
                            "[{operation}] needs a line in [{OBJECTS}] that says what it is done to: one of {words}"
                        )
                    }
                };
                self.wrong(name.span(), what);
                continue;
            };
            let DeValue::Table(executables) = value.get_ref() else {
                self.wrong(
                    name.span(),
                    format!("`{operation}` must be a table: by executable, a list of what it does so to"),
                );
                continue;
            };
            self.operation(&mut profile, operation, kind, executables);
        }
        for (operation, unjudged) in unjudged {
            let entry = profile.channels.behaviour.operations.entry(operation.clone()).or_default();
            entry.kind = kinds.get(&operation).copied().flatten();
            entry.unjudged = unjudged;
        }
        self.sketches(table, &mut profile);
        if profile.channels.behaviour.operations.is_empty() && self.problems.is_empty() {
            self.lacks("it says nothing of what the workload does, and would make everything an alert".into());
        }
        // Earlier agents wrote them as they were.
        profile.channels.behaviour.rename_numbered_folders();
        profile.lifecycle.approve(now_ns);
        Some(profile)
    }

    fn version(&mut self, table: &DeTable<'_>) -> Option<()> {
        let Some((key, value)) = table.get_key_value(VERSION) else {
            self.lacks(format!("it is no profile, {VERSION} = {FILE_VERSION} is missing: {HOW_TO_GET_ONE}"));
            return None;
        };
        let version = match value.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        match version {
            Some(FILE_VERSION) => return Some(()),
            Some(later) if later > FILE_VERSION => self.wrong(
                key.span(),
                format!(
                    "it is of version {later}, this program reads up to version {FILE_VERSION}: take a newer ethogram"
                ),
            ),
            _ => self.wrong(key.span(), format!("{VERSION} must be {FILE_VERSION}")),
        }
        None
    }

    fn workload(&mut self, table: &DeTable<'_>) -> Option<Workload> {
        let keys = ["image", "digest", "command", "owner", "service"];
        let found = match table.get(WORKLOAD).map(Spanned::get_ref) {
            Some(DeValue::Table(found)) => found,
            _ => {
                self.lacks(format!("the table [{WORKLOAD}] is missing: it says of which image the profile is"));
                return None;
            }
        };
        for (key, _) in found.iter().filter(|(key, _)| !keys.contains(&key.get_ref().as_ref())) {
            let meant = suggestion(key.get_ref(), keys);
            self.wrong(key.span(), format!("unknown key `{WORKLOAD}.{}`{meant}", key.get_ref()));
        }
        let mut text = |key: &str, is_needed: bool| match found.get(key) {
            Some(value) => match value.get_ref() {
                DeValue::String(text) if text.len() <= MAX_NAME && !text.is_empty() => Some(text.to_string()),
                _ => {
                    self.wrong(value.span(), format!("{WORKLOAD}.{key} must be a text of at most {MAX_NAME} bytes"));
                    None
                }
            },
            None => {
                if is_needed {
                    self.lacks(format!("{WORKLOAD}.{key} is missing: it says of which image the profile is"));
                }
                None
            }
        };
        if found.get("service").is_some() {
            // A service of the host has no image.
            return text("service", true).map(|service| Workload::of_service(&service));
        }
        let (image, digest, owner) = (text("image", true), text("digest", true), text("owner", false));
        let mut command = Vec::new();
        if let Some(value) = found.get("command") {
            let arguments = match value.get_ref() {
                DeValue::Array(list) => list.iter().map(|a| a.get_ref().as_str().map(str::to_owned)).collect(),
                _ => None,
            };
            match arguments {
                Some(arguments) => command = arguments,
                None => self.wrong(value.span(), format!("{WORKLOAD}.command must be a list of texts")),
            }
        }
        Some(Workload::made_of(image?, digest?, command, owner))
    }

    /// A table of operations, each with one of some words.
    fn words<T: Copy>(&mut self, table: &DeTable<'_>, name: &str, words: &[(&str, T)]) -> BTreeMap<String, T> {
        let mut out = BTreeMap::new();
        let Some(value) = table.get(name) else { return out };
        let DeValue::Table(entries) = value.get_ref() else {
            self.wrong(value.span(), format!("`{name}` must be a table"));
            return out;
        };
        for (operation, value) in entries.iter() {
            let word = value.get_ref().as_str().unwrap_or_default();
            match words.iter().find(|(known, _)| *known == word) {
                Some((_, meaning)) => _ = out.insert(operation.get_ref().to_string(), *meaning),
                None => {
                    let all: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
                    self.wrong(value.span(), format!("{name}.{} must be {}", operation.get_ref(), all.join(" or ")));
                }
            }
        }
        out
    }

    /// What was seen of operations beyond their patterns.
    fn sketches(&mut self, table: &DeTable<'_>, profile: &mut Profile) {
        let Some(value) = table.get(SKETCH) else { return };
        let DeValue::Table(entries) = value.get_ref() else {
            return self.wrong(value.span(), format!("`{SKETCH}` must be a table"));
        };
        let operations = &mut profile.channels.behaviour.operations;
        for (operation, value) in entries.iter() {
            let text = value.get_ref().as_str().unwrap_or_default();
            let known = operations.get_mut(operation.get_ref().as_ref());
            if !known.is_some_and(|known| known.set_sketch(text)) {
                let name = operation.get_ref();
                self.wrong(
                    value.span(),
                    format!("{SKETCH}.{name} must be as it was exported, and `{name}` in [{UNJUDGED}]"),
                );
            }
        }
    }

    fn operation(&mut self, profile: &mut Profile, name: &str, kind: Option<ObjectKind>, executables: &DeTable<'_>) {
        for (executable, value) in executables.iter() {
            let DeValue::Array(list) = value.get_ref() else {
                self.wrong(
                    executable.span(),
                    format!("`{name}` by `{}` must be a list of texts", executable.get_ref()),
                );
                continue;
            };
            if executable.get_ref().len() > MAX_NAME {
                self.wrong(executable.span(), format!("an executable's name has at most {MAX_NAME} bytes"));
                continue;
            }
            let operation = profile.channels.behaviour.operations.entry(name.to_owned()).or_default();
            operation.kind = kind;
            let held = operation.executables.entry(executable.get_ref().to_string()).or_default();
            let mut patterns = Vec::new();
            for value in list.iter() {
                self.patterns += 1;
                if self.patterns > MAX_PATTERNS {
                    if self.patterns == MAX_PATTERNS + 1 {
                        self.wrong(
                            value.span(),
                            format!("there are more than {MAX_PATTERNS} patterns, and a profile holds no more"),
                        );
                    }
                    return;
                }
                match self.object(value, kind) {
                    Some(Object::Name(name)) => held.objects.insert_name(name, Seen::default()),
                    Some(Object::Pattern(pattern)) => {
                        held.objects.insert_pattern(pattern, Seen::default());
                        patterns.push((pattern, value.span()));
                    }
                    None => {}
                }
            }
            for (pattern, span) in patterns {
                if !held.objects.reaches(pattern) {
                    let what = format!(
                        "`{pattern}` lies where another pattern has a `*`, and is never looked at: write the `*` in it, too"
                    );
                    self.wrong(span, what);
                }
            }
        }
    }

    fn object<'v>(&mut self, value: &'v Spanned<DeValue<'_>>, kind: Option<ObjectKind>) -> Option<Object<'v>> {
        let object = match value.get_ref() {
            DeValue::String(text) if is_pattern(kind, text) => Object::Pattern(text),
            DeValue::String(text) => Object::Name(text),
            DeValue::Table(one) if one.len() == 1 && kind == Some(ObjectKind::Path) => {
                match (
                    one.get(EXACTLY).and_then(|v| v.get_ref().as_str()),
                    one.get(LIKE).and_then(|v| v.get_ref().as_str()),
                ) {
                    (Some(name), _) => Object::Name(name),
                    (_, Some(pattern)) => Object::Pattern(pattern),
                    _ => {
                        self.wrong(
                            value.span(),
                            format!("it must be a text, {{ {EXACTLY} = \"PATH\" }} or {{ {LIKE} = \"PATTERN\" }}"),
                        );
                        return None;
                    }
                }
            }
            _ => {
                self.wrong(value.span(), "what is done something to must be a text".into());
                return None;
            }
        };
        let (Object::Name(text) | Object::Pattern(text)) = &object;
        let wrong = match kind {
            Some(ObjectKind::Path | ObjectKind::SensitivePath) if text.len() > 2 * MAX_PATH => {
                Some(format!("a path has at most {} bytes", 2 * MAX_PATH))
            }
            _ if text.len() > MAX_NAME => Some(format!("a name has at most {MAX_NAME} bytes")),
            Some(ObjectKind::Port) if !peers::is_port(text) => {
                Some(format!("`{text}` is no port: it must be a number from 1 to 65535, or \"{}\"", peers::EPHEMERAL))
            }
            Some(ObjectKind::Peer) if !text.rsplit_once(':').is_some_and(|(_, port)| peers::is_port(port)) => {
                Some(format!(
                    "`{text}` is no peer: it must be ADDRESS:PORT, such as \"10.0.0.5:5432\" or \"10.0.0.0/24:5432\""
                ))
            }
            _ => None,
        };
        match wrong {
            Some(what) => {
                self.wrong(value.span(), what);
                None
            }
            None => Some(object),
        }
    }
}
