//! A server without an engine, which answers from what is in it.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Arc, Mutex},
};

use ethogram_detect::{Acceptance, Width};
use ethogram_model::{
    AnnotatedIncident, Container, Finding, Incident, Origin, Severity, StoredFinding, Triage, Verdict,
};
use serde_json::json;
use tokio::sync::mpsc::{self, Sender};
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    api::*,
    config::Act,
    metrics::{Counters, EngineMetrics, MetricsSnapshot, TrackerState},
    refusal::Refusal,
    response::{PolicyState, PolicyStatus, ResponseRecord, tests::record},
};

/// Answers as the engine would, from what is in it.
#[derive(Default)]
pub(crate) struct Fake {
    pub(super) running: Mutex<BTreeMap<String, BTreeMap<String, String>>>,
    pub(crate) alerts: Mutex<Vec<Finding>>,
    pub(super) followers: Mutex<Vec<Sender<Arc<Finding>>>>,
    pub(super) events: Mutex<Vec<Sender<String>>>,
    pub(super) ended: bool,
}

const TRACKERS: [&str; 2] = ["open", "tcp"];

fn status(name: &str, state: TrackerState, params: &BTreeMap<String, String>) -> TrackerStatus {
    let param = |(name, value): (&String, &String)| Param {
        name: name.clone(),
        value: value.clone(),
        default: "0".into(),
        doc: String::new(),
    };
    TrackerStatus {
        name: name.into(),
        summary: "a tracker".into(),
        state,
        default: true,
        reason: None,
        programs: Vec::new(),
        params: params.iter().map(param).collect(),
        counters: Counters::default(),
    }
}

pub(crate) fn finding(n: u64, severity: Severity) -> Finding {
    Finding {
        uid: format!("f{n}"),
        title: "new executable".into(),
        analytic: "behaviour.execute".into(),
        severity,
        confidence: 90,
        reason: "never seen".into(),
        workload: "w".into(),
        operation: "execute".into(),
        executable: "/bin/sh".into(),
        object: "/bin/nc".into(),
        usual: Vec::new(),
        container: Some(Arc::new(Container {
            id: "0123456789ab".into(),
            name: Some("web".into()),
            ..Container::default()
        })),
        rule: None,
        score: None,
        techniques: Vec::new(),
        process: None,
        evidence: Vec::new(),
        count: 1,
        first_seen_ns: n,
        last_seen_ns: n,
    }
}

fn profile(id: &str, behaviours: u64) -> ProfileSummary {
    ProfileSummary {
        id: id.into(),
        workload: "w".into(),
        image: "web:1".into(),
        state: ProfileState::Stable,
        since: "2026-01-31T12:00:00Z".into(),
        learning_seconds_left: None,
        approved: None,
        missing: Vec::new(),
        containers: 1,
        observations: 1,
        behaviours,
        alerts: 0,
    }
}

impl Trackers for Fake {
    async fn trackers(&self) -> Answer<Vec<TrackerStatus>> {
        let running = self.running.lock().unwrap();
        let each = |name: &&str| match running.get(*name) {
            Some(params) => status(name, TrackerState::Running, params),
            None => status(name, TrackerState::Stopped, &BTreeMap::new()),
        };
        Ok(TRACKERS.iter().map(each).collect())
    }

    async fn start(&self, name: String, params: BTreeMap<String, String>) -> Answer<TrackerStatus> {
        if !TRACKERS.contains(&name.as_str()) {
            return Err(Refusal::unknown("tracker", &name, TRACKERS));
        }
        match self.running.lock().unwrap().entry(name) {
            Entry::Occupied(e) => Err(Refusal::Conflict(format!("{} runs already", e.key()))),
            Entry::Vacant(e) => {
                let status = status(e.key(), TrackerState::Running, &params);
                e.insert(params);
                Ok(status)
            }
        }
    }

    async fn stop(&self, name: String) -> Answer<TrackerStatus> {
        match self.running.lock().unwrap().remove(&name) {
            Some(params) => Ok(status(&name, TrackerState::Stopped, &params)),
            None => Err(Refusal::unknown("tracker", &name, TRACKERS)),
        }
    }

    async fn pause(&self, names: Vec<String>) -> Answer<Vec<String>> {
        Ok(names)
    }

    async fn resume(&self, names: Vec<String>) -> Answer<Vec<String>> {
        Ok(names)
    }

