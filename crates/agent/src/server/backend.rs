//! The server's answers to the API.

use std::{collections::BTreeMap, sync::Arc};

use ethogram_detect::{Acceptance, Decision, ProfileDiff, ProfileTree};
use ethogram_model::{Container, Finding, Param as ModelParam, TrackerSchema, schema::Role};
use ethogram_probe::{Collector, Error, Manifest, ProgramState, Start, State, TrackerObject, TrackerStatus as Status};
use tokio::sync::mpsc::Receiver;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};

use super::{demands::Demands, judge::Judge, profiles, rules::RuleKeeper};
use crate::{
    api::{
        Accepted, AlertFilter, Answer, Backend, EventFilter, Lines, Param, ProfileState, ProfileSummary, Program,
        Refusal, RulesStatus, TrackerStatus,
    },
    config::Config,
    container::hierarchy::Hierarchy,
    metrics::{Counters, MetricsSnapshot, TrackerState},
    pipeline::{Control, Input, Pipeline, found, now_ns},
    record::{Recording, Totals},
    response::{PolicyStatus, Response, ResponseRecord},
};

/// What the API asks.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) control: Control<Judge>,
    collector: Arc<Collector>,
    demands: Arc<Demands>,
    rules: Arc<RuleKeeper>,
    hierarchy: Hierarchy,
    recording: Option<Recording>,
    response: Arc<Response>,
    pub(super) learning_ns: u64,
    gated: bool,
    /// Parameters that the configuration sets, by tracker.
    params: BTreeMap<String, BTreeMap<String, String>>,
}

impl Server {
    pub(super) fn new(
        pipeline: &Pipeline<Judge>,
        config: &Config,
        demands: Arc<Demands>,
        rules: Arc<RuleKeeper>,
        response: Arc<Response>,
    ) -> Self {
        let values = |(name, params): (&String, &BTreeMap<String, crate::config::ParamValue>)| {
            (name.clone(), params.iter().map(|(k, v)| (k.clone(), v.0.clone())).collect())
        };
        Self {
            control: pipeline.control.clone(),
            collector: Arc::clone(&pipeline.collector),
            demands,
            rules,
            hierarchy: pipeline.hierarchy.clone(),
            recording: pipeline.recording.clone(),
            response,
            learning_ns: config.behaviour.learning_period.as_ns(),
            gated: !config.collection.host,
            params: config.trackers.params.iter().map(values).collect(),
        }
    }

    /// Runs what may take a while beside the tasks.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || work(&this)).await.map_err(|_| Refusal::Gone)?
    }

    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Judge) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        self.control.ask(|engine| question(&mut engine.consumer)).await.map_err(|_| Refusal::Gone)
    }

    fn start_with(&self, name: &str, params: BTreeMap<String, String>) -> Result<Status, Error> {
        // What keeps the tables of processes has to see the host's, too.
        let gated = self.gated && self.schema(name).is_some_and(|s| s.role.is_none());
        // What the request says counts, then what the configuration says, then what the tracker's manifest says.
        let mut all = self.collector.object(name).map(|o| o.server_params().clone()).unwrap_or_default();
        all.extend(self.params.get(name).cloned().unwrap_or_default());
        all.extend(params);
        let params = all;
        // Whoever starts what waits for somebody to want it, wants it, and maybe with other parameters.
        if self.collector.status().iter().any(|s| &*s.schema.name == name && s.state == State::Idle) {
            self.collector.stop(name)?;
        }
        let status = self.collector.start(name, Start { params, gated, ..Start::default() })?;
        self.demands.ask_for(name);
        Ok(status)
    }

    /// The trackers that can be paused: those that run, without those that the agent itself listens to.
    fn pausable(&self) -> Vec<String> {
        let is_started = |s: &Status| matches!(s.state, State::Running | State::Idle | State::Paused);
        let runs = |s: &Status| is_started(s) && s.schema.role.is_none();
        self.collector.status().iter().filter(|s| runs(s)).map(|s| s.schema.name.to_string()).collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<TrackerSchema>> {
        self.collector.status().into_iter().find(|s| &*s.schema.name == name).map(|s| s.schema)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<TrackerObject, Refusal> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            let rule = "a tracker's name has up to 64 lower-case letters, digits and underscores";
            return Err(Refusal::Invalid(rule.into()));
        }
        let known = self.collector.object(name);
        let object = match known {
            Some(known) => known.with_object(bytes),
            None => TrackerObject::new(name, bytes, Manifest::default()),
        };
        object.map_err(refusal)
    }
}

