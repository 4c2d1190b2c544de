//! An Alertmanager, and what it has to be reminded of.
//!
//! An alert is resolved once its `endsAt` has passed. It is some time after the alert was delivered or last seen, and every minute
//! all that are active are sent again: so they stay active while they go on, and an Alertmanager that lost its memory has
//! them back.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use ethogram_model::{Finding, Report};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value as Json;

use super::{
    format::alertmanager::{encode, ending, uid},
    http::Client,
    queue::{Delivery, Encode, Receiver},
};

/// How often it is reminded.
const REMINDED_EVERY: Duration = Duration::from_secs(60);
/// Alerts that it is reminded of; of more, those that end first are left to end.
const MAX_ACTIVE: usize = 1024;
/// Alerts in one request.
const TOGETHER: usize = 64;

/// The alerts that are active, shared by who hears of them and who sends them.
#[derive(Clone, Default)]
pub(super) struct Active(Arc<Mutex<BTreeMap<String, Alert>>>);

/// An alert as it is sent, and when it ends.
struct Alert {
    text: Vec<u8>,
    ends: Timestamp,
}

impl Active {
    fn begin(&self, uid: &str, text: Vec<u8>, ends: Timestamp) {
        let mut alerts = self.0.lock();
        alerts.insert(uid.to_owned(), Alert { text, ends });
        if alerts.len() > MAX_ACTIVE
            && let Some(first) = alerts.iter().min_by_key(|(_, alert)| alert.ends).map(|(uid, _)| uid.clone())
        {
            alerts.remove(&first);
        }
    }

    /// What is not known as active is new, or over.
    fn extend(&self, uid: &str, ends: Timestamp) {
        if let Some(alert) = self.0.lock().get_mut(uid) {
            alert.ends = alert.ends.max(ends);
        }
    }

    /// Those that have not ended. The others are forgotten.
    fn list(&self, now: Timestamp) -> Vec<Json> {
        let mut alerts = self.0.lock();
        alerts.retain(|_, alert| alert.ends > now);
        alerts.values().filter_map(|alert| ending(&alert.text, alert.ends)).collect()
    }

    fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

/// Writes findings as alerts, and keeps those active that go on.
pub(super) struct Encoder {
    pub(super) active: Active,
    pub(super) resolve_after: Duration,
}

impl Encoder {
    /// Alerts of an earlier run that have not ended yet are active again.
    pub(super) fn restore<'a>(&self, findings: impl Iterator<Item = &'a Finding>) {
        let now = Timestamp::now();
        for finding in findings {
            let ends = after(seen_at(finding.last_seen_ns), self.resolve_after);
            if ends > now {
                self.active.begin(&finding.uid, encode(&Report::from(finding.clone())), ends);
            }
        }
    }
}

impl Encode for Encoder {
    fn encode(&self, report: &Report) -> Vec<u8> {
        encode(report)
    }

    fn seen(&self, uid: &str, last_seen_ns: u64) {
        self.active.extend(uid, after(seen_at(last_seen_ns), self.resolve_after));
    }

    fn follows(&self) -> bool {
        true
    }
}

/// How long a heartbeat's alert is active, in times between two of them: one may be missed.
const HEARTBEATS: u32 = 3;

/// Sends alerts to one Alertmanager.
pub(super) struct Alertmanager {
    client: Client,
    active: Active,
    resolve_after: Duration,
    reminded: Instant,
    remind_every: Duration,
}

impl Alertmanager {
    pub(super) fn new(client: Client, encoder: &Encoder) -> Self {
        Self {
            client,
            active: encoder.active.clone(),
            resolve_after: encoder.resolve_after,
            reminded: Instant::now(),
            remind_every: REMINDED_EVERY,
        }
    }

    fn post(&mut self, alerts: &[Json]) -> Delivery {
        let body = Json::from(alerts).to_string().into_bytes();
        self.client.post(body).map_or_else(|outcome| outcome, |_| Delivery::Delivered)
    }
}

impl Receiver for Alertmanager {
    fn deliver(&mut self, alert: &[u8]) -> Delivery {
        // From now on, and not from when it was seen: one that waited is to be active, too.
        let ends = after(Timestamp::now(), self.resolve_after);
        let Some(json) = ending(alert, ends) else {
            return Delivery::Refused("the spool holds another's alert".into());
        };
        let outcome = self.post(std::slice::from_ref(&json));
        if let (Delivery::Delivered, Some(uid)) = (&outcome, uid(&json)) {
            self.active.begin(uid, alert.to_vec(), ends);
        }
        outcome
    }

