//! How the server is doing.

use std::{collections::BTreeMap, sync::Arc};

use ethogram_detect::{Detector, IncidentCounters};
use ethogram_engine::{Engine, Judged};

use crate::{
    api::{Answer, Health, ProfileState},
    metrics::{Counters, EngineMetrics, MetricsSnapshot, OutletMetrics, TrackerState},
    record::Totals,
    refusal::Refusal,
    server::{backend::Server, outlet::ServerOutlet},
};

impl Health for Server {
    async fn metrics(&self) -> Answer<Arc<MetricsSnapshot>> {
        let server = self.clone();
        self.metrics.get(async move { measure(&server).await }).await
    }

    async fn healthy(&self) -> Answer<()> {
        self.ask(|_| ()).await
    }
}

async fn measure(server: &Server) -> Answer<MetricsSnapshot> {
    let trackers = server.blocking(|s| Ok(s.collector.status())).await?;
    let trackers = trackers
        .into_iter()
        .map(|t| (t.schema.name.to_string(), TrackerState::from(&t.state), Counters::from(&t.counters)));
    let of_engine = |engine: &mut Engine<Judged>| {
        let Detector { model, incidents, .. } = &engine.consumer.detector;
        let mut profiles: BTreeMap<_, _> = ProfileState::ALL.iter().map(|state| (state.name().to_owned(), 0)).collect();
        for profile in model.profiles() {
            *profiles.entry(profile.state.name().to_owned()).or_default() += 1;
        }
        EngineMetrics {
            containers: engine.containers().count() as u64,
            profiles,
            habits: model.habits() as u64,
            identity: engine.identity.counters(),
            behaviours: behaviours(model.counters()),
            incidents: became(incidents.counters()),
            incidents_open: incidents.open_by_severity(),
            incident_graph_bytes: incidents.graph_bytes() as u64,
        }
    };
    let of_outlet = |outlet: &mut ServerOutlet| {
        let alerts = OutletMetrics {
            alerts: outlet.alerts.raised().clone(),
            sinks: outlet.sinks.metrics(),
            stream_dropped: outlet.streams.dropped(),
        };
        (alerts, outlet.incidents.triage_metrics())
    };
    let (outlet, triage) = server.ask_outlet(of_outlet).await?;
    Ok(MetricsSnapshot {
        trackers: trackers.collect(),
        engine: server.control.ask(of_engine).await.map_err(|_| Refusal::Gone)?,
        outlet,
        responses: server.response.totals(),
        recording: server.recording.as_ref().map(|r| recorded(r.totals())).unwrap_or_default(),
        triage,
    })
}

fn behaviours(counters: ethogram_detect::ModelCounters) -> BTreeMap<&'static str, u64> {
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

fn became(counters: IncidentCounters) -> BTreeMap<&'static str, u64> {
    BTreeMap::from([
        ("begun", counters.begun),
        ("merged", counters.merged),
        ("closed", counters.closed),
        ("repeated", counters.repeated),
        ("summarized", counters.summarized),
        ("evicted", counters.evicted),
        ("connection_refused", counters.refused),
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
