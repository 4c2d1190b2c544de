//! A consumer that hands events on, with their context, and judges none: for `ethogram run`, `record`, and conversions.

use std::sync::Arc;

use ethogram_detect::rules::Rules;
use ethogram_model::{Answers, Event, Exec};

use crate::{Consumer, ContainerFilter, Effects, EventFilter, containers::table::Lookup};

/// Hands on the events that pass a filter.
#[derive(Debug, Default)]
pub struct Forwarded {
    /// Whose events are collected.
    pub container_filter: ContainerFilter,
    /// Which of them are handed on; none of them without one.
    pub filter: Option<EventFilter>,
    /// Whose tests are made before secrets are masked, where events are recorded to be judged later.
    pub rules: Option<Rules>,
}

impl Consumer for Forwarded {
    fn collects(&mut self, lookup: &Lookup) -> Option<bool> {
        self.container_filter.collects(lookup)
    }

    fn take(&mut self, event: &Event, effects: &mut Effects) {
        if self.filter.as_ref().is_some_and(|filter| filter.passes(event)) {
            effects.has_rows |= event.schema.sample;
            effects.events.push(event.clone());
        }
    }

    fn answers(&mut self, plain: (&Event, &Arc<Exec>), masked: (&Event, &Arc<Exec>)) -> Option<Arc<Answers>> {
        self.rules.as_mut()?.answers(plain, masked)
    }

    fn answers_of(&mut self, plain: &Arc<Exec>, masked: &Arc<Exec>) -> Option<Arc<Answers>> {
        self.rules.as_ref()?.answers_of(plain, masked)
    }

    fn tick(&mut self, _: u64, _: &mut Effects) {}
}
