//! How a field is read from one kind of event: found out once, when rules are compiled.

use ethogram_model::{Event, EventSchema, FieldKind, Value as Raw, schema::Descriptor, vocabulary::ContextField};

use super::{
    field::{ContainerPart, DescriptorPart, EventPart, Field, ProcessPart, Side, Source, UserPart},
    value::Value,
};

/// A way to a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Access {
    /// It is never there.
    Absent,
    /// It is always the same.
    Constant(Box<str>),
    ConstantBool(bool),
    ConstantNumber(i64),
    /// A field of the event, by its place in the schema.
    Field(usize),
    /// The same as the kernel has it, without names.
    Raw(usize),
    /// The id of a user, who has a name, too.
    UserId(usize),
    /// The lowest of the numbered flags that are set: of standard streams.
    LowestFlag(usize),
    /// Which of its types an event has: the first is shown.
    Types(Vec<Box<str>>),
    Result(usize),
    RawResult(usize),
    Failed(usize),
    /// Flags of an open, and the mode of a created file.
    OpenRead(usize),
    OpenExec {
        created: usize,
        mode: usize,
    },
    Number,
    Time,
    RawTime,
    Arguments,
    Process(ProcessPart),
    Parent(ProcessPart),
    Ancestor(ProcessPart, usize),
    Ancestors(ProcessPart),
    ProcessArgument(usize),
    Environment(Box<str>),
    User(UserPart),
    Container(ContainerPart, Option<Box<str>>),
    Context(&'static ContextField),
    /// Of a path, by the field that holds it.
    Directory(usize),
    FileName(usize),
    FileType(usize, bool),
    /// Just as the caller gave it, or else as it is.
    RawName {
        requested: usize,
        path: usize,
    },
    Connection(Ends),
    Address(Ends, Side),
    AddressName(Ends, Side),
    Port(Ends, Side),
    SocketType(usize, SocketWord),
    IsServer(bool),
}

/// How a socket's kind is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum SocketWord {
    Type,
    Char,
    Family,
}

/// The places of a connection's fields in the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Ends {
    peer: Option<usize>,
    peer_port: Option<usize>,
    own: Option<usize>,
    own_port: Option<usize>,
    is_server: bool,
}

impl Ends {
    fn of(schema: &EventSchema) -> Self {
        let place = |name: &str| place(schema, name);
        let is_server = schema.rules.as_ref().is_some_and(|r| r.fd == Some(Descriptor::Server));
        Self {
            peer: place("network.peer.address"),
            peer_port: place("network.peer.port"),
            own: place("network.local.address"),
            own_port: place("network.local.port"),
            is_server,
        }
    }

    pub(super) fn address(self, event: &Event, side: Side) -> Value<'static> {
        let read = |at: Option<usize>| match at.map(|at| raw(event, at)) {
            Some(Raw::Ip(ip)) => Value::Ip(ip),
            _ => Value::Absent,
        };
        self.pick(side, || read(self.peer), || read(self.own))
    }

    /// The places of the addresses on a side.
    pub(super) fn addresses(self, side: Side) -> Vec<Option<usize>> {
        self.places(side, self.peer, self.own)
    }

    /// The places of the ports on a side.
    pub(super) fn ports(self, side: Side) -> Vec<Option<usize>> {
        self.places(side, self.peer_port, self.own_port)
    }

    fn places(self, side: Side, peer: Option<usize>, own: Option<usize>) -> Vec<Option<usize>> {
        match (side, self.is_server) {
            (Side::Any, _) => vec![peer, own],
            (Side::Remote, _) | (Side::Client, true) | (Side::Server, false) => vec![peer],
            (Side::Local, _) | (Side::Client, false) | (Side::Server, true) => vec![own],
        }
    }

    pub(super) fn port(self, event: &Event, side: Side) -> Value<'static> {
        let read = |at: Option<usize>| match at.and_then(|at| raw(event, at).as_u64()) {
            Some(port) => Value::number(port),
            None => Value::Absent,
        };
        self.pick(side, || read(self.peer_port), || read(self.own_port))
    }

    fn pick(self, side: Side, peer: impl Fn() -> Value<'static>, own: impl Fn() -> Value<'static>) -> Value<'static> {
        match (side, self.is_server) {
            (Side::Any, _) => Value::Two(Box::new(peer()), Box::new(own())),
            (Side::Remote, _) | (Side::Client, true) | (Side::Server, false) => peer(),
            (Side::Local, _) | (Side::Client, false) | (Side::Server, true) => own(),
        }
    }
}

fn place(schema: &EventSchema, name: &str) -> Option<usize> {
    schema.fields.iter().position(|f| f.name == name)
}

