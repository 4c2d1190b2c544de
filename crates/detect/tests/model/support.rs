//! Events made by hand, of trackers that exist nowhere else.

use std::{net::IpAddr, sync::Arc};

use ethogram_detect::{Model, Settings};
use ethogram_model::{
    BehaviourSpec, BehaviourWords, Container, Context, Event, EventSchema, Exec, Field, FieldKind, Finding, Image,
    ObjectKind, Process,
};

pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const HOUR: u64 = 3_600 * SECOND;
/// When the tests begin: some day in 2026.
pub(crate) const START: u64 = 1_780_000_000 * SECOND;
pub(crate) const LEARNING: u64 = 20 * SECOND;
/// A tenth of it.
pub(crate) const WINDOW: u64 = 2 * SECOND;

/// A model that learns for twenty seconds.
pub(crate) fn model() -> Model {
    Model::new(settings())
}

pub(crate) fn settings() -> Settings {
    Settings { learning_period_ns: LEARNING, ..Settings::default() }
}

fn field(name: &str, kind: FieldKind, offset: usize, size: usize) -> Field {
    Field {
        name: name.into(),
        label: name.into(),
        kind,
        offset,
        size,
        doc: String::new(),
        names: Vec::new(),
        habit_key: false,
        header: name == "process.executable.name",
    }
}

/// One kind of event with one object: a path in the tail, or an address and a port.
fn schema(operation: &str, kind: ObjectKind) -> Arc<EventSchema> {
    let object = match kind {
        ObjectKind::Executable => vec!["process.executable.path"],
        ObjectKind::Path | ObjectKind::SensitivePath | ObjectKind::GuardedPath => vec!["file.path"],
        ObjectKind::RemovedFile | ObjectKind::NewFile | ObjectKind::ChangedFile => vec!["file.path"],
        ObjectKind::Subdomain => vec!["dns.question.name"],
        ObjectKind::Peer => vec!["network.peer.address", "network.peer.port"],
        ObjectKind::Port => vec!["network.local.address", "network.local.port"],
        ObjectKind::Name => vec!["memory.kind"],
    };
    let mut fields = vec![
        field("process.executable.name", FieldKind::Text, 0, 16),
        // Names are short here: what is behind them is the key of a habit.
        field("_habit", FieldKind::Unsigned, 8, 8),
        field("file.writable_layer", FieldKind::Bool, 16, 1),
        field("failed", FieldKind::Bool, 17, 1),
        field("process.parent_pid", FieldKind::Unsigned, 18, 2),
    ];
    match object[..] {
        ["memory.kind"] => {
            let names = ["writable_executable", "made_executable", "executable_memfd"];
            let names = (1..).zip(names).map(|(number, name)| (number, name.into())).collect();
            fields.push(Field { names, ..field("memory.kind", FieldKind::Name, 20, 4) });
        }
        [path] => fields.extend([
            field(path, FieldKind::Path, 20, 4),
            field("file.guarded_path", FieldKind::Path, 24, 4),
            field("file.real_path", FieldKind::Path, 28, 4),
            field("file.old_path", FieldKind::Path, 32, 4),
            field("file.open.flags", FieldKind::Unsigned, 36, 4),
        ]),
        [address, port] => {
            fields.push(field(address, FieldKind::Ip, 24, 16));
            fields.push(field(port, FieldKind::Unsigned, 40, 2));
        }
        _ => {}
    }
    let (sentence, techniques) = match operation {
        "replace" => (Some("replaced many files by others ({object})"), vec!["T1486"]),
        "tunnel" => (Some("sent data in names below {object}"), vec!["T1048", "T1071.004"]),
        _ => (None, Vec::new()),
    };
    Arc::new(EventSchema {
        tracker: "test".into(),
        name: "happened".into(),
        code: 1,
        size: 48,
        sample: false,
        fields,
        behaviours: vec![BehaviourSpec {
            event: "happened".into(),
            operation: operation.into(),
            object: object.into_iter().map(String::from).collect(),
            kind,
            when: None,
            unless: Some("failed".into()),
            from: matches!(kind, ObjectKind::GuardedPath | ObjectKind::NewFile).then(|| "file.old_path".into()),
            severity: None,
            techniques: techniques.into_iter().map(String::from).collect(),
            words: sentence.map(|sentence| BehaviourWords { sentence: sentence.into(), ..BehaviourWords::default() }),
        }],
        rules: None,
        about: None,
        layout: Default::default(),
    })
}

