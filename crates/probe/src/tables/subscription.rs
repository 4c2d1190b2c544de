//! Which of the trackers' events have a subscriber at the moment. The programs ask before they do the work of a report.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
};

use ethogram_model::{EventSchema, FieldTest, TrackerSchema};
use libbpf_rs::{MapCore, MapFlags, MapHandle};

use super::{
    hash::HashKey,
    shared::{
        Relevance, TESTED_BYTES, TESTED_EVENTS, TESTED_MASK_BIT, TESTED_TRACKERS, TESTED_ZERO_BIT,
        subscription_entries::{ASLEEP, HABITS, LINEAGES, OBJECTS},
        table,
    },
    written::Written,
};
use crate::Error;

/// The field that every event's header has.
const USER: &str = "process.user.id";
/// The last place in the table, which all trackers beyond its end share.
const SHARED_PLACE: u32 = table::SUBSCRIPTION.entries - 1;
/// Of the kernel's generations, those that this side begins.
const GENERATIONS: [u32; 3] = [OBJECTS, HABITS, LINEAGES];

/// Which of a tracker's events are subscribed to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Subscription {
    /// All of them.
    #[default]
    All,
    /// Those of these names that pass all of their tests, and of them only what is not about ordinary objects: see
    /// [`Collector::set_ordinary`]. What the kernel cannot test passes.
    ///
    /// [`Collector::set_ordinary`]: crate::Collector::set_ordinary
    Only(BTreeMap<String, Vec<FieldTest>>),
}

impl Subscription {
    /// All events of these names.
    pub fn only<N: Into<String>>(events: impl IntoIterator<Item = N>) -> Self {
        Self::Only(events.into_iter().map(|event| (event.into(), Vec::new())).collect())
    }

    /// Whether events of that name are subscribed to.
    pub fn includes(&self, event: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains_key(event),
        }
    }

    /// Whether any of the events is subscribed to that a program serves, which are all where it does not say.
    pub(crate) fn any(&self, served: Option<&[String]>) -> bool {
        match (self, served) {
            (Self::All, _) => true,
            (Self::Only(names), None) => !names.is_empty(),
            (Self::Only(_), Some(served)) => served.iter().any(|event| self.includes(event)),
        }
    }

    /// As the kernel has it: a bit for the code of each event without a subscriber, and the lowest where events about ordinary
    /// objects have none.
    fn without_subscriber(&self, schema: &TrackerSchema) -> u32 {
        if *self == Self::All {
            return 0;
        }
        let without = schema.events.iter().filter(|e| !self.includes(&e.name));
        without.fold(1, |bits, e| bits | 1u32.checked_shl(e.code.into()).unwrap_or(0))
    }
}

/// Field filters of one event as the kernel has them: one of the user and one of another field. What it cannot read is not
/// tested.
fn relevance(event: &EventSchema, tests: &[FieldTest]) -> Relevance {
    let mut out = Relevance::default();
    for test in tests {
        let Some(field) = event.fields.iter().find(|f| f.name == test.field) else { continue };
        if !(1..=4).contains(&field.size) || field.offset as u64 >= TESTED_BYTES {
            continue;
        }
        // A test reads four bytes, of which those beyond the field are another's.
        let mask = test.mask & (u32::MAX >> (8 * (4 - field.size)));
        let word = field.offset as u64 | u64::from(test.zero) << TESTED_ZERO_BIT | u64::from(mask) << TESTED_MASK_BIT;
        *(if test.field == USER { &mut out.user } else { &mut out.field }) = word;
    }
    out
}

/// The tables of subscriptions, and of what depends on them.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    pub(super) map: Written,
    pub(super) ordinary: MapHandle,
    pub(super) relevance: Written,
    /// Of verdicts on objects, of those on habits, and of lineages.
    generations: [AtomicU32; GENERATIONS.len()],
    places: AtomicU32,
    /// Of the hash by which things are known.
    pub(crate) hash_key: HashKey,
}

impl Subscriptions {
    pub(super) fn new() -> Result<Self, Error> {
        let this = Self {
            map: Written::new(table::SUBSCRIPTION.make()?),
            ordinary: table::ORDINARY.make()?,
            relevance: Written::new(table::RELEVANCE.make()?),
            generations: [const { AtomicU32::new(0) }; GENERATIONS.len()],
            places: AtomicU32::new(ASLEEP),
            hash_key: HashKey::random(),
        };
        GENERATIONS.into_iter().try_for_each(|which| this.begin_generation(which))?;
        Ok(this)
    }

    /// A tracker's entry in the table. Beyond its end, trackers share one, and all of their events are collected.
    pub(crate) fn place(&self) -> u32 {
        let place = self.places.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        place.min(SHARED_PLACE)
    }

