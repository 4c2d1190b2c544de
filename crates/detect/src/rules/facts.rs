//! What is known besides the event at hand.

use crate::subject::names::Names;

/// What is known besides the event at hand.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The number of the event.
    pub(super) number: u64,
    pub(super) names: Names,
}
