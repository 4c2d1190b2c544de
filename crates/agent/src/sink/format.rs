//! How reports are written for their receivers. What a container chose is escaped wherever it becomes text.

pub(super) mod alertmanager;
pub(super) mod falco;
mod incident;
pub(super) mod otlp;
pub(super) mod syslog;

use ethogram_model::{Finding, Priority, render::escape};

/// How urgent a finding is: as the author of its rule holds it, else as it is severe.
fn priority(finding: &Finding) -> Priority {
    finding.rule.as_ref().map_or_else(|| finding.severity.into(), |rule| rule.priority)
}

/// What found it, as people call it: a rule's name, or `behaviour.execute`.
fn rule_name(finding: &Finding) -> &str {
    finding.rule.as_ref().map_or(&finding.analytic, |rule| &rule.name)
}

/// Title and reason in one line. A reason that goes on from the title's words does not repeat them.
fn description(finding: &Finding) -> String {
    let Finding { title, reason, .. } = finding;
    let text = match title.split_once(": ") {
        Some((place, what)) if reason.starts_with(what) => format!("{place}: {reason}"),
        _ if reason.is_empty() => title.clone(),
        _ => format!("{title}: {reason}"),
    };
    escape(&text).into_owned()
}

/// What this machine is called.
pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use ethogram_model::{
        Container, Exec, Finding, Heartbeat, Image, Incident, IncidentChange, IncidentReport, Origin, Part, Place, Pod,
        Priority, Process, RuleMatch, Severity,
    };
    use serde_json::json;

    #[test]
    fn title_and_reason_are_one_story() {
        let description = |title: &str, reason: &str| {
            super::description(&Finding { title: title.into(), reason: reason.into(), ..behaviour() })
        };
        assert_eq!(description("web: sh ran ls", "sh ran ls, which is new"), "web: sh ran ls, which is new");
        assert_eq!(description("Shell in container", "bash\n was started"), "Shell in container: bash\\n was started");
        assert_eq!(description("a: b", ""), "a: b");
    }

    /// A new behaviour of a container, with names that a container could choose to do harm.
    pub(in crate::sink) fn behaviour() -> Finding {
        let exec = |pid, path: &str, args: &[&str]| {
            let (path, args) = (path.to_owned(), args.iter().map(|&a| a.to_owned()).collect());
            let name = path.rsplit('/').next().unwrap().to_owned();
            Arc::new(Exec { pid, path, name, args, ..Exec::default() })
        };
        let container = Container {
            id: "0123456789abcdef0123456789abcdef".into(),
            runtime: "containerd".into(),
            name: Some("web".into()),
            image: Some(Image { name: "images.example:5000/shop/web:1.2".into(), digest: "sha256:ab".into() }),
            pod: Some(Pod { name: "web-7d4b9".into(), namespace: "shop".into() }),
            ..Container::default()
        };
        let process = Process {
            pid: 42,
            parent_pid: 41,
            user_id: 33,
            exec: exec(42, "/usr/bin/curl", &["curl", "-o", "/tmp/a\"]\n\u{1b}[2J", "http://198.51.100.7/"]),
            ancestors: vec![exec(41, "/bin/sh", &["sh"])],
            ..Process::default()
        };
        Finding {
            uid: "6c62272e07bb014262b821756295c58d".into(),
            title: "web: /bin/sh ran /usr/bin/curl".into(),
            analytic: "behaviour.execute".into(),
            severity: Severity::High,
            confidence: 90,
            reason: "/bin/sh ran /usr/bin/curl, which this workload never did in 24 h of learning".into(),
            workload: "shop/web".into(),
            operation: "execute".into(),
            executable: "/bin/sh".into(),
            object: "/usr/bin/curl\n".into(),
            usual: vec!["/bin/ls".into()],
            container: Some(Arc::new(container)),
            process: Some(Arc::new(process)),
            evidence: vec![json!({ "event": "exec" })],
            rule: None,
            score: None,
            techniques: vec!["T1105".into()],
            count: 1,
            first_seen_ns: 1_767_225_600_123_456_789,
            last_seen_ns: 1_767_225_600_123_456_789,
        }
    }

    /// An incident of two parts, with names that a container could choose to do harm.
    pub(in crate::sink) fn incident() -> Incident {
        let part = |what: &str, severity, techniques: &[&str]| Part {
            step: Some(0),
            what: what.into(),
            why: "never before".into(),
            analytic: "behaviour.execute".into(),
            severity,
            confidence: 90,
            operation: "execute".into(),
            executable: "/bin/sh".into(),
            object: "/usr/bin/curl".into(),
            objects: 1,
            surprise: 3.0,
            techniques: techniques.iter().map(|&technique| technique.to_owned()).collect(),
            findings: vec!["f1".into()],
            first_seen_ns: 1_767_225_600_123_456_789,
            last_seen_ns: 1_767_225_600_123_456_789,
        };
        Incident {
            title: "web: /bin/sh started by a service: /bin/sh ran /usr/bin/curl, and 1 more".into(),
            severity: Severity::High,
            confidence: 90,
            bits: 9.5,
            began_in: Some(Place {
                container: "web".into(),
                image: "images.example:5000/shop/web:1.2".into(),
                namespace: "shop".into(),
                pod: "web-7d4b9".into(),
            }),
            containers: vec!["web".into(), "db".into()],
            workloads: vec!["shop/web".into(), "shop/db".into()],
            parts: vec![
                part("/bin/sh ran /usr/bin/curl", Severity::High, &["T1105"]),
                part("/bin/sh wrote /tmp/a\"]\n\u{1b}[2J", Severity::Low, &[]),
            ],
            findings: 3,
            techniques: vec!["T1105".into()],
            last_seen_ns: 1_767_225_660_123_456_789,
            ..Incident::begun("6c62272e07bb014262b821756295c58d".into(), Origin::Child, 1_767_225_600_123_456_789)
        }
    }

    /// That incident as a receiver gets it, two minutes after it began.
    pub(in crate::sink) fn incident_report(change: IncidentChange) -> IncidentReport {
        let incident = Incident { is_open: !matches!(change, IncidentChange::Closed { .. }), ..incident() };
        IncidentReport { incident: Arc::new(incident), change, at_ns: 1_767_225_720_123_456_789 }
    }

    /// The longest incident that there can be, with texts that a container chose.
    pub(in crate::sink) fn longest_incident() -> Incident {
        let evil = "\n<0>1 - - - - - - \u{202e}\"]\\é".repeat(20);
        let mut incident = incident();
        let part = Part { what: evil.clone(), techniques: vec!["T1105".into(); 8], ..incident.parts[0].clone() };
        incident.parts = vec![part; Incident::MAX_PARTS];
        (incident.title, incident.containers) = (evil.clone(), vec![evil.clone(); Incident::MAX_STEPS]);
        (incident.workloads, incident.techniques) = (incident.containers.clone(), vec!["T1105".into(); 64]);
        let container = Place { container: evil.clone(), image: evil.clone(), namespace: evil.clone(), pod: evil };
        Incident { began_in: Some(container), ..incident }
    }

    /// A heartbeat of an agent that runs for an hour.
    pub(in crate::sink) fn beat() -> Heartbeat {
        Heartbeat {
            host: "node-1".into(),
            time_ns: 1_767_229_200_123_456_789,
            since_ns: 1_767_225_600_123_456_789,
            trackers: 19,
            containers: 12,
            containers_learnt: 9,
            events: 123_456,
            events_lost: 7,
            events_lost_since: 2,
        }
    }

    /// A match of a rule, on the host.
    pub(in crate::sink) fn rule_match() -> Finding {
        let fields = [("proc.name", json!("cat")), ("fd.name", json!("/etc/shadow")), ("proc.pid", json!(42))];
        let rule = RuleMatch {
            name: "Read sensitive file".into(),
            priority: Priority::Critical,
            output: "Sensitive file opened (file=/etc/shadow)".into(),
            fields: fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<BTreeMap<_, _>>(),
            because: vec!["fd.name in (sensitive): /etc/shadow".into()],
            tags: vec!["filesystem".into(), "T1555".into()],
            source: "rules.yaml:3".into(),
            next: None,
            profile: None,
        };
        Finding {
            uid: "0a1b".into(),
            title: "Read sensitive file".into(),
            analytic: "rule.read_sensitive_file".into(),
            severity: Severity::Critical,
            container: None,
            workload: "host".into(),
            rule: Some(rule),
            ..behaviour()
        }
    }
}
