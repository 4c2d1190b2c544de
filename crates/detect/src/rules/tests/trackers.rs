//! Trackers made by hand, with what rules need of them, and events of theirs. Nothing but the model is used: the fuzzers
//! have them, too.

use std::{collections::BTreeMap, sync::Arc};

use ethogram_model::{
    Event, EventSchema, Field, FieldKind, TrackerSchema, build,
    schema::{Descriptor, PolicyField, PolicyOperation, RuleSpec},
};

use FieldKind::{Args, Bool, FileMode, Ip, Name, OpenFlags, Path, Str, Unsigned};

/// What the habits of an event are told apart by, of its own fields.
fn habit_key(tracker: &str, event: &str) -> &'static [&'static str] {
    match (tracker, event) {
        ("open", "open") => {
            &["file.path", "file.open.write", "file.created", "file.open.flags", "file.mode", "file.type"]
        }
        ("tcp", "connect") => &["network.peer.address", "network.peer.port", "network.local.address"],
        ("tcp", "accept") => &["network.local.address", "network.local.port"],
        _ => &[],
    }
}

fn event_schema(tracker: &str, event: &str, own: &[(&str, FieldKind)], rules: RuleSpec) -> Arc<EventSchema> {
    const HEADER: [(&str, FieldKind); 5] = [
        ("process.pid", Unsigned),
        ("process.parent_pid", Unsigned),
        ("process.user.id", Unsigned),
        ("thread.id", Unsigned),
        ("process.executable.name", FieldKind::Text),
    ];
    let mut size = 0;
    let mut fields = Vec::new();
    for (place, (name, kind)) in HEADER.iter().chain(own).enumerate() {
        let bytes = match kind {
            FieldKind::Text | Ip => 16,
            Bool => 1,
            _ => 4,
        };
        let names = if *kind == Name {
            vec![(1, "init_module".into()), (2, "delete_module".into()), (3, "finit_module".into())]
        } else {
            Vec::new()
        };
        fields.push(Field {
            name: (*name).into(),
            label: (*name).into(),
            kind: *kind,
            offset: size,
            size: bytes,
            doc: String::new(),
            names,
            habit_key: *name == "process.user.id" || habit_key(tracker, event).contains(name),
            header: place < HEADER.len(),
        });
        size += bytes;
    }
    let policy = match (tracker, event) {
        ("process", "exec") => Some(PolicyOperation::Exec),
        ("open", "open") => Some(PolicyOperation::Write),
        ("tcp", "connect") => Some(PolicyOperation::Connect),
        ("module", "request") => Some(PolicyOperation::Module),
        _ => None,
    };
    let (sample, behaviours, rules) = (false, Vec::new(), Some(RuleSpec { event: event.into(), policy, ..rules }));
    Arc::new(EventSchema {
        tracker: tracker.into(),
        name: event.into(),
        code: 1,
        size,
        sample,
        fields,
        behaviours,
        rules,
        about: None,
        layout: Default::default(),
    })
}

fn spec(types: &[&str], fields: &[(&str, &str)], constants: &[(&str, &str)], fd: Option<Descriptor>) -> RuleSpec {
    let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
    };
    RuleSpec {
        types: types.iter().map(|t| (*t).into()).collect(),
        fields: map(fields),
        constants: map(constants),
        fd,
        ..RuleSpec::default()
    }
}

