//! What a tracker's records look like, as read from its object's BTF and its manifest.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

pub mod layout;

use layout::{Layout, LazyLayout};

use crate::Severity;

/// Everything that is known of a tracker without loading it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrackerSchema {
    /// Name of the tracker's folder, and what users call it.
    pub name: Arc<str>,
    /// One line for people.
    pub summary: String,
    /// Whether `ethogram server` starts it by itself.
    pub default: bool,
    /// What the agent itself needs this tracker for, if anything.
    pub role: Option<Role>,
    /// The events it emits and the samples it aggregates.
    pub events: Vec<Arc<EventSchema>>,
    /// What can be set when it starts.
    pub params: Vec<Param>,
}

/// Why the agent itself listens to a tracker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Its `fork`, `exec` and `exit` events keep the process table.
    Lineage,
    /// Its `create`, `remove` and `attach` events keep the container table.
    Containers,
}

/// The layout and meaning of one kind of record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventSchema {
    /// The tracker that makes it.
    pub tracker: Arc<str>,
    /// `exec`, `connect`, ...
    pub name: Arc<str>,
    /// What identifies this event within its tracker's ring.
    pub code: u16,
    /// Bytes of the fixed part.
    pub size: usize,
    /// Whether it is counted in the kernel and read every interval, not sent one by one.
    pub sample: bool,
    /// Its fields, in the order of the C struct; those of the common header come first.
    pub fields: Vec<Field>,
    /// What the behaviour model learns from it.
    pub behaviours: Vec<BehaviourSpec>,
    /// What it is in the language of rules, where that has words for it.
    #[serde(default)]
    pub rules: Option<RuleSpec>,
    /// What it is about. Schemas of earlier agents do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<AboutSpec>,
    /// Where it has what every event is asked for. It follows from the rest, which does not change once this was used.
    #[serde(skip)]
    pub layout: LazyLayout,
}

impl EventSchema {
    /// Where it has what every event is asked for.
    pub fn layout(&self) -> &Layout {
        self.layout.get(self)
    }

    /// The field of that vocabulary name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|f| f.name == name)
    }

    /// Whether its fields say which of them are the same in all events of one habit. They did not yet when an old
    /// recording was made.
    pub fn has_habit_key(&self) -> bool {
        self.fields.iter().any(|f| f.habit_key)
    }
}

/// One field of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Its name in the vocabulary: `file.path`.
    pub name: String,
    /// Its name in C, and in tables.
    pub label: String,
    /// How its bytes are read.
    pub kind: FieldKind,
    /// Bytes from the start of the record.
    pub offset: usize,
    /// Bytes it takes in the fixed part.
    pub size: usize,
    /// What it means, with its unit.
    pub doc: String,
    /// What its numbers are called, where they stand for something: the enumerators of its C type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<(u64, String)>,
    /// Whether it is the same in all events of one habit: the tag `HABIT_KEY` in C says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub habit_key: bool,
    /// Part of the common header: shown through the event's process and container, not as a field of its own.
    pub header: bool,
}

