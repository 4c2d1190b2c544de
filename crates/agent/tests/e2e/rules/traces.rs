//! Traces that are wiped, and what would have seen them.

use super::stage::{Act, Stage, act};

pub(crate) const ACTS: &[Act] = &[
    act(
        "Log Emptied",
        "mkdir -p /var/log && echo x > /var/log/auth.log && : > /var/log/auth.log",
        "mkdir -p /var/log && echo x > /var/log/job.log && : > /var/log/job.log",
    ),
    act(
        "Log Removed",
        "mkdir -p /var/log && echo x > /var/log/syslog && rm /var/log/syslog",
        "mkdir -p /var/log && echo x > /var/log/job.log && rm /var/log/job.log",
    ),
    act("Shell History Wiped", ": > /root/.ash_history && rm /root/.ash_history", ": > /root/notes && rm /root/notes"),
    act("Watching Programs Switched Off", "/act/pkill rsyslogd", "/act/pkill -HUP nginx"),
    act("File Made Immutable", "/act/chattr +i /etc/passwd", "/act/lsattr /etc/passwd"),
    act("Data Wiped", ": > /data/wiped && shred -u /data/wiped", ": > /data/removed && rm /data/removed"),
];

#[test]
fn traces() {
    let stage = Stage::new("traces", &[]);
    stage.perform(ACTS);
}
