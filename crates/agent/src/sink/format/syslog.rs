//! As messages of RFC 5424.

use std::fmt::Write;

use ethogram_model::{
    Finding, Heartbeat, IncidentReport, Priority, Report,
    render::{escape, rfc3339},
};
use jiff::Timestamp;

use super::{
    description, host_name,
    incident::{self, Began},
    priority, rule_name,
};
use crate::config::Facility;

/// Bytes that a text of a message may have. What is longer is cut: a datagram has to hold it all.
const MAX_TEXT: usize = 1024;
/// Bytes that a name in a message's header may have, by the RFC.
const MAX_HOST: usize = 255;
const MAX_MESSAGE_ID: usize = 32;
/// The RFC wants a registered number behind the name; this one is reserved for those without one.
const ELEMENT: &str = "ethogram@32473";

/// A report as one message.
pub(in crate::sink) fn encode(report: &Report, facility: Facility) -> Vec<u8> {
    match report {
        Report::Finding(finding) => message(finding, facility, &host_name(), std::process::id()).into_bytes(),
        Report::Incident(report) => incident(report, facility, &host_name(), std::process::id()).into_bytes(),
    }
}

/// A heartbeat as one message.
pub(in crate::sink) fn heartbeat(heartbeat: &Heartbeat, facility: Facility) -> Vec<u8> {
    beat(heartbeat, facility, std::process::id()).into_bytes()
}

fn beat(heartbeat: &Heartbeat, facility: Facility, pid: u32) -> String {
    let header = header(facility, Priority::Informational, heartbeat.time_ns, &heartbeat.host, pid, Heartbeat::NAME);
    let since = [("version", Heartbeat::VERSION.to_owned()), ("since", rfc3339(heartbeat.since_ns))];
    let counts = heartbeat.counts().map(|(name, n)| (name, n.to_string()));
    structured(header, since.into_iter().chain(counts), &escape(&heartbeat.message()))
}

fn message(finding: &Finding, facility: Facility, host_name: &str, pid: u32) -> String {
    let header = header(facility, priority(finding), finding.first_seen_ns, host_name, pid, &finding.analytic);
    structured(header, parameters(finding), &description(finding))
}

fn incident(report: &IncidentReport, facility: Facility, host_name: &str, pid: u32) -> String {
    let incident = &*report.incident;
    let priority = Priority::from(incident.severity);
    let header = header(facility, priority, report.at_ns, host_name, pid, "incident");
    let began = Began::of(incident);
    let parameters = [
        ("uid", incident.uid.as_str()),
        ("status", report.change.name()),
        ("merged_into", incident.merged_into.as_deref().unwrap_or_default()),
        ("severity", incident.severity.name()),
        ("workload", began.workload),
        ("container", began.container),
        ("image", began.image),
        ("namespace", began.namespace),
        ("pod", began.pod),
        ("techniques", &incident.techniques.join(", ")),
        ("parts", &incident::story(incident, "; ")),
    ];
    let known = parameters.into_iter().filter(|(_, value)| !value.is_empty());
    structured(header, known, &escape(&report.sentence()))
}

fn header(facility: Facility, priority: Priority, time_ns: u64, host_name: &str, pid: u32, id: &str) -> String {
    let code = facility as u32 * 8 + priority as u32;
    // The RFC allows microseconds and no more.
    let time = Timestamp::from_nanosecond(time_ns.into()).map_or_else(|_| "-".to_owned(), |t| format!("{:.6}", t));
    let (host, id) = (name(host_name, MAX_HOST), name(id, MAX_MESSAGE_ID));
    format!("<{code}>1 {time} {host} ethogram {pid} {id}")
}

