//! What is read from time to time, and given to the engine: the hierarchy of cgroups, the host's users, habits counted by
//! the kernel, and where all events went.

use std::{sync::Arc, time::Duration};

use ethogram_detect::HabitCount;
use ethogram_engine::{
    Consumer, FoundProcess, Input,
    containers::{
        runtime::{LinkedFile, Resolution},
        walk::Walk,
    },
};
use ethogram_probe::Collector;

use super::{Control, apply::Outlet, found as procfs, live::now_ns};
use crate::{
    container::{hierarchy::Hierarchy, linked, membership::Membership, users::HostUsers},
    record::Recording,
};

/// How often the hierarchy is walked to make up for what its tracepoints may have missed.
const REWALK: Duration = Duration::from_secs(30);
/// How often the host's files are looked at that name its users, and that are guarded.
const HOST_FILES: Duration = Duration::from_secs(10);
/// How often the kernel's counts of habits are read.
const HABITS: Duration = Duration::from_secs(3);
/// How often a recording says where all events went.
const ACCOUNT: Duration = Duration::from_secs(10);

/// A walk as inputs: its cgroups, and that it is complete.
pub(super) fn walked(walk: Walk, started_ns: u64) -> impl Iterator<Item = Input> {
    let complete = Input::Walk { cut: walk.cut, started_ns, now_ns: now_ns() };
    let owners = Input::rows(walk.owners.into_iter().collect(), Input::Owners);
    Input::rows(walk.cgroups, Input::Cgroups).chain(owners).chain([complete])
}

pub(super) async fn rewalk<C: Consumer, O: Outlet>(hierarchy: Hierarchy, control: Control<C, O>) {
    loop {
        tokio::time::sleep(REWALK).await;
        let hierarchy = hierarchy.clone();
        let done = tokio::task::spawn_blocking(move || (now_ns(), hierarchy.walk())).await;
        if let Ok((started_ns, Ok(walk))) = done
            && control.feed_all(walked(walk, started_ns)).await.is_err()
        {
            return;
        }
    }
}

/// The host's guarded files with several names, as an input.
pub(super) fn linked_on_host(files: Vec<LinkedFile>) -> Input {
    Input::Resolution(Resolution::Linked { cgroup: String::new(), files })
}

/// Sends the engine the names of the host's users, and its guarded files with several names, when they change.
pub(super) async fn reread<C: Consumer, O: Outlet>(
    mut host: HostUsers,
    mut known: Vec<LinkedFile>,
    control: Control<C, O>,
) {
    loop {
        tokio::time::sleep(HOST_FILES).await;
        let Ok((back, users, found)) = tokio::task::spawn_blocking(move || {
            let users = host.changed();
            (host, users, linked::of_host())
        })
        .await
        else {
            return;
        };
        host = back;
        let users = users.map(|users| Input::Users(Arc::new(users)));
        let files = (found != known).then(|| linked_on_host(found.clone()));
        known = found;
        if control.feed_all(users.into_iter().chain(files)).await.is_err() {
            return;
        }
    }
}

/// Sends the engine from time to time what the kernel has counted of habits.
pub(super) async fn count_habits<C: Consumer, O: Outlet>(collector: Arc<Collector>, control: Control<C, O>) {
    loop {
        tokio::time::sleep(HABITS).await;
        let collector = Arc::clone(&collector);
        let Ok(counts) = tokio::task::spawn_blocking(move || collector.habit_counts()).await else { return };
        let counts = match counts {
            Ok(counts) => counts,
            Err(error) => {
                tracing::warn!("{error}; the next time it is tried again");
                continue;
            }
        };
        let counts = counts.into_iter().map(counted).collect();
        if control.feed_all(Input::rows(counts, Input::Habits)).await.is_err() {
            return;
        }
    }
}

// The kernel's tables have room for what the model calls habits, and for the engine's verdicts.
const _: () = assert!(ethogram_detect::MAX_HABITS <= Collector::MAX_HABITS);
const _: () = assert!(ethogram_engine::collection::MAX_FILTERED <= Collector::MAX_VERDICTS);

pub(super) fn counted(count: ethogram_probe::HabitCount) -> HabitCount {
    HabitCount { habit: count.habit, count: count.count, last_ns: count.last_ns }
}

/// Has the recording say from time to time where all events went.
pub(super) async fn account(collector: Arc<Collector>, recording: Recording) {
    loop {
        tokio::time::sleep(ACCOUNT).await;
        let (collector, recording) = (Arc::clone(&collector), recording.clone());
        if tokio::task::spawn_blocking(move || recording.account(&collector.status())).await.is_err() {
            return;
        }
    }
}

/// All processes there are, each with the id of its cgroup in the hierarchy.
pub(crate) fn found(hierarchy: &Hierarchy) -> Vec<FoundProcess> {
    procfs::found(|process| Membership::of(process)?.id_in(hierarchy))
}
