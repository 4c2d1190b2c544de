//! Which process did it: learnt from forks, execs and exits, and for those that were there before from procfs.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use ethogram_detect::subject::{program::name_actor, system_program::serves_logins};
use ethogram_model::{Answers, Entry, Event, Exec, Header, Process, Value, runtime::is_runtime, script};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use crate::{concerned::Tally, share::Share};

/// How long a process that has exited still answers for events that were on their way.
const GRACE_NS: u64 = 2_000_000_000;
/// How long what comes from outside may be on its way into a container. What is there for longer without an exec that was seen runs
/// a program of the container whose exec was lost.
const WAY_IN_NS: u64 = 10_000_000_000;
/// Arguments that are kept of a process one by one. Each takes many times its bytes where they are short, so of more the rest is one.
const MOST_ARGS: usize = 64;
/// procfs counts start times in such ticks.
const TICK_NS: u64 = FoundProcess::TICK_NS;

/// A process as procfs shows it. Secrets are in its arguments until it is masked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FoundProcess {
    /// Who it is.
    pub process: Process,
    /// What it runs.
    pub exec: Exec,
    /// The id of its cgroup.
    pub cgroup: u64,
    /// The pid of what leads its session.
    #[serde(default)]
    pub session: u32,
    /// What tests of rules gave before secrets were masked in its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Arc<Answers>>,
}

impl FoundProcess {
    /// Processes kept at most, and so of use at most.
    pub const LIMIT: usize = 65_536;
    /// A tick of the clock in which procfs counts start times, nanoseconds.
    pub const TICK_NS: u64 = 10_000_000;
}

/// All processes, by pid. Bounded: where it is full, those that have exited go first, then the newest of the container, or the
/// user of the host, that has most.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    by_pid: FxHashMap<u32, Arc<Process>>,
    exited: VecDeque<(u64, u32, u64)>,
    /// Containers in which a program has run, by their outermost cgroup.
    begun: FxHashSet<u64>,
    refused: u64,
    /// Of whom they were, since the last [`Processes::take_crowded`].
    crowded: Tally<Share>,
}

impl Processes {
    /// Processes kept at most.
    const LIMIT: usize = FoundProcess::LIMIT;

    /// Takes in processes that procfs showed, where nothing better is known of them. `container` gives the outermost
    /// cgroup id of the container that a cgroup belongs to, zero for the host.
    pub(crate) fn adopt(&mut self, found: Vec<FoundProcess>, mut container: impl FnMut(u64) -> u64) {
        for FoundProcess { mut process, mut exec, cgroup, session, answers } in found {
            let known = self.by_pid.get(&process.pid);
            if known.is_some_and(|known| known.start_ns / TICK_NS == process.start_ns / TICK_NS) {
                continue;
            }
            exec.container_cgroup = container(cgroup);
            exec.start_ns = process.start_ns;
            exec.args = folded(exec.args);
            exec.answers = answers;
            self.begin(exec.container_cgroup);
            process.ancestors = self.ancestry(process.parent_pid);
            exec.entry = entry_of_found(&process, &exec);
            name_actor(&mut exec);
            process.exec = Arc::new(exec);
            process.session_leader = self.leader(session, &process);
            self.insert(process);
        }
    }

    /// The process that an event is about.
    pub(crate) fn get(&self, subject: &Header) -> Option<Arc<Process>> {
        let process = self.by_pid.get(&subject.pid)?;
        (process.start_ns / TICK_NS == subject.start_ns / TICK_NS).then(|| Arc::clone(process))
    }

    /// The process that an event is about, as it is judged: whose program came from outside and should long have become one of the
    /// container is the container's, of unknown program.
    pub(crate) fn judged(&self, event: &Event, subject: &Header, container: u64) -> Option<Arc<Process>> {
        let process = self.get(subject)?;
        let exec = &process.exec;
        let is_on_its_way = exec.container_cgroup != 0
            || container == 0
            || exec.called_ns == 0
            || event.time_ns.saturating_sub(exec.called_ns) <= WAY_IN_NS;
        if is_on_its_way {
            return Some(process);
        }
        let unknown = Exec { container_cgroup: container, ..nameless(event, subject) };
        let ancestors = chain(exec, &process.ancestors);
        Some(Arc::new(Process { exec: Arc::new(unknown), ancestors, ..Process::clone(&process) }))
    }

