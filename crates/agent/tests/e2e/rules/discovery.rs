//! Looking around.

use super::stage::{Act, Stage, act};

pub(crate) const ACTS: &[Act] = &[
    act("Service Looks Around", "/act/httpd run id", "/act/worker run id"),
    act("Shell Started By A Closed Service", "/act/redis-server run sh -c true", "/act/worker run sh -c true"),
    act("Shell Started By A Service", "/act/httpd run sh -c true", "/act/worker run sh -c true"),
    act("Network Scanner Run", "/act/nmap 127.0.0.1", "/act/psql -h 127.0.0.1"),
    act("Ways To More Rights Searched For", "find /etc -perm -4000", "find /etc -perm 644"),
    act("Attack Tool Run", "/act/linpeas.sh", "/act/server"),
];

#[test]
fn discovery() {
    let stage = Stage::new("discovery", &[]);
    stage.perform(ACTS);
}
