//! What runs: the reader of the rings, the engine's thread, and the thread that applies what the engine decides.
//!
//! [`launch`] starts it in the order in which nothing is missed. [`live`] feeds the engine with what happens now, [`apply`]
//! carries out its effects, [`impaired`] says what keeps it from seeing all, and everything else talks to both through a
//! [`control::Control`].

pub(crate) mod apply;
pub(crate) mod control;
mod found;
mod impaired;
mod interruption;
mod launch;
mod live;
mod periodic;

pub(crate) use apply::Outlet;
pub(crate) use control::Control;
pub(crate) use launch::{Pipeline, Plan, TrackerStart, refusal};
#[cfg(test)]
pub(crate) use live::Message;
pub(crate) use live::now_ns;
pub(crate) use periodic::found;