    /// A process has forked. `container` is the cgroup id of the container in which it happened.
    pub(crate) fn on_fork(&mut self, event: &Event, subject: &Header, container: u64) {
        let number = |field: &str| event.get(field).as_u64().unwrap_or(0);
        // A child is what its parent is, but for who it is; and a new one leads no others.
        let parent = match self.get(subject) {
            Some(parent) => Process::clone(&parent),
            // What is not known of it counts as the container's: only what was seen to come from outside is not.
            None => {
                let exec = Arc::new(Exec { container_cgroup: container, ..nameless(event, subject) });
                Process { exec, ancestors: self.ancestry(subject.parent_pid), ..Process::default() }
            }
        };
        self.insert(Process {
            pid: number("process.child.pid") as u32,
            start_ns: number("_child_start"),
            parent_pid: subject.pid,
            user_id: subject.user_id,
            namespace_pid: number("_child_namespace_pid") as u32,
            is_group_leader: false,
            ..parent
        });
    }

    /// A process runs another program. `container` is the cgroup id of the container in which it happened.
    pub(crate) fn on_exec(&mut self, event: &Event, subject: &Header, container: u64) {
        let before = self.get(subject);
        let number = |field: &str| event.get(field).as_u64();
        let mut exec = Exec {
            pid: subject.pid,
            container_cgroup: container,
            called_ns: event.time_ns,
            start_ns: subject.start_ns,
            ..program_of(event)
        };
        exec.is_runtime = match event.schema.field("_mount_namespace") {
            Some(_) => self.is_runtime(before.as_deref(), subject, &exec),
            None => before.as_ref().is_none_or(|b| b.exec.container_cgroup == 0) && is_named_as_runtime(&exec),
        };
        let is_first = !exec.is_runtime && self.begin(container);
        if exec.is_runtime {
            exec.container_cgroup = 0;
        }
        let ancestors = match &before {
            // It had run a program itself, which this one replaces: the ones above are the same.
            Some(before) if before.exec.pid == subject.pid => before.ancestors.clone(),
            Some(before) => chain(&before.exec, &before.ancestors),
            None => self.ancestry(subject.parent_pid),
        };
        // Absent where it is the host's number too; recordings of older agents have no such field.
        let namespace_pid = event.schema.field("process.namespace_pid");
        let namespace_pid = namespace_pid.map_or(0, |f| event.value(f).as_u64().map_or(subject.pid, |pid| pid as u32));
        // Recordings of older agents are judged as they were.
        let has_facts = exec.mount_namespace != 0;
        let came_in = ancestors.first().is_some_and(|above| above.container_cgroup == 0);
        let replaced = before.as_ref().map(|before| &before.exec).filter(|ran| {
            has_facts && came_in && container != 0 && ran.container_cgroup == container && ran.pid == subject.pid
        });
        let is_init = namespace_pid == 1 && subject.pid != 1;
        let comes_from_outside = before.as_ref().is_some_and(|before| before.exec.container_cgroup == 0);
        exec.is_entrypoint = has_facts && comes_from_outside && exec.container_cgroup != 0 && (is_first || is_init);
        exec.is_in_init = exec.is_entrypoint || replaced.is_some_and(|ran| ran.is_in_init);
        if has_facts {
            let above = before.as_ref().map(|before| &before.exec).or(ancestors.first());
            exec.entry = entry(&exec, above.map(|above| &**above));
        }
        name_actor(&mut exec);
        let mut process = Process {
            pid: subject.pid,
            start_ns: subject.start_ns,
            parent_pid: subject.parent_pid,
            user_id: subject.user_id,
            group_id: number("process.group.id").unwrap_or(0) as u32,
            login_user_id: number("process.login_user.id").map(|id| id as u32),
            namespace_pid,
            is_group_leader: event.get("process.leads_group").is_truthy(),
            session_leader: None,
            replaced: replaced.cloned(),
            exec: Arc::new(exec),
            ancestors,
        };
        // One that has ended is remembered by those whom it led.
        let leader = self.leader(number("_session_leader").unwrap_or(0) as u32, &process);
        process.session_leader = leader.or_else(|| before.and_then(|b| b.session_leader.clone()));
        self.insert(process);
    }

    /// Whether a program that begins in a container's cgroup is still the runtime's own, on its way in: it comes from outside, and
    /// is in the mount namespace that it comes from. Nothing that a container holds can be that, however it is called. On the host
    /// it is only what the system's runtime runs from memory, as root, so that a container cannot write to its file.
    fn is_runtime(&self, before: Option<&Process>, subject: &Header, exec: &Exec) -> bool {
        let parent = self.by_pid.get(&subject.parent_pid).map(|parent| &*parent.exec);
        let Some(from) = before.map(|before| &*before.exec).or(parent) else { return false };
        let comes_in = from.container_cgroup == 0 && from.mount_namespace == exec.mount_namespace;
        let is_copy =
            || exec.in_memory && subject.user_id == 0 && (from.is_runtime || is_the_systems_runtime(&from.path));
        comes_in && exec.mount_namespace != 0 && (exec.container_cgroup != 0 || is_copy())
    }

