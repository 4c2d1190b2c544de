//! `ethogram server`: collect, learn, judge, keep and show.

mod alerts;
mod api;
mod backend;
mod outlet;
mod rules;
mod streams;
mod subscriptions;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use ethogram_detect::{Detector, Model, Profile, Settings, rules::Rules};
use ethogram_engine::{
    Judged, Selection,
    judged::Judges,
    recording::{Before, Conditions},
};
use ethogram_model::schema::Role;
use ethogram_probe::{Start, Subscription, TrackerObject, builtin, find, give_back_memory};
use tokio::runtime::Handle;

use self::{
    alerts::AlertBook,
    backend::Server,
    outlet::ServerOutlet,
    rules::{Book, RuleKeeper},
    subscriptions::Subscriptions,
};
use crate::{
    api::Listeners,
    config::Config,
    container::runtime::Runtimes,
    failure::Usage,
    interrupt::Interrupt,
    pipeline::{Control, Pipeline, Plan, TrackerStart, refusal},
    record::Recorder,
    response::Response,
    rules::Origin,
    sink::Sinks,
    store::{Contents, Store, Writer},
};

/// A handle on the server's engine and on its outlet.
type ServerControl = Control<Judged, ServerOutlet>;

/// How long alerts that are under way may take to be written at the end.
const LAST_ALERTS: Duration = Duration::from_secs(2);
/// How often policies get the list of containers.
const CONTAINERS: Duration = Duration::from_secs(1);

/// Serves until it is stopped. Takes everything it needs before it starts anything. `record` names the file into
/// which all that is judged is recorded.
///
/// # Errors
/// What is missing, in use, wrong or refused, and what would be right.
pub(crate) fn serve(config: Config, record: Option<&Path>) -> anyhow::Result<()> {
    let trackers = builtin()?;
    let origin = Origin::configured(&config.rules);
    let schemas: Vec<_> = trackers.iter().map(|t| Arc::clone(&t.schema)).collect();
    let book = rules::load(&origin, &schemas)?;
    let approved = crate::profiles::read(&config.behaviour.profiles)?;
    let needs = Needs { events: book.set.wanted_events(), environment: book.set.wants_environment() };
    let starts = tracker_starts(&config, &trackers, record.is_some(), &needs)?;
    ethogram_probe::check_kernel().map_err(refusal)?;
    let tasks = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = tasks.block_on(run(config, trackers, starts, (origin, book, needs), approved, record));
    tasks.shutdown_timeout(Duration::from_millis(500));
    result
}

/// What rules need.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// Events, by tracker.
    pub(crate) events: BTreeMap<String, subscriptions::Events>,
    /// The environment of processes.
    pub(crate) environment: bool,
}

/// The trackers that the configuration asks for, and those that rules need where it names none, their names and parameters
/// checked. A recording subscribes to all of their events.
pub(crate) fn tracker_starts(
    config: &Config,
    trackers: &[TrackerObject],
    recorded: bool,
    needs: &Needs,
) -> anyhow::Result<Vec<TrackerStart>> {
    let named = config.trackers.enabled.as_ref();
    let names: Vec<String> = match named {
        Some(names) => names.clone(),
        None => {
            let is_needed = |t: &&TrackerObject| t.schema.default || needs.events.contains_key(&*t.schema.name);
            trackers.iter().filter(is_needed).map(|t| t.schema.name.to_string()).collect()
        }
    };
    for name in config.trackers.params.keys().chain(&config.trackers.high_overhead).chain(&names) {
        find(trackers, name).map_err(|e| Usage(format!("configuration, [trackers]: {e}")))?;
    }
    let start = |name: String| {
        let tracker = find(trackers, &name)?;
        let mut params = tracker.server_params().clone();
        if needs.environment && tracker.schema.role == Some(Role::Lineage) {
            params.insert("environment".into(), "true".into());
        }
        params.extend(config.trackers.params.get(&name).into_iter().flatten().map(|(k, v)| (k.clone(), v.0.clone())));
        tracker.check(&params).map_err(|e| Usage(format!("configuration, [trackers.{name}]: {e}")))?;
        let by_name = named.is_some();
        // What the agent itself listens to always has a subscription.
        let subscription = match by_name || recorded || tracker.schema.role.is_some() {
            true => Subscription::All,
            false => subscriptions::with_rules(subscriptions::of_profiles(&tracker.schema), needs.events.get(&name)),
        };
        let high_overhead = config.trackers.has_high_overhead(&name);
        let start = Start {
            params,
            filters_containers: !config.collection.host,
            subscription,
            high_overhead,
            ..Start::default()
        };
        Ok(TrackerStart { name, start, by_name })
    };
    names.into_iter().map(start).collect()
}

