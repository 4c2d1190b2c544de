//! Passwords and keys.

use super::stage::{Act, Stage, act};

pub(crate) const ACTS: &[Act] = &[
    act("Password Hashes Read", "cat /etc/shadow", "cat /etc/passwd"),
    act(
        "Private SSH Key Read",
        "mkdir -p /root/.ssh && : > /root/.ssh/id_rsa && cat /root/.ssh/id_rsa",
        "mkdir -p /root/.ssh && : > /root/.ssh/id_rsa.pub && cat /root/.ssh/id_rsa.pub",
    ),
    act(
        "Cloud Credentials Read By A General Tool",
        "mkdir -p /root/.aws && : > /root/.aws/credentials && cat /root/.aws/credentials",
        "mkdir -p /root/.aws && : > /root/.aws/config && cat /root/.aws/config",
    ),
    act(
        "Stored Passwords Read By A General Tool",
        ": > /root/.netrc && cat /root/.netrc",
        ": > /root/.inputrc && cat /root/.inputrc",
    ),
    act(
        "Key File Read By A General Tool",
        ": > /srv/server.key && cat /srv/server.key",
        ": > /srv/server.crt && cat /srv/server.crt",
    ),
    act("Environment Of The First Process Read", "cat /proc/1/environ", "cat /proc/1/status"),
    act("Environment Of A Process Read", "sleep 2 & cat /proc/$!/environ", "sleep 2 & cat /proc/$!/status"),
    act("Secrets Searched For", "find /etc -name id_rsa", "find /etc -name passwd"),
];

#[test]
fn credentials() {
    let stage = Stage::new("credentials", &[]);
    stage.perform(ACTS);
}
