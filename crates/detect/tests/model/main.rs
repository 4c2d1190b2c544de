//! The model from the outside: events in, findings out.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod bounds;
mod bulk;
mod clock;
mod code;
mod commands;
mod files;
mod firsts;
mod habits;
mod knowing;
mod other_paths;
mod properties;
mod purpose;
mod scenarios;
#[path = "../../src/rules/tests/stopwatch.rs"]
mod stopwatch;
mod stored;
mod support;
mod visits;
mod words;
