//! The rules that ship: each is made to fire in a real container, and its nearest harmless neighbour is shown to be silent.
//!
//! Where the image lacks a program, a small one of the tests' own has its name; where one would talk to the internet, the
//! container has no network but addresses of its own.

mod cgroups;
mod cloud;
mod credentials;
mod discovery;
mod dropped;
mod escape;
mod exfiltration;
mod fileless;
mod host;
mod injection;
mod kernel;
mod mining;
mod ordinary;
mod persistence;
mod shells;
pub(crate) mod stage;
mod tools;
mod traces;

use std::collections::BTreeSet;

use serde_json::Value;
use stage::Act;

use super::support::{Server, Settings, ethogram};

const ALL: [&[Act]; 14] = [
    cloud::ACTS,
    credentials::ACTS,
    discovery::ACTS,
    dropped::ACTS,
    escape::ACTS,
    exfiltration::ACTS,
    fileless::ACTS,
    injection::ACTS,
    kernel::ACTS,
    mining::ACTS,
    persistence::ACTS,
    shells::ACTS,
    tools::ACTS,
    traces::ACTS,
];

#[test]
fn every_rule_that_ships_is_acted_out() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../rules");
    let checked = ethogram(["rules", "--output", "json", "check", folder]).output().unwrap();
    let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let rules = checked["rules"].as_array().unwrap();
    let shipped: BTreeSet<&str> = rules.iter().map(|r| r["name"].as_str().unwrap()).collect();
    let acted: BTreeSet<&str> = ALL.iter().copied().flatten().map(|act| act.rule).chain(cgroups::RULES).collect();
    assert_eq!(shipped, acted);
}

/// Where the functions behind datagrams cannot be attached to, every packet would pay for the names that are asked for.
#[test]
fn a_rule_that_every_packet_would_pay_for_says_what_to_set() {
    let of_pools = |high_overhead: Vec<&'static str>| {
        let avoid = vec!["fentry", "fexit", "kprobe"];
        let server = Server::start(&Settings { shipped_rules: true, high_overhead, avoid, ..Settings::default() });
        let status = server.http.get("/v1/rules");
        let rule = status["rules"].as_array().unwrap().iter().find(|r| r["name"] == "Mining Pool Asked For");
        rule.unwrap().clone()
    };
    assert_eq!(of_pools(vec!["dns"])["state"], "armed");
    let unasked = of_pools(Vec::new());
    assert_eq!(unasked["state"], "cannot_fire");
    let reason = unasked["reason"].as_str().unwrap();
    assert!(reason.contains("every packet pays for it") && reason.contains("`[trackers] high_overhead`"), "{reason}");
}
