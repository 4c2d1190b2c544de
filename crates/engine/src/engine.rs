//! What the engine takes, all its state, and the one step that changes it: the same inputs in the same order give the same result.
//!
//! An [`Input`] is also an entry of a recording: serialised it is one, and read back it is the input again. So a new kind of input
//! is a variant and an arm here, and a line where it comes from.

use std::sync::Arc;

use ethogram_detect::{Decision, HabitChange, HabitCount, Impairment};
use ethogram_model::{Answers, Container, Event, Exec, Users};
use serde::{Deserialize, Serialize};

use crate::{
    Effects, FoundProcess,
    collection::Collection,
    concerned::Concerned,
    containers::{runtime::Resolution, table::Lookup},
    effects::KernelChange,
    guarded::{GuardedFiles, HOST},
    identity::{Identified, Identity},
    share::Share,
};

/// Rows of a list in one input. A longer list comes in several, so that an entry of a recording has a bounded size.
const ROWS: usize = 256;

/// All that the engine's result depends on. Times are nanoseconds since the Unix epoch.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Events in the order of their times. A recording has their records as they are: see [`crate::recording`].
    #[serde(skip)]
    Events(Vec<Event>),
    /// Some of the cgroups of the walk that follows: id, and absolute path within the hierarchy.
    Cgroups(Vec<(u64, String)>),
    /// Which of them belong to other users than root: id, and the user.
    Owners(Vec<(u64, u32)>),
    /// A walk of the hierarchy is complete.
    Walk {
        /// Whether some of its cgroups are missing.
        cut: bool,
        /// When it began.
        started_ns: u64,
        /// When it was over.
        now_ns: u64,
    },
    /// Processes that ran before their trackers were attached.
    Processes(Vec<FoundProcess>),
    /// What a runtime answered about a container.
    Resolution(Resolution),
    /// The names of users and groups on the host.
    Users(Arc<Users>),
    /// What the kernel has counted of habits since the last time.
    Habits(Vec<HabitCount>),
    /// Events were lost since the last time. Recordings of older agents have it; [`Input::Impaired`] says which.
    Lost,
    /// Something impaired the agent: it lost events, did not run, could not identify a container.
    Impaired(Impairment),
    /// Time goes by.
    Tick(u64),
    /// Nothing more comes: what waits for a container's name goes on without.
    End(u64),
    /// A person decided how events are judged from here on.
    Decision(Decision),
}

/// What becomes of events. [`crate::Judged`] judges them, [`crate::Forwarded`] hands them on.
pub trait Consumer: Send + 'static {
    /// Whether the events of this cgroup are collected at all. `None` where that is not known for good yet; the event
    /// at hand is not collected then.
    fn collects(&mut self, lookup: &Lookup) -> Option<bool>;
    /// Takes an event that is collected.
    fn take(&mut self, event: &Event, effects: &mut Effects);
    /// What tests give of an event and its program before secrets are masked, where they give something else afterwards.
    fn answers(&mut self, _: (&Event, &Arc<Exec>), _: (&Event, &Arc<Exec>)) -> Option<Arc<Answers>> {
        None
    }
    /// The same of a program that ran before.
    fn answers_of(&mut self, _: &Arc<Exec>, _: &Arc<Exec>) -> Option<Arc<Answers>> {
        None
    }
    /// Whether the event is of no use because of what it is about, and so is any other about the same.
    fn is_ordinary(&mut self, _: &Event) -> bool {
        false
    }
    /// Takes a person's decision on how events are judged.
    fn decide(&mut self, _: Decision, _: &mut Effects) {}
    /// Takes what the kernel has counted of habits.
    fn count_habits(&mut self, _: &[HabitCount]) {}
    /// What the kernel is to do about habits since the last call, in this order.
    fn take_habit_changes(&mut self) -> Vec<HabitChange> {
        Vec::new()
    }
    /// Events were lost since the last time.
    fn note_loss(&mut self) {}
    /// Something impaired the agent.
    fn impaired(&mut self, _: &Impairment, _: &mut Effects) {}
    /// Time goes by: nanoseconds since the Unix epoch.
    fn tick(&mut self, now_ns: u64, effects: &mut Effects);
    /// The end: what is still to be stored.
    fn finish(&mut self, _: &mut Effects) {}
}

/// All state.
pub struct Engine<C> {
    /// Who each event's process and container are.
    pub identity: Identity,
    /// What becomes of events.
    pub consumer: C,
    /// None where events come from a recording.
    collection: Option<Collection>,
    /// Files that are guarded by whatever name.
    guarded: GuardedFiles,
    /// Kept for its memory; empty between two steps.
    ready: Vec<Identified>,
}

impl<C: Consumer> Engine<C> {
    /// An engine whose events come from the kernel, or, with no `collection`, from a recording.
    pub fn new(identity: Identity, consumer: C, collection: Option<Collection>) -> Self {
        Self { identity, consumer, collection, guarded: GuardedFiles::default(), ready: Vec::new() }
    }

