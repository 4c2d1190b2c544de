//! Alerts on their way to one receiver, on disk: in order, bounded, and still there after a kill.
//!
//! The folder of a [`FramedLog`], and `position` in it: the number of the first alert that is not acknowledged. Where the
//! disk takes nothing, a few alerts wait in memory.

mod log;

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use ethogram_model::Heartbeat;
use parking_lot::{Condvar, Mutex, MutexGuard};

use self::log::Log;
use super::{counters::SinkCounters, heartbeat::Newest};
use crate::framed_log::{FramedLog, LogPosition};

/// The spool of one receiver: one thread appends, another takes what is due and acknowledges it.
pub(super) struct Spool {
    state: Mutex<State>,
    changed: Condvar,
    /// As of the last change, for those who must not wait for a disk.
    waiting: AtomicU64,
    bytes: AtomicU64,
}

struct State {
    log: Log,
    /// In memory only.
    heartbeat: Newest,
    closed: bool,
}

/// What there is to deliver.
pub(super) enum Next {
    /// The oldest alert.
    Alert(SpooledAlert),
    /// The newest heartbeat.
    Heartbeat(Arc<Heartbeat>),
    /// Nothing before the time was over.
    Nothing,
    /// Nothing, and nothing will come.
    Closed,
}

/// An alert in the spool.
pub(super) struct SpooledAlert {
    /// As it was appended.
    pub(super) text: Vec<u8>,
    number: u64,
    /// Where the next one lies on disk; none for one that waited in memory.
    next: Option<LogPosition>,
}

impl Spool {
    /// Opens the folder, and makes it if it is not there.
    pub(super) fn open(folder: &Path, max_bytes: u64) -> io::Result<Self> {
        let log = Log::open(folder, max_bytes)?;
        let (waiting, bytes) = (log.waiting().into(), log.bytes().into());
        let state = State { log, heartbeat: Newest::default(), closed: false };
        Ok(Self { state: Mutex::new(state), changed: Condvar::new(), waiting, bytes })
    }

    /// Whether a folder is one of a spool with alerts in it.
    pub(super) fn holds_something(folder: &Path) -> bool {
        FramedLog::is_in(folder)
    }

    /// Appends an alert. What has to make room for it is counted.
    pub(super) fn append(&self, alert: &[u8], counters: &SinkCounters) {
        let mut state = self.state.lock();
        state.log.append(alert, counters);
        self.publish(&state.log);
        drop(state);
        self.changed.notify_all();
    }

    /// Offers a heartbeat in place of an older one, for as long as it lasts.
    pub(super) fn offer(&self, heartbeat: Arc<Heartbeat>, lasts: Duration) {
        self.state.lock().heartbeat.put(heartbeat, lasts);
        self.changed.notify_all();
    }

    /// What there is: a heartbeat, or the oldest alert that is not acknowledged; waits for one until `until`. While the
    /// receiver `is_away`, alerts come first.
    pub(super) fn next(&self, until: Option<Instant>, is_away: bool, counters: &SinkCounters) -> Next {
        let mut state = self.state.lock();
        loop {
            let oldest = state.log.oldest(counters);
            self.publish(&state.log);
            if !state.closed
                && (oldest.is_none() || !is_away)
                && let Some(heartbeat) = state.heartbeat.take()
            {
                return Next::Heartbeat(heartbeat);
            }
            if let Some(entry) = oldest {
                return Next::Alert(entry);
            }
            if state.closed {
                return Next::Closed;
            }
            let left = until.map_or(Duration::MAX, |u| u.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Next::Nothing;
            }
            self.wait(&mut state, left);
        }
    }

    /// This alert is where it should be, or is given up.
    pub(super) fn acknowledge(&self, entry: &SpooledAlert) {
        let mut state = self.state.lock();
        state.log.acknowledge(entry);
        self.publish(&state.log);
    }

    /// Nothing will be appended any more.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Waits that long, or until the spool is closed.
    pub(super) fn pause(&self, time: Duration) {
        let end = Instant::now() + time;
        let mut state = self.state.lock();
        while !state.closed {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.wait(&mut state, left);
        }
    }

    /// Alerts that are not acknowledged.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }

    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    fn publish(&self, log: &Log) {
        self.waiting.store(log.waiting(), Relaxed);
        self.bytes.store(log.bytes(), Relaxed);
    }

    fn wait(&self, state: &mut MutexGuard<'_, State>, time: Duration) {
        // The caller waits again where it has to wait for longer than this.
        self.changed.wait_for(state, time.min(Duration::from_secs(3600)));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
