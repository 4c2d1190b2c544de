//! As alerts of Alertmanager's second API.

use ethogram_model::{Container, Finding, Heartbeat, Report, render::rfc3339};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value as Json, json};

use super::rule_name;

/// A report as one alert. When it ends is added when it is sent, see [`ending`].
pub(in crate::sink) fn encode(report: &Report) -> Vec<u8> {
    match report {
        Report::Finding(finding) => alert(finding).to_string().into_bytes(),
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

/// The alert with the time at which it is resolved, unless it is sent again before. None for what [`encode`] did not make.
pub(in crate::sink) fn ending(alert: &[u8], ends: Timestamp) -> Option<Json> {
    let mut alert: Json = serde_json::from_slice(alert).ok()?;
    // Alertmanager refuses an alert that ends before it starts, as it would where a clock was set back.
    let starts: Option<Timestamp> = alert["startsAt"].as_str().and_then(|s| s.parse().ok());
    let ends = starts.map_or(ends, |s| ends.max(s.saturating_add(SignedDuration::from_secs(1)).unwrap_or(s)));
    alert.as_object_mut()?.insert("endsAt".to_owned(), format!("{ends:.3}").into());
    Some(alert)
}

/// The uid of an encoded alert.
pub(in crate::sink) fn uid(alert: &Json) -> Option<&str> {
    alert["labels"]["uid"].as_str()
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
    use super::super::tests::{beat, behaviour, rule_match};
    use super::*;

    #[test]
    fn a_finding_is_an_alert_with_few_labels() {
        let ends = "2026-01-01T01:00:00Z".parse().unwrap();
        let alert = ending(&encode(&behaviour().into()), ends).unwrap();
        assert_eq!(uid(&alert), Some("6c62272e07bb014262b821756295c58d"));
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
        let alert = ending(&encode(&rule_match().into()), ends).unwrap();
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
        let alert = ending(&encode(&behaviour().into()), "2020-01-01T00:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(alert["endsAt"], "2026-01-01T00:00:01.123Z");
        assert_eq!(ending(b"rubbish", Timestamp::UNIX_EPOCH), None);
    }
}