    async fn put_object(&self, name: String, object: Vec<u8>) -> Answer<TrackerStatus> {
        let params = [("bytes".to_owned(), object.len().to_string())].into();
        Ok(status(&name, TrackerState::Running, &params))
    }
}

impl Rules for Fake {
    async fn rules(&self) -> Answer<RulesStatus> {
        Ok(RulesStatus { rules: Vec::new(), problems: Vec::new(), outdated: false, tested: BTreeMap::new() })
    }

    async fn reload_rules(&self) -> Answer<RulesStatus> {
        Err(Refusal::Invalid("the rules in force stay: a.yaml:1:1: error".into()))
    }
}

impl Alerts for Fake {
    async fn alerts(&self, filter: AlertFilter) -> Answer<AlertPage> {
        let all = self.alerts.lock().unwrap();
        let is_before =
            |f: &&Finding| filter.before.as_ref().is_none_or(|cursor| f.first_seen_ns < cursor.first_seen_ns);
        let wanted: Vec<&Finding> = all.iter().filter(is_before).filter(|f| filter.wants(f)).collect();
        let page = &wanted[wanted.len().saturating_sub(filter.limit)..];
        let next = page.first().filter(|_| page.len() < wanted.len());
        let next = next.map(|f| Cursor { first_seen_ns: f.first_seen_ns, uid: f.uid.clone() });
        Ok(AlertPage { alerts: page.iter().filter_map(|f| StoredFinding::of(f)).collect(), next })
    }

    async fn subscribe_alerts(&self, _: AlertFilter) -> Answer<Findings> {
        let (to, from) = mpsc::channel(8);
        self.followers.lock().unwrap().push(to);
        Ok(Box::pin(ReceiverStream::new(from)))
    }

    async fn accept(&self, uid: String, width: Width, _: Option<u64>, reason: Option<String>) -> Answer<Accepted> {
        let all = self.alerts.lock().unwrap();
        let known = all.iter().find(|f| f.uid == uid);
        match known {
            Some(known) => match Acceptance::of(known, width, reason, 1, None) {
                Ok(acceptance) => Ok(Accepted::from(&acceptance)),
                Err(too_wide) => Err(Refusal::Conflict(too_wide.to_string())),
            },
            None => Err(Refusal::unknown("alert", &uid, [""; 0])),
        }
    }

    async fn accepted(&self) -> Answer<Vec<Accepted>> {
        Ok(Vec::new())
    }

    async fn revoke(&self, id: String) -> Answer<Accepted> {
        Err(Refusal::unknown("acceptance", &id, [""; 0]))
    }
}

impl Containers for Fake {
    async fn containers(&self) -> Answer<Vec<Arc<Container>>> {
        Ok(finding(1, Severity::Low).container.into_iter().collect())
    }

    async fn container(&self, id: String) -> Answer<ContainerDetails> {
        let all = self.containers().await?;
        match all.iter().find(|container| container.answers_to(&id)) {
            Some(one) => Ok(ContainerDetails { container: Container::clone(one), ..ContainerDetails::default() }),
            None => Err(Refusal::unknown("container", &id, all.iter().map(|c| c.display_name()))),
        }
    }
}

impl Profiles for Fake {
    async fn profiles(&self) -> Answer<Vec<ProfileSummary>> {
        Ok(Vec::new())
    }

    async fn profile(&self, id: String) -> Answer<ethogram_detect::ProfileTree> {
        Err(Refusal::unknown("profile", &id, [""; 0]))
    }

    async fn profile_file(&self, id: String) -> Answer<String> {
        Err(Refusal::unknown("profile", &id, [""; 0]))
    }

    async fn diff_profiles(&self, id: String, with: Option<String>) -> Answer<ethogram_detect::ProfileDiff> {
        let from = with.unwrap_or_else(|| "before".into());
        Ok(ethogram_detect::ProfileDiff { from, to: id, operations: Vec::new() })
    }

    async fn import_profile(&self, file: String, any_digest: bool) -> Answer<Vec<ProfileSummary>> {
        match any_digest {
            true => Ok(vec![profile("p1", file.len() as u64)]),
            false => Err(Refusal::Conflict("made for another image".into())),
        }
    }

    async fn approve_profile(&self, id: String) -> Answer<ProfileSummary> {
        if id == "p1" { Ok(profile("p1", 1)) } else { Err(Refusal::unknown("profile", &id, ["p1"])) }
    }

