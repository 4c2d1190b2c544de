//! The alerts there are, newest known state of each.

mod book;
mod entry;
mod shares;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub(super) use book::{AlertBook, Unsaved};