async fn run(
    config: Config,
    trackers: Vec<TrackerObject>,
    starts: Vec<TrackerStart>,
    (origin, book, needs): (Origin, Book, Needs),
    approved: Vec<Profile>,
    record: Option<&Path>,
) -> anyhow::Result<()> {
    let listeners = Listeners::bind(&config.api, &config.metrics).await?;
    let opened = Store::open(&config.store.path)?;
    if let Some((path, why)) = &opened.set_aside {
        tracing::warn!("the store was damaged ({why}): it lies at {} now, and a new one is begun", path.display());
    }
    let selection = Selection { host: config.collection.host, containers: Vec::new() };
    let settings = config.behaviour.settings();
    let Contents { mut profiles, alerts, accepted } = opened.contents;
    let mut model = model(settings.clone(), profiles.iter().map(|(uid, json)| (&**uid, &**json)));
    for profile in approved {
        let uid = profile.workload.uid.clone();
        model.import(profile);
        // A recording begins with the profiles as they are then.
        if let Some(json) = model.profile(&uid).and_then(|profile| serde_json::to_string(profile).ok()) {
            profiles.insert(uid, json);
        }
    }
    let schemas: Vec<_> = trackers.iter().map(|t| Arc::clone(&t.schema)).collect();
    let sinks = Sinks::start(&config.alerts, &config.store.path, &alerts)?;
    // Of what a rule found before, only repetitions are reported.
    let of_rules = alerts.iter().filter(|alert| alert.rule.is_some());
    let groups: Vec<(String, u64)> = of_rules.map(|alert| (alert.uid.clone(), alert.count)).collect();
    let recorder = match record {
        None => None,
        Some(path) => {
            let conditions = Conditions::of(selection.clone(), &settings);
            let (profiles, rules) = (Some(&profiles), &book.files[..]);
            let before = Before { profiles, rules, accepted: &accepted, groups: &groups, alerts: &alerts };
            Some(Recorder::create(path, conditions, &schemas, &before)?)
        }
    };
    drop(profiles);
    let writer = Writer::start(opened.store)?;
    let mut rules = Rules::new(Arc::clone(&book.set));
    let begun = Instant::now();
    rules.measure_with(move || u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
    let mut detector = Detector { model, rules, ..Detector::default() };
    groups.into_iter().for_each(|(uid, count)| detector.rules.restore(uid, count));
    alerts.iter().for_each(|alert| detector.model.restore_alert(alert));
    accepted.into_iter().for_each(|acceptance| detector.accepted.restore(acceptance));
    let response = Arc::new(Response::start(&config.response, &config.store.path, &book.set)?);
    response.accept(&detector.accepted);
    let judged = Judged::new(selection, detector, Judges::All);
    let outlet = ServerOutlet::new(AlertBook::restore(alerts), sinks, Arc::clone(&response), writer);

    let runtimes = Arc::new(Runtimes::new(&config.runtimes));
    let avoid = config.collection.avoid.clone();
    let of_profiles = |w: &TrackerStart| {
        let schema = schemas.iter().find(|s| *s.name == *w.name)?;
        (w.start.subscription != Subscription::All).then(|| (w.name.clone(), subscriptions::of_profiles(schema)))
    };
    let always = starts.iter().filter_map(of_profiles).collect();
    let plan = Plan { ring_bytes: config.collection.ring_bytes, avoid, trackers, starts, recorder };
    let mut interrupt = Interrupt::listen()?;
    let launched = Pipeline::launch(plan, runtimes, &Handle::current(), judged, outlet);
    // Where nothing was recorded, no file should be in the way of the next attempt.
    let pipeline = launched.inspect_err(|_| drop(record.map(fs::remove_file)))?;
    let subscriptions = Subscriptions::new(Arc::clone(&pipeline.collector), always, needs.events);
    let hands =
        (pipeline.control.clone(), Arc::clone(&pipeline.collector), Arc::clone(&subscriptions), Arc::clone(&response));
    let only = config.trackers.enabled.as_ref().map(|names| names.iter().cloned().collect());
    let keeper = RuleKeeper::new(book, origin, schemas, hands, (only, !config.collection.host));
    let watching = tokio::spawn(Arc::clone(&keeper).watch());
    let backend = Arc::new(Server::new(&pipeline, &config, subscriptions, keeper, Arc::clone(&response)));
    if response.has_policies() {
        tokio::spawn(publish_containers(pipeline.control.clone(), Arc::clone(&response)));
    }
    let metrics = listeners.metrics_address();
    let server = listeners.serve(&backend);
    let at = metrics.map_or_else(String::new, |a| format!(", metrics at http://{a}/metrics"));
    tracing::info!("ready: API at {}{at}", config.api.socket.display());
    give_back_memory();

    interrupt.wait().await;
    tracing::info!("ending");
    watching.abort();
    server.stop().await;
    let (outlet, _) = tokio::task::spawn_blocking(|| pipeline.stop()).await?;
    let outlet = outlet.context("what the engine decided is not applied any more: see above")?;
    tokio::task::spawn_blocking(|| outlet.finish(LAST_ALERTS)).await?;
    tokio::task::spawn_blocking(move || response.finish()).await?;
    Ok(())
}

/// Publishes which containers there are, those that no runtime knows included.
async fn publish_containers(control: ServerControl, response: Arc<Response>) {
    while let Ok(all) = control.ask(|engine| engine.containers().cloned().collect()).await {
        response.sync(all);
        tokio::time::sleep(CONTAINERS).await;
    }
}

/// A model that goes on from profiles learnt before: workload, and profile as JSON.
pub(crate) fn model<'a>(settings: Settings, profiles: impl Iterator<Item = (&'a str, &'a str)>) -> Model {
    let mut model = Model::new(settings);
    for (uid, json) in profiles {
        match serde_json::from_str::<Profile>(json) {
            Ok(profile) => {
                if let Err(unknown) = model.restore(profile) {
                    tracing::warn!("{unknown}");
                }
            }
            Err(error) => tracing::warn!("the stored profile {uid} cannot be read, it is learnt anew: {error}"),
        }
    }
    model
}
