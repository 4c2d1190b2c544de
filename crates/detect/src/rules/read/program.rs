//! The name of a program that nobody in the container has put there: what rules may excuse.

use std::borrow::Cow;

use ethogram_model::Exec;

use super::super::value::Value;
use crate::subject::system_program::{bare, name};

/// The name of a program, and the same without version and target: `x86_64-linux-gnu-gcc-12` is `gcc`, too.
pub(super) fn program(exec: &Exec) -> Value<'_> {
    let Some(name) = name(exec) else { return Value::Absent };
    let whole = Value::text(Some(name));
    match bare(name) {
        bare if bare == name => whole,
        bare => Value::Two(Box::new(whole), Box::new(Value::text(Some(bare)))),
    }
}

/// The names of several programs, of which each counts by itself.
pub(super) fn programs<'e>(all: impl Iterator<Item = &'e Exec>) -> Value<'e> {
    let names: Vec<Cow<'e, [u8]>> = all
        .filter_map(name)
        .flat_map(|name| [Some(name), Some(bare(name)).filter(|bare| *bare != name)])
        .flatten()
        .map(|name| Cow::Borrowed(name.as_bytes()))
        .collect();
    if names.is_empty() { Value::Absent } else { Value::Texts(names) }
}
