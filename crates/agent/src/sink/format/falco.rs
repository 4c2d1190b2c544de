//! As Falco writes its alerts with `json_output`, so that what receives Falco's receives these.

use ethogram_model::{
    Finding, Heartbeat, IncidentReport, Priority, Report, Value,
    render::{escape, rfc3339, value_json},
    vocabulary::{CONTEXT, Subject},
};
use serde_json::{Map, Value as Json, json};

use super::{
    description, host_name,
    incident::{self, Began},
    priority, rule_name,
};

/// A report as Falco posts an alert.
pub(in crate::sink) fn encode(report: &Report) -> Vec<u8> {
    match report {
        Report::Finding(finding) => alert(finding, &host_name()).to_string().into_bytes(),
        Report::Incident(report) => incident(report, &host_name()).to_string().into_bytes(),
    }
}

/// A heartbeat as Falco posts what it has to say of itself, such as its metrics.
pub(in crate::sink) fn heartbeat(heartbeat: &Heartbeat) -> Vec<u8> {
    let time = rfc3339(heartbeat.time_ns);
    let priority = Priority::Informational.name();
    let mut fields = Map::new();
    fields.insert("evt.time".to_owned(), heartbeat.time_ns.into());
    fields.insert("ethogram.version".to_owned(), Heartbeat::VERSION.into());
    fields.insert("ethogram.since".to_owned(), heartbeat.since_ns.into());
    fields.extend(heartbeat.counts().map(|(name, n)| (format!("ethogram.{name}"), n.into())));
    let of_day = time.get(11..29).unwrap_or_default();
    json!({
        "hostname": heartbeat.host,
        "output": format!("{of_day}: {priority} {}", escape(&heartbeat.message())),
        "output_fields": fields,
        "priority": priority,
        "rule": Heartbeat::NAME,
        "source": "internal",
        "tags": [],
        "time": time,
    })
    .to_string()
    .into_bytes()
}

fn alert(finding: &Finding, host_name: &str) -> Json {
    let time = rfc3339(finding.first_seen_ns);
    let priority = priority(finding).name();
    let (text, fields, tags) = match &finding.rule {
        Some(rule) => (escape(&rule.output).into_owned(), json!(rule.fields), json!(rule.tags)),
        None => {
            let place = if finding.container.is_some() { "container" } else { "host" };
            let tags = ["behaviour", place].into_iter().chain(finding.techniques.iter().map(String::as_str));
            (description(finding), fields(finding), tags.collect())
        }
    };
    // Falco's own begins with the time of day and the priority.
    let of_day = time.get(11..29).unwrap_or_default();
    json!({
        "uuid": uuid(&finding.uid),
        "hostname": host_name,
        "output": format!("{of_day}: {priority} {text}"),
        "output_fields": fields,
        "priority": priority,
        "rule": rule_name(finding),
        "source": "syscall",
        "tags": tags,
        "time": time,
    })
}

/// An incident as one alert of a rule that Falco does not have.
fn incident(report: &IncidentReport, host_name: &str) -> Json {
    let incident = &*report.incident;
    let time = rfc3339(report.at_ns);
    let priority = Priority::from(incident.severity).name();
    let began = Began::of(incident);
    let place = if began.container.is_empty() { "host" } else { "container" };
    let techniques = incident.techniques.iter().map(String::as_str);
    let tags: Vec<&str> = ["incident", place].into_iter().chain(techniques).collect();
    let (parts, left) = incident::parts(incident);
    let mut fields = Map::new();
    let mut set = |name: &str, value: Json| drop(fields.insert(name.to_owned(), value));
    set("evt.time", report.at_ns.into());
    for (name, text) in [
        ("container.name", began.container),
        ("container.image", began.image),
        ("k8s.ns.name", began.namespace),
        ("k8s.pod.name", began.pod),
        ("ethogram.workload", began.workload),
        ("ethogram.merged_into", incident.merged_into.as_deref().unwrap_or_default()),
    ] {
        if !text.is_empty() {
            set(name, text.into());
        }
    }
    set("ethogram.uid", incident.uid.as_str().into());
    set("ethogram.status", report.change.name().into());
    set("ethogram.severity", incident.severity.name().into());
    set("ethogram.containers", json!(incident::some(&incident.containers)));
    set("ethogram.findings", incident.findings.into());
    set("ethogram.parts", parts.into_iter().map(incident::as_json).collect());
    set("ethogram.parts_unlisted", left.into());
    let of_day = time.get(11..29).unwrap_or_default();
    json!({
        "uuid": uuid(&incident.uid),
        "hostname": host_name,
        "output": format!("{of_day}: {priority} {}", escape(&report.sentence())),
        "output_fields": fields,
        "priority": priority,
        "rule": incident::NAME,
        "source": "syscall",
        "tags": tags,
        "time": time,
    })
}

