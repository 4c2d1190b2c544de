//! Which container a cgroup belongs to, and what the runtimes say of it.
//!
//! [`hierarchy`] finds the cgroups there are, [`cgroup`] reads a container out of a cgroup's path, [`table`] keeps both
//! for the engine's thread, and [`resolver`] asks the [`runtime`]s for names, images and labels, and has the [`users`] read
//! that a container's own files name. Only the last three do I/O, off that thread; the table takes time as an argument and
//! needs neither lock nor clock.

pub(crate) mod cgroup;
pub(crate) mod hierarchy;
pub(crate) mod resolver;
pub(crate) mod runtime;
pub(crate) mod services;
pub(crate) mod table;
pub(crate) mod users;
