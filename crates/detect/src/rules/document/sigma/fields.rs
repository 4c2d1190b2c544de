//! What Sigma's log sources and fields are in the language of rules here.

use std::borrow::Cow;

use crate::rules::{document::did_you_mean, yaml::Node};

/// What a log source's events are: one way to see them for each kind of event that reports it differently.
pub(super) struct Source {
    pub(super) views: &'static [View],
    /// Fields besides the process's.
    pub(super) is_audit: bool,
    /// What a finding shows besides the process.
    pub(super) shown: &'static str,
}

/// Events, and where their fields are.
pub(super) struct View {
    /// Which events: a condition.
    pub(super) when: &'static str,
    fields: &'static [(&'static str, Kind, &'static str)],
}

/// A field of Sigma's.
pub(super) struct Mapped {
    /// Where it is: any of these.
    pub(super) here: Vec<Cow<'static, str>>,
    pub(super) kind: Kind,
}

/// What its values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// A path that ends with a slash here.
    Directory,
    Number,
    /// An address, and where the network that it is in is compared.
    Address(&'static str),
    /// True here where it is false there.
    Inverted,
    /// The name of a system call, or its number on x86-64.
    Call,
    /// The type of a record of the audit system.
    Record,
}

use Kind::{Address, Call, Directory, Inverted, Number, Record, Text};

const PROCESS: &[(&str, Kind, &str)] = &[
    ("Image", Text, "proc.exepath"),
    ("CommandLine", Text, "proc.exeline"),
    ("CurrentDirectory", Directory, "proc.cwd"),
    ("OriginalFileName", Text, "proc.name"),
    ("ProcessId", Number, "proc.pid"),
    ("User", Text, "user.name"),
    ("ParentImage", Text, "proc.pexepath"),
    ("ParentCommandLine", Text, "proc.pexeline"),
    ("ParentProcessId", Number, "proc.ppid"),
];

const AUDIT: &[(&str, Kind, &str)] = &[
    ("type", Record, "evt.type"),
    ("syscall", Call, "evt.type"),
    ("SYSCALL", Call, "evt.type"),
    ("exe", Text, "proc.exepath"),
    ("comm", Text, "proc.name"),
    ("proctitle", Text, "proc.exeline"),
    ("cwd", Directory, "proc.cwd"),
    ("pid", Number, "proc.pid"),
    ("ppid", Number, "proc.ppid"),
    ("uid", Number, "user.uid"),
    ("UID", Text, "user.name"),
    ("auid", Number, "user.loginuid"),
    ("AUID", Text, "user.loginname"),
    ("gid", Number, "group.gid"),
    ("GID", Text, "group.name"),
    ("success", Inverted, "evt.failed"),
    ("exit", Number, "evt.rawres"),
];

const STARTED: Source = Source {
    views: &[View { when: "evt.type in (execve, execveat)", fields: &[] }],
    is_audit: false,
    shown: "directory=%proc.cwd",
};

/// A file comes to be by being opened, made, linked or renamed.
const FILES: Source = Source {
    views: &[
        View {
            when: "evt.type in (open, openat, openat2, creat) and (evt.is_open_write = true or evt.is_open_create = true)",
            fields: &[("TargetFilename", Text, "fd.name")],
        },
        View {
            when: "evt.type in (mkdir, mkdirat, mknod, mknodat, link, linkat, symlink, symlinkat)",
            fields: &[("TargetFilename", Text, "fs.path.name")],
        },
        View {
            when: "evt.type in (rename, renameat, renameat2)",
            fields: &[("TargetFilename", Text, "fs.path.target")],
        },
    ],
    is_audit: false,
    shown: "file=%fs.path.name new=%fs.path.target",
};

const CONNECTIONS: Source = Source {
    views: &[View {
        when: "evt.type in (connect, sendto, sendmsg, accept, accept4) and fd.l4proto in (tcp, udp)",
        fields: &[
            ("DestinationIp", Address("fd.snet"), "fd.sip"),
            ("DestinationPort", Number, "fd.sport"),
            ("DestinationHostname", Text, "fd.sip.name"),
            ("SourceIp", Address("fd.cnet"), "fd.cip"),
            ("SourcePort", Number, "fd.cport"),
            ("SourceHostname", Text, "fd.cip.name"),
            ("Protocol", Text, "fd.l4proto"),
            ("Initiated", Inverted, "fd.is_server"),
        ],
    }],
    is_audit: false,
    shown: "connection=%fd.name",
};

const AUDITED: Source = Source {
    views: &[View { when: "evt.type exists", fields: AUDIT }],
    is_audit: true,
    shown: "event=%evt.type file=%fs.path.name",
};

/// The record of the audit system that a detection is about, as far as its fields depend on that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audited {
    /// The arguments are a program's.
    Program,
    /// The arguments are a system call's.
    Call,
}

