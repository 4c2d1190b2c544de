//! Which process did it: learnt from forks, execs and exits, and for those that were there before from procfs.

use std::{collections::VecDeque, sync::Arc};

use ethogram_model::{Event, Exec, Header, Process, Value, runtime::is_entering};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// How long a process that has exited still answers for events that were on their way.
const GRACE_NS: u64 = 2_000_000_000;
/// procfs counts start times in such ticks.
const TICK_NS: u64 = FoundProcess::TICK_NS;

/// A process as procfs shows it, its secrets masked.
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
}

impl FoundProcess {
    /// Processes kept at most, and so of use at most.
    pub const LIMIT: usize = 65_536;
    /// A tick of the clock in which procfs counts start times, nanoseconds.
    pub const TICK_NS: u64 = 10_000_000;
}

/// All processes, by pid. Bounded: where it is full, those that have exited go first, then new ones are not taken up.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    by_pid: FxHashMap<u32, Arc<Process>>,
    exited: VecDeque<(u64, u32, u64)>,
    refused: u64,
}

impl Processes {
    /// Processes kept at most.
    const LIMIT: usize = FoundProcess::LIMIT;

    /// Takes in processes that procfs showed, where nothing better is known of them. `container` gives the outermost
    /// cgroup id of the container that a cgroup belongs to, zero for the host.
    pub(crate) fn adopt(&mut self, found: Vec<FoundProcess>, mut container: impl FnMut(u64) -> u64) {
        for FoundProcess { mut process, mut exec, cgroup, session } in found {
            let known = self.by_pid.get(&process.pid);
            if known.is_some_and(|known| known.start_ns / TICK_NS == process.start_ns / TICK_NS) {
                continue;
            }
            exec.container_cgroup = container(cgroup);
            process.exec = Arc::new(exec);
            process.ancestors = self.ancestry(process.parent_pid);
            process.session_leader = self.leader(session, &process);
            self.insert(process);
        }
    }

    /// The process that an event is about.
    pub(crate) fn get(&self, subject: &Header) -> Option<Arc<Process>> {
        let process = self.by_pid.get(&subject.pid)?;
        (process.start_ns / TICK_NS == subject.start_ns / TICK_NS).then(|| Arc::clone(process))
    }

    /// A process has forked.
    pub(crate) fn on_fork(&mut self, event: &Event, subject: &Header) {
        let number = |field: &str| event.get(field).as_u64().unwrap_or(0);
        // A child is what its parent is, but for who it is; and a new one leads no others.
        let parent = match self.get(subject) {
            Some(parent) => Process::clone(&parent),
            None => Process { exec: Arc::new(nameless(event, subject)), ..Process::default() },
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
        let args = strings(&event.get("process.command_args"));
        let text = |field: &str| event.get(field).to_text().into_owned();
        let number = |field: &str| event.get(field).as_u64();
        let mut exec = Exec {
            pid: subject.pid,
            path: text("process.executable.path"),
            name: called_name(event, &args),
            args,
            container_cgroup: container,
            working_directory: text("process.working_directory"),
            terminal: text("process.tty.name"),
            environment: strings(&event.get("process.environment_variables")),
            in_writable_layer: event.get("process.executable.writable_layer").is_truthy(),
            in_memory: event.get("process.executable.memfd").is_truthy(),
            file_modified_ns: number("_file_modified").unwrap_or(0),
            file_changed_ns: number("_file_changed").unwrap_or(0),
        };
        if before.as_ref().is_some_and(|b| b.exec.container_cgroup == 0) && is_runtime(&exec) {
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
            exec: Arc::new(exec),
            ancestors,
        };
        // One that has ended is remembered by those whom it led.
        let leader = self.leader(number("_session_leader").unwrap_or(0) as u32, &process);
        process.session_leader = leader.or_else(|| before.and_then(|b| b.session_leader.clone()));
        self.insert(process);
    }

    /// A process has ended.
    pub(crate) fn on_exit(&mut self, subject: &Header, now_ns: u64) {
        self.exited.push_back((now_ns.saturating_add(GRACE_NS), subject.pid, subject.start_ns));
        self.expire(now_ns);
    }

    /// Processes that were not taken up since there was no room.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
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
                self.refused += 1;
                return;
            }
        }
        self.by_pid.insert(process.pid, Arc::new(process));
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

fn chain(exec: &Arc<Exec>, above: &[Arc<Exec>]) -> Vec<Arc<Exec>> {
    std::iter::once(exec).chain(above).take(Process::MAX_ANCESTORS).cloned().collect()
}

/// All that an event itself says about a program whose exec was not seen.
fn nameless(event: &Event, subject: &Header) -> Exec {
    let name = event.get("process.executable.name").to_text().into_owned();
    Exec { pid: subject.pid, name, ..Exec::default() }
}

/// Whether a program that was started from outside is the runtime's own, on its way in: `runc init` runs in the
/// container's cgroup already, from a file that is not in the container.
fn is_runtime(exec: &Exec) -> bool {
    !exec.path.starts_with('/') || is_entering(exec)
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

fn strings(value: &Value<'_>) -> Vec<String> {
    match value {
        Value::List(list) => list.iter().map(|t| String::from_utf8_lossy(t).into_owned()).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
#[path = "processes_tests.rs"]
mod tests;
