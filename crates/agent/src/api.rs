//! The HTTP API: what people and programs ask the running server.

mod backend;
mod connections;
mod listen;
mod openapi;
mod problem;
mod profiles;
mod routes;
mod rules;
mod stream;
mod token;

pub use backend::{
    AlertFilter, Answer, Backend, EventFilter, Lines, Param, ProfileState, ProfileSummary, Program, Refusal,
    TrackerStatus,
};
pub use listen::{ListenError, Listeners, Server};
pub use openapi::{OPENAPI, openapi};
pub use problem::Problem;
pub use routes::{MAX_OBJECT_BYTES, router};
pub use rules::{Accepted, RuleProblem, RuleStatus, RulesStatus};

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
pub(crate) mod tests;
