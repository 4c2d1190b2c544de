//! The one thread that reads all rings: checks, copies, puts in order and hands on.
//!
//! It never drops (back-pressure): when the engine is busy, it stops reading, the rings fill, and each counts its drops in
//! the kernel. So a flood in one tracker does not cost another's events.

use std::{
    os::fd::OwnedFd,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, SendTimeoutError, Sender, bounded};
use ethogram_model::Event;
use libbpf_rs::{Link, MapHandle};
use rustix::{
    event::{EventfdFlags, epoll, eventfd},
    time::Timespec,
};

use super::{
    layout::Layout,
    ring::Ring,
    sample::{Sample, walk},
};
use crate::{
    Batch, Error,
    clock::{boot_ns, realtime_ns},
    counters::Outcome,
    tables::subscription::WakeRequest,
};

/// Records taken from a ring before the next one has its turn.
const TURN: usize = 2048;
/// How long the kernel may hold back a wake-up while few records wait.
pub(crate) const IDLE_WAIT: Duration = Duration::from_millis(100);
/// The same once nothing came for that long: then the first record wakes.
pub(crate) const SLEEP: Duration = Duration::from_secs(3);
/// How long to wait for records that are older than ones already read.
const ORDER_WAIT: Duration = Duration::from_millis(2);
/// How long to wait for room in the queue before looking at commands again.
const ROOM_WAIT: Duration = Duration::from_millis(10);

/// A tracker's output, for the reader.
pub(crate) struct Source {
    pub(crate) id: u64,
    pub(crate) layout: Layout,
    pub(crate) ring: Option<MapHandle>,
    pub(crate) samples: Vec<Sample>,
    /// Iterators that fill the samples.
    pub(crate) walks: Vec<Link>,
    pub(crate) interval: Duration,
    pub(crate) outcome: Arc<Outcome>,
}

enum Command {
    Add(Box<Source>, Sender<Result<(), Error>>),
    /// Takes what is left of a source, hands it on and forgets the source.
    Remove(u64, Sender<()>),
    /// Hands on all that was submitted before.
    Flush(Sender<()>),
    /// Says that it works.
    Ping(Sender<()>),
    Stop,
}

