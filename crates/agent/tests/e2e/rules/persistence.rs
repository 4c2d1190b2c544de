//! What outlives the attacker's process.

use super::stage::{Act, Stage, act};

pub(crate) const ACTS: &[Act] = &[
    act("Cron Job Planted", "mkdir -p /etc/cron.d && : > /etc/cron.d/job", "mkdir -p /etc/cron.d && ls /etc/cron.d"),
    act(
        "Systemd Unit Planted",
        "mkdir -p /etc/systemd/system && : > /etc/systemd/system/x.service",
        "mkdir -p /etc/systemd && : > /etc/systemd/system.conf",
    ),
    act(
        "Start Script Changed",
        "mkdir -p /etc/init.d && : > /etc/init.d/net",
        "mkdir -p /etc/init.d && ls /etc/init.d",
    ),
    act("Shell Profile Changed", ": > /root/.profile", ": > /root/profile"),
    act(
        "Authorized SSH Keys Changed",
        "mkdir -p /root/.ssh && : > /tmp/k && cp /tmp/k /root/.ssh/authorized_keys",
        "mkdir -p /root/.ssh && : > /root/.ssh/known_hosts",
    ),
    act(
        "Library Preloaded Into All Programs",
        ": > /data/p && mv /data/p /etc/ld.so.preload && rm /etc/ld.so.preload",
        ": > /data/p && mv /data/p /etc/ld.so.conf",
    ),
    act(
        "Program Given Rights Of Its Owner",
        "cp /bin/busybox /data/su && chmod 4755 /data/su",
        "cp /bin/busybox /data/us && chmod 755 /data/us",
    ),
    act("Program Given Capabilities", ": > /data/c && act capability /data/c", ": > /data/d && act attribute /data/d"),
    act("Account Files Changed By Hand", ": >> /etc/passwd", "cat /etc/passwd"),
    act("User Managed In Container", "/act/useradd x", "/opt/act/dpkg run /act/useradd x"),
    act(
        "Rules For Sudo Changed",
        "mkdir -p /etc/sudoers.d && : > /etc/sudoers.d/x",
        "mkdir -p /etc/sudoers.d && ls /etc/sudoers.d",
    ),
    act("Login Checks Changed", "mkdir -p /etc/pam.d && : > /etc/pam.d/sshd", "mkdir -p /etc/pam.d && ls /etc/pam.d"),
    act("Script Placed By A Service", "/act/httpd run sh -c ': > /www/x.php'", "/act/httpd run sh -c ': > /www/x.png'"),
];

#[test]
fn persistence() {
    let stage = Stage::new("persistence", &[]);
    stage.perform(ACTS);
}