/// What is known of a behaviour, by the names that Falco has for it.
fn fields(finding: &Finding) -> Json {
    let mut out = Map::new();
    let mut set = |name: &str, value: Json| drop(out.insert(name.to_owned(), value));
    set("evt.time", finding.first_seen_ns.into());
    let subject = Subject::of_finding(finding);
    for field in CONTEXT.iter().filter(|f| f.shown.in_falco) {
        let value = match field.read(&subject) {
            Value::List(words) => {
                Some(words.iter().map(|w| String::from_utf8_lossy(w)).collect::<Vec<_>>().join(" ").into())
            }
            value => value_json(value),
        };
        if let (Some(name), Some(value)) = (field.falco.first(), value) {
            set(name, value);
        }
    }
    if let Some(container) = &finding.container {
        set("container.id", container.short_id().into());
        if let Some(image) = &container.image {
            let (repository, tag) = image.repository_and_tag();
            if let Some(repository) = repository {
                set("container.image.repository", repository.into());
            }
            if let Some(tag) = tag {
                set("container.image.tag", tag.into());
            }
        }
    }
    if let Some(parent) = finding.process.as_ref().and_then(|p| p.ancestors.first()) {
        set("proc.pname", parent.name.as_str().into());
    }
    set("ethogram.uid", finding.uid.as_str().into());
    set("ethogram.workload", finding.workload.as_str().into());
    set("ethogram.operation", finding.operation.as_str().into());
    set("ethogram.executable", finding.executable.as_str().into());
    set("ethogram.object", finding.object.as_str().into());
    Json::Object(out)
}

