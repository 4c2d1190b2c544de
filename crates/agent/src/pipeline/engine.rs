//! All state, and the one step that changes it. Live or from a recording, what goes in is an [`Input`]: the same inputs
//! in the same order give the same result, as there is no clock and no I/O in it.

use std::sync::Arc;

use ethogram_detect::{Decision, HabitChange, HabitCount};
use ethogram_model::{Container, Event, Users};
use ethogram_probe::Batch;

use super::{
    found::Found,
    gate::Gate,
    identity::{Identified, Identity},
};
use crate::container::{hierarchy::Walk, resolver::Resolution, table::Lookup};

/// What is done with events. Everything happens on the engine's thread.
pub(crate) trait Consumer: Send + 'static {
    /// Whether the events of this cgroup are wanted at all. `None` where that cannot be told for good yet; the event
    /// at hand is not wanted then.
    fn wants(&mut self, lookup: &Lookup) -> Option<bool>;
    /// Takes an event that is wanted.
    fn take(&mut self, event: &Event);
    /// Whether nobody has any use for the event because of what it is about, and so for none like it.
    fn is_ordinary(&mut self, _: &Event) -> bool {
        false
    }
    /// Takes what somebody decided of how events are judged.
    fn decide(&mut self, _: Decision) {}
    /// Takes what the kernel has counted of habits.
    fn count_habits(&mut self, _: &[HabitCount]) {}
    /// What the kernel is to do about habits since the last call, in this order.
    fn take_habit_changes(&mut self) -> Vec<HabitChange> {
        Vec::new()
    }
    /// A runtime has told of a container.
    fn meet(&mut self, _: &Arc<Container>) {}
    /// Events were lost of late.
    fn note_loss(&mut self) {}
    /// All that came at once has been taken.
    fn end_batch(&mut self) {}
    /// Time goes by: nanoseconds since the Unix epoch.
    fn tick(&mut self, now_ns: u64);
}

/// All that the engine's result depends on. Times are nanoseconds since the Unix epoch.
#[derive(Debug)]
pub(crate) enum Input {
    /// What the reader handed on, in the order of its times.
    Events(Batch),
    /// What a runtime said of a container.
    Resolution(Resolution),
    /// The cgroups that a walk of the hierarchy found.
    Walk {
        /// What it found.
        walk: Walk,
        /// When it began.
        started_ns: u64,
        /// When it was over.
        now_ns: u64,
    },
    /// Processes that were there before anybody looked.
    Processes(Vec<Found>),
    /// What somebody decided of how events are judged from here on.
    Decision(Decision),
    /// What users and groups are called on the host.
    Users(Arc<Users>),
    /// What the kernel has counted of habits since the last time.
    Habits(Vec<HabitCount>),
    /// Events were lost of late.
    Lost,
    /// Time goes by.
    Tick(u64),
    /// Nothing more comes: what waits for a name goes on without.
    End(u64),
}

/// All state.
pub(crate) struct Engine<C> {
    pub(crate) identity: Identity,
    pub(crate) consumer: C,
    /// None where events come from a recording.
    pub(crate) gate: Option<Gate>,
    /// Kept for its memory; empty between two steps.
    ready: Vec<Identified>,
}

impl<C: Consumer> Engine<C> {
    pub(crate) fn new(identity: Identity, consumer: C, gate: Option<Gate>) -> Self {
        Self { identity, consumer, gate, ready: Vec::new() }
    }

    /// Takes what comes next.
    pub(crate) fn step(&mut self, input: Input) {
        let ready = &mut self.ready;
        let mut now = None;
        match input {
            Input::Events(batch) => {
                for event in batch {
                    self.identity.take(event, ready);
                }
            }
            Input::Resolution(resolution) => {
                if let Some(change) = self.identity.on_resolution(resolution, ready) {
                    self.consumer.meet(&change.container);
                    // A cgroup taken for the host's turned out to be a container's: the gate has to be asked anew.
                    if change.is_new
                        && let Some(gate) = &mut self.gate
                    {
                        gate.forget(change.container.cgroup_id);
                    }
                }
            }
            Input::Walk { walk, started_ns, now_ns } => self.identity.on_walk(&walk, started_ns, now_ns),
            Input::Processes(found) => self.identity.adopt(found),
            Input::Decision(decision) => {
                // What was of no use to anybody may be now.
                if let (Decision::Rules(..), Some(gate)) = (&decision, &mut self.gate) {
                    gate.renew();
                }
                self.consumer.decide(decision);
            }
            Input::Users(users) => self.identity.host_users = Some(users),
            Input::Habits(counts) => self.consumer.count_habits(&counts),
            Input::Lost => self.consumer.note_loss(),
            Input::Tick(now_ns) => {
                self.identity.on_tick(now_ns, ready);
                if let Some(gate) = &mut self.gate {
                    gate.on_tick(now_ns);
                }
                now = Some(now_ns);
            }
            Input::End(now_ns) => {
                self.identity.finish(ready);
                now = Some(now_ns);
            }
        }
        self.consume();
        if let Some(now_ns) = now {
            self.consumer.tick(now_ns);
        }
        // A recording has it already what followed from that.
        let changes = self.consumer.take_habit_changes();
        if let Some(gate) = &mut self.gate {
            gate.change_habits(&changes);
        }
    }

    fn consume(&mut self) {
        if self.ready.is_empty() {
            return;
        }
        for Identified { event, cgroup, lookup } in self.ready.drain(..) {
            let wants = self.consumer.wants(&lookup);
            if wants == Some(true) {
                self.consumer.take(&event);
            }
            if let Some(gate) = &mut self.gate {
                if let Some(wants) = wants {
                    gate.decide(cgroup, wants, &lookup);
                }
                if wants == Some(true)
                    && let Some(object) = Gate::object_of(&event)
                    && self.consumer.is_ordinary(&event)
                {
                    gate.on_ordinary(object);
                }
                gate.count(&event, wants == Some(true));
            }
        }
        self.consumer.end_batch();
    }
}
