//! The metrics, in the two text formats that Prometheus reads.

mod process;
mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use process::ProcessMetrics;
pub use text::Format;
use text::{Kind, Page};

/// Where a tracker's events went. `seen` is the sum of all the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counters {
    /// Events that happened.
    pub seen: u64,
    /// Events that reached the agent.
    pub delivered: u64,
    /// Events that were counted in the kernel and went no further.
    pub aggregated: u64,
    /// Events that were left out on purpose, by reason.
    pub filtered: BTreeMap<String, u64>,
    /// Events that were lost, by stage and reason.
    pub dropped: BTreeMap<String, BTreeMap<String, u64>>,
}

impl From<&ethogram_probe::Counters> for Counters {
    fn from(from: &ethogram_probe::Counters) -> Self {
        let mut dropped = BTreeMap::<String, BTreeMap<String, u64>>::new();
        for ((stage, reason), n) in &from.dropped {
            dropped.entry(stage.clone()).or_default().insert(reason.clone(), *n);
        }
        Self {
            seen: from.seen,
            delivered: from.delivered,
            aggregated: from.aggregated,
            filtered: from.filtered.clone(),
            dropped,
        }
    }
}

/// Whether a tracker works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TrackerState {
    /// At least one of its programs is attached.
    Running,
    /// Its events have no subscription: its programs are attached with the first one.
    Idle,
    /// Its programs are detached until it is resumed.
    Paused,
    /// It was not started.
    Stopped,
    /// This kernel refused all its programs.
    Refused,
}

impl TrackerState {
    const ALL: [Self; 5] = [Self::Running, Self::Idle, Self::Paused, Self::Stopped, Self::Refused];

    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Idle => "idle",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Refused => "refused",
        }
    }
}

impl From<&ethogram_probe::TrackerState> for TrackerState {
    fn from(state: &ethogram_probe::TrackerState) -> Self {
        use ethogram_probe::TrackerState as State;
        match state {
            State::Running => Self::Running,
            State::Idle => Self::Idle,
            State::Paused => Self::Paused,
            State::Stopped => Self::Stopped,
            State::Refused(_) => Self::Refused,
        }
    }
}

/// How a place that alerts go to is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SinkMetrics {
    /// Alerts that arrived.
    pub delivered: u64,
    /// Alerts that did not, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Attempts that failed and were repeated.
    pub retries: u64,
    /// Alerts that are on their way, in the queue and in the spool.
    pub waiting: u64,
    /// Bytes of the spool on disk.
    pub spool_bytes: u64,
}

/// What the engine measures.
#[derive(Debug, Clone, Default)]
pub struct EngineMetrics {
    /// Containers running now.
    pub containers: u64,
    /// Profiles by their state: `learning`, `partial`, `stable`, `drifted`.
    pub profiles: BTreeMap<String, u64>,
    /// What workloads are known to do all day, each counted in the kernel.
    pub habits: u64,
    /// What became of containers, cgroups and processes to be identified, by what.
    pub identity: BTreeMap<&'static str, u64>,
    /// What became of behaviours, by outcome.
    pub behaviours: BTreeMap<&'static str, u64>,
    /// What became of incidents, by what.
    pub incidents: BTreeMap<&'static str, u64>,
    /// Incidents that are open, by severity.
    pub incidents_open: BTreeMap<&'static str, u64>,
    /// Bytes of what connects them, roughly.
    pub incident_graph_bytes: u64,
}

/// What is measured where the engine's results go.
#[derive(Debug, Clone, Default)]
pub struct OutletMetrics {
    /// Alerts raised, by severity and rule.
    pub alerts: BTreeMap<(String, String), u64>,
    /// How each place that alerts go to is doing, by sink.
    pub sinks: BTreeMap<String, SinkMetrics>,
    /// Events and alerts dropped because the client of a stream was too slow.
    pub stream_dropped: u64,
}

/// What became of incidents that a language model was to annotate.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TriageMetrics {
    /// Incidents by what became of them.
    pub requests: BTreeMap<&'static str, u64>,
    /// Seconds that requests took, all together.
    pub seconds: f64,
}

/// All that is measured, at one moment. Counters only ever grow.
#[derive(Debug, Clone, Default)]
pub struct MetricsSnapshot {
    /// Each tracker: its name, its state, its counters.
    pub trackers: Vec<(String, TrackerState, Counters)>,
    /// Of the engine.
    pub engine: EngineMetrics,
    /// Of alerts and streams.
    pub outlet: OutletMetrics,
    /// What was done about findings, by action and outcome.
    pub responses: BTreeMap<(&'static str, &'static str), u64>,
    /// What was recorded, and what was lost of it, by what; empty where nothing is recorded.
    pub recording: BTreeMap<&'static str, u64>,
    /// Of triage; none where it is off.
    pub triage: Option<TriageMetrics>,
}

