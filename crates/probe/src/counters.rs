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
    /// Those left out on purpose, by reason.
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

/// Why a record is no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It fits no schema.
    Malformed,
    /// The tracker's hook found it to be something else.
    Unparsed,
}

/// What became of a tracker's records in user space, over all its starts. The one that takes events from the collector's
/// output counts here what it did with each: until then it is in flight.
#[derive(Debug, Default)]
pub struct Outcome {
    delivered: AtomicU64,
    rows: AtomicU64,
    filtered: AtomicU64,
    malformed: AtomicU64,
    unparsed: AtomicU64,
}

impl Outcome {
    /// So many events, or rows of a sample, were delivered.
    pub fn delivered(&self, sample: bool, number: u64) {
        let counter = if sample { &self.rows } else { &self.delivered };
        counter.fetch_add(number, Ordering::Release);
    }

    /// So many events were of containers that are filtered. A row stands for operations that are counted already.
    pub fn filtered(&self, sample: bool, number: u64) {
        if !sample {
            self.filtered.fetch_add(number, Ordering::Release);
        }
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        let counter = match refusal {
            Refusal::Malformed => &self.malformed,
            Refusal::Unparsed => &self.unparsed,
        };
        counter.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn malformed(&self) -> u64 {
        self.malformed.load(Ordering::Acquire)
    }

    /// Adds what became of the records that the kernel's part calls in flight.
    pub(crate) fn add_to(&self, counters: &mut Counters) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        let (delivered, filtered, malformed) = (load(&self.delivered), load(&self.filtered), load(&self.malformed));
        let unparsed = load(&self.unparsed);
        counters.delivered = delivered;
        counters.rows = load(&self.rows);
        *counters.filtered.entry("container".into()).or_default() += filtered;
        counters.dropped.insert(("read".into(), "malformed".into()), malformed);
        if unparsed > 0 {
            counters.filtered.insert("unparsed".into(), unparsed);
        }
        counters.in_flight = counters.in_flight.saturating_sub(delivered + filtered + malformed + unparsed);
    }
}

/// The kernel's part of a tracker's counters: a struct of counters for each CPU, whose members name them.
#[derive(Debug)]
pub(crate) struct KernelCounters {
    pub(crate) map: MapHandle,
    pub(crate) names: Vec<(String, usize)>,
}

impl KernelCounters {
    /// All counters; what was submitted is in flight. `missed` are calls that no program ran for.
    pub(crate) fn read(&self, missed: u64) -> Counters {
        let (mut out, cpus) = (Counters::default(), self.by_cpu());
        for (name, offset) in &self.names {
            let n = total(&cpus, *offset);
            match name.split_once("__") {
                None if name == "seen" => out.seen = n,
                None if name == "submitted" => out.in_flight = n,
                None if name == "aggregated" => out.aggregated = n,
                Some(("filtered", reason)) => _ = out.filtered.insert(reason.into(), n),
                Some(("dropped", rest)) => {
                    let (stage, reason) = rest.split_once("__").unwrap_or((rest, "full"));
                    out.dropped.insert((stage.into(), reason.into()), n);
                }
                _ => {}
            }
        }
        // No program saw them, but they happened.
        out.seen += missed;
        out.dropped.insert(("hook".into(), "missed".into()), missed);
        out
    }

    /// The sum of what was dropped, as [`Self::read`] has it.
    pub(crate) fn dropped(&self) -> u64 {
        let cpus = self.by_cpu();
        let dropped = self.names.iter().filter(|(name, _)| name.starts_with("dropped__"));
        dropped.map(|(_, offset)| total(&cpus, *offset)).sum()
    }

    fn by_cpu(&self) -> Vec<Vec<u8>> {
        self.map.lookup_percpu(&0u32.to_ne_bytes(), MapFlags::ANY).ok().flatten().unwrap_or_default()
    }
}

fn total(cpus: &[Vec<u8>], offset: usize) -> u64 {
    let one = |cpu: &Vec<u8>| cpu.get(offset..offset + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_ne_bytes);
    cpus.iter().map(one).sum()
}
