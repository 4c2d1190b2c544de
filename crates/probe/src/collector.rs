//! Trackers as they start and stop while everything else goes on.

mod verdicts;

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, OnceLock},
};

use crossbeam_channel::Sender;
use ethogram_model::{TrackerSchema, nearest::nearest, schema::Role};
use parking_lot::{Mutex, RwLock};

use crate::{
    Batch, Counters, Error, Settings, Start, TrackerObject, TrackerStatus,
    counters::Outcome,
    kernel::{check_kernel, types::KernelTypes},
    object::{
        dispatcher::Dispatcher,
        load::{self, Environment},
        loaded::Loaded,
    },
    read::reader::{Reader, Source},
    tables::{ChangedTable, Tables, subscription::Subscription},
    tracker::{Running, Tracker},
};

/// All trackers. Safe to share: starting one takes no lock that an event needs.
pub struct Collector {
    settings: Settings,
    tables: Tables,
    dispatcher: Dispatcher,
    reader: Reader,
    /// What the known trackers' programs may read of the kernel; made when the first one starts.
    types: OnceLock<Option<KernelTypes>>,
    type_names: HashSet<String>,
    /// Each has a lock of its own: several can be loaded at the same time.
    trackers: RwLock<BTreeMap<String, Arc<Mutex<Tracker>>>>,
}

impl Collector {
    /// Knows `trackers`, runs none of them yet, and hands events to `output`.
    ///
    /// # Errors
    /// Where this kernel or these privileges cannot run trackers at all.
    pub fn new(settings: Settings, trackers: Vec<TrackerObject>, output: Sender<Batch>) -> Result<Self, Error> {
        check_kernel()?;
        let type_names = trackers.iter().flat_map(|t| &t.type_names).cloned().collect();
        let tables = Tables::new()?;
        let known = |object: TrackerObject| {
            (object.schema.name.to_string(), Tracker::shared(object, tables.subscriptions.place()))
        };
        let trackers = RwLock::new(trackers.into_iter().map(known).collect());
        let (dispatcher, reader) = (Dispatcher::new()?, Reader::spawn(output, tables.subscriptions.wake_request()?)?);
        Ok(Self { settings, tables, dispatcher, reader, types: OnceLock::new(), type_names, trackers })
    }

    /// Adds a tracker, or gives a known one another object. One that runs is replaced: its programs are loaded before
    /// the old ones are detached, so only its own events pause, for the time that attaching takes.
    ///
    /// # Errors
    /// Where it runs and the new object cannot; the old one goes on then.
    pub fn put(&self, object: TrackerObject) -> Result<TrackerStatus, Error> {
        let name = object.schema.name.to_string();
        let mut trackers = self.trackers.write();
        let Some(known) = trackers.get(&name).cloned() else {
            let tracker = Tracker::shared(object, self.tables.subscriptions.place());
            let status = tracker.lock().status();
            trackers.insert(name, tracker);
            return Ok(status);
        };
        drop(trackers);
        let mut tracker = known.lock();
        if tracker.running.is_some() {
            let start = tracker.start.clone();
            self.run(&mut tracker, object, start)?;
        } else {
            tracker.object = object;
        }
        Ok(tracker.status())
    }

    /// Starts a tracker.
    ///
    /// # Errors
    /// Where there is none of that name, it runs already, a parameter does not fit, or the kernel refuses it.
    pub fn start(&self, name: &str, start: Start) -> Result<TrackerStatus, Error> {
        let known = self.known(name)?;
        let mut tracker = known.lock();
        if tracker.running.is_some() {
            return Err(Error::Running(name.into()));
        }
        let object = tracker.object.clone();
        if let Err(error) = self.run(&mut tracker, object, start) {
            if error.is_unsupported() {
                tracker.refused = Some(error.to_string());
            }
            return Err(error);
        }
        Ok(tracker.status())
    }

    /// Starts several trackers, on all CPUs and the first ones first. Returns the result of each, in the same order; `report`
    /// is called for each at once, with its place and whether it runs.
    pub fn start_all(
        &self,
        wanted: Vec<(String, Start)>,
        report: impl Fn(usize, bool) + Sync,
    ) -> Vec<(String, Result<TrackerStatus, Error>)> {
        let workers = std::thread::available_parallelism().map_or(1, |n| n.get()).min(wanted.len());
        let queue = Mutex::new(wanted.into_iter().enumerate());
        let done = Mutex::new(Vec::new());
        let work = || {
            // The queue is locked for as long as taking one from it lasts, and not while that one starts.
            let next = || queue.lock().next();
            while let Some((index, (name, start))) = next() {
                let result = self.start(&name, start);
                report(index, result.is_ok());
                done.lock().push((index, name, result));
            }
        };
        std::thread::scope(|threads| (0..workers).for_each(|_| _ = threads.spawn(work)));
        let mut done = done.into_inner();
        done.sort_by_key(|(index, ..)| *index);
        done.into_iter().map(|(_, name, result)| (name, result)).collect()
    }

