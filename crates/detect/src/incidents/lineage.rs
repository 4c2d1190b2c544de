//! Where the deed begins that a process is part of.

use std::sync::Arc;

use ethogram_model::{Container, Exec, Origin, Process};
use serde::{Deserialize, Serialize};

use crate::subject::system_program;

/// A program that runs for so long is there for more than one thing: what it starts is a deed of its own, and so is what it does
/// itself. What starts with a container has started by then. Nanoseconds.
const SETTLED_NS: u64 = 30_000_000_000;
/// Start times of processes that were there before the agent are known to the tick. Nanoseconds.
const TICK_NS: u64 = 10_000_000;

/// What identifies a program that was started, on this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct ExecId {
    cgroup: u64,
    pid: u32,
    /// When its process was started, in ticks since boot; zero where that is not known.
    started: u64,
    /// When it was started in that process; zero where that was not seen.
    called_ns: u64,
}

impl ExecId {
    pub(super) fn of(exec: &Exec) -> Self {
        let (started, called_ns) = (exec.start_ns / TICK_NS, exec.called_ns);
        Self { cgroup: exec.container_cgroup, pid: exec.pid, started, called_ns }
    }

    /// The process itself where it runs what its parent started: as that of an agent that finds it running.
    pub(super) fn of_child(process: &Process) -> Option<Self> {
        let Process { pid, start_ns, exec, .. } = process;
        let (cgroup, started) = (exec.container_cgroup, start_ns / TICK_NS);
        (*pid != exec.pid && started != 0).then_some(Self { cgroup, pid: *pid, started, called_ns: 0 })
    }

    /// The same as it is called by an agent that finds its process running; none where that is not sure to be the same process.
    pub(super) fn as_found(self) -> Option<Self> {
        self.is_certain().then_some(Self { called_ns: 0, ..self })
    }

    /// Whether it can be told from a later one of its pid.
    pub(super) fn is_certain(self) -> bool {
        self.started != 0
    }

    pub(super) fn is_of_same_process(self, other: Self) -> bool {
        (self.cgroup, self.pid, self.started) == (other.cgroup, other.pid, other.started)
    }
}

/// The programs down to the one that acts, as far as they are of its container or host, and where a deed begins among them.
#[derive(Debug)]
pub(super) struct Lineage<'p> {
    /// The last one acts.
    all: Vec<&'p Arc<Exec>>,
    /// The place of the first that belongs to the deed.
    begin: usize,
    pub(super) origin: Origin,
}

/// Schedulers.
const SCHEDULERS: [&str; 6] = ["cron", "crond", "anacron", "fcron", "supercronic", "atd"];

/// Where a deed comes from which this program began, if it is the image's or the host's, and unchanged.
fn started_by(service: &Exec) -> Origin {
    match system_program::name(service) {
        _ if system_program::serves_logins(service) => Origin::Login,
        Some(name) if SCHEDULERS.contains(&name) => Origin::Job,
        _ => Origin::Child,
    }
}

impl<'p> Lineage<'p> {
    /// Of a process that did something at that time, in that container. `init` is the pid of what the container was started
    /// with, where that is known.
    pub(super) fn of(process: &'p Process, container: Option<&Container>, init: Option<u32>, now_ns: u64) -> Self {
        let cgroup = container.map_or(0, |container| container.cgroup_id);
        let all = || std::iter::once(&process.exec).chain(&process.replaced).chain(&process.ancestors);
        let mut inside: Vec<&Arc<Exec>> = all().take_while(|exec| exec.container_cgroup == cgroup).collect();
        let outside = all().nth(inside.len());
        inside.reverse();
        let is_whole = outside.is_some() || inside.len() <= process.ancestors.len();
        let is_below_init = inside.iter().any(|exec| exec.is_entrypoint || exec.is_in_init || init == Some(exec.pid));
        if let (Some(first), Some(_)) = (inside.first(), container)
            && is_whole
            && !is_below_init
            && (init.is_some() || !first.terminal.is_empty() || first.was_seen_to_start())
        {
            return Self { all: inside, begin: 0, origin: Origin::Entered };
        }
        // Of what a service was when it started something, or does something itself.
        let until = |place: usize| inside.get(place + 1).map_or(now_ns, |next| next.called_ns);
        let is_settled =
            |place: usize, exec: &Exec| exec.called_ns == 0 || until(place).saturating_sub(exec.called_ns) > SETTLED_NS;
        let settled = inside.iter().enumerate().rposition(|(place, exec)| is_settled(place, exec));
        let (begin, origin) = match settled {
            Some(last) if last + 1 == inside.len() => (last, Origin::Service),
            Some(service) => (service + 1, inside.get(service).map_or(Origin::Child, |exec| started_by(exec))),
            None if is_below_init => (0, Origin::Start),
            None => (0, Origin::Child),
        };
        Self { all: inside, begin, origin }
    }

    /// The programs that belong to the deed: the first is where it begins, the last one acts.
    pub(super) fn chain(&self) -> &[&'p Arc<Exec>] {
        self.all.get(self.begin..).unwrap_or_default()
    }

