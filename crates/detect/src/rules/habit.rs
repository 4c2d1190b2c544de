//! What all events of a habit have in common: the kernel distinguishes habits by who does what to what, and what is part of
//! that is the same in each. Who it is, lineages say (`habit.bpf.h`, `lineage.bpf.h`); of the event's own fields, a tag in C
//! says which are part of it.

mod untagged;

use std::sync::Arc;

use ethogram_model::{Event, EventSchema, Exec, vocabulary::Lasts};

use super::{
    access::Access,
    field::{ContainerPart, ProcessPart, UserPart},
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
    /// the container are not distinguished, as they hold its id.
    Inside(Option<usize>),
}

impl OfHabit {
    pub(super) fn of(access: &Access, schema: &EventSchema) -> Self {
        let yes = |is: bool| if is { Self::Yes } else { Self::No };
        let is_key = |at: usize| is_key(schema, at);
        match access {
            Access::Absent | Access::Constant(_) | Access::ConstantBool(_) | Access::ConstantNumber(_) => Self::Yes,
            Access::Types(_) | Access::IsServer(_) => Self::Yes,
            Access::Directory(at) | Access::FileName(at) | Access::FileType(at, _) => yes(is_key(*at)),
            Access::Field(at)
            | Access::Raw(at)
            | Access::UserId(at)
            | Access::OpenRead(at)
            | Access::SocketType(at, _) => yes(is_key(*at)),
            Access::OpenExec { created, mode } => yes(is_key(*created) && is_key(*mode)),
            Access::Result(error) | Access::RawResult(error) | Access::Failed(error) => yes(is_key(*error)),
            Access::RawName { requested, path } => yes(is_key(*requested) && is_key(*path)),
            Access::Address(ends, side) => yes(ends.addresses(*side).into_iter().all(|at| at.is_some_and(is_key))),
            Access::Port(ends, side) => yes(ends.ports(*side).into_iter().all(|at| at.is_some_and(is_key))),
            Access::Process(part) | Access::Ancestor(part, 0) => {
                yes(is_program_identity(*part) || is_arguments(*part) || is_of_file(*part))
            }
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
            part if is_program_identity(part) => Self::Yes,
            part if is_arguments(part) || is_of_file(part) => Self::Inside(which),
            _ => Self::No,
        }
    }

    /// Whether the value in this event is that in all of its habit.
    pub(super) fn is_same_in_habit_of(self, event: &Event) -> bool {
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

/// Whether a field, by its place, is the same in all events of a habit.
fn is_key(schema: &EventSchema, at: usize) -> bool {
    let has_tags = schema.has_habit_key();
    schema.fields.get(at).is_some_and(|f| if has_tags { f.habit_key } else { untagged::is_key(schema, &f.name) })
}

/// Whether it says which program does something.
fn is_program_identity(part: ProcessPart) -> bool {
    matches!(part, ProcessPart::Name | ProcessPart::Path)
}

/// Whether it says with which arguments.
fn is_arguments(part: ProcessPart) -> bool {
    use ProcessPart::{ArgumentCount, Arguments, Called, CalledLine, CommandLength, CommandLine, Program};
    // Of a script, its interpreter's arguments say which program it is.
    matches!(part, Called | Arguments | ArgumentCount | CommandLine | CalledLine | CommandLength | Program)
}

/// Whether it says of which kind of file the program is.
fn is_of_file(part: ProcessPart) -> bool {
    matches!(part, ProcessPart::InWritableLayer | ProcessPart::InMemory | ProcessPart::IsRuntime)
}

/// Whether a test of a container's id only asks whether there is none.
pub(super) fn asks_for_host(access: &Access, test: &Test) -> bool {
    let Access::Container(ContainerPart::Id | ContainerPart::FullId, _) = access else { return false };
    matches!(test, Test::OneOf(texts) if texts.len() == 1 && texts.contains(&b"host"[..]))
}