/// The reader thread. Dropping it ends the thread after what was read is handed on.
pub(crate) struct Reader {
    commands: Sender<Command>,
    wake: Arc<OwnedFd>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Reader {
    pub(crate) fn spawn(output: Sender<Batch>, wake_request: WakeRequest) -> Result<Self, Error> {
        let wake =
            eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(Error::system("making an eventfd"))?;
        let wake = Arc::new(wake);
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(Error::system("making an epoll"))?;
        epoll::add(&poll, &wake, epoll::EventData::new_u64(0), epoll::EventFlags::IN)
            .map_err(Error::system("adding to an epoll"))?;
        let (commands, received) = bounded(16);
        let waker = Arc::clone(&wake);
        let thread = thread::Builder::new()
            .name("reader".into())
            .spawn(move || {
                Loop {
                    poll,
                    wake: waker,
                    commands: received,
                    output,
                    inbox: Vec::new(),
                    held: Vec::new(),
                    sources: Vec::new(),
                    wake_request,
                    asked: None,
                    began: Instant::now(),
                }
                .run();
            })
            .map_err(|source| Error::System { doing: "starting the reader thread", source })?;
        Ok(Self { commands, wake, thread: Some(thread) })
    }

    pub(crate) fn add(&self, source: Source) -> Result<(), Error> {
        self.ask(|answer| Command::Add(Box::new(source), answer))?
    }

    pub(crate) fn remove(&self, id: u64) -> Result<(), Error> {
        self.ask(|answer| Command::Remove(id, answer))
    }

    pub(crate) fn flush(&self) -> Result<(), Error> {
        self.ask(Command::Flush)
    }

    pub(crate) fn ping(&self) -> Result<(), Error> {
        self.ask(Command::Ping)
    }

    fn ask<T>(&self, command: impl FnOnce(Sender<T>) -> Command) -> Result<T, Error> {
        let (answer, answered) = bounded(1);
        self.commands.send(command(answer)).map_err(|_| Error::ReaderGone)?;
        self.wake();
        answered.recv().map_err(|_| Error::ReaderGone)
    }

    fn wake(&self) {
        // It fails only when the counter is full, and then the thread is woken already.
        _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        _ = self.commands.send(Command::Stop);
        self.wake();
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

struct Active {
    id: u64,
    ring: Option<Ring>,
    samples: Vec<Sample>,
    walks: Vec<Link>,
    layout: Layout,
    outcome: Arc<Outcome>,
    interval: Duration,
    due: Instant,
}

struct Loop {
    poll: OwnedFd,
    wake: Arc<OwnedFd>,
    commands: Receiver<Command>,
    output: Sender<Batch>,
    /// Read, and not yet in order.
    inbox: Vec<Event>,
    /// Read already, but younger than what may still come from another ring.
    held: Vec<Event>,
    sources: Vec<Active>,
    wake_request: WakeRequest,
    /// Since when the program with the next record is asked to wake this, and nothing has come.
    asked: Option<Instant>,
    /// What the samples' times are counted from.
    began: Instant,
}

impl Active {
    /// Gives its ring one turn. Returns how many records that were.
    fn read_ring(&mut self, inbox: &mut Vec<Event>) -> usize {
        let Some(ring) = &mut self.ring else { return 0 };
        ring.read(TURN, |record| match self.layout.event(record) {
            Ok(event) => inbox.push(event),
            Err(refusal) => self.outcome.refused(refusal),
        })
    }
}

impl Loop {
    fn run(mut self) {
        loop {
            self.wait();
            while let Ok(command) = self.commands.try_recv() {
                match command {
                    Command::Add(source, answer) => _ = answer.send(self.add(*source)),
                    Command::Remove(id, answer) => {
                        self.drain_source(id);
                        self.sources.retain(|s| s.id != id);
                        _ = answer.send(());
                    }
                    Command::Flush(answer) => {
                        while self.read_rings().is_some() {
                            self.hand_on(u64::MAX);
                        }
                        self.drain_samples(|_| true);
                        self.hand_on(u64::MAX);
                        _ = answer.send(());
                    }
                    Command::Ping(answer) => _ = answer.send(()),
                    Command::Stop => return,
                }
            }
            let began = boot_ns();
            let until = self.read_rings().map_or(began, |complete| complete.min(began));
            self.ask_to_be_woken();
            let now = Instant::now();
            self.drain_samples(|due| due <= now);
            if !self.hand_on(until) {
                return;
            }
        }
    }

    fn add(&mut self, source: Source) -> Result<(), Error> {
        let ring = match &source.ring {
            None => None,
            Some(map) => {
                let ring = Ring::new(map).map_err(|source| Error::System { doing: "mapping a ring", source })?;
                epoll::add(&self.poll, &ring, epoll::EventData::new_u64(source.id), epoll::EventFlags::IN)
                    .map_err(Error::system("adding a ring to an epoll"))?;
                Some(ring)
            }
        };
        self.sources.push(Active {
            id: source.id,
            ring,
            samples: source.samples,
            walks: source.walks,
            layout: source.layout,
            outcome: source.outcome,
            due: next_due(self.began, source.interval),
            interval: source.interval,
        });
        Ok(())
    }

    /// When nothing comes. A program that had looked before, and so does not wake the reader, is done long before the first
    /// sleep ends, which is a short one.
    fn ask_to_be_woken(&mut self) {
        if !self.held.is_empty() || !self.inbox.is_empty() {
            self.asked = None;
        } else if self.asked.is_none() {
            match self.wake_request.make() {
                Ok(()) => self.asked = Some(Instant::now()),
                Err(error) => tracing::debug!("{error}; records are looked for instead"),
            }
        }
    }

    fn wait(&mut self) {
        let now = Instant::now();
        let mut timeout = if !self.held.is_empty() {
            ORDER_WAIT
        } else if self.asked.is_some_and(|since| now.duration_since(since) >= IDLE_WAIT) {
            SLEEP
        } else {
            IDLE_WAIT
        };
        for source in self.sources.iter().filter(|s| !s.samples.is_empty()) {
            timeout = timeout.min(source.due.saturating_duration_since(now));
        }
        let timeout = Timespec { tv_sec: timeout.as_secs() as _, tv_nsec: timeout.subsec_nanos() as _ };
        let mut events = Vec::with_capacity(8);
        if epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)).is_ok() {
            // The program that woke this has taken the request back, also where the record is read by a command or refused.
            if !events.is_empty() {
                self.asked = None;
            }
            let mut count = [0; 8];
            _ = rustix::io::read(&self.wake, &mut count);
        }
    }

    /// Gives each ring one turn. Where some had more than that, returns the time up to which all were read.
    fn read_rings(&mut self) -> Option<u64> {
        let mut complete: Option<u64> = None;
        for source in &mut self.sources {
            if source.read_ring(&mut self.inbox) >= TURN {
                let last = self.inbox.last().map_or(0, |e| e.time_ns);
                complete = Some(complete.map_or(last, |other| other.min(last)));
            }
        }
        complete
    }

    fn drain_source(&mut self, id: u64) {
        while self.sources.iter_mut().find(|s| s.id == id).is_some_and(|s| s.read_ring(&mut self.inbox) > 0) {
            self.hand_on(u64::MAX);
        }
        for source in self.sources.iter_mut().filter(|s| s.id == id) {
            source.due = Instant::now();
        }
        let ids: Vec<_> = self.sources.iter().map(|s| s.id == id).collect();
        for (source, wanted) in self.sources.iter_mut().zip(ids) {
            if wanted {
                drain(source, &mut self.inbox);
            }
        }
        self.hand_on(u64::MAX);
    }

    fn drain_samples(&mut self, is_due: impl Fn(Instant) -> bool) {
        let began = self.began;
        for source in self.sources.iter_mut().filter(|s| !s.samples.is_empty() && is_due(s.due)) {
            source.due = next_due(began, source.interval);
            drain(source, &mut self.inbox);
        }
    }

    /// Hands on everything up to a time, in order. Returns whether its receiver is still there.
    fn hand_on(&mut self, until: u64) -> bool {
        self.held.append(&mut self.inbox);
        self.held.sort_by_key(|event| event.time_ns);
        let ready = self.held.partition_point(|event| event.time_ns <= until);
        if ready == 0 {
            return true;
        }
        let to_epoch = realtime_ns().saturating_sub(boot_ns());
        let mut batch: Batch = self.held.drain(..ready).collect();
        for event in &mut batch {
            event.time_ns += to_epoch;
        }
        loop {
            match self.output.send_timeout(batch, ROOM_WAIT) {
                Ok(()) => return true,
                Err(SendTimeoutError::Timeout(back)) => batch = back,
                Err(SendTimeoutError::Disconnected(_)) => return false,
            }
        }
    }
}

/// All that have the same interval are due at the same time: one awakening for all.
fn next_due(began: Instant, interval: Duration) -> Instant {
    let now = Instant::now();
    let into = now.duration_since(began).as_nanos() % interval.as_nanos().max(1);
    now + interval.saturating_sub(Duration::from_nanos(u64::try_from(into).unwrap_or(0)))
}

fn drain(source: &mut Active, inbox: &mut Vec<Event>) {
    for link in &source.walks {
        if let Err(error) = walk(link) {
            tracing::warn!("{error}; the next interval tries again");
        }
    }
    for sample in &mut source.samples {
        match sample.drain(&source.layout) {
            Ok(rows) => inbox.extend(rows),
            Err(error) => tracing::warn!("reading a sample's table: {error}; the next interval has its rows"),
        }
    }
}
