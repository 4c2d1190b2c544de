//! The server as the API's resources see it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ethogram_detect::Decision;
use ethogram_engine::{Input, Judged};
use ethogram_model::TrackerSchema;
use ethogram_probe::Collector;

use super::{ServerControl, cached::Cached, outlet::ServerOutlet, rules::RuleKeeper, subscriptions::Subscriptions};
use crate::{
    config::Config, container::hierarchy::Hierarchy, metrics::MetricsSnapshot, pipeline::Pipeline, record::Recording,
    refusal::Refusal, response::Response,
};

/// For how long the metrics are fresh: anyone may ask for them, and to count costs the engine's thread.
const METRICS: Duration = Duration::from_secs(1);

/// What the API asks.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) control: ServerControl,
    pub(super) collector: Arc<Collector>,
    pub(super) subscriptions: Arc<Subscriptions>,
    pub(super) rules: Arc<RuleKeeper>,
    pub(super) hierarchy: Hierarchy,
    pub(super) recording: Option<Recording>,
    pub(super) response: Arc<Response>,
    pub(super) learning_ns: u64,
    pub(super) filters_containers: bool,
    /// Parameters that the configuration sets, by tracker.
    pub(super) params: BTreeMap<String, BTreeMap<String, String>>,
    pub(super) metrics: Arc<Cached<MetricsSnapshot>>,
}

impl Server {
    pub(super) fn new(
        pipeline: &Pipeline<Judged, ServerOutlet>,
        config: &Config,
        subscriptions: Arc<Subscriptions>,
        rules: Arc<RuleKeeper>,
        response: Arc<Response>,
    ) -> Self {
        let values = |(name, params): (&String, &BTreeMap<String, crate::config::ParamValue>)| {
            (name.clone(), params.iter().map(|(k, v)| (k.clone(), v.0.clone())).collect())
        };
        Self {
            control: pipeline.control.clone(),
            collector: Arc::clone(&pipeline.collector),
            subscriptions,
            rules,
            hierarchy: pipeline.hierarchy.clone(),
            recording: pipeline.recording.clone(),
            response,
            learning_ns: config.behaviour.learning_period.as_ns(),
            filters_containers: !config.collection.host,
            params: config.trackers.params.iter().map(values).collect(),
            metrics: Arc::new(Cached::new(METRICS)),
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

    /// Asks what judges, on the engine's thread.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Judged) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        self.control.ask(|engine| question(&mut engine.consumer)).await.map_err(|_| Refusal::Gone)
    }

    /// Asks the outlet, on its thread.
    pub(super) async fn ask_outlet<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut ServerOutlet) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        self.control.ask_outlet(question).await.map_err(|_| Refusal::Gone)
    }

    /// Has the engine take a person's decision.
    pub(super) async fn decide(&self, decision: Decision) -> Result<(), Refusal> {
        self.control.feed(Input::Decision(decision)).await.map_err(|_| Refusal::Gone)
    }

    /// What the tracker of that name reports.
    pub(super) fn schema(&self, tracker: &str) -> Option<Arc<TrackerSchema>> {
        self.collector.status().into_iter().find(|s| &*s.schema.name == tracker).map(|s| s.schema)
    }
}
