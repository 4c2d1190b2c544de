//! Reports as the Open Cybersecurity Schema Framework has them.

use serde_json::{Map, Value as Json, json};

use crate::{Container, Exec, Finding, Heartbeat, Incident, IncidentReport, Report, render::rfc3339};

/// A report as an event of OCSF.
pub fn from_report(report: &Report) -> Json {
    match report {
        Report::Finding(finding) => from_finding(finding),
        Report::Incident(report) => from_incident_report(report),
    }
}

/// A finding as an OCSF Detection Finding (class 2004).
/// <https://schema.ocsf.io/classes/detection_finding>
pub fn from_finding(finding: &Finding) -> Json {
    let (type_id, kind) = if finding.rule.is_some() { (1, "Rule") } else { (2, "Behavioral") };
    let mut out = json!({
        "activity_id": if finding.count == 1 { 1 } else { 2 },
        "activity_name": if finding.count == 1 { "Create" } else { "Update" },
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "type_uid": if finding.count == 1 { 200_401 } else { 200_402 },
        "metadata": {
            "version": "1.3.0",
            "profiles": ["container", "datetime"],
            "product": product(),
        },
        "time": millis(finding.last_seen_ns),
        "time_dt": rfc3339(finding.last_seen_ns),
        "severity_id": finding.severity as u8,
        "severity": finding.severity.name(),
        "confidence_score": finding.confidence,
        "status_id": 1,
        "status": "New",
        "count": finding.count,
        "start_time": millis(finding.first_seen_ns),
        "end_time": millis(finding.last_seen_ns),
        "message": finding.reason,
        "finding_info": {
            "uid": finding.uid,
            "title": finding.title,
            "desc": finding.reason,
            "analytic": { "name": finding.analytic, "uid": finding.analytic, "type_id": type_id, "type": kind },
            "first_seen_time": millis(finding.first_seen_ns),
            "last_seen_time": millis(finding.last_seen_ns),
        },
        "evidences": [{ "data": { "events": finding.evidence } }],
        "unmapped": {
            "workload": finding.workload,
            "behaviour": {
                "operation": finding.operation,
                "executable": finding.executable,
                "object": finding.object,
                "usual": finding.usual,
            },
        },
    });
    if let Some(container) = &finding.container {
        out["evidences"][0]["container"] = described(container);
        // OCSF has no more of a pod than its UUID.
        if let Some(pod) = &container.pod {
            out["unmapped"]["pod"] = json!({ "name": pod.name, "namespace": pod.namespace });
        }
    }
    if !finding.techniques.is_empty() {
        let attack = |uid: &String| json!({ "technique": { "uid": uid }, "version": "17" });
        out["finding_info"]["attacks"] = finding.techniques.iter().map(attack).collect();
    }
    if let Some(score) = &finding.score {
        out["unmapped"]["score"] = json!(score);
    }
    if let Some(rule) = &finding.rule {
        out["finding_info"]["analytic"]["name"] = rule.name.as_str().into();
        out["unmapped"]["rule"] = json!({
            "name": rule.name,
            "priority": rule.priority.name(),
            "output": rule.output,
            "fields": rule.fields,
            "because": rule.because,
            "tags": rule.tags,
            "source": rule.source,
            "profile": rule.profile,
        });
        if let Some(next) = &rule.next {
            out["remediation"] = json!({ "desc": next });
        }
    }
    if let Some(process) = &finding.process {
        let mut node = Json::Null;
        for exec in process.ancestors.iter().rev() {
            node = nested_process(exec.pid, exec, node);
        }
        let mut node = nested_process(process.pid, &process.exec, node);
        node["user"] = json!({ "uid": process.user_id.to_string() });
        out["evidences"][0]["process"] = node;
    }
    out
}

/// An incident as an OCSF Incident Finding (class 2005). What that has no place for, the story, is in `unmapped.incident`; the
/// incident's own uid is there and in `metadata.correlation_uid`.
/// <https://schema.ocsf.io/classes/incident_finding>
pub fn from_incident(incident: &Incident) -> Json {
    incident_finding(incident, incident.activity())
}

/// The same of what a receiver gets: its activity is why it is sent. `unmapped.change` has that in one word.
fn from_incident_report(report: &IncidentReport) -> Json {
    let mut out = incident_finding(&report.incident, report.change.activity());
    out["time"] = millis(report.at_ns).into();
    out["time_dt"] = rfc3339(report.at_ns).into();
    out["message"] = report.sentence().into();
    out["unmapped"]["change"] = report.change.name().into();
    out
}

