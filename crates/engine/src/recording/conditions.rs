//! Under which conditions was recorded, and where all events went.

use std::collections::BTreeMap;

use ethogram_detect::Settings;
use serde::{Deserialize, Serialize};

use crate::ContainerFilter;

/// What the result depends on besides what happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// Whose events were collected.
    #[serde(rename = "selection")]
    pub container_filter: ContainerFilter,
    /// How long a workload is learnt, nanoseconds.
    pub learning_period_ns: u64,
    /// How many incidents a day ordinary life may lead to. Older recordings do not say, or say it of alerts.
    #[serde(default, rename = "alerts_per_day")]
    pub incidents_per_day: Option<u32>,
    /// Bytes that open incidents take.
    #[serde(default)]
    pub incident_bytes: Option<usize>,
    /// After how long a behaviour is forgotten, nanoseconds.
    #[serde(default)]
    pub forget_after_ns: Option<u64>,
    /// Whether what is usual was counted where it came from.
    #[serde(default)]
    pub habituation: bool,
    /// Whether nothing is learnt.
    #[serde(default)]
    pub is_locked: bool,
}

impl Conditions {
    /// What events are recorded under.
    pub fn of(container_filter: ContainerFilter, settings: &Settings) -> Self {
        Self {
            container_filter,
            learning_period_ns: settings.learning_period_ns,
            incidents_per_day: Some(settings.incidents_per_day),
            incident_bytes: Some(settings.incident_bytes),
            forget_after_ns: Some(settings.forget_after_ns),
            habituation: settings.habituation,
            is_locked: settings.is_locked,
        }
    }

    /// How the model learns under them.
    pub fn settings(&self) -> Settings {
        let usual = Settings::default();
        Settings {
            learning_period_ns: self.learning_period_ns,
            incidents_per_day: self.incidents_per_day.unwrap_or(usual.incidents_per_day),
            incident_bytes: self.incident_bytes.unwrap_or(usual.incident_bytes),
            forget_after_ns: self.forget_after_ns.unwrap_or(usual.forget_after_ns),
            habituation: self.habituation,
            is_locked: self.is_locked,
            ..usual
        }
    }
}

/// Where a tracker's events went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The tracker.
    pub tracker: String,
    /// Events that its hooks met.
    pub seen: u64,
    /// Those handed on one by one.
    pub delivered: u64,
    /// Those counted in the kernel.
    pub aggregated: u64,
    /// Those left out on purpose, by reason.
    pub filtered: BTreeMap<String, u64>,
    /// Those lost, by stage and reason.
    pub dropped: BTreeMap<String, BTreeMap<String, u64>>,
}
