//! What the kernel side need not report: cgroups whose events are not collected, and ordinary files.
//!
//! This works out what to say, as [`KernelChange`]s; the agent's thread for effects says it. Where the kernel has no room for it
//! the event comes again, and is filtered here once more.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, Weak},
};

use ethogram_detect::Workload;
use ethogram_model::{Container, EventSchema};
use rustc_hash::FxHashMap;

use crate::{
    concerned::Senders,
    containers::{table::Lookup, walk::Walk},
    effects::{ContainerVerdict, KernelChange, Outcome},
};

/// Cgroups whose verdict is remembered: as many as are known at most, of which everyone has a share; the kernel's own table has as many.
pub const MAX_FILTERED: usize = Walk::LIMIT;
/// Ordinary objects that are remembered; beyond, all are looked at anew.
const MAX_MET: usize = 32_768;
/// How long the kernel leaves out an object that was ordinary, nanoseconds. What lies at a path may change.
const ORDINARY_NS: u64 = 60_000_000_000;
/// The same where one of them may be wrong by now.
const STALE_NS: u64 = 1_000_000_000;

/// What the kernel side has been set to, and what became of the events of the step at hand.
#[derive(Default)]
pub struct Collection {
    /// The verdict on each cgroup, as the kernel has it.
    filtered: FxHashMap<u64, Filtered>,
    /// Makes numbers of workloads that an attacker who names a container cannot foresee.
    numbers: RandomState,
    /// How often each ordinary object came.
    met: FxHashMap<u64, u32>,
    renewed_ns: u64,
    /// Verdicts on objects end sooner: one of them may be about a file that is known as guarded since.
    is_stale: bool,
    outcomes: Vec<Outcome>,
    /// Where the last event was counted: most are followed by one of their kind.
    last: usize,
    /// Of whom they were.
    pub(crate) senders: Senders,
}

/// A verdict, and what was known of the container then. A held place is given to nothing else, so an address identifies it.
struct Filtered {
    collected: bool,
    container: Option<Weak<Container>>,
    /// Its outermost cgroup; zero for none.
    outermost: u64,
}

impl Filtered {
    fn is(&self, collected: bool, container: Option<&Arc<Container>>) -> bool {
        let known = self.container.as_ref().map_or(std::ptr::null(), Weak::as_ptr);
        self.collected == collected && known == container.map_or(std::ptr::null(), Arc::as_ptr)
    }
}

impl Collection {
    /// Counts what became of an event.
    pub(crate) fn count(&mut self, schema: &Arc<EventSchema>, is_collected: bool) {
        if !self.outcomes.get(self.last).is_some_and(|outcome| Arc::ptr_eq(&outcome.schema, schema)) {
            self.last = match self.outcomes.iter().position(|outcome| Arc::ptr_eq(&outcome.schema, schema)) {
                Some(place) => place,
                None => {
                    self.outcomes.push(Outcome { schema: Arc::clone(schema), delivered: 0, filtered: 0 });
                    self.outcomes.len() - 1
                }
            };
        }
        if let Some(outcome) = self.outcomes.get_mut(self.last) {
            outcome.delivered += u64::from(is_collected);
            outcome.filtered += u64::from(!is_collected);
        }
    }

    /// What was counted since the last call.
    pub(crate) fn take_outcomes(&mut self) -> Vec<Outcome> {
        std::mem::take(&mut self.outcomes)
    }

    /// Has the kernel filter a cgroup's events, or leave them out, from now on.
    pub(crate) fn filter(&mut self, cgroup: u64, collected: bool, lookup: &Lookup, changes: &mut Vec<KernelChange>) {
        let container = match lookup {
            Lookup::Container(container) => Some(container),
            Lookup::Host => None,
            Lookup::Unknown => return,
        };
        if self.filtered.get(&cgroup).is_some_and(|known| known.is(collected, container)) {
            return;
        }
        if self.filtered.len() >= MAX_FILTERED {
            let all = std::mem::take(&mut self.filtered).into_keys();
            changes.extend(all.map(|cgroup| KernelChange::Filter { cgroup, verdict: None }));
        }
        let workload = container.map_or(0, |container| self.workload(container));
        let container_cgroup = container.map_or(0, |container| container.cgroup_id);
        let verdict = match collected {
            true => ContainerVerdict::Collect { workload, container: container_cgroup },
            false => ContainerVerdict::Filter { container: container_cgroup },
        };
        changes.push(KernelChange::Filter { cgroup, verdict: Some(verdict) });
        let container = container.map(Arc::downgrade);
        self.filtered.insert(cgroup, Filtered { collected, container, outermost: container_cgroup });
    }

