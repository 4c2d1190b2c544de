//! How the server is doing.

use std::collections::BTreeMap;

use crate::{
    api::{Answer, Health, ProfileState},
    metrics::{Counters, MetricsSnapshot, TrackerState},
    record::Totals,
    refusal::Refusal,
    server::backend::Server,
};

impl Health for Server {
    async fn metrics(&self) -> Answer<MetricsSnapshot> {
        let trackers = self.blocking(|s| Ok(s.collector.status())).await?;
        let mut snapshot = self
            .control
            .ask(|engine| {
                let judge = &engine.consumer;
                let mut profiles: BTreeMap<_, _> =
                    ProfileState::ALL.iter().map(|state| (state.name().to_owned(), 0)).collect();
                for profile in judge.detector.model.profiles() {
                    *profiles.entry(profile.state.name().to_owned()).or_default() += 1;
                }
                MetricsSnapshot {
                    trackers: Vec::new(),
                    recording: BTreeMap::new(),
                    alerts: BTreeMap::new(),
                    sinks: BTreeMap::new(),
                    responses: BTreeMap::new(),
                    containers: engine.containers().count() as u64,
                    profiles,
                    habits: judge.detector.model.habits() as u64,
                    stream_dropped: 0,
                    identity: engine.identity.counters(),
                    behaviours: behaviours(judge.detector.model.counters()),
                }
            })
            .await
            .map_err(|_| Refusal::Gone)?;
        (snapshot.alerts, snapshot.sinks, snapshot.stream_dropped) = self
            .ask_outlet(|outlet| (outlet.alerts.raised().clone(), outlet.sinks.metrics(), outlet.streams.dropped()))
            .await?;
        snapshot.responses = self.response.totals();
        snapshot.recording = self.recording.as_ref().map(|r| recorded(r.totals())).unwrap_or_default();
        snapshot.trackers = trackers
            .into_iter()
            .map(|t| (t.schema.name.to_string(), TrackerState::from(&t.state), Counters::from(&t.counters)))
            .collect();
        Ok(snapshot)
    }

    async fn healthy(&self) -> Answer<()> {
        self.ask(|_| ()).await
    }
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

fn recorded(totals: Totals) -> BTreeMap<&'static str, u64> {
    BTreeMap::from([
        ("events", totals.events),
        ("bytes", totals.bytes),
        ("events_lost", totals.events_lost),
        ("notes_lost", totals.notes_lost),
    ])
}
