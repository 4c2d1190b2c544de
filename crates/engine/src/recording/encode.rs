//! Turns inputs into the bytes of a recording, chunk by chunk. Compressing and writing them is done elsewhere: see
//! [`super::frame`], and the agent's `record`.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use ethogram_detect::{Acceptance, Decision, Trail, rules::File};
use ethogram_model::{Event, EventSchema, Finding, Incident, TrackerSchema};
use rustc_hash::FxHashMap;

use super::{
    Conditions,
    entry::{self, Mark},
    frame::FULL,
};
use crate::Input;

/// Schemas that have numbers at once; beyond, all are declared anew.
const MAX_SCHEMAS: usize = 4096;

/// What the engine's result depends on from before the first event.
#[derive(Debug, Default)]
pub struct Before<'a> {
    /// The profiles learnt before, as JSON, by their workload.
    pub profiles: Option<&'a BTreeMap<String, String>>,
    /// The rule files in force.
    pub rules: &'a [File],
    /// The allowlist.
    pub accepted: &'a [Acceptance],
    /// What rules had found: uids of findings, and how often.
    pub groups: &'a [(String, u64)],
    /// Alerts that were raised before.
    pub alerts: &'a [Finding],
    /// Incidents that were before.
    pub incidents: &'a [Incident],
    /// By what those that are open go on.
    pub trails: &'a [Trail],
}

/// Some entries, and how many of them are of which kind.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The entries, whole.
    pub bytes: Vec<u8>,
    /// How many are events.
    pub events: u64,
    /// How many are anything else.
    pub notes: u64,
}

impl Chunk {
    /// Adds a mark. Returns whether it fits.
    pub fn mark(&mut self, mark: &Mark) -> bool {
        let fits = entry::put_mark(&mut self.bytes, mark);
        self.notes += u64::from(fits);
        fits
    }

    /// Whether it is as large as a frame should be.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= FULL
    }
}

/// Encodes what the engine takes.
#[derive(Debug, Default)]
pub struct Encoder {
    /// What was encoded and not taken yet.
    chunk: Chunk,
    /// The schemas declared so far, by address. They are held, so that no other gets the address of one.
    schemas: FxHashMap<usize, (u16, Arc<EventSchema>)>,
    /// What was lost since something was written.
    gap: (u64, u64),
    /// Entries that were too large for a frame since the last call: events, others.
    refused: (u64, u64),
}

impl Encoder {
    /// What must be known before the first input. Full chunks go to `write` meanwhile.
    pub fn begin(
        &mut self,
        conditions: Conditions,
        trackers: &[Arc<TrackerSchema>],
        before: &Before<'_>,
        mut write: impl FnMut(Chunk),
    ) -> Vec<String> {
        let mut too_large = Vec::new();
        self.chunk.mark(&Mark::Conditions(conditions));
        for tracker in trackers {
            self.declare(TrackerSchema::clone(tracker));
        }
        self.rules(before.rules);
        self.chunk.mark(&Mark::Groups(before.groups.to_vec()));
        for alert in before.alerts {
            self.chunk.mark(&Mark::Alert(Box::new(Finding { evidence: Vec::new(), ..alert.clone() })));
        }
        for incident in before.incidents {
            self.chunk.mark(&Mark::Incident(Box::new(incident.clone())));
        }
        for trail in before.trails {
            self.chunk.mark(&Mark::Trail(Box::new(trail.clone())));
        }
        for acceptance in before.accepted {
            self.chunk.mark(&Mark::Accept(acceptance.clone()));
        }
        for (uid, profile) in before.profiles.into_iter().flatten() {
            if !self.chunk.mark(&Mark::Profile { uid: uid.clone(), profile: profile.clone() }) {
                too_large.push(uid.clone());
            }
            if self.chunk.is_full() {
                write(self.take());
            }
        }
        // An empty one would be the last.
        if !self.chunk.bytes.is_empty() {
            write(self.take());
        }
        too_large
    }

    /// Adds an input. Full chunks go to `write`, which returns those that it has no room for.
    pub fn encode(&mut self, input: &Input, write: &mut impl FnMut(Chunk) -> Result<(), Chunk>) {
        match input {
            Input::Events(batch) => {
                for event in batch {
                    self.event(event);
                    self.hand_over_if_full(write);
                }
            }
            Input::Decision(Decision::Rules(_, files)) => self.rules(files),
            other => {
                let fits = entry::put_input(&mut self.chunk.bytes, other);
                self.chunk.notes += u64::from(fits);
                self.refused.1 += u64::from(!fits);
            }
        }
        self.hand_over_if_full(write);
    }

    /// Gives what was encoded to `write`, however little it is.
    pub fn hand_over(&mut self, write: &mut impl FnMut(Chunk) -> Result<(), Chunk>) {
        let chunk = self.take();
        match write(chunk) {
            Ok(()) => self.gap = (0, 0),
            Err(lost) => {
                self.gap = (self.gap.0 + lost.events, self.gap.1 + lost.notes);
                self.chunk.mark(&Mark::Gap { events: self.gap.0, notes: self.gap.1 });
                // It may have declared schemas.
                self.forget();
            }
        }
    }

    /// What was encoded so far, taken away.
    pub fn take(&mut self) -> Chunk {
        let next = Chunk { bytes: Vec::with_capacity(FULL + 4096), ..Chunk::default() };
        std::mem::replace(&mut self.chunk, next)
    }

    /// Entries that no frame has room for, since the last call: events, and others.
    pub fn take_refused(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.refused)
    }

    fn hand_over_if_full(&mut self, write: &mut impl FnMut(Chunk) -> Result<(), Chunk>) {
        if self.chunk.is_full() {
            self.hand_over(write);
        }
    }

    /// Says which rules are in force.
    fn rules(&mut self, files: &[File]) {
        for File { name, text } in files {
            let fits = self.chunk.mark(&Mark::RuleFile { name: name.to_string(), text: text.to_string() });
            self.refused.1 += u64::from(!fits);
        }
        self.chunk.mark(&Mark::Rules);
    }

    fn event(&mut self, event: &Event) {
        let schema = self.schema(&event.schema);
        let fits = schema.is_some_and(|schema| entry::put_event(&mut self.chunk.bytes, schema, event));
        self.chunk.events += u64::from(fits);
        self.refused.0 += u64::from(!fits);
    }

    /// The number of a schema, which is declared now if it was not yet. None where it is too large for that.
    fn schema(&mut self, schema: &Arc<EventSchema>) -> Option<u16> {
        let address = Arc::as_ptr(schema) as usize;
        if let Some((number, _)) = self.schemas.get(&address) {
            return Some(*number);
        }
        if self.schemas.len() >= MAX_SCHEMAS {
            self.forget();
        }
        self.declare(TrackerSchema {
            name: Arc::clone(&schema.tracker),
            summary: String::new(),
            default: false,
            role: None,
            events: vec![Arc::clone(schema)],
            params: Vec::new(),
        });
        self.schemas.get(&address).map(|(number, _)| *number)
    }

    /// Declares a tracker's schemas, and numbers them.
    fn declare(&mut self, tracker: TrackerSchema) {
        let events = tracker.events.clone();
        if !self.chunk.mark(&Mark::Tracker(Cow::Owned(tracker))) {
            self.refused.1 += 1;
            return;
        }
        for event in events {
            let number = self.schemas.len() as u16;
            self.schemas.insert(Arc::as_ptr(&event) as usize, (number, event));
        }
    }

    fn forget(&mut self) {
        self.schemas.clear();
        self.chunk.mark(&Mark::Forget);
    }
}