/// The events of a log source.
///
/// # Errors
/// Why there are none here.
pub(super) fn source(node: &Node) -> Result<&'static Source, String> {
    let get = |key: &str| node.get(key).and_then(Node::text);
    if let Some(product) = get("product").filter(|p| *p != "linux") {
        return Err(format!("there are no events of the product '{product}' here, only linux"));
    }
    match (get("category"), get("service")) {
        (Some("process_creation"), _) => Ok(&STARTED),
        (Some("file_event"), _) => Ok(&FILES),
        (Some("network_connection"), _) => Ok(&CONNECTIONS),
        (None, Some("auditd")) => Ok(&AUDITED),
        (Some(category), _) => {
            let near = did_you_mean(category, ["process_creation", "file_event", "network_connection"]);
            Err(format!("there are no events of the category '{category}' here{near}"))
        }
        (None, Some(service)) => Err(format!("the log of '{service}' is not read")),
        (None, None) => Err("its logsource has neither a category nor a service".into()),
    }
}

/// A field of Sigma's in a view.
///
/// # Errors
/// Why it is not to be had.
pub(super) fn find(view: &View, source: &Source, audited: Audited, name: &str) -> Result<Mapped, String> {
    let one = |here: Cow<'static, str>, kind| Ok(Mapped { here: vec![here], kind });
    let known = || view.fields.iter().chain(if source.is_audit { &[] } else { PROCESS });
    if let Some((_, kind, here)) = known().find(|(known, ..)| *known == name) {
        return one(Cow::Borrowed(here), *kind);
    }
    if !source.is_audit {
        let near = did_you_mean(name, known().map(|(name, ..)| name));
        return Err(format!("there is no field '{name}' here{near}"));
    }
    if let Some(number) = name.strip_prefix('a').and_then(|n| n.parse::<u16>().ok()) {
        return match (audited, number.checked_sub(1)) {
            (Audited::Call, _) => Err(format!("'{name}': the numbers that a system call was given are not kept")),
            (Audited::Program, None) => one(Cow::Borrowed("proc.exe"), Text),
            (Audited::Program, Some(place)) => one(Cow::Owned(format!("proc.args[{place}]")), Text),
        };
    }
    match name {
        // A call that has two names has both in its records.
        "name" => Ok(Mapped { here: vec!["fs.path.name".into(), "fs.path.target".into()], kind: Text }),
        "key" => Err("'key': the rules of the audit system, and so their keys, are not read".into()),
        _ => {
            let near = did_you_mean(name, known().map(|(name, ..)| *name).chain(["name", "a0"]));
            Err(format!("there is no field '{name}' here{near}"))
        }
    }
}

/// The events that have a record of that type: a condition.
pub(super) fn record(name: &str) -> Option<&'static str> {
    Some(match name {
        "EXECVE" | "PROCTITLE" => "evt.type in (execve, execveat)",
        "PATH" => "(evt.type exists and (fs.path.name exists or fs.path.target exists))",
        "SYSCALL" | "CWD" => "evt.type exists",
        _ => return None,
    })
}

/// The system call of that name, or of that number on x86-64.
pub(super) fn call(text: &str) -> String {
    let by_number = text.parse::<usize>().ok().and_then(syscalls::x86_64::Sysno::new);
    by_number.map_or_else(|| text.to_ascii_lowercase(), |call| call.name().to_owned())
}

/// The network of an address that is written only in part: `10.1.`.
pub(super) fn network(start: &str) -> Option<String> {
    let bytes: Vec<u8> = start.strip_suffix('.')?.split('.').map(|b| b.parse().ok()).collect::<Option<_>>()?;
    let zeros = 4usize.checked_sub(bytes.len()).filter(|zeros| *zeros > 0)?;
    let bits = bytes.len() * 8;
    let all: Vec<String> = bytes.iter().map(u8::to_string).chain(vec!["0".to_owned(); zeros]).collect();
    Some(format!("{}/{bits}", all.join(".")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::field;

    /// A field that is misspelt here would keep all rules that ask for it from firing.
    #[test]
    fn what_is_named_here_there_is() {
        let all = [&STARTED, &FILES, &CONNECTIONS, &AUDITED].into_iter().flat_map(|s| s.views);
        for (_, kind, here) in all.flat_map(|view| view.fields).chain(PROCESS) {
            let field = field::find(here).unwrap_or_else(|| panic!("{here}"));
            let fits = match kind {
                Kind::Address(network) => {
                    field.kind == field::Type::Ip && field::find(network).unwrap().kind == field::Type::Net
                }
                Kind::Number => field.kind == field::Type::Number,
                Kind::Inverted => field.kind == field::Type::Bool,
                _ => field.kind == field::Type::Text,
            };
            assert!(fits, "{here} is {:?}", field.kind);
        }
    }

    #[test]
    fn addresses_that_begin_so_are_a_network() {
        assert_eq!(network("10.").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(network("192.168.").as_deref(), Some("192.168.0.0/16"));
        assert_eq!(network("192.168.7.").as_deref(), Some("192.168.7.0/24"));
        for odd in ["", ".", "10", "10.1", "300.", "1.2.3.4.", "fe80:"] {
            assert_eq!(network(odd), None, "{odd}");
        }
    }

    #[test]
    fn calls_are_named_by_number() {
        assert_eq!(call("59"), "execve");
        assert_eq!(call("INIT_MODULE"), "init_module");
        assert_eq!(call("99999"), "99999");
    }
}