fn incident_finding(incident: &Incident, (activity_id, activity): (u8, &str)) -> Json {
    // Nobody works on it as far as is known here, so that what is open is new.
    let (status_id, status) = if activity_id == 3 { (5, "Closed") } else { (1, "New") };
    let of_part = |part: &crate::Part| {
        let info = |uid: &String| json!({ "uid": uid, "title": part.what, "desc": part.why });
        part.findings.iter().map(info).collect::<Vec<_>>()
    };
    let attack = |uid: &String| json!({ "technique": { "uid": uid }, "version": "17" });
    let mut out = json!({
        "activity_id": activity_id,
        "activity_name": activity,
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2005,
        "class_name": "Incident Finding",
        "type_uid": 200_500 + u32::from(activity_id),
        "metadata": {
            "version": "1.3.0",
            "profiles": ["datetime"],
            "product": product(),
            "correlation_uid": incident.uid,
        },
        "time": millis(incident.last_seen_ns),
        "time_dt": rfc3339(incident.last_seen_ns),
        "start_time": millis(incident.first_seen_ns),
        "start_time_dt": rfc3339(incident.first_seen_ns),
        "end_time": millis(incident.last_seen_ns),
        "end_time_dt": rfc3339(incident.last_seen_ns),
        "severity_id": incident.severity as u8,
        "severity": incident.severity.name(),
        "confidence_score": incident.confidence,
        "status_id": status_id,
        "status": status,
        "count": incident.findings,
        "message": incident.title,
        "desc": incident.title,
        // The class asks for who looks after it, and there is nobody yet.
        "assignee_group": { "name": "unassigned" },
        "finding_info_list": incident.parts.iter().flat_map(of_part).collect::<Vec<_>>(),
        "unmapped": { "incident": incident },
    });
    if !incident.techniques.is_empty() {
        out["attacks"] = incident.techniques.iter().map(attack).collect();
    }
    out
}

/// A heartbeat as an OCSF Application Lifecycle event (class 6002), of an activity that OCSF has no number for. So it is no
/// finding for who reads these.
/// <https://schema.ocsf.io/classes/application_lifecycle>
pub fn from_heartbeat(heartbeat: &Heartbeat) -> Json {
    let counts: Map<String, Json> =
        heartbeat.counts().into_iter().map(|(name, n)| (name.to_owned(), n.into())).collect();
    json!({
        "activity_id": 99,
        "activity_name": "Heartbeat",
        "category_uid": 6,
        "category_name": "Application Activity",
        "class_uid": 6002,
        "class_name": "Application Lifecycle",
        "type_uid": 600_299,
        "metadata": { "version": "1.3.0", "profiles": ["host", "datetime"], "product": product() },
        "app": product(),
        "device": { "hostname": heartbeat.host, "type_id": 0, "type": "Unknown" },
        "time": millis(heartbeat.time_ns),
        "time_dt": rfc3339(heartbeat.time_ns),
        "start_time": millis(heartbeat.since_ns),
        "start_time_dt": rfc3339(heartbeat.since_ns),
        "severity_id": 1,
        "severity": "Informational",
        "status_id": 1,
        "status": "Success",
        "message": heartbeat.message(),
        "unmapped": counts,
    })
}

fn product() -> Json {
    json!({ "name": "Ethogram", "vendor_name": "Ethogram", "version": env!("CARGO_PKG_VERSION") })
}

fn millis(ns: u64) -> u64 {
    ns / 1_000_000
}

fn nested_process(pid: u32, exec: &Exec, parent: Json) -> Json {
    let mut node = json!({
        "pid": pid,
        "name": exec.name,
        "cmd_line": exec.args.join(" "),
        "file": { "path": exec.path, "name": exec.path.rsplit('/').next().unwrap_or_default(), "type_id": 1 },
    });
    if !parent.is_null() {
        node["parent_process"] = parent;
    }
    node
}

fn described(container: &Container) -> Json {
    let mut out = json!({ "uid": container.id, "name": container.display_name(), "runtime": container.runtime });
    if let Some(image) = &container.image {
        out["image"] = json!({ "name": image.name, "uid": image.digest });
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
