//! Which trackers the server starts, and how.

use std::collections::BTreeMap;

use ethogram_detect::rules::RuleSet;
use ethogram_model::schema::Role;
use ethogram_probe::{Start, Subscription, TrackerObject, find};

use super::subscriptions;
use crate::{config::Config, failure::Usage, pipeline::TrackerStart};

/// What rules need.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// Events, by tracker.
    pub(crate) events: BTreeMap<String, subscriptions::Events>,
    /// The environment of processes.
    pub(crate) environment: bool,
}

impl Needs {
    pub(super) fn of(rules: &RuleSet) -> Self {
        Self { events: rules.wanted_events(), environment: rules.wants_environment() }
    }
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