    /// An alert that always fires, and is resolved where none comes any more. It is not reminded of.
    fn heartbeat(&mut self, heartbeat: &[u8], next: Duration) -> Delivery {
        let ends = after(Timestamp::now(), next.saturating_mul(HEARTBEATS));
        ending(heartbeat, ends)
            .map_or_else(|| Delivery::Refused("it is no alert".into()), |json| self.post(std::slice::from_ref(&json)))
    }

    fn remind(&mut self) -> Delivery {
        if self.reminded.elapsed() < self.remind_every {
            return Delivery::Delivered;
        }
        self.reminded = Instant::now();
        let alerts = self.active.list(Timestamp::now());
        let outcomes = alerts.chunks(TOGETHER).map(|some| self.post(some));
        outcomes.into_iter().find(|outcome| *outcome != Delivery::Delivered).unwrap_or(Delivery::Delivered)
    }

    fn next_reminder(&self) -> Option<Instant> {
        (!self.active.is_empty()).then(|| self.reminded + self.remind_every)
    }
}

fn seen_at(ns: u64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(ns)).unwrap_or(Timestamp::MAX)
}

fn after(time: Timestamp, period: Duration) -> Timestamp {
    time.saturating_add(period).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sink::{
        format::tests::{behaviour, rule_match},
        tests::Web,
    };

    const HOUR: Duration = Duration::from_secs(3600);

    fn alerts(body: &[u8]) -> Vec<Json> {
        serde_json::from_slice(body).unwrap()
    }

    fn time(json: &Json) -> Timestamp {
        json.as_str().unwrap().parse().unwrap()
    }

    #[test]
    fn what_goes_on_stays_active_and_what_is_over_is_forgotten() {
        let web = Web::start();
        let encoder = Encoder { active: Active::default(), resolve_after: HOUR };
        let client = Client::new(&web.url(), &crate::config::Http::default()).unwrap();
        let mut receiver = Alertmanager::new(client, &encoder);
        receiver.remind_every = Duration::ZERO;
        assert_eq!(receiver.remind(), Delivery::Delivered);
        assert_eq!(web.bodies().len(), 0, "there is nothing to be reminded of");

        // Seen long ago, as its receiver was away: it is active all the same.
        assert_eq!(receiver.deliver(&encoder.encode(&behaviour().into())), Delivery::Delivered);
        let first = alerts(&web.bodies()[0]).remove(0);
        assert!(time(&first["endsAt"]) > Timestamp::now());
        assert!(receiver.next_reminder().is_some());

        let later = after(Timestamp::now(), HOUR * 2);
        encoder.seen(&behaviour().uid, u64::try_from(later.as_nanosecond()).unwrap());
        encoder.seen("unknown", u64::MAX);
        assert_eq!(receiver.remind(), Delivery::Delivered);
        let again = alerts(&web.bodies()[1]).remove(0);
        assert_eq!((&again["labels"], &again["startsAt"]), (&first["labels"], &first["startsAt"]));
        assert!(time(&again["endsAt"]) > after(Timestamp::now(), HOUR * 2));

        assert!(receiver.active.list(Timestamp::MAX).is_empty());
        assert_eq!(receiver.next_reminder(), None);
    }

    #[test]
    fn a_restart_remembers_those_that_have_not_ended() {
        let encoder = Encoder { active: Active::default(), resolve_after: HOUR };
        let now = u64::try_from(Timestamp::now().as_nanosecond()).unwrap();
        let fresh = Finding { last_seen_ns: now, ..rule_match() };
        encoder.restore([behaviour(), fresh].iter());
        let active = encoder.active.list(Timestamp::now());
        assert_eq!(active.iter().map(|a| uid(a).unwrap()).collect::<Vec<_>>(), ["0a1b"]);
    }

    #[test]
    fn of_too_many_those_that_end_first_are_left() {
        let active = Active::default();
        let at = |s| Timestamp::from_second(s).unwrap();
        (0..2000).for_each(|n| active.begin(&n.to_string(), Vec::new(), at(n)));
        let alerts = active.0.lock();
        assert_eq!(alerts.len(), MAX_ACTIVE);
        assert_eq!(alerts.values().map(|a| a.ends).min(), Some(at(2000 - MAX_ACTIVE as i64)));
    }
}
