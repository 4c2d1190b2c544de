//! From the kernel's rings and tables to events.

pub(crate) mod layout;
pub(crate) mod reader;
pub(crate) mod ring;
pub(crate) mod sample;
