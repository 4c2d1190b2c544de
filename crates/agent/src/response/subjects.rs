//! Which policies hold for which container, as far as the kernel knows.

use std::{collections::HashMap, sync::Arc};

use ethogram_detect::rules::RuleSet;
use ethogram_model::Container;
use ethogram_probe::Enforcer;

use super::{decide::Myself, derive::Accepted, policies::Policies};

/// Which policies each container was assigned.
#[derive(Default)]
pub(super) struct Subjects {
    known: HashMap<u64, (Arc<Container>, u64)>,
    accepted: Accepted,
    /// Whether the kernel's table could not be written the last time.
    is_full: bool,
}

impl Subjects {
    fn all(&self) -> impl Iterator<Item = &Arc<Container>> {
        self.known.values().map(|(container, _)| container)
    }

    /// A container came, or more is known of it.
    pub(super) fn meet(&mut self, policies: &Policies, myself: &Myself, container: Arc<Container>) {
        let bits = policies.bits_of(myself, &container, &self.accepted);
        let id = container.cgroup_id;
        let before = self.known.insert(id, (container, bits)).map_or(0, |(_, bits)| bits);
        if before != bits {
            self.note(policies.assign(id, bits));
        }
    }

    /// These containers are all that there are.
    pub(super) fn sync(&mut self, policies: &Policies, myself: &Myself, all: Vec<Arc<Container>>) {
        let gone: Vec<u64> = self.known.keys().filter(|id| !all.iter().any(|c| c.cgroup_id == **id)).copied().collect();
        for id in gone {
            self.known.remove(&id);
            self.note(policies.assign(id, 0));
        }
        all.into_iter().for_each(|container| self.meet(policies, myself, container));
    }

    /// Other rules are in force. Gives the earlier policies where others took their place: they have ended once it is dropped.
    pub(super) fn follow(&mut self, policies: &Policies, myself: &Myself, rules: &Arc<RuleSet>) -> Option<Enforcer> {
        let earlier = policies.follow(rules, self.all(), &self.accepted, myself);
        self.assign_anew(policies, myself);
        earlier
    }

    /// Other findings are normal.
    pub(super) fn accept(&mut self, policies: &Policies, myself: &Myself, accepted: Accepted) {
        self.accepted = accepted;
        self.assign_anew(policies, myself);
    }

    fn assign_anew(&mut self, policies: &Policies, myself: &Myself) {
        let all: Vec<_> = self.all().cloned().collect();
        all.into_iter().for_each(|container| self.meet(policies, myself, container));
    }

    pub(super) fn get(&self, cgroup: u64) -> Option<&Arc<Container>> {
        self.known.get(&cgroup).map(|(container, _)| container)
    }

    pub(super) fn find(&self, id: &str) -> Option<&Arc<Container>> {
        self.all().find(|c| c.id == id)
    }

    fn note(&mut self, assigned: Result<(), ethogram_probe::Error>) {
        match assigned {
            Ok(()) => self.is_full = false,
            Err(error) if !std::mem::replace(&mut self.is_full, true) => {
                tracing::error!("{error}: policies do not hold for some containers");
            }
            Err(_) => {}
        }
    }
}
