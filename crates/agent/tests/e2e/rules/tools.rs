//! What people do in containers.

use super::stage::{Act, Stage, act, is_of};

pub(crate) const ACTS: &[Act] = &[
    act("Package Installed In Container", "/act/apt-get install x", "/act/worker install x"),
    act("Network Tool Run In Container", "timeout 1 nc 127.0.0.1 9; true", "/act/psql -h 127.0.0.1"),
    act("Remote Shell Client Run In Container", "/act/ssh x@127.0.0.1", "/act/psql -h 127.0.0.1"),
    act("SSH Server Started In Container", "/act/sshd -p 2222", "/act/server -p 2222"),
    act("Compiler Run In Container", "/act/gcc x.c", "/opt/act/make run /act/gcc x.c"),
    act("Raw Socket Opened In Container", "act packets", "act connect 127.0.0.1 9 || true"),
    // The line has no terminal itself: see below.
    act("Shell With A Terminal In Container", "true", "sh -c true"),
];

#[test]
fn tools() {
    let stage = Stage::new("tools", &[]);
    let (terminal, others) = ACTS.split_last().unwrap();
    stage.play(terminal.good);
    stage.perform(others);
    assert!(!stage.alerts().iter().any(|alert| is_of(alert, terminal.rule)));
    stage.play_with_terminal(terminal.bad);
    stage.await_alert(terminal.rule);
}
