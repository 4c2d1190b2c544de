//! Those who follow events and alerts as they happen.

use std::sync::Arc;

use ethogram_engine::EventFilter;
use ethogram_model::{Event, Finding, render};
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};

use crate::{api::AlertFilter, refusal::Refusal};

/// Followers at most, of each kind.
const MAX_FOLLOWERS: usize = 32;
/// Events that may wait for one follower: all rows of a full table, which come at once, and some more.
const QUEUE: usize = 20_480;

/// All followers.
#[derive(Default)]
pub(super) struct Streams {
    events: Vec<EventFollower>,
    alerts: Vec<(AlertFilter, Sender<Arc<Finding>>)>,
    dropped: u64,
}

/// A client that follows events.
struct EventFollower {
    filter: EventFilter,
    to: Sender<Arc<str>>,
    /// As long as it exists the engine sends on what the filter lets pass.
    _followed: Arc<()>,
}

impl Streams {
    /// Follows events, which the engine sends on as long as `followed` exists. None where there are too many followers.
    pub(super) fn follow_events(&mut self, filter: EventFilter, followed: Arc<()>) -> Option<Receiver<Arc<str>>> {
        self.events.retain(|follower| !follower.to.is_closed());
        let (to, from) = channel(QUEUE);
        let follower = EventFollower { filter, to, _followed: followed };
        (self.events.len() < MAX_FOLLOWERS).then(|| self.events.push(follower))?;
        Some(from)
    }

    /// Follows new alerts. None where there are too many followers.
    pub(super) fn follow_alerts(&mut self, filter: AlertFilter) -> Option<Receiver<Arc<Finding>>> {
        self.alerts.retain(|(_, to)| !to.is_closed());
        let (to, from) = channel(QUEUE);
        (self.alerts.len() < MAX_FOLLOWERS).then(|| self.alerts.push((filter, to)))?;
        Some(from)
    }

    /// What followers that did not keep up have missed.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Sends an event to those who follow such.
    pub(super) fn event(&mut self, event: &Event) {
        let mut line = None;
        let mut gone = false;
        for follower in &self.events {
            if !follower.filter.passes(event) {
                continue;
            }
            let line = line.get_or_insert_with(|| Arc::from(render::to_json(event).to_string()));
            match follower.to.try_send(Arc::clone(line)) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => self.dropped += 1,
                Err(TrySendError::Closed(_)) => gone = true,
            }
        }
        if gone {
            self.events.retain(|follower| !follower.to.is_closed());
        }
    }

    /// Sends an alert to those who follow such.
    pub(super) fn alert(&mut self, alert: &Arc<Finding>) {
        for (_, to) in self.alerts.iter().filter(|(filter, _)| filter.wants(alert)) {
            if let Err(TrySendError::Full(_)) = to.try_send(Arc::clone(alert)) {
                self.dropped += 1;
            }
        }
    }
}

/// There are too many followers.
pub(super) fn too_many() -> Refusal {
    Refusal::Conflict(format!("too many streams are open (limit {MAX_FOLLOWERS}): close one and try again"))
}
