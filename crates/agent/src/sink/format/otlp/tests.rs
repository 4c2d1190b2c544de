use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;

use ethogram_model::{IncidentChange, Severity};

use super::super::tests::{beat, behaviour, incident_report, longest_incident, rule_match};
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
    for fine in
        [&b""[..], b"{}", b"rubbish", br#"{"partialSuccess":{}}"#, br#"{"partialSuccess":{"rejectedLogRecords":"0"}}"#]
    {
        assert_eq!(rejection(fine), None);
    }
}

/// All that is in `a` is in `b`, too.
fn is_within(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Object(a), Json::Object(b)) => a.iter().all(|(name, a)| b.get(name).is_some_and(|b| is_within(a, b))),
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
fn an_incident_is_one_record_that_they_decode_whole() {
    let from = Severity::Medium;
    for (change, status) in [
        (IncidentChange::Opened, "opened"),
        (IncidentChange::Escalated { from }, "escalated"),
        (IncidentChange::Closed { from }, "closed"),
    ] {
        let report = incident_report(change);
        let request = request(&encode(&report.clone().into()));
        assert!(is_whole(&request), "{}", String::from_utf8_lossy(&request));
        let decoded: ExportLogsServiceRequest = serde_json::from_slice(&request).unwrap();
        let record = &decoded.resource_logs[0].scope_logs[0].log_records[0];
        assert_eq!((record.event_name.as_str(), record.severity_number), ("ethogram.incident", 17));
        assert_eq!(record.time_unix_nano, report.at_ns);
        let json = incident(&report);
        let value = |name: &str| {
            let attributes = json["attributes"].as_array().unwrap();
            attributes.iter().find(|a| a["key"] == name).map(|a| a["value"].clone()).unwrap_or_default()
        };
        assert_eq!(value("ethogram.incident.status"), json!({ "stringValue": status }));
        assert_eq!(value("ethogram.incident.bits"), json!({ "doubleValue": 9.5 }));
        assert_eq!(value("container.name"), json!({ "stringValue": "web" }));
        let parts = &value("ethogram.incident.parts")["arrayValue"]["values"];
        let what = json!({ "key": "what", "value": { "stringValue": "/bin/sh ran /usr/bin/curl" } });
        assert!(parts[0]["kvlistValue"]["values"].as_array().unwrap().contains(&what), "{parts}");
    }
    let long = IncidentReport { incident: longest_incident().into(), ..incident_report(IncidentChange::Opened) };
    assert!(encode(&long.into()).len() < 64 << 10);
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
