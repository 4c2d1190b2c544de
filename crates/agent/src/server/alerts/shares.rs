//! How much of the alerts' room each workload takes, and which alert goes where there are too many.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::entry::Traits;

/// What one workload takes.
#[derive(Debug, Default, Clone, Copy)]
struct Share {
    count: usize,
    bytes: usize,
}

/// What each workload takes.
#[derive(Debug, Default)]
pub(super) struct Shares {
    by_workload: BTreeMap<String, Share>,
    total: Share,
}

/// Bounds of all alerts together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) count: usize,
    pub(super) bytes: usize,
}

impl Shares {
    pub(super) fn add(&mut self, workload: &str, bytes: usize) {
        if !self.by_workload.contains_key(workload) {
            self.by_workload.insert(workload.to_owned(), Share::default());
        }
        if let Some(share) = self.by_workload.get_mut(workload) {
            (share.count, share.bytes) = (share.count + 1, share.bytes + bytes);
        }
        (self.total.count, self.total.bytes) = (self.total.count + 1, self.total.bytes + bytes);
    }

    pub(super) fn remove(&mut self, workload: &str, bytes: usize) {
        let less = |share: &mut Share| {
            share.count = share.count.saturating_sub(1);
            share.bytes = share.bytes.saturating_sub(bytes);
        };
        less(&mut self.total);
        if let Some(share) = self.by_workload.get_mut(workload) {
            less(share);
            if share.count == 0 {
                self.by_workload.remove(workload);
            }
        }
    }

    /// The workload that has to give way, where all together are too many: the one that takes most of what is short.
    pub(super) fn largest_beyond(&self, bounds: Bounds) -> Option<&str> {
        let shares = self.by_workload.iter();
        let largest = match () {
            () if self.total.bytes > bounds.bytes => shares.max_by_key(|(_, share)| share.bytes),
            () if self.total.count > bounds.count => shares.max_by_key(|(_, share)| share.count),
            () => None,
        };
        largest.map(|(workload, _)| workload.as_str())
    }
}

/// Which of a workload's alerts go first, so many: the least severe, of these the oldest; and of each analytic the first one at last, as
/// it says how it all began.
pub(super) fn first_to_go<'a>(
    oldest_first: impl Iterator<Item = (&'a Arc<str>, &'a Traits)>,
    most: usize,
) -> Vec<Arc<str>> {
    let mut met = BTreeSet::new();
    let mut ranked: Vec<_> =
        oldest_first.map(|(uid, traits)| (met.insert(&*traits.analytic), traits.severity, uid)).collect();
    ranked.sort_by_key(|(is_first, severity, _)| (*is_first, *severity));
    ranked.into_iter().take(most).map(|(.., uid)| Arc::clone(uid)).collect()
}
