//! Starting it all in the order in which nothing is missed, and ending it in the order in which nothing is lost.

use std::{
    sync::Arc,
    thread::{Builder, JoinHandle},
};

use anyhow::Context;
use crossbeam_channel::{Sender, bounded};
use ethogram_engine::{Consumer, Engine, Input, collection::Collection, identity::Identity};
use ethogram_model::schema::Role;
use ethogram_probe::{Collector, Settings, Start, TrackerObject, TrackerStatus};
use tokio::runtime::Handle;

use super::{
    Control,
    apply::{Applier, Kernel, Order, Outlet},
    impaired,
    interruption::Clock,
    live::{Live, now_ns, since_boot_ns},
    periodic,
};
use crate::{
    container::{hierarchy::Hierarchy, linked, resolver, runtime::Runtimes, users::HostUsers},
    failure::Unable,
    record::{Recorder, Recording},
    threads,
};

/// Batches between the reader and the engine. Each holds some thousand events at most; beyond, the rings hold them.
const BATCHES: usize = 16;
/// Words from the resolver and from others that may wait for the engine.
const MESSAGES: usize = 256;
/// Questions that may wait for the resolver.
const ASKS: usize = 1024;
/// Effects that may wait to be applied. Beyond, the engine waits, and so do the rings.
const ORDERS: usize = 64;

/// What to start.
pub(crate) struct Plan {
    /// Bytes of each tracker's ring.
    pub(crate) ring_bytes: u32,
    /// Attach points that are not to be used.
    pub(crate) avoid: Vec<String>,
    /// All trackers that may be started, now or later.
    pub(crate) trackers: Vec<TrackerObject>,
    /// Those to start now.
    pub(crate) starts: Vec<TrackerStart>,
    /// Where all that the engine takes is recorded.
    pub(crate) recorder: Option<Recorder>,
}

/// A tracker to start, and how.
pub(crate) struct TrackerStart {
    pub(crate) name: String,
    pub(crate) start: Start,
    /// Whether the user asked for it by name: then it fails loudly.
    pub(crate) by_name: bool,
}

/// Everything that runs.
pub(crate) struct Pipeline<C: Consumer, O: Outlet> {
    pub(crate) collector: Arc<Collector>,
    pub(crate) control: Control<C, O>,
    pub(crate) hierarchy: Hierarchy,
    pub(crate) recording: Option<Recording>,
    engine: JoinHandle<()>,
    orders: Sender<Order<O>>,
    applier: JoinHandle<O>,
}