/// A container with what runs in it.
#[derive(Clone)]
pub(crate) struct Sandbox {
    pub(crate) container: Arc<Container>,
}

pub(crate) fn container(name: &str, cgroup_id: u64, digest: &str) -> Sandbox {
    Sandbox {
        container: Arc::new(Container {
            id: format!("{cgroup_id:064x}"),
            cgroup_id,
            runtime: "docker".into(),
            name: Some(name.into()),
            image: Some(Image { name: "web:1".into(), digest: format!("sha256:{digest}") }),
            command: vec!["/bin/httpd".into(), "-f".into()],
            ..Default::default()
        }),
    }
}

pub(crate) fn web() -> Sandbox {
    container("web", 7, "aabbccddeeff0011")
}

/// A program running in the container; `sh@/bin/busybox` is busybox called as sh.
pub(crate) fn exec(cgroup: u64, program: &str) -> Arc<Exec> {
    let (name, path) = match program.split_once('@') {
        Some((name, path)) => (name, path),
        None => (program.rsplit('/').next().unwrap(), program),
    };
    let name = String::from_utf8_lossy(name.as_bytes().get(..15).unwrap_or(name.as_bytes())).into_owned();
    Arc::new(Exec {
        pid: 1,
        path: path.into(),
        name,
        args: vec![program.into()],
        container_cgroup: cgroup,
        ..Exec::default()
    })
}

impl Sandbox {
    pub(crate) fn process(&self, program: &str) -> Process {
        let outside = exec(0, "/usr/bin/containerd-shim-runc-v2");
        let exec = exec(self.container.cgroup_id, program);
        Process { pid: 10, start_ns: 1, parent_pid: 1, exec, ancestors: vec![outside], ..Process::default() }
    }

