//! What addresses are called.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
};

use ethogram_model::{Event, Value};

/// Addresses whose names are remembered; beyond, the oldest are forgotten.
const MAX_NAMES: usize = 16_384;

/// Names of addresses, as the answers to DNS queries said. No server is queried.
#[derive(Debug, Default)]
pub(crate) struct Names {
    by_address: BTreeMap<(u64, IpAddr), String>,
    order: VecDeque<(u64, IpAddr)>,
}

impl Names {
    /// The name that DNS gave an address, for the container, or the host, that an event is of.
    pub(crate) fn name(&self, event: &Event, address: IpAddr) -> Option<&str> {
        self.by_address.get(&(place(event), address)).map(String::as_str)
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
        let mut changed = false;
        for answer in answers {
            let Some(address) = std::str::from_utf8(&answer).ok().and_then(|a| a.parse().ok()) else { continue };
            let key = (place(event), address);
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let before = self.by_address.insert(key, name);
            changed |= before.as_ref() != self.by_address.get(&key);
            if before.is_none() {
                self.order.push_back(key);
            }
            if self.order.len() > MAX_NAMES
                && let Some(oldest) = self.order.pop_front()
            {
                self.by_address.remove(&oldest);
            }
        }
        changed
    }
}

fn place(event: &Event) -> u64 {
    event.context.container.as_ref().map_or(0, |c| c.cgroup_id)
}
