//! What addresses are called.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
};

use ethogram_model::{Event, Value};

/// Addresses whose names are remembered in one container; beyond, its oldest are forgotten.
const MAX_NAMES_EACH: usize = 2_048;
/// The same of all containers; beyond, the oldest of the one with most are forgotten.
const MAX_NAMES: usize = 16_384;

/// Names of addresses, as the answers to DNS queries said. No server is queried. An answer is one to a query that the same container
/// sent: the tracker compares socket and id.
#[derive(Debug, Default)]
pub(crate) struct Names {
    by_place: BTreeMap<u64, Place>,
    count: usize,
}

/// The names in one container.
#[derive(Debug, Default)]
struct Place {
    by_address: BTreeMap<IpAddr, String>,
    order: VecDeque<IpAddr>,
}

impl Place {
    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.order.pop_front() {
            self.by_address.remove(&oldest);
        }
    }
}

impl Names {
    /// The name that DNS gave an address, for the container, or the host, that an event is of.
    pub(crate) fn name(&self, event: &Event, address: IpAddr) -> Option<&str> {
        self.by_place.get(&place(event))?.by_address.get(&address).map(String::as_str)
    }

    /// Learns from an event that has answers. Whether an address is called otherwise than before.
    pub(crate) fn learn(&mut self, event: &Event) -> bool {
        let Some((name, addresses)) = event.schema.layout().names else { return false };
        let name = event.value_at(name);
        let Value::List(answers) = event.value_at(addresses) else { return false };
        let name = name.to_text();
        if name.is_empty() {
            return false;
        }
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let mut changed = false;
        for answer in answers {
            let Some(address) = std::str::from_utf8(&answer).ok().and_then(|a| a.parse().ok()) else { continue };
            changed |= self.insert(place(event), address, name.clone());
        }
        changed
    }

    fn insert(&mut self, place: u64, address: IpAddr, name: String) -> bool {
        let of_place = self.by_place.entry(place).or_default();
        if let Some(known) = of_place.by_address.get_mut(&address) {
            let changed = *known != name;
            *known = name;
            return changed;
        }
        of_place.by_address.insert(address, name);
        of_place.order.push_back(address);
        self.count += 1;
        if of_place.order.len() > MAX_NAMES_EACH {
            of_place.forget_oldest();
            self.count -= 1;
        } else if self.count > MAX_NAMES {
            self.forget_one();
        }
        true
    }

    /// Forgets the oldest where most are.
    fn forget_one(&mut self) {
        let largest = self.by_place.iter_mut().max_by_key(|(_, place)| place.order.len());
        let Some((&id, place)) = largest else { return };
        place.forget_oldest();
        self.count -= 1;
        if place.order.is_empty() {
            self.by_place.remove(&id);
        }
    }
}

fn place(event: &Event) -> u64 {
    event.context.container.as_ref().map_or(0, |c| c.cgroup_id)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(n: u32) -> IpAddr {
        Ipv4Addr::from(n).into()
    }

    fn count(names: &Names, place: u64) -> usize {
        names.by_place.get(&place).map_or(0, |place| place.by_address.len())
    }

    #[test]
    fn endless_names_of_one_container_forget_none_of_another() {
        let mut names = Names::default();
        assert!(names.insert(1, address(7), "db.shop".into()));
        (0..50_000).for_each(|n| _ = names.insert(2, address(n), format!("{n}.flood")));
        assert_eq!((count(&names, 1), count(&names, 2)), (1, MAX_NAMES_EACH));
        assert!(!names.insert(1, address(7), "db.shop".into()), "it is called as before");
        assert!(names.insert(1, address(7), "other".into()));
        // Those of many containers have a bound as well, and the small ones keep theirs.
        (3..40).for_each(|place| (0..3_000).for_each(|n| _ = names.insert(place, address(n), "flood".into())));
        assert_eq!(names.by_place.values().map(|place| place.order.len()).sum::<usize>(), MAX_NAMES);
        assert_eq!((names.count, count(&names, 1)), (MAX_NAMES, 1));
    }
}
