//! The fields of an event's context, by their names in the vocabulary. Each stands here once: what shows, exports,
//! documents or asks for them reads this table.

use std::{borrow::Cow, str::FromStr};

use crate::{Container, Event, Exec, FieldKind, Finding, Image, Pod, Process, Value, example::Example};

/// A field of the context.
pub struct ContextField {
    /// Its name in the vocabulary.
    pub name: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// What its value is: a text, a list (`Args`), a number or a truth.
    pub kind: FieldKind,
    /// What Falco calls it, where it has names for the same value.
    pub falco: &'static [&'static str],
    /// For how long it stays as it is.
    pub lasts: Lasts,
    /// Where it is shown.
    pub shown: Shown,
    read: Read,
    /// How an example of a rule sets it.
    pub(crate) set: Option<Set>,
}

/// Reads the value.
type Read = for<'a> fn(&Subject<'a>) -> Value<'a>;

/// Writes the values into the context of an example.
pub(crate) type Set = fn(&mut Example, &[String]) -> Result<(), String>;

/// For how long a value stays the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lasts {
    /// It is the process's own.
    Process,
    /// As long as the container is there, once its runtime was asked.
    Container,
    /// It is the same in every container of a workload.
    Workload,
}

/// Where a field is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// With each event: a key of its JSON, a column of CSV and Parquet.
    pub in_events: bool,
    /// With each finding: an attribute of OTLP.
    pub in_findings: bool,
    /// With each finding in Falco's form, by the first of its names there.
    pub in_falco: bool,
}

/// Whose context is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Subject<'a> {
    container: Option<&'a Container>,
    process: Option<&'a Process>,
    event: Option<&'a Event>,
}

impl<'a> Subject<'a> {
    /// Who caused an event.
    pub fn of_event(event: &'a Event) -> Self {
        let context = &event.context;
        Self { container: context.container.as_deref(), process: context.process.as_deref(), event: Some(event) }
    }

    /// Who a finding is about.
    pub fn of_finding(finding: &'a Finding) -> Self {
        Self { container: finding.container.as_deref(), process: finding.process.as_deref(), event: None }
    }

    fn user_name(&self) -> Option<&'a str> {
        let id = self.event?.get("process.user.id").as_u64()?;
        self.event?.context.users.as_ref()?.users.get(&u32::try_from(id).ok()?).map(String::as_str)
    }

    fn exec(&self) -> Option<&'a Exec> {
        self.process.map(|p| &*p.exec)
    }

    fn image(&self) -> Option<&'a Image> {
        self.container?.image.as_ref()
    }

    fn pod(&self) -> Option<&'a Pod> {
        self.container?.pod.as_ref()
    }
}

impl ContextField {
    /// The value; absent where it is not known.
    pub fn read<'a>(&self, subject: &Subject<'a>) -> Value<'a> {
        (self.read)(subject)
    }

    const fn in_events(mut self) -> Self {
        self.shown.in_events = true;
        self
    }

    const fn in_findings(mut self) -> Self {
        self.shown.in_findings = true;
        self
    }

    /// Shown in Falco's form, too.
    const fn in_falco(mut self, names: &'static [&'static str]) -> Self {
        self.shown.in_falco = true;
        self.falco(names)
    }

    /// Only for rules.
    const fn falco(mut self, names: &'static [&'static str]) -> Self {
        self.falco = names;
        self
    }

    const fn set(mut self, set: Set) -> Self {
        self.set = Some(set);
        self
    }
}

