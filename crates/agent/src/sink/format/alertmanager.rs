//! As alerts of Alertmanager's second API.

use ethogram_model::{
    Container, Finding, Heartbeat, Incident, IncidentChange, IncidentReport, Report, Severity,
    render::{escape, rfc3339},
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::{
    incident::{self, Began},
    rule_name,
};

/// What changes of an incident's alert. A label that changes makes another alert: so where it escalates, the alert of its severity
/// before is resolved by the same request that has the one of its severity now.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::sink) struct IncidentAlerts {
    /// The incident's uid.
    pub(in crate::sink) incident: String,
    /// The alert that is resolved, with its `endsAt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::sink) over: Option<Json>,
    /// The alert that is active from now on. When it ends is added when it is sent, see [`ending`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::sink) active: Option<Json>,
}

/// A finding as one alert, of which the end is added when it is sent, see [`ending`]; an incident as [`IncidentAlerts`].
pub(in crate::sink) fn encode(report: &Report) -> Vec<u8> {
    match report {
        Report::Finding(finding) => alert(finding).to_string().into_bytes(),
        Report::Incident(report) => serde_json::to_vec(&incident(report)).unwrap_or_default(),
    }
}

/// A heartbeat as an alert that always fires, as Prometheus' usual `Watchdog` does, one for each host.
pub(in crate::sink) fn heartbeat(heartbeat: &Heartbeat) -> Vec<u8> {
    let labels = [("alertname", Heartbeat::NAME), ("severity", "none"), ("instance", &heartbeat.host)];
    let counts = heartbeat.counts().map(|(name, n)| (name, n.to_string()));
    let annotations = [("summary", &*heartbeat.message()), ("version", Heartbeat::VERSION)];
    let mut annotations = texts(&annotations);
    annotations.extend(counts.into_iter().map(|(name, n)| (name.to_owned(), n.into())));
    let starts = rfc3339(heartbeat.since_ns);
    json!({ "labels": texts(&labels), "annotations": annotations, "startsAt": starts }).to_string().into_bytes()
}

/// An encoded alert of a finding. None for what [`encode`] did not make.
pub(in crate::sink) fn decode(alert: &[u8]) -> Option<Json> {
    serde_json::from_slice(alert).ok().filter(Json::is_object)
}

/// The alert with the time at which it is resolved, unless it is sent again before.
pub(in crate::sink) fn ending(alert: &Json, ends: Timestamp) -> Json {
    not_before(alert, ends, SignedDuration::from_secs(1))
}

/// Alertmanager refuses an alert that ends before it starts, as it would where a clock was set back.
fn not_before(alert: &Json, ends: Timestamp, least: SignedDuration) -> Json {
    let mut alert = alert.clone();
    let starts: Option<Timestamp> = alert["startsAt"].as_str().and_then(|s| s.parse().ok());
    let ends = starts.map_or(ends, |s| ends.max(s.saturating_add(least).unwrap_or(s)));
    if let Some(fields) = alert.as_object_mut() {
        fields.insert("endsAt".to_owned(), format!("{ends:.3}").into());
    }
    alert
}

/// What an alert is the same by, for us: its uid, and the severity, as an incident has an alert for each.
pub(in crate::sink) fn key(alert: &Json) -> Option<(&str, &str)> {
    let labels = &alert["labels"];
    Some((labels["uid"].as_str()?, labels["severity"].as_str().unwrap_or_default()))
}

fn incident(report: &IncidentReport) -> IncidentAlerts {
    let IncidentReport { incident, change, at_ns } = report;
    let over = change.known_severity().map(|known| {
        let at = Timestamp::from_nanosecond((*at_ns).into()).unwrap_or(Timestamp::MAX);
        // It has to have passed when it is read, or what was sent before counts on.
        not_before(&incident_alert(incident, known), at, SignedDuration::from_millis(1))
    });
    let is_active = !matches!(change, IncidentChange::Closed { .. });
    let active = is_active.then(|| incident_alert(incident, incident.severity));
    IncidentAlerts { incident: incident.uid.clone(), over, active }
}

