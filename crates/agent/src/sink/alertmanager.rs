//! An Alertmanager, and what it has to be reminded of.
//!
//! An alert is resolved once its `endsAt` has passed. A finding's is some time after it was delivered or last seen, an incident's
//! some time after it was sent last, until the incident is over. Every minute all that are active are sent again: so they
//! stay active, and an Alertmanager that lost its memory has them back. What is over is sent again for a while, too: an
//! Alertmanager whose clock is behind takes it for active at first.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use ethogram_model::{Finding, Incident, Report, Severity};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value as Json;

use super::{
    format::alertmanager::{IncidentAlerts, decode, encode, ending, incident_alert, key},
    http::Client,
    queue::{Delivery, Encode, Receiver},
};

/// How often it is reminded.
const REMINDED_EVERY: Duration = Duration::from_secs(60);
/// How long it is reminded of what is over.
const REMINDED_OF_END: Duration = Duration::from_secs(5 * 60);
/// Alerts that it is reminded of; of more, those that end first are left to end.
const MAX_ACTIVE: usize = 1024;
/// Alerts in one request.
const TOGETHER: usize = 64;

/// Alerts by their uid and severity.
type Alerts = BTreeMap<(String, String), Alert>;

/// The alerts that it is reminded of, shared by who hears of them and who sends them.
#[derive(Clone, Default)]
pub(super) struct Active(Arc<Mutex<Alerts>>);

/// An alert as it is sent, and for how long.
struct Alert {
    json: Json,
    lasts: Lasts,
}

/// How long an alert is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lasts {
    /// It is over, and has its end.
    Over { until: Timestamp },
    /// It is active until then.
    Until(Timestamp),
    /// It is active until something else is heard of it.
    Open,
}

impl Active {
    fn put(&self, json: &Json, lasts: Lasts) {
        let Some((uid, severity)) = key(json) else { return };
        let mut alerts = self.0.lock();
        alerts.insert((uid.to_owned(), severity.to_owned()), Alert { json: json.clone(), lasts });
        if alerts.len() > MAX_ACTIVE
            && let Some(first) = alerts.iter().min_by_key(|(_, alert)| alert.lasts).map(|(key, _)| key.clone())
        {
            alerts.remove(&first);
        }
    }

    /// What is not known as active is new, or over.
    fn extend(&self, uid: &str, ends: Timestamp) {
        let mut alerts = self.0.lock();
        let of_uid = alerts.range_mut((uid.to_owned(), String::new())..).take_while(|((known, _), _)| known == uid);
        for (_, alert) in of_uid {
            if let Lasts::Until(known) = &mut alert.lasts {
                *known = ends.max(*known);
            }
        }
    }

    /// What is sent again: those that have not ended, `open_until` then where it is not known when they do, and those that are
    /// over since not long ago. The others are forgotten.
    fn list(&self, now: Timestamp, open_until: Timestamp) -> Vec<Json> {
        let mut alerts = self.0.lock();
        alerts.retain(|_, alert| match alert.lasts {
            Lasts::Over { until } | Lasts::Until(until) => until > now,
            Lasts::Open => true,
        });
        let again = |alert: &Alert| match alert.lasts {
            Lasts::Over { .. } => alert.json.clone(),
            Lasts::Until(ends) => ending(&alert.json, ends),
            Lasts::Open => ending(&alert.json, open_until),
        };
        alerts.values().map(again).collect()
    }

    fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

/// Writes reports as alerts, and keeps those of findings active that go on.
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
            if ends > now
                && let Some(json) = decode(&encode(&Report::from(finding.clone())))
            {
                self.active.put(&json, Lasts::Until(ends));
            }
        }
    }

    /// Incidents of an earlier run that go on are active again, each as severe as it was sent last.
    pub(super) fn resume(&self, incidents: &[(&Incident, Severity)]) {
        for (incident, severity) in incidents {
            self.active.put(&incident_alert(incident, *severity), Lasts::Open);
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

impl Alertmanager {
    /// From now on, and not from when it was seen: one that waited is to be active, too.
    fn active_until(&self) -> Timestamp {
        after(Timestamp::now(), self.resolve_after)
    }

    fn deliver_finding(&mut self, alert: &Json) -> Delivery {
        let ends = self.active_until();
        let outcome = self.post(&[ending(alert, ends)]);
        if outcome == Delivery::Delivered {
            self.active.put(alert, Lasts::Until(ends));
        }
        outcome
    }

    fn deliver_incident(&mut self, alerts: &IncidentAlerts) -> Delivery {
        let IncidentAlerts { over, active, .. } = alerts;
        let sent: Vec<Json> =
            over.iter().cloned().chain(active.iter().map(|json| ending(json, self.active_until()))).collect();
        let outcome = self.post(&sent);
        if outcome == Delivery::Delivered {
            let until = after(Timestamp::now(), REMINDED_OF_END);
            over.iter().for_each(|json| self.active.put(json, Lasts::Over { until }));
            active.iter().for_each(|json| self.active.put(json, Lasts::Open));
        }
        outcome
    }
}

impl Receiver for Alertmanager {
    fn deliver(&mut self, alert: &[u8]) -> Delivery {
        if let Ok(alerts) = serde_json::from_slice::<IncidentAlerts>(alert) {
            return self.deliver_incident(&alerts);
        }
        match decode(alert) {
            Some(json) => self.deliver_finding(&json),
            None => Delivery::Refused("the spool holds another's alert".into()),
        }
    }

    /// An alert that always fires, and is resolved where none comes any more. It is not reminded of.
    fn heartbeat(&mut self, heartbeat: &[u8], next: Duration) -> Delivery {
        let ends = after(Timestamp::now(), next.saturating_mul(HEARTBEATS));
        decode(heartbeat)
            .map_or_else(|| Delivery::Refused("it is no alert".into()), |json| self.post(&[ending(&json, ends)]))
    }

    fn remind(&mut self) -> Delivery {
        if self.reminded.elapsed() < self.remind_every {
            return Delivery::Delivered;
        }
        self.reminded = Instant::now();
        let alerts = self.active.list(Timestamp::now(), self.active_until());
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
    use std::collections::BTreeSet;

    use ethogram_model::IncidentChange;
    use serde_json::json;

    use super::*;
    use crate::sink::{
        format::tests::{behaviour, incident_report, rule_match},
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

        assert!(receiver.active.list(Timestamp::MAX, Timestamp::MAX).is_empty());
        assert_eq!(receiver.next_reminder(), None);
    }

    #[test]
    fn a_restart_remembers_those_that_have_not_ended() {
        let encoder = Encoder { active: Active::default(), resolve_after: HOUR };
        let now = u64::try_from(Timestamp::now().as_nanosecond()).unwrap();
        let fresh = Finding { last_seen_ns: now, ..rule_match() };
        encoder.restore([behaviour(), fresh].iter());
        let active = encoder.active.list(Timestamp::now(), Timestamp::MAX);
        assert_eq!(active.iter().map(|a| key(a).unwrap().0).collect::<Vec<_>>(), ["0a1b"]);
    }

    #[test]
    fn a_restart_goes_on_with_incidents_that_are_open_as_they_were_sent() {
        let (web, encoder) = (Web::start(), Encoder { active: Active::default(), resolve_after: HOUR });
        let client = Client::new(&web.url(), &crate::config::Http::default()).unwrap();
        let mut report = incident_report(IncidentChange::Opened);
        encoder.resume(&[(&report.incident, Severity::Medium)]);
        let mut receiver = Alertmanager::new(client, &encoder);
        receiver.remind_every = Duration::ZERO;
        assert_eq!(receiver.remind(), Delivery::Delivered);
        let again = alerts(&web.bodies()[0]).remove(0);
        assert_eq!(again["labels"]["severity"], "medium");
        assert!(time(&again["endsAt"]) > Timestamp::now());
        report.change = IncidentChange::Closed { from: Severity::Medium };
        assert_eq!(receiver.deliver(&encoder.encode(&report.into())), Delivery::Delivered);
        let over = alerts(&web.bodies()[1]).remove(0);
        assert_eq!((&over["labels"], over.get("endsAt").is_some()), (&again["labels"], true), "it is the same alert");
        assert!(
            encoder
                .active
                .list(Timestamp::now(), Timestamp::MAX)
                .iter()
                .all(|a| time(&a["endsAt"]) <= Timestamp::now())
        );
    }

    #[test]
    fn of_too_many_those_that_end_first_are_left() {
        let active = Active::default();
        let at = |s| Timestamp::from_second(s).unwrap();
        let alert = |n: i64| json!({ "labels": { "uid": n.to_string(), "severity": "low" } });
        active.put(&alert(-1), Lasts::Open);
        (0..2000).for_each(|n| active.put(&alert(n), Lasts::Until(at(n))));
        let alerts = active.0.lock();
        assert_eq!(alerts.len(), MAX_ACTIVE);
        assert_eq!(alerts.values().map(|a| a.lasts).min(), Some(Lasts::Until(at(2001 - MAX_ACTIVE as i64))));
        assert_eq!(alerts.values().map(|a| a.lasts).max(), Some(Lasts::Open));
    }

    #[test]
    fn an_incident_is_active_until_it_is_over_and_never_twice() {
        let web = Web::start();
        let encoder = Encoder { active: Active::default(), resolve_after: HOUR };
        let client = Client::new(&web.url(), &crate::config::Http::default()).unwrap();
        let mut receiver = Alertmanager::new(client, &encoder);
        receiver.remind_every = Duration::ZERO;
        let mut sent = |change| {
            assert_eq!(receiver.deliver(&encoder.encode(&incident_report(change).into())), Delivery::Delivered);
            assert_eq!(receiver.remind(), Delivery::Delivered);
            let state = |alert: &Json| {
                let severity = alert["labels"]["severity"].as_str().unwrap().to_owned();
                (severity, time(&alert["endsAt"]) > Timestamp::now())
            };
            // What is reminded of is what was sent, and what is over.
            let bodies = web.bodies();
            let [first, again] = [&bodies[bodies.len() - 2], &bodies[bodies.len() - 1]]
                .map(|body| alerts(body).iter().map(state).collect::<BTreeSet<_>>());
            assert!(first.is_subset(&again), "{first:?} {again:?}");
            (first.into_iter().collect::<Vec<_>>(), again.iter().filter(|(_, is_active)| *is_active).count())
        };
        let alert = |severity: &str, is_active| (severity.to_owned(), is_active);
        assert_eq!(sent(IncidentChange::Opened), (vec![alert("high", true)], 1));
        let from = Severity::Medium;
        let escalated = vec![alert("high", true), alert("medium", false)];
        assert_eq!(sent(IncidentChange::Escalated { from }), (escalated, 1));
        assert_eq!(sent(IncidentChange::Closed { from: Severity::High }), (vec![alert("high", false)], 0));
        // A finding's alert that an older agent left in the spool is still one.
        assert_eq!(receiver.deliver(&encode(&behaviour().into())), Delivery::Delivered);
        assert_eq!(alerts(web.bodies().last().unwrap()).len(), 1);
        // Both are over in time.
        assert!(receiver.active.list(after(Timestamp::now(), HOUR * 2), Timestamp::MAX).is_empty());
    }
}
