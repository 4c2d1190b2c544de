//! End-to-end tests: the real binary, the real kernel, real containers.
//!
//! They need root and a Docker daemon; `script/test` sees to both. Each makes what it needs and removes it again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod behaviour;
mod delivered;
mod doctor;
mod evasions;
mod falco;
mod first_instruction;
mod floods;
mod habits;
mod heartbeats;
mod hot;
mod identity;
mod impaired;
mod incidents;
mod metrics;
mod ordinary_life;
mod other_runtimes;
mod persistence;
mod profiles;
mod recording;
mod response;
mod rule_files;
mod rules;
mod run;
mod runtimes;
mod sandbox;
mod sinks;
mod support;
mod triage;
mod wrong_input;
