//! `ethogram server`: collect, learn, judge, keep and show.

mod alerts;
mod api;
mod backend;
mod cached;
mod heartbeat;
mod incidents;
mod outlet;
mod restored;
mod rules;
mod starts;
mod streams;
mod subscriptions;

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use ethogram_detect::Profile;
use ethogram_engine::{ContainerFilter, Judged, judged::Judges, recording::Conditions};
use ethogram_model::TrackerSchema;
use ethogram_probe::{Subscription, TrackerObject, builtin, give_back_memory};
use tokio::{runtime::Handle, task::JoinHandle};

use self::{
    alerts::AlertBook,
    backend::Server,
    incidents::IncidentBook,
    outlet::ServerOutlet,
    restored::Restored,
    rules::{Book, RuleKeeper, ServerParts, StartedByRules},
    subscriptions::Subscriptions,
};
pub(crate) use self::{
    restored::model,
    starts::{Needs, tracker_starts},
};
use crate::{
    api::Listeners,
    config::Config,
    container::runtime::Runtimes,
    interrupt::Interrupt,
    pipeline::{Control, Pipeline, Plan, TrackerStart, now_ns, refusal},
    record::Recorder,
    response::Response,
    rules::Origin,
    sink::{Earlier, Sinks},
    store::{Store, Writer},
    threads,
    triage::{Triager, Worker},
};

/// A handle on the server's engine and on its outlet.
type ServerControl = Control<Judged, ServerOutlet>;

/// How long alerts that are under way may take to be written at the end.
const LAST_ALERTS: Duration = Duration::from_secs(2);
/// How long the orderly end may take where a thread has ended before its time.
const LAST_WORK: Duration = Duration::from_secs(5);
/// How often memory that is free is given back.
const GIVE_BACK_EVERY: Duration = Duration::from_mins(5);
/// How often policies get the list of containers.
const CONTAINERS: Duration = Duration::from_secs(1);

/// Serves until it is stopped. Takes everything it needs before it starts anything. `record` names the file into
/// which all that is judged is recorded.
///
/// # Errors
/// What is missing, in use, wrong or refused, and what would be right.
pub(crate) fn serve(config: Config, record: Option<&Path>) -> anyhow::Result<()> {
    let setup = Setup::read(config, record)?;
    ethogram_probe::check_kernel().map_err(refusal)?;
    let tasks = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = tasks.block_on(run(setup, record));
    tasks.shutdown_timeout(Duration::from_millis(500));
    result
}

/// What is read and checked before anything starts.
struct Setup {
    config: Config,
    trackers: Vec<TrackerObject>,
    schemas: Vec<Arc<TrackerSchema>>,
    /// Those to start now.
    starts: Vec<TrackerStart>,
    /// Where rules come from.
    origin: Origin,
    /// The rules that are in force at first.
    book: Book,
    needs: Needs,
    /// Profiles from files.
    approved: Vec<Profile>,
}

impl Setup {
    fn read(config: Config, record: Option<&Path>) -> anyhow::Result<Self> {
        let trackers = builtin()?;
        let origin = Origin::configured(&config.rules);
        let schemas: Vec<_> = trackers.iter().map(|t| Arc::clone(&t.schema)).collect();
        let book = rules::load(&origin, &schemas)?;
        let approved = crate::profiles::read(&config.behaviour.profiles)?;
        let needs = Needs::of(&book.set);
        let starts = tracker_starts(&config, &trackers, record.is_some(), &needs)?;
        Ok(Self { config, trackers, schemas, starts, origin, book, needs, approved })
    }

    /// What profiles subscribe to of those trackers that are not started for all of their events.
    fn of_profiles(&self) -> BTreeMap<String, Subscription> {
        let of_profiles = |start: &TrackerStart| {
            let schema = self.schemas.iter().find(|s| *s.name == *start.name)?;
            let is_partial = start.start.subscription != Subscription::All;
            is_partial.then(|| (start.name.clone(), subscriptions::of_profiles(schema)))
        };
        self.starts.iter().filter_map(of_profiles).collect()
    }
}

/// Now, as what starting took is free, and again and again, as what is free in small pieces adds up.
async fn give_back_regularly() {
    let mut often = tokio::time::interval(GIVE_BACK_EVERY);
    loop {
        often.tick().await;
        give_back_memory();
    }
}

async fn run(setup: Setup, record: Option<&Path>) -> anyhow::Result<()> {
    let listeners = Listeners::bind(&setup.config.api, &setup.config.metrics).await?;
    let socket = setup.config.api.socket.clone();
    let scheme = if setup.config.metrics.tls.is_some() { "https" } else { "http" };
    let mut running = Running::start(setup, record)?;
    let metrics = listeners.metrics_address();
    let api = listeners.serve(&running.backend);
    let at = metrics.map_or_else(String::new, |a| format!(", metrics at {scheme}://{a}/metrics"));
    tracing::info!("ready: API at {}{at}", socket.display());
    let giving_back = tokio::spawn(give_back_regularly());

    let ended = tokio::select! {
        () = running.interrupt.wait() => None,
        ended = threads::ended() => Some(ended),
    };
    giving_back.abort();
    running.watching.abort();
    let Some(ended) = ended else {
        tracing::info!("ending");
        api.stop().await;
        return running.finish().await;
    };
    tracing::error!("ending: {ended}");
    // What still works saves what it has. What waits for the thread that is gone is not waited for.
    _ = tokio::time::timeout(LAST_WORK, async {
        api.stop().await;
        running.finish().await
    })
    .await;
    Err(ended.into())
}