impl Backend for Server {
    fn trackers(&self) -> Answer<'_, Vec<TrackerStatus>> {
        Box::pin(self.blocking(|s| Ok(s.collector.status().into_iter().map(told).collect())))
    }

    fn start(&self, name: String, params: BTreeMap<String, String>) -> Answer<'_, TrackerStatus> {
        Box::pin(async move {
            let status = self.blocking(move |s| s.start_with(&name, params).map_err(refusal)).await?;
            if status.schema.role == Some(Role::Lineage) {
                // Whatever was forked while nobody looked.
                let found = self.blocking(|s| Ok(found(&s.hierarchy))).await?;
                self.control.feed(Input::Processes(found)).await.map_err(|_| Refusal::Gone)?;
            }
            Ok(told(status))
        })
    }

    fn stop(&self, name: String) -> Answer<'_, TrackerStatus> {
        Box::pin(self.blocking(move |s| {
            if s.schema(&name).is_some_and(|t| t.role == Some(Role::Containers)) {
                return Err(refusal(Error::Needed(name)));
            }
            s.collector.stop(&name).map(told).map_err(refusal)
        }))
    }

    fn pause(&self, names: Vec<String>) -> Answer<'_, Vec<String>> {
        Box::pin(self.blocking(move |s| {
            let names = if names.is_empty() { s.pausable() } else { names };
            if let Some(name) = names.iter().find(|n| s.schema(n).is_some_and(|t| t.role.is_some())) {
                return Err(refusal(Error::Needed(name.clone())));
            }
            s.collector.pause(&names).map_err(refusal)?;
            Ok(names)
        }))
    }

    fn resume(&self, names: Vec<String>) -> Answer<'_, Vec<String>> {
        Box::pin(self.blocking(move |s| {
            let names = if names.is_empty() { s.pausable() } else { names };
            s.collector.resume(&names).map_err(refusal)?;
            Ok(names)
        }))
    }

    fn put_object(&self, name: String, object: Vec<u8>) -> Answer<'_, TrackerStatus> {
        Box::pin(async move {
            let named = name.clone();
            let object = self.blocking(move |s| s.put(&named, &object)).await?;
            let schema = Arc::clone(&object.schema);
            let status = self.blocking(move |s| s.collector.put(object).map_err(refusal)).await?;
            if let Some(outcome) = self.collector.outcome(&name) {
                let added = move |engine: &mut crate::pipeline::Engine<Judge>| {
                    if let Some(gate) = &mut engine.gate {
                        gate.add_tracker(Arc::clone(&schema.name), outcome);
                    }
                };
                self.control.ask(added).await.map_err(|_| Refusal::Gone)?;
            }
            if matches!(status.state, State::Running | State::Idle | State::Paused) {
                return Ok(told(status));
            }
            self.blocking(move |s| s.start_with(&name, BTreeMap::new()).map(told).map_err(refusal)).await
        })
    }

    fn containers(&self) -> Answer<'_, Vec<Arc<Container>>> {
        Box::pin(async {
            let list = self.control.ask(|e| e.identity.containers.containers().cloned().collect::<Vec<_>>()).await;
            let mut list = list.map_err(|_| Refusal::Gone)?;
            list.sort_by(|a, b| (a.display_name(), &a.id).cmp(&(b.display_name(), &b.id)));
            Ok(list)
        })
    }

    fn profiles(&self) -> Answer<'_, Vec<ProfileSummary>> {
        Box::pin(profiles::list(self))
    }

    fn profile(&self, id: String) -> Answer<'_, ProfileTree> {
        Box::pin(profiles::show(self, id))
    }

    fn profile_file(&self, id: String) -> Answer<'_, String> {
        Box::pin(profiles::file(self, id))
    }

    fn diff_profiles(&self, id: String, with: Option<String>) -> Answer<'_, ProfileDiff> {
        Box::pin(profiles::diff(self, id, with))
    }

    fn import_profile(&self, file: String, any_digest: bool) -> Answer<'_, Vec<ProfileSummary>> {
        Box::pin(profiles::import(self, file, any_digest))
    }

    fn approve_profile(&self, id: String) -> Answer<'_, ProfileSummary> {
        Box::pin(profiles::approve(self, id))
    }

    fn reset_profile(&self, id: String) -> Answer<'_, ProfileSummary> {
        Box::pin(profiles::reset(self, id))
    }

    fn alerts(&self, filter: AlertFilter) -> Answer<'_, Vec<Finding>> {
        Box::pin(self.ask(move |judge| judge.alerts.list(&filter)))
    }

    fn rules(&self) -> Answer<'_, RulesStatus> {
        Box::pin(async {
            let costs = self.ask(|j| j.detector.rules.costs()).await?;
            self.blocking(move |s| Ok(s.rules.status(costs))).await
        })
    }

    fn reload_rules(&self) -> Answer<'_, RulesStatus> {
        Box::pin(async {
            self.rules.reload().await?;
            self.rules().await
        })
    }

    fn accept(&self, uid: String, for_ns: Option<u64>, reason: Option<String>) -> Answer<'_, Accepted> {
        Box::pin(async move {
            let wanted = uid.clone();
            let Some(alert) = self.ask(move |j| j.alerts.find(&wanted)).await? else {
                return Err(Refusal::unknown("alert", &uid, [""; 0]));
            };
            let acceptance = Acceptance::of(&alert, reason, now_ns(), for_ns);
            let accepted = Accepted::from(&acceptance);
            let decision = Input::Decision(Decision::Accept(acceptance));
            self.control.feed(decision).await.map_err(|_| Refusal::Gone)?;
            Ok(accepted)
        })
    }

    fn accepted(&self) -> Answer<'_, Vec<Accepted>> {
        Box::pin(self.ask(|j| j.detector.accepted.list().map(Accepted::from).collect()))
    }

    fn revoke(&self, id: String) -> Answer<'_, Accepted> {
        Box::pin(async move {
            let all = self.accepted().await?;
            let Some(known) = all.iter().find(|a| a.id == id) else {
                return Err(Refusal::unknown("acceptance", &id, all.iter().map(|a| &a.id)));
            };
            let decision = Input::Decision(Decision::Revoke(id));
            self.control.feed(decision).await.map_err(|_| Refusal::Gone)?;
            Ok(known.clone())
        })
    }

    fn subscribe_events(&self, filter: EventFilter) -> Answer<'_, Lines> {
        Box::pin(async move {
            let tracker = filter.tracker.clone();
            // Programs are attached before the first event is promised.
            let following = self.blocking(move |s| {
                if let Some(name) = tracker.as_deref().filter(|name| s.schema(name).is_none()) {
                    let known = s.collector.status();
                    return Err(Refusal::unknown("tracker", name, known.iter().map(|t| &t.schema.name)));
                }
                Ok(s.demands.follow(tracker))
            });
            let following = following.await?;
            let lines = self.ask(move |j| j.streams.follow_events(filter)).await?.ok_or_else(crowded)?;
            let lines = ReceiverStream::new(lines).map(move |line| {
                let _wanted_until_the_stream_ends = &following;
                line.to_string()
            });
            Ok(Box::pin(lines) as Lines)
        })
    }

    fn subscribe_alerts(&self, filter: AlertFilter) -> Answer<'_, Receiver<Arc<Finding>>> {
        Box::pin(async move { self.ask(move |j| j.streams.follow_alerts(filter)).await?.ok_or_else(crowded) })
    }

    fn responses(&self, limit: usize) -> Answer<'_, Vec<ResponseRecord>> {
        Box::pin(std::future::ready(Ok(self.response.list(limit))))
    }

    fn policies(&self) -> Answer<'_, Vec<PolicyStatus>> {
        Box::pin(std::future::ready(Ok(self.response.policies())))
    }

    fn undo(&self, id: String) -> Answer<'_, ResponseRecord> {
        Box::pin(async move { self.response.undo(&id).await })
    }

    fn metrics(&self) -> Answer<'_, MetricsSnapshot> {
        Box::pin(async {
            let trackers = self.blocking(|s| Ok(s.collector.status())).await?;
            let mut snapshot = self
                .control
                .ask(|engine| {
                    let judge = &mut engine.consumer;
                    let mut profiles: BTreeMap<_, _> =
                        ProfileState::ALL.iter().map(|state| (state.name().to_owned(), 0)).collect();
                    for profile in judge.detector.model.profiles() {
                        *profiles.entry(profile.state.name().to_owned()).or_default() += 1;
                    }
                    MetricsSnapshot {
                        trackers: Vec::new(),
                        recording: BTreeMap::new(),
                        alerts: judge.alerts.raised().clone(),
                        sinks: judge.sinks.metrics(),
                        responses: BTreeMap::new(),
                        containers: engine.identity.containers.containers().count() as u64,
                        profiles,
                        habits: judge.detector.model.habits() as u64,
                        stream_dropped: judge.streams.dropped(),
                        identity: engine.identity.counters(),
                        behaviours: behaviours(judge.detector.model.counters()),
                    }
                })
                .await
                .map_err(|_| Refusal::Gone)?;
            snapshot.responses = self.response.totals();
            snapshot.recording = self.recording.as_ref().map(|r| recorded(r.totals())).unwrap_or_default();
            snapshot.trackers = trackers
                .into_iter()
                .map(|t| (t.schema.name.to_string(), tracker_state(&t.state), counters(&t.counters)))
                .collect();
            Ok(snapshot)
        })
    }

    fn healthy(&self) -> Answer<'_, ()> {
        Box::pin(self.ask(|_| ()))
    }
}

