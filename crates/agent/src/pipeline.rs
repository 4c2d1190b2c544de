//! The journey of an event from the reader to whoever wants it.
//!
//! One thread, the [`engine`], owns all state: which [`identity`] each cgroup and process has, and what its
//! [`engine::Consumer`] makes of the events. Everything else talks to it through a [`control::Control`].

pub(crate) mod control;
pub(crate) mod engine;
pub(crate) mod identity;
mod launch;
pub(crate) mod processes;

pub(crate) use control::Control;
pub(crate) use engine::{Consumer, Engine};
pub(crate) use launch::{Pipeline, Plan, Wanted, found, refusal};
