//! An object in the kernel.

use libbpf_rs::{MapCore as _, MapHandle, Object};

use super::{TrackerObject, dispatcher::Place, plan::Hook};
use crate::{
    Error,
    counters::KernelCounters,
    read::{layout::Layout, sample::Sample},
};

/// An object in the kernel.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) object: Object,
    pub(crate) layout: Layout,
    pub(crate) ring: Option<MapHandle>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) counters: KernelCounters,
    /// The programs that were loaded.
    pub(crate) hooks: Vec<Hook>,
    /// Where the object stands in the dispatcher.
    pub(crate) place: Option<Place>,
}

impl Loaded {
    /// What came of loading: the handles of the object's maps.
    pub(super) fn finish(
        tracker: &TrackerObject,
        object: Object,
        names: Vec<(String, usize)>,
        hooks: Vec<Hook>,
        place: Option<Place>,
    ) -> Result<Self, Error> {
        let kernel =
            |source| Error::Kernel { doing: format!("opening the maps of tracker '{}'", tracker.schema.name), source };
        let bad = |problem: String| Error::BadObject {
            origin: format!("object of tracker '{}'", tracker.schema.name),
            problem,
        };
        let handle = |name: &str| {
            let map = object.maps().find(|m| m.name() == name);
            map.ok_or_else(|| bad(format!("has no map '{name}'"))).and_then(|m| MapHandle::try_from(&m).map_err(kernel))
        };
        let counters = KernelCounters { map: handle("counters")?, names };
        let ring = if tracker.schema.events.iter().any(|e| !e.sample) { Some(handle("events")?) } else { None };
        let mut samples = Vec::new();
        for event in tracker.schema.events.iter().filter(|e| e.sample) {
            let slot = handle(&format!("{}_tables", event.name))?;
            let [first, second] = ["first", "second"].map(|which| handle(&format!("{}_{which}", event.name)));
            samples.push(Sample::new(event.clone(), slot, first?, second?));
        }
        let layout = Layout::new(&tracker.schema.events, tracker.hook);
        Ok(Self { object, layout, ring, samples, counters, hooks, place })
    }
}
