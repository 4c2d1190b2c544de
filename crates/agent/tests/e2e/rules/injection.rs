//! Processes that change or read others.

use super::stage::{Act, Stage, act};
use crate::support::Container;

pub(crate) const ACTS: &[Act] = &[
    act("Process Attached By Ptrace", "act trace attach", "act run true"),
    act("Process Changed By Ptrace", "act trace change", "cat /proc/1/maps"),
    act("Process Of Another Container Traced", "act trace 1", "kill -0 1"),
    act("Program Keeps Debuggers Away", "act trace me", "act run true"),
    act("Memory Of Another Process Written", "act access write", "act access write own"),
    act("Memory Of Another Process Read", "act access read", "act access read own"),
    act("Memory Of A Process Opened For Writing", "act mem write", "cat /proc/self/maps"),
    act("Page Faults Handled By A Program", "act userfault", "act writable-code"),
];

/// The container sees the processes of another one, whose first is the first for it, too.
#[test]
fn injection() {
    let other = Container::idle("other");
    let stage = Stage::new("injection", &["--pid", &format!("container:{}", other.name)]);
    stage.perform(ACTS);
}
