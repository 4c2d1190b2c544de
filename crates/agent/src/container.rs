//! What is asked of the host about containers.
//!
//! [`hierarchy`] finds the cgroups there are, [`membership`] which a process is in, and [`resolver`] asks the [`runtime`]s for names, images and labels, and has the
//! [`users`] read that a container's own files name. All of it is I/O; what is known of containers is in `ethogram_engine`.

pub(crate) mod hierarchy;
pub(crate) mod linked;
pub(crate) mod membership;
pub(crate) mod resolver;
pub(crate) mod runtime;
pub(crate) mod users;