    /// A cgroup is that of a container. The kernel has to know before its name does, to see who leaves it.
    pub(crate) fn arrived(&mut self, cgroup: u64, changes: &mut Vec<KernelChange>) {
        if !self.filtered.contains_key(&cgroup) && self.filtered.len() < MAX_FILTERED {
            self.filtered.insert(cgroup, Filtered { collected: false, container: None, outermost: cgroup });
            let verdict = Some(ContainerVerdict::Undecided(cgroup));
            changes.push(KernelChange::Filter { cgroup, verdict });
        }
    }

    /// What was said of a cgroup does not hold any more.
    pub(crate) fn forget(&mut self, cgroup: u64, changes: &mut Vec<KernelChange>) {
        if self.filtered.remove(&cgroup).is_some() {
            changes.push(KernelChange::Filter { cgroup, verdict: None });
        }
    }

    /// What is known of a container has changed, such as its name. Where its events are not collected, the kernel would not let
    /// any pass by which that could be found out.
    pub(crate) fn reconsider(&mut self, container: &Container, changes: &mut Vec<KernelChange>) {
        let is_left_out = |f: &Filtered| !f.collected && f.outermost == container.cgroup_id;
        let all: Vec<u64> = self.filtered.iter().filter(|(_, f)| is_left_out(f)).map(|(cgroup, _)| *cgroup).collect();
        for cgroup in all {
            self.filtered.remove(&cgroup);
            // It is a container's still.
            let verdict = Some(ContainerVerdict::Undecided(container.cgroup_id));
            changes.push(KernelChange::Filter { cgroup, verdict });
        }
    }

    /// Whether an object is ordinary as far as is known: none of its events need be looked at for that.
    pub(crate) fn is_ordinary(&self, object: u64) -> bool {
        self.met.contains_key(&object)
    }

    /// An event was of no use because of this object. Most objects never come again, and then an entry in the kernel costs more
    /// than it spares. One that keeps coming is followed, or had no room there: that is said less and less often.
    pub(crate) fn on_ordinary(&mut self, object: u64, changes: &mut Vec<KernelChange>) {
        let times = self.met.entry(object).or_default();
        *times = times.saturating_add(1);
        if *times > 1 && times.is_power_of_two() {
            changes.push(KernelChange::Ordinary(object));
        }
        if self.met.len() > MAX_MET {
            self.met.clear();
        }
    }

    /// Verdicts on objects end after a while.
    pub(crate) fn on_tick(&mut self, now_ns: u64, changes: &mut Vec<KernelChange>) {
        let lasts = if self.is_stale { STALE_NS } else { ORDINARY_NS };
        if now_ns.abs_diff(self.renewed_ns) >= lasts {
            self.renewed_ns = now_ns;
            self.renew(changes);
        }
    }

    /// Has the verdicts on objects end soon. At once would let a container end them all the time.
    pub(crate) fn renew_soon(&mut self) {
        self.is_stale = true;
    }

    /// Voids all verdicts on objects.
    pub(crate) fn renew(&mut self, changes: &mut Vec<KernelChange>) {
        self.met.clear();
        self.is_stale = false;
        changes.push(KernelChange::RenewOrdinary);
    }

    /// What stands for a container's workload in the kernel, zero where that is not known. Containers of which rules may find
    /// different things have different ones.
    fn workload(&self, container: &Container) -> u64 {
        let Some(workload) = Workload::of(container) else { return 0 };
        let image = container.image.as_ref().map(|image| image.name.as_str());
        let namespace = container.pod.as_ref().map(|pod| pod.namespace.as_str());
        self.numbers.hash_one((workload.uid, &container.runtime, image, namespace, container.privileged)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_object_is_said_when_it_comes_again_and_then_less_and_less_often() {
        let (mut collection, mut changes) = (Collection::default(), Vec::new());
        assert!(!collection.is_ordinary(7));
        let said: Vec<usize> = (1..=64)
            .filter(|_| {
                let before = changes.len();
                collection.on_ordinary(7, &mut changes);
                changes.len() > before
            })
            .collect();
        assert_eq!(said, [2, 4, 8, 16, 32, 64]);
        assert!(collection.is_ordinary(7) && !collection.is_ordinary(8));
        collection.renew(&mut changes);
        assert!(!collection.is_ordinary(7), "it may be another file by now");
    }

    #[test]
    fn endless_ordinary_objects_take_bounded_memory() {
        let (mut collection, mut changes) = (Collection::default(), Vec::new());
        (0..1_000_000).for_each(|object| collection.on_ordinary(object, &mut changes));
        assert!(collection.met.len() <= MAX_MET && changes.is_empty());
    }
}