impl std::fmt::Debug for ContextField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for ContextField {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for ContextField {}

impl std::hash::Hash for ContextField {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// The field of that name.
pub fn find(name: &str) -> Option<&'static ContextField> {
    CONTEXT.iter().find(|f| f.name == name)
}

/// All of them, in the order of columns.
pub static CONTEXT: &[ContextField] = {
    use FieldKind::{Args, Bool, Text, Unsigned};
    use Lasts::{Container, Process, Workload};
    const fn field(name: &'static str, kind: FieldKind, lasts: Lasts, doc: &'static str, read: Read) -> ContextField {
        let shown = Shown { in_events: false, in_findings: false, in_falco: false };
        ContextField { name, doc, kind, falco: &[], lasts, shown, read, set: None }
    }
    &[
        field("process.pid", Unsigned, Process, "its pid, in the host's pid namespace", |s| {
            number(s.process.map(|p| p.pid))
        })
        .in_findings()
        .in_falco(&["proc.pid"])
        .set(|e, v| one(v, &mut e.process.pid)),
        field("process.parent_pid", Unsigned, Process, "the pid of its parent, in the host's pid namespace", |s| {
            number(s.process.map(|p| p.parent_pid))
        })
        .in_findings()
        .in_falco(&["proc.ppid"])
        .set(|e, v| one(v, &mut e.process.parent_pid)),
        field("process.namespace_pid", Unsigned, Process, "its pid in its own pid namespace", |s| {
            number(s.process.map(|p| p.namespace_pid).filter(|pid| *pid != 0))
        })
        .set(|e, v| one(v, &mut e.process.namespace_pid)),
        field("process.group_leader", Bool, Process, "whether it leads its process group", |s| {
            truth(s.process.map(|p| p.is_group_leader))
        })
        .set(|e, v| one(v, &mut e.process.is_group_leader)),
        field("process.executable.name", Text, Process, "the name by which its program was called", |s| {
            text(s.exec().map(|e| e.name.as_str()))
        })
        .in_findings()
        .in_falco(&["proc.name"])
        .set(|e, v| one(v, &mut e.exec.name)),
        field(
            "process.executable.path",
            Text,
            Process,
            "path of the program that the process runs, as the process itself sees it",
            |s| text(s.exec().map(|e| e.path.as_str())),
        )
        .in_events()
        .in_findings()
        .in_falco(&["proc.exepath"])
        .set(|e, v| one(v, &mut e.exec.path)),
        field(
            "process.executable.writable_layer",
            Bool,
            Process,
            "whether its program was written in the container",
            |s| truth(s.exec().map(|e| e.in_writable_layer)),
        )
        .set(|e, v| one(v, &mut e.exec.in_writable_layer)),
        field("process.executable.memfd", Bool, Process, "whether its program exists in memory only", |s| {
            truth(s.exec().map(|e| e.in_memory))
        })
        .set(|e, v| one(v, &mut e.exec.in_memory)),
        field(
            "process.executable.unlinked",
            Bool,
            Process,
            "whether its program has no name: it was deleted, or made without one, as a memfd is",
            |s| truth(s.exec().map(|e| e.is_unlinked)),
        )
        .set(|e, v| one(v, &mut e.exec.is_unlinked)),
        field(
            "process.executable.writable_mount",
            Bool,
            Process,
            "whether its program lies on a mount that can be written to, other than that of the root folder: a volume, a tmpfs",
            |s| truth(s.exec().map(|e| e.is_on_writable_mount)),
        )
        .set(|e, v| one(v, &mut e.exec.is_on_writable_mount)),
        field(
            "process.executable.file_system",
            Text,
            Process,
            "the file system that its program lies on: `overlay`, `tmpfs`, ...",
            |s| text(s.exec().map(|e| e.file_system.as_str()).filter(|name| !name.is_empty())),
        )
        .set(|e, v| one(v, &mut e.exec.file_system)),
        field(
            "process.executable.newer_than_container",
            Bool,
            Process,
            "whether its program, or who owns it, changed after the container was started",
            |s| truth(s.exec().zip(s.container).map(|(e, c)| c.started_ns.is_some_and(|at| e.file_changed_ns > at))),
        )
        .set(|e, v| {
            let mut is_newer = false;
            one(v, &mut is_newer)?;
            e.exec.file_changed_ns = if is_newer { 2 } else { 0 };
            e.container().started_ns = Some(1);
            Ok(())
        }),
        field(
            "process.executable.path_truncated",
            Bool,
            Process,
            "whether the path of its program is cut, and begins with `…/`",
            |s| truth(s.exec().map(|e| e.is_path_cut)),
        )
        .set(|e, v| one(v, &mut e.exec.is_path_cut)),
        field("process.command_args_truncated", Bool, Process, "whether its arguments are cut", |s| {
            truth(s.exec().map(|e| e.are_args_cut))
        })
        .set(|e, v| one(v, &mut e.exec.are_args_cut)),
        field(
            "process.script.path",
            Text,
            Process,
            "the script that it runs, where it is an interpreter that was given one; links not resolved",
            |s| text(s.exec().map(|e| e.script.as_str()).filter(|path| !path.is_empty())),
        )
        .set(|e, v| one(v, &mut e.exec.script)),
        field(
            "process.runtime",
            Bool,
            Process,
            "whether it is the container runtime's own, on its way into a container, as the kernel knows it",
            |s| truth(s.exec().map(|e| e.is_runtime)),
        )
        .set(|e, v| one(v, &mut e.exec.is_runtime)),
        field("process.command_args", Args, Process, "its arguments, with what looks like a secret masked", |s| {
            texts(s.exec().map(|e| e.args.iter().map(String::as_str)))
        })
        .in_events()
        .in_findings()
        .in_falco(&["proc.cmdline"])
        .set(|e, v| many(v, &mut e.exec.args)),
        field("process.working_directory", Text, Process, "its directory when its program was started", |s| {
            text(s.exec().map(|e| e.working_directory.as_str()))
        })
        .set(|e, v| one(v, &mut e.exec.working_directory)),
        field(
            "process.environment_variables",
            Args,
            Process,
            "its environment, `NAME=value`, where that is collected",
            |s| texts(s.exec().map(|e| e.environment.iter().map(String::as_str))),
        )
        .set(|e, v| many(v, &mut e.exec.environment)),
        field("process.tty.name", Text, Process, "its controlling terminal", |s| {
            text(s.exec().map(|e| e.terminal.as_str()))
        })
        .set(|e, v| one(v, &mut e.exec.terminal)),
        field("process.ancestors", Args, Process, "paths of the programs above it, nearest first", |s| {
            texts(s.process.map(|p| p.ancestors.iter().map(|e| e.path.as_str())))
        })
        .set(|e, v| many(v, &mut e.ancestors)),
        field("process.user.id", Unsigned, Process, "the real user", |s| number(s.process.map(|p| p.user_id)))
            .set(|e, v| one(v, &mut e.process.user_id)),
        field("process.real_user.id", Unsigned, Process, "the real user", |s| number(s.process.map(|p| p.user_id)))
            .in_findings()
            .in_falco(&["user.uid"]),
        field(
            "process.user.name",
            Text,
            Process,
            "what that user is called where it happened: by the container's own /etc/passwd, or the host's",
            |s| text(s.user_name()),
        )
        .in_events()
        .set(|e, v| one(v, e.user.get_or_insert_default())),
        field("process.group.id", Unsigned, Process, "the real group", |s| number(s.process.map(|p| p.group_id)))
            .set(|e, v| one(v, &mut e.process.group_id)),
        field("process.login_user.id", Unsigned, Process, "the user who logged in", |s| {
            number(s.process.and_then(|p| p.login_user_id))
        })
        .set(|e, v| one(v, e.process.login_user_id.get_or_insert_default())),
        field("container.id", Text, Container, "the runtime's full id", |s| text(s.container.map(|c| c.id.as_str())))
            .in_events()
            .in_findings()
            .falco(&["container.full_id"])
            .set(|e, v| one(v, &mut e.container().id)),
        field("container.name", Text, Container, "the name that the runtime gave it", |s| {
            text(s.container.and_then(|c| c.name.as_deref()))
        })
        .in_events()
        .in_findings()
        .in_falco(&["container.name"])
        .set(|e, v| one(v, e.container().name.get_or_insert_default())),
        field("container.image.name", Text, Workload, "the image, as the container was started with it", |s| {
            text(s.image().map(|i| i.name.as_str()))
        })
        .in_events()
        .in_findings()
        .falco(&["container.image"])
        .set(|e, v| one(v, &mut e.container().image.get_or_insert_default().name)),
        field("container.image.id", Text, Workload, "the image's digest", |s| {
            text(s.image().map(|i| i.digest.as_str()).filter(|d| !d.is_empty()))
        })
        .in_findings()
        .falco(&["container.image.digest", "container.image.id"]),
        field("container.runtime.name", Text, Workload, "`docker`, `containerd`, `cri-o` or `podman`", |s| {
            text(s.container.map(|c| c.runtime.as_str()))
        })
        .falco(&["container.type"]),
        field("container.privileged", Bool, Workload, "whether it runs with all privileges", |s| {
            truth(s.container.and_then(|c| c.privileged))
        })
        .falco(&["container.privileged"])
        .set(|e, v| one(v, e.container().privileged.get_or_insert_default())),
        field("k8s.pod.name", Text, Container, "the Kubernetes pod it belongs to, where there is one", |s| {
            text(s.pod().map(|p| p.name.as_str()))
        })
        .in_events()
        .in_findings()
        .in_falco(&["k8s.pod.name"])
        .set(|e, v| one(v, &mut e.container().pod.get_or_insert_default().name)),
        field("k8s.namespace.name", Text, Workload, "the pod's namespace", |s| {
            text(s.pod().map(|p| p.namespace.as_str()))
        })
        .in_events()
        .in_findings()
        .in_falco(&["k8s.ns.name"])
        .set(|e, v| one(v, &mut e.container().pod.get_or_insert_default().namespace)),
    ]
};

fn text(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::Absent, |t| Value::Text(Cow::Borrowed(t.as_bytes())))
}

