#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use ethogram_model::{
    BehaviourSpec, Container, Context, Event, EventSchema, Exec, Field, FieldKind, Finding, Incident, LinkKind,
    ObjectKind, Origin, Part, Process, Score, ScorePart, Severity,
};

mod again;
mod merged;
mod restart;
mod wrong_input;

use super::{Budget, Incidents, deed::CLOSE_NS, joining::MAX_OPEN};

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_780_000_000 * SECOND;

/// A container whose service was started an hour before [`START`].
struct Place {
    container: Arc<Container>,
    init: Arc<Exec>,
}

impl Place {
    fn new(cgroup_id: u64, name: &str) -> Self {
        let container = Container { cgroup_id, name: Some(name.into()), id: name.into(), ..Container::default() };
        let init = Exec { is_entrypoint: true, ..exec(cgroup_id, 10, "/usr/sbin/nginx", 0) };
        Self { container: container.into(), init: Arc::new(Exec { called_ns: START - 3600 * SECOND, ..init }) }
    }

    /// A program that the service, or another of its programs, started.
    fn run(&self, above: &[&Arc<Exec>], pid: u32, path: &str, at_s: u64) -> Process {
        let mut ancestors: Vec<Arc<Exec>> = above.iter().map(|exec| Arc::clone(exec)).collect();
        ancestors.extend([Arc::clone(&self.init), runtime()]);
        let exec = Arc::new(exec(self.container.cgroup_id, pid, path, START + at_s * SECOND));
        Process { pid, exec, ancestors, ..Process::default() }
    }

    /// What the service does itself.
    fn itself(&self) -> Process {
        Process { pid: 10, exec: Arc::clone(&self.init), ancestors: vec![runtime()], ..Process::default() }
    }

    /// A program that was started from outside.
    fn enter(&self, pid: u32, path: &str, at_s: u64) -> Process {
        Process { ancestors: vec![runtime()], ..self.run(&[], pid, path, at_s) }
    }

    fn event(&self, process: &Process, at_s: u64, kind: ObjectKind, object: &str) -> Event {
        let schema = schema(kind);
        let mut record = vec![0; schema.size];
        match kind {
            ObjectKind::Peer => {
                let octets = object.parse::<std::net::Ipv4Addr>().unwrap().to_ipv6_mapped().octets();
                record[0..16].copy_from_slice(&octets);
                record[32] = 80;
            }
            ObjectKind::Port => {
                let octets = object.parse::<std::net::Ipv4Addr>().unwrap().to_ipv6_mapped().octets();
                record[16..32].copy_from_slice(&octets);
            }
            _ => {
                record[0..2].copy_from_slice(&40_u16.to_le_bytes());
                record[2..4].copy_from_slice(&u16::try_from(object.len()).unwrap().to_le_bytes());
                record.extend(object.as_bytes());
            }
        }
        Event {
            schema,
            time_ns: START + at_s * SECOND,
            record: record.into(),
            context: Context {
                container: Some(Arc::clone(&self.container)),
                process: Some(Arc::new(process.clone())),
                ..Context::default()
            },
        }
    }
}

fn schema(kind: ObjectKind) -> Arc<EventSchema> {
    let field = |name: &str, kind, offset, size| Field {
        name: name.into(),
        label: name.into(),
        kind,
        offset,
        size,
        doc: String::new(),
        names: Vec::new(),
        habit_key: false,
        header: false,
    };
    let (fields, operation, object) = match kind {
        ObjectKind::Peer | ObjectKind::Port => (
            vec![
                field("network.peer.address", FieldKind::Ip, 0, 16),
                field("network.local.address", FieldKind::Ip, 16, 16),
                field("network.peer.port", FieldKind::Unsigned, 32, 2),
                field("network.local.port", FieldKind::Unsigned, 34, 2),
            ],
            "connect",
            vec!["network.peer.address", "network.peer.port"],
        ),
        _ => (vec![field("file.path", FieldKind::Str, 0, 4)], "write", vec!["file.path"]),
    };
    let behaviour = BehaviourSpec {
        event: "happened".into(),
        operation: operation.into(),
        object: object.into_iter().map(String::from).collect(),
        kind,
        when: None,
        unless: None,
        from: None,
        severity: None,
        techniques: Vec::new(),
        words: None,
    };
    Arc::new(EventSchema {
        tracker: "test".into(),
        name: "happened".into(),
        code: 1,
        size: 40,
        sample: false,
        fields,
        behaviours: vec![behaviour],
        rules: None,
        about: None,
        layout: Default::default(),
    })
}