/// A message with its parameters and its text.
fn structured(header: String, parameters: impl Iterator<Item = (&'static str, impl AsRef<str>)>, text: &str) -> String {
    let mut out = header + " [" + ELEMENT;
    for (name, value) in parameters {
        // Writing to a string does not fail.
        let _ = write!(out, " {name}=\"{}\"", quoted(value.as_ref()));
    }
    // The mark says that the text is UTF-8.
    let _ = write!(out, "] \u{feff}{}", cut(text));
    out
}

fn parameters(finding: &Finding) -> impl Iterator<Item = (&'static str, &str)> {
    let container = finding.container.as_deref();
    let pod = container.and_then(|c| c.pod.as_ref());
    [
        ("uid", finding.uid.as_str()),
        ("rule", rule_name(finding)),
        ("severity", finding.severity.name()),
        ("workload", &finding.workload),
        ("operation", &finding.operation),
        ("executable", &finding.executable),
        ("object", &finding.object),
        ("container", container.map_or("", |c| c.display_name())),
        ("container_id", container.map_or("", |c| c.short_id())),
        ("image", container.and_then(|c| c.image.as_ref()).map_or("", |i| &i.name)),
        ("namespace", pod.map_or("", |p| &p.namespace)),
        ("pod", pod.map_or("", |p| &p.name)),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
}

/// A name in a header: printable ASCII only.
fn name(text: &str, most: usize) -> String {
    let plain = text.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' });
    let name: String = plain.take(most).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

/// The value of a parameter, between quotes.
fn quoted(text: &str) -> String {
    let text = escape(text);
    let mut out = String::with_capacity(text.len());
    for c in cut(&text).chars() {
        if matches!(c, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

#[cfg(test)]
mod tests {
    use ethogram_model::{IncidentChange, Severity};

    use super::super::tests::{beat, behaviour, incident_report, longest_incident, rule_match};
    use super::*;

    #[test]
    fn an_incident_is_one_short_line_whatever_the_names_are() {
        let opened = incident_report(IncidentChange::Opened);
        insta::assert_snapshot!(incident(&opened, Facility::Local0, "node-1", 7), @r#"<131>1 2026-01-01T00:02:00.123456Z node-1 ethogram 7 incident [ethogram@32473 uid="6c62272e07bb014262b821756295c58d" status="opened" severity="High" workload="shop/web" container="web" image="images.example:5000/shop/web:1.2" namespace="shop" pod="web-7d4b9" techniques="T1105" parts="/bin/sh ran /usr/bin/curl (high, T1105); /bin/sh wrote /tmp/a\"\]\\n\\u{1b}[2J (low)"] ﻿Incident of high severity: web: /bin/sh started by a service: /bin/sh ran /usr/bin/curl, and 1 more"#);
        let over = incident_report(IncidentChange::Closed { from: Severity::High });
        let over = incident(&over, Facility::Local0, "node-1", 7);
        assert!(over.contains(" status=\"closed\" ") && over.contains("Incident is over: web: "), "{over}");
        let long = IncidentReport { incident: longest_incident().into(), ..opened };
        let long = incident(&long, Facility::User, "node-1", 1);
        assert!(!long.chars().any(char::is_control) && long.len() < 16_384, "{}", long.len());
    }

    #[test]
    fn a_heartbeat_is_a_message_of_the_least_severity_that_is_kept() {
        insta::assert_snapshot!(super::beat(&beat(), Facility::Daemon, 7), @r#"<30>1 2026-01-01T01:00:00.123456Z node-1 ethogram 7 agent.heartbeat [ethogram@32473 version="0.1.0" since="2026-01-01T00:00:00.123456789Z" trackers="19" containers="12" containers_learnt="9" events="123456" events_lost="7" events_lost_since="2"] ﻿The agent works: 19 trackers run, 12 containers are watched and 9 of them judged by their profiles, 2 events were lost since the last heartbeat"#);
    }

    #[test]
    fn a_message_has_structured_data_and_nothing_in_it_breaks_out() {
        insta::assert_snapshot!(message(&behaviour(), Facility::Local0, "node-1", 7), @r#"<131>1 2026-01-01T00:00:00.123456Z node-1 ethogram 7 behaviour.execute [ethogram@32473 uid="6c62272e07bb014262b821756295c58d" rule="behaviour.execute" severity="High" workload="shop/web" operation="execute" executable="/bin/sh" object="/usr/bin/curl\\n" container="web" container_id="0123456789ab" image="images.example:5000/shop/web:1.2" namespace="shop" pod="web-7d4b9"] ﻿web: /bin/sh ran /usr/bin/curl, which this workload never did in 24 h of learning"#);
        insta::assert_snapshot!(message(&rule_match(), Facility::Authpriv, "a node\n", 7), @r#"<82>1 2026-01-01T00:00:00.123456Z a_node_ ethogram 7 rule.read_sensitive_file [ethogram@32473 uid="0a1b" rule="Read sensitive file" severity="Critical" workload="host" operation="execute" executable="/bin/sh" object="/usr/bin/curl\\n"] ﻿Read sensitive file: /bin/sh ran /usr/bin/curl, which this workload never did in 24 h of learning"#);
    }

    #[test]
    fn whatever_the_names_are_the_message_is_one_short_line() {
        let mut finding = behaviour();
        let evil = "\n<0>1 - - - - - - \u{202e}\"]\\é".repeat(1000);
        (finding.workload, finding.object, finding.title) = (evil.clone(), evil.clone(), evil.clone());
        (finding.reason, finding.analytic, finding.executable) = (evil.clone(), evil.clone(), evil.clone());
        let message = message(&finding, Facility::User, &evil, 1);
        assert!(!message.chars().any(char::is_control), "{message}");
        assert!(message.len() < 16_384);
        let header: Vec<_> = message.splitn(8, ' ').collect();
        assert_eq!((header[3], header[4], header[6]), ("ethogram", "1", "[ethogram@32473"));
    }
}
