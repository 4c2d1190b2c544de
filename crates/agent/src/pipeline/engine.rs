//! The one thread that owns all state.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crossbeam_channel::{Receiver, select, tick};
use ethogram_model::Event;
use ethogram_probe::{Batch, Collector, Outcome, Verdict};
use rustc_hash::FxHashMap;

use super::identity::{Identified, Identity};
use crate::container::{resolver::Resolution, table::Lookup};

/// How often time-outs are looked at.
const TICK: Duration = Duration::from_millis(250);
/// Cgroups whose verdict is remembered; the kernel's own table has as many.
const MAX_DECIDED: usize = 32_768;

/// What is done with events. Everything happens on the engine's thread.
pub(crate) trait Consumer: Send + 'static {
    /// Whether the events of this cgroup are wanted at all. `None` where that cannot be told for good yet; the event
    /// at hand is not wanted then.
    fn wants(&mut self, lookup: &Lookup) -> Option<bool>;
    /// Takes an event that is wanted.
    fn take(&mut self, event: &Event);
    /// All that came at once has been taken.
    fn end_batch(&mut self) {}
    /// Time goes by: nanoseconds since the Unix epoch.
    fn tick(&mut self, now_ns: u64);
}

pub(crate) type Question<C> = Box<dyn FnOnce(&mut Engine<C>) + Send>;

/// What the engine is told besides events.
pub(crate) enum Message<C: Consumer> {
    Resolution(Resolution),
    Question(Question<C>),
    Stop,
}

/// All state.
pub(crate) struct Engine<C> {
    pub(crate) identity: Identity,
    pub(crate) consumer: C,
    collector: Arc<Collector>,
    outcomes: FxHashMap<Arc<str>, Arc<Outcome>>,
    /// What the gate was told.
    decided: FxHashMap<u64, bool>,
}

impl<C: Consumer> Engine<C> {
    pub(crate) fn new(identity: Identity, consumer: C, collector: Arc<Collector>) -> Self {
        let outcomes = collector.status().into_iter().filter_map(|s| {
            let name = Arc::clone(&s.schema.name);
            collector.outcome(&name).map(|outcome| (name, outcome))
        });
        Self { identity, consumer, outcomes: outcomes.collect(), collector, decided: FxHashMap::default() }
    }

    /// Counts what becomes of another tracker's events from now on.
    pub(crate) fn add_tracker(&mut self, name: Arc<str>, outcome: Arc<Outcome>) {
        self.outcomes.insert(name, outcome);
    }

    /// Runs until it is told to stop, and then takes all that was sent before.
    pub(crate) fn run(mut self, batches: &Receiver<Batch>, messages: &Receiver<Message<C>>) -> C {
        let ticks = tick(TICK);
        let mut ready = Vec::new();
        loop {
            select! {
                recv(batches) -> batch => match batch {
                    Ok(batch) => self.identify(batch, &mut ready),
                    Err(_) => break,
                },
                recv(messages) -> message => match message {
                    Ok(Message::Resolution(resolution)) => self.resolve(resolution, &mut ready),
                    Ok(Message::Question(question)) => question(&mut self),
                    Ok(Message::Stop) | Err(_) => break,
                },
                recv(ticks) -> _ => {
                    let now = now_ns();
                    self.identity.on_tick(now, &mut ready);
                    self.consume(&mut ready);
                    self.consumer.tick(now);
                }
            }
            self.consume(&mut ready);
        }
        for batch in batches.try_iter() {
            self.identify(batch, &mut ready);
        }
        self.finish(&mut ready)
    }

    fn identify(&mut self, batch: Batch, ready: &mut Vec<Identified>) {
        for event in batch {
            self.identity.take(event, ready);
        }
    }

    fn resolve(&mut self, resolution: Resolution, ready: &mut Vec<Identified>) {
        // A cgroup that was taken for the host's turned out to be a container's: the gate has to be asked anew.
        if let Some(change) = self.identity.on_resolution(resolution, ready)
            && change.is_new
            && self.decided.remove(&change.container.cgroup_id).is_some()
        {
            _ = self.collector.set_gate(change.container.cgroup_id, None);
        }
    }

    fn finish(mut self, ready: &mut Vec<Identified>) -> C {
        self.identity.finish(ready);
        self.consume(ready);
        self.consumer.tick(now_ns());
        self.consumer
    }

    fn consume(&mut self, ready: &mut Vec<Identified>) {
        if ready.is_empty() {
            return;
        }
        for Identified { event, cgroup, lookup } in ready.drain(..) {
            let wants = self.consumer.wants(&lookup);
            if let Some(wants) = wants {
                self.decide(cgroup, wants, &lookup);
            }
            let sample = event.schema.sample;
            let outcome = self.outcomes.get(&event.schema.tracker);
            if wants == Some(true) {
                self.consumer.take(&event);
                if let Some(outcome) = outcome {
                    outcome.delivered(sample);
                }
            } else if let Some(outcome) = outcome {
                outcome.filtered(sample);
            }
        }
        self.consumer.end_batch();
    }

    /// Tells the kernel, so that the next such event costs less.
    fn decide(&mut self, cgroup: u64, wanted: bool, lookup: &Lookup) {
        if self.decided.get(&cgroup) == Some(&wanted) || *lookup == Lookup::Unknown {
            return;
        }
        if self.decided.len() >= MAX_DECIDED {
            for cgroup in std::mem::take(&mut self.decided).into_keys() {
                _ = self.collector.set_gate(cgroup, None);
            }
        }
        let verdict = if wanted { Verdict::Wanted } else { Verdict::Unwanted };
        // Where the table is full, the agent goes on filtering by itself.
        if self.collector.set_gate(cgroup, Some(verdict)).is_ok() {
            self.decided.insert(cgroup, wanted);
        }
    }
}

/// Nanoseconds since the Unix epoch.
pub(crate) fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
}