/// Some trackers, as their objects and manifests would describe them.
pub(super) fn trackers() -> Vec<Arc<TrackerSchema>> {
    let ends = [
        ("network.peer.address", Ip),
        ("network.peer.port", Unsigned),
        ("network.local.address", Ip),
        ("network.local.port", Unsigned),
    ];
    let path = ("file.path", Path);
    let made = ["mkdir", "mkdirat", "mknod", "mknodat", "link", "linkat", "symlink", "symlinkat"];
    let of_path = [("evt.arg.path", "file.path")];
    let loading = PolicyField {
        field: "module.request".into(),
        decided: vec!["init_module".into(), "finit_module".into()],
        undecided: [("delete_module".into(), "removing modules".into())].into(),
    };
    let writing = PolicyField {
        field: "file.open.write".into(),
        decided: vec!["true".into()],
        undecided: [("false".into(), "opening for reading".into())].into(),
    };
    let open = RuleSpec {
        policy_field: Some(writing),
        ..spec(
            &["open", "openat", "openat2", "creat"],
            &[
                ("evt.is_open_write", "file.open.write"),
                ("evt.is_open_create", "file.created"),
                ("evt.arg.flags", "file.open.flags"),
            ],
            &[("fd.num", "0")],
            Some(Descriptor::File),
        )
    };
    let module = RuleSpec {
        type_from: Some("module.request".into()),
        policy_field: Some(loading),
        ..spec(&[], &[("fd.name", "file.path")], &[], None)
    };
    let events = [
        event_schema(
            "process",
            "exec",
            &[("process.command_args", Args)],
            spec(&["execve", "execveat"], &[], &[], None),
        ),
        event_schema(
            "open",
            "open",
            &[
                path,
                ("file.open.write", Bool),
                ("file.created", Bool),
                ("file.open.flags", OpenFlags),
                ("file.mode", FileMode),
                ("file.type", FieldKind::FileType),
            ],
            open,
        ),
        event_schema("fs", "mkdir", &[path, ("file.mode", FileMode)], spec(&made, &of_path, &[], None)),
        event_schema(
            "fs",
            "rename",
            &[path, ("file.new_path", Path)],
            spec(&["rename", "renameat", "renameat2"], &of_path, &[], None),
        ),
        event_schema(
            "fs",
            "chmod",
            &[path, ("file.mode", FileMode)],
            spec(&["chmod", "fchmodat"], &of_path, &[], None),
        ),
        event_schema(
            "tcp",
            "connect",
            &ends,
            spec(&["connect"], &[], &[("fd.l4proto", "tcp")], Some(Descriptor::Client)),
        ),
        event_schema(
            "tcp",
            "accept",
            &ends,
            spec(&["accept", "accept4"], &[], &[("fd.l4proto", "tcp")], Some(Descriptor::Server)),
        ),
        event_schema(
            "net",
            "peer",
            &ends,
            spec(&["sendto", "sendmsg"], &[], &[("fd.l4proto", "udp")], Some(Descriptor::Client)),
        ),
        event_schema("module", "request", &[("module.request", Name), path, ("module.parameters", Str)], module),
    ];
    let mut trackers: Vec<TrackerSchema> = Vec::new();
    for event in events {
        match trackers.iter_mut().find(|t| t.name == event.tracker) {
            Some(tracker) => tracker.events.push(event),
            None => trackers.push(TrackerSchema {
                name: Arc::clone(&event.tracker),
                summary: String::new(),
                default: true,
                role: None,
                events: vec![event],
                params: Vec::new(),
            }),
        }
    }
    trackers.into_iter().map(Arc::new).collect()
}

/// An event `tracker.event`. Of `process.command_args` and `process.ancestors`, words are values of their own.
pub(super) fn event(kind: &str, fields: &[(&str, &str)]) -> Event {
    let all = trackers();
    let (tracker, name) = kind.split_once('.').unwrap();
    let tracker = all.iter().find(|t| *t.name == *tracker).unwrap();
    let schema = tracker.events.iter().find(|e| *e.name == *name).unwrap();
    let values = |name: &str, value: &str| match name {
        "process.command_args" | "process.ancestors" => value.split(' ').map(String::from).collect(),
        _ => vec![value.to_owned()],
    };
    let fields: Vec<_> = fields.iter().map(|(name, value)| ((*name).to_owned(), values(name, value))).collect();
    build::event(schema, &fields).unwrap()
}