impl MetricsSnapshot {
    /// The page Prometheus reads.
    pub fn encode(&self, process: Option<&ProcessMetrics>, format: Format) -> String {
        let mut page = Page::new(format);
        self.encode_trackers(&mut page);

        page.family("ethogram_alerts", Kind::Counter, "Alerts raised, by severity and the rule that raised them.");
        for ((severity, rule), n) in &self.outlet.alerts {
            page.sample(&[("severity", severity), ("rule", rule)], *n);
        }
        self.encode_sinks(&mut page);
        page.family("ethogram_responses", Kind::Counter, "What was done about findings, by action and outcome.");
        for ((action, outcome), n) in &self.responses {
            page.sample(&[("action", action), ("outcome", outcome)], *n);
        }
        let help = "Events and alerts dropped because the client of a stream was too slow.";
        page.family("ethogram_stream_dropped", Kind::Counter, help);
        page.sample(&[], self.outlet.stream_dropped);
        page.family(
            "ethogram_identity",
            Kind::Counter,
            "Containers and processes identified, and what could not be, by what.",
        );
        for (what, n) in &self.engine.identity {
            page.sample(&[("what", what)], *n);
        }
        page.family("ethogram_behaviours", Kind::Counter, "Behaviours seen, by what the model made of them.");
        for (outcome, n) in &self.engine.behaviours {
            page.sample(&[("outcome", outcome)], *n);
        }
        page.family("ethogram_incidents", Kind::Counter, "Incidents, by what became of them.");
        for (what, n) in &self.engine.incidents {
            page.sample(&[("what", what)], *n);
        }
        if !self.recording.is_empty() {
            let help = "What was recorded, and what the disk was too slow for, by what.";
            page.family("ethogram_recording", Kind::Counter, help);
            for (what, n) in &self.recording {
                page.sample(&[("what", what)], *n);
            }
        }
        if let Some(triage) = &self.triage {
            let help = "Incidents that a language model was to annotate, by what became of them.";
            page.family("ethogram_triage_requests", Kind::Counter, help);
            for (result, n) in &triage.requests {
                page.sample(&[("result", result)], *n);
            }
            page.family("ethogram_triage_seconds", Kind::Counter, "Seconds that requests to it took, all together.");
            page.sample(&[], triage.seconds);
        }
        page.family("ethogram_containers", Kind::Gauge, "Containers running now.");
        page.sample(&[], self.engine.containers);
        page.family("ethogram_profiles", Kind::Gauge, "Behaviour profiles, by state.");
        for (state, n) in &self.engine.profiles {
            page.sample(&[("state", state)], *n);
        }
        page.family(
            "ethogram_habits",
            Kind::Gauge,
            "Habits: what workloads do all day, counted in the kernel and not sent.",
        );
        page.sample(&[], self.engine.habits);
        page.family("ethogram_incidents_open", Kind::Gauge, "Incidents that are open, by severity.");
        for (severity, n) in &self.engine.incidents_open {
            page.sample(&[("severity", severity)], *n);
        }
        page.family("ethogram_incident_graph_bytes", Kind::Gauge, "Memory for what connects incidents, roughly.");
        page.sample(&[], self.engine.incident_graph_bytes);
        page.family("ethogram_build_info", Kind::Gauge, "Always 1; the version is in the label.");
        page.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        if let Some(process) = process {
            process.encode(&mut page);
        }
        page.end()
    }

    fn encode_sinks(&self, page: &mut Page) {
        type Of = fn(&SinkMetrics) -> u64;
        let plain: [(&str, Kind, &str, Of); 4] = [
            ("ethogram_alerts_delivered", Kind::Counter, "Alerts that a sink has taken.", |s| s.delivered),
            (
                "ethogram_alert_retries",
                Kind::Counter,
                "Attempts to deliver an alert that failed, and were repeated.",
                |s| s.retries,
            ),
            (
                "ethogram_alerts_waiting",
                Kind::Gauge,
                "Alerts on their way to a sink, in its queue and its spool.",
                |s| s.waiting,
            ),
            ("ethogram_alert_spool_bytes", Kind::Gauge, "Bytes on disk of a sink's spool.", |s| s.spool_bytes),
        ];
        for (name, kind, help, of) in plain {
            page.family(name, kind, help);
            for (sink, metrics) in &self.outlet.sinks {
                page.sample(&[("sink", sink)], of(metrics));
            }
        }
        page.family("ethogram_alerts_dropped", Kind::Counter, "Alerts that a sink did not get, by reason.");
        for (sink, metrics) in &self.outlet.sinks {
            for (reason, n) in &metrics.dropped {
                page.sample(&[("sink", sink), ("reason", reason)], *n);
            }
        }
    }

    fn encode_trackers(&self, page: &mut Page) {
        type Of = fn(&Counters) -> u64;
        let plain: [(&str, &str, Of); 3] = [
            (
                "ethogram_events_seen",
                "Events that happened: the sum of what was delivered, aggregated, filtered and dropped.",
                |c| c.seen,
            ),
            ("ethogram_events_delivered", "Events that reached the agent.", |c| c.delivered),
            ("ethogram_events_aggregated", "Events that were counted in the kernel and went no further.", |c| {
                c.aggregated
            }),
        ];
        for (name, help, of) in plain {
            page.family(name, Kind::Counter, help);
            for (tracker, _, counters) in &self.trackers {
                page.sample(&[("tracker", tracker)], of(counters));
            }
        }
        page.family("ethogram_events_filtered", Kind::Counter, "Events that were left out on purpose, by reason.");
        for (tracker, _, counters) in &self.trackers {
            for (reason, n) in &counters.filtered {
                page.sample(&[("tracker", tracker), ("reason", reason)], *n);
            }
        }
        page.family("ethogram_events_dropped", Kind::Counter, "Events that were lost, by stage and reason.");
        for (tracker, _, counters) in &self.trackers {
            for (stage, reasons) in &counters.dropped {
                for (reason, n) in reasons {
                    page.sample(&[("tracker", tracker), ("stage", stage), ("reason", reason)], *n);
                }
            }
        }
        page.family("ethogram_tracker_state", Kind::Gauge, "1 for the state a tracker is in, 0 for the others.");
        for (tracker, state, _) in &self.trackers {
            for each in TrackerState::ALL {
                page.sample(&[("tracker", tracker.as_str()), ("state", each.name())], u64::from(each == *state));
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
