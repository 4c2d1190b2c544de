//! Cryptominers.

use super::stage::{Act, Stage, act};

pub(crate) const ACTS: &[Act] = &[
    act("Mining Program Run", "/act/xmrig", "/act/xmllint"),
    act(
        "Mining Options Used",
        "/act/worker -o stratum+tcp://203.0.113.7:3333 -u x",
        "/act/worker -o tcp://203.0.113.7:3333 -u x",
    ),
    act("Mining Pool Asked For", "act ask 1 pool.supportxmr.com", "act ask 1 pool.ntp.org"),
    act(
        "Mining Port Reached",
        "act connect 203.0.113.7 3333 || true",
        "act connect 203.0.113.7 443 || act connect 127.0.0.1 3333 || true",
    ),
    act("Machine Tuned For Mining", ": >> /proc/sys/vm/nr_hugepages", "cat /proc/sys/vm/nr_hugepages"),
];

#[test]
fn mining() {
    let stage = Stage::new("mining", &[]);
    stage.play("ip address add 203.0.113.7/32 dev lo");
    stage.perform(ACTS);
}
