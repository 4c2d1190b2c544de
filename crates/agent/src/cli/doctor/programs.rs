//! Which trackers work: found out by loading and attaching them all, and taking them out again.

use std::{
    collections::BTreeMap,
    panic::resume_unwind,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use ethogram_probe::{
    Collector, ProgramState, ProgramStatus, Settings, Start, Subscription, TrackerObject, TrackerStatus,
};
use serde::Serialize;

use crate::config::Config;

/// Attaching and detaching waits for the kernel more than it works.
const AT_ONCE: usize = 4;
const RING_BYTES: u32 = 1 << 16;

/// A tracker that was tried.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Tracker {
    pub(super) name: String,
    /// Whether the server starts it, as it is configured.
    pub(super) wanted: bool,
    pub(super) works: bool,
    /// Why it does not.
    pub(super) reason: Option<String>,
    pub(super) programs: Vec<Program>,
}

/// A program of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Program {
    pub(super) name: String,
    /// Where it attaches: `tp_btf/sched_process_exec`.
    pub(super) attach: String,
    pub(super) state: Use,
    /// Why it is refused, or what it costs where it is withheld.
    pub(super) reason: Option<String>,
}

/// What became of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Use {
    Attached,
    /// Only where all that its tracker sees is wanted.
    Withheld,
    Unneeded,
    Refused,
}

impl Program {
    /// How it attaches: `tp_btf`, `fexit`.
    pub(super) fn kind(&self) -> &str {
        self.attach.split(['/', ' ']).next().unwrap_or_default()
    }
}

/// Tries them all, by name, some at a time: each in a collector of its own, so that none waits for another.
pub(super) fn examine(trackers: &[TrackerObject], config: &Config) -> Vec<Tracker> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut tried = Vec::new();
        while let Some(tracker) = trackers.get(next.fetch_add(1, Ordering::Relaxed)) {
            tried.push(examine_one(tracker, config));
        }
        tried
    };
    let mut tried = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE.min(trackers.len())).map(|_| scope.spawn(work)).collect();
        let tried = workers.into_iter().map(|w| w.join().unwrap_or_else(|panic| resume_unwind(panic)));
        tried.flatten().collect::<Vec<_>>()
    });
    tried.sort_by(|a, b| a.name.cmp(&b.name));
    tried
}

fn examine_one(tracker: &TrackerObject, config: &Config) -> Tracker {
    let name = tracker.schema.name.to_string();
    let wanted = match &config.trackers.enabled {
        Some(names) => names.contains(&name) || tracker.schema.role.is_some(),
        None => tracker.schema.default,
    };
    let tried = try_out(tracker, config);
    let (programs, reason) = match tried {
        Ok(status) => (status.programs, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    Tracker { name, wanted, works: reason.is_none(), reason, programs: programs.into_iter().map(to_report).collect() }
}

/// Starts it with the parameters that the server would give it, and stops it.
fn try_out(tracker: &TrackerObject, config: &Config) -> Result<TrackerStatus, ethogram_probe::Error> {
    let name = &*tracker.schema.name;
    let (output, events) = crossbeam_channel::bounded(16);
    let drain = thread::spawn(move || events.into_iter().for_each(drop));
    let settings =
        Settings { ring_bytes: RING_BYTES, controller: None, hierarchy: 0, avoid: config.collection.avoid.clone() };
    let mut params: BTreeMap<_, _> = tracker.server_params().clone();
    params.extend(config.trackers.params.get(name).into_iter().flatten().map(|(k, v)| (k.clone(), v.0.clone())));
    let high_overhead = config.trackers.has_high_overhead(name);
    let status = Collector::new(settings, vec![tracker.clone()], output).and_then(|collector| {
        let started = collector.start(name, Start { params, high_overhead, ..Start::default() })?;
        // All were attached; this shows what is not while events are wanted by their names.
        let events = tracker.schema.events.iter().map(|e| e.name.to_string());
        collector.set_subscription(name, Subscription::only(events))?;
        Ok(collector.status().into_iter().find(|s| *s.schema.name == *name).unwrap_or(started))
    });
    // The collector has gone, and with it what it sent to.
    _ = drain.join();
    status
}

fn to_report(status: ProgramStatus) -> Program {
    let (state, reason) = match status.state {
        ProgramState::Attached | ProgramState::Idle => (Use::Attached, None),
        ProgramState::Withheld(reason) => (Use::Withheld, Some(reason)),
        ProgramState::Unneeded => (Use::Unneeded, None),
        ProgramState::Refused(reason) => (Use::Refused, Some(reason)),
    };
    Program { name: status.name, attach: status.attach, state, reason }
}
