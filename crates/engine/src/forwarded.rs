//! A consumer that hands events on, with their context, and judges none: for `ethogram run`, `record`, and conversions.

use ethogram_model::Event;

use crate::{Consumer, Effects, EventFilter, Selection, containers::table::Lookup};

/// Hands on the events that pass a filter.
#[derive(Debug, Default)]
pub struct Forwarded {
    /// Whose events are collected.
    pub selection: Selection,
    /// Which of them are handed on; none of them without one.
    pub filter: Option<EventFilter>,
}

impl Consumer for Forwarded {
    fn collects(&mut self, lookup: &Lookup) -> Option<bool> {
        self.selection.collects(lookup)
    }

    fn take(&mut self, event: &Event, effects: &mut Effects) {
        if self.filter.as_ref().is_some_and(|filter| filter.passes(event)) {
            effects.has_rows |= event.schema.sample;
            effects.events.push(event.clone());
        }
    }

    fn tick(&mut self, _: u64, _: &mut Effects) {}
}
