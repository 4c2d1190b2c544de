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
        "Program Run From A File System In Memory",
        "mkdir /data/m && mount -t tmpfs none /data/m && cp /act/act /data/m/x && /data/m/x",
        "mkdir /data/n && mount -t tmpfs none /data/n && cp /act/act /data/n/x && /bin/ls /data/n",
    ),
    act("Program Brought To A Volume Run", "cp /act/act /volume/x && /volume/x", "cp /act/act /volume/x && /act/act"),
    act("Program At A Cut Path Run", "/act/act deep /data", "/act/act"),
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
    let stage = Stage::new("dropped", &["--volume", "/volume"]);
    stage.perform(ACTS);
}