impl<C: Consumer, O: Outlet> Pipeline<C, O> {
    /// Starts collecting. What is there already is looked up once the tracepoints are attached that report new cgroups and
    /// processes, and before any event is taken: so each container and process is known, whether it came before, during
    /// or after.
    ///
    /// # Errors
    /// Where this kernel or these privileges cannot, or a tracker asked for by name does not start.
    pub(crate) fn launch(
        plan: Plan,
        runtimes: Arc<Runtimes>,
        tasks: &Handle,
        consumer: C,
        outlet: O,
    ) -> anyhow::Result<Self> {
        let hierarchy = Hierarchy::detect().map_err(|e| Unable(e.to_string()))?;
        let settings = Settings {
            ring_bytes: plan.ring_bytes,
            controller: hierarchy.controller,
            hierarchy: hierarchy.id,
            avoid: plan.avoid,
        };
        let roles: Vec<_> =
            plan.trackers.iter().filter_map(|t| t.schema.role.map(|r| (Arc::clone(&t.schema.name), r))).collect();
        let (output, batches) = bounded(BATCHES);
        let collector = Arc::new(Collector::new(settings, plan.trackers, output).map_err(refusal)?);
        let first = roles.iter().map(|(name, role)| {
            let params = plan.starts.iter().find(|w| w.name == **name).map(|w| w.start.params.clone());
            // A container's name is asked for as soon as its cgroup is there; the rest can wait a tenth of a second.
            let urgent = *role == Role::Containers;
            (name.to_string(), Start { params: params.unwrap_or_default(), urgent, ..Start::default() })
        });
        let mut all: Vec<_> = first.collect();
        let (roles_number, mut by_name) = (all.len(), vec![true; all.len()]);
        for tracker in plan.starts.into_iter().filter(|w| !roles.iter().any(|(name, _)| **name == *w.name)) {
            by_name.push(tracker.by_name);
            all.push((tracker.name, tracker.start));
        }
        let (started, roles_running) = bounded(roles_number);
        let starting = {
            let collector = Arc::clone(&collector);
            let start = move || {
                collector.start_all(all, |index, runs| {
                    if index < roles_number {
                        _ = started.send(runs);
                    }
                })
            };
            Builder::new().name("start".into()).spawn(start)?
        };
        // The others start meanwhile. Their events wait until the engine takes them, and so for what is looked up now.
        if roles_running.iter().take(roles_number).any(|runs| !runs) {
            let refused = ended(starting)?.into_iter().find_map(|(_, started)| started.err());
            return Err(refused.map_or_else(|| anyhow::anyhow!("the first trackers do not run"), refusal));
        }

        let (asks, asked) = tokio::sync::mpsc::channel(ASKS);
        let (orders, ordered) = bounded(ORDERS);
        let applier = Applier { kernel: Kernel::new(Arc::clone(&collector)), asks, outlet };
        let applier = threads::spawn("apply", move || applier.run(&ordered))?;
        let identity = Identity::new(roles.iter().cloned());
        let recording = plan.recorder.as_ref().map(Recorder::recording);
        let engine = Engine::new(identity, consumer, Some(Collection::default()));
        let clock = Clock::new(now_ns(), since_boot_ns());
        let mut live = Live { engine, recorder: plan.recorder, orders: orders.clone(), clock };
        let started_ns = now_ns();
        let walk = hierarchy.walk().with_context(|| format!("cannot read {}", hierarchy.root.display()))?;
        periodic::walked(walk, started_ns).for_each(|input| live.feed(input));
        Input::rows(periodic::found(&hierarchy), Input::Processes).for_each(|input| live.feed(input));
        let mut host_users = HostUsers::default();
        if let Some(users) = host_users.changed() {
            live.feed(Input::Users(Arc::new(users)));
        }
        let host_linked = linked::of_host();
        if !host_linked.is_empty() {
            live.feed(periodic::linked_on_host(host_linked.clone()));
        }

        let (sender, messages) = bounded(MESSAGES);
        let control = Control::new(sender, orders.clone());
        let answers = control.clone();
        let impaired =
            impaired::watch(Arc::clone(&collector), Arc::clone(&runtimes), hierarchy.clone(), control.clone());
        tasks.spawn(threads::watched("impaired", impaired));
        let resolving =
            resolver::run(runtimes, asked, hierarchy.clone(), move |r| answers.try_feed(Input::Resolution(r)));
        tasks.spawn(threads::watched("resolver", resolving));
        tasks.spawn(threads::watched("rewalk", periodic::rewalk(hierarchy.clone(), control.clone())));
        tasks.spawn(threads::watched("users", periodic::reread(host_users, host_linked, control.clone())));
        tasks.spawn(threads::watched("habits", periodic::count_habits(Arc::clone(&collector), control.clone())));
        if let Some(recording) = recording.clone() {
            tasks.spawn(periodic::account(Arc::clone(&collector), recording));
        }
        let engine = threads::spawn("engine", move || live.run(&batches, &messages))?;
        let pipeline = Self { collector, control, hierarchy, recording, engine, orders, applier };
        let started = ended(starting)?;
        for ((_, result), by_name) in started.into_iter().zip(by_name) {
            match result {
                Ok(_) => {}
                Err(error) if error.is_unsupported() && !by_name => tracing::warn!("{error}; the rest runs"),
                Err(error) => {
                    pipeline.stop();
                    return Err(refusal(error));
                }
            }
        }
        Ok(pipeline)
    }

    /// Ends it: no event that was sent before is lost. Gives back the outlet, and where each tracker's events went.
    pub(crate) fn stop(self) -> (Option<O>, Vec<TrackerStatus>) {
        if let Err(error) = self.collector.stop_all() {
            tracing::error!("stopping the trackers: {error}");
        }
        // What was counted since the last time.
        if let Ok(counts) = self.collector.habit_counts() {
            let counts = counts.into_iter().map(periodic::counted).collect();
            Input::rows(counts, Input::Habits).for_each(|input| self.control.feed_last(input));
        }
        self.control.stop();
        if self.engine.join().is_err() {
            tracing::error!("the engine ended before its time");
        }
        _ = self.orders.send(Order::Stop);
        let outlet = self.applier.join().ok();
        let status = self.collector.status();
        if let Some(recording) = self.recording {
            recording.finish(&status);
        }
        (outlet, status)
    }
}

fn ended<T>(thread: JoinHandle<T>) -> anyhow::Result<T> {
    thread.join().map_err(|_| anyhow::anyhow!("the thread that starts trackers ended before its time"))
}

/// An error of the kernel side, with the exit code that it deserves.
pub(crate) fn refusal(error: ethogram_probe::Error) -> anyhow::Error {
    if error.is_unsupported() { Unable(error.to_string()).into() } else { error.into() }
}