    /// The programs above them, the nearest first.
    pub(super) fn above(&self) -> impl Iterator<Item = &'p Arc<Exec>> {
        self.all.get(..self.begin).unwrap_or_default().iter().rev().copied()
    }

    /// One of those above turns out to belong to it: so do all below that.
    pub(super) fn begin_at(&mut self, exec: ExecId) {
        if let Some(place) = self.all.iter().position(|known| ExecId::of(known) == exec) {
            self.begin = self.begin.min(place);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const CGROUP: u64 = 7;

    fn exec(pid: u32, name: &str, at_s: u64) -> Arc<Exec> {
        let path = format!("/bin/{name}");
        Arc::new(Exec {
            pid,
            path,
            name: name.into(),
            container_cgroup: CGROUP,
            called_ns: at_s * SECOND,
            ..Exec::default()
        })
    }

    fn entrypoint(pid: u32, name: &str, at_s: u64) -> Arc<Exec> {
        Arc::new(Exec { is_entrypoint: true, ..Exec::clone(&exec(pid, name, at_s)) })
    }

    fn runtime() -> Arc<Exec> {
        Arc::new(Exec { pid: 1, path: "/usr/bin/shim".into(), ..Exec::default() })
    }

    /// The names of the chain, and where it came from.
    fn of(chain: &[Arc<Exec>], now_s: u64) -> (Vec<String>, Origin) {
        let (exec, ancestors) = chain.split_first().unwrap();
        let process = Process { exec: Arc::clone(exec), ancestors: ancestors.to_vec(), ..Process::default() };
        let container = Container { cgroup_id: CGROUP, ..Container::default() };
        let lineage = Lineage::of(&process, Some(&container), Some(10), now_s * SECOND);
        (lineage.chain().iter().map(|exec| exec.name.clone()).collect(), lineage.origin)
    }

    #[test]
    fn what_a_service_starts_begins_there() {
        let service = entrypoint(10, "nginx", 100);
        let chain = [exec(31, "id", 501), exec(30, "sh", 500), service.clone(), runtime()];
        assert_eq!(of(&chain, 501), (vec!["sh".into(), "id".into()], Origin::Child));
        assert_eq!(of(&[service.clone(), runtime()], 500), (vec!["nginx".into()], Origin::Service));
        let start = [exec(11, "chown", 101), service, runtime()];
        assert_eq!(of(&start, 101), (vec!["nginx".into(), "chown".into()], Origin::Start));
    }

    #[test]
    fn what_comes_from_outside_begins_there_however_long_it_stays() {
        let chain = [exec(41, "id", 9_000), exec(40, "sh", 500), runtime()];
        assert_eq!(of(&chain, 9_000), (vec!["sh".into(), "id".into()], Origin::Entered));
    }

    #[test]
    fn what_comes_from_outside_is_known_without_the_container_s_first_process() {
        let of = |first: Exec| {
            let process = Process { exec: first.into(), ancestors: vec![runtime()], ..Process::default() };
            let container = Container { cgroup_id: CGROUP, ..Container::default() };
            Lineage::of(&process, Some(&container), None, 9_000 * SECOND).origin
        };
        let seen = Exec { mount_namespace: 7, ..Exec::clone(&exec(40, "sh", 8_999)) };
        assert_eq!(of(seen.clone()), Origin::Entered);
        assert_eq!(of(Exec { is_entrypoint: true, ..seen.clone() }), Origin::Start);
        assert_eq!(of(Exec { is_in_init: true, ..seen.clone() }), Origin::Start, "what that became");
        assert_eq!(of(Exec { called_ns: 0, ..seen }), Origin::Service, "it was there before the agent");
    }

    #[test]
    fn a_supervised_service_that_was_started_again_is_a_service() {
        let supervisor = entrypoint(10, "s6", 100);
        let chain = [exec(31, "sh", 5_000), exec(20, "nginx", 3_000), supervisor, runtime()];
        assert_eq!(of(&chain, 5_000), (vec!["sh".into()], Origin::Child));
    }

    #[test]
    fn what_was_there_before_the_agent_is_a_service() {
        let chain = [exec(31, "sh", 5_000), exec(10, "nginx", 0)];
        assert_eq!(of(&chain, 5_000), (vec!["sh".into()], Origin::Child));
    }

    #[test]
    fn a_login_and_a_job_are_what_the_images_own_server_starts_and_nothing_of_its_name() {
        let of_service = |service: Arc<Exec>| of(&[exec(31, "sh", 5_000), service], 5_000).1;
        let program = |path: &str| Exec { path: path.into(), ..Exec::clone(&exec(10, "x", 0)) };
        assert_eq!(of_service(program("/usr/sbin/sshd").into()), Origin::Login);
        assert_eq!(of_service(program("/usr/sbin/cron").into()), Origin::Job);
        assert_eq!(of_service(program("/tmp/sshd").into()), Origin::Child);
        let brought = Exec { in_writable_layer: true, ..program("/usr/sbin/sshd") };
        assert_eq!(of_service(brought.into()), Origin::Child);
    }
}
