//! A child process whose output is read as it comes, and which ends with the test.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::eventually;

/// The binary under test, with its default logging: that of the tests' profile, or another that is named, as an optimised one.
pub(crate) fn ethogram<S: AsRef<str>>(args: impl IntoIterator<Item = S>) -> Command {
    let program = env::var_os("ETHOGRAM_TEST_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_ethogram").into());
    let mut command = Command::new(program);
    command.args(args.into_iter().map(|a| a.as_ref().to_owned())).env_remove("ETHOGRAM_LOG");
    command
}

type Lines = Arc<Mutex<Vec<(Instant, String)>>>;

/// A running child. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    pub(crate) fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        let (stdout, stderr) = (Lines::default(), Lines::default());
        let readers = vec![
            collect(child.stdout.take().unwrap(), Arc::clone(&stdout)),
            collect(child.stderr.take().unwrap(), Arc::clone(&stderr)),
        ];
        Self { child, stdout, stderr, readers }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The lines on stdout so far, and when each came.
    pub(crate) fn stdout(&self) -> Vec<(Instant, String)> {
        self.stdout.lock().unwrap().clone()
    }

    /// The lines on stderr so far.
    pub(crate) fn stderr(&self) -> Vec<String> {
        self.stderr.lock().unwrap().iter().map(|(_, line)| line.clone()).collect()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end, and for all it had to say.
    pub(crate) fn wait(&mut self, timeout: Duration) -> ExitStatus {
        let what = format!("the end of process {}; it said {:#?}", self.pid(), self.stderr());
        let status = eventually(&what, timeout, || self.has_ended());
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("process {} said on stderr:\n{}", self.pid(), self.stderr().join("\n"));
        }
    }
}

fn collect(from: impl Read + Send + 'static, into: Lines) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            into.lock().unwrap().push((Instant::now(), String::from_utf8_lossy(&line).into_owned()));
        }
    })
}
