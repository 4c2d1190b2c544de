//! Who did it: which containers are the same workload, how programs and addresses are called, and what of a name is accidental.

pub(crate) mod names;
pub mod normalise;
pub mod program;
pub(crate) mod real_path;
pub mod system_program;
pub mod workload;