/// An incident as an alert that has no end yet.
pub(in crate::sink) fn incident_alert(incident: &Incident, severity: Severity) -> Json {
    let began = Began::of(incident);
    // Where it began, and no other container: all labels but the severity are the same for as long as it goes on.
    let labels = [
        ("alertname", incident::NAME),
        ("severity", &severity.name().to_lowercase()),
        ("workload", began.workload),
        ("container", began.container),
        ("namespace", began.namespace),
        ("pod", began.pod),
        ("uid", &incident.uid),
    ];
    let merged_into = incident.merged_into.as_ref();
    let annotations = [
        ("summary", &*escape(&incident.title)),
        ("description", &incident::story(incident, "\n")),
        ("image", began.image),
        ("containers", &incident::some(&incident.containers).join(", ")),
        ("techniques", &incident.techniques.join(", ")),
        ("merged_into", merged_into.map_or("", String::as_str)),
    ];
    json!({ "labels": texts(&labels), "annotations": texts(&annotations), "startsAt": rfc3339(incident.first_seen_ns) })
}

fn alert(finding: &Finding) -> Json {
    let container = finding.container.as_deref();
    let pod = container.and_then(|c| c.pod.as_ref());
    // No process, path or container's id: labels are for routing and grouping, and should have few values.
    let labels = [
        ("alertname", rule_name(finding)),
        ("severity", &finding.severity.name().to_lowercase()),
        ("workload", &finding.workload),
        ("container", container.map_or("", named)),
        ("namespace", pod.map_or("", |p| &p.namespace)),
        ("pod", pod.map_or("", |p| &p.name)),
        // Two finding groups are two alerts.
        ("uid", &finding.uid),
    ];
    let annotations = [
        ("summary", finding.title.as_str()),
        ("description", &finding.reason),
        ("executable", &finding.executable),
        ("object", &finding.object),
        ("techniques", &finding.techniques.join(", ")),
        ("next", finding.rule.as_ref().and_then(|r| r.next.as_deref()).unwrap_or_default()),
    ];
    json!({ "labels": texts(&labels), "annotations": texts(&annotations), "startsAt": rfc3339(finding.first_seen_ns) })
}

/// Its name, where it has one: an id is no name.
fn named(container: &Container) -> &str {
    container.name.as_deref().unwrap_or_default()
}

