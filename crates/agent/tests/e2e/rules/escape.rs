//! Ways out of a container.

use std::path::Path;

use super::stage::{Act, Stage, act};

pub(crate) const ACTS: &[Act] = &[
    act(
        "Cgroup Escape File Written",
        "mkdir -p /tmp/cg && mount -t cgroup -o pids cgroup /tmp/cg && : >> /tmp/cg/release_agent && umount /tmp/cg",
        ": > /tmp/release_agents",
    ),
    act("Core Pattern Written", ": >> /proc/sys/kernel/core_pattern", "cat /proc/sys/kernel/core_pattern"),
    act("Kernel Helper Set", ": >> /proc/sys/kernel/poweroff_cmd", "cat /proc/sys/kernel/poweroff_cmd"),
    act("System Request Triggered", ": >> /proc/sysrq-trigger", "ls /proc/self"),
    act(
        "Kernel Setting Changed From Container",
        ": >> /proc/sys/kernel/randomize_va_space",
        ": >> /proc/sys/net/ipv4/ip_forward",
    ),
    act(
        "Disk Mounted In Container",
        "mknod /dev/a b 7 0 && mkdir -p /mnt; mount -t ext4 -o ro /dev/a /mnt && umount /mnt; true",
        "mkdir -p /mnt && mount -t tmpfs tmpfs /mnt && umount /mnt",
    ),
    act(
        "Cgroups Mounted In Container",
        "mkdir -p /tmp/cg2 && mount -t cgroup -o pids cgroup /tmp/cg2 && umount /tmp/cg2",
        "mkdir -p /mnt && mount -t tmpfs cgroup /mnt && umount /mnt",
    ),
    act("Disk Or Memory Of The Machine Opened", "mknod /dev/b b 7 0 && : < /dev/b", ": < /dev/null"),
    act("Device Node Of A Disk Made", "mknod /dev/c b 7 0", "mknod /dev/d p"),
    act("Namespaces Of Another Process Entered", "nsenter -t 1 -m /bin/true", "readlink /proc/1/ns/mnt"),
    act("Namespaces Made In Container", "unshare -m /bin/true", "unshare -u /bin/true"),
    act("Container Runtime Controlled From Container", "act talk /run/docker.sock", "act talk /tmp/own.sock own"),
    act("Root Of Another Process Used", "/bin/cat /proc/1/root/etc/hostname", "/bin/cat /proc/1/status"),
    act(
        "Root Changed To The Host",
        "mkdir -p /host/bin && cp /bin/busybox /host/bin/true && chroot /host /bin/true",
        "mkdir -p /jail/bin && cp /bin/busybox /jail/bin/true && chroot /jail /bin/true",
    ),
    act(
        "Files Of The Host Changed From Container",
        "mkdir -p /host/etc && : > /host/etc/job",
        "mkdir -p /host/var/log && : > /host/var/log/job",
    ),
    act("Tool For Leaving Containers Run", "/act/nsenter", "/act/lsns"),
];

/// Kernels may be built without it.
const SYSTEM_REQUESTS: (&str, &str) = ("System Request Triggered", "/proc/sysrq-trigger");

#[test]
fn escape() {
    let stage = Stage::new("escape", &["--volume", "/var/run/docker.sock:/run/docker.sock"]);
    let (rule, file) = SYSTEM_REQUESTS;
    let is_here = Path::new(file).exists();
    if !is_here {
        println!("left out: '{rule}', as there is no {file}");
    }
    let acts: Vec<Act> = ACTS.iter().filter(|act| is_here || act.rule != rule).copied().collect();
    stage.perform(&acts);
}