    /// A process has ended.
    pub(crate) fn on_exit(&mut self, subject: &Header, now_ns: u64) {
        self.exited.push_back((now_ns.saturating_add(GRACE_NS), subject.pid, subject.start_ns));
        self.expire(now_ns);
    }

    /// Notes that a program runs in a container. Returns whether it is the first.
    fn begin(&mut self, container: u64) -> bool {
        container != 0 && self.begun.len() < Self::LIMIT && self.begun.insert(container)
    }

    /// A cgroup is gone.
    pub(crate) fn on_cgroup_removed(&mut self, cgroup: u64) {
        self.begun.remove(&cgroup);
    }

    /// Processes that were forgotten since there was no room.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// Whose they were, since the last call.
    pub(crate) fn take_crowded(&mut self) -> BTreeMap<Share, u64> {
        self.crowded.take()
    }

    fn expire(&mut self, now_ns: u64) {
        while let Some(&(due, ..)) = self.exited.front() {
            if due > now_ns && self.by_pid.len() < Self::LIMIT {
                break;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) -> bool {
        let Some((_, pid, start_ns)) = self.exited.pop_front() else { return false };
        if self.by_pid.get(&pid).is_some_and(|p| p.start_ns / TICK_NS == start_ns / TICK_NS) {
            self.by_pid.remove(&pid);
        }
        true
    }

    fn insert(&mut self, process: Process) {
        while self.by_pid.len() >= Self::LIMIT && !self.by_pid.contains_key(&process.pid) {
            if !self.forget_oldest() {
                self.make_room();
            }
        }
        self.by_pid.insert(process.pid, Arc::new(process));
    }

    /// Forgets some of the newest processes of the container or user that has most. To look for them takes a while, so it is done seldom: some are
    /// many where one has most of the table.
    fn make_room(&mut self) {
        let mut sizes: FxHashMap<Share, usize> = FxHashMap::default();
        self.by_pid.values().for_each(|process| *sizes.entry(share_of(process)).or_default() += 1);
        let Some((share, size)) = sizes.into_iter().max_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0))) else { return };
        let of_it = self.by_pid.values().filter(|process| share_of(process) == share);
        let mut of_it: Vec<_> = of_it.map(|process| (process.start_ns, process.pid)).collect();
        of_it.sort_unstable_by(|a, b| b.cmp(a));
        let goes = (size / 8).max(1);
        self.crowded.add(share, goes.min(of_it.len()) as u64);
        for (_, pid) in of_it.into_iter().take(goes) {
            self.by_pid.remove(&pid);
            self.refused += 1;
        }
    }

    /// What the leader of a process's session runs. Its pid is no other's as long as the session is there.
    fn leader(&self, pid: u32, process: &Process) -> Option<Arc<Exec>> {
        if pid == process.pid {
            return Some(Arc::clone(&process.exec));
        }
        self.by_pid.get(&pid).map(|leader| Arc::clone(&leader.exec))
    }

    fn ancestry(&self, parent: u32) -> Vec<Arc<Exec>> {
        self.by_pid.get(&parent).map(|p| chain(&p.exec, &p.ancestors)).unwrap_or_default()
    }
}

/// Who has a process: its container, and on the host its user.
fn share_of(process: &Process) -> Share {
    match (process.exec.container_cgroup, process.user_id) {
        (0, 0) => Share::Container(0),
        (0, user) => Share::User(user),
        (cgroup, _) => Share::Container(cgroup),
    }
}

/// By which way a program came into its container whose start was not seen: from outside, where somebody types into it there and it
/// is not what a container begins with.
fn entry_of_found(process: &Process, exec: &Exec) -> Entry {
    let above = process.ancestors.first().map(|above| &**above);
    let is_typed_into = !exec.terminal.is_empty() && process.namespace_pid > 1 && process.namespace_pid != process.pid;
    match above {
        Some(above) if above.container_cgroup == 0 && !is_typed_into => Entry::Service,
        above => entry(exec, above),
    }
}