fn exec(container_cgroup: u64, pid: u32, path: &str, called_ns: u64) -> Exec {
    let name = path.rsplit('/').next().unwrap().to_owned();
    Exec { pid, path: path.into(), name, container_cgroup, called_ns, ..Exec::default() }
}

fn runtime() -> Arc<Exec> {
    Arc::new(exec(0, 1, "/usr/bin/shim", 0))
}

fn finding(
    place: &Place,
    process: &Process,
    at_s: u64,
    (operation, object): (&str, &str),
    severity: Severity,
) -> Finding {
    let name = place.container.display_name();
    let time_ns = START + at_s * SECOND;
    Finding {
        uid: format!("{name}-{operation}-{object}-{}-{at_s}", process.pid),
        title: format!("{name}: {} {operation} {object}", process.exec.path),
        analytic: format!("behaviour.{operation}"),
        severity,
        confidence: 70,
        reason: "never before".into(),
        workload: name.into(),
        operation: operation.into(),
        executable: process.exec.path.clone(),
        object: object.into(),
        usual: Vec::new(),
        container: Some(Arc::clone(&place.container)),
        process: Some(Arc::new(process.clone())),
        evidence: Vec::new(),
        rule: None,
        score: Some(Score {
            bits: 9.0,
            threshold: 3.0,
            parts: vec![
                ScorePart { bits: 6.0, what: "new".into() },
                ScorePart { bits: 3.0, what: "medium severity".into() },
            ],
        }),
        techniques: Vec::new(),
        count: 1,
        first_seen_ns: time_ns,
        last_seen_ns: time_ns,
    }
}

/// A part of which only the severity is given.
pub(super) fn part(severity: Severity) -> Part {
    Part {
        step: None,
        what: String::new(),
        why: String::new(),
        analytic: String::new(),
        severity,
        confidence: 50,
        operation: String::new(),
        executable: String::new(),
        object: String::new(),
        objects: 1,
        surprise: 0.0,
        techniques: Vec::new(),
        findings: Vec::new(),
        first_seen_ns: START,
        last_seen_ns: START,
    }
}

#[derive(Default)]
struct Judge {
    incidents: Incidents,
    seen: std::collections::BTreeMap<String, Arc<Incident>>,
}

impl Judge {
    fn find(&mut self, place: &Place, process: &Process, at_s: u64, what: (&str, &str), severity: Severity) {
        let finding = finding(place, process, at_s, what, severity);
        self.incidents.take(&finding, None, Some(10), Budget::default());
        self.collect();
    }

    fn observe(&mut self, event: &Event) {
        self.incidents.observe(event);
    }

    fn collect(&mut self) {
        for incident in self.incidents.take_changed() {
            self.seen.insert(incident.uid.clone(), incident);
        }
    }

    /// Those that are open, in the order of their beginning.
    fn open(&mut self) -> Vec<Arc<Incident>> {
        self.collect();
        let mut open: Vec<_> = self.seen.values().filter(|incident| incident.is_open).cloned().collect();
        open.sort_by_key(|incident| incident.first_seen_ns);
        open
    }
}

#[test]
fn what_a_shell_of_a_service_does_is_one_incident_with_its_beginning_and_way() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    let shell = web.run(&[], 100, "/bin/sh", 0);
    let id = web.run(&[&shell.exec], 101, "/usr/bin/id", 1);
    let cat = web.run(&[&shell.exec], 102, "/bin/cat", 90);
    judge.find(&web, &shell, 0, ("execute", "/bin/sh"), Severity::High);
    judge.find(&web, &id, 1, ("execute", "/usr/bin/id"), Severity::Medium);
    judge.find(&web, &cat, 90, ("read", "/etc/shadow"), Severity::High);
    let open = judge.open();
    assert_eq!(open.len(), 1, "{open:#?}");
    let incident = &open[0];
    assert_eq!((incident.origin, incident.parts.len(), incident.findings), (Origin::Child, 3, 3));
    let steps: Vec<_> = incident.steps.iter().map(|step| (&*step.program, step.parent)).collect();
    assert_eq!(steps, [("/bin/sh", None), ("/usr/bin/id", Some(0)), ("/bin/cat", Some(0))]);
    assert!(incident.title.starts_with("web: /bin/sh started by a service: "), "{}", incident.title);
    let sum: f64 = incident.reasons.iter().map(|reason| reason.bits).sum();
    assert!((sum - incident.bits).abs() < 1e-9 && incident.severity >= Severity::High, "{incident:#?}");
}

