//! Which container a cgroup belongs to, and what the runtimes know of it.
//!
//! [`cgroup`] reads a container out of a cgroup's path, [`entry`] has how sure one is, [`table`] keeps the cgroups and the containers that they make up, and
//! [`runtime`] has the words in which runtimes are asked and answer. [`services`] names the host's own cgroups.

pub mod cgroup;
pub mod entry;
pub mod runtime;
pub mod services;
pub mod table;
pub mod walk;
