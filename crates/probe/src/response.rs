//! What the kernel does on the agent's behalf: it cuts a cgroup's network, refuses what policies forbid, and kills who does it.

mod cut;
mod enforcer;
mod policy;

#[cfg(test)]
pub(crate) use self::enforcer::load_each_program;
pub use self::{
    cut::NetworkCut,
    enforcer::{Enforcement, Enforcer, Watch},
    policy::{Matcher, Policy, Ruling},
};
use crate::object::elf::Elf;

include!(concat!(env!("OUT_DIR"), "/response.rs"));