pub(super) fn raw(event: &Event, at: usize) -> Raw<'_> {
    event.schema.fields.get(at).map_or(Raw::Absent, |field| event.value(field))
}

impl Access {
    /// The way to a field of the vocabulary in events of a kind.
    pub(super) fn of_vocabulary(schema: &EventSchema, name: &str) -> Self {
        place(schema, name).map_or(Self::Absent, Self::Field)
    }

    /// The way to the argument of a call, `evt.arg.NAME`.
    pub(super) fn of_argument(schema: &EventSchema, name: &str) -> Self {
        Self::of_manifest(schema, name).unwrap_or(Self::Absent)
    }

    /// The same as the kernel has it, `evt.rawarg.NAME`.
    pub(super) fn of_raw_argument(schema: &EventSchema, name: &str) -> Self {
        match Self::of_argument(schema, name) {
            Self::Field(at) | Self::UserId(at) | Self::LowestFlag(at) => Self::Raw(at),
            other => other,
        }
    }

    fn of_manifest(schema: &EventSchema, name: &str) -> Option<Self> {
        let rules = schema.rules.as_ref()?;
        if let Some(constant) = rules.constants.get(name) {
            return Some(match (constant.as_str(), constant.parse()) {
                ("true", _) => Self::ConstantBool(true),
                ("false", _) => Self::ConstantBool(false),
                (_, Ok(number)) => Self::ConstantNumber(number),
                (text, _) => Self::Constant(text.into()),
            });
        }
        let at = place(schema, rules.fields.get(name)?)?;
        let field = schema.fields.get(at)?;
        Some(match field.kind {
            FieldKind::Id if field.name.ends_with("user.id") => Self::UserId(at),
            FieldKind::Flags if name == "evt.rawres" => Self::LowestFlag(at),
            _ => Self::Field(at),
        })
    }

    /// The way to one of Falco's fields in events of a kind.
    pub(super) fn of(schema: &EventSchema, field: &Field, argument: Option<&str>) -> Self {
        if let Some(access) = Self::of_manifest(schema, field.name) {
            return access;
        }
        match field.source {
            Source::Event(part) => Self::of_event(schema, part),
            Source::Process(ProcessPart::Arguments) if argument.is_some() => {
                argument.and_then(|a| a.parse().ok()).map_or(Self::Absent, Self::ProcessArgument)
            }
            Source::Process(ProcessPart::Environment) if argument.is_some() => {
                argument.map_or(Self::Absent, |name| Self::Environment(name.into()))
            }
            Source::Process(part) => Self::Process(part),
            Source::Parent(part) => Self::Parent(part),
            Source::Ancestor(part) => match argument {
                None => Self::Ancestors(part),
                Some(n) => n.parse().map_or(Self::Absent, |n| Self::Ancestor(part, n)),
            },
            Source::User(part) => Self::User(part),
            Source::Capabilities(name) | Source::Vocabulary(name) => Self::of_vocabulary(schema, name),
            Source::Container(part) => Self::Container(part, argument.map(Into::into)),
            Source::Context(field) => Self::Context(field),
            Source::Descriptor(part) => Self::of_descriptor(schema, part),
            Source::Manifest | Source::Nowhere(_) => Self::Absent,
        }
    }

    fn of_event(schema: &EventSchema, part: EventPart) -> Self {
        let error = place(schema, "error.type");
        match part {
            EventPart::Number => Self::Number,
            EventPart::Tracker => Self::Constant((*schema.tracker).into()),
            EventPart::Name => Self::Constant((*schema.name).into()),
            EventPart::Type => match &schema.rules {
                None => Self::Absent,
                Some(rules) => match &rules.type_from {
                    Some(field) => Self::of_vocabulary(schema, field),
                    None => Self::Types(rules.types.iter().map(|t| t.as_str().into()).collect()),
                },
            },
            EventPart::Time => Self::Time,
            EventPart::RawTime => Self::RawTime,
            EventPart::Direction => Self::Constant("<".into()),
            EventPart::Source => Self::Constant("syscall".into()),
            // Without an error, only what succeeds is an event.
            EventPart::Result => error.map_or_else(|| Self::Constant("SUCCESS".into()), Self::Result),
            EventPart::RawResult => error.map_or(Self::ConstantNumber(0), Self::RawResult),
            EventPart::Failed => error.map_or(Self::ConstantBool(false), Self::Failed),
            EventPart::OpenRead => place(schema, "file.open.flags").map_or(Self::Absent, Self::OpenRead),
            EventPart::OpenExec => match (place(schema, "file.created"), place(schema, "file.mode")) {
                (Some(created), Some(mode)) => Self::OpenExec { created, mode },
                _ => Self::Absent,
            },
            EventPart::Arguments => Self::Arguments,
        }
    }

