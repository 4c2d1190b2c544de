//! The agent: everything of `ethogram` but the kernel side and the judgement.
#![forbid(unsafe_code)]

pub mod api;
pub mod cli;
pub mod config;
pub mod metrics;
pub mod nearest;
pub mod output;
pub mod sink;
pub mod store;
