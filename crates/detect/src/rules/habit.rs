//! What all events of a habit have in common: the kernel tells habits apart by who does what to what, and what is part of
//! that is the same in each (`habit.bpf.h`, `lineage.bpf.h`, and what the trackers take for their objects).

use std::sync::Arc;

use ethogram_model::{Event, EventSchema, Exec, schema::Descriptor, vocabulary::Lasts};

use super::{
    access::Access,
    field::{ContainerPart, ProcessPart, Side, UserPart},
    test::Test,
};

/// Whether a value is the same in all events of a habit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfHabit {
    /// It may be another each time.
    No,
    /// It is the same.
    Yes,
    /// It is the same where that ancestor, or all where none is named, runs in the container: the arguments of what started
    /// the container are not told apart, as they hold its id.
    Inside(Option<usize>),
}

impl OfHabit {
    pub(super) fn of(access: &Access, schema: &EventSchema) -> Self {
        let yes = |is: bool| if is { Self::Yes } else { Self::No };
        let name = |at: usize| schema.fields.get(at).map_or("", |f| f.name.as_str());
        match access {
            Access::Absent | Access::Constant(_) | Access::ConstantBool(_) | Access::ConstantNumber(_) => Self::Yes,
            Access::Types(_) | Access::IsServer(_) | Access::SocketType(..) => Self::Yes,
            Access::Directory(at) | Access::FileName(at) | Access::FileType(at, _) => yes(is_of_key(schema, name(*at))),
            Access::Field(at) | Access::UserId(at) | Access::OpenRead(at) => yes(is_of_key(schema, name(*at))),
            Access::OpenExec { created, mode } => {
                yes(is_of_key(schema, name(*created)) && is_of_key(schema, name(*mode)))
            }
            Access::Result(error) | Access::RawResult(error) | Access::Failed(error) => {
                yes(error.is_none_or(|at| is_of_key(schema, name(at))))
            }
            Access::RawName { path, .. } => yes(is_of_key(schema, name(*path))),
            Access::Address(ends, side) => match (side, ends.is_server()) {
                (Side::Local, _) | (Side::Server, true) | (Side::Client, false) => Self::Yes,
                (Side::Any | Side::Remote | Side::Server | Side::Client, is_server) => yes(!is_server),
            },
            Access::Port(ends, side) => match (side, ends.is_server()) {
                (Side::Local | Side::Server, true) | (Side::Remote | Side::Server, false) => Self::Yes,
                _ => Self::No,
            },
            Access::Process(part) | Access::Ancestor(part, 0) => yes(names(*part) || says(*part) || is_of_file(*part)),
            Access::ProcessArgument(_) => Self::Yes,
            Access::Parent(part) | Access::Ancestor(part, 1) => Self::above(*part, Some(0)),
            Access::Ancestor(part, n) => Self::above(*part, Some(n - 1)),
            Access::Ancestors(part) => Self::above(*part, None),
            Access::User(part) => yes(matches!(part, UserPart::Id | UserPart::Name)),
            Access::Container(part, _) => yes(matches!(part, ContainerPart::Repository | ContainerPart::Tag)),
            Access::Context(field) => yes(field.lasts == Lasts::Workload),
            Access::LowestFlag(_) | Access::Number | Access::Time | Access::RawTime | Access::Arguments => Self::No,
            Access::Environment(_) | Access::Connection(_) | Access::AddressName(..) => Self::No,
        }
    }

    fn above(part: ProcessPart, which: Option<usize>) -> Self {
        match part {
            part if names(part) => Self::Yes,
            part if says(part) || is_of_file(part) => Self::Inside(which),
            _ => Self::No,
        }
    }

    /// Whether the value in this event is that in all of its habit.
    pub(super) fn is_told_by(self, event: &Event) -> bool {
        let context = &event.context;
        // Where nothing is known above, something may be.
        match (self, &context.process, &context.container) {
            (Self::Yes, ..) => true,
            (Self::Inside(which), Some(process), Some(container)) => {
                let mut above = process.ancestors.iter().skip(which.unwrap_or(0));
                let inside = |exec: &Arc<Exec>| exec.container_cgroup == container.cgroup_id;
                if which.is_some() { above.next().is_some_and(inside) } else { above.all(inside) }
            }
            (Self::No | Self::Inside(_), ..) => false,
        }
    }
}

/// Whether a field of the record is part of what a habit is told by, or follows from it.
fn is_of_key(schema: &EventSchema, name: &str) -> bool {
    let is_server = schema.rules.as_ref().is_some_and(|r| r.fd == Some(Descriptor::Server));
    match name {
        "process.user.id" | "error.type" | "network.transport" | "network.connection.established" => true,
        "file.path" | "file.type" | "file.mode" | "file.created" | "file.writable_layer" => true,
        "file.requested_path"
        | "file.open.flags"
        | "file.open.write"
        | "network.local.address"
        | "network.local.requested_port" => true,
        "network.peer.address" | "network.peer.port" => !is_server,
        "network.local.port" => is_server,
        _ => false,
    }
}

/// By which program something is done.
fn names(part: ProcessPart) -> bool {
    matches!(part, ProcessPart::Name | ProcessPart::Path)
}

/// By which arguments.
fn says(part: ProcessPart) -> bool {
    use ProcessPart::{Arguments, Called, CalledLine, CommandLength, CommandLine};
    matches!(part, Called | Arguments | CommandLine | CalledLine | CommandLength)
}

/// Of which kind of file.
fn is_of_file(part: ProcessPart) -> bool {
    matches!(part, ProcessPart::InWritableLayer | ProcessPart::InMemory)
}

/// Whether a test of a container's id only asks whether there is none.
pub(super) fn asks_for_host(access: &Access, test: &Test) -> bool {
    let Access::Container(ContainerPart::Id | ContainerPart::FullId, _) = access else { return false };
    matches!(test, Test::OneOf(texts) if texts.len() == 1 && texts.contains(&b"host"[..]))
}