#[test]
fn a_shell_that_becomes_its_last_program_goes_on_and_the_next_one_with_its_pid_does_not() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    let shell = web.run(&[], 100, "/bin/sh", 0);
    judge.find(&web, &shell, 0, ("execute", "/bin/sh"), Severity::High);
    judge.find(&web, &web.run(&[], 100, "/bin/mount", 2), 2, ("execute", "/bin/mount"), Severity::Medium);
    assert_eq!(judge.open().len(), 1);
    // That pid again, and another program started it.
    let other = web.run(&[], 300, "/usr/sbin/cron", 3);
    judge.find(&web, &web.run(&[&other.exec], 100, "/bin/ls", 60), 60, ("execute", "/bin/ls"), Severity::Medium);
    assert_eq!(judge.open().len(), 2);
}

#[test]
fn who_looks_at_all_containers_is_led_to_none_and_an_own_address_leads_nowhere() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    let shell = web.run(&[], 100, "/bin/sh", 1);
    let others: Vec<_> = (20..30_u64).map(|n| Place::new(n, &format!("c{n}"))).collect();
    judge.find(&web, &shell, 1, ("execute", "/bin/sh"), Severity::High);
    for (n, other) in others.iter().enumerate() {
        let address = format!("172.17.0.{}", 20 + n);
        judge.observe(&other.event(&other.itself(), 2, ObjectKind::Port, &address));
        judge.observe(&web.event(&shell, 3, ObjectKind::Peer, &address));
    }
    judge.find(&others[0], &others[0].run(&[], 50, "/bin/sh", 5), 5, ("execute", "/bin/sh"), Severity::High);
    assert_eq!(judge.open().len(), 2);
    // Two containers have the same foreign address, each for itself.
    for place in [&web, &others[1]] {
        judge.observe(&place.event(&place.itself(), 60, ObjectKind::Port, "203.0.113.66"));
    }
    judge.observe(&web.event(&shell, 61, ObjectKind::Peer, "203.0.113.66"));
    judge.find(&others[1], &others[1].run(&[], 50, "/bin/sh", 62), 62, ("execute", "/bin/sh"), Severity::High);
    assert_eq!(judge.open().len(), 3);
}

#[test]
fn what_a_service_does_for_others_meanwhile_is_no_part_of_it() {
    let (proxy, app, mut judge) = (Place::new(7, "proxy"), Place::new(8, "app"), Judge::default());
    judge.observe(&app.event(&app.itself(), 0, ObjectKind::Port, "172.17.0.3"));
    judge.find(&proxy, &proxy.itself(), 1, ("connect", "169.254.169.254:80"), Severity::High);
    judge.observe(&proxy.event(&proxy.itself(), 2, ObjectKind::Peer, "172.17.0.3"));
    judge.find(&app, &app.run(&[], 50, "/bin/sh", 4), 4, ("execute", "/bin/sh"), Severity::High);
    assert_eq!(judge.open().len(), 2);
}

#[test]
fn two_attackers_in_one_container_are_two() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    for pid in [100, 200] {
        let shell = web.run(&[], pid, "/bin/sh", 0);
        judge.find(&web, &shell, 0, ("execute", "/bin/sh"), Severity::High);
        let cat = web.run(&[&shell.exec], pid + 1, "/bin/cat", 2);
        judge.find(&web, &cat, 2, ("read", "/etc/shadow"), Severity::High);
    }
    assert_eq!(judge.open().len(), 2);
}

#[test]
fn what_a_service_does_itself_belongs_together_as_long_as_it_is_warm() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    judge.find(&web, &web.itself(), 0, ("read", "/etc/shadow"), Severity::High);
    judge.find(&web, &web.itself(), 12, ("connect", "203.0.113.9:443"), Severity::High);
    assert_eq!(judge.open().len(), 1);
    judge.find(&web, &web.itself(), 600, ("connect", "203.0.113.8:443"), Severity::High);
    assert_eq!(judge.open().len(), 2, "another visitor");
}

#[test]
fn what_a_service_starts_right_after_what_it_did_itself_belongs_to_it() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    judge.find(&web, &web.itself(), 0, ("connect", "203.0.113.9:443"), Severity::High);
    judge.find(&web, &web.run(&[], 100, "/bin/sh", 2), 2, ("execute", "/bin/sh"), Severity::High);
    let open = judge.open();
    assert_eq!((open.len(), open[0].links[0].kind), (1, LinkKind::Time));
    judge.find(&web, &web.run(&[], 300, "/bin/sh", 60), 60, ("execute", "/bin/sh"), Severity::High);
    assert_eq!(judge.open().len(), 2);
}

