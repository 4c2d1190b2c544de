//! The fields of Falco's language, and where their values come from.
//!
//! Names and meanings are those of Falco's documentation: <https://falco.org/docs/reference/rules/supported-fields/>.
//! Fields that belong to single events (`evt.arg.*`) are named in the trackers' manifests; any name of Ethogram's own
//! vocabulary is a field, too.

mod missing;

use std::sync::LazyLock;

use ethogram_model::{
    FieldKind,
    vocabulary::{CONTEXT, ContextField},
};

/// What a field's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Type {
    Text,
    /// Several texts: a comparison holds where one of them fits.
    Texts,
    Number,
    Bool,
    Ip,
    Net,
    /// Whatever the event has there.
    Any,
}

impl Type {
    /// Of a field of the context.
    fn of(kind: FieldKind) -> Self {
        match kind {
            FieldKind::Unsigned => Self::Number,
            FieldKind::Bool => Self::Bool,
            FieldKind::Args => Self::Texts,
            _ => Self::Text,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Texts => "texts",
            Self::Number => "a number",
            Self::Bool => "true or false",
            Self::Ip => "an address",
            Self::Net => "a network",
            Self::Any => "anything",
        }
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Source {
    Event(EventPart),
    Process(ProcessPart),
    /// Of the parent, or of the ancestor that the argument counts; of all where there is none.
    Parent(ProcessPart),
    Ancestor(ProcessPart),
    User(UserPart),
    /// Effective and permitted capabilities.
    Capabilities(&'static str),
    Container(ContainerPart),
    /// Of the context, as it stands in the vocabulary.
    Context(&'static ContextField),
    Descriptor(DescriptorPart),
    /// A field of Ethogram's vocabulary, where the event has it.
    Vocabulary(&'static str),
    /// Only where the event's tracker says which of its fields that is.
    Manifest,
    /// Nowhere, and why.
    Nowhere(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum EventPart {
    Number,
    Type,
    Time,
    RawTime,
    Direction,
    Source,
    Result,
    RawResult,
    Failed,
    OpenRead,
    OpenExec,
    Arguments,
    Tracker,
    Name,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ProcessPart {
    Pid,
    NamespacePid,
    ParentPid,
    ThreadId,
    Name,
    /// The first argument.
    Called,
    Path,
    Arguments,
    CommandLine,
    /// All arguments, the first included.
    CalledLine,
    CommandLength,
    ArgumentCount,
    WorkingDirectory,
    Environment,
    Terminal,
    Duration,
    SessionId,
    SessionName,
    SessionPath,
    IsMainThread,
    IsGroupLeader,
    InWritableLayer,
    InMemory,
    IsRuntime,
    /// The name of its file, where that is the image's or the host's own.
    Program,
    FileModified,
    FileChanged,
    FileAge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum UserPart {
    Id,
    Name,
    LoginId,
    LoginName,
    GroupId,
    GroupName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ContainerPart {
    Id,
    FullId,
    Name,
    Repository,
    Tag,
    Mounts,
    MountSource,
    MountDestination,
    MountMode,
    MountWritable,
    MountPropagation,
    Mount,
    Started,
    Duration,
    Label,
    Labels,
    /// Id, name and image in one text.
    Info,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum DescriptorPart {
    Number,
    Name,
    RawName,
    Directory,
    FileName,
    Type,
    TypeChar,
    Family,
    Address(Side),
    AddressName(Side),
    Port(Side),
    IsServer,
}

/// Whose address it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Side {
    Any,
    Client,
    Server,
    Local,
    Remote,
}

/// A field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Type,
    pub(super) source: Source,
    /// Whether it takes an argument in brackets.
    pub(super) argument: Argument,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Argument {
    None,
    Optional,
    Needed,
}

const fn field(name: &'static str, kind: Type, source: Source) -> Field {
    Field { name, kind, source, argument: Argument::None }
}

const fn with(name: &'static str, kind: Type, source: Source, argument: Argument) -> Field {
    Field { name, kind, source, argument }
}

/// Names of the context's fields that no event has, or that the context knows better: of the script that an interpreter
/// is given, the kernel says nothing.
const ONLY_CONTEXT: [&str; 2] = ["process.executable.newer_than_container", "process.script.path"];

/// All of them: these, and those of the context that Falco has the same value of.
pub(super) static FIELDS: LazyLock<Vec<Field>> = LazyLock::new(|| {
    let only = CONTEXT.iter().filter(|of| ONLY_CONTEXT.contains(&of.name));
    let only = only.map(|of| field(of.name, Type::of(of.kind), Source::Context(of)));
    let context = CONTEXT.iter().flat_map(|of| {
        let own = of.falco.iter().filter(|name| OWN.iter().chain(missing::FIELDS).all(|f| f.name != **name));
        own.map(move |name| field(name, Type::of(of.kind), Source::Context(of)))
    });
    OWN.iter().chain(missing::FIELDS).copied().chain(context).chain(only).collect()
});

const OWN: &[Field] = {
    use Argument::{Needed, Optional};
    use ContainerPart as C;
    use DescriptorPart as D;
    use EventPart as E;
    use ProcessPart as P;
    use Source::{Ancestor, Capabilities, Container, Descriptor, Event, Manifest, Parent, Process, User, Vocabulary};
    use Type::{Any, Bool, Ip, Net, Number, Text, Texts};
    &[
        field("tracker", Text, Event(E::Tracker)),
        field("event", Text, Event(E::Name)),
        field("evt.num", Number, Event(E::Number)),
        field("evt.type", Text, Event(E::Type)),
        field("syscall.type", Text, Event(E::Type)),
        field("evt.time", Text, Event(E::Time)),
        field("evt.datetime", Text, Event(E::Time)),
        field("evt.time.iso8601", Text, Event(E::Time)),
        field("evt.rawtime", Number, Event(E::RawTime)),
        field("evt.dir", Text, Event(E::Direction)),
        field("evt.source", Text, Event(E::Source)),
        field("evt.res", Text, Event(E::Result)),
        field("evt.rawres", Number, Event(E::RawResult)),
        field("evt.failed", Bool, Event(E::Failed)),
        field("evt.is_open_read", Bool, Event(E::OpenRead)),
        field("evt.is_open_write", Bool, Manifest),
        field("evt.is_open_create", Bool, Manifest),
        field("evt.is_open_exec", Bool, Event(E::OpenExec)),
        field("evt.args", Text, Event(E::Arguments)),
        with("evt.arg", Any, Manifest, Needed),
        with("evt.rawarg", Any, Manifest, Needed),
        field("evt.info", Text, Event(E::Arguments)),
        field("proc.pid", Number, Process(P::Pid)),
        field("proc.vpid", Number, Process(P::NamespacePid)),
        field("proc.ppid", Number, Process(P::ParentPid)),
        field("proc.name", Text, Process(P::Name)),
        field("proc.exe", Text, Process(P::Called)),
        field("proc.exepath", Text, Process(P::Path)),
        with("proc.args", Text, Process(P::Arguments), Optional),
        field("proc.cmdline", Text, Process(P::CommandLine)),
        field("proc.exeline", Text, Process(P::CalledLine)),
        field("proc.cmdlenargs", Number, Process(P::CommandLength)),
        field("proc.cmdnargs", Number, Process(P::ArgumentCount)),
        field("proc.cwd", Text, Process(P::WorkingDirectory)),
        with("proc.env", Text, Process(P::Environment), Optional),
        field("proc.tty", Number, Process(P::Terminal)),
        field("proc.duration", Number, Process(P::Duration)),
        field("proc.sid", Number, Process(P::SessionId)),
        field("proc.sname", Text, Process(P::SessionName)),
        field("proc.sid.exepath", Text, Process(P::SessionPath)),
        field("proc.is_vpgid_leader", Bool, Process(P::IsGroupLeader)),
        field("proc.is_exe_upper_layer", Bool, Process(P::InWritableLayer)),
        field("proc.is_exe_from_memfd", Bool, Process(P::InMemory)),
        // Ethogram's own: whether it is the container runtime's, as the kernel knows it.
        field("proc.is_runtime", Bool, Process(P::IsRuntime)),
        // Ethogram's own: the name of a program of the image or the host, unchanged and at its place. What was brought or
        // written later has none, whatever it calls itself: so rules may excuse what has one.
        field("proc.program", Text, Process(P::Program)),
        field("proc.pprogram", Text, Parent(P::Program)),
        with("proc.aprogram", Texts, Ancestor(P::Program), Optional),
        field("proc.exe_ino.mtime", Number, Process(P::FileModified)),
        field("proc.exe_ino.ctime", Number, Process(P::FileChanged)),
        field("proc.exe_ino.ctime_duration_proc_start", Number, Process(P::FileAge)),
        field("proc.pname", Text, Parent(P::Name)),
        field("proc.pexe", Text, Parent(P::Called)),
        field("proc.pexepath", Text, Parent(P::Path)),
        field("proc.pcmdline", Text, Parent(P::CommandLine)),
        // Ethogram's own: as proc.exeline, of the parent.
        field("proc.pexeline", Text, Parent(P::CalledLine)),
        with("proc.aname", Texts, Ancestor(P::Name), Optional),
        with("proc.aexe", Texts, Ancestor(P::Called), Optional),
        with("proc.aexepath", Texts, Ancestor(P::Path), Optional),
        with("proc.acmdline", Texts, Ancestor(P::CommandLine), Optional),
        with("proc.apid", Texts, Ancestor(P::Pid), Optional),
        with("proc.aargs", Texts, Ancestor(P::Arguments), Optional),
        field("thread.tid", Number, Process(P::ThreadId)),
        field("thread.ismain", Bool, Process(P::IsMainThread)),
        field("thread.cap_effective", Text, Capabilities("_capabilities_effective")),
        field("thread.cap_permitted", Text, Capabilities("_capabilities_permitted")),
        field("user.uid", Number, User(UserPart::Id)),
        field("user.name", Text, User(UserPart::Name)),
        field("user.loginuid", Number, User(UserPart::LoginId)),
        field("user.loginname", Text, User(UserPart::LoginName)),
        field("group.gid", Number, User(UserPart::GroupId)),
        field("group.name", Text, User(UserPart::GroupName)),
        field("container.id", Text, Container(C::Id)),
        field("container.full_id", Text, Container(C::FullId)),
        field("container.name", Text, Container(C::Name)),
        field("container.image.repository", Text, Container(C::Repository)),
        field("container.image.tag", Text, Container(C::Tag)),
        field("container.mounts", Text, Container(C::Mounts)),
        with("container.mount", Text, Container(C::Mount), Needed),
        with("container.mount.source", Text, Container(C::MountSource), Needed),
        with("container.mount.dest", Text, Container(C::MountDestination), Needed),
        with("container.mount.mode", Text, Container(C::MountMode), Needed),
        with("container.mount.rdwr", Text, Container(C::MountWritable), Needed),
        with("container.mount.propagation", Text, Container(C::MountPropagation), Needed),
        field("container.start_ts", Number, Container(C::Started)),
        field("container.duration", Number, Container(C::Duration)),
        with("container.label", Text, Container(C::Label), Needed),
        field("container.labels", Text, Container(C::Labels)),
        field("container.info", Text, Container(C::Info)),
        with("k8s.pod.label", Text, Container(C::Label), Needed),
        field("k8s.pod.labels", Text, Container(C::Labels)),
        field("fd.num", Number, Descriptor(D::Number)),
        field("fd.name", Text, Descriptor(D::Name)),
        field("fd.nameraw", Text, Descriptor(D::RawName)),
        field("fd.directory", Text, Descriptor(D::Directory)),
        field("fd.filename", Text, Descriptor(D::FileName)),
        field("fd.type", Text, Descriptor(D::Type)),
        field("fd.typechar", Text, Descriptor(D::TypeChar)),
        field("fd.sockfamily", Text, Descriptor(D::Family)),
        field("fd.is_server", Bool, Descriptor(D::IsServer)),
        field("fd.ip", Ip, Descriptor(D::Address(Side::Any))),
        field("fd.cip", Ip, Descriptor(D::Address(Side::Client))),
        field("fd.sip", Ip, Descriptor(D::Address(Side::Server))),
        field("fd.lip", Ip, Descriptor(D::Address(Side::Local))),
        field("fd.rip", Ip, Descriptor(D::Address(Side::Remote))),
        field("fd.net", Net, Descriptor(D::Address(Side::Any))),
        field("fd.cnet", Net, Descriptor(D::Address(Side::Client))),
        field("fd.snet", Net, Descriptor(D::Address(Side::Server))),
        field("fd.lnet", Net, Descriptor(D::Address(Side::Local))),
        field("fd.rnet", Net, Descriptor(D::Address(Side::Remote))),
        field("fd.cip.name", Text, Descriptor(D::AddressName(Side::Client))),
        field("fd.sip.name", Text, Descriptor(D::AddressName(Side::Server))),
        field("fd.lip.name", Text, Descriptor(D::AddressName(Side::Local))),
        field("fd.rip.name", Text, Descriptor(D::AddressName(Side::Remote))),
        field("fd.port", Number, Descriptor(D::Port(Side::Any))),
        field("fd.cport", Number, Descriptor(D::Port(Side::Client))),
        field("fd.sport", Number, Descriptor(D::Port(Side::Server))),
        field("fd.lport", Number, Descriptor(D::Port(Side::Local))),
        field("fd.rport", Number, Descriptor(D::Port(Side::Remote))),
        field("fd.l4proto", Text, Manifest),
        field("fd.connected", Bool, Manifest),
        field("fd.name_changed", Bool, Manifest),
        field("fs.path.name", Text, Vocabulary("file.path")),
        field("fs.path.source", Text, Vocabulary("file.path")),
        field("fs.path.target", Text, Vocabulary("file.new_path")),
        field("fs.path.nameraw", Text, Vocabulary("file.requested_path")),
    ]
};

/// The field of that name; `evt.arg.NAME` is `evt.arg[NAME]`.
pub(super) fn find(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|f| f.name == name)
}