/// How a field's bytes are read. The C typedef's name decides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// An unsigned integer of the field's size.
    Unsigned,
    /// A signed integer of the field's size.
    Signed,
    /// `bool8`: zero is false, anything else true.
    Bool,
    /// `char[N]`: text up to the first NUL.
    Text,
    /// `str_ref`: text in the tail.
    Str,
    /// `path_ref`: a path in the tail, written leaf first.
    Path,
    /// `path_buf`: a path in the fixed part, written leaf first.
    PathBuf,
    /// `path_at`: a path as asked for and the directory it is relative to, both in the tail. Read as one absolute path,
    /// without `.` and `..`; symbolic links are not followed.
    PathAt,
    /// `requested_path`: a path as it was resolved, and then as `path_at`. Read as the latter, with `..`, where they differ.
    RequestedPath,
    /// Made for each path of the above: whether that is cut. True or absent.
    PathCut,
    /// `args_ref`: NUL-separated strings in the tail.
    Args,
    /// `ip_address`: sixteen bytes, IPv4 mapped into IPv6.
    Ip,
    /// `duration_ns`: nanoseconds; all ones when unknown.
    Duration,
    /// `error_number`: a positive errno, zero for none.
    Errno,
    /// `open_flags`: the O_* bits.
    OpenFlags,
    /// `file_type`: the S_IFMT part of a mode.
    FileType,
    /// `file_mode`: permissions, shown in octal; all ones for none.
    FileMode,
    /// `signal_number`: zero for none.
    Signal,
    /// `optional_id`: of a user, a process and so on; all ones for none.
    Id,
    /// An enum, or `syscall_number`: one of the field's names.
    Name,
    /// A typedef of an enum whose name ends in `_flags`, or of a number declared with `SET`: any of the field's names
    /// at once.
    Flags,
    /// `syscall_set`: a byte for each number, and the names of those whose byte is not zero.
    Names,
}

impl Field {
    /// The field that says whether this path is cut; none where it is no path.
    pub fn truncated(&self) -> Option<Self> {
        use FieldKind::{Path, PathAt, PathBuf, RequestedPath};
        matches!(self.kind, Path | PathAt | PathBuf | RequestedPath).then(|| Self {
            name: format!("{}_truncated", self.name),
            label: format!("{}_cut", self.label),
            kind: FieldKind::PathCut,
            doc: format!("whether `{}` is cut, and begins with `…/`; absent where it is whole", self.name),
            ..self.clone()
        })
    }

    /// What a number of this field is called: the name of an enum's value, or those of the flags that are set, joined
    /// by `|`. What has no name stays a number.
    pub fn name_of(&self, number: u64) -> String {
        if let Some((_, name)) = self.names.iter().find(|(n, _)| *n == number) {
            return name.clone();
        }
        if self.kind != FieldKind::Flags {
            return number.to_string();
        }
        let set = self.names.iter().filter(|(bits, _)| *bits != 0 && number & bits == *bits);
        let (mut names, known) = set.fold((Vec::new(), 0), |(mut names, known), (bits, name)| {
            names.push(name.clone());
            (names, known | bits)
        });
        if number & !known != 0 {
            names.push(format!("{:#x}", number & !known));
        }
        names.join("|")
    }
}

/// A `const volatile` of the object that can be set when the tracker starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Param {
    /// Its name in C and on the command line.
    pub name: String,
    /// What it does, with its unit.
    pub doc: String,
    /// Bytes it takes.
    pub size: usize,
    /// Byte offset in `.rodata`.
    pub offset: usize,
    /// Whether it is a number that may be negative.
    pub signed: bool,
    /// Whether it is a `bool8`.
    pub boolean: bool,
    /// The value in the object.
    pub default: i128,
}

/// How an event is a behaviour, from the tracker's manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BehaviourSpec {
    /// The event that shows it.
    pub event: String,
    /// What is done, in one word: `execute`, `connect`.
    pub operation: String,
    /// The fields that together name what it is done to.
    pub object: Vec<String>,
    /// How the object is generalised.
    pub kind: ObjectKind,
    /// A field that must be true (or not zero) for the event to count.
    #[serde(default)]
    pub when: Option<String>,
    /// A field that must be false (or zero) for the event to count.
    #[serde(default)]
    pub unless: Option<String>,
    /// The field with the path that the object had before, or has as well: a new name in the same folder does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// How severe a new one is, unless its object says more. By default that follows from the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// ATT&CK techniques of a new one: `T1611`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub techniques: Vec<String>,
    /// How it is put in words. Schemas of earlier agents do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<BehaviourWords>,
}

/// How a behaviour is put in words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BehaviourWords {
    /// What was done, as it follows the name of what did it; `{object}` is what it was done to: `connected to {object}`.
    pub sentence: String,
    /// What is said of an executable that does it for the first time: `it never connected to anything before`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// What a profile lists below it: `who talks to whom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heading: Option<String>,
    /// Where a profile lists it: operations with lower numbers come first, those without one last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank: Option<u32>,
    /// What objects mean that are words themselves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub objects: BTreeMap<String, String>,
}