#[test]
fn a_file_that_is_dropped_and_run_later_connects() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    let shell = web.run(&[], 100, "/bin/sh", 0);
    judge.find(&web, &shell, 0, ("execute", "/bin/sh"), Severity::Medium);
    judge.observe(&web.event(&shell, 1, ObjectKind::Path, "/tmp/.x"));
    let alone = judge.open()[0].bits;
    // A job of cron runs it, ten minutes later.
    let dropped = web.run(&[], 500, "/tmp/.x", 600);
    judge.find(&web, &dropped, 600, ("connect", "203.0.113.9:443"), Severity::Medium);
    let open = judge.open();
    assert_eq!((open.len(), open[0].links[0].kind, &*open[0].links[0].by), (1, LinkKind::File, "/tmp/.x"));
    assert!(open[0].bits > alone + 4.0, "{:#?}", open[0]);
    // What nobody of it wrote does not.
    judge.find(&web, &web.run(&[], 600, "/tmp/.y", 700), 700, ("connect", "203.0.113.9:443"), Severity::Medium);
    assert_eq!(judge.open().len(), 2);
}

#[test]
fn a_hop_into_another_container_connects_and_a_visit_of_somebody_else_does_not() {
    let (web, store, mut judge) = (Place::new(7, "web"), Place::new(8, "store"), Judge::default());
    judge.observe(&store.event(&store.itself(), 0, ObjectKind::Port, "172.17.0.3"));
    let shell = web.run(&[], 100, "/bin/sh", 0);
    judge.find(&web, &shell, 0, ("execute", "/bin/sh"), Severity::High);
    // The service's own connections are no part of it.
    judge.observe(&web.event(&web.itself(), 60, ObjectKind::Peer, "172.17.0.3"));
    judge.find(&store, &store.itself(), 61, ("write", "/root/.ssh/authorized_keys"), Severity::High);
    assert_eq!(judge.open().len(), 2);
    judge.observe(&web.event(&shell, 200, ObjectKind::Peer, "172.17.0.3"));
    judge.find(&store, &store.run(&[], 400, "/bin/sh", 203), 203, ("execute", "/bin/sh"), Severity::High);
    let open = judge.open();
    assert_eq!((open.len(), &open[0].containers[..]), (2, &["web".to_owned(), "store".to_owned()][..]));
    assert_eq!(open[0].links[0].kind, LinkKind::Connection);
    assert_eq!(open[0].began_in.as_ref().unwrap().container, "web", "wherever it goes on");
}

#[test]
fn a_start_is_one_and_what_comes_later_is_another() {
    let mut judge = Judge::default();
    let web = Place::new(7, "web");
    let begun = Exec { called_ns: START, ..Exec::clone(&web.init) };
    let web = Place { init: Arc::new(begun), ..web };
    for n in 0..12 {
        judge.find(&web, &web.itself(), 1 + n, ("write", &format!("/etc/app/{n}")), Severity::Medium);
    }
    judge.find(&web, &web.run(&[], 20, "/bin/chown", 25), 25, ("execute", "/bin/chown"), Severity::Medium);
    let open = judge.open();
    assert_eq!((open.len(), open[0].origin, open[0].parts.len()), (1, Origin::Start, 2), "{open:#?}");
    judge.find(&web, &web.run(&[], 100, "/bin/sh", 90), 90, ("execute", "/bin/sh"), Severity::High);
    judge.find(&web, &web.itself(), 200, ("read", "/etc/shadow"), Severity::High);
    assert_eq!(judge.open().len(), 3);
}

#[test]
fn who_looks_around_from_outside_is_low_and_who_reads_a_secret_is_not() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    let shell = web.enter(100, "/bin/sh", 0);
    judge.find(&web, &shell, 0, ("execute", "/bin/sh"), Severity::Medium);
    for (n, program) in ["/bin/ls", "/bin/ps", "/bin/df"].into_iter().enumerate() {
        let above = [Arc::clone(&shell.exec)];
        let look = Process {
            ancestors: above.into_iter().chain([runtime()]).collect(),
            ..web.run(&[], 101 + n as u32, program, 5)
        };
        judge.find(&web, &look, 5, ("execute", program), Severity::Medium);
    }
    let open = judge.open();
    assert_eq!((open.len(), open[0].origin, open[0].severity), (1, Origin::Entered, Severity::Low), "{:#?}", open[0]);
    judge.find(&web, &shell, 6, ("read", "/etc/shadow"), Severity::High);
    assert!(judge.open()[0].severity >= Severity::High);
}

