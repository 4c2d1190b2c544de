//! Other people's commands, and commands that undo what they did.

use std::{
    env,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

/// Command lines that are run, last first, when it is dropped: whatever they say, and however the test ends.
#[derive(Default)]
pub(crate) struct CleanUp(Vec<Vec<String>>);

impl CleanUp {
    pub(crate) fn with(&mut self, line: &[&str]) {
        self.0.push(line.iter().map(|&s| s.to_owned()).collect());
    }
}

impl Drop for CleanUp {
    fn drop(&mut self) {
        for line in self.0.iter().rev() {
            _ = output(line);
        }
    }
}

/// Runs a command line, which must succeed, and gives its output.
pub(crate) fn run(line: &[&str]) -> String {
    let Output { status, stdout, stderr } = output(line);
    assert!(status.success(), "{}: {}", line.join(" "), String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap().trim().to_owned()
}

/// Whether there is a program of that name.
pub(crate) fn is_installed(program: &str) -> bool {
    find(program).is_some()
}

/// Where the program of that name is.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.exists())
}

fn output<S: AsRef<str>>(line: &[S]) -> Output {
    let mut words = line.iter().map(AsRef::as_ref);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"))
}
