//! As log records of OpenTelemetry, in the JSON encoding of OTLP.
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>

use ethogram_model::{
    Finding, Heartbeat, IncidentReport, Priority, Report,
    render::{escape, rfc3339, value_json},
    vocabulary::{CONTEXT, Subject},
};
use serde_json::{Value as Json, json};

use super::{
    host_name,
    incident::{self, Began},
    priority, rule_name,
};

/// A report as one log record.
pub(in crate::sink) fn encode(report: &Report) -> Vec<u8> {
    match report {
        Report::Finding(finding) => record(finding).to_string().into_bytes(),
        Report::Incident(report) => incident(report).to_string().into_bytes(),
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

fn incident(report: &IncidentReport) -> Json {
    let incident = &*report.incident;
    let priority = Priority::from(incident.severity);
    let began = Began::of(incident);
    let (parts, left) = incident::parts(incident);
    let mut attributes = Vec::new();
    let mut set = |name: &str, value: Json| attributes.push(attribute(name, value));
    set("ethogram.incident.uid", incident.uid.as_str().into());
    set("ethogram.incident.status", report.change.name().into());
    set("ethogram.incident.title", incident.title.as_str().into());
    set("ethogram.incident.severity", incident.severity.name().into());
    set("ethogram.incident.confidence", incident.confidence.into());
    set("ethogram.incident.bits", incident.bits.into());
    set("ethogram.incident.findings", incident.findings.into());
    set("ethogram.incident.first_seen", rfc3339(incident.first_seen_ns).into());
    set("ethogram.incident.last_seen", rfc3339(incident.last_seen_ns).into());
    set("ethogram.incident.containers", json!(incident::some(&incident.containers)));
    set("ethogram.incident.techniques", json!(incident::some(&incident.techniques)));
    set("ethogram.incident.parts", parts.into_iter().map(incident::as_json).collect());
    set("ethogram.incident.parts_unlisted", left.into());
    for (name, text) in [
        ("ethogram.incident.merged_into", incident.merged_into.as_deref().unwrap_or_default()),
        ("ethogram.workload", began.workload),
        ("container.name", began.container),
        ("container.image.name", began.image),
        ("k8s.namespace.name", began.namespace),
        ("k8s.pod.name", began.pod),
    ] {
        if !text.is_empty() {
            set(name, text.into());
        }
    }
    json!({
        "timeUnixNano": report.at_ns.to_string(),
        "observedTimeUnixNano": report.at_ns.to_string(),
        "severityNumber": severity_number(priority),
        "severityText": priority.name(),
        "eventName": "ethogram.incident",
        "body": { "stringValue": report.sentence() },
        "attributes": attributes,
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
            Json::Number(n) if n.is_f64() => json!({ "doubleValue": n }),
            Json::Number(n) => json!({ "intValue": n.to_string() }),
            Json::Bool(b) => json!({ "boolValue": b }),
            Json::Array(list) => json!({ "arrayValue": { "values": list.into_iter().map(any).collect::<Vec<_>>() } }),
            Json::Object(fields) => {
                let values: Vec<Json> = fields.into_iter().map(|(name, value)| attribute(&name, value)).collect();
                json!({ "kvlistValue": { "values": values } })
            }
            text => json!({ "stringValue": text }),
        }
    }
    json!({ "key": name, "value": any(value) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
