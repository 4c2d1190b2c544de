//! Starting it all in the order in which nothing is missed, and ending it in the order in which nothing is lost.

use std::{fs, os::unix::fs::MetadataExt, sync::Arc, thread::JoinHandle, time::Duration};

use anyhow::Context;
use crossbeam_channel::bounded;
use ethogram_detect::HabitCount;
use ethogram_model::{TrackerSchema, schema::Role};
use ethogram_probe::{Collector, Settings, Start, TrackerObject, TrackerStatus};
use tokio::runtime::Handle;

use super::{
    Consumer, Control, Engine, Input,
    found::{self, Found},
    gate::Gate,
    identity::Identity,
    live::{Live, now_ns},
};
use crate::{
    container::{hierarchy::Hierarchy, resolver, runtime::Runtimes, users::HostUsers},
    failure::Unable,
    record::{Recorder, Recording},
};

/// Batches between the reader and the engine. Each holds some thousand events at most; beyond, the rings hold them.
const BATCHES: usize = 16;
/// Words from the resolver and from others that may wait for the engine.
const MESSAGES: usize = 256;
/// Questions that may wait for the resolver.
const ASKS: usize = 1024;
/// How often the hierarchy is walked to make up for what its tracepoints may have missed.
const REWALK: Duration = Duration::from_secs(30);
/// How often the host's files are looked at that name its users.
const USERS: Duration = Duration::from_secs(10);
/// How often the kernel's counts of habits are read.
const HABITS: Duration = Duration::from_secs(3);
/// Every how many times it is also asked how often no program ran.
const MISSED: u64 = 10;
/// How often a recording says where all events went.
const ACCOUNT: Duration = Duration::from_secs(10);

/// What to start.
pub(crate) struct Plan {
    /// Bytes of each tracker's ring.
    pub(crate) ring_bytes: u32,
    /// Attach points that are not to be used.
    pub(crate) avoid: Vec<String>,
    /// All trackers that may be started, now or later.
    pub(crate) trackers: Vec<TrackerObject>,
    /// Those to start now.
    pub(crate) wanted: Vec<Wanted>,
    /// Where all that the engine takes is recorded.
    pub(crate) recorder: Option<Recorder>,
}

/// A tracker to start.
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) start: Start,
    /// Whether the user asked for it by name: then it fails loudly.
    pub(crate) by_name: bool,
}

/// Everything that runs.
pub(crate) struct Pipeline<C: Consumer> {
    pub(crate) collector: Arc<Collector>,
    pub(crate) control: Control<C>,
    pub(crate) hierarchy: Hierarchy,
    pub(crate) recording: Option<Recording>,
    engine: JoinHandle<C>,
}

