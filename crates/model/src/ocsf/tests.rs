//! What is written is held against the specification: `tests/ocsf-1.3.0.json` is its class 2004 as a JSON schema, closed, so
//! that a name that it does not have is an error.

use std::{collections::BTreeMap, sync::Arc};

use jsonschema::Validator;

use super::*;
use crate::{Image, IncidentChange, Origin, Part, Pod, Priority, Process, RuleMatch, Score, ScorePart, Severity};

fn schema() -> Validator {
    let schema: Json = serde_json::from_str(include_str!("../../tests/ocsf-1.3.0.json")).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

fn errors(schema: &Validator, event: &Json) -> Vec<String> {
    schema.iter_errors(event).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

/// Of a container in a pod, with all that a finding can have.
fn full() -> Finding {
    let exec = |pid, path: &str| {
        Arc::new(Exec { pid, path: path.into(), name: "sh".into(), args: vec!["sh".into()], ..Exec::default() })
    };
    let container = Container {
        id: "0123456789abcdef".repeat(4),
        runtime: "containerd".into(),
        name: Some("web".into()),
        image: Some(Image { name: "web:1".into(), digest: "sha256:ab".into() }),
        pod: Some(Pod { name: "web-1".into(), namespace: "shop".into() }),
        ..Container::default()
    };
    let process = Process {
        pid: 42,
        user_id: 33,
        exec: exec(42, "/bin/sh"),
        ancestors: vec![exec(41, "/bin/bash"), exec(1, "")],
        ..Process::default()
    };
    let rule = RuleMatch {
        name: "Shell".into(),
        priority: Priority::Notice,
        output: "a shell".into(),
        fields: BTreeMap::from([("proc.name".to_owned(), json!("sh"))]),
        because: vec!["proc.name = sh".into()],
        tags: vec!["shell".into()],
        source: "rules.yaml:1".into(),
        next: Some("look at it".into()),
        profile: None,
    };
    Finding {
        uid: "6c62272e07bb014262b821756295c58d".into(),
        title: "web: a shell".into(),
        analytic: "rule.shell".into(),
        severity: Severity::High,
        confidence: 80,
        reason: "a shell was started".into(),
        workload: "shop/web".into(),
        operation: "execute".into(),
        executable: "/bin/bash".into(),
        object: "/bin/sh".into(),
        usual: vec!["/bin/ls".into()],
        container: Some(Arc::new(container)),
        process: Some(Arc::new(process)),
        evidence: vec![json!({ "event": "exec" })],
        rule: Some(rule),
        score: Some(Score { bits: 9.5, threshold: 7.0, parts: vec![ScorePart { bits: 9.5, what: "new".into() }] }),
        techniques: vec!["T1059".into()],
        count: 1,
        first_seen_ns: 1_767_225_600_123_456_789,
        last_seen_ns: 1_767_225_600_123_456_789,
    }
}

/// Of the host, with as little as a finding can have.
fn bare() -> Finding {
    let (container, process, rule, score) = (None, None, None, None);
    Finding { container, process, rule, score, evidence: Vec::new(), techniques: Vec::new(), count: 7, ..full() }
}

#[test]
fn a_finding_is_what_the_specification_says() {
    let schema = schema();
    let mut unnamed = full();
    unnamed.container = Some(Arc::new(Container { id: "0123456789ab".into(), ..Container::default() }));
    for finding in [full(), bare(), unnamed] {
        let event = from_report(&finding.into());
        assert_eq!(errors(&schema, &event), [""; 0], "{event:#}");
    }
}

/// Class 2005: what all findings share, and what an incident has in the place of its one finding.
fn incident_schema() -> Validator {
    let mut schema: Json = serde_json::from_str(include_str!("../../tests/ocsf-1.3.0.json")).unwrap();
    let properties = schema["properties"].as_object_mut().unwrap();
    for of_a_finding in ["evidences", "finding_info", "remediation", "resources", "risk_details", "vulnerabilities"] {
        properties.remove(of_a_finding).unwrap();
    }
    properties.insert("class_uid".into(), json!({ "const": 2005 }));
    properties.insert("class_name".into(), json!({ "const": "Incident Finding" }));
    properties.insert("activity_id".into(), json!({ "enum": [0, 1, 2, 3, 99] }));
    properties.insert("status_id".into(), json!({ "enum": [0, 1, 2, 3, 4, 5, 99] }));
    properties.insert("type_uid".into(), json!({ "enum": [200_500, 200_501, 200_502, 200_503, 200_599] }));
    properties.insert("desc".into(), json!({ "type": "string" }));
    properties.insert("attacks".into(), json!({ "type": "array", "items": { "$ref": "#/$defs/attack" } }));
    let infos = json!({ "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/finding_info" } });
    properties.insert("finding_info_list".into(), infos);
    let group = json!({ "type": "object", "required": ["name"], "properties": { "name": { "type": "string" } } });
    properties.insert("assignee_group".into(), group);
    schema["required"] = json!([
        "activity_id",
        "assignee_group",
        "category_uid",
        "class_uid",
        "finding_info_list",
        "metadata",
        "severity_id",
        "status_id",
        "time",
        "type_uid"
    ]);
    jsonschema::validator_for(&schema).unwrap()
}

fn incident() -> Incident {
    let part = Part {
        step: Some(0),
        what: "/bin/sh read /etc/shadow".into(),
        why: "never before".into(),
        analytic: "behaviour.read".into(),
        severity: Severity::High,
        confidence: 80,
        operation: "read".into(),
        executable: "/bin/sh".into(),
        object: "/etc/shadow".into(),
        objects: 1,
        surprise: 3.0,
        techniques: vec!["T1003".into()],
        findings: vec!["f1".into(), "f2".into()],
        first_seen_ns: 1_767_225_600_000_000_000,
        last_seen_ns: 1_767_225_600_000_000_000,
    };
    Incident {
        title: "web: /bin/sh started by a service: read /etc/shadow".into(),
        severity: Severity::High,
        confidence: 80,
        bits: 9.5,
        reasons: vec![ScorePart { bits: 9.5, what: "its worst part is of high severity".into() }],
        containers: vec!["web".into()],
        workloads: vec!["shop/web".into()],
        parts: vec![part],
        findings: 1,
        techniques: vec!["T1003".into()],
        last_seen_ns: 1_767_225_660_000_000_000,
        ..Incident::begun("6c62272e07bb014262b821756295c58d".into(), Origin::Child, 1_767_225_600_000_000_000)
    }
}

#[test]
fn an_incident_is_what_the_specification_says() {
    let begun = incident();
    let goes_on = Incident { findings: 2, techniques: Vec::new(), ..begun.clone() };
    let ended = Incident { is_open: false, ..goes_on.clone() };
    let schema = incident_schema();
    for (incident, activity) in [(&begun, 1), (&goes_on, 2), (&ended, 3)] {
        let event = from_incident(incident);
        assert_eq!(errors(&schema, &event), [""; 0], "{event:#}");
        assert_eq!((&event["activity_id"], &event["type_uid"]), (&json!(activity), &json!(200_500 + activity)));
        assert_eq!(serde_json::from_value::<Incident>(event["unmapped"]["incident"].clone()).unwrap(), *incident);
        let mut wrong = event;
        wrong["finding_info"] = json!({});
        assert!(!errors(&schema, &wrong).is_empty(), "the schema is in force");
    }
}

#[test]
fn what_a_receiver_gets_of_an_incident_has_why_it_is_sent() {
    let from = Severity::Medium;
    // A receiver hears of it first when it has several findings, and that it is over when the agent starts again.
    let seen = Arc::new(Incident { findings: 5, ..incident() });
    let merged = Arc::new(Incident { is_open: false, merged_into: Some("0a1b".into()), ..incident() });
    let schema = incident_schema();
    for (incident, change, activity, status, sentence) in [
        (&seen, IncidentChange::Opened, 1, 1, "Incident of high severity: web: "),
        (&seen, IncidentChange::Escalated { from }, 2, 1, "Incident is of high severity now, not medium: web: "),
        (&seen, IncidentChange::Closed { from }, 3, 5, "Incident is over: web: "),
        (&merged, IncidentChange::Closed { from }, 3, 5, "Incident goes on as part of incident 0a1b: web: "),
    ] {
        let report = IncidentReport { incident: Arc::clone(incident), change, at_ns: 1_767_225_700_000_000_000 };
        let event = from_report(&report.into());
        assert_eq!(errors(&schema, &event), [""; 0], "{event:#}");
        assert_eq!((&event["activity_id"], &event["type_uid"]), (&json!(activity), &json!(200_500 + activity)));
        assert_eq!((&event["status_id"], &event["time"]), (&json!(status), &json!(1_767_225_700_000_u64)));
        assert_eq!(event["unmapped"]["change"], change.name());
        assert!(event["message"].as_str().unwrap().starts_with(sentence), "{event:#}");
    }
}

#[test]
fn a_heartbeat_is_no_finding_and_has_what_its_class_requires() {
    let heartbeat =
        Heartbeat { host: "node-1".into(), time_ns: 5_000_000_000, since_ns: 1_000_000, ..Heartbeat::default() };
    let event = from_heartbeat(&heartbeat);
    assert_ne!(event["class_uid"], from_finding(&bare())["class_uid"]);
    assert_eq!(
        (&event["time"], &event["start_time"], &event["device"]["hostname"]),
        (&5000.into(), &1.into(), &"node-1".into())
    );
    let number = |name: &str| event[name].as_u64().unwrap();
    assert_eq!(number("type_uid"), number("class_uid") * 100 + number("activity_id"));
    assert_eq!(number("category_uid"), number("class_uid") / 1000);
    // What all classes share is what the specification says of findings.
    let mut schema: Json = serde_json::from_str(include_str!("../../tests/ocsf-1.3.0.json")).unwrap();
    for (part, name) in [("metadata", "metadata"), ("product", "app")] {
        schema["$ref"] = format!("#/$defs/{part}").into();
        for rest in ["required", "properties", "additionalProperties", "type"] {
            schema.as_object_mut().unwrap().remove(rest);
        }
        let validator = jsonschema::validator_for(&schema).unwrap();
        assert_eq!(errors(&validator, &event[name]), [""; 0], "{name}");
        assert!(!errors(&validator, &json!({ "nam": "x" })).is_empty(), "the schema is in force");
    }
}

/// Every name in it, by the path that leads there.
fn names(event: &Json, path: &str, out: &mut Vec<(String, String)>) {
    match event {
        Json::Object(fields) => {
            for (name, inner) in fields {
                out.push((path.to_owned(), name.clone()));
                names(inner, &format!("{path}/{name}"), out);
            }
        }
        Json::Array(list) => list.iter().enumerate().for_each(|(i, inner)| names(inner, &format!("{path}/{i}"), out)),
        _ => {}
    }
}

#[test]
fn a_misspelt_name_is_an_error_wherever_the_specification_has_names() {
    let (schema, event) = (schema(), from_finding(&full()));
    let mut all = Vec::new();
    names(&event, "", &mut all);
    let mut misspelt = 0;
    for (path, name) in all {
        // What stands below is Ethogram's own.
        if path.starts_with("/unmapped") || path.starts_with("/evidences/0/data") {
            continue;
        }
        let mut wrong = event.clone();
        let place = wrong.pointer_mut(&path).and_then(Json::as_object_mut).unwrap();
        let value = place.remove(&name).unwrap();
        place.insert(format!("{name}_"), value);
        assert!(!errors(&schema, &wrong).is_empty(), "{path}/{name}_ is taken for right");
        misspelt += 1;
    }
    assert!(misspelt > 60, "{misspelt}");
}

#[test]
fn a_wrong_type_or_number_is_an_error() {
    let (schema, event) = (schema(), from_finding(&full()));
    for (path, value) in [
        ("/class_uid", json!(2003)),
        ("/severity_id", json!(7)),
        ("/time", json!("now")),
        ("/time_dt", json!("yesterday")),
        ("/evidences/0/process/pid", json!("42")),
        ("/finding_info/analytic/type_id", json!(77)),
    ] {
        let mut wrong = event.clone();
        *wrong.pointer_mut(path).unwrap() = value;
        assert!(!errors(&schema, &wrong).is_empty(), "{path}");
    }
}
