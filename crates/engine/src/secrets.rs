//! Values of arguments and of environment variables that look like secrets are masked before anything is recorded, kept or shown.
//! Rules make their tests of them before: see [`crate::masking`].
//!
//! A mask covers the secret's own characters and nothing else: options, names, quotes, and what a shell runs next stay
//! to be judged. `docs/decisions.md` says what is not promised.

mod clients;
mod finder;
mod forms;
mod names;
mod words;

#[cfg(test)]
pub(crate) mod tests;

use std::ops::Range;

use ethogram_model::Event;

use finder::Finder;
use names::is_secret_variable;

/// The field whose texts are variables and not arguments.
const ENVIRONMENT: &str = "process.environment_variables";
/// What a masked byte becomes. Lengths stay: they are part of the behaviour.
const MASK: u8 = b'*';

/// Masks secrets in all arguments and variables of an event, where they lie in its record. Returns the record as it was,
/// where there are any.
pub fn mask_event(event: &mut Event) -> Option<Box<[u8]>> {
    let Event { schema, record, .. } = event;
    let mut before = None;
    for field in schema.layout().args.iter().filter_map(|at| schema.fields.get(*at)) {
        let reference = record.get(field.offset..).and_then(|r| r.get(..4));
        let Some(&[o0, o1, l0, l1]) = reference else { continue };
        let (offset, length) = (usize::from(u16::from_le_bytes([o0, o1])), usize::from(u16::from_le_bytes([l0, l1])));
        let Some(texts) = record.get(offset..).and_then(|r| r.get(..length)) else { continue };
        let found = if field.name == ENVIRONMENT { in_environment(texts) } else { in_arguments(texts) };
        if !found.is_empty() {
            before.get_or_insert_with(|| record.clone());
            if let Some(texts) = record.get_mut(offset..).and_then(|r| r.get_mut(..length)) {
                cover(texts, found);
            }
        }
    }
    before
}

/// Masks secrets in NUL-separated arguments, in place: what options, headers, addresses, assignments and known clients
/// hand over, also within the text that a shell runs. Returns whether there were any.
pub fn mask(args: &mut [u8]) -> bool {
    let found = in_arguments(args);
    let has_secrets = !found.is_empty();
    cover(args, found);
    has_secrets
}

/// Masks secrets in NUL-separated environment variables, in place. Stricter than [`mask`]: a variable's name is often
/// all that shows what its value is for.
pub fn mask_environment(variables: &mut [u8]) {
    let found = in_environment(variables);
    cover(variables, found);
}

fn in_arguments(args: &[u8]) -> Vec<Range<usize>> {
    // The kernel ends the last one, too.
    Finder::new(args.strip_suffix(b"\0").unwrap_or(args)).in_arguments()
}

fn in_environment(variables: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for variable in variables.split(|b| *b == 0) {
        match variable.iter().position(|b| *b == b'=') {
            Some(equals) if is_secret_variable(&variable[..equals]) => {
                found.push(start + equals + 1..start + variable.len());
            }
            _ => found.extend(Finder::new(variable).in_value().into_iter().map(|r| start + r.start..start + r.end)),
        }
        start += variable.len() + 1;
    }
    found.retain(|secret| !secret.is_empty());
    found
}

fn cover(texts: &mut [u8], secrets: Vec<Range<usize>>) {
    for secret in secrets {
        if let Some(secret) = texts.get_mut(secret) {
            secret.fill(MASK);
        }
    }
}
