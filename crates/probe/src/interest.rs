//! What somebody wants of the trackers' events at the moment. The programs ask before they do the work of a report.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU32, Ordering},
};

use ethogram_model::{EventSchema, FieldTest, TrackerSchema};
use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType};

use crate::Error;

/// Entries of the kernel's table of interest, as in `interest.bpf.h`: what is for all, and then one for each tracker.
const TRACKERS: u32 = 256;
/// The entries that are generations.
const OBJECTS: u32 = 0;
const HABITS: u32 = 1;
const LINEAGES: u32 = 2;
/// The entry that says whether the reader sleeps until it is woken.
const ASLEEP: u32 = 3;
/// Trackers, and events of each, that the kernel's table of relevance has room for, as in `relevance.bpf.h`.
const TESTED_TRACKERS: u32 = 64;
const TESTED_EVENTS: u32 = 32;
/// The field that every event's header has.
const USER: &str = "process.user.id";
/// Ordinary objects that the kernel remembers.
const ORDINARY: u32 = 16_384;
/// Processes whose programs the kernel remembers, and bytes of each, as in `lineage.bpf.h`.
const PROGRAMS: u32 = 32_768;
const PROGRAM: u32 = 64;

/// Which of a tracker's events somebody wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Demand {
    /// All of them.
    #[default]
    All,
    /// Those of these names that pass all of their tests, and of them only what is not about ordinary objects: see
    /// [`Collector::set_ordinary`]. What the kernel cannot test passes.
    ///
    /// [`Collector::set_ordinary`]: crate::Collector::set_ordinary
    Only(BTreeMap<String, Vec<FieldTest>>),
}

impl Demand {
    /// All events of these names.
    pub fn only<N: Into<String>>(events: impl IntoIterator<Item = N>) -> Self {
        Self::Only(events.into_iter().map(|event| (event.into(), Vec::new())).collect())
    }

    /// Whether an event of that name is wanted.
    pub fn wants(&self, event: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains_key(event),
        }
    }

    /// Whether any of the events is wanted that a program serves, which are all where it does not say.
    pub(crate) fn any(&self, served: Option<&[String]>) -> bool {
        match (self, served) {
            (Self::All, _) => true,
            (Self::Only(names), None) => !names.is_empty(),
            (Self::Only(_), Some(served)) => served.iter().any(|event| self.wants(event)),
        }
    }

    /// As the kernel has it: a bit for the code of each event that nobody wants, and the lowest where only what is
    /// not ordinary is wanted.
    fn unwanted(&self, schema: &TrackerSchema) -> u32 {
        if *self == Self::All {
            return 0;
        }
        let unwanted = schema.events.iter().filter(|e| !self.wants(&e.name));
        unwanted.fold(1, |bits, e| bits | 1u32.checked_shl(e.code.into()).unwrap_or(0))
    }
}

/// Bytes of `struct relevance`: a word for each of two tests.
const RELEVANCE: u32 = 16;
/// Bytes of a record, the first, that can be tested.
const TESTED_BYTES: usize = 256;

/// Tests of one event as the kernel has them: one of the user and one of another field. What it cannot look at is not tested.
fn relevance(event: &EventSchema, tests: &[FieldTest]) -> [u8; RELEVANCE as usize] {
    let mut out = [0; RELEVANCE as usize];
    for test in tests {
        let Some(field) = event.fields.iter().find(|f| f.name == test.field) else { continue };
        if !(1..=4).contains(&field.size) || field.offset >= TESTED_BYTES {
            continue;
        }
        // A test looks at four bytes, of which those beyond the field are another's.
        let mask = test.mask & (u32::MAX >> (8 * (4 - field.size)));
        let at = if test.field == USER { 0 } else { 8 };
        let word = field.offset as u64 | u64::from(test.zero) << 16 | u64::from(mask) << 32;
        out[at..at + 8].copy_from_slice(&word.to_ne_bytes());
    }
    out
}

/// The tables that all trackers share, and the agent owns.
#[derive(Debug)]
pub(crate) struct Interest {
    pub(crate) interest: MapHandle,
    pub(crate) ordinary: MapHandle,
    pub(crate) relevance: MapHandle,
    /// What each process runs, as the tracker of processes keeps it.
    pub(crate) programs: MapHandle,
    /// Of verdicts on objects, of those on habits, and of lineages.
    generations: [AtomicU32; 3],
    places: AtomicU32,
    /// Part of what stands for something, so that nobody can choose a thing that stands for another.
    pub(crate) salt: u64,
}