#[test]
fn like_parts_are_one_with_a_count() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    let shell = web.run(&[], 100, "/bin/sh", 0);
    for n in 0..12 {
        judge.find(&web, &shell, n, ("write", &format!("/var/lib/base/{n}")), Severity::Medium);
    }
    judge.find(&web, &shell, 13, ("write", "/etc/passwd"), Severity::Medium);
    let open = judge.open();
    let parts: Vec<_> = open[0].parts.iter().map(|part| (&*part.object, part.objects)).collect();
    assert_eq!(parts, [("/var/lib/base/*", 12), ("/etc/passwd", 1)]);
    assert_eq!(open[0].findings, 13);
}

#[test]
fn a_part_has_the_techniques_of_its_findings_and_of_no_other() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    let shell = web.run(&[], 100, "/bin/sh", 0);
    for (n, (object, technique)) in
        [("/etc/a", "T1003"), ("/etc/b", "T1552"), ("/etc/a", "T1003"), ("/srv/c", "T1105")].into_iter().enumerate()
    {
        let finding = finding(&web, &shell, n as u64, ("write", object), Severity::Medium);
        judge.incidents.take(
            &Finding { techniques: vec![technique.into()], ..finding },
            None,
            Some(10),
            Budget::default(),
        );
    }
    let open = judge.open();
    let techniques: Vec<&[String]> = open[0].parts.iter().map(|part| &part.techniques[..]).collect();
    assert_eq!(techniques, [&["T1003".to_owned(), "T1552".to_owned()][..], &["T1105".to_owned()][..]]);
}

#[test]
fn it_ends_after_a_while_and_says_so_once() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    judge.find(&web, &web.run(&[], 100, "/bin/sh", 0), 0, ("execute", "/bin/sh"), Severity::High);
    assert!(judge.incidents.take_changed().is_empty(), "it did not go on");
    judge.incidents.advance(START + CLOSE_NS);
    let ended = judge.incidents.take_changed();
    assert_eq!((ended.len(), ended[0].is_open, judge.incidents.open()), (1, false, 0));
    assert!(judge.incidents.open.graph.is_empty() && judge.incidents.take_changed().is_empty());
}

#[test]
fn floods_are_bounded_and_who_floods_gives_way_first() {
    let (web, store, mut incidents) = (Place::new(7, "web"), Place::new(8, "store"), Incidents::default());
    let take = |incidents: &mut Incidents, place: &Place, pid, at_s| {
        let process = place.run(&[], pid, "/bin/sh", at_s);
        let finding = finding(place, &process, at_s, ("execute", "/bin/sh"), Severity::High);
        incidents.take(&finding, None, Some(10), Budget::default());
    };
    take(&mut incidents, &store, 1, 0);
    (0..20_000).for_each(|n| take(&mut incidents, &web, 100 + n, 1 + u64::from(n) / 1000));
    assert!(incidents.open() <= MAX_OPEN && incidents.open() > MAX_OPEN / 2);
    let open: Vec<_> = incidents.take_changed().into_iter().filter(|incident| incident.is_open).collect();
    assert!(open.iter().any(|incident| incident.workloads == ["store"]), "the neighbour's stays");
    assert!(incidents.graph_bytes() < 4 << 20 && incidents.counters().evicted > 19_000);
    // One process, many findings.
    let mut one = Incidents::default();
    let process = web.run(&[], 100, "/bin/sh", 0);
    for n in 0..10_000 {
        let what = format!("/d{n}/f");
        one.take(&finding(&web, &process, 1, ("write", &what), Severity::Medium), None, Some(10), Budget::default());
    }
    let incident = one.take_changed().remove(0);
    assert_eq!((incident.parts.len(), incident.findings), (Incident::MAX_PARTS, 10_000));
    assert_eq!(incident.unlisted, 10_000 - Incident::MAX_PARTS as u64);
}

#[test]
fn what_concerns_the_agent_is_one() {
    let mut incidents = Incidents::default();
    let web = Place::new(7, "web");
    for n in 0..10 {
        let of_agent = Finding {
            analytic: "agent.overwhelmed".into(),
            container: None,
            process: None,
            ..finding(&web, &web.itself(), n, ("overwhelmed", "open"), Severity::High)
        };
        incidents.take(&of_agent, None, None, Budget::default());
    }
    let changed = incidents.take_changed();
    assert_eq!((changed.len(), changed[0].origin, changed[0].findings), (1, Origin::Agent, 10));
}
