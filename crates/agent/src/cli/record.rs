//! `ethogram record`: what the engine sees, into a file.

use std::{fs, sync::Arc, time::Duration};

use anyhow::Context;
use ethogram_detect::rules::{RuleSet, Rules};
use ethogram_engine::{
    ContainerFilter, Forwarded,
    recording::{Before, Conditions},
};
use ethogram_probe::{builtin, find};
use tokio::runtime::Handle;

use super::{RecordArgs, until::Until};
use crate::{
    config::Config,
    container::runtime::Runtimes,
    failure::Usage,
    interrupt::Interrupt,
    pipeline::{Pipeline, Plan, refusal},
    record::{Recorder, Totals},
    rules::Origin,
    server::{self, Needs},
};

pub(super) fn record(args: &RecordArgs, mut config: Config) -> anyhow::Result<()> {
    let trackers = builtin()?;
    if !args.trackers.is_empty() {
        for name in &args.trackers {
            find(&trackers, name).map_err(|e| Usage(e.to_string()))?;
        }
        config.trackers.enabled = Some(args.trackers.clone());
    }
    config.collection.host = args.container.is_empty() && (args.host || config.collection.host);
    let origin = Origin::configured(&config.rules);
    let files = origin.read()?.files;
    let starts = server::tracker_starts(&config, &trackers, true, &Needs::default())?;
    ethogram_probe::check_kernel().map_err(refusal)?;

    let container_filter = ContainerFilter::new(config.collection.host, args.container.clone());
    let conditions = Conditions::of(container_filter, &config.model_settings());
    let schemas: Vec<_> = trackers.iter().map(|t| Arc::clone(&t.schema)).collect();
    let rules = Rules::new(Arc::new(RuleSet::load(&files, &schemas).set));
    let consumer =
        Forwarded { container_filter: conditions.container_filter.clone(), filter: None, rules: Some(rules) };
    let recorder = Recorder::create(&args.file, conditions, &schemas, &Before { rules: &files, ..Before::default() })?;
    let (ring_bytes, avoid) = (config.collection.ring_bytes, config.collection.avoid.clone());
    let plan = Plan { ring_bytes, avoid, trackers, starts, recorder: Some(recorder) };

    let tasks = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let result = tasks.block_on(run(args, &config, plan, consumer));
    tasks.shutdown_timeout(Duration::from_millis(200));
    let totals = result?;
    let lost = match (totals.events_lost, totals.notes_lost) {
        (0, 0) => String::new(),
        (events, notes) => format!(", lost {events} events and {notes} notes: the disk was too slow"),
    };
    eprintln!("recorded {} events in {} bytes{lost}", totals.events, totals.bytes);
    Ok(())
}

async fn run(args: &RecordArgs, config: &Config, plan: Plan, consumer: Forwarded) -> anyhow::Result<Totals> {
    let runtimes = Arc::new(Runtimes::new(&config.runtimes));
    let mut interrupt = Interrupt::listen()?;
    let launched = Pipeline::launch(plan, Arc::clone(&runtimes), &Handle::current(), consumer, ());
    // Where nothing was recorded, no file should be in the way of the next attempt.
    let pipeline = launched.inspect_err(|_| drop(fs::remove_file(&args.file)))?;
    let recording = pipeline.recording.clone().context("nothing is recorded")?;
    let until = Until { duration: args.duration, containers: &args.container, wait: args.wait };
    let ended = until.end(&runtimes, &mut interrupt).await;
    tokio::task::spawn_blocking(|| pipeline.stop()).await?;
    ended.map(|()| recording.totals())
}
