//! What manifests say of behaviours since, for recordings and profiles of earlier agents, which lack it. No others are added.

use ethogram_model::{ObjectKind, Severity};

/// An operation of that time.
pub(super) struct Earlier {
    operation: &'static str,
    pub(super) kind: ObjectKind,
    pub(super) severity: Option<Severity>,
    pub(super) sentence: &'static str,
    pub(super) first: Option<&'static str>,
    pub(super) heading: &'static str,
}

/// By rank.
const ALL: [Earlier; 8] = [
    Earlier {
        first: Some("it never ran a program before"),
        ..earlier("execute", ObjectKind::Executable, "ran {object}", "what starts what")
    },
    Earlier {
        first: Some("it never connected to anything before"),
        ..earlier("connect", ObjectKind::Peer, "connected to {object}", "who talks to whom")
    },
    earlier("listen", ObjectKind::Port, "listened on {object}", "on which ports"),
    Earlier {
        severity: Some(Severity::Low),
        ..earlier("accept", ObjectKind::Port, "accepted a connection on {object}", "clients, by port")
    },
    earlier("write", ObjectKind::Path, "wrote {object}", "who writes what"),
    earlier("read", ObjectKind::SensitivePath, "read {object}", "who reads which secrets"),
    Earlier {
        first: Some("it never made code before"),
        ..earlier("generate", ObjectKind::Name, "made code in memory ({object})", "who makes code in memory")
    },
    earlier("trace", ObjectKind::Name, "reached into the memory of {object}", "who reaches into whose memory"),
];

/// What objects mean that are words themselves.
pub(super) const OBJECTS: [(&str, &str); 3] = [
    ("writable_executable", "writable and executable at once"),
    ("made_executable", "executable once it was written"),
    ("executable_memfd", "from a file in memory only"),
];

const fn earlier(operation: &'static str, kind: ObjectKind, sentence: &'static str, heading: &'static str) -> Earlier {
    Earlier { operation, kind, severity: None, sentence, first: None, heading }
}

pub(super) fn find(operation: &str) -> Option<&'static Earlier> {
    ALL.iter().find(|earlier| earlier.operation == operation)
}

/// See [`ethogram_model::BehaviourWords::rank`].
pub(super) fn rank(operation: &str) -> Option<u32> {
    ALL.iter().zip(1..).find_map(|(earlier, rank)| (earlier.operation == operation).then_some(rank))
}
