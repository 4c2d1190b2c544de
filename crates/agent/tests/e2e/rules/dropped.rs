//! Programs that were brought into a container and run there.

use super::stage::{Act, Stage, act};

pub(crate) const ACTS: &[Act] = &[
    act("Program Not In The Image Run", "cp /act/act /data/x && /data/x", "/act/act"),
    act("Program Installed In The Container Run", "cp /act/act /bin/new && /bin/new", "/bin/true"),
    act(
        "Program Run From Shared Memory",
        "mount -o remount,exec /dev/shm && cp /act/act /dev/shm/x && /dev/shm/x",
        "/bin/ls /dev/shm",
    ),
    act("Program Run From A Temporary Folder", "cp /act/act /tmp/x && /tmp/x", "/bin/ls /tmp"),
    act(
        "Hidden Program Run",
        "mkdir -p /var/tmp/.x && cp /act/act /var/tmp/.x/y && /var/tmp/.x/y",
        "mkdir -p /var/tmp/.x && /bin/ls /var/tmp/.x",
    ),
    act("Temporary File Made Executable", ": > /tmp/y && chmod 755 /tmp/y", ": > /tmp/z && chmod 644 /tmp/z"),
    act("Program Of The System Replaced", ": > /bin/replaced", ": > /data/replaced"),
];

#[test]
fn dropped() {
    let stage = Stage::new("dropped", &[]);
    stage.perform(ACTS);
}