    /// Stops a tracker: detaches its programs, hands on what they had sent, and keeps its counts.
    ///
    /// # Errors
    /// Where there is none of that name, or it does not run.
    pub fn stop(&self, name: &str) -> Result<TrackerStatus, Error> {
        let known = self.known(name)?;
        let mut tracker = known.lock();
        let running = tracker.running.take().ok_or_else(|| Error::NotRunning(name.into()))?;
        tracker.before += &self.end(running)?;
        self.forget_lineages_of(&tracker)?;
        Ok(tracker.status())
    }

    /// Detaches the programs of these trackers, which takes milliseconds, and keeps everything else: tables, counts,
    /// parameters. A tracker that is paused stays so.
    ///
    /// # Errors
    /// Where one of them is not known or does not run; those before it are paused then.
    pub fn pause(&self, names: &[String]) -> Result<(), Error> {
        self.each_running(names, |tracker| {
            if let Some(running) = tracker.running.as_mut().filter(|running| !running.attached.is_paused()) {
                running.attached.pause();
            }
            self.forget_lineages_of(tracker)
        })
    }

    /// Attaches the programs of paused trackers again. One that is not paused goes on.
    ///
    /// # Errors
    /// Where one of them is not known or does not run, or the kernel refuses what it had accepted before.
    pub fn resume(&self, names: &[String]) -> Result<(), Error> {
        self.each_running(names, |tracker| {
            let keeps_lineages = keeps_lineages(tracker);
            match tracker.running.as_mut().filter(|running| running.attached.is_paused()) {
                Some(running) => match running.attached.resume(&running.object) {
                    Ok(()) if keeps_lineages => running.attached.walk_again(),
                    Ok(()) => Ok(()),
                    Err(_) => self.reload(tracker),
                },
                None => Ok(()),
            }
        })
    }

    /// Says which of a tracker's events are subscribed to. Programs that are for none of them are detached, and attached again
    /// when that changes. Nothing happens where it does not run.
    ///
    /// # Errors
    /// Where there is none of that name, or the kernel refuses what it had accepted before.
    pub fn set_subscription(&self, name: &str, subscription: Subscription) -> Result<(), Error> {
        let known = self.known(name)?;
        let mut tracker = known.lock();
        let Tracker { object, start, running, place, .. } = &mut *tracker;
        let Some(running) = running.as_mut().filter(|_| start.subscription != subscription) else { return Ok(()) };
        self.tables.subscriptions.set(*place, &object.schema, &subscription)?;
        start.subscription = subscription.clone();
        let subscribed = running
            .attached
            .set_subscription(&running.object, subscription, || load::forget(&running.object, &self.tables));
        let is_idle = running.attached.is_idle();
        if is_idle {
            self.forget_lineages_of(&tracker)?;
        }
        subscribed.or_else(|_| self.reload(&mut tracker))
    }

    /// Loads a running tracker anew, and attaches it. Kernels before 5.13 attach a program to a function once in its life.
    fn reload(&self, tracker: &mut Tracker) -> Result<(), Error> {
        let (object, start) = (tracker.object.clone(), tracker.start.clone());
        self.run(tracker, object, start)
    }

    /// A tracker that keeps lineages does not read processes any more, or not yet.
    fn forget_lineages_of(&self, tracker: &Tracker) -> Result<(), Error> {
        if keeps_lineages(tracker) { self.tables.subscriptions.forget_lineages() } else { Ok(()) }
    }

    fn each_running(&self, names: &[String], act: impl Fn(&mut Tracker) -> Result<(), Error>) -> Result<(), Error> {
        for name in names {
            let known = self.known(name)?;
            let mut tracker = known.lock();
            if tracker.running.is_none() {
                return Err(Error::NotRunning(name.clone()));
            }
            act(&mut tracker)?;
        }
        Ok(())
    }

    /// Stops every tracker.
    ///
    /// # Errors
    /// Where the reader thread has ended.
    pub fn stop_all(&self) -> Result<(), Error> {
        for tracker in self.all() {
            let mut tracker = tracker.lock();
            if let Some(running) = tracker.running.take() {
                tracker.before += &self.end(running)?;
            }
        }
        Ok(())
    }

    /// All trackers as they stand, by name.
    pub fn status(&self) -> Vec<TrackerStatus> {
        self.all().iter().map(|tracker| tracker.lock().status()).collect()
    }

    /// Events that trackers of those schemas have dropped so far, but for those that no program ran for. Cheaper than
    /// [`Collector::status`], which has these too.
    pub fn dropped(&self, of: impl Fn(&TrackerSchema) -> bool) -> u64 {
        let all = self.all();
        all.iter().map(|tracker| tracker.lock()).filter(|t| of(&t.object.schema)).map(|t| t.dropped()).sum()
    }