impl<C: Consumer> Pipeline<C> {
    /// Starts collecting. What is there already is looked up once the tracepoints are attached that tell of new cgroups and
    /// processes, and before any event is taken: so each container and process is known, whether it came before, during
    /// or after.
    ///
    /// # Errors
    /// Where this kernel or these privileges cannot, or a tracker asked for by name does not start.
    pub(crate) fn launch(plan: Plan, runtimes: Arc<Runtimes>, tasks: &Handle, consumer: C) -> anyhow::Result<Self> {
        let hierarchy = Hierarchy::detect().map_err(|e| Unable(e.to_string()))?;
        let settings = Settings {
            ring_bytes: plan.ring_bytes,
            controller: hierarchy.controller_number(),
            hierarchy: hierarchy.id,
            avoid: plan.avoid,
        };
        let roles: Vec<_> =
            plan.trackers.iter().filter_map(|t| t.schema.role.map(|r| (Arc::clone(&t.schema.name), r))).collect();
        let (output, batches) = bounded(BATCHES);
        let collector = Arc::new(Collector::new(settings, plan.trackers, output).map_err(refusal)?);
        // It asks each tracker something, for which one that is being started would keep it waiting.
        let gate = Gate::new(Arc::clone(&collector));
        let first = roles.iter().map(|(name, role)| {
            let params = plan.wanted.iter().find(|w| w.name == **name).map(|w| w.start.params.clone());
            // A container's name is asked for as soon as its cgroup is there; the rest can wait a tenth of a second.
            let urgent = *role == Role::Containers;
            (name.to_string(), Start { params: params.unwrap_or_default(), urgent, ..Start::default() })
        });
        let mut all: Vec<_> = first.collect();
        let (roles_number, mut by_name) = (all.len(), vec![true; all.len()]);
        for wanted in plan.wanted.into_iter().filter(|w| !roles.iter().any(|(name, _)| **name == *w.name)) {
            by_name.push(wanted.by_name);
            all.push((wanted.name, wanted.start));
        }
        let (tell, told) = bounded(roles_number);
        let starting = {
            let collector = Arc::clone(&collector);
            let start = move || {
                collector.start_all(all, |index, runs| {
                    if index < roles_number {
                        _ = tell.send(runs);
                    }
                })
            };
            std::thread::Builder::new().name("start".into()).spawn(start)?
        };
        // The others start meanwhile. Their events wait until somebody takes them, and so for what is looked up now.
        if told.iter().take(roles_number).any(|runs| !runs) {
            let refused = ended(starting)?.into_iter().find_map(|(_, started)| started.err());
            return Err(refused.map_or_else(|| anyhow::anyhow!("the first trackers do not run"), refusal));
        }

        let (asks, asked) = tokio::sync::mpsc::channel(ASKS);
        let identity = Identity::new(roles.iter().cloned(), asks);
        let recording = plan.recorder.as_ref().map(Recorder::recording);
        let engine = Engine::new(identity, consumer, Some(gate));
        let mut live = Live { engine, recorder: plan.recorder };
        let started_ns = now_ns();
        let walk = hierarchy.walk().with_context(|| format!("cannot read {}", hierarchy.root.display()))?;
        live.feed(Input::Walk { walk, started_ns, now_ns: now_ns() });
        live.feed(Input::Processes(found(&hierarchy)));
        let mut host_users = HostUsers::default();
        if let Some(users) = host_users.changed() {
            live.feed(Input::Users(Arc::new(users)));
        }

        let (sender, messages) = bounded(MESSAGES);
        let control = Control::new(sender);
        let teller = control.clone();
        let root = hierarchy.root.clone();
        tasks.spawn(resolver::run(runtimes, asked, root, move |r| teller.try_feed(Input::Resolution(r))));
        tasks.spawn(rewalk(hierarchy.clone(), control.clone()));
        tasks.spawn(reread(host_users, control.clone()));
        tasks.spawn(count_habits(Arc::clone(&collector), control.clone()));
        if let Some(recording) = recording.clone() {
            tasks.spawn(account(Arc::clone(&collector), recording));
        }
        let engine = std::thread::Builder::new().name("engine".into()).spawn(move || live.run(&batches, &messages))?;
        let pipeline = Self { collector, control, hierarchy, recording, engine };
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

    /// Ends it: no event that was sent before is lost. Gives back the consumer, and where each tracker's events went.
    pub(crate) fn stop(self) -> (Option<C>, Vec<TrackerStatus>) {
        if let Err(error) = self.collector.stop_all() {
            tracing::error!("stopping the trackers: {error}");
        }
        // What was counted since the last time.
        if let Ok(counts) = self.collector.habit_counts() {
            self.control.try_feed(Input::Habits(counts.into_iter().map(counted).collect()));
        }
        self.control.stop();
        let consumer = self.engine.join().ok();
        let status = self.collector.status();
        if let Some(recording) = self.recording {
            recording.finish(&status);
        }
        (consumer, status)
    }
}

fn ended<T>(thread: JoinHandle<T>) -> anyhow::Result<T> {
    thread.join().map_err(|_| anyhow::anyhow!("the thread that starts trackers ended before its time"))
}

/// An error of the kernel side, with the exit code that it deserves.
pub(crate) fn refusal(error: ethogram_probe::Error) -> anyhow::Error {
    if error.is_unsupported() { Unable(error.to_string()).into() } else { error.into() }
}

async fn rewalk<C: Consumer>(hierarchy: Hierarchy, control: Control<C>) {
    loop {
        tokio::time::sleep(REWALK).await;
        let hierarchy = hierarchy.clone();
        let walked = tokio::task::spawn_blocking(move || (now_ns(), hierarchy.walk())).await;
        if let Ok((started_ns, Ok(walk))) = walked
            && control.feed(Input::Walk { walk, started_ns, now_ns: now_ns() }).await.is_err()
        {
            return;
        }
    }
}

/// Tells the engine what users are called on the host, when that changes.
async fn reread<C: Consumer>(mut host: HostUsers, control: Control<C>) {
    loop {
        tokio::time::sleep(USERS).await;
        let Ok((back, users)) = tokio::task::spawn_blocking(move || {
            let users = host.changed();
            (host, users)
        })
        .await
        else {
            return;
        };
        host = back;
        if let Some(users) = users
            && control.feed(Input::Users(Arc::new(users))).await.is_err()
        {
            return;
        }
    }
}

/// Whether profiles are learnt from any of a tracker's events.
fn has_behaviours(schema: &TrackerSchema) -> bool {
    schema.events.iter().any(|event| !event.behaviours.is_empty())
}

/// Behaviours that no program ran for so far. To ask costs a system call a program.
fn missed(collector: &Collector) -> u64 {
    let all = collector.status().into_iter().filter(|status| has_behaviours(&status.schema));
    all.filter_map(|status| status.counters.dropped.get(&("hook".into(), "missed".into())).copied()).sum()
}

/// Tells the engine from time to time what the kernel has counted of habits, and that behaviours were lost.
async fn count_habits<C: Consumer>(collector: Arc<Collector>, control: Control<C>) {
    let mut lost_before = (0, 0);
    for round in 0_u64.. {
        tokio::time::sleep(HABITS).await;
        let (collector, (_, missed_before)) = (Arc::clone(&collector), lost_before);
        let read = tokio::task::spawn_blocking(move || {
            let missed = if round % MISSED == 0 { missed(&collector) } else { missed_before };
            (collector.habit_counts(), (collector.dropped(has_behaviours), missed))
        });
        let Ok((counts, lost)) = read.await else { return };
        let before = std::mem::replace(&mut lost_before, lost);
        if (before.0 < lost.0 || before.1 < lost.1) && control.feed(Input::Lost).await.is_err() {
            return;
        }
        let counts = match counts {
            Ok(counts) => counts,
            Err(error) => {
                tracing::warn!("{error}; the next time it is tried again");
                continue;
            }
        };
        let counts: Vec<_> = counts.into_iter().map(counted).collect();
        if !counts.is_empty() && control.feed(Input::Habits(counts)).await.is_err() {
            return;
        }
    }
}

fn counted(count: ethogram_probe::HabitCount) -> HabitCount {
    HabitCount { habit: count.habit, count: count.count, last_ns: count.last_ns }
}

/// Has the recording say from time to time where all events went.
async fn account(collector: Arc<Collector>, recording: Recording) {
    loop {
        tokio::time::sleep(ACCOUNT).await;
        let (collector, recording) = (Arc::clone(&collector), recording.clone());
        if tokio::task::spawn_blocking(move || recording.account(&collector.status())).await.is_err() {
            return;
        }
    }
}

/// All processes there are, each with the id of its cgroup in the hierarchy.
pub(crate) fn found(hierarchy: &Hierarchy) -> Vec<Found> {
    found::found(|pid| cgroup_of(pid, hierarchy).unwrap_or(0))
}

fn cgroup_of(pid: u32, hierarchy: &Hierarchy) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let wanted = hierarchy.id.to_string();
    let path = text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        (parts.next()? == wanted).then(|| parts.nth(1))?
    })?;
    Some(fs::metadata(format!("{}{path}", hierarchy.root.display())).ok()?.ino())
}