    pub(crate) fn set(&self, place: u32, schema: &TrackerSchema, subscription: &Subscription) -> Result<(), Error> {
        let without = if place < SHARED_PLACE { subscription.without_subscriber(schema) } else { 0 };
        self.set_tests(place, schema, subscription)?;
        self.map.put(&place.to_ne_bytes(), &without.to_ne_bytes()).map_err(writing)
    }

    /// The field filters of the tracker's events. Of those that there is no room for, all are reported.
    fn set_tests(&self, place: u32, schema: &TrackerSchema, subscription: &Subscription) -> Result<(), Error> {
        for event in &schema.events {
            let (place, code) = (u64::from(place), u64::from(event.code));
            if place >= TESTED_TRACKERS || code >= TESTED_EVENTS {
                continue;
            }
            let tests = match subscription {
                Subscription::Only(events) => events.get(&*event.name).map(Vec::as_slice).unwrap_or_default(),
                Subscription::All => &[],
            };
            let key = ((place * TESTED_EVENTS + code) as u32).to_ne_bytes();
            self.relevance
                .put(&key, &relevance(event, tests).to_bytes())
                .map_err(|source| Error::Kernel { doing: "writing field filters".into(), source })?;
        }
        Ok(())
    }

    /// Voids all verdicts on objects.
    pub(crate) fn renew(&self) -> Result<(), Error> {
        self.begin_generation(OBJECTS)
    }

    /// Voids all verdicts on habits.
    pub(crate) fn renew_habits(&self) -> Result<(), Error> {
        self.begin_generation(HABITS)
    }

    /// The generation that verdicts on habits are given in.
    pub(crate) fn habits_generation(&self) -> u32 {
        self.generation(HABITS)
    }

    /// What is known of lineages does not apply any more: no program reads processes meanwhile.
    pub(crate) fn forget_lineages(&self) -> Result<(), Error> {
        self.begin_generation(LINEAGES)
    }

    fn begin_generation(&self, which: u32) -> Result<(), Error> {
        let Some(known) = self.generations.get(which as usize) else { return Ok(()) };
        // Zero is that of entries that were never written.
        let generation = known.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1);
        known.store(generation, Ordering::Relaxed);
        put(&self.map.map, which, generation)
    }

    fn generation(&self, which: u32) -> u32 {
        self.generations.get(which as usize).map_or(0, |known| known.load(Ordering::Relaxed))
    }

    pub(crate) fn set_ordinary(&self, object: u64) -> Result<(), Error> {
        let generation = self.generation(OBJECTS).to_ne_bytes();
        self.ordinary
            .update(&object.to_ne_bytes(), &generation, MapFlags::ANY)
            .map_err(|source| Error::Kernel { doing: "calling an object ordinary".into(), source })
    }

    /// For the reader.
    pub(crate) fn wake_request(&self) -> Result<WakeRequest, Error> {
        let table = MapHandle::try_from(&self.map.map)
            .map_err(|source| Error::Kernel { doing: "sharing the table of subscriptions".into(), source })?;
        Ok(WakeRequest(table))
    }
}

/// Where the reader asks the program that has the next record to wake it. That program takes the request back.
pub(crate) struct WakeRequest(MapHandle);

impl WakeRequest {
    pub(crate) fn make(&self) -> Result<(), Error> {
        put(&self.0, ASLEEP, 1)
    }
}

fn put(subscriptions: &MapHandle, place: u32, value: u32) -> Result<(), Error> {
    subscriptions.update(&place.to_ne_bytes(), &value.to_ne_bytes(), MapFlags::ANY).map_err(writing)
}

fn writing(source: libbpf_rs::Error) -> Error {
    Error::Kernel { doing: "writing the table of subscriptions".into(), source }
}

#[cfg(test)]
mod tests {
    use ethogram_model::{Field, FieldKind};

    use super::*;

    #[test]
    fn what_the_kernel_cannot_read_is_not_tested() {
        let field = |name: &str, offset, size| Field {
            name: name.into(),
            label: name.into(),
            kind: FieldKind::Unsigned,
            offset,
            size,
            doc: String::new(),
            names: Vec::new(),
            habit_key: false,
            header: false,
        };
        let fields = vec![field(USER, 52, 4), field("byte", 81, 1), field("wide", 88, 8), field("far", 256, 4)];
        let event = EventSchema {
            tracker: "t".into(),
            name: "e".into(),
            code: 1,
            size: 260,
            sample: false,
            fields,
            behaviours: Vec::new(),
            rules: None,
            about: None,
            layout: Default::default(),
        };
        let words = |test| {
            let Relevance { user, field } = relevance(&event, &[test]);
            (user, field)
        };
        assert_eq!(words(FieldTest::zero(USER)), (0xffff_ffff_0001_0034, 0));
        assert_eq!(words(FieldTest::not_zero("byte")), (0, 0xff_0000_0051));
        for cannot in ["wide", "far", "absent"] {
            assert_eq!(words(FieldTest::zero(cannot)), (0, 0), "{cannot}");
        }
    }
}
