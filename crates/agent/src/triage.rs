//! Triage: a language model is asked what it takes an incident for, where one is configured.
//!
//! It annotates and decides nothing. What it reads holds names that an attacker can choose, so that what it answers counts as
//! theirs: an annotation lies beside the incident, and neither the engine nor receivers know of it.

mod answer;
mod budget;
mod cache;
mod counters;
mod prompt;
mod shape;
mod waiting;
mod worker;

use std::{io, sync::Arc};

use ethogram_model::{Incident, Severity};
use tokio::sync::mpsc::{Sender, channel};

pub(crate) use self::{counters::Counters, shape::shape, worker::Worker};
use self::{counters::Outcome, waiting::Question};
use crate::config;

/// Incidents that may wait to be taken by the worker.
const QUEUE: usize = 256;

/// Where incidents are handed over to be triaged. It never waits.
pub(crate) struct Triager {
    queue: Sender<Question>,
    least: Severity,
    pub(crate) counters: Arc<Counters>,
}

impl Triager {
    /// What the configuration asks for, with what does the work; none where it is off. No request is made yet.
    ///
    /// # Errors
    /// If the token or the certificates cannot be read.
    pub(crate) fn configured(config: &config::Triage) -> io::Result<Option<(Self, Worker)>> {
        let Some(worker) = Worker::configured(config)? else { return Ok(None) };
        let (queue, questions) = channel(QUEUE);
        let counters = Arc::clone(&worker.counters);
        Ok(Some((Self { queue, least: config.severity, counters }, worker.taking(questions))))
    }

    /// An incident began, or became one of that shape.
    pub(crate) fn offer(&self, incident: &Arc<Incident>, shape: &str) {
        if incident.severity < self.least {
            return;
        }
        let question = Question { incident: Arc::clone(incident), shape: shape.to_owned() };
        if self.queue.try_send(question).is_err() {
            self.counters.count(Outcome::Dropped);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