/// By which way a program came into its container that another one started, or became.
fn entry(exec: &Exec, above: Option<&Exec>) -> Entry {
    match above {
        _ if exec.container_cgroup == 0 => Entry::Service,
        Some(above) if above.container_cgroup == 0 && !exec.is_entrypoint => Entry::Outside,
        Some(above) if serves_logins(above) && !serves_logins(exec) => Entry::Login,
        Some(above) => above.entry,
        None => Entry::Service,
    }
}

fn chain(exec: &Arc<Exec>, above: &[Arc<Exec>]) -> Vec<Arc<Exec>> {
    std::iter::once(exec).chain(above).take(Process::MAX_ANCESTORS).cloned().collect()
}

/// The program that an event is about, as far as the event says it.
pub(crate) fn program_of(event: &Event) -> Exec {
    let args = strings(&event.get("process.command_args"));
    let text = |field: &str| event.get(field).to_text().into_owned();
    let number = |field: &str| event.get(field).as_u64();
    let mut exec = Exec {
        path: text("process.executable.path"),
        name: called_name(event, &args),
        args: folded(args),
        mount_namespace: number("_mount_namespace").unwrap_or(0) as u32,
        working_directory: text("process.working_directory"),
        terminal: text("process.tty.name"),
        environment: strings(&event.get("process.environment_variables")),
        in_writable_layer: event.get("process.executable.writable_layer").is_truthy(),
        in_memory: event.get("process.executable.memfd").is_truthy(),
        is_unlinked: event.get("process.executable.unlinked").is_truthy(),
        is_on_writable_mount: event.get("process.executable.writable_mount").is_truthy(),
        file_system: name_of(event, "process.executable.file_system"),
        is_path_cut: event.get("process.executable.path_truncated").is_truthy(),
        are_args_cut: event.get("process.command_args_truncated").is_truthy(),
        script: text("process.script.path"),
        file_modified_ns: number("_file_modified").unwrap_or(0),
        file_changed_ns: number("_file_changed").unwrap_or(0),
        answers: event.context.answers.clone(),
        ..Exec::default()
    };
    if exec.script.is_empty() {
        exec.script = script::of(&exec).unwrap_or_default();
    }
    exec
}

/// All that an event itself says about a program whose exec was not seen.
fn nameless(event: &Event, subject: &Header) -> Exec {
    let name = event.get("process.executable.name").to_text().into_owned();
    Exec { pid: subject.pid, name, start_ns: subject.start_ns, ..Exec::default() }
}

/// Whether a program of the host is a runtime in a folder that only root can write to.
fn is_the_systems_runtime(path: &str) -> bool {
    const FOLDERS: [&str; 7] = ["/usr/", "/bin/", "/sbin/", "/opt/", "/snap/", "/nix/store/", "/var/lib/rancher/"];
    FOLDERS.iter().any(|folder| path.starts_with(folder)) && is_runtime(path.rsplit('/').next().unwrap_or_default())
}

/// What recordings of older agents have of that, whose execs do not say where they ran.
fn is_named_as_runtime(exec: &Exec) -> bool {
    let name = exec.path.rsplit('/').next().unwrap_or_default();
    let is_init = exec.args.get(1).is_some_and(|argument| argument == "init");
    !exec.path.starts_with('/') || (is_init && matches!(name, "runc" | "crun" | "runsc" | "youki" | "exe"))
}

/// By which name a program was called. One that starts itself anew, as a multi-call binary does for its applets, is
/// called by no name of its own: its first argument says which applet it is.
fn called_name(event: &Event, args: &[String]) -> String {
    let itself = matches!(&*event.get("process.executable.as_called").to_text(), "/proc/self/exe");
    match args.first() {
        Some(first) if itself => first.rsplit('/').next().unwrap_or_default().chars().take(15).collect(),
        _ => event.get("process.executable.name").to_text().into_owned(),
    }
}

/// What a number of an event is called; empty where it has none.
fn name_of(event: &Event, field: &str) -> String {
    let Some(field) = event.schema.field(field) else { return String::new() };
    event.value(field).as_u64().map_or_else(String::new, |number| field.name_of(number))
}

/// At most [`MOST_ARGS`] of them, the last being all the rest with blanks between, which is what rules test of them.
fn folded(mut args: Vec<String>) -> Vec<String> {
    if args.len() > MOST_ARGS {
        let rest = args.split_off(MOST_ARGS - 1).join(" ");
        args.push(rest);
        args.shrink_to_fit();
    }
    args
}

fn strings(value: &Value<'_>) -> Vec<String> {
    match value {
        Value::List(list) => list.iter().map(|t| String::from_utf8_lossy(t).into_owned()).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
#[path = "processes_tests.rs"]
mod tests;
