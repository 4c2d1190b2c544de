//! Between the kernel's events and a judged result: inputs in, effects out.
//!
//! An [`Engine`] takes one [`Input`] after the other and returns [`Effects`]. [`identity`] gives each event its process and its
//! container, a [`Consumer`] decides what becomes of it ([`judged`] is the one that judges), and [`collection`] works out what
//! the kernel side should filter. All that the result depends on is an input, so a [`recording`] of the inputs gives the same
//! result again. There is no clock, no I/O and no lock in this crate: its `clippy.toml` and `tests/cost.rs` hold that.
#![forbid(unsafe_code)]

pub mod collection;
pub mod concerned;
pub mod containers;
pub mod effects;
pub mod engine;
pub mod filter;
pub mod forwarded;
mod guarded;
pub mod identity;
pub mod judged;
pub mod masking;
mod processes;
pub mod recording;
pub mod secrets;
pub mod share;

pub use effects::Effects;
pub use engine::{Consumer, Engine, Input};
pub use filter::{ContainerFilter, EventFilter};
pub use forwarded::Forwarded;
pub use judged::Judged;
pub use processes::FoundProcess;
