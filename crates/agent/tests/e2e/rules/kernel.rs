//! The kernel: its modules, programs within it, and what protects it.

use super::stage::{Act, Stage, act};

pub(crate) const ACTS: &[Act] = &[
    act("Kernel Module Loaded From Container", "act insert", "cat /proc/version"),
    act("Kernel Module Removed From Container", "act remove", "cat /proc/version"),
    act("BPF Program Loaded From Container", "act bpf load", "cat /proc/sys/kernel/unprivileged_bpf_disabled"),
    act("BPF Program Attached From Container", "act bpf attach", "cat /proc/sys/kernel/unprivileged_bpf_disabled"),
    act(
        "Tracing Of The Kernel Changed From Container",
        "mount -t tracefs tracefs /sys/kernel/tracing && : >> /sys/kernel/tracing/trace_marker && umount /sys/kernel/tracing",
        "ls /sys/kernel/tracing",
    ),
    act("Addresses Of The Kernel Read", "head -c 1 /proc/kallsyms", "head -c 1 /proc/cpuinfo"),
    act(
        "Access Control Of The Kernel Changed",
        "mkdir -p /etc/selinux && : > /etc/selinux/config",
        "mkdir -p /etc/selinux && : > /etc/selinux/semanage.conf",
    ),
];

#[test]
fn kernel() {
    let stage = Stage::new("kernel", &[]);
    stage.perform(ACTS);
}
