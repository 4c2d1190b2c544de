//! One place that alerts go to: a bounded queue, and threads of its own that take them there.
//!
//! Two for a receiver: one writes what comes to the spool, so that it waits there and not in the queue while the other
//! speaks to a receiver that is slow or away.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver as Ended, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use ethogram_model::{Heartbeat, Incident, Report, Severity, ocsf};

use super::{
    SinkError,
    backoff::Backoff,
    counters::{Reason, SinkCounters},
    heartbeat::{Heartbeats, Schedule},
    incidents::SentIncidents,
    spool::{Next, Spool},
};
use crate::{config::Deliver, metrics::SinkMetrics, threads};

/// Reports that may wait for one place's thread.
pub(super) const QUEUE: usize = 1024;

/// What a sink is given.
enum News {
    /// A report.
    Raised(Report),
    /// A finding that was reported goes on.
    Seen { uid: Arc<str>, last_seen_ns: u64 },
    /// The agent works.
    Heartbeat(Arc<Heartbeat>),
}

/// What became of an attempt to deliver.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The receiver has it.
    Delivered,
    /// The receiver will never take it.
    Refused(String),
    /// Not now, and maybe later; not before so much time has passed, if the receiver says so.
    Failed { why: String, after: Option<Duration> },
}

impl Delivery {
    pub(super) fn failed(why: impl ToString) -> Self {
        Self::Failed { why: why.to_string(), after: None }
    }
}

/// Who takes alerts to where they go, from a thread of its own.
pub(super) trait Receiver: Send + 'static {
    /// Takes an alert there. Gives up after a while, whatever the receiver does.
    fn deliver(&mut self, alert: &[u8]) -> Delivery;

    /// Takes a heartbeat there, after which the next one comes in so much time.
    fn heartbeat(&mut self, heartbeat: &[u8], _next: Duration) -> Delivery {
        self.deliver(heartbeat)
    }

    /// Sends the receiver again what is still active, if that is due.
    fn remind(&mut self) -> Delivery {
        Delivery::Delivered
    }

    /// When it is due.
    fn next_reminder(&self) -> Option<Instant> {
        None
    }
}

/// How reports are written for a receiver, and what else its writing thread does with what it is given.
pub(super) trait Encode: Send + 'static {
    /// A report as its receiver wants it.
    fn encode(&self, report: &Report) -> Vec<u8>;

    /// A finding goes on.
    fn seen(&self, _uid: &str, _last_seen_ns: u64) {}

    /// Whether it wants to know that findings go on.
    fn follows(&self) -> bool {
        false
    }
}

impl<F: Fn(&Report) -> Vec<u8> + Send + 'static> Encode for F {
    fn encode(&self, report: &Report) -> Vec<u8> {
        self(report)
    }
}

/// What a place is to be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) deliver: Deliver,
    /// The least severe of it.
    pub(super) least: Severity,
}

impl Wanted {
    pub(super) fn wants(self, finding_of: Severity) -> bool {
        self.deliver == Deliver::Findings && finding_of >= self.least
    }

    fn incidents(self) -> SentIncidents {
        SentIncidents::new((self.deliver == Deliver::Incidents).then_some(self.least))
    }
}

/// One place.
pub(super) struct Sink {
    pub(super) name: String,
    queue: SyncSender<News>,
    queued: Arc<AtomicU64>,
    wanted: Wanted,
    pub(super) incidents: SentIncidents,
    pub(super) follows: bool,
    pub(super) counters: Arc<SinkCounters>,
    spool: Option<Arc<Spool>>,
    /// None where it gets no heartbeats.
    heartbeats: Option<Schedule>,
    /// Ends once everything is where it should be, or cannot get there now.
    ended: Ended<()>,
}

impl Sink {
    /// A place that is written to directly, each report as one line: what it cannot take is lost and counted.
    pub(super) fn direct(name: &str, wanted: Wanted, to: impl Write + Send + 'static) -> Result<Self, SinkError> {
        let (queue, news) = sync_channel(QUEUE);
        let (end, ended) = sync_channel(1);
        let (counters, queued) = (Arc::new(SinkCounters::default()), Arc::new(AtomicU64::new(0)));
        let (to_count, to_leave, named) = (Arc::clone(&counters), Arc::clone(&queued), name.to_owned());
        spawn(name, move || {
            let reports = news.iter().filter_map(|news| match news {
                News::Raised(report) => Some(report),
                News::Seen { .. } | News::Heartbeat(_) => None,
            });
            let reports = reports.inspect(|_| _ = to_leave.fetch_sub(1, Relaxed));
            write_all(&named, to, reports, &to_count);
            // There may be no thread that waits for it.
            let _ = end.try_send(());
        })?;
        let (name, incidents) = (name.to_owned(), wanted.incidents());
        Ok(Self {
            name,
            queue,
            queued,
            wanted,
            incidents,
            follows: false,
            counters,
            spool: None,
            heartbeats: None,
            ended,
        })
    }