    /// Writes back what other processes have changed in the tables by which the kernel side leaves things out, and gives
    /// what that was.
    ///
    /// # Errors
    /// Where the kernel does not let it read a table of its own.
    pub fn restore_tables(&self) -> Result<Vec<ChangedTable>, Error> {
        self.tables.restore()
    }

    /// The object that a tracker is started from.
    pub fn object(&self, name: &str) -> Option<TrackerObject> {
        self.known(name).ok().map(|t| t.lock().object.clone())
    }

    /// Where to count what became of a tracker's events. It stays the same as long as the collector lives.
    pub fn outcome(&self, name: &str) -> Option<Arc<Outcome>> {
        self.known(name).ok().map(|t| Arc::clone(&t.lock().outcome))
    }

    /// Hands on everything that was sent before this call.
    ///
    /// # Errors
    /// Where the reader thread has ended.
    pub fn flush(&self) -> Result<(), Error> {
        self.reader.flush()
    }

    /// Waits until the thread that reads the rings has answered. It does not while it hangs, or waits for room in its output.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn ping(&self) -> Result<(), Error> {
        self.reader.ping()
    }

    fn run(&self, tracker: &mut Tracker, object: TrackerObject, start: Start) -> Result<(), Error> {
        let ring_bytes = self.ring_bytes(object.manifest.busy);
        let environment = Environment {
            tables: &self.tables,
            place: tracker.place,
            dispatcher: &self.dispatcher,
            types: self.types.get_or_init(|| KernelTypes::of(self.type_names.clone())).as_ref(),
            filters_containers: start.filters_containers,
            controller: self.settings.controller,
            hierarchy: self.settings.hierarchy,
            wakeup_bytes: if start.urgent { 0 } else { ring_bytes / 4 },
            ring_bytes,
            avoid: &self.settings.avoid,
        };
        self.tables.subscriptions.set(tracker.place, &object.schema, &start.subscription)?;
        let keeps_lineages = object.schema.role == Some(Role::Lineage);
        let forget_lineages = || if keeps_lineages { self.tables.subscriptions.forget_lineages() } else { Ok(()) };
        let mut old = tracker.running.take();
        let (mut ended, mut lost) = (Counters::default(), None);
        let started =
            load::start(&object, &start.params, (&start.subscription, start.high_overhead), environment, || {
                if let Some(old) = old.take() {
                    match self.end(old).and_then(|ended| forget_lineages().map(|()| ended)) {
                        Ok(counters) => ended = counters,
                        Err(error) => lost = Some(error),
                    }
                }
            });
        tracker.before += &ended;
        // Where the new one did not even load, the old one goes on.
        tracker.running = old;
        let (loaded, mut attached) = started?;
        if let Some(error) = lost {
            return Err(error);
        }
        let Loaded { object: kernel_object, layout, ring, samples, counters, .. } = loaded;
        let id = next_id();
        let outcome = Arc::clone(&tracker.outcome);
        let walks = std::mem::take(&mut attached.walks);
        self.reader.add(Source { id, layout, ring, samples, walks, interval: start.interval, outcome })?;
        tracker.running = Some(Running { id, attached, counters, object: kernel_object });
        tracker.object = object;
        tracker.start = start;
        tracker.refused = None;
        Ok(())
    }

    fn end(&self, running: Running) -> Result<Counters, Error> {
        let Running { id, attached, counters, object: _object } = running;
        let missed = attached.missed();
        drop(attached);
        // Programs that were running when they were detached end within this: it waits for every CPU to have passed
        // a point at which none can run. Where the call is missing, draining twice has to do.
        _ = rustix::thread::membarrier(rustix::thread::MembarrierCommand::Global);
        self.reader.remove(id)?;
        Ok(counters.read(missed))
    }

    fn ring_bytes(&self, busy: bool) -> u32 {
        let bytes = if busy { self.settings.ring_bytes } else { self.settings.ring_bytes / 8 };
        let page = u32::try_from(rustix::param::page_size()).unwrap_or(1 << 16);
        bytes.clamp(page, 1 << 30).next_power_of_two()
    }

    fn all(&self) -> Vec<Arc<Mutex<Tracker>>> {
        self.trackers.read().values().cloned().collect()
    }

    fn known(&self, name: &str) -> Result<Arc<Mutex<Tracker>>, Error> {
        let trackers = self.trackers.read();
        trackers.get(name).cloned().ok_or_else(|| {
            let known: Vec<_> = trackers.keys().cloned().collect();
            let near = nearest(name, &known);
            Error::UnknownTracker { name: name.into(), near, known }
        })
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        _ = self.stop_all();
    }
}

/// Whether it says which program each process runs.
fn keeps_lineages(tracker: &Tracker) -> bool {
    tracker.object.schema.role == Some(Role::Lineage)
}

fn next_id() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}