    fn event(
        &self,
        schema: Arc<EventSchema>,
        process: Option<Process>,
        at: u64,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> Event {
        let mut record = vec![0; 48];
        fill(&mut record);
        let context =
            Context { container: Some(self.container.clone()), process: process.map(Arc::new), ..Context::default() };
        Event { schema, time_ns: START + at, record: record.into(), context }
    }

    fn on_path(&self, operation: &str, kind: ObjectKind, process: Option<Process>, path: &str, at: u64) -> Event {
        self.event(schema(operation, kind), process, at, |record| put_path(record, 20, path))
    }

    fn on_address(&self, operation: &str, kind: ObjectKind, by: &str, address: &str, port: u16, at: u64) -> Event {
        self.event(schema(operation, kind), Some(self.process(by)), at, |record| {
            let ip = match address.parse::<IpAddr>().unwrap() {
                IpAddr::V4(a) => a.to_ipv6_mapped(),
                IpAddr::V6(a) => a,
            };
            record[24..40].copy_from_slice(&ip.octets());
            record[40..42].copy_from_slice(&port.to_le_bytes());
        })
    }

    /// `parent` runs `program`.
    pub(crate) fn execute(&self, parent: &str, program: &str, at: u64) -> Event {
        let mut process = self.process(program);
        process.ancestors.insert(0, exec(self.container.cgroup_id, parent));
        self.execute_as(process, at)
    }

    /// The runtime runs `program`: as the entrypoint, or by `docker exec`.
    pub(crate) fn execute_from_outside(&self, program: &str, at: u64) -> Event {
        self.execute_as(self.process(program), at)
    }

    pub(crate) fn execute_as(&self, process: Process, at: u64) -> Event {
        let path = process.exec.path.clone();
        self.on_path("execute", ObjectKind::Executable, Some(process), &path, at)
    }

    pub(crate) fn write(&self, by: &str, path: &str, at: u64) -> Event {
        self.write_as(Some(self.process(by)), path, at)
    }

    pub(crate) fn write_as(&self, process: Option<Process>, path: &str, at: u64) -> Event {
        self.on_path("write", ObjectKind::Path, process, path, at)
    }

    /// `by` gives a file another name.
    pub(crate) fn rename(&self, by: &str, from: &str, to: &str, at: u64) -> Event {
        let mut event = self.on_path("write", ObjectKind::GuardedPath, Some(self.process(by)), to, at);
        let mut record = event.record.to_vec();
        put_path(&mut record, 32, from);
        event.record = record.into();
        event
    }

    /// `by` mounts something at the path, or changes what is mounted there, and that lies elsewhere: in the container's tree, or the host's.
    pub(crate) fn mount(&self, by: &str, operation: &str, path: &str, lies: &str, is_host: bool) -> Event {
        let mut event = self.on_path("write", ObjectKind::GuardedPath, Some(self.process(by)), path, 60 * SECOND);
        let mut schema = EventSchema::clone(&event.schema);
        schema.fields.extend([
            field("mount.source_path", FieldKind::Path, 36, 4),
            field("file.host", FieldKind::Bool, 18, 1),
            Field { names: vec![(1, operation.into())], ..field("mount.operation", FieldKind::Name, 19, 1) },
        ]);
        event.schema = schema.into();
        let mut record = event.record.to_vec();
        put_path(&mut record, 28, lies);
        record[18] = is_host.into();
        record[19] = 1;
        event.record = record.into();
        event
    }

    /// `by` does that to a file as one of many; a new one can be another's new name.
    pub(crate) fn one_of_many(
        &self,
        kind: ObjectKind,
        by: Process,
        path: &str,
        before: Option<&str>,
        at: u64,
    ) -> Event {
        let mut event = self.on_path("replace", kind, Some(by), path, at);
        let mut record = event.record.to_vec();
        before.into_iter().for_each(|before| put_path(&mut record, 32, before));
        event.record = record.into();
        event
    }

    /// `by` asks for a name.
    pub(crate) fn ask(&self, by: Process, name: &str, at: u64) -> Event {
        self.on_path("tunnel", ObjectKind::Subdomain, Some(by), name, at)
    }

    pub(crate) fn read(&self, by: &str, path: &str, at: u64) -> Event {
        self.read_as(Some(self.process(by)), path, at)
    }

    pub(crate) fn read_as(&self, process: Option<Process>, path: &str, at: u64) -> Event {
        self.on_path("read", ObjectKind::SensitivePath, process, path, at)
    }

    /// Code made in memory: 2 where it was made executable once written, 3 from a file in memory.
    pub(crate) fn generate(&self, by: &str, kind: u8, at: u64) -> Event {
        self.event(schema("generate", ObjectKind::Name), Some(self.process(by)), at, |record| record[20] = kind)
    }

    pub(crate) fn connect(&self, by: &str, address: &str, port: u16, at: u64) -> Event {
        self.on_address("connect", ObjectKind::Peer, by, address, port, at)
    }

    pub(crate) fn listen(&self, by: &str, port: u16, at: u64) -> Event {
        self.on_address("listen", ObjectKind::Port, by, "0.0.0.0", port, at)
    }

    pub(crate) fn accept(&self, by: &str, port: u16, at: u64) -> Event {
        self.on_address("accept", ObjectKind::Port, by, "172.17.0.2", port, at)
    }
}

/// The same event with one byte of its record set: 16 is the writable layer, 17 that it failed.
pub(crate) fn with_byte(mut event: Event, offset: usize) -> Event {
    event.record[offset] = 1;
    event
}

/// The same event of a process whose parent is that one by now.
pub(crate) fn with_parent(mut event: Event, pid: u16) -> Event {
    event.record[18..20].copy_from_slice(&pid.to_le_bytes());
    event
}

/// The same event of a process of which only the short name in the record is known.
pub(crate) fn by_name_only(mut event: Event, name: &str) -> Event {
    event.context.process = None;
    event.record[..name.len()].copy_from_slice(name.as_bytes());
    event
}

/// Writes a path into the tail as the kernel does: leaf first, each component ended by NUL, then the root. Where it is, is in the
/// record at `place`.
fn put_path(record: &mut Vec<u8>, place: usize, path: &str) {
    let start = record.len();
    match path.strip_prefix('/') {
        Some(rest) => {
            for part in rest.split('/').rev().filter(|p| !p.is_empty()) {
                record.extend_from_slice(part.as_bytes());
                record.push(0);
            }
            record.extend_from_slice(b"/\0");
        }
        None => {
            record.extend_from_slice(path.as_bytes());
            record.push(0);
        }
    }
    let length = record.len() - start;
    record[place..place + 2].copy_from_slice(&(start as u16).to_le_bytes());
    record[place + 2..place + 4].copy_from_slice(&(length as u16).to_le_bytes());
}

/// Judges all, and gives what is new.
pub(crate) fn judge(model: &mut Model, events: impl IntoIterator<Item = Event>) -> Vec<Finding> {
    events.into_iter().flat_map(|event| model.judge(&event)).collect()
}

/// The same event with a key of a habit.
pub(crate) fn with_habit(mut event: Event, habit: u64) -> Event {
    event.record[8..16].copy_from_slice(&habit.to_le_bytes());
    event
}

/// What a small web server does while it is learnt, from second `from`.
pub(crate) fn web_server(web: &Sandbox, from: u64) -> Vec<Event> {
    let httpd = "httpd@/bin/busybox";
    let at = |s: u64| (from + s) * SECOND;
    vec![
        web.execute_from_outside(httpd, at(0)),
        web.listen(httpd, 80, at(1)),
        web.accept(httpd, 80, at(2)),
        web.execute(httpd, "/www/cgi-bin/count", at(3)),
        web.write("/www/cgi-bin/count", "/var/lib/count/total", at(3)),
        web.write("/www/cgi-bin/count", "/tmp/tmp.Xa81jK", at(3)),
        web.connect("/www/cgi-bin/count", "10.0.0.5", 5432, at(4)),
        web.execute_from_outside("wget@/bin/busybox", at(5)),
        web.connect("wget@/bin/busybox", "127.0.0.1", 80, at(5)),
    ]
}

/// A model that has learnt the web server and will judge it.
pub(crate) fn learnt() -> (Model, Sandbox) {
    let (mut model, web) = (model(), web());
    assert_eq!(judge(&mut model, web_server(&web, 0)), []);
    model.advance(START + 30 * SECOND);
    (model, web)
}

/// An answer of the DNS: what a name stands for.
pub(crate) fn answer(of: &Sandbox, name: &str, address: &str, at: u64) -> Event {
    let field = |name: &str, kind, offset| Field {
        name: name.into(),
        label: name.into(),
        kind,
        offset,
        size: 4,
        doc: String::new(),
        names: Vec::new(),
        habit_key: false,
        header: false,
    };
    let schema = Arc::new(EventSchema {
        tracker: "test".into(),
        name: "answer".into(),
        code: 2,
        size: 8,
        sample: false,
        fields: vec![field("dns.question.name", FieldKind::Str, 0), field("dns.answers", FieldKind::Args, 4)],
        behaviours: Vec::new(),
        rules: None,
        about: None,
        layout: Default::default(),
    });
    let mut record = vec![0; 8];
    for (place, text) in [(0, name), (4, address)] {
        let start = record.len() as u16;
        record.extend_from_slice(text.as_bytes());
        record.push(0);
        record[place..place + 2].copy_from_slice(&start.to_le_bytes());
        record[place + 2..place + 4].copy_from_slice(&(text.len() as u16 + 1).to_le_bytes());
    }
    let context = Context { container: Some(of.container.clone()), process: None, ..Context::default() };
    Event { schema, time_ns: START + at, record: record.into(), context }
}
