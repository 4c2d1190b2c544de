//! The server's stream of events, searched for programs that the tests ran under a mark.

use std::{
    process::{Command, id},
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::Value;

use super::{Container, IMAGE, Process, Server, eventually, seconds};

/// An argument that no other program on this machine has.
pub(crate) fn mark(word: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("mark-{word}-{}-{}", id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// The events of the process tracker, of a server that collects the host's too.
pub(crate) struct Events(Process);

impl Events {
    /// Follows them, from now on.
    pub(crate) fn of(server: &Server) -> Self {
        let mut curl = server.http.curl();
        curl.args(["--no-buffer", "--max-time", "300", "http://ethogram/v1/events?tracker=process"]);
        let events = Self(Process::spawn(curl));
        let begin = mark("begin");
        eventually("the stream to begin", seconds(20), || {
            run_on_host(&begin);
            events.execs(&begin).pop()
        });
        events
    }

    /// The executions so far of a program whose only argument is `mark`.
    pub(crate) fn execs(&self, mark: &str) -> Vec<Value> {
        let is_wanted = |e: &Value| {
            let args = e["process"]["command_args"].as_array();
            e["event"] == "exec" && args.is_some_and(|args| args.len() == 2 && args[1] == mark)
        };
        self.all(mark).filter(is_wanted).collect()
    }

    /// The next execution of a program with that mark.
    pub(crate) fn next(&self, mark: &str) -> Value {
        self.nth(mark, self.execs(mark).len())
    }

    /// The first execution that certainly began after now: the next may have been on its way here.
    pub(crate) fn after(&self, mark: &str) -> Value {
        self.nth(mark, self.execs(mark).len() + 1)
    }

    fn nth(&self, mark: &str, n: usize) -> Value {
        eventually(&format!("{mark} to be run for the {n}th time"), seconds(10), || self.execs(mark).get(n).cloned())
    }

    /// Runs a program in the container, and expects its event to say that it was there.
    pub(crate) fn expect_exec_in(&self, container: &Container) {
        let mark = mark("exec");
        let done = container.exec(&["/bin/true", &mark]);
        assert!(done.status.success(), "{done:?}");
        for event in self.life(&mark) {
            expect_in(&event, container);
        }
    }

    /// Runs a program outside all containers, and expects its event to name none.
    pub(crate) fn expect_none_on_host(&self) {
        let mark = mark("host");
        run_on_host(&mark);
        for event in self.life(&mark) {
            expect_nowhere(&event);
        }
    }

    /// Waits for the execution and the exit of the one process with that mark.
    fn life(&self, mark: &str) -> [Value; 2] {
        let exec = eventually(&format!("the execution of {mark}"), seconds(10), || self.execs(mark).pop());
        let pid = &exec["process"]["pid"];
        let exit = eventually(&format!("the exit of {mark}, process {pid}"), seconds(10), || {
            let is_it = |e: &Value| e["event"] == "exit" && e["process"]["pid"] == *pid;
            self.all(&format!("{pid}")).find(is_it)
        });
        [exec, exit]
    }

    /// All events so far in which that text is.
    fn all(&self, text: &str) -> impl Iterator<Item = Value> {
        let lines = self.0.stdout().into_iter().filter(|(_, line)| line.contains(text));
        lines.filter_map(|(_, line)| serde_json::from_str(&line).ok()).collect::<Vec<_>>().into_iter()
    }
}

/// The event says that it was in the container, by all that the vocabulary has of it.
pub(crate) fn expect_in(event: &Value, container: &Container) {
    assert_eq!(event["container"]["id"], container.id(), "{event}");
    assert_eq!(event["container"]["name"], container.name, "{event}");
    assert_eq!(event["container"]["image"]["name"], IMAGE, "{event}");
}

/// The event names no container.
pub(crate) fn expect_nowhere(event: &Value) {
    assert_eq!(event.get("container"), None, "{event}");
}

fn run_on_host(mark: &str) {
    assert!(Command::new("/bin/true").arg(mark).status().unwrap().success());
}
