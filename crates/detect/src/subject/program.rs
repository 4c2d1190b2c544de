//! Programs as profiles name them, and which of them are not a container's own.

use std::borrow::Cow;

use ethogram_model::{ActorName, Container, Entry, Event, Exec};

use super::normalise;

/// How a parent is called that is not of the container: its runtime, which starts the entrypoint and `docker exec`.
pub const OUTSIDE: &str = "(outside)";
/// What stands before a program that a login started.
const LOGIN: &str = "(login)";
/// How a process is called of which nothing is known.
pub const UNKNOWN: &str = "(unknown)";
/// Bytes the kernel keeps of the name by which a program was called.
const CALLED: usize = 15;

/// A program as profiles name it: its path, and the name by which it was called where that says more.
pub fn label(exec: &Exec) -> Cow<'_, str> {
    let called = exec.name.as_str();
    if exec.path.is_empty() {
        return if called.is_empty() { Cow::Borrowed(UNKNOWN) } else { normalise::segment(called) };
    }
    let path = normalise::path(&exec.path);
    if called.is_empty() || is_called(file_name(&exec.path), called) {
        return path;
    }
    format!("{path} ({})", normalise::segment(called)).into()
}

/// What a program that acts is called: that of people and their tools is another one than the same one of a service, so that
/// neither is learnt from the other.
pub(crate) fn as_actor(exec: &Exec) -> Cow<'_, str> {
    match &exec.actor {
        ActorName::Path => Cow::Borrowed(&exec.path),
        ActorName::Other(name) => Cow::Borrowed(name),
        ActorName::Unknown => actor_of(exec),
    }
}

/// Finds out what a program that acts is called, once nothing else of it changes.
pub fn name_actor(exec: &mut Exec) {
    exec.actor = match actor_of(exec) {
        name if name == exec.path => ActorName::Path,
        name => ActorName::Other(name.into()),
    };
}

fn actor_of(exec: &Exec) -> Cow<'_, str> {
    match mark(exec.entry) {
        None => label(exec),
        Some(mark) => format!("{mark} {}", label(exec)).into(),
    }
}

fn mark(entry: Entry) -> Option<&'static str> {
    match entry {
        Entry::Service => None,
        Entry::Outside => Some(OUTSIDE),
        Entry::Login => Some(LOGIN),
    }
}

/// By which way people and their tools came in to run a program, and what that is called where the service runs it. None for what the
/// service runs itself.
pub(crate) fn visit(actor: &str) -> Option<(&'static str, &str)> {
    let marks = [OUTSIDE, LOGIN].into_iter().filter(|_| actor.starts_with('('));
    marks.filter_map(|mark| Some((mark, actor.strip_prefix(mark)?.strip_prefix(' ')?))).next()
}

/// The program of an actor, by whichever way that came in.
pub(crate) fn program_of(actor: &str) -> &str {
    visit(actor).map_or(actor, |(_, program)| program)
}

/// Whether the kernel, which cuts names, would call a file so.
pub(crate) fn is_called(file: &str, called: &str) -> bool {
    file.as_bytes().get(..CALLED).unwrap_or(file.as_bytes()) == called.as_bytes()
}

/// Whether the file that an event is about was written in the container.
pub(crate) fn is_in_writable_layer(event: &Event) -> bool {
    ["file.writable_layer", "process.executable.writable_layer"].iter().any(|field| event.get(field).is_truthy())
}

/// Whether a program was started outside of the container.
pub(crate) fn is_outside(exec: &Exec, container: &Container) -> bool {
    exec.container_cgroup != container.cgroup_id
}

/// Whether a program, as profiles name it, is one of the system's that make and change users.
pub(crate) fn manages_users(label: &str) -> bool {
    let managers = ["useradd", "usermod", "groupadd", "groupmod", "newusers", "mkhomedir_helper"];
    label.strip_prefix("/usr/sbin/").is_some_and(|name| managers.contains(&name)) || label == "/usr/bin/perl (adduser)"
}

/// The folder of a path.
pub(crate) fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The last segment of a path.
pub(crate) fn file_name(path: &str) -> &str {
    memchr::memrchr(b'/', path.as_bytes()).map_or(path, |slash| &path[slash + 1..])
}