    /// Takes what comes next, and returns what that leads to.
    pub fn step(&mut self, input: Input) -> Effects {
        let mut effects = Effects::default();
        let (ready, asks) = (&mut self.ready, &mut effects.asks);
        let mut now = None;
        match input {
            Input::Events(batch) => {
                for event in batch {
                    self.identity.take(event, ready, asks);
                }
            }
            Input::Resolution(Resolution::Linked { cgroup, files }) => {
                let container = if cgroup.is_empty() { Some(HOST) } else { self.identity.containers.at(&cgroup) };
                let is_new = container.is_some_and(|container| self.guarded.look_up(container, files));
                if let Some(collection) = self.collection.as_mut().filter(|_| is_new) {
                    collection.renew_soon();
                }
            }
            Input::Resolution(resolution) => {
                if let Some(change) = self.identity.on_resolution(resolution, ready) {
                    // A cgroup taken for the host's turned out to be a container's: the kernel has to ask anew.
                    if change.is_new
                        && let Some(collection) = &mut self.collection
                    {
                        collection.forget(change.container.cgroup_id, &mut effects.kernel);
                    }
                    if let Some(collection) = &mut self.collection {
                        collection.reconsider(&change.container, &mut effects.kernel);
                    }
                    effects.containers.push(change.container);
                }
            }
            Input::Cgroups(some) => self.identity.on_cgroups(some),
            Input::Owners(some) => self.identity.on_owners(some),
            Input::Walk { cut, started_ns, now_ns } => self.identity.on_walk(cut, started_ns, now_ns, asks),
            Input::Processes(found) => self.identity.adopt(found),
            Input::Decision(decision) => {
                // What was of no use may be of use now.
                if let (Decision::Rules(..), Some(collection)) = (&decision, &mut self.collection) {
                    collection.renew(&mut effects.kernel);
                }
                self.consumer.decide(decision, &mut effects);
            }
            Input::Users(users) => self.identity.host_users = Some(users),
            Input::Habits(counts) => self.consumer.count_habits(&counts),
            Input::Lost => self.consumer.note_loss(),
            Input::Impaired(impairment) => self.consumer.impaired(&impairment, &mut effects),
            Input::Tick(now_ns) => {
                self.identity.on_tick(now_ns, ready);
                let containers = &self.identity.containers;
                self.guarded.retain(|container| containers.described(container).is_some());
                if let Some(collection) = &mut self.collection {
                    collection.on_tick(now_ns, &mut effects.kernel);
                }
                now = Some(now_ns);
            }
            Input::End(now_ns) => {
                self.identity.finish(ready);
                now = Some(now_ns);
            }
        }
        effects.containers.extend(self.identity.take_created());
        for cgroup in self.identity.take_arrived() {
            if let Some(collection) = &mut self.collection {
                collection.arrived(cgroup, &mut effects.kernel);
            }
        }
        self.consume(&mut effects);
        if let Some(now_ns) = now {
            self.consumer.tick(now_ns, &mut effects);
        }
        let habits = self.consumer.take_habit_changes();
        // A recording has it already what followed from that.
        if self.collection.is_some() {
            effects.kernel.extend(habits.into_iter().map(KernelChange::Habit));
        }
        effects
    }

    /// Ends it. Returns the consumer, and what is still to be stored.
    pub fn finish(mut self) -> (C, Effects) {
        let mut effects = Effects::default();
        self.consumer.finish(&mut effects);
        (self.consumer, effects)
    }

    /// The containers there are, in no order.
    pub fn containers(&self) -> impl Iterator<Item = &Arc<Container>> {
        self.identity.containers.containers()
    }

    /// Whom losses since the last call concern. It changes no result.
    pub fn take_concerned(&mut self) -> Concerned {
        let mut concerned = self.identity.take_concerned();
        let senders = self.collection.as_mut().map(|collection| collection.senders.take()).unwrap_or_default();
        let named = |(container, percent)| (self.identity.name(&Share::Container(container)), percent);
        concerned.senders =
            senders.into_iter().map(|(tracker, all)| (tracker, all.into_iter().map(named).collect())).collect();
        concerned
    }

    fn consume(&mut self, effects: &mut Effects) {
        for Identified { mut event, cgroup, lookup } in self.ready.drain(..) {
            let collects = self.consumer.collects(&lookup);
            let is_collected = collects == Some(true);
            let container = match &lookup {
                Lookup::Container(container) => container.cgroup_id,
                Lookup::Host => HOST,
                Lookup::Unknown => cgroup,
            };
            if is_collected {
                if self.guarded.meet(container, &mut event)
                    && let Some(collection) = &mut self.collection
                {
                    collection.renew_soon();
                }
                self.consumer.take(&event, effects);
            }
            let Some(collection) = &mut self.collection else { continue };
            if let Some(collects) = collects {
                collection.filter(cgroup, collects, &lookup, &mut effects.kernel);
            }
            if is_collected
                && let Some(object) = event.object()
                && (collection.is_ordinary(object) || self.consumer.is_ordinary(&event))
            {
                collection.on_ordinary(object, &mut effects.kernel);
            }
            collection.count(&event.schema, is_collected);
            collection.senders.note(&event.schema.tracker, container);
        }
        if let Some(collection) = &mut self.collection {
            effects.outcomes = collection.take_outcomes();
        }
    }
}

impl Input {
    /// A list as inputs of a bounded size: `Input::rows(counts, Input::Habits)`.
    pub fn rows<T>(list: Vec<T>, make: fn(Vec<T>) -> Input) -> impl Iterator<Item = Input> {
        let mut rest = list.into_iter();
        std::iter::from_fn(move || {
            let some: Vec<T> = rest.by_ref().take(ROWS).collect();
            (!some.is_empty()).then(|| make(some))
        })
    }

    /// When the first and the last of it happened, where it says so.
    pub fn span_ns(&self) -> Option<(u64, u64)> {
        match self {
            Self::Events(batch) => Some((batch.first()?.time_ns, batch.last()?.time_ns)),
            Self::Impaired(impairment) => Some((impairment.from_ns, impairment.until_ns)),
            Self::Walk { now_ns, .. } | Self::Tick(now_ns) | Self::End(now_ns) => Some((*now_ns, *now_ns)),
            _ => None,
        }
    }
}