fn texts<'a>(texts: Option<impl Iterator<Item = &'a str>>) -> Value<'a> {
    texts.map_or(Value::Absent, |all| Value::List(all.map(|t| Cow::Borrowed(t.as_bytes())).collect()))
}

fn number<'a>(number: Option<u32>) -> Value<'a> {
    number.map_or(Value::Absent, |n| Value::Unsigned(n.into()))
}

fn truth<'a>(truth: Option<bool>) -> Value<'a> {
    truth.map_or(Value::Absent, Value::Bool)
}

/// Sets what has one value.
fn one<T: FromStr>(values: &[String], to: &mut T) -> Result<(), String> {
    let text = values.first().map_or("", String::as_str);
    *to = text.parse().map_err(|_| format!("'{text}' is no value of it"))?;
    Ok(())
}

/// Sets what has any number of values.
fn many(values: &[String], to: &mut Vec<String>) -> Result<(), String> {
    *to = values.to_vec();
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_name_stands_once_also_among_falcos() {
        let names: BTreeSet<_> = CONTEXT.iter().map(|f| f.name).collect();
        assert_eq!(names.len(), CONTEXT.len());
        let falco: Vec<_> = CONTEXT.iter().flat_map(|f| f.falco).collect();
        assert_eq!(falco.iter().collect::<BTreeSet<_>>().len(), falco.len());
        assert!(CONTEXT.iter().all(|f| !f.shown.in_falco || !f.falco.is_empty()), "a name to be shown by");
    }

    #[test]
    fn what_an_example_sets_is_read_again() {
        let value = |field: &ContextField| match field.kind {
            FieldKind::Unsigned => "7",
            FieldKind::Bool => "true",
            _ => "a",
        };
        for field in CONTEXT {
            let Some(set) = field.set else { continue };
            let mut example = Example::default();
            set(&mut example, &[value(field).to_owned()]).unwrap();
            let context = example.context();
            if field.name == "process.user.name" {
                assert_eq!(context.users.unwrap().users.values().collect::<Vec<_>>(), ["a"]);
                continue;
            }
            let (container, process) = (context.container.as_deref(), context.process.as_deref());
            let subject = Subject { container, process, event: None };
            let expected = match field.kind {
                FieldKind::Unsigned => Value::Unsigned(7),
                FieldKind::Bool => Value::Bool(true),
                FieldKind::Args => Value::List(vec![Cow::Borrowed(b"a")]),
                _ => Value::Text(Cow::Borrowed(b"a")),
            };
            assert_eq!(field.read(&subject), expected, "{field:?}");
        }
        let wrong =
            |name: &str, value: &str| find(name).unwrap().set.unwrap()(&mut Example::default(), &[value.into()]);
        assert!(wrong("process.pid", "many").is_err());
        assert!(wrong("container.privileged", "perhaps").is_err());
    }

    #[test]
    fn nothing_is_known_without_a_subject() {
        assert!(CONTEXT.iter().all(|f| f.read(&Subject::default()) == Value::Absent));
    }
}
