//! Heartbeats on their way to one receiver. Only the newest counts: none waits on disk, and none is sent again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ethogram_model::Heartbeat;

/// Who is due so soon gets it now, and not in a round of its own.
const TOGETHER: Duration = Duration::from_millis(100);

/// How one is written.
type Write = dyn Fn(&Heartbeat) -> Vec<u8> + Send;

/// What a receiver gets: how often, and how it is written.
pub(super) struct Heartbeats {
    every: Duration,
    write: Box<Write>,
    /// Events that were lost by the last one that the receiver got.
    lost: u64,
    failing: bool,
}

impl Heartbeats {
    pub(super) fn new(every: Duration, write: impl Fn(&Heartbeat) -> Vec<u8> + Send + 'static) -> Self {
        Self { every, write: Box::new(write), lost: 0, failing: false }
    }

    pub(super) fn schedule(&self) -> Schedule {
        Schedule { every: self.every, due: Instant::now() }
    }

    /// Has one sent, after which the next one comes in the time that `send` is given too. One that does not arrive is not
    /// tried again: the next one says more.
    pub(super) fn deliver(
        &mut self,
        sink: &str,
        heartbeat: &Heartbeat,
        send: impl FnOnce(&[u8], Duration) -> Result<(), String>,
    ) {
        let lost = heartbeat.events_lost;
        let heartbeat = Heartbeat { events_lost_since: lost.saturating_sub(self.lost), ..heartbeat.clone() };
        match send(&(self.write)(&heartbeat), self.every) {
            Ok(()) => {
                self.lost = lost;
                if std::mem::take(&mut self.failing) {
                    tracing::info!(sink, "heartbeats are delivered again");
                }
            }
            Err(why) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(sink, "a heartbeat was not delivered: {why}");
                }
            }
        }
    }
}

/// When a receiver's next one is due.
pub(super) struct Schedule {
    pub(super) every: Duration,
    pub(super) due: Instant,
}

impl Schedule {
    /// Whether it is due. Then the next one is, after the time between two.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let is_due = self.due <= now + TOGETHER;
        if is_due {
            self.due = now + self.every;
        }
        is_due
    }
}

/// The newest one that was not sent, for as long as it says what is.
#[derive(Default)]
pub(super) struct Newest(Option<(Arc<Heartbeat>, Instant)>);

impl Newest {
    pub(super) fn put(&mut self, heartbeat: Arc<Heartbeat>, lasts: Duration) {
        self.0 = Some((heartbeat, Instant::now() + lasts));
    }

    pub(super) fn take(&mut self) -> Option<Arc<Heartbeat>> {
        self.0.take().filter(|(_, until)| Instant::now() < *until).map(|(heartbeat, _)| heartbeat)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn of_several_the_newest_is_sent_and_an_old_one_is_not() {
        let mut newest = Newest::default();
        assert_eq!(newest.take(), None);
        for time_ns in [1, 2] {
            newest.put(Arc::new(Heartbeat { time_ns, ..Heartbeat::default() }), HOUR);
        }
        assert_eq!(newest.take().unwrap().time_ns, 2);
        assert_eq!(newest.take(), None, "once");
        newest.put(Arc::default(), Duration::ZERO);
        assert_eq!(newest.take(), None, "what was true then says nothing of now");
    }

    #[test]
    fn one_is_due_at_the_start_and_then_after_its_time() {
        let mut schedule = Heartbeats::new(HOUR, |_| Vec::new()).schedule();
        let now = Instant::now();
        assert!(schedule.take(now));
        assert!(!schedule.take(now + HOUR / 2));
        assert!(schedule.take(now + HOUR - TOGETHER / 2), "with those that are due now");
        assert!(!schedule.take(now + HOUR));
    }

    #[test]
    fn what_was_lost_is_counted_from_the_last_that_arrived() {
        let mut heartbeats = Heartbeats::new(HOUR, |heartbeat| heartbeat.events_lost_since.to_string().into_bytes());
        let mut sent = Vec::new();
        for (events_lost, outcome) in [(3, Ok(())), (5, Err("away")), (6, Err("no")), (10, Ok(()))] {
            heartbeats.deliver("test", &Heartbeat { events_lost, ..Heartbeat::default() }, |text, next| {
                assert_eq!(next, HOUR);
                sent.push(String::from_utf8_lossy(text).into_owned());
                outcome.map_err(str::to_owned)
            });
        }
        assert_eq!(sent, ["3", "2", "3", "7"]);
    }
}
