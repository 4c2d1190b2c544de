//! What became of the alerts that were to go to one place.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Why an alert did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// More came at once than the queue holds.
    QueueFull,
    /// The receiver was away for longer than the spool has room for.
    SpoolFull,
    /// The disk took nothing, and more came than wait in memory.
    DiskFull,
    /// It is longer than what can be kept.
    TooLong,
    /// It was kept, and cannot be read any more.
    Damaged,
    /// The receiver will never take it.
    Refused,
    /// It could not be written to standard output.
    NotWritten,
}

impl Reason {
    const ALL: [Self; 7] = [
        Self::QueueFull,
        Self::SpoolFull,
        Self::DiskFull,
        Self::TooLong,
        Self::Damaged,
        Self::Refused,
        Self::NotWritten,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::SpoolFull => "spool_full",
            Self::DiskFull => "disk_full",
            Self::TooLong => "too_long",
            Self::Damaged => "damaged",
            Self::Refused => "refused",
            Self::NotWritten => "not_written",
        }
    }
}

/// Counts that only grow.
#[derive(Debug, Default)]
pub(super) struct SinkCounters {
    delivered: AtomicU64,
    retries: AtomicU64,
    dropped: [AtomicU64; Reason::ALL.len()],
}

impl SinkCounters {
    pub(super) fn delivered(&self, alerts: u64) {
        self.delivered.fetch_add(alerts, Relaxed);
    }

    pub(super) fn retried(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    pub(super) fn dropped(&self, why: Reason, alerts: u64) {
        if let Some(count) = self.dropped.get(why as usize) {
            count.fetch_add(alerts, Relaxed);
        }
    }

    pub(super) fn all_delivered(&self) -> u64 {
        self.delivered.load(Relaxed)
    }

    pub(super) fn all_retries(&self) -> u64 {
        self.retries.load(Relaxed)
    }

    pub(super) fn all_dropped(&self) -> BTreeMap<&'static str, u64> {
        Reason::ALL.iter().zip(&self.dropped).map(|(why, count)| (why.name(), count.load(Relaxed))).collect()
    }
}