    /// A receiver, with what waits for it in a spool.
    pub(super) fn spooled(
        name: &str,
        wanted: Wanted,
        spool: Spool,
        encode: impl Encode,
        receiver: impl Receiver,
        heartbeats: Option<Heartbeats>,
    ) -> Result<Self, SinkError> {
        let schedule = heartbeats.as_ref().map(Heartbeats::schedule);
        let lasts = schedule.as_ref().map_or(Duration::ZERO, |schedule| schedule.every);
        let (queue, news) = sync_channel::<News>(QUEUE);
        let (end, ended) = sync_channel(1);
        let (counters, queued) = (Arc::new(SinkCounters::default()), Arc::new(AtomicU64::new(0)));
        let (spool, follows) = (Arc::new(spool), encode.follows());

        let (to_fill, to_count, to_leave) = (Arc::clone(&spool), Arc::clone(&counters), Arc::clone(&queued));
        let filled = end.clone();
        spawn(name, move || {
            for news in news {
                match news {
                    News::Raised(report) => {
                        to_fill.append(&encode.encode(&report), &to_count);
                        to_leave.fetch_sub(1, Relaxed);
                    }
                    News::Seen { uid, last_seen_ns } => encode.seen(&uid, last_seen_ns),
                    News::Heartbeat(heartbeat) => to_fill.offer(heartbeat, lasts),
                }
            }
            to_fill.close();
            // Before the word: who comes next opens the same folder.
            drop(to_fill);
            let _ = filled.try_send(());
        })?;
        let (to_empty, to_count, named) = (Arc::clone(&spool), Arc::clone(&counters), name.to_owned());
        spawn(name, move || {
            deliver_all(&named, &to_empty, receiver, heartbeats, &to_count);
            drop(to_empty);
            let _ = end.try_send(());
        })?;
        let (name, spool, incidents) = (name.to_owned(), Some(spool), wanted.incidents());
        Ok(Self { name, queue, queued, wanted, incidents, follows, counters, spool, heartbeats: schedule, ended })
    }

    /// Hands over a finding, if the place is to have it, without waiting.
    pub(super) fn send(&self, report: &Report) {
        if self.wanted.wants(report.severity()) && !self.enqueue(report.clone()) {
            self.counters.dropped(Reason::QueueFull, 1);
        }
    }

    /// Hands over what became of an incident, if the place is to have that, without waiting.
    pub(super) fn send_incident(&mut self, incident: &Arc<Incident>, at_ns: u64) {
        if !self.incidents.put(incident) {
            self.counters.dropped(Reason::QueueFull, 1);
        }
        self.send_waiting(at_ns);
    }

    /// Hands over what there was no room for.
    pub(super) fn send_waiting(&mut self, at_ns: u64) {
        while let Some(report) = self.incidents.next(at_ns) {
            if !self.enqueue(report.clone().into()) {
                return;
            }
            self.incidents.was_sent(&report);
        }
    }

    /// Whether there was room for it.
    fn enqueue(&self, report: Report) -> bool {
        self.queued.fetch_add(1, Relaxed);
        let taken = self.queue.try_send(News::Raised(report)).is_ok();
        if !taken {
            self.queued.fetch_sub(1, Relaxed);
        }
        taken
    }

    /// Passes on that a finding goes on. What is missed is made up for when it goes on again.
    pub(super) fn seen(&self, uid: &Arc<str>, last_seen_ns: u64) {
        let _ = self.queue.try_send(News::Seen { uid: Arc::clone(uid), last_seen_ns });
    }

    /// When the next heartbeat is due; none where it gets none.
    pub(super) fn next_heartbeat(&self) -> Option<Instant> {
        self.heartbeats.as_ref().map(|schedule| schedule.due)
    }

    /// Hands over a heartbeat, if one is due. One for which there is no room is left out.
    pub(super) fn beat(&mut self, heartbeat: &Arc<Heartbeat>, now: Instant) {
        if self.heartbeats.as_mut().is_some_and(|schedule| schedule.take(now)) {
            let _ = self.queue.try_send(News::Heartbeat(Arc::clone(heartbeat)));
        }
    }

