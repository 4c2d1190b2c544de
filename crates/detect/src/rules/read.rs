//! Reads fields from events.

mod container;
mod program;

use std::{borrow::Cow, net::IpAddr};

use ethogram_model::{
    Event, Exec, FieldKind, Process, Value as Raw,
    layout::{Layout, Slot},
    render::{self, names},
    vocabulary::Subject,
};

use super::{
    access::{Access, Ends, SocketWord, raw},
    facts::Facts,
    field::{ProcessPart, Side, UserPart},
    value::Value,
};
use container::container_value;

/// The login user of a process that no login started.
const NO_LOGIN: i64 = -1;

impl Access {
    /// The value in an event.
    pub(super) fn read<'e>(&'e self, event: &'e Event, facts: &'e Facts) -> Value<'e> {
        let context = &event.context;
        match self {
            Self::Absent => Value::Absent,
            Self::Constant(text) => Value::text(Some(text)),
            Self::ConstantBool(b) => Value::Bool(*b),
            Self::ConstantNumber(n) => Value::Number(*n),
            Self::Field(at) => field_value(event, *at),
            Self::Raw(at) => raw(event, *at).into(),
            Self::UserId(at) => user_id(event, *at),
            Self::LowestFlag(at) => match raw(event, *at).as_u64() {
                Some(flags) if flags != 0 => Value::number(flags.trailing_zeros()),
                _ => Value::Absent,
            },
            Self::Types(types) => Value::text(types.first().map(|t| &**t)),
            Self::Result(error) => Value::owned(match errno(event, *error) {
                0 => Cow::Borrowed("SUCCESS").into_owned(),
                n => names::errno(n).into_owned(),
            }),
            Self::RawResult(error) => Value::Number(-i64::try_from(errno(event, *error)).unwrap_or(0)),
            Self::Failed(error) => Value::Bool(errno(event, *error) != 0),
            Self::OpenRead(at) => raw(event, *at).as_u64().map_or(Value::Absent, |f| Value::Bool(f & 1 == 0)),
            Self::OpenExec { created, mode } => {
                let is_executable = raw(event, *mode).as_u64().is_some_and(|mode| mode & 0o111 != 0);
                Value::Bool(raw(event, *created).is_truthy() && is_executable)
            }
            Self::Number => Value::number(facts.number),
            Self::Time => Value::owned(render::rfc3339(event.time_ns)),
            Self::RawTime => Value::number(event.time_ns),
            Self::Arguments => arguments(event),
            Self::Process(part) => process_value(event, *part),
            Self::Parent(part) => exec_value(context.process.as_ref().and_then(|p| p.ancestors.first()), *part),
            Self::Ancestor(part, n) => {
                let process = context.process.as_deref();
                match n.checked_sub(1) {
                    None => process_value(event, *part),
                    Some(n) => exec_value(process.and_then(|p| p.ancestors.get(n)), *part),
                }
            }
            Self::Ancestors(part) => ancestors(context.process.as_deref(), *part),
            Self::ProcessArgument(n) => context.process.as_ref().map_or(Value::Absent, |p| argument(&p.exec, *n)),
            Self::Environment(name) => context.process.as_ref().map_or(Value::Absent, |p| variable(&p.exec, name)),
            Self::User(part) => user_value(event, *part),
            Self::Container(part, argument) => container_value(event, *part, argument.as_deref()),
            Self::Context(field) => field.read(&Subject::of_event(event)).into(),
            Self::Directory(at) | Self::FileName(at) => self.read_part(&field_value(event, *at)),
            Self::FileType(at, short) => {
                let is_directory = raw(event, *at).as_u64().is_some_and(|t| t & 0o170_000 == 0o040_000);
                Value::text(Some(match (is_directory, short) {
                    (true, true) => "d",
                    (true, false) => "directory",
                    (false, true) => "f",
                    (false, false) => "file",
                }))
            }
            Self::RawName { requested, path } => {
                match event.schema.fields.get(*requested).map(|field| event.as_asked(field)) {
                    Some(Raw::Text(asked)) => Value::Text(asked),
                    _ => field_value(event, *path),
                }
            }
            Self::Connection(ends) => connection(*ends, event),
            Self::Address(ends, side) => ends.address(event, *side),
            Self::AddressName(ends, side) => match ends.address(event, *side) {
                Value::Ip(ip) => Value::text(facts.names.name(event, ip)),
                _ => Value::Absent,
            },
            Self::Port(ends, side) => ends.port(event, *side),
            Self::SocketType(at, word) => match raw(event, *at) {
                Raw::Ip(ip) => Value::text(Some(socket_word(ip, *word))),
                _ => Value::Absent,
            },
            Self::IsServer(is) => Value::Bool(*is),
        }
    }

    /// A path's directory or last name.
    pub(super) fn read_part(&self, path: &Value<'_>) -> Value<'static> {
        let Value::Text(path) = path else { return Value::Absent };
        let slash = memchr::memrchr(b'/', path);
        let part = match (self, slash) {
            (Self::Directory(_), Some(0)) => Some(b"/".as_slice()),
            (Self::Directory(_), slash) => slash.and_then(|end| path.get(..end)),
            (_, None) => Some(&**path),
            (_, Some(end)) => path.get(end + 1..),
        };
        part.map_or(Value::Absent, Value::owned)
    }

    /// A path's last name, where that is known without the path.
    pub(super) fn read_leaf<'e>(&self, event: &'e Event) -> Option<Value<'e>> {
        let Self::FileName(at) = self else { return None };
        leaf(event, *at).map(|name| Value::Text(Cow::Borrowed(name)))
    }
}

