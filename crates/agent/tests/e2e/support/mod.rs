//! What the tests stand on: a server, containers, processes that end with the test, and waiting for conditions.

mod cgroup;
mod clean_up;
mod daemon;
mod docker;
mod events;
mod http;
mod process;
mod proxy;
mod receiver;
mod server;

use std::{
    env,
    net::TcpListener,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

pub(crate) use cgroup::Cgroup;
pub(crate) use clean_up::{CleanUp, find, is_installed, run};
pub(crate) use daemon::Daemon;
pub(crate) use docker::{Container, IMAGE, save_image, ticking};
pub(crate) use events::{Events, expect_in, expect_nowhere, mark};
pub(crate) use http::Http;
pub(crate) use process::{Process, ethogram};
pub(crate) use proxy::Proxy;
pub(crate) use receiver::Receiver;
pub(crate) use server::{Alert, Server, Settings, found_by};

/// What is done side by side.
const AT_A_TIME: usize = 3;

/// How many times as long a test waits: in an emulated machine all takes longer (`ETHOGRAM_TEST_PATIENCE`).
pub(crate) fn patience() -> u32 {
    env::var("ETHOGRAM_TEST_PATIENCE").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// Waits until `probe` gives something.
pub(crate) fn eventually<T>(what: &str, timeout: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let (begin, timeout) = (Instant::now(), timeout * patience());
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(begin.elapsed() < timeout, "waited {timeout:?} in vain for {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A port on loopback that nothing listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Seconds, shorter to write.
pub(crate) const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Does the same with each, some at a time. The order of what comes out is not that of what goes in.
pub(crate) fn with_each<T: Send, R: Send>(
    all: impl IntoIterator<Item = T, IntoIter: Send>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let (waiting, done) = (Mutex::new(all.into_iter()), Mutex::new(Vec::new()));
    let next = || waiting.lock().unwrap().next();
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(one) = next() {
                    let result = work(one);
                    done.lock().unwrap().push(result);
                }
            });
        }
    });
    done.into_inner().unwrap()
}