fn behaviours(counters: ethogram_detect::Counters) -> BTreeMap<&'static str, u64> {
    BTreeMap::from([
        ("learnt", counters.learnt),
        ("known", counters.known),
        ("habitual", counters.habitual),
        ("unsurprising", counters.unsurprising),
        ("withheld", counters.withheld),
        ("forgotten", counters.forgotten),
        ("new", counters.findings),
        ("repeated", counters.repeated),
        ("unattributed", counters.unattributed),
        ("overflowed", counters.overflowed),
        ("untold", counters.untold),
        ("profile_evicted", counters.evicted),
    ])
}

fn recorded(totals: Totals) -> BTreeMap<&'static str, u64> {
    BTreeMap::from([
        ("events", totals.events),
        ("bytes", totals.bytes),
        ("events_lost", totals.events_lost),
        ("notes_lost", totals.notes_lost),
    ])
}

fn crowded() -> Refusal {
    Refusal::Conflict("as many follow already as can be served: try again when one of them has gone".into())
}

fn refusal(error: Error) -> Refusal {
    let text = error.to_string();
    match error {
        Error::UnknownTracker { near, .. } => Refusal::NotFound { what: text, nearest: near },
        Error::UnknownParam { .. } | Error::BadParam { .. } | Error::BadObject { .. } | Error::BadManifest { .. } => {
            Refusal::Invalid(text)
        }
        Error::Running(_) | Error::NotRunning(_) | Error::Needed(_) => Refusal::Conflict(text),
        Error::Unsupported(_) | Error::Kernel { .. } | Error::System { .. } => Refusal::Unable(text),
        Error::ReaderGone => Refusal::Gone,
    }
}