    fn of_descriptor(schema: &EventSchema, part: DescriptorPart) -> Self {
        let Some(kind) = schema.rules.as_ref().and_then(|r| r.fd) else { return Self::Absent };
        let ends = Ends::of(schema);
        if kind == Descriptor::File {
            let Some(path) = place(schema, "file.path") else { return Self::Absent };
            let typed = |short| place(schema, "file.type").map_or(Self::Absent, |at| Self::FileType(at, short));
            return match part {
                DescriptorPart::Name => Self::Field(path),
                DescriptorPart::RawName => match place(schema, "file.requested_path") {
                    Some(requested) => Self::RawName { requested, path },
                    // Where only the path as asked for is known, it is that.
                    None => Self::RawName { requested: path, path },
                },
                DescriptorPart::Directory => Self::Directory(path),
                DescriptorPart::FileName => Self::FileName(path),
                DescriptorPart::Type => typed(false),
                DescriptorPart::TypeChar => typed(true),
                _ => Self::Absent,
            };
        }
        let of_address = |word| ends.own.or(ends.peer).map_or(Self::Absent, |at| Self::SocketType(at, word));
        match part {
            DescriptorPart::Name | DescriptorPart::RawName => Self::Connection(ends),
            DescriptorPart::Type => of_address(SocketWord::Type),
            DescriptorPart::TypeChar => of_address(SocketWord::Char),
            DescriptorPart::Family => of_address(SocketWord::Family),
            DescriptorPart::Address(side) => Self::Address(ends, side),
            DescriptorPart::AddressName(side) => Self::AddressName(ends, side),
            DescriptorPart::Port(side) => Self::Port(ends, side),
            DescriptorPart::IsServer => Self::IsServer(ends.is_server),
            _ => Self::Absent,
        }
    }

    /// Whether two events about the same object, used in the same way, have the same value there.
    pub(super) fn is_of_object(&self, schema: &EventSchema) -> bool {
        let name = |at: &usize| schema.fields.get(*at).map_or("", |f| f.name.as_str());
        match self {
            Self::Absent | Self::Constant(_) | Self::ConstantBool(_) | Self::ConstantNumber(_) | Self::Types(_) => true,
            Self::Directory(_) | Self::FileName(_) | Self::FileType(..) | Self::IsServer(_) => true,
            Self::Field(at) => matches!(
                name(at),
                "file.path"
                    | "file.real_path"
                    | "file.guarded_path"
                    | "file.host"
                    | "file.type"
                    | "file.open.read"
                    | "file.open.write"
            ),
            // Without a file, the path as asked for is what it is about.
            Self::RawName { requested, path } => requested == path,
            _ => false,
        }
    }

    /// Whether it depends only on the process, its user, and its container.
    pub(super) fn is_lasting(&self) -> bool {
        use ProcessPart::{Duration, FileAge, IsMainThread, ParentPid, Pid, ThreadId};
        match self {
            Self::Process(part) | Self::Ancestor(part, 0) => {
                !matches!(part, Pid | ParentPid | ThreadId | IsMainThread | Duration | FileAge)
            }
            Self::Parent(_) | Self::Ancestor(..) | Self::Ancestors(_) => true,
            Self::ProcessArgument(_) | Self::Environment(_) | Self::User(_) | Self::Context(_) => true,
            Self::Container(part, _) => *part != ContainerPart::Duration,
            _ => false,
        }
    }

    /// How much it takes to read.
    pub(super) fn cost(&self, schema: &EventSchema) -> u32 {
        match self {
            Self::Process(
                ProcessPart::CommandLine | ProcessPart::CalledLine | ProcessPart::Arguments | ProcessPart::Environment,
            ) => 40,
            Self::Parent(ProcessPart::CommandLine | ProcessPart::CalledLine) | Self::Ancestors(_) => 40,
            Self::Field(at) => match schema.fields.get(*at).map(|f| f.kind) {
                Some(FieldKind::Bool | FieldKind::Unsigned | FieldKind::Signed | FieldKind::Id) => 1,
                Some(FieldKind::Name | FieldKind::FileType | FieldKind::Str | FieldKind::Text) => 2,
                _ => 6,
            },
            Self::Directory(_) | Self::FileName(_) | Self::RawName { .. } => 6,
            Self::Container(ContainerPart::Mounts, _) | Self::Connection(_) => 12,
            Self::Arguments => 60,
            _ => 1,
        }
    }
}
