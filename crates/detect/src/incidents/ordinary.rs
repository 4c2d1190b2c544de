//! What would have been incidents of what is new and normal: by their scores is known which are ordinary.

use std::collections::BTreeMap;

use ethogram_model::{Event, Finding, Incident};

use super::{
    graph::Id,
    joining::{Joining, MAX_OPEN},
};
use crate::learning::Bits;

/// What is normal, joined as findings are. Nobody is shown it.
#[derive(Debug, Default)]
pub(super) struct Ordinary {
    joining: Joining,
    /// How high each scored when something came to it last.
    scores: BTreeMap<Id, Bits>,
}

impl Ordinary {
    /// Something normal that was new. How high what it belongs to scored before, where it is not the first of it, and now.
    pub(super) fn take(&mut self, finding: &Finding, event: &Event, init: Option<u32>) -> Option<(Option<Bits>, Bits)> {
        let id = self.joining.take(finding, Some(event), init, Incident::MEDIUM_BITS);
        self.joining.take_changed();
        let now = Bits::of_float(self.joining.incident(id)?.bits);
        let before = self.scores.insert(id, now);
        if self.scores.len() > 2 * MAX_OPEN {
            self.scores.retain(|id, _| self.joining.incident(*id).is_some());
        }
        Some((before, now))
    }

    pub(super) fn advance(&mut self, now_ns: u64) {
        self.joining.advance(now_ns);
        self.joining.take_changed();
    }

    pub(super) fn bytes(&self) -> usize {
        self.joining.bytes()
    }
}
