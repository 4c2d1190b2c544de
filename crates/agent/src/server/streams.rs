//! Those who follow events, alerts and incidents as they happen.

use std::sync::Arc;

use ethogram_engine::EventFilter;
use ethogram_model::{Event, Finding, Incident, evidence, ocsf, render};
use tokio::sync::{
    OwnedSemaphorePermit, Semaphore,
    mpsc::{Receiver, Sender, channel},
};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};

use crate::{
    api::{AlertFilter, IncidentFilter},
    refusal::Refusal,
};

/// Followers at most, of each kind.
const MAX_FOLLOWERS: usize = 32;
/// Events that may wait for one follower: all rows of a full table, which come at once, and some more.
const QUEUE: usize = 20_480;
/// Bytes that may wait for one follower.
const QUEUE_BYTES: usize = 8 << 20;

/// All followers.
#[derive(Default)]
pub(super) struct Streams {
    events: Vec<EventFollower>,
    alerts: Vec<(AlertFilter, Queue<Arc<Finding>>)>,
    incidents: Vec<(IncidentFilter, Queue<Arc<Incident>>)>,
    dropped: u64,
}

/// A client that follows events.
struct EventFollower {
    filter: EventFilter,
    to: Queue<Arc<str>>,
    /// As long as it exists the engine sends on what the filter lets pass.
    _followed: Arc<()>,
}

impl Streams {
    /// Follows events, which the engine sends on as long as `followed` exists. None where there are too many followers.
    pub(super) fn follow_events(
        &mut self,
        filter: EventFilter,
        followed: Arc<()>,
    ) -> Option<impl Stream<Item = Arc<str>> + use<>> {
        self.events.retain(|follower| !follower.to.is_closed());
        let (to, from) = Queue::new(QUEUE_BYTES);
        let follower = EventFollower { filter, to, _followed: followed };
        (self.events.len() < MAX_FOLLOWERS).then(|| self.events.push(follower))?;
        Some(stream(from))
    }

    /// Follows new alerts. None where there are too many followers.
    pub(super) fn follow_alerts(&mut self, filter: AlertFilter) -> Option<impl Stream<Item = Arc<Finding>> + use<>> {
        self.alerts.retain(|(_, to)| !to.is_closed());
        let (to, from) = Queue::new(QUEUE_BYTES);
        (self.alerts.len() < MAX_FOLLOWERS).then(|| self.alerts.push((filter, to)))?;
        Some(stream(from))
    }

    /// Follows incidents as they begin, go on and end. None where there are too many followers.
    pub(super) fn follow_incidents(
        &mut self,
        filter: IncidentFilter,
    ) -> Option<impl Stream<Item = Arc<Incident>> + use<>> {
        self.incidents.retain(|(_, to)| !to.is_closed());
        let (to, from) = Queue::new(QUEUE_BYTES);
        (self.incidents.len() < MAX_FOLLOWERS).then(|| self.incidents.push((filter, to)))?;
        Some(stream(from))
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
            if follower.to.is_closed() {
                gone = true;
                continue;
            }
            let line: &Arc<str> = line.get_or_insert_with(|| Arc::from(render::to_json(event).to_string()));
            if !follower.to.push(Arc::clone(line), line.len()) {
                self.dropped += 1;
            }
        }
        if gone {
            self.events.retain(|follower| !follower.to.is_closed());
        }
    }

    /// Sends an alert to those who follow such.
    pub(super) fn alert(&mut self, alert: &Arc<Finding>) {
        let mut bytes = None;
        for (_, to) in self.alerts.iter().filter(|(filter, to)| !to.is_closed() && filter.wants(alert)) {
            let bytes = *bytes.get_or_insert_with(|| ocsf::from_finding(alert).to_string().len());
            if !to.push(Arc::clone(alert), bytes) {
                self.dropped += 1;
            }
        }
    }

    /// Sends an incident to those who follow such.
    pub(super) fn incident(&mut self, incident: &Arc<Incident>) {
        let mut bytes = None;
        for (_, to) in self.incidents.iter().filter(|(filter, to)| !to.is_closed() && filter.wants(incident)) {
            let bytes = *bytes.get_or_insert_with(|| evidence::size(&**incident));
            if !to.push(Arc::clone(incident), bytes) {
                self.dropped += 1;
            }
        }
    }
}

/// An item that waits, with the room that it takes until it is sent.
type Waiting<T> = (T, OwnedSemaphorePermit);

/// What waits for one follower, bounded in number and in bytes.
struct Queue<T> {
    to: Sender<Waiting<T>>,
    room: Arc<Semaphore>,
}

impl<T> Queue<T> {
    fn new(bytes: usize) -> (Self, Receiver<Waiting<T>>) {
        let (to, from) = channel(QUEUE);
        (Self { to, room: Arc::new(Semaphore::new(bytes)) }, from)
    }

    /// Returns whether there was room for it.
    fn push(&self, item: T, bytes: usize) -> bool {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(bytes) else { return false };
        self.to.try_send((item, room)).is_ok()
    }

    fn is_closed(&self) -> bool {
        self.to.is_closed()
    }
}

fn stream<T: Send + 'static>(from: Receiver<Waiting<T>>) -> impl Stream<Item = T> {
    ReceiverStream::new(from).map(|(item, _room)| item)
}

/// There are too many followers.
pub(super) fn too_many() -> Refusal {
    Refusal::Conflict(format!("too many streams are open (limit {MAX_FOLLOWERS}): close one and try again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_waits_is_bounded_in_bytes_and_in_number() {
        let (few, from) = Queue::new(1000);
        assert!(few.push("a", 600) && !few.push("b", 600) && few.push("c", 400), "not more than fits");
        let mut from = std::pin::pin!(stream(from));
        assert_eq!(from.next().await, Some("a"));
        assert!(few.push("d", 600), "what is sent makes room");
        assert!(!few.push("e", usize::MAX));
        let (many, _from) = Queue::new(QUEUE_BYTES);
        assert!((0..QUEUE).all(|n| many.push(n, 1)) && !many.push(QUEUE, 1));
    }
}