    async fn reset_profile(&self, id: String) -> Answer<ProfileSummary> {
        self.approve_profile(id).await
    }
}

impl Events for Fake {
    async fn subscribe_events(&self, filter: EventFilter) -> Answer<Lines> {
        let (to, from) = mpsc::channel(8);
        to.try_send(json!({ "tracker": filter.tracker, "container": filter.container }).to_string()).unwrap();
        self.events.lock().unwrap().push(to);
        Ok(Box::pin(ReceiverStream::new(from)) as Lines)
    }
}

impl Incidents for Fake {
    async fn incidents(&self, filter: IncidentFilter) -> Answer<Vec<AnnotatedIncident>> {
        let all = [incident("i1", Severity::Low), incident("i2", Severity::High)];
        let wanted = all.into_iter().filter(|incident| filter.wants(incident)).map(annotated);
        Ok(wanted.rev().take(filter.limit).collect::<Vec<_>>().into_iter().rev().collect())
    }

    async fn incident(&self, uid: String) -> Answer<AnnotatedIncident> {
        match uid.as_str() {
            "i1" => Ok(annotated(incident("i1", Severity::Low))),
            "i2" => Ok(annotated(incident("i2", Severity::High))),
            _ => Err(Refusal::unknown("incident", &uid, ["i1", "i2"])),
        }
    }

    async fn accept_incident(&self, uid: String, _: Option<u64>, _: Option<String>) -> Answer<Vec<Accepted>> {
        match uid.as_str() {
            "i2" => Ok(Vec::new()),
            "i1" => Err(Refusal::Conflict("none of its alerts is kept any more: there is nothing to accept".into())),
            _ => Err(Refusal::unknown("incident", &uid, ["i1", "i2"])),
        }
    }

    async fn subscribe_incidents(&self, _: IncidentFilter) -> Answer<IncidentStream> {
        Ok(Box::pin(tokio_stream::iter([incident("i3", Severity::High)])))
    }
}

/// An incident that a model took for maintenance.
fn annotated(incident: Arc<Incident>) -> AnnotatedIncident {
    let triage = Triage {
        verdict: Verdict::Maintenance,
        reason: "a job".into(),
        look_at: vec!["the crontab".into()],
        model: "small".into(),
        prompt: "00".into(),
        shape: "11".into(),
        asked_ns: 1,
        cached: false,
    };
    AnnotatedIncident { incident, triage: Some(Arc::new(triage)) }
}

/// An incident of the container `web`.
fn incident(uid: &str, severity: Severity) -> Arc<Incident> {
    Arc::new(Incident {
        title: "web: /bin/sh started by a service: read /etc/shadow".into(),
        severity,
        confidence: 80,
        bits: 9.5,
        containers: vec!["web".into()],
        workloads: vec!["shop/web".into()],
        findings: 1,
        last_seen_ns: 1_767_225_660_000_000_000,
        ..Incident::begun(uid.into(), Origin::Child, 1_767_225_600_000_000_000)
    })
}

impl Responses for Fake {
    async fn responses(&self, limit: usize) -> Answer<Vec<ResponseRecord>> {
        let all = [record(1, Act::Freeze), record(2, Act::Kill)];
        Ok(all.into_iter().rev().take(limit).rev().collect())
    }

    async fn policies(&self) -> Answer<Vec<PolicyStatus>> {
        let (name, state) = ("no mounts".to_owned(), PolicyState::Refused);
        Ok(vec![PolicyStatus {
            name,
            of_rule: false,
            action: Act::Deny,
            state,
            reason: Some("no bpf".into()),
            hits: 0,
        }])
    }

    async fn undo(&self, id: String) -> Answer<ResponseRecord> {
        match id.as_str() {
            "1" => Ok(record(1, Act::Freeze)),
            "2" => Err(Refusal::Conflict("response 2 is over: there is nothing to undo".into())),
            _ => Err(Refusal::unknown("response that can be undone", &id, ["1"])),
        }
    }
}

impl Health for Fake {
    async fn metrics(&self) -> Answer<Arc<MetricsSnapshot>> {
        let engine = EngineMetrics { containers: 3, ..EngineMetrics::default() };
        Ok(Arc::new(MetricsSnapshot { engine, ..MetricsSnapshot::default() }))
    }

    async fn healthy(&self) -> Answer<()> {
        if self.ended { Err(Refusal::Gone) } else { Ok(()) }
    }
}
