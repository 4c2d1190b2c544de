//! The thread that applies what the engine decides: to the kernel, to the runtimes' resolver, and to an [`Outlet`]. System
//! calls and locks are here, so that the engine's thread has none.

use std::sync::Arc;

use crossbeam_channel::Receiver;
use ethogram_detect::HabitChange;
use ethogram_engine::{
    Effects,
    containers::runtime::Ask,
    effects::{self, KernelChange},
};
use ethogram_probe::{Collector, ContainerVerdict, Outcome};
use rustc_hash::FxHashMap;

/// Where findings, events and what is to be stored go.
pub(crate) trait Outlet: Send + 'static {
    /// Takes what is left of the effects once the kernel and the resolver have theirs. It must not block for long: the engine
    /// waits meanwhile once the queue is full.
    fn apply(&mut self, effects: Effects);
}

/// For who needs no output.
impl Outlet for () {
    fn apply(&mut self, _: Effects) {}
}

/// Something to be done on this thread.
pub(crate) type OutletQuestion<O> = Box<dyn FnOnce(&mut O) + Send>;

/// What this thread takes.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all of them are effects, and a box would be an allocation for each"
)]
pub(crate) enum Order<O> {
    /// What a step of the engine leads to.
    Effects(Effects),
    /// The outlet's state is asked for, or changed.
    Question(OutletQuestion<O>),
    /// The engine has ended, and nothing follows.
    Stop,
}

/// Applies effects.
pub(crate) struct Applier<O> {
    pub(crate) kernel: Kernel,
    pub(crate) asks: tokio::sync::mpsc::Sender<Ask>,
    pub(crate) outlet: O,
}

impl<O: Outlet> Applier<O> {
    /// Runs until it is stopped. Returns the outlet.
    pub(crate) fn run(mut self, orders: &Receiver<Order<O>>) -> O {
        for order in orders {
            match order {
                Order::Effects(effects) => self.apply(effects),
                Order::Question(question) => question(&mut self.outlet),
                Order::Stop => break,
            }
        }
        self.outlet
    }

    fn apply(&mut self, mut effects: Effects) {
        for ask in effects.asks.drain(..) {
            // Where the queue is full, the resolver's relist finds it all the same.
            _ = self.asks.try_send(ask);
        }
        self.kernel.apply(&effects);
        self.outlet.apply(effects);
    }
}

/// The way back to the kernel side.
pub(crate) struct Kernel {
    collector: Arc<Collector>,
    outcomes: FxHashMap<Arc<str>, Arc<Outcome>>,
}

impl Kernel {
    pub(crate) fn new(collector: Arc<Collector>) -> Self {
        Self { collector, outcomes: FxHashMap::default() }
    }

    fn apply(&mut self, effects: &Effects) {
        for change in &effects.kernel {
            self.change(*change);
        }
        for effects::Outcome { schema, delivered, filtered } in &effects.outcomes {
            if let Some(outcome) = self.outcome(&schema.tracker) {
                outcome.delivered(schema.sample, *delivered);
                outcome.filtered(schema.sample, *filtered);
            }
        }
    }

    fn change(&self, change: KernelChange) {
        match change {
            KernelChange::Filter { cgroup, verdict } => {
                let verdict = verdict.map(|verdict| match verdict {
                    effects::ContainerVerdict::Collect { workload, container } => {
                        ContainerVerdict::Collect { workload, container }
                    }
                    effects::ContainerVerdict::Filter { container } => ContainerVerdict::Filter { container },
                    effects::ContainerVerdict::Undecided(container) => ContainerVerdict::Undecided(container),
                });
                // Where the table is full, the engine goes on filtering by itself.
                _ = self.collector.set_container_filter(cgroup, verdict);
            }
            // Where there is no room, the event comes again.
            KernelChange::Ordinary(object) => _ = self.collector.set_ordinary(object),
            KernelChange::RenewOrdinary => {
                if let Err(error) = self.collector.renew_verdicts() {
                    tracing::warn!("{error}; verdicts on files go on for another minute");
                }
            }
            KernelChange::Habit(change) => {
                let done = match change {
                    // Where there is no room, it is reported all the same.
                    HabitChange::Begin(habit) => self.collector.habituate(habit).or(Ok(())),
                    HabitChange::End(habit) => self.collector.end_habit(habit),
                    HabitChange::EndAll => self.collector.renew_habits(),
                };
                if let Err(error) = done {
                    tracing::warn!("{error}; its events may go on being counted for some minutes");
                }
            }
        }
    }

    /// Where a tracker's events are counted. To find it takes the collector's lock, once.
    fn outcome(&mut self, tracker: &Arc<str>) -> Option<&Outcome> {
        if !self.outcomes.contains_key(tracker) {
            let outcome = self.collector.outcome(tracker)?;
            self.outcomes.insert(Arc::clone(tracker), outcome);
        }
        self.outcomes.get(tracker).map(|outcome| &**outcome)
    }
}
