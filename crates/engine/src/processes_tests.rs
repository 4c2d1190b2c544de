#![allow(clippy::unwrap_used)]

use ethogram_model::EventSchema;

use super::*;

/// An event of the tracker `process`: numbers and texts of its fixed part, and what lies in its tail.
struct Made {
    event: Event,
}

impl Made {
    fn new(name: &str, pid: u32) -> Self {
        let tracker = ethogram_probe::builtin().unwrap().into_iter().find(|t| &*t.schema.name == "process").unwrap();
        let schema = Arc::clone(tracker.schema.events.iter().find(|e| &*e.name == name).unwrap());
        let record = vec![0; schema.size].into();
        let mut made = Self { event: Event { schema, time_ns: 0, record, context: Default::default() } };
        for absent in ["process.login_user.id", "process.namespace_pid"] {
            if made.event.schema.field(absent).is_some() {
                made = made.with(absent, u32::MAX);
            }
        }
        made.with("process.pid", pid).with("_process_start", pid * TICK_NS as u32)
    }

    fn with(self, field: &str, number: u32) -> Self {
        self.bytes(field, &number.to_le_bytes())
    }

    fn text(self, field: &str, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    fn tail(mut self, field: &str, tail: &[u8]) -> Self {
        let reference = [self.event.record.len() as u16, tail.len() as u16].map(u16::to_le_bytes).concat();
        self.event.record = [&self.event.record, tail].concat().into();
        self.bytes(field, &reference)
    }

    fn bytes(mut self, name: &str, bytes: &[u8]) -> Self {
        let field = self.event.schema.field(name).unwrap();
        let n = bytes.len().min(field.size);
        self.event.record[field.offset..field.offset + n].copy_from_slice(&bytes[..n]);
        self
    }

    fn take(self, processes: &mut Processes) -> Arc<Process> {
        let subject = self.event.header();
        match &*self.event.schema.name {
            "fork" => {
                processes.on_fork(&self.event, &subject);
                let pid = self.event.get("process.child.pid").as_u64().unwrap() as u32;
                Arc::clone(&processes.by_pid[&pid])
            }
            _ => {
                processes.on_exec(&self.event, &subject, 0);
                processes.get(&subject).unwrap()
            }
        }
    }
}

fn fork(parent: u32, child: u32) -> Made {
    Made::new("fork", parent).with("process.child.pid", child).with("_child_start", child * TICK_NS as u32)
}

#[test]
fn an_exec_says_what_its_process_is() {
    let mut processes = Processes::default();
    let process = Made::new("exec", 7)
        .with("process.group.id", 44)
        .with("process.login_user.id", 1000)
        .with("process.namespace_pid", 1)
        .with("_session_leader", 7)
        .with("process.leads_group", 1)
        .with("process.executable.writable_layer", 1)
        .with("_file_modified", 5)
        .with("_file_changed", 6)
        .text("process.tty.name", "pts0")
        .tail("process.working_directory", b"srv\0/\0")
        .tail("process.environment_variables", b"A=1\0B=2\0")
        .take(&mut processes);
    assert_eq!((process.group_id, process.login_user_id, process.namespace_pid), (44, Some(1000), 1));
    assert!(process.is_group_leader);
    assert_eq!(process.session_leader.as_ref(), Some(&process.exec), "it leads itself");
    let exec = &process.exec;
    assert_eq!((exec.working_directory.as_str(), exec.terminal.as_str()), ("/srv", "pts0"));
    assert_eq!(exec.environment, ["A=1", "B=2"]);
    assert_eq!((exec.file_modified_ns, exec.file_changed_ns), (5, 6));
    assert!(exec.in_writable_layer && !exec.in_memory);
}

#[test]
fn what_an_exec_does_not_say_is_absent() {
    let mut processes = Processes::default();
    let process = Made::new("exec", 7).take(&mut processes);
    assert_eq!((process.login_user_id, process.namespace_pid), (None, 7), "the host's number is its own");
    assert_eq!(process.session_leader, None);
    assert!(!process.is_group_leader && process.exec.environment.is_empty() && process.exec.terminal.is_empty());
    // A recording of an older agent has no such field.
    let mut old = Made::new("exec", 8);
    let mut schema = EventSchema::clone(&old.event.schema);
    schema.fields.retain(|f| !matches!(f.name.as_str(), "process.namespace_pid" | "process.login_user.id"));
    old.event.schema = Arc::new(schema);
    let process = old.take(&mut processes);
    assert_eq!((process.login_user_id, process.namespace_pid), (None, 0));
}

#[test]
fn a_child_is_what_its_parent_is_but_leads_nobody() {
    let mut processes = Processes::default();
    let shell = Made::new("exec", 7)
        .with("process.group.id", 44)
        .with("process.login_user.id", 1000)
        .with("_session_leader", 7)
        .with("process.leads_group", 1)
        .take(&mut processes);
    let child = fork(7, 8).with("_child_namespace_pid", 2).take(&mut processes);
    assert_eq!((child.group_id, child.login_user_id, child.namespace_pid), (44, Some(1000), 2));
    assert_eq!(child.session_leader, shell.session_leader);
    assert!(!child.is_group_leader);
    assert_eq!((child.pid, child.parent_pid), (8, 7));
}

#[test]
fn a_leader_of_a_session_is_remembered_after_its_end() {
    let mut processes = Processes::default();
    let leader = Made::new("exec", 7).with("_session_leader", 7).take(&mut processes);
    fork(7, 8).take(&mut processes);
    processes.by_pid.remove(&7);
    let led = Made::new("exec", 8).with("_session_leader", 7).take(&mut processes);
    assert_eq!(led.session_leader.as_ref(), Some(&leader.exec));
    // Another process's session leader, which was not seen.
    let other = Made::new("exec", 9).with("_session_leader", 5).take(&mut processes);
    assert_eq!(other.session_leader, None);
}

#[test]
fn processes_found_know_their_sessions_leader() {
    let mut processes = Processes::default();
    let found = |pid: u32, session| {
        let process = Process { pid, start_ns: u64::from(pid) * TICK_NS, ..Process::default() };
        FoundProcess { process, exec: Exec { pid, ..Exec::default() }, cgroup: 0, session }
    };
    processes.adopt(vec![found(3, 3), found(4, 3), found(5, 2)], |_| 0);
    let leader = |pid: u32| processes.by_pid[&pid].session_leader.as_ref().map(|e| e.pid);
    assert_eq!([leader(3), leader(4), leader(5)], [Some(3), Some(3), None]);
}
