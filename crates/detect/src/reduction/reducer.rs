//! Decides which alerts are kept.

use serde::Serialize;

use super::budget::Budget;
use super::clock::{Clock, ClockCounts};
use super::incident::{Grouping, Place};
use super::limits::Limits;
use super::sightings::{Sighting, Sightings};
use super::surge::Surge;
use super::table::{Key, Table, key};

const DAY_MS: f64 = 86_400_000.0;

/// One alert of any tool.
#[derive(Debug, Clone, Copy)]
pub struct Alert<'a> {
    /// Milliseconds since any fixed moment, if known.
    pub time_ms: Option<i64>,
    /// What the tool calls the alert, in full.
    pub name: &'a [u8],
    /// The kind of alert, which several names may share. Empty means that the name is the kind.
    pub short: &'a [u8],
    /// The host that the alert is about.
    pub host: &'a [u8],
    /// The host's address. It stands for the host where that is empty.
    pub ip: &'a [u8],
}

/// Why an alert is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Its kind was never seen on any host.
    FirstOnNetwork,
    /// Its name was never seen on this host, and its kind is rare on the network.
    NewOnHost,
    /// It is rare on this host and on the network, and comes again: alone if very rare, else in company.
    Rare,
    /// It is somewhat rare, and comes during a surge of new things.
    Surge,
    /// More of it came at once than ever before.
    Burst,
}

/// What becomes of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is kept.
    Kept {
        /// Why.
        reason: Reason,
        /// In which incident.
        place: Place,
    },
    /// It tells nothing new.
    Usual,
    /// It would be kept, but its host or the network has used up its budget.
    OverBudget,
}

/// What a reducer has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Alerts seen.
    pub alerts: u64,
    /// Alerts kept.
    pub kept: u64,
    /// Incidents.
    pub incidents: u64,
    /// Alerts not kept because a budget was used up.
    pub over_budget: u64,
    /// Entries that had to be forgotten because a table was full.
    pub forgotten: u64,
    /// Times that were not in order.
    pub clock: ClockCounts,
}

#[derive(Debug, Default)]
struct KindOnHost {
    kept_ms: Option<i64>,
}

#[derive(Debug, Default)]
struct Host {
    rare_ms: Option<i64>,
    budget: Budget,
}

/// Reduces one stream of alerts.
#[derive(Debug)]
pub struct Reducer {
    limits: Limits,
    clock: Clock,
    names: Table<Sightings>,
    kinds_on_hosts: Table<KindOnHost>,
    kinds: Table<Sightings>,
    hosts: Table<Host>,
    surge: Surge,
    grouping: Grouping,
    budget: Budget,
    counts: Counts,
}

/// What is known about one alert when it is judged.
struct Seen {
    name: Sighting,
    kind: Sighting,
    /// Rates an episode a day: of the name on its host, and of the kind on the network.
    on_host: f64,
    on_network: f64,
    in_company: bool,
    learned: bool,
    surge: bool,
}

impl Reducer {
    /// A reducer that has seen nothing.
    pub fn new(limits: Limits) -> Self {
        let size = limits.table_size;
        Self {
            clock: Clock::default(),
            names: Table::new(size),
            kinds_on_hosts: Table::new(size / 2),
            kinds: Table::new(size / 4),
            hosts: Table::new(size / 4),
            surge: Surge::default(),
            grouping: Grouping::default(),
            budget: Budget::default(),
            counts: Counts::default(),
            limits,
        }
    }