fn socket_word(ip: IpAddr, word: SocketWord) -> &'static str {
    match (word, ip.is_ipv4()) {
        (SocketWord::Type, true) => "ipv4",
        (SocketWord::Type, false) => "ipv6",
        (SocketWord::Char, true) => "4",
        (SocketWord::Char, false) => "6",
        (SocketWord::Family, _) => "ip",
    }
}

fn errno(event: &Event, at: usize) -> u64 {
    raw(event, at).as_u64().unwrap_or(0)
}

/// A field as rules compare it: numbers that have names by these.
pub(super) fn field_value(event: &Event, at: usize) -> Value<'_> {
    let Some(field) = event.schema.fields.get(at) else { return Value::Absent };
    match (field.kind, event.value(field)) {
        (FieldKind::Flags, Raw::Unsigned(n)) => Value::owned(field.name_of(n).replace('|', " ")),
        (FieldKind::Name, Raw::Unsigned(n)) => Value::owned(field.name_of(n)),
        (FieldKind::OpenFlags, Raw::Unsigned(n)) => Value::owned(names::open_flags(n)),
        (FieldKind::FileMode, Raw::Unsigned(n)) => Value::owned(file_mode(n)),
        (FieldKind::FileType, Raw::Unsigned(n)) => Value::text(Some(names::file_type(n))),
        (FieldKind::Errno, Raw::Unsigned(n)) => Value::owned(names::errno(n).into_owned()),
        (FieldKind::Signal, Raw::Unsigned(n)) => Value::owned(names::signal(n).into_owned()),
        (_, value) => value.into(),
    }
}

/// Permissions by their names, and in octal.
fn file_mode(mode: u64) -> String {
    let set = MODES.iter().filter(|(bit, _)| mode & bit != 0).map(|(_, name)| *name);
    set.chain([format!("{mode:04o}").as_str()]).collect::<Vec<_>>().join("|")
}

/// The names of permissions.
pub(super) const MODES: [(u64, &str); 12] = [
    (0o4000, "S_ISUID"),
    (0o2000, "S_ISGID"),
    (0o1000, "S_ISVTX"),
    (0o0400, "S_IRUSR"),
    (0o0200, "S_IWUSR"),
    (0o0100, "S_IXUSR"),
    (0o0040, "S_IRGRP"),
    (0o0020, "S_IWGRP"),
    (0o0010, "S_IXGRP"),
    (0o0004, "S_IROTH"),
    (0o0002, "S_IWOTH"),
    (0o0001, "S_IXOTH"),
];

/// A path's last name, where the record has it by itself: it begins with it.
fn leaf(event: &Event, at: usize) -> Option<&[u8]> {
    let field = event.schema.fields.get(at).filter(|f| f.kind == FieldKind::Path)?;
    let reference = event.record.get(field.offset..)?.get(..4)?;
    let start = usize::from(u16::from_le_bytes([reference[0], reference[1]]));
    let tail = event.record.get(start..)?;
    let name = tail.split(|b| *b == 0).next()?;
    // Of a root, or a path that was cut, there is more to say.
    (name.len() > 1 && start > 0).then_some(name)
}

fn user_name(event: &Event, id: u32) -> Option<&str> {
    event.context.users.as_ref()?.users.get(&id).map(String::as_str)
}

