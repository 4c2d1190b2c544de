//! The rules on who leaves a container's cgroup and who enters it, which no act within one container can do.

use std::process::Command;

use serde_json::Value;

use super::stage::is_of;
use crate::support::{Cgroup, Container, Server, Settings, eventually, seconds};

const LEFT: &str = "Process Left The Cgroup Of Its Container";
const ENTERED: &str = "Process Of The Host Entered The Cgroup Of A Container";
pub(super) const RULES: [&str; 2] = [LEFT, ENTERED];

#[test]
fn who_leaves_or_enters_a_containers_cgroup_is_found_and_the_runtime_is_not() {
    let server = Server::start(&Settings { shipped_rules: true, ..Settings::default() });
    let options = ["--cgroupns", "host", "--volume", "/sys/fs/cgroup:/c"];
    let left = Container::create("left", &options, &["sleep", "100000"]);
    left.start();
    let entered = Container::idle("entered");
    let of_them = || -> Vec<Value> {
        server.stored_alerts().into_iter().filter(|alert| RULES.iter().any(|rule| is_of(alert, rule))).collect()
    };
    let place = |container: &Container| Cgroup::directory(container.pid()).display().to_string();
    let seen_from_within = |place: &str| place.replacen("/sys/fs/cgroup", "/c", 1);
    for container in [&left, &entered] {
        server.await_container(&container.name);
        assert!(container.exec(&["true"]).status.success());
    }
    // An init moves what it starts within its own container.
    let own = seen_from_within(&place(&left));
    let within = format!("mkdir {own}/within && echo $$ >{own}/within/cgroup.procs && echo $$ >{own}/cgroup.procs");
    assert!(left.sh(&within).status.success());

    let host = |container: &Container| format!("echo $$ >{}/cgroup.procs", place(container));
    assert!(Command::new("sh").args(["-c", &host(&entered)]).status().unwrap().success());
    let found = |rule: &str| of_them().into_iter().find(|alert| is_of(alert, rule));
    let of = |alert: &Value| alert["evidences"][0]["container"]["name"].clone();
    let alert = eventually("an alert of who entered", seconds(20), || found(ENTERED));
    assert_eq!(of(&alert), entered.name.as_str(), "{alert}");
    assert!(found(LEFT).is_none());

    let top = own.strip_suffix(&format!("/docker/{}", left.id())).map_or_else(|| "/c".to_owned(), str::to_owned);
    assert!(left.sh(&format!("echo $$ >{top}/cgroup.procs")).status.success());
    let alert = eventually("an alert of who left", seconds(20), || found(LEFT));
    assert_eq!(of(&alert), left.name.as_str(), "{alert}");
    assert_eq!(of_them().len(), 2);
}
