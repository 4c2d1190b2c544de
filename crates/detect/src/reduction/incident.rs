//! Joins kept alerts into incidents.
//!
//! What comes during a surge belongs together: a host that plays a larger part has an incident of its own, the others
//! share one. What comes at any other time and is connected with nothing is gathered in a background incident.

use std::collections::BTreeMap;

use super::limits::Limits;
use super::table::Key;

/// Hosts with an incident of their own within one surge, at most. Others share one.
const HOSTS: usize = 256;

/// Where a kept alert belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The incident, counted from 0.
    pub incident: u64,
    /// The surge that the incident is a part of, counted from 0; incidents of one surge are parts of one story.
    pub surge: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    incident: u64,
    size: u64,
    opened_ms: i64,
}

#[derive(Debug, Default)]
struct Host {
    kept: u32,
    open: Option<Open>,
}

/// The open incidents.
#[derive(Debug, Default)]
pub(crate) struct Grouping {
    incidents: u64,
    surges: u64,
    kept: u64,
    in_surge: bool,
    background: Option<Open>,
    shared: Option<Open>,
    hosts: BTreeMap<Key, Host>,
}

impl Grouping {
    /// To be told of each alert's time first: closes the incidents of a surge that has ended.
    pub(crate) fn surge(&mut self, lasts: bool) {
        if lasts && !self.in_surge {
            self.surges += 1;
        }
        if !lasts && self.in_surge {
            self.shared = None;
            self.hosts.clear();
        }
        self.in_surge = lasts;
    }

    /// The place of one more kept alert. `central` says that the alert itself is something new or a burst, rather
    /// than only something rare that came meanwhile.
    pub(crate) fn place(&mut self, now_ms: i64, host: Key, central: bool, limits: &Limits) -> Place {
        let most = limits.incident_min.max(self.kept / limits.incident_share.max(1)).max(1);
        let next = self.incidents;
        let open = if !self.in_surge {
            if self.background.is_some_and(|open| now_ms.saturating_sub(open.opened_ms) > limits.background_ms) {
                self.background = None;
            }
            &mut self.background
        } else if let Some(own) = own_incident(&mut self.hosts, host, central, limits) {
            own
        } else {
            &mut self.shared
        };
        if open.is_some_and(|open| open.size >= most) {
            *open = None;
        }
        let open = open.get_or_insert(Open { incident: next, size: 0, opened_ms: now_ms });
        open.size += 1;
        let place = Place { incident: open.incident, surge: self.in_surge.then(|| self.surges.saturating_sub(1)) };
        self.incidents = self.incidents.max(place.incident + 1);
        self.kept += 1;
        place
    }

    /// Incidents so far.
    pub(crate) fn incidents(&self) -> u64 {
        self.incidents
    }
}

fn own_incident<'a>(
    hosts: &'a mut BTreeMap<Key, Host>,
    host: Key,
    central: bool,
    limits: &Limits,
) -> Option<&'a mut Option<Open>> {
    if hosts.len() >= HOSTS && !hosts.contains_key(&host) {
        return None;
    }
    let host = hosts.entry(host).or_default();
    host.kept = host.kept.saturating_add(1);
    (host.open.is_some() || (central && host.kept >= limits.own_incident)).then_some(&mut host.open)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn unconnected_alerts_share_an_incident_until_it_is_old() {
        let (mut grouping, limits) = (Grouping::default(), Limits::default());
        grouping.surge(false);
        assert_eq!(grouping.place(0, 1, true, &limits).incident, 0);
        assert_eq!(grouping.place(36 * HOUR, 2, true, &limits).incident, 0);
        assert_eq!(grouping.place(36 * HOUR + 1, 2, true, &limits), Place { incident: 1, surge: None });
    }

    #[test]
    fn in_a_surge_the_host_that_takes_part_gets_its_own_and_the_bystander_does_not() {
        let (mut grouping, limits) = (Grouping::default(), Limits::default());
        grouping.surge(true);
        let central: Vec<u64> = (0..6).map(|_| grouping.place(0, 1, true, &limits).incident).collect();
        let bystander: Vec<u64> = (0..6).map(|_| grouping.place(0, 2, false, &limits).incident).collect();
        assert_eq!(central, [0, 0, 0, 1, 1, 1]);
        assert_eq!(bystander, [0; 6]);
    }

    #[test]
    fn the_next_surge_opens_new_incidents() {
        let (mut grouping, limits) = (Grouping::default(), Limits::default());
        grouping.surge(true);
        let first = grouping.place(0, 1, true, &limits);
        grouping.surge(false);
        grouping.surge(true);
        let second = grouping.place(HOUR, 1, true, &limits);
        assert_eq!((first.surge, second.surge), (Some(0), Some(1)));
        assert_ne!(first.incident, second.incident);
    }

    #[test]
    fn no_incident_exceeds_its_share() {
        let (mut grouping, limits) = (Grouping::default(), Limits::default());
        let mut sizes: BTreeMap<u64, u64> = BTreeMap::new();
        for step in 0..2_000_u64 {
            grouping.surge(step % 400 > 100);
            let place = grouping.place(0, Key::from(step % 3), true, &limits);
            *sizes.entry(place.incident).or_default() += 1;
        }
        assert!(sizes.values().all(|&size| size * 5 <= 2_000));
        assert_eq!(sizes.len() as u64, grouping.incidents());
    }

    #[test]
    fn hosts_without_end_are_bounded() {
        let (mut grouping, limits) = (Grouping::default(), Limits::default());
        grouping.surge(true);
        for host in 0..10_000 {
            grouping.place(0, host, true, &limits);
        }
        assert_eq!(grouping.hosts.len(), HOSTS);
    }
}