    /// Judges the next alert. Alerts are to come in order of time; what is late counts as of the time reached.
    pub fn step(&mut self, alert: &Alert<'_>) -> Decision {
        self.counts.alerts += 1;
        let now_ms = self.clock.advance(alert.time_ms);
        let kind = if alert.short.is_empty() { alert.name } else { alert.short };
        let host = if alert.host.is_empty() { alert.ip } else { alert.host };
        let host_key = key(&[host]);
        let seen = self.count(now_ms, key(&[alert.name, host]), key(&[kind]), host_key);
        self.grouping.surge(seen.surge);
        let Some(reason) = self.judge(&seen) else { return Decision::Usual };
        let repeats = &mut self.kinds_on_hosts.entry(key(&[kind, host])).kept_ms;
        let repeated = repeats.is_some_and(|time| now_ms.saturating_sub(time) < self.limits.repeat_ms);
        if repeated && !seen.surge && reason != Reason::Burst {
            return Decision::Usual;
        }
        let host_budget = &mut self.hosts.entry(host_key).budget;
        if !host_budget.allows(now_ms, self.limits.host_budget)
            || !self.budget.allows(now_ms, self.limits.network_budget)
        {
            self.counts.over_budget += 1;
            return Decision::OverBudget;
        }
        host_budget.spend();
        self.budget.spend();
        *repeats = Some(now_ms);
        self.counts.kept += 1;
        let central = matches!(reason, Reason::FirstOnNetwork | Reason::NewOnHost | Reason::Burst);
        Decision::Kept { reason, place: self.grouping.place(now_ms, host_key, central, &self.limits) }
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        Counts {
            incidents: self.grouping.incidents(),
            forgotten: self.names.forgotten()
                + self.kinds_on_hosts.forgotten()
                + self.kinds.forgotten()
                + self.hosts.forgotten(),
            clock: self.clock.counts(),
            ..self.counts
        }
    }

    /// Counts the alert in all tables, and gathers what is to be known about it.
    fn count(&mut self, now_ms: i64, name: Key, kind: Key, host: Key) -> Seen {
        let limits = &self.limits;
        let name = self.names.entry(name).see(now_ms, limits.episode_gap_ms);
        let kind = self.kinds.entry(kind).see(now_ms, limits.episode_gap_ms);
        let days = now_ms as f64 / DAY_MS;
        let (on_host, on_network) = (name.rate(days), kind.rate(days));
        let learned = now_ms >= limits.learn_ms;
        let recent = &mut self.hosts.entry(host).rare_ms;
        let in_company = recent.is_some_and(|time| now_ms.saturating_sub(time) <= limits.company_ms);
        if on_host < limits.rare_on_host {
            if name.begins {
                *recent = Some(now_ms);
            }
            let grows = name.record && name.size >= limits.burst_sign && name.size.is_power_of_two();
            if grows || (name.begins && name.is_new()) {
                self.surge.see_new(now_ms, learned, limits);
            }
        }
        Seen { name, kind, on_host, on_network, in_company, learned, surge: self.surge.lasts(now_ms) }
    }

    fn judge(&self, seen: &Seen) -> Option<Reason> {
        if seen.name.begins { self.judge_beginning(seen) } else { self.judge_more(seen) }
    }

    /// The first alert of an episode.
    fn judge_beginning(&self, seen: &Seen) -> Option<Reason> {
        let first = seen.kind.first;
        if first {
            return Some(Reason::FirstOnNetwork);
        }
        if !seen.learned {
            return None;
        }
        if self.rare(seen, 1.0) {
            if seen.name.is_new() {
                return Some(Reason::NewOnHost);
            }
            if seen.in_company || seen.on_host + seen.on_network < self.limits.rare_together / 2.0 {
                return Some(Reason::Rare);
            }
        }
        (seen.surge && self.rare(seen, self.limits.surge_factor)).then_some(Reason::Surge)
    }

    /// A further alert of an episode.
    fn judge_more(&self, seen: &Seen) -> Option<Reason> {
        let limits = &self.limits;
        let size = seen.name.size;
        if seen.learned && seen.in_company && size == limits.company_count && self.rare(seen, 1.0) {
            return Some(Reason::Rare);
        }
        let least = if seen.surge { limits.burst_in_surge } else { limits.burst_alone };
        (seen.name.record && size >= least && size.is_power_of_two()).then_some(Reason::Burst)
    }

    fn rare(&self, seen: &Seen, factor: f64) -> bool {
        let limits = &self.limits;
        seen.on_host < factor * limits.rare_on_host
            && seen.on_network < factor * limits.rare_on_network
            && seen.on_host + seen.on_network < factor * limits.rare_together
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