fn user_id(event: &Event, at: usize) -> Value<'_> {
    let Some(id) = raw(event, at).as_u64() else { return Value::Absent };
    let number = Value::number(id);
    match u32::try_from(id).ok().and_then(|id| user_name(event, id)) {
        Some(name) => Value::Two(Box::new(Value::text(Some(name))), Box::new(number)),
        None => number,
    }
}

fn arguments(event: &Event) -> Value<'_> {
    let own = event.schema.fields.iter().filter(|f| !f.header && !render::is_internal(f));
    let shown = own.filter_map(|f| Some(format!("{}={}", f.name, as_text(&render::field_json(event, f)?))));
    Value::owned(shown.collect::<Vec<_>>().join(" "))
}

fn as_text(json: &serde_json::Value) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}

/// A number of the event's header.
fn header(event: &Event, slot: impl Fn(&Layout) -> Slot) -> Value<'static> {
    header_number(event, slot).map_or(Value::Absent, Value::number)
}

fn header_number(event: &Event, slot: impl Fn(&Layout) -> Slot) -> Option<u64> {
    slot(event.schema.layout()).read(&event.record)
}

fn process_value(event: &Event, part: ProcessPart) -> Value<'_> {
    let process = event.context.process.as_deref();
    match part {
        ProcessPart::Pid => header(event, |layout| layout.pid),
        ProcessPart::ParentPid => header(event, |layout| layout.parent_pid),
        ProcessPart::ThreadId => header(event, |layout| layout.thread_id),
        ProcessPart::NamespacePid => match process.map(|p| p.namespace_pid) {
            Some(pid) if pid != 0 => Value::number(pid),
            _ => Value::Absent,
        },
        ProcessPart::Name if process.is_none() => match event.thread_name() {
            Raw::Text(name) => Value::Text(name),
            _ => Value::Absent,
        },
        ProcessPart::Duration => {
            let started = process.map(|p| p.start_ns);
            let started = started.or_else(|| header_number(event, |layout| layout.process_start));
            match (header_number(event, |layout| layout.time), started) {
                (Some(now), Some(started)) => Value::number(now.saturating_sub(started)),
                _ => Value::Absent,
            }
        }
        ProcessPart::IsRuntime => process.map_or(Value::Absent, |p| {
            let is_from_outside = event.context.container.is_some() && p.exec.container_cgroup == 0;
            Value::Bool(p.exec.is_runtime || is_from_outside)
        }),
        ProcessPart::IsGroupLeader => process.map_or(Value::Absent, |p| Value::Bool(p.is_group_leader)),
        ProcessPart::IsMainThread => {
            let pid = header_number(event, |layout| layout.pid);
            let thread = header_number(event, |layout| layout.thread_id);
            pid.zip(thread).map_or(Value::Absent, |(pid, thread)| Value::Bool(pid == thread))
        }
        ProcessPart::SessionId => {
            process.and_then(|p| p.session_leader.as_ref()).map_or(Value::Absent, |leader| Value::number(leader.pid))
        }
        ProcessPart::SessionName => {
            Value::text(process.and_then(|p| p.session_leader.as_ref()).map(|e| e.name.as_str()))
        }
        ProcessPart::SessionPath => {
            Value::text(process.and_then(|p| p.session_leader.as_ref()).map(|e| e.path.as_str()))
        }
        ProcessPart::FileAge => match process {
            Some(p) if p.exec.file_changed_ns != 0 => {
                Value::number(event.time_ns.saturating_sub(p.exec.file_changed_ns))
            }
            _ => Value::Absent,
        },
        part => exec_value(process.map(|p| &p.exec), part),
    }
}

pub(super) fn exec_value(exec: Option<&std::sync::Arc<Exec>>, part: ProcessPart) -> Value<'_> {
    let Some(exec) = exec else { return Value::Absent };
    let known = |text: &'_ str| !text.is_empty();
    let time = |ns: u64| if ns == 0 { Value::Absent } else { Value::number(ns) };
    match part {
        ProcessPart::Pid => Value::number(exec.pid),
        ProcessPart::Name => Value::text(Some(exec.name.as_str()).filter(|t| known(t))),
        ProcessPart::Called => Value::text(exec.args.first().map(String::as_str)),
        ProcessPart::Path => Value::text(Some(exec.path.as_str()).filter(|t| known(t))),
        ProcessPart::Arguments => Value::owned(exec.args.get(1..).unwrap_or_default().join(" ")),
        ProcessPart::CommandLine => Value::owned(command_line(exec)),
        ProcessPart::CalledLine => Value::owned(exec.args.join(" ")),
        ProcessPart::CommandLength => {
            Value::number(exec.args.get(1..).unwrap_or_default().iter().map(String::len).sum::<usize>())
        }
        ProcessPart::ArgumentCount => Value::number(exec.args.len().saturating_sub(1)),
        ProcessPart::WorkingDirectory => Value::owned(with_end(&exec.working_directory)),
        ProcessPart::Environment => match exec.environment.as_slice() {
            [] => Value::Absent,
            all => Value::owned(all.join(" ")),
        },
        ProcessPart::Terminal => Value::Number(terminal(&exec.terminal)),
        ProcessPart::InWritableLayer => Value::Bool(exec.in_writable_layer),
        ProcessPart::InMemory => Value::Bool(exec.in_memory),
        ProcessPart::Program => program::program(exec),
        ProcessPart::FileModified => time(exec.file_modified_ns),
        ProcessPart::FileChanged => time(exec.file_changed_ns),
        _ => Value::Absent,
    }
}