    pub(super) fn metrics(&self) -> SinkMetrics {
        let spool = self.spool.as_deref();
        SinkMetrics {
            delivered: self.counters.all_delivered(),
            dropped: self.counters.all_dropped(),
            retries: self.counters.all_retries(),
            waiting: self.queued.load(Relaxed) + spool.map_or(0, Spool::waiting),
            spool_bytes: spool.map_or(0, Spool::bytes),
        }
    }

    /// No more will come. What is to be waited for until all that came is delivered.
    pub(super) fn close(self) -> Closed {
        Closed { name: self.name, spool: self.spool, ended: self.ended }
    }
}

/// A sink that ends.
pub(super) struct Closed {
    name: String,
    spool: Option<Arc<Spool>>,
    ended: Ended<()>,
}

impl Closed {
    pub(super) fn wait(self, deadline: Instant) {
        // Each of its threads gives a word, and is gone.
        let in_time = loop {
            match self.ended.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(()) => {}
                Err(error) => break error == RecvTimeoutError::Disconnected,
            }
        };
        let waiting = self.spool.map(|s| s.waiting());
        match waiting {
            Some(0) => {}
            Some(waiting) => {
                tracing::warn!(sink = self.name, "{waiting} alerts wait for the next start to be delivered")
            }
            None if in_time => {}
            None => tracing::warn!(sink = self.name, "some alerts could not be written before the end"),
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), SinkError> {
    threads::spawn(&format!("sink-{name}"), work).map(drop).map_err(SinkError::Thread)
}

/// Writes each report as one line. One that cannot be written is counted, and the next one tried.
fn write_all(name: &str, mut to: impl Write, reports: impl Iterator<Item = Report>, counters: &SinkCounters) {
    let mut failing = false;
    for report in reports {
        let line = format!("{}\n", ocsf::from_report(&report));
        match to.write_all(line.as_bytes()).and_then(|()| to.flush()) {
            Ok(()) => {
                failing = false;
                counters.delivered(1);
            }
            Err(error) => {
                counters.dropped(Reason::NotWritten, 1);
                if !std::mem::replace(&mut failing, true) {
                    tracing::error!(sink = name, "cannot write alerts: {error}");
                }
            }
        }
    }
}

/// Delivers what is in the spool until it is closed and empty, or closed and the receiver is away.
fn deliver_all(
    name: &str,
    spool: &Spool,
    mut receiver: impl Receiver,
    mut heartbeats: Option<Heartbeats>,
    counters: &SinkCounters,
) {
    let mut backoff = Backoff::default();
    let (mut failing, mut refusing, mut forgetting) = (false, false, false);
    loop {
        if !failing {
            match receiver.remind() {
                Delivery::Delivered => forgetting = false,
                Delivery::Refused(why) | Delivery::Failed { why, .. } => {
                    if !std::mem::replace(&mut forgetting, true) {
                        tracing::warn!(sink = name, "the receiver cannot be reminded of alerts that go on: {why}");
                    }
                }
            }
        }
        let entry = match spool.next(receiver.next_reminder(), failing, counters) {
            Next::Alert(entry) => entry,
            Next::Heartbeat(heartbeat) => {
                if let Some(heartbeats) = &mut heartbeats {
                    heartbeats.deliver(name, &heartbeat, |text, next| match receiver.heartbeat(text, next) {
                        Delivery::Delivered => Ok(()),
                        Delivery::Refused(why) | Delivery::Failed { why, .. } => Err(why),
                    });
                }
                continue;
            }
            Next::Nothing => continue,
            Next::Closed => return,
        };
        let was_closed = spool.is_closed();
        match receiver.deliver(&entry.text) {
            Delivery::Delivered => {
                spool.acknowledge(&entry);
                counters.delivered(1);
                backoff.reset();
                refusing = false;
                if std::mem::take(&mut failing) {
                    tracing::info!(sink = name, "alerts are delivered again");
                }
            }
            Delivery::Refused(why) => {
                spool.acknowledge(&entry);
                counters.dropped(Reason::Refused, 1);
                if !std::mem::replace(&mut refusing, true) {
                    tracing::error!(sink = name, "an alert was refused and is not sent again: {why}");
                }
            }
            Delivery::Failed { why, after } => {
                counters.retried();
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(sink = name, "alerts cannot be delivered now, and wait: {why}");
                }
                // They wait on disk, and for the next start.
                if was_closed {
                    return;
                }
                spool.pause(backoff.next(after));
            }
        }
    }
}