/// What judges, and where that goes, before anything is collected.
struct Judging {
    judged: Judged,
    outlet: ServerOutlet,
    response: Arc<Response>,
    recorder: Option<Recorder>,
    /// What asks a language model about incidents.
    triage: Option<Worker>,
}

impl Judging {
    /// Goes on from what is stored.
    fn restore(
        config: &Config,
        schemas: &[Arc<TrackerSchema>],
        book: &Book,
        approved: Vec<Profile>,
        record: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let opened = Store::open(&config.store.path)?;
        if let Some((path, why)) = &opened.set_aside {
            tracing::warn!("the store was damaged ({why}): it lies at {} now, and a new one is begun", path.display());
        }
        let container_filter = ContainerFilter::new(config.collection.host, Vec::new());
        let settings = config.model_settings();
        let mut restored = Restored::new(opened.contents, approved, settings.clone(), now_ns());
        let (incidents, delivered) = (restored.open(), std::mem::take(&mut restored.delivered));
        let earlier = Earlier { alerts: &restored.alerts, incidents: &incidents, delivered: Some(&delivered) };
        let mut sinks = Sinks::start(&config.alerts, &config.store.path, &earlier)?;
        let conditions = || Conditions::of(container_filter.clone(), &settings);
        let recorder = record.map(|path| restored.record(path, conditions(), schemas, &book.files)).transpose()?;
        let writer = Writer::start(opened.store)?;
        let triage = Triager::configured(&config.triage).context("configuration, [triage]")?;
        let (triager, triage) = triage.unzip();
        let (detector, alerts, incidents, trails) = restored.into_detector(&book.set);
        let response = Arc::new(Response::start(&config.response, &config.store.path, &book.set)?);
        response.accept(&detector.accepted);
        let judged = Judged::new(container_filter, detector, Judges::All);
        let (alerts, incidents) = (AlertBook::restore(alerts), IncidentBook::restore(incidents, trails, triager));
        // What is over meanwhile is that for receivers, too.
        sinks.restore(&delivered, |uid| incidents.find(uid).map(|found| found.incident));
        let outlet = ServerOutlet::new(alerts, incidents, sinks, Arc::clone(&response), writer);
        Ok(Self { judged, outlet, response, recorder, triage })
    }
}

/// All that runs but the API.
struct Running {
    pipeline: Pipeline<Judged, ServerOutlet>,
    response: Arc<Response>,
    backend: Arc<Server>,
    /// Looks at the rule files.
    watching: JoinHandle<()>,
    interrupt: Interrupt,
}

impl Running {
    fn start(setup: Setup, record: Option<&Path>) -> anyhow::Result<Self> {
        let always = setup.of_profiles();
        let Setup { config, trackers, schemas, starts, origin, book, needs, approved } = setup;
        let Judging { judged, outlet, response, recorder, triage } =
            Judging::restore(&config, &schemas, &book, approved, record)?;
        let (ring_bytes, avoid) = (config.collection.ring_bytes, config.collection.avoid.clone());
        let plan = Plan { ring_bytes, avoid, trackers, starts, recorder };
        let runtimes = Arc::new(Runtimes::new(&config.runtimes));
        let interrupt = Interrupt::listen()?;
        let launched = Pipeline::launch(plan, runtimes, &Handle::current(), judged, outlet);
        // Where nothing was recorded, no file should be in the way of the next attempt.
        let pipeline = launched.inspect_err(|_| drop(record.map(fs::remove_file)))?;

        let subscriptions = Subscriptions::new(Arc::clone(&pipeline.collector), always, needs.events);
        let parts = ServerParts {
            control: pipeline.control.clone(),
            collector: Arc::clone(&pipeline.collector),
            subscriptions: Arc::clone(&subscriptions),
            response: Arc::clone(&response),
        };
        let keeper = RuleKeeper::new(book, origin, schemas, parts, StartedByRules::configured(&config));
        let watching = tokio::spawn(Arc::clone(&keeper).watch());
        let backend = Arc::new(Server::new(&pipeline, &config, subscriptions, keeper, Arc::clone(&response)));
        tokio::spawn(heartbeat::beat(pipeline.control.clone(), Arc::clone(&pipeline.collector)));
        if let Some(worker) = triage {
            tokio::spawn(annotate(worker, pipeline.control.clone()));
        }
        if response.has_policies() {
            tokio::spawn(publish_containers(pipeline.control.clone(), Arc::clone(&response)));
        }
        Ok(Self { pipeline, response, backend, watching, interrupt })
    }

    /// Ends it in the order in which nothing is lost.
    async fn finish(self) -> anyhow::Result<()> {
        let Self { pipeline, response, .. } = self;
        let (outlet, _) = tokio::task::spawn_blocking(|| pipeline.stop()).await?;
        let outlet = outlet.context("what the engine decided is not applied any more: see above")?;
        tokio::task::spawn_blocking(|| outlet.finish(LAST_ALERTS)).await?;
        tokio::task::spawn_blocking(move || response.finish()).await?;
        Ok(())
    }
}

/// Notes what a language model writes about incidents beside these, and nowhere else.
async fn annotate(worker: Worker, control: ServerControl) {
    let deliver = |uid: String, triage| {
        let control = control.clone();
        async move { control.ask_outlet(move |outlet| outlet.incidents.annotate(&uid, triage)).await.ok() }
    };
    worker.run(deliver).await;
}

/// Publishes which containers there are, those that no runtime knows included.
async fn publish_containers(control: ServerControl, response: Arc<Response>) {
    while let Ok(all) = control.ask(|engine| engine.containers().cloned().collect()).await {
        response.sync(all);
        tokio::time::sleep(CONTAINERS).await;
    }
}
