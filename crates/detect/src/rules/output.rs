//! What a rule says when it fires: a text with fields in it.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::condition::{self, Term};

/// A text with fields in it.
#[derive(Debug, Default)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug)]
enum Part {
    Text(Box<str>),
    /// The place of a term, and how it is written.
    Term(usize, Box<str>),
}

impl Template {
    /// Reads `text %field text %field[argument]`. `term` gives the place of a term, or nothing for one that is wrong.
    pub(super) fn parse(text: &str, mut term: impl FnMut(&Term) -> Option<usize>) -> Self {
        let mut parts = Vec::new();
        let mut plain = String::new();
        // A star in the first place says for Falco that fields may be missing, which they may here anyway.
        let mut rest = text.trim().trim_start_matches('*');
        while let Some(at) = rest.find('%') {
            plain += &rest[..at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                plain.push('%');
                rest = after;
                continue;
            }
            let Some((found, end)) = condition::field(rest) else {
                plain.push('%');
                continue;
            };
            let written = &rest[..end];
            rest = &rest[end..];
            if let Some(place) = term(&found) {
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain).into()));
                }
                parts.push(Part::Term(place, written.into()));
            }
        }
        plain += rest;
        if !plain.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        Self(parts)
    }

    /// The text with values, and the values by the fields' names. `value` gives a term's as a text and as JSON.
    pub(super) fn fill(&self, mut value: impl FnMut(usize) -> (String, Json)) -> (String, BTreeMap<String, Json>) {
        let (mut text, mut fields) = (String::new(), BTreeMap::new());
        for part in &self.0 {
            match part {
                Part::Text(plain) => text += plain,
                Part::Term(term, name) => {
                    let (shown, json) = value(*term);
                    text += &shown;
                    fields.insert(name.to_string(), json);
                }
            }
        }
        (text, fields)
    }
}
