//! The journey of an event from the reader to whoever wants it.
//!
//! One thread owns all state, the [`engine`]: which [`identity`] each cgroup and process has, and what its
//! [`engine::Consumer`] makes of the events. It is fed [`live`], or by a replay. Everything else talks to it through a
//! [`control::Control`].

pub(crate) mod control;
pub(crate) mod engine;
pub(crate) mod found;
mod gate;
pub(crate) mod identity;
mod launch;
mod live;
mod processes;
mod selection;

pub(crate) use control::Control;
pub(crate) use engine::{Consumer, Engine, Input};
pub(crate) use identity::Identity;
pub(crate) use launch::{Pipeline, Plan, Wanted, found, refusal};
pub(crate) use live::now_ns;
pub(crate) use selection::Selection;
