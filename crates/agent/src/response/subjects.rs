//! Which policies hold for which container, as far as the kernel knows.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use ethogram_detect::rules::RuleSet;
use ethogram_model::Container;
use ethogram_probe::Enforcer;

use super::{decide::Myself, derive::Accepted, policies::Policies};

/// Which policies each container was assigned.
#[derive(Default)]
pub(super) struct Subjects {
    known: HashMap<u64, Known>,
    accepted: Accepted,
    /// Whether there was a list of all.
    has_list: bool,
    /// Whether the kernel's table could not be written the last time.
    is_full: bool,
}

struct Known {
    container: Arc<Container>,
    policies: u64,
    /// Whether no list of all has come since: the next one may be older.
    is_new: bool,
}

impl Subjects {
    fn all(&self) -> impl Iterator<Item = &Arc<Container>> {
        self.known.values().map(|known| &known.container)
    }

    /// A container came, or more is known of it. As long as it has not begun, its runtime is left alone in it.
    pub(super) fn meet(&mut self, policies: &Policies, myself: &Myself, container: Arc<Container>) {
        let bits = policies.bits_of(myself, &container, &self.accepted);
        let id = container.cgroup_id;
        let before = self.known.insert(id, Known { container, policies: bits, is_new: true });
        if before.map(|known| known.policies) != Some(bits) {
            self.note(policies.assign(id, bits));
        }
    }

    /// These containers are all that there are. Those that nobody saw coming have begun, and so have those of the first list.
    pub(super) fn sync(&mut self, policies: &Policies, myself: &Myself, all: Vec<Arc<Container>>) {
        let listed: HashSet<u64> = all.iter().map(|container| container.cgroup_id).collect();
        let gone = self.known.extract_if(|id, known| !listed.contains(id) && !known.is_new);
        for id in gone.map(|(id, _)| id).collect::<Vec<_>>() {
            self.note(policies.forget(id));
        }
        for container in all {
            let id = container.cgroup_id;
            if !self.has_list || !self.known.contains_key(&id) {
                self.note(policies.begin(id));
            }
            self.meet(policies, myself, container);
        }
        self.known.values_mut().for_each(|known| known.is_new = false);
        self.has_list = true;
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
        self.known.get(&cgroup).map(|known| &known.container)
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::Response;

    #[test]
    fn a_container_that_came_after_a_list_was_made_is_not_gone_by_it() {
        let policies = Policies::start(&Response::default(), None, &Arc::default()).unwrap();
        let (mut subjects, myself) = (Subjects::default(), Myself::default());
        let container = |cgroup_id| Arc::new(Container { cgroup_id, ..Container::default() });
        subjects.meet(&policies, &myself, container(7));
        subjects.sync(&policies, &myself, vec![container(8)]);
        assert!(subjects.get(7).is_some() && subjects.get(8).is_some());
        subjects.sync(&policies, &myself, vec![container(7)]);
        assert!(subjects.get(7).is_some() && subjects.get(8).is_none());
        subjects.sync(&policies, &myself, Vec::new());
        assert!(subjects.get(7).is_none());
    }
}