/// What an event is about, from the tracker's manifest, as far as the event has these fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AboutSpec {
    /// Of these fields, the first that holds a text says what the event is about.
    #[serde(default)]
    pub fields: Vec<String>,
    /// Fields that say what addresses are called.
    #[serde(default)]
    pub names: Option<NameFields>,
}

/// Two fields that say what addresses are called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameFields {
    /// The name.
    pub name: String,
    /// The list of addresses that it stands for, among other texts.
    pub addresses: String,
}

/// A field by whose value the kernel's policies can decide only some of an event's kinds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyField {
    /// The field.
    pub field: String,
    /// The values that can be decided.
    pub decided: Vec<String>,
    /// Those that cannot, and what they are in words.
    #[serde(default)]
    pub undecided: BTreeMap<String, String>,
}

/// What an event is in Falco's language of rules, from the tracker's manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    /// The event.
    pub event: String,
    /// The values of `evt.type` that it has: all calls that do the same.
    #[serde(default)]
    pub types: Vec<String>,
    /// The field whose name is its `evt.type`, where it can be several calls.
    #[serde(default)]
    pub type_from: Option<String>,
    /// What `fd.*` is about.
    #[serde(default)]
    pub fd: Option<Descriptor>,
    /// Further fields by their names in Falco, and the fields here that hold the same.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// Fields by their names in Falco that have always the same value in this event.
    #[serde(default)]
    pub constants: BTreeMap<String, String>,
    /// What policies of the kernel call the operation that it reports, where they can decide it. Each operation that they
    /// decide is then such an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyOperation>,
    /// The field that says which such events these policies can decide, where they cannot decide all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_field: Option<PolicyField>,
}

/// An operation that the kernel can be asked to refuse, or to kill for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyOperation {
    /// A program is run: `process.executable.path`.
    Exec,
    /// A file is opened or created for writing, or truncated: `file.path`.
    Write,
    /// A connection to an IP address is opened, or something is sent to one without: `network.peer.address` and `network.peer.port`.
    Connect,
    /// A file system is mounted, or a mount is moved.
    Mount,
    /// Another process is traced, or its memory is read or written.
    Ptrace,
    /// A kernel module is loaded, or a process has one loaded.
    Module,
    /// Any bpf call is made.
    Bpf,
}

impl PolicyOperation {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Exec, Self::Write, Self::Connect, Self::Mount, Self::Ptrace, Self::Module, Self::Bpf];
}

/// What the file descriptor of an event stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Descriptor {
    /// A file, at `file.path`.
    File,
    /// A socket whose peer is the server.
    Client,
    /// A socket whose own side is the server.
    Server,
}

/// How the object of a behaviour is generalised and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// An executable: its path, and the name by which it was called; judged with its parent.
    Executable,
    /// Any path.
    Path,
    /// A path that counts only when it is a sensitive one.
    SensitivePath,
    /// A path that counts only where what is there decides what the system does, is sensitive, or is code; as any path from then
    /// on.
    GuardedPath,
    /// An address and a port.
    Peer,
    /// A local port.
    Port,
    /// A name, or a word that says what was done: compared as it is.
    Name,
    /// A file that loses its name. Where others come into the place of many, which end otherwise, that is one behaviour.
    RemovedFile,
    /// A name that a file gets, which was no file's before.
    NewFile,
    /// A file that was there, and is opened for writing. Where many get another name then, that is one behaviour.
    ChangedFile,
    /// A name that is asked for. Where many below one domain carry data, that is one behaviour.
    Subdomain,
}

impl ObjectKind {
    /// Whether only many of them are a behaviour.
    pub fn is_bulk(self) -> bool {
        matches!(self, Self::RemovedFile | Self::NewFile | Self::ChangedFile | Self::Subdomain)
    }
}
