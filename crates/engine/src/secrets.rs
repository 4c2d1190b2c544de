//! Values of arguments and of environment variables that look like secrets are masked before anything else sees them.
//!
//! A mask covers the secret's own characters and nothing else: options, names, quotes, and what a shell runs next stay
//! to be judged. `docs/decisions.md` says what is not promised.

mod clients;
mod finder;
mod forms;
mod names;
mod words;

#[cfg(test)]
mod tests;

use ethogram_model::Event;

use finder::Finder;
use names::is_secret_variable;

/// The field whose texts are variables and not arguments.
const ENVIRONMENT: &str = "process.environment_variables";
/// What a masked byte becomes. Lengths stay: they are part of the behaviour.
const MASK: u8 = b'*';

/// Masks secrets in all arguments and variables of an event, where they lie in its record.
pub fn mask_event(event: &mut Event) {
    let Event { schema, record, .. } = event;
    for field in schema.layout().args.iter().filter_map(|at| schema.fields.get(*at)) {
        let reference = record.get(field.offset..).and_then(|r| r.get(..4));
        let Some(&[o0, o1, l0, l1]) = reference else { continue };
        let (offset, length) = (usize::from(u16::from_le_bytes([o0, o1])), usize::from(u16::from_le_bytes([l0, l1])));
        if let Some(texts) = record.get_mut(offset..).and_then(|r| r.get_mut(..length)) {
            if field.name == ENVIRONMENT { mask_environment(texts) } else { mask(texts) }
        }
    }
}

/// Masks secrets in NUL-separated arguments, in place: what options, headers, addresses, assignments and known clients
/// hand over, also within the text that a shell runs.
pub fn mask(args: &mut [u8]) {
    let found = Finder::new(args).in_arguments();
    for secret in found {
        if let Some(secret) = args.get_mut(secret) {
            secret.fill(MASK);
        }
    }
}

/// Masks secrets in NUL-separated environment variables, in place. Stricter than [`mask`]: a variable's name is often
/// all that shows what its value is for.
pub fn mask_environment(variables: &mut [u8]) {
    for variable in variables.split_mut(|b| *b == 0) {
        match variable.iter().position(|b| *b == b'=') {
            Some(equals) if is_secret_variable(&variable[..equals]) => variable[equals + 1..].fill(MASK),
            _ => {
                let found = Finder::new(variable).in_value();
                for secret in found {
                    if let Some(secret) = variable.get_mut(secret) {
                        secret.fill(MASK);
                    }
                }
            }
        }
    }
}
