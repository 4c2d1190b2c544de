//! Where each event went: seen = delivered + aggregated + filtered + dropped.

use std::{
    collections::BTreeMap,
    ops::AddAssign,
    sync::atomic::{AtomicU64, Ordering},
};

use libbpf_rs::{MapCore, MapFlags, MapHandle};

/// A tracker's counts since the agent started, over all its starts. None ever falls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events that the tracker's hooks met.
    pub seen: u64,
    /// Those handed on one by one.
    pub delivered: u64,
    /// Those counted in the kernel and handed on as rows.
    pub aggregated: u64,
    /// Rows that stood for the aggregated ones.
    pub rows: u64,
    /// Those nobody wanted, by reason.
    pub filtered: BTreeMap<String, u64>,
    /// Those lost, by stage and reason.
    pub dropped: BTreeMap<(String, String), u64>,
    /// Those on their way from the kernel: neither delivered nor lost yet.
    pub in_flight: u64,
}

impl Counters {
    /// The sum of all filtered ones.
    pub fn filtered_total(&self) -> u64 {
        self.filtered.values().sum()
    }

    /// The sum of all lost ones.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Seen events that none of the other counts explains. Zero once the tracker has come to rest.
    pub fn unaccounted(&self) -> i128 {
        i128::from(self.seen)
            - i128::from(self.delivered)
            - i128::from(self.aggregated)
            - i128::from(self.filtered_total())
            - i128::from(self.dropped_total())
            - i128::from(self.in_flight)
    }
}

impl AddAssign<&Counters> for Counters {
    fn add_assign(&mut self, other: &Counters) {
        self.seen += other.seen;
        self.delivered += other.delivered;
        self.aggregated += other.aggregated;
        self.rows += other.rows;
        self.in_flight += other.in_flight;
        for (reason, n) in &other.filtered {
            *self.filtered.entry(reason.clone()).or_default() += n;
        }
        for (reason, n) in &other.dropped {
            *self.dropped.entry(reason.clone()).or_default() += n;
        }
    }
}

/// What the reader thread counts of one tracker.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// Records handed on.
    pub(crate) delivered: AtomicU64,
    /// Rows of samples handed on.
    pub(crate) rows: AtomicU64,
    /// Records that do not fit their schema.
    pub(crate) malformed: AtomicU64,
}

/// The kernel's part of a tracker's counters: a struct of counters for each CPU, whose members name them.
#[derive(Debug)]
pub(crate) struct KernelCounters {
    pub(crate) map: MapHandle,
    pub(crate) names: Vec<(String, usize)>,
}

impl KernelCounters {
    /// All counters, with what the reader thread has counted of what was submitted.
    pub(crate) fn read(&self, read: &Read) -> Counters {
        let mut out = Counters::default();
        // First what was read, then what was submitted: what happens in between is in flight, never negative.
        let delivered = read.delivered.load(Ordering::Acquire);
        let malformed = read.malformed.load(Ordering::Acquire);
        out.delivered = delivered;
        out.rows = read.rows.load(Ordering::Acquire);
        let Ok(Some(cpus)) = self.map.lookup_percpu(&0u32.to_ne_bytes(), MapFlags::ANY) else { return out };
        let total = |offset: usize| -> u64 {
            let one = |cpu: &Vec<u8>| {
                cpu.get(offset..offset + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_ne_bytes)
            };
            cpus.iter().map(one).sum()
        };
        let mut submitted = 0;
        for (name, offset) in &self.names {
            let n = total(*offset);
            match name.split_once("__") {
                None if name == "seen" => out.seen = n,
                None if name == "submitted" => submitted = n,
                None if name == "aggregated" => out.aggregated = n,
                Some(("filtered", reason)) => _ = out.filtered.insert(reason.into(), n),
                Some(("dropped", reason)) => _ = out.dropped.insert(("kernel".into(), reason.into()), n),
                _ => {}
            }
        }
        out.dropped.insert(("reader".into(), "malformed".into()), malformed);
        out.in_flight = submitted.saturating_sub(delivered + malformed);
        out
    }
}
