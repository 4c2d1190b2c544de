//! The trackers that are part of the binary.

use std::{panic::resume_unwind, thread};

use ethogram_model::nearest::nearest;

use super::{TrackerObject, elf::Elf};
use crate::{Error, Manifest, hook::Hook};

include!(concat!(env!("OUT_DIR"), "/trackers.rs"));

/// What the binary holds of a tracker.
struct Builtin {
    name: &'static str,
    elf: Elf,
    manifest: &'static str,
    hook: Option<Hook>,
}

impl Builtin {
    fn tracker(&self) -> Result<TrackerObject, Error> {
        let manifest = Manifest::parse(self.name, self.manifest)?;
        Ok(TrackerObject { hook: self.hook, ..TrackerObject::of(self.name, self.elf.clone(), manifest)? })
    }
}

/// The trackers that are part of the binary, by name.
///
/// # Errors
/// Where one is not what it should be, which the tests of this crate rule out.
pub fn builtin() -> Result<Vec<TrackerObject>, Error> {
    // Starting waits for it, and each takes half a millisecond.
    let workers = thread::available_parallelism().map_or(1, |n| n.get());
    let share = TRACKERS.len().div_ceil(workers).max(1);
    thread::scope(|threads| {
        let read = |some: &'static [Builtin]| move || some.iter().map(Builtin::tracker).collect::<Vec<_>>();
        let shares: Vec<_> = TRACKERS.chunks(share).map(|some| threads.spawn(read(some))).collect();
        shares.into_iter().flat_map(|share| share.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// The one of that name, without reading the others.
#[cfg(test)]
pub(crate) fn builtin_named(name: &str) -> TrackerObject {
    TRACKERS.iter().find(|b| b.name == name).unwrap().tracker().unwrap()
}

/// The tracker of that name among `trackers`.
///
/// # Errors
/// Where there is none; the error names the nearest.
pub fn find<'a>(trackers: &'a [TrackerObject], name: &str) -> Result<&'a TrackerObject, Error> {
    trackers.iter().find(|t| &*t.schema.name == name).ok_or_else(|| {
        let known = || trackers.iter().map(|t| &*t.schema.name);
        Error::UnknownTracker {
            name: name.into(),
            near: nearest(name, known()),
            known: known().map(str::to_owned).collect(),
        }
    })
}
