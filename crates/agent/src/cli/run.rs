//! `ethogram run`: one tracker, to the terminal.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use ethogram_engine::{ContainerFilter, Effects, EventFilter, Forwarded};
use ethogram_probe::{Counters, Start, TrackerObject, builtin, find};
use tokio::{runtime::Handle, sync::oneshot};

use super::{RunArgs, until::Until};
use crate::{
    config::Config,
    container::runtime::Runtimes,
    failure::Usage,
    interrupt::Interrupt,
    output::{Output, OutputError},
    pipeline::{Outlet, Pipeline, Plan, TrackerStart},
};

pub(super) fn run(args: &RunArgs, config: &Config) -> anyhow::Result<()> {
    let mut trackers = builtin()?;
    let chosen = choose(&mut trackers, &args.tracker)?;
    let params = args.set.iter().map(|s| (s.name.clone(), s.value.clone())).collect();
    chosen.check(&params).map_err(|e| Usage(e.to_string()))?;
    let name = chosen.schema.name.to_string();
    ethogram_probe::check_kernel().map_err(crate::pipeline::refusal)?;
    let output = Output::new(args.output, &chosen.schema, args.output_file.as_deref())?;

    let tasks = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let result = tasks.block_on(show(args, config, name, params, trackers, output));
    tasks.shutdown_timeout(Duration::from_millis(200));
    result
}

/// The tracker of that name, or of that file, which is added to the others.
fn choose(trackers: &mut Vec<TrackerObject>, wanted: &str) -> anyhow::Result<TrackerObject> {
    if wanted.contains('/') || wanted.ends_with(".o") {
        let object = TrackerObject::open(Path::new(wanted))?;
        trackers.retain(|t| t.schema.name != object.schema.name);
        trackers.push(object.clone());
        return Ok(object);
    }
    Ok(find(trackers, wanted).map_err(|e| Usage(e.to_string()))?.clone())
}

async fn show(
    args: &RunArgs,
    config: &Config,
    name: String,
    params: std::collections::BTreeMap<String, String>,
    trackers: Vec<TrackerObject>,
    output: Output,
) -> anyhow::Result<()> {
    let runtimes = Arc::new(Runtimes::new(&config.runtimes));
    let start = Start {
        params,
        filters_containers: !args.container.is_empty(),
        interval: args.interval.get(),
        ..Start::default()
    };
    let starts = vec![TrackerStart { name: name.clone(), start, by_name: true }];
    let avoid = config.collection.avoid.clone();
    let ring_bytes = config.collection.ring_bytes;
    let plan = Plan { ring_bytes, avoid, trackers, starts, recorder: None };
    let (fail, failed) = oneshot::channel();
    let container_filter = ContainerFilter::new(args.container.is_empty(), args.container.clone());
    let filter = EventFilter { trackers: vec![name.clone()], ..EventFilter::default() };
    let forwarded = Forwarded { container_filter, filter: Some(filter), rules: None };
    let shown = Shown { output, fail: Some(fail) };
    let mut interrupt = Interrupt::listen()?;
    let pipeline = Pipeline::launch(plan, Arc::clone(&runtimes), &Handle::current(), forwarded, shown)?;

    let until = Until { duration: args.duration, containers: &args.container, wait: args.wait };
    let ended = tokio::select! {
        ended = until.end(&runtimes, &mut interrupt) => ended,
        Ok(error) = failed => Err(error.into()),
    };
    let (shown, statuses) = tokio::task::spawn_blocking(|| pipeline.stop()).await?;
    let flushed = shown.map_or(Ok(()), |mut shown| shown.output.flush());
    let status = statuses.into_iter().find(|s| *s.schema.name == *name).context("the tracker is gone")?;
    ended?;
    eprintln!("{}", account(&status.counters));
    Ok(flushed?)
}

/// Prints the events of one tracker.
struct Shown {
    output: Output,
    /// Where the first failure goes; none after it.
    fail: Option<oneshot::Sender<OutputError>>,
}

impl Shown {
    fn print(&mut self, effects: &Effects) -> Result<(), OutputError> {
        effects.events.iter().try_for_each(|event| self.output.write(event))?;
        if effects.has_rows { self.output.end_interval() } else { self.output.flush() }
    }
}

impl Outlet for Shown {
    fn apply(&mut self, effects: Effects) {
        // What was written must be seen by the time that nothing more comes.
        if (effects.events.is_empty() && effects.outcomes.is_empty()) || self.fail.is_none() {
            return;
        }
        if let Err(error) = self.print(&effects)
            && let Some(fail) = self.fail.take()
        {
            // Nothing waits for it any more where the end has come anyway.
            _ = fail.send(error);
        }
    }
}

/// The last line: where all events went.
fn account(counters: &Counters) -> String {
    let reasons = |each: Vec<String>| if each.is_empty() { String::new() } else { format!(" ({})", each.join(", ")) };
    let filtered = counters.filtered.iter().filter(|(_, n)| **n > 0).map(|(r, n)| format!("{r} {n}")).collect();
    let dropped = counters.dropped.iter().filter(|(_, n)| **n > 0).map(|((s, r), n)| format!("{s} {r} {n}")).collect();
    format!(
        "seen {}, delivered {}, aggregated {} in {} rows, filtered {}{}, dropped {}{}",
        counters.seen,
        counters.delivered,
        counters.aggregated,
        counters.rows,
        counters.filtered_total(),
        reasons(filtered),
        counters.dropped_total(),
        reasons(dropped),
    )
}