fn tracker_state(state: &State) -> TrackerState {
    match state {
        State::Running => TrackerState::Running,
        State::Idle => TrackerState::Idle,
        State::Paused => TrackerState::Paused,
        State::Stopped => TrackerState::Stopped,
        State::Refused(_) => TrackerState::Refused,
    }
}

fn counters(from: &ethogram_probe::Counters) -> Counters {
    let mut dropped = BTreeMap::<String, BTreeMap<String, u64>>::new();
    for ((stage, reason), n) in &from.dropped {
        dropped.entry(stage.clone()).or_default().insert(reason.clone(), *n);
    }
    Counters {
        seen: from.seen,
        delivered: from.delivered,
        aggregated: from.aggregated,
        filtered: from.filtered.clone(),
        dropped,
    }
}

fn told(status: Status) -> TrackerStatus {
    let program = |p: ethogram_probe::ProgramStatus| {
        let (state, reason) = match p.state {
            ProgramState::Attached => ("attached", None),
            ProgramState::Idle => ("idle", None),
            ProgramState::Withheld(reason) => ("withheld", Some(reason)),
            ProgramState::Unneeded => ("skipped", Some("a better one does the same".to_owned())),
            ProgramState::Refused(reason) => ("refused", Some(reason)),
        };
        Program { name: p.name, attach: p.attach, state: state.into(), reason }
    };
    let value = |p: &ModelParam| if p.boolean { (p.default != 0).to_string() } else { p.default.to_string() };
    let param = |p: &ModelParam| Param {
        name: p.name.clone(),
        value: status.params.get(&p.name).cloned().unwrap_or_else(|| value(p)),
        default: value(p),
        doc: p.doc.clone(),
    };
    TrackerStatus {
        name: status.schema.name.to_string(),
        summary: status.schema.summary.clone(),
        state: tracker_state(&status.state),
        reason: if let State::Refused(reason) = &status.state { Some(reason.clone()) } else { None },
        default: status.schema.default,
        params: status.schema.params.iter().map(param).collect(),
        programs: status.programs.into_iter().map(program).collect(),
        counters: counters(&status.counters),
    }
}
