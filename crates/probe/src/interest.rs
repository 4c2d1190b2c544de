//! What somebody wants of the trackers' events at the moment. The programs ask before they do the work of a report.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU32, Ordering},
};

use ethogram_model::TrackerSchema;
use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType};

use crate::Error;

/// Entries of the kernel's table of interest, as in `interest.bpf.h`: the generation of verdicts, and then one for each
/// tracker.
const TRACKERS: u32 = 256;
/// Ordinary objects that the kernel remembers.
const ORDINARY: u32 = 16_384;

/// Which of a tracker's events somebody wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Demand {
    /// All of them.
    #[default]
    All,
    /// Those of these names, and of them only what is not about ordinary objects: see [`Collector::set_ordinary`].
    ///
    /// [`Collector::set_ordinary`]: crate::Collector::set_ordinary
    Only(BTreeSet<String>),
}

impl Demand {
    /// Whether an event of that name is wanted.
    pub fn wants(&self, event: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(event),
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

/// The tables that all trackers share, and the agent owns.
#[derive(Debug)]
pub(crate) struct Interest {
    pub(crate) interest: MapHandle,
    pub(crate) ordinary: MapHandle,
    generation: AtomicU32,
    places: AtomicU32,
    /// Part of what stands for an object, so that nobody can choose one that stands for another.
    pub(crate) salt: u64,
}

impl Interest {
    pub(crate) fn new() -> Result<Self, Error> {
        let options = libbpf_sys::bpf_map_create_opts {
            sz: size_of::<libbpf_sys::bpf_map_create_opts>() as _,
            ..Default::default()
        };
        let make = |kind, name, key, entries| {
            MapHandle::create(kind, Some(name), key, 4, entries, &options)
                .map_err(|source| Error::Kernel { doing: format!("making the map '{name}'"), source })
        };
        let this = Self {
            interest: make(MapType::Array, "interest", 4, TRACKERS)?,
            ordinary: make(MapType::LruHash, "ordinary", 8, ORDINARY)?,
            generation: AtomicU32::new(0),
            places: AtomicU32::new(0),
            salt: RandomState::new().hash_one(std::process::id()),
        };
        this.renew()?;
        Ok(this)
    }

    /// A tracker's entry in the table. Beyond its end, trackers share one, and all of their events are wanted.
    pub(crate) fn place(&self) -> u32 {
        let place = self.places.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        place.min(TRACKERS - 1)
    }

    pub(crate) fn set(&self, place: u32, schema: &TrackerSchema, demand: &Demand) -> Result<(), Error> {
        let unwanted = if place < TRACKERS - 1 { demand.unwanted(schema) } else { 0 };
        self.put(place, unwanted)
    }

    /// Voids all verdicts.
    pub(crate) fn renew(&self) -> Result<(), Error> {
        // Zero is what nobody has said anything in.
        let generation = self.generation.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1);
        self.generation.store(generation, Ordering::Relaxed);
        self.put(0, generation)
    }

    pub(crate) fn set_ordinary(&self, object: u64) -> Result<(), Error> {
        let generation = self.generation.load(Ordering::Relaxed).to_ne_bytes();
        self.ordinary
            .update(&object.to_ne_bytes(), &generation, MapFlags::ANY)
            .map_err(|source| Error::Kernel { doing: "calling an object ordinary".into(), source })
    }

    fn put(&self, place: u32, value: u32) -> Result<(), Error> {
        self.interest
            .update(&place.to_ne_bytes(), &value.to_ne_bytes(), MapFlags::ANY)
            .map_err(|source| Error::Kernel { doing: "telling the programs what is wanted".into(), source })
    }
}