/// Our ids have as many bits as a UUID: with dashes, they look like one.
fn uuid(uid: &str) -> String {
    if uid.len() != 32 || !uid.bytes().all(|b| b.is_ascii_hexdigit()) {
        return uid.to_owned();
    }
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &uid[part]).join("-")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ethogram_model::{IncidentChange, Severity};

    use super::super::tests::{beat, behaviour, incident_report, longest_incident, rule_match};
    use super::*;

    #[test]
    fn an_incident_is_one_record_with_its_parts() {
        let opened = incident_report(IncidentChange::Opened);
        insta::assert_snapshot!(serde_json::to_string_pretty(&incident(&opened, "node-1")).unwrap(), @r#"
        {
          "uuid": "6c62272e-07bb-0142-62b8-21756295c58d",
          "hostname": "node-1",
          "output": "00:02:00.123456789: Error Incident of high severity: web: /bin/sh started by a service: /bin/sh ran /usr/bin/curl, and 1 more",
          "output_fields": {
            "evt.time": 1767225720123456789,
            "container.name": "web",
            "container.image": "images.example:5000/shop/web:1.2",
            "k8s.ns.name": "shop",
            "k8s.pod.name": "web-7d4b9",
            "ethogram.workload": "shop/web",
            "ethogram.uid": "6c62272e07bb014262b821756295c58d",
            "ethogram.status": "opened",
            "ethogram.severity": "High",
            "ethogram.containers": [
              "web",
              "db"
            ],
            "ethogram.findings": 3,
            "ethogram.parts": [
              {
                "what": "/bin/sh ran /usr/bin/curl",
                "severity": "High",
                "technique": "T1105"
              },
              {
                "what": "/bin/sh wrote /tmp/a\"]\n\u001b[2J",
                "severity": "Low",
                "technique": ""
              }
            ],
            "ethogram.parts_unlisted": 0
          },
          "priority": "Error",
          "rule": "Incident",
          "source": "syscall",
          "tags": [
            "incident",
            "container",
            "T1105"
          ],
          "time": "2026-01-01T00:02:00.123456789Z"
        }
        "#);
        let from = Severity::Low;
        let merged = IncidentReport {
            incident: ethogram_model::Incident {
                merged_into: Some("0a1b".into()),
                began_in: None,
                ..super::super::tests::incident()
            }
            .into(),
            change: IncidentChange::Closed { from },
            at_ns: 1_767_225_720_123_456_789,
        };
        let merged = incident(&merged, "node-1");
        let fields = &merged["output_fields"];
        assert_eq!((&fields["ethogram.status"], &fields["ethogram.merged_into"]), (&json!("closed"), &json!("0a1b")));
        assert!(fields.get("container.name").is_none() && merged["tags"][1] == "host", "{merged:#}");
        let long = IncidentReport { incident: longest_incident().into(), ..opened };
        let long = incident(&long, "node-1");
        assert!(long.to_string().len() < 64 << 10, "{}", long.to_string().len());
        assert!(!long["output"].as_str().unwrap().chars().any(char::is_control));
    }

    #[test]
    fn a_behaviour_is_written_with_the_names_that_falco_has() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&alert(&behaviour(), "node-1")).unwrap(), @r#"
        {
          "uuid": "6c62272e-07bb-0142-62b8-21756295c58d",
          "hostname": "node-1",
          "output": "00:00:00.123456789: Error web: /bin/sh ran /usr/bin/curl, which this workload never did in 24 h of learning",
          "output_fields": {
            "evt.time": 1767225600123456789,
            "proc.pid": 42,
            "proc.ppid": 41,
            "proc.name": "curl",
            "proc.exepath": "/usr/bin/curl",
            "proc.cmdline": "curl -o /tmp/a\"]\n\u001b[2J http://198.51.100.7/",
            "user.uid": 33,
            "container.name": "web",
            "k8s.pod.name": "web-7d4b9",
            "k8s.ns.name": "shop",
            "container.id": "0123456789ab",
            "container.image.repository": "images.example:5000/shop/web",
            "container.image.tag": "1.2",
            "proc.pname": "sh",
            "ethogram.uid": "6c62272e07bb014262b821756295c58d",
            "ethogram.workload": "shop/web",
            "ethogram.operation": "execute",
            "ethogram.executable": "/bin/sh",
            "ethogram.object": "/usr/bin/curl\n"
          },
          "priority": "Error",
          "rule": "behaviour.execute",
          "source": "syscall",
          "tags": [
            "behaviour",
            "container",
            "T1105"
          ],
          "time": "2026-01-01T00:00:00.123456789Z"
        }
        "#);
    }

    #[test]
    fn a_heartbeat_is_of_the_source_that_falco_has_for_itself() {
        let json: Json = serde_json::from_slice(&heartbeat(&beat())).unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&json).unwrap(), @r#"
        {
          "hostname": "node-1",
          "output": "01:00:00.123456789: Informational The agent works: 19 trackers run, 12 containers are watched and 9 of them judged by their profiles, 2 events were lost since the last heartbeat",
          "output_fields": {
            "evt.time": 1767229200123456789,
            "ethogram.version": "0.1.0",
            "ethogram.since": 1767225600123456789,
            "ethogram.trackers": 19,
            "ethogram.containers": 12,
            "ethogram.containers_learnt": 9,
            "ethogram.events": 123456,
            "ethogram.events_lost": 7,
            "ethogram.events_lost_since": 2
          },
          "priority": "Informational",
          "rule": "agent.heartbeat",
          "source": "internal",
          "tags": [],
          "time": "2026-01-01T01:00:00.123456789Z"
        }
        "#);
    }

    #[test]
    fn a_rule_is_written_as_its_author_wrote_it() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&alert(&rule_match(), "node-1")).unwrap(), @r#"
        {
          "uuid": "0a1b",
          "hostname": "node-1",
          "output": "00:00:00.123456789: Critical Sensitive file opened (file=/etc/shadow)",
          "output_fields": {
            "fd.name": "/etc/shadow",
            "proc.name": "cat",
            "proc.pid": 42
          },
          "priority": "Critical",
          "rule": "Read sensitive file",
          "source": "syscall",
          "tags": [
            "filesystem",
            "T1555"
          ],
          "time": "2026-01-01T00:00:00.123456789Z"
        }
        "#);
    }

    #[test]
    fn any_uid_and_any_image_is_borne() {
        assert_eq!(uuid("ä"), "ä");
        let mut finding = behaviour();
        for (image, expected) in [
            ("nginx", (json!("nginx"), json!("latest"))),
            ("sha256:225a5be960a2", (Json::Null, Json::Null)),
            ("", (Json::Null, Json::Null)),
            ("ä:ö", (json!("ä"), json!("ö"))),
        ] {
            let container = std::sync::Arc::make_mut(finding.container.as_mut().unwrap());
            container.image = Some(ethogram_model::Image { name: image.into(), digest: String::new() });
            let fields = fields(&finding);
            let shown = |field: &str| fields.get(field).cloned().unwrap_or_default();
            assert_eq!((shown("container.image.repository"), shown("container.image.tag")), expected);
        }
    }
}
