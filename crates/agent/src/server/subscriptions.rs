//! Subscriptions: who needs which events. Collection is demand-driven: the kernel side detaches programs whose events have none.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use ethogram_model::{FieldTest, TrackerSchema};
use ethogram_probe::{Collector, Subscription};
use parking_lot::Mutex;

/// Events of a tracker, by their names, each with the tests that it must pass to be of use.
pub(crate) type Events = BTreeMap<String, Vec<FieldTest>>;

/// What profiles subscribe to of a tracker: the events that are behaviours.
pub(crate) fn of_profiles(schema: &TrackerSchema) -> Subscription {
    let behaviours = schema.events.iter().filter(|e| !e.behaviours.is_empty());
    Subscription::only(behaviours.map(|e| e.name.to_string()))
}

/// The subscription where rules wait for these events, too.
pub(crate) fn with_rules(subscription: Subscription, rules: Option<&Events>) -> Subscription {
    match (subscription, rules) {
        (Subscription::Only(mut events), Some(rules)) => {
            add(&mut events, rules);
            Subscription::Only(events)
        }
        (subscription, _) => subscription,
    }
}

/// The events where some subscribe to these and some to those: a test only where both ask for it.
pub(super) fn add(events: &mut Events, more: &Events) {
    for (event, tests) in more {
        match events.entry(event.clone()) {
            Entry::Vacant(entry) => _ = entry.insert(tests.clone()),
            Entry::Occupied(entry) => entry.into_mut().retain(|test| tests.contains(test)),
        }
    }
}

/// Who subscribes to what, and the collector that subscribes in the kernel.
pub(super) struct Subscriptions {
    collector: Arc<Collector>,
    subscribers: Mutex<Subscribers>,
    /// Held while the collector is told, so that it hears of the newest last.
    order: Mutex<()>,
}

#[derive(Default)]
struct Subscribers {
    /// Of each tracker, what profiles subscribe to. Those that are not here have one for everything.
    always: BTreeMap<String, Subscription>,
    /// What rules wait for.
    rules: BTreeMap<String, Events>,
    /// Those who follow, and the tracker if it is only one.
    followers: BTreeMap<u64, Option<String>>,
    next: u64,
}

impl Subscribers {
    fn of(&self, tracker: &str, always: &Subscription) -> Subscription {
        let follows = |one: &Option<String>| one.as_deref().is_none_or(|one| one == tracker);
        if self.followers.values().any(follows) {
            return Subscription::All;
        }
        with_rules(always.clone(), self.rules.get(tracker))
    }
}

impl Subscriptions {
    /// `always` says of trackers what profiles subscribe to, and `rules` what rules wait for, as they were started with.
    pub(super) fn new(
        collector: Arc<Collector>,
        always: BTreeMap<String, Subscription>,
        rules: BTreeMap<String, Events>,
    ) -> Arc<Self> {
        let subscribers = Subscribers { always, rules, ..Subscribers::default() };
        Arc::new(Self { collector, subscribers: Mutex::new(subscribers), order: Mutex::new(()) })
    }

    /// Somebody asks for the tracker by its name: all of its events are wanted from then on.
    pub(super) fn ask_for(&self, tracker: &str) {
        self.subscribers.lock().always.remove(tracker);
    }

    /// A tracker was started for rules alone.
    pub(super) fn add(&self, tracker: &str) {
        self.subscribers.lock().always.entry(tracker.to_owned()).or_insert_with(|| Subscription::Only(Events::new()));
    }

    /// Rules wait for these events from now on. Takes as long as attaching programs does.
    pub(super) fn set_rules(&self, rules: &BTreeMap<String, Events>) {
        self.subscribers.lock().rules.clone_from(rules);
        self.publish();
    }

    /// Subscribers all events of a tracker, or of all that are started, until what is returned is dropped. Takes as long as attaching
    /// programs does.
    pub(super) fn follow(self: &Arc<Self>, tracker: Option<String>) -> Following {
        let id = {
            let mut subscribers = self.subscribers.lock();
            let id = subscribers.next;
            subscribers.next += 1;
            subscribers.followers.insert(id, tracker);
            id
        };
        self.publish();
        Following { subscriptions: Arc::clone(self), id }
    }

    fn publish(&self) {
        let _in_order = self.order.lock();
        let subscriptions: Vec<_> = {
            let subscribers = self.subscribers.lock();
            subscribers.always.iter().map(|(name, always)| (name.clone(), subscribers.of(name, always))).collect()
        };
        for (name, subscription) in subscriptions {
            if let Err(error) = self.collector.set_subscription(&name, subscription) {
                tracing::warn!("tracker '{name}': {error}");
            }
        }
    }
}

/// Somebody who follows events.
pub(super) struct Following {
    subscriptions: Arc<Subscriptions>,
    id: u64,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.subscriptions.subscribers.lock().followers.remove(&self.id);
        let subscriptions = Arc::clone(&self.subscriptions);
        // Detaching takes a while. Where no runtime is left, everything ends.
        if let Ok(tasks) = tokio::runtime::Handle::try_current() {
            tasks.spawn_blocking(move || subscriptions.publish());
        }
    }
}
