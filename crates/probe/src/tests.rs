//! The root tests of all trackers, each in its tracker's folder, and what they share.
//!
//! A test causes something in this process or in a child, and looks at what arrives of those processes only: other
//! tests and the rest of the machine go on meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // A test reads all that it causes.

use std::{
    collections::BTreeMap,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, unbounded};
use ethogram_model::{Event, Value, render};

use crate::{
    Batch, Collector, Counters, ProgramStatus, Settings, Start, TrackerState, TrackerStatus, builtin,
    object::builtin::builtin_named,
};

include!(concat!(env!("OUT_DIR"), "/tracker_tests.rs"));

mod accounting;
mod architectures;
mod attach;
pub(crate) mod child;
mod dispatcher;
mod examples;
mod habit;
mod habit_keys;
mod places;
mod reader;
mod response;
mod schemas;
mod subscription;
pub(crate) mod tmpfs;
pub(crate) mod verifier;

/// How many times slower than usual this machine is, as under emulation: `ETHOGRAM_TEST_PATIENCE`, 1 by default.
fn slowness() -> u32 {
    std::env::var("ETHOGRAM_TEST_PATIENCE").map_or(1, |p| p.parse().expect("ETHOGRAM_TEST_PATIENCE is no number"))
}

/// How long a test waits for what it caused.
pub(crate) fn patience() -> Duration {
    Duration::from_secs(10) * slowness()
}

/// How often a test repeats what it otherwise does `usual` times.
pub(crate) fn repeats(usual: u64) -> u64 {
    (usual / u64::from(slowness())).max(1)
}

/// A collector of this test's own, running one tracker.
pub(crate) struct Rig {
    pub(crate) collector: Collector,
    pub(crate) tracker: &'static str,
    events: Receiver<Batch>,
    seen: Vec<Event>,
}

/// Attach points can be left out, so that each alternative gets its turn: `ETHOGRAM_TEST_AVOID=fexit,kretprobe.multi`.
pub(crate) fn settings() -> Settings {
    let avoid = std::env::var("ETHOGRAM_TEST_AVOID").unwrap_or_default();
    let avoid = avoid.split(',').filter(|a| !a.is_empty()).map(str::to_owned).collect();
    Settings { ring_bytes: 1 << 22, controller: None, hierarchy: 0, avoid }
}

impl Rig {
    pub(crate) fn start(tracker: &'static str) -> Self {
        Self::start_with(tracker, settings(), &[])
    }

    pub(crate) fn start_with(tracker: &'static str, settings: Settings, params: &[(&str, &str)]) -> Self {
        let (output, events) = unbounded();
        let collector = Collector::new(settings, vec![builtin_named(tracker)], output).unwrap();
        let params = params.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect::<BTreeMap<_, _>>();
        let start = Start { params, urgent: true, interval: Duration::from_millis(50), ..Start::default() };
        let status = collector.start(tracker, start).unwrap();
        assert_eq!(status.state, TrackerState::Running);
        Self { collector, tracker, events, seen: Vec::new() }
    }

    /// Waits for an event for which `wanted` holds.
    pub(crate) fn expect(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        let deadline = Instant::now() + patience();
        loop {
            if let Some(event) = self.seen.iter().find(|e| wanted(e)) {
                examples::offer(event);
                return event.clone();
            }
            match self.events.recv_deadline(deadline) {
                Ok(batch) => self.take(batch),
                Err(_) => {
                    let near: Vec<_> =
                        self.seen.iter().rev().take(20).map(|e| render::to_json(e).to_string()).collect();
                    panic!("no event: {what}; the last ones:\n{}", near.join("\n"));
                }
            }
        }
    }

    /// All events of what has happened up to now.
    pub(crate) fn all(&mut self) -> &[Event] {
        self.collector.flush().unwrap();
        let batches: Vec<_> = self.events.try_iter().collect();
        batches.into_iter().for_each(|batch| self.take(batch));
        &self.seen
    }

    fn take(&mut self, batch: Batch) {
        let outcome = self.collector.outcome(self.tracker).unwrap();
        let its_own = batch.iter().filter(|e| &*e.schema.tracker == self.tracker);
        its_own.for_each(|e| outcome.delivered(e.schema.sample, 1));
        self.seen.extend(batch);
    }

    pub(crate) fn counters(&self) -> Counters {
        self.status().counters
    }

    /// Events that the tracker counts as lost because a table of its own had no place, or not what was looked for.
    pub(crate) fn lost_in_tables(&self) -> u64 {
        self.counters().dropped.iter().filter(|((stage, _), _)| stage == "table").map(|(_, n)| n).sum()
    }

    /// What attaches the tracker here.
    pub(crate) fn programs(&self) -> Vec<ProgramStatus> {
        self.status().programs
    }

    fn status(&self) -> TrackerStatus {
        self.collector.status().into_iter().find(|s| &*s.schema.name == self.tracker).unwrap()
    }
}

impl Drop for Rig {
    /// A kernel can miss that a function returns, as where its probe is preempted by another. That is counted as dropped,
    /// and a test that lacks an event then says so: it is one to repeat.
    fn drop(&mut self) {
        let missed = self.counters().dropped.get(&("hook".into(), "missed".into())).copied().unwrap_or_default();
        if std::thread::panicking() && missed > 0 {
            eprintln!("{MISSED}: {missed}, which are counted as dropped");
        }
    }
}

/// What `script/kernels/tests` looks for.
const MISSED: &str = "the kernel missed events";

/// A child that does what its standard input says when told to, so that tests can name its pid beforehand.
pub(crate) struct Shell {
    child: Child,
}

impl Shell {
    /// Starts `/bin/sh -c script`, which begins with waiting for [`Shell::go`].
    pub(crate) fn waiting(script: &str) -> Self {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(format!("read go; {script}"));
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { child }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it go on, and waits for its end.
    pub(crate) fn go(mut self) -> std::process::ExitStatus {
        use std::io::Write;
        self.child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        self.child.wait().unwrap()
    }
}

pub(crate) fn is(event: &Event, name: &str) -> bool {
    &*event.schema.name == name
}

pub(crate) fn number(event: &Event, field: &str) -> u64 {
    event.get(field).as_u64().unwrap_or(u64::MAX)
}

/// A field as people see it.
pub(crate) fn shown(event: &Event, field: &str) -> String {
    let shown = event.schema.field(field).and_then(|f| render::field_json(event, f));
    shown.map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).unwrap_or_default()
}

pub(crate) fn text(event: &Event, field: &str) -> String {
    event.get(field).to_text().into_owned()
}

/// Whether that process did it.
pub(crate) fn of(event: &Event, pid: u32) -> bool {
    let is_its = number(event, "process.pid") == u64::from(pid);
    if is_its {
        examples::offer(event);
    }
    is_its
}

pub(crate) fn args(event: &Event) -> Vec<String> {
    match event.get("process.command_args") {
        Value::List(list) => list.iter().map(|a| String::from_utf8_lossy(a).into_owned()).collect(),
        other => panic!("no arguments: {other:?}"),
    }
}