/// An argument by its number, which counts from zero behind the program's name.
pub(super) fn argument(exec: &Exec, n: usize) -> Value<'_> {
    Value::text(exec.args.get(1..).unwrap_or_default().get(n).map(String::as_str))
}

/// The value of a variable.
pub(super) fn variable<'e>(exec: &'e Exec, name: &str) -> Value<'e> {
    let values = exec.environment.iter().filter_map(|v| v.split_once('=').filter(|(n, _)| *n == name));
    Value::text(values.map(|(_, value)| value).next())
}

/// The name and the arguments, as Falco shows a command line.
fn command_line(exec: &Exec) -> String {
    let args = exec.args.get(1..).unwrap_or_default();
    let mut line = String::with_capacity(exec.name.len() + args.iter().map(|a| a.len() + 1).sum::<usize>());
    line += &exec.name;
    for argument in args {
        line.push(' ');
        line += argument;
    }
    line
}

/// A directory with the slash that Falco ends it with.
fn with_end(directory: &str) -> String {
    if directory.is_empty() || directory.ends_with('/') { directory.to_owned() } else { format!("{directory}/") }
}

/// The number of a terminal's device, from its name.
fn terminal(name: &str) -> i64 {
    let number = |rest: &str| rest.trim_start_matches('/').parse::<i64>().ok();
    if name.is_empty() {
        0
    } else if let Some(n) = name.strip_prefix("pts").and_then(number) {
        (136 << 8) + n
    } else if let Some(n) = name.strip_prefix("tty").and_then(number) {
        (4 << 8) + n
    } else {
        1
    }
}

fn ancestors(process: Option<&Process>, part: ProcessPart) -> Value<'_> {
    let Some(process) = process else { return Value::Absent };
    if part == ProcessPart::Program {
        return program::programs(process.ancestors.iter().map(|exec| &**exec));
    }
    let texts: Vec<_> = process
        .ancestors
        .iter()
        .filter_map(|exec| match exec_value(Some(exec), part) {
            Value::Absent => None,
            Value::Text(text) => Some(text),
            other => Some(Cow::Owned(other.to_text().into_owned())),
        })
        .collect();
    if texts.is_empty() { Value::Absent } else { Value::Texts(texts) }
}

fn user_value(event: &Event, part: UserPart) -> Value<'_> {
    let process = event.context.process.as_deref();
    let id = || header_number(event, |layout| layout.user_id).and_then(|id| u32::try_from(id).ok());
    let users = event.context.users.as_ref();
    match part {
        UserPart::Id => header(event, |layout| layout.user_id),
        UserPart::Name => Value::text(id().and_then(|id| user_name(event, id))),
        UserPart::LoginId => {
            process.map_or(Value::Absent, |p| p.login_user_id.map_or(Value::Number(NO_LOGIN), Value::number))
        }
        UserPart::LoginName => Value::text(process.and_then(|p| p.login_user_id).and_then(|id| user_name(event, id))),
        UserPart::GroupId => process.map_or(Value::Absent, |p| Value::number(p.group_id)),
        UserPart::GroupName => Value::text(process.and_then(|p| users?.groups.get(&p.group_id)).map(String::as_str)),
    }
}

fn connection(ends: Ends, event: &Event) -> Value<'_> {
    let end = |side| match (ends.address(event, side), ends.port(event, side)) {
        (Value::Ip(ip), Value::Number(port)) => Some(format!("{ip}:{port}")),
        _ => None,
    };
    match (end(Side::Client), end(Side::Server)) {
        (Some(client), Some(server)) => Value::owned(format!("{client}->{server}")),
        (None, Some(one)) | (Some(one), None) => Value::owned(one),
        (None, None) => Value::Absent,
    }
}
