//! Whose profile an event is of, and which profiles are held.

use std::sync::Arc;

use ethogram_model::{Container, Event};

use super::{MAX_CONTAINERS, Model, ProfileEntry};
use crate::{Profile, Workload};

/// Versions of an image, the latest, whose behaviour the next one begins with.
const MAX_VERSIONS: usize = 8;

impl Model {
    /// The uid of a container's workload, where it has a profile.
    pub fn profile_of(&self, container: &Container) -> Option<String> {
        Workload::of(container).map(|w| w.uid).filter(|uid| self.profiles.contains_key(uid.as_str()))
    }

    /// Whether a container's workload is learnt, so that what it newly does is judged.
    pub fn judges(&self, container: &Container) -> bool {
        let profile = self.profile_of(container).and_then(|uid| self.profiles.get(uid.as_str()));
        profile.is_some_and(|held| held.profile.lifecycle.is_judged)
    }

    /// The key of the workload that an event is of, whose profile begins now if there is none.
    pub(super) fn workload_of(&mut self, event: &Event) -> Option<Arc<str>> {
        let now_ns = event.time_ns;
        let Some(container) = &event.context.container else {
            let service = event.context.service.as_ref()?;
            if let Some(uid) = self.services.get(service).filter(|uid| self.profiles.contains_key(*uid)) {
                return Some(Arc::clone(uid));
            }
            let uid = self.key_of(Workload::of_service(service), now_ns);
            if self.services.len() >= MAX_CONTAINERS {
                self.services.clear();
            }
            self.services.insert(Arc::clone(service), Arc::clone(&uid));
            return Some(uid);
        };
        if let Some((known, uid)) = self.containers.get(&container.cgroup_id)
            && Arc::ptr_eq(known, container)
            && self.profiles.contains_key(uid)
        {
            return Some(Arc::clone(uid));
        }
        let uid = self.key_of(Workload::of(container)?, now_ns);
        if self.containers.len() >= MAX_CONTAINERS {
            self.containers.clear();
        }
        self.containers.insert(container.cgroup_id, (Arc::clone(container), Arc::clone(&uid)));
        Some(uid)
    }

    pub(super) fn key_of(&mut self, workload: Workload, now_ns: u64) -> Arc<str> {
        if let Some((uid, _)) = self.profiles.get_key_value(workload.uid.as_str()) {
            return Arc::clone(uid);
        }
        let uid: Arc<str> = workload.uid.as_str().into();
        let profile = self.begin(workload, now_ns);
        self.insert(Arc::clone(&uid), ProfileEntry::new(profile, &self.clock));
        uid
    }

    /// The profile that a workload begins with: what the last version of its image did, where there was one.
    pub(super) fn begin(&self, workload: Workload, now_ns: u64) -> Profile {
        let all = self.profiles.values();
        let mut versions: Vec<_> = all.filter(|held| workload.is_version_of(&held.profile.workload)).collect();
        versions.sort_by_key(|held| std::cmp::Reverse(held.flushed));
        let judging = versions.iter().find(|held| held.flushed.is_judged).map(|held| &held.profile);
        let versions: Vec<&Profile> = versions.iter().take(MAX_VERSIONS).map(|held| &held.profile).collect();
        Profile::inherit_from(workload, now_ns, judging, &versions, &self.settings)
    }

    pub(super) fn insert(&mut self, uid: Arc<str>, mut held: ProfileEntry) {
        held.threshold = self.thresholds.of(&held.profile.lifecycle.calibration);
        if self.profiles.len() >= self.settings.max_profiles.max(1) && !self.profiles.contains_key(&uid) {
            // Those still learnt first: as many as somebody starts, they take the place of none that judges.
            let rank = |held: &ProfileEntry| (held.flushed.is_judged, held.flushed);
            let least = self.profiles.iter().min_by_key(|(_, held)| rank(held)).map(|(uid, _)| uid);
            if let Some(least) = least.cloned() {
                self.remove(&least);
                self.counters.evicted += 1;
            }
        }
        self.evicted.retain(|evicted| **evicted != *uid);
        self.profiles.insert(uid, held);
    }

    pub(super) fn remove(&mut self, uid: &str) -> Option<Profile> {
        let held = self.profiles.remove(uid)?;
        self.habits.end_of(uid);
        // A caller that never takes them has no use for them.
        if self.evicted.len() < self.settings.max_profiles {
            self.evicted.push(uid.to_owned());
        }
        Some(held.profile)
    }
}