impl Interest {
    pub(crate) fn new() -> Result<Self, Error> {
        let options = libbpf_sys::bpf_map_create_opts {
            sz: size_of::<libbpf_sys::bpf_map_create_opts>() as _,
            ..Default::default()
        };
        let make = |kind, name, key, value, entries| {
            MapHandle::create(kind, Some(name), key, value, entries, &options)
                .map_err(|source| Error::Kernel { doing: format!("making the map '{name}'"), source })
        };
        let this = Self {
            interest: make(MapType::Array, "interest", 4, 4, TRACKERS)?,
            ordinary: make(MapType::LruHash, "ordinary", 8, 4, ORDINARY)?,
            relevance: make(MapType::Array, "relevance", 4, RELEVANCE, TESTED_TRACKERS * TESTED_EVENTS)?,
            programs: make(MapType::LruHash, "programs", 4, PROGRAM, PROGRAMS)?,
            generations: [const { AtomicU32::new(0) }; 3],
            places: AtomicU32::new(ASLEEP),
            salt: RandomState::new().hash_one(std::process::id()),
        };
        for which in [OBJECTS, HABITS, LINEAGES] {
            this.begin_generation(which)?;
        }
        Ok(this)
    }

    /// A tracker's entry in the table. Beyond its end, trackers share one, and all of their events are wanted.
    pub(crate) fn place(&self) -> u32 {
        let place = self.places.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        place.min(TRACKERS - 1)
    }

    pub(crate) fn set(&self, place: u32, schema: &TrackerSchema, demand: &Demand) -> Result<(), Error> {
        let unwanted = if place < TRACKERS - 1 { demand.unwanted(schema) } else { 0 };
        self.set_tests(place, schema, demand)?;
        self.put(place, unwanted)
    }

    /// What the tracker's events must be like. Of those that there is no room for, all are reported.
    fn set_tests(&self, place: u32, schema: &TrackerSchema, demand: &Demand) -> Result<(), Error> {
        for event in &schema.events {
            let code = u32::from(event.code);
            if place >= TESTED_TRACKERS || code >= TESTED_EVENTS {
                continue;
            }
            let tests = match demand {
                Demand::Only(events) => events.get(&*event.name).map(Vec::as_slice).unwrap_or_default(),
                Demand::All => &[],
            };
            let key = (place * TESTED_EVENTS + code).to_ne_bytes();
            self.relevance
                .update(&key, &relevance(event, tests), MapFlags::ANY)
                .map_err(|source| Error::Kernel { doing: "telling the programs what is relevant".into(), source })?;
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

    /// What is known of lineages counts no more: nobody looks at processes meanwhile.
    pub(crate) fn forget_lineages(&self) -> Result<(), Error> {
        self.begin_generation(LINEAGES)
    }

    fn begin_generation(&self, which: u32) -> Result<(), Error> {
        let Some(known) = self.generations.get(which as usize) else { return Ok(()) };
        // Zero is what nobody has said anything in.
        let generation = known.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1);
        known.store(generation, Ordering::Relaxed);
        self.put(which, generation)
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

    fn put(&self, place: u32, value: u32) -> Result<(), Error> {
        put(&self.interest, place, value)
    }

    /// For the reader.
    pub(crate) fn wake_request(&self) -> Result<WakeRequest, Error> {
        let table = MapHandle::try_from(&self.interest)
            .map_err(|source| Error::Kernel { doing: "sharing the table of interest".into(), source })?;
        Ok(WakeRequest(table))
    }
}

/// Where the reader asks whoever has the next record to wake it. Who does so takes the request back.
pub(crate) struct WakeRequest(MapHandle);

impl WakeRequest {
    pub(crate) fn make(&self) -> Result<(), Error> {
        put(&self.0, ASLEEP, 1)
    }
}

fn put(interest: &MapHandle, place: u32, value: u32) -> Result<(), Error> {
    interest
        .update(&place.to_ne_bytes(), &value.to_ne_bytes(), MapFlags::ANY)
        .map_err(|source| Error::Kernel { doing: "telling the programs what is wanted".into(), source })
}

#[cfg(test)]
mod tests {
    use ethogram_model::{Field, FieldKind};

    use super::*;

    #[test]
    fn what_the_kernel_cannot_look_at_is_not_tested() {
        let field = |name: &str, offset, size| Field {
            name: name.into(),
            label: name.into(),
            kind: FieldKind::Unsigned,
            offset,
            size,
            doc: String::new(),
            names: Vec::new(),
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
            layout: Default::default(),
        };
        let words = |test| {
            let bytes = relevance(&event, &[test]);
            let word = |at: usize| bytes[at..at + 8].try_into().map(u64::from_ne_bytes).ok();
            (word(0), word(8))
        };
        assert_eq!(words(FieldTest::zero(USER)), (Some(0xffff_ffff_0001_0034), Some(0)));
        assert_eq!(words(FieldTest::not_zero("byte")), (Some(0), Some(0xff_0000_0051)));
        for cannot in ["wide", "far", "absent"] {
            assert_eq!(words(FieldTest::zero(cannot)), (Some(0), Some(0)), "{cannot}");
        }
    }
}
