//! The agent: everything of `ethogram` but the kernel side and the judgement.
#![forbid(unsafe_code)]

pub mod api;
mod boot;
pub mod cli;
pub mod config;
mod container;
pub mod failure;
mod files;
mod framed_log;
#[cfg(fuzzing)]
pub mod fuzzing;
mod http;
mod interrupt;
pub mod metrics;
pub mod output;
mod pipeline;
mod profiles;
mod record;
pub mod refusal;
pub mod response;
mod rules;
mod sandbox;
mod server;
pub mod sink;
pub mod store;
mod threads;
mod triage;