/// An empty label is none.
fn texts(pairs: &[(&str, &str)]) -> Map<String, Json> {
    pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| ((*name).to_owned(), (*value).into()))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::{beat, behaviour, incident_report, longest_incident, rule_match};
    use super::*;

    #[test]
    fn an_incident_is_one_alert_at_a_time() {
        let alerts = |change| super::incident(&incident_report(change));
        let opened = alerts(IncidentChange::Opened);
        insta::assert_snapshot!(serde_json::to_string_pretty(&opened).unwrap(), @r#"
        {
          "incident": "6c62272e07bb014262b821756295c58d",
          "active": {
            "labels": {
              "alertname": "Incident",
              "severity": "high",
              "workload": "shop/web",
              "container": "web",
              "namespace": "shop",
              "pod": "web-7d4b9",
              "uid": "6c62272e07bb014262b821756295c58d"
            },
            "annotations": {
              "summary": "web: /bin/sh started by a service: /bin/sh ran /usr/bin/curl, and 1 more",
              "description": "/bin/sh ran /usr/bin/curl (high, T1105)\n/bin/sh wrote /tmp/a\"]\\n\\u{1b}[2J (low)",
              "image": "images.example:5000/shop/web:1.2",
              "containers": "web, db",
              "techniques": "T1105"
            },
            "startsAt": "2026-01-01T00:00:00.123456789Z"
          }
        }
        "#);
        let (from, active) = (Severity::Medium, opened.active.unwrap());
        let escalated = alerts(IncidentChange::Escalated { from });
        assert_eq!(escalated.active.as_ref(), Some(&active));
        let over = escalated.over.unwrap();
        assert_eq!(
            (&over["labels"]["severity"], &over["endsAt"]),
            (&json!("medium"), &json!("2026-01-01T00:02:00.123Z"))
        );
        let closed = alerts(IncidentChange::Closed { from });
        assert_eq!((closed.active, closed.over.unwrap()["labels"].clone()), (None, over["labels"].clone()));
        let report = IncidentReport { incident: longest_incident().into(), ..incident_report(IncidentChange::Opened) };
        assert!(encode(&report.into()).len() < 64 << 10);
    }

    #[test]
    fn a_finding_is_an_alert_with_few_labels() {
        let ends = "2026-01-01T01:00:00Z".parse().unwrap();
        let alert = ending(&decode(&encode(&behaviour().into())).unwrap(), ends);
        assert_eq!(key(&alert), Some(("6c62272e07bb014262b821756295c58d", "high")));
        insta::assert_snapshot!(serde_json::to_string_pretty(&alert).unwrap(), @r#"
        {
          "labels": {
            "alertname": "behaviour.execute",
            "severity": "high",
            "workload": "shop/web",
            "container": "web",
            "namespace": "shop",
            "pod": "web-7d4b9",
            "uid": "6c62272e07bb014262b821756295c58d"
          },
          "annotations": {
            "summary": "web: /bin/sh ran /usr/bin/curl",
            "description": "/bin/sh ran /usr/bin/curl, which this workload never did in 24 h of learning",
            "executable": "/bin/sh",
            "object": "/usr/bin/curl\n",
            "techniques": "T1105"
          },
          "startsAt": "2026-01-01T00:00:00.123456789Z",
          "endsAt": "2026-01-01T01:00:00.000Z"
        }
        "#);
        let alert = ending(&decode(&encode(&rule_match().into())).unwrap(), ends);
        assert_eq!(
            alert["labels"],
            json!({ "alertname": "Read sensitive file", "severity": "critical", "workload": "host", "uid": "0a1b" })
        );
    }

    #[test]
    fn a_heartbeat_is_one_alert_whatever_it_counts() {
        let alert = |heartbeat: &Heartbeat| -> Json { serde_json::from_slice(&super::heartbeat(heartbeat)).unwrap() };
        let (first, later) = (alert(&beat()), alert(&Heartbeat { events: 999, time_ns: u64::MAX / 2, ..beat() }));
        assert_eq!((&first["labels"], &first["startsAt"]), (&later["labels"], &later["startsAt"]));
        assert_ne!(first["annotations"], later["annotations"]);
        insta::assert_snapshot!(serde_json::to_string_pretty(&first).unwrap(), @r#"
        {
          "labels": {
            "alertname": "agent.heartbeat",
            "severity": "none",
            "instance": "node-1"
          },
          "annotations": {
            "summary": "The agent works: 19 trackers run, 12 containers are watched and 9 of them judged by their profiles, 2 events were lost since the last heartbeat",
            "version": "0.1.0",
            "trackers": "19",
            "containers": "12",
            "containers_learnt": "9",
            "events": "123456",
            "events_lost": "7",
            "events_lost_since": "2"
          },
          "startsAt": "2026-01-01T00:00:00.123456789Z"
        }
        "#);
    }

    #[test]
    fn none_ends_before_it_starts() {
        let early = "2020-01-01T00:00:00Z".parse().unwrap();
        let alert = ending(&decode(&encode(&behaviour().into())).unwrap(), early);
        assert_eq!(alert["endsAt"], "2026-01-01T00:00:01.123Z");
        assert_eq!((decode(b"rubbish"), decode(b"[]")), (None, None));
        let report = IncidentReport { at_ns: 5, ..incident_report(IncidentChange::Closed { from: Severity::High }) };
        let over = super::incident(&report).over.unwrap();
        assert_eq!(over["endsAt"], "2026-01-01T00:00:00.124Z", "it has passed right then");
    }
}
