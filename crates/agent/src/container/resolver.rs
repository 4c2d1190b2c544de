//! Asks the runtimes for what the engine needs to know of containers: at once, again a few times where the runtime is not
//! that far yet, and with every relist from then on.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use ethogram_engine::containers::runtime::{Ask, Resolution, ResolveRequest, candidate_key};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};

use super::{
    runtime::{Answer, Runtime, Runtimes},
    users::Reader,
};

/// Between two relists.
const RELIST: Duration = Duration::from_secs(10);
/// Before the first repetition; doubled with each further one.
const FIRST_RETRY: Duration = Duration::from_millis(25);
/// Repetitions before a request waits for the relist: 25 ms to 3.2 s, together six seconds.
const RETRIES: u32 = 8;
/// Repetitions that are over when a container is expected to have started: so it is asked again 200 ms later.
const START: u32 = 3;
/// Requests that are open at a time; further ones are refused and come back with the engine's next walk.
const MAX_OPEN: usize = 8192;
/// Requests that are being asked at a time.
const MAX_ASKING: usize = 16;

/// Answers the engine's requests until their channel is closed. The cgroups are below `hierarchy`.
///
/// `send` must not block. Where it returns false, the engine did not take the answer, and it is sent again later.
pub(crate) async fn run(
    runtimes: Arc<Runtimes>,
    mut asks: mpsc::Receiver<Ask>,
    hierarchy: PathBuf,
    send: impl Fn(Resolution) -> bool + Send + 'static,
) {
    let (hint, mut hints) = mpsc::channel(256);
    let mut tasks = JoinSet::new();
    tasks.spawn(listen(runtimes.clone(), hint));
    let reader = Reader::new(hierarchy);
    let mut resolver = Resolver { runtimes, reader, open: HashMap::new(), asking: JoinSet::new(), send };
    let mut relist = interval(RELIST);
    relist.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let next = resolver.ask_due();
        tokio::select! {
            ask = asks.recv() => match ask {
                Some(Ask::Resolve(request)) => resolver.want(request),
                Some(Ask::Forget(request)) => { resolver.open.remove(&request.key()); }
                None => return,
            },
            Some(hint) = hints.recv() => resolver.follow(hint),
            Some(done) = resolver.asking.join_next() => match done {
                Ok(Done::Asked(request, answer)) => resolver.on_answer(request, answer),
                Ok(Done::Listed(keys)) => resolver.again(|open| keys.contains(&open.request.key())),
                Err(error) => tracing::error!("a question to a runtime was not finished: {error}"),
            },
            _ = relist.tick() => resolver.relist(),
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
        }
    }
}

struct Resolver<T> {
    runtimes: Arc<Runtimes>,
    reader: Reader,
    open: HashMap<String, Open>,
    asking: JoinSet<Done>,
    send: T,
}

enum Done {
    Asked(ResolveRequest, Answer),
    /// The keys under which the listed containers may be open.
    Listed(HashSet<String>),
}

struct Open {
    request: ResolveRequest,
    attempts: u32,
    state: OpenState,
    /// Whether the engine knows the container, but not all of it: it has not started yet.
    is_sent: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum OpenState {
    /// To be asked then.
    Due(Instant),
    Asking,
    /// Queried often enough: the relist shows when a runtime knows it.
    Waiting,
}

impl<T: Fn(Resolution) -> bool> Resolver<T> {
    fn want(&mut self, request: ResolveRequest) {
        let key = request.key();
        if self.open.contains_key(&key) {
            return;
        }
        if self.open.len() >= MAX_OPEN {
            tracing::debug!(container = key, "too many containers without a name; this one waits");
            return;
        }
        self.open.insert(key, Open { request, attempts: 0, state: OpenState::Due(Instant::now()), is_sent: false });
    }

    /// Asks what is due. Returns when the next one is.
    fn ask_due(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let mut next: Option<Instant> = None;
        for open in self.open.values_mut() {
            let OpenState::Due(due) = open.state else { continue };
            // A request that finds no place is sent when an answer makes one.
            if due <= now && self.asking.len() < MAX_ASKING {
                open.state = OpenState::Asking;
                spawn_ask(&mut self.asking, self.runtimes.clone(), self.reader.clone(), open.request.clone());
            } else if due > now {
                next = Some(next.map_or(due, |n| n.min(due)));
            }
        }
        next
    }

    /// Something happened to that container: of use also without a request, as before its cgroup comes.
    fn follow(&mut self, hint: Hint) {
        match hint {
            Hint::Container(id) => {
                if let Some(open) = self.open.get_mut(&id) {
                    if open.state != OpenState::Asking {
                        open.state = OpenState::Due(Instant::now());
                    }
                } else if self.asking.len() < MAX_ASKING {
                    let request =
                        ResolveRequest { id, hint: Runtime::Docker, candidate_in: None, cgroup: String::new() };
                    spawn_ask(&mut self.asking, self.runtimes.clone(), self.reader.clone(), request);
                }
            }
            Hint::Connected => self.again(|open| open.request.candidate_in.is_none()),
        }
    }

    fn on_answer(&mut self, request: ResolveRequest, answer: Answer) {
        let key = request.key();
        let Some(open) = self.open.get_mut(&key) else {
            if let Answer::Known(container) = answer {
                (self.send)(Resolution::Known(container));
            }
            return;
        };
        match answer {
            Answer::Known(container) => {
                // Its files are there, and Docker says since when it runs, once it has started.
                let has_started = container.users.is_some()
                    && (container.started_ns.is_some() || container.runtime != Runtime::Docker);
                let is_last = has_started || open.attempts >= RETRIES;
                if (open.is_sent && !is_last) || (self.send)(Resolution::Known(container)) {
                    if is_last {
                        self.open.remove(&key);
                        return;
                    }
                    open.is_sent = true;
                    open.attempts = open.attempts.max(START);
                }
            }
            // A candidate that containerd does not know is none: it knows its containers before their cgroups.
            Answer::Unknown if request.candidate_in.is_some() => {
                if (self.send)(Resolution::Unknown(request)) {
                    open.state = OpenState::Waiting;
                    return;
                }
            }
            Answer::Unknown | Answer::Unclear => {}
        }
        if open.attempts >= RETRIES {
            open.state = OpenState::Waiting;
            if !open.is_sent {
                (self.send)(Resolution::Unknown(open.request.clone()));
            }
            return;
        }
        open.state = OpenState::Due(Instant::now() + FIRST_RETRY * (1 << open.attempts));
        open.attempts += 1;
    }

    /// Asks once more for those waiting that a runtime lists now.
    fn relist(&mut self) {
        if self.open.values().all(|open| open.state != OpenState::Waiting) {
            return;
        }
        let runtimes = self.runtimes.clone();
        self.asking.spawn(async move {
            let mut keys = HashSet::new();
            for (_, listed) in runtimes.list().await.all {
                keys.extend(listed.namespace.map(|namespace| candidate_key(&namespace, &listed.id)));
                keys.insert(listed.id);
            }
            Done::Listed(keys)
        });
    }

    fn again(&mut self, which: impl Fn(&Open) -> bool) {
        for open in self.open.values_mut().filter(|open| open.state == OpenState::Waiting && which(open)) {
            open.state = OpenState::Due(Instant::now());
        }
    }
}

fn spawn_ask(asking: &mut JoinSet<Done>, runtimes: Arc<Runtimes>, reader: Reader, request: ResolveRequest) {
    asking.spawn(async move {
        let mut answer = runtimes.ask(&request).await;
        if let Answer::Known(container) = &mut answer {
            container.users = reader.users(container.pid, &request.cgroup).await.map(Arc::new);
        }
        Done::Asked(request, answer)
    });
}

/// What Docker's stream of events gives occasion for.
enum Hint {
    /// Something happened to this container.
    Container(String),
    /// The stream began: what happened before is not in it.
    Connected,
}

/// Follows Docker's events, again and again, for as long as anybody wants to know.
async fn listen(runtimes: Arc<Runtimes>, hint: mpsc::Sender<Hint>) {
    let Some(docker) = runtimes.docker() else { return };
    loop {
        if docker.is_present()
            && let Ok(mut events) = docker.events().await
        {
            if hint.send(Hint::Connected).await.is_err() {
                return;
            }
            // Nonsense ends the stream like its end does: it is only a hint, and the calls complain.
            while let Ok(Some(id)) = events.next().await {
                if hint.send(Hint::Container(id)).await.is_err() {
                    return;
                }
            }
        }
        sleep(Duration::from_secs(1)).await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use super::*;
    use crate::{
        config::RuntimeSettings,
        container::runtime::RuntimeContainer,
        http::tests::{FakeServer, answer},
    };

    const ID: &str = "97ca8c4b43552c7ea2dd5f5087a801d4fc4294230864437bfe354728b1fe8219";

    fn nowhere() -> RuntimeSettings {
        RuntimeSettings {
            docker_socket: "/nonexistent/docker".into(),
            containerd_socket: "/nonexistent/containerd".into(),
            podman_socket: "/nonexistent/podman".into(),
            podman_storage: "/nonexistent/storage".into(),
        }
    }

    fn request(id: &str, candidate_in: Option<&str>) -> ResolveRequest {
        let hint = if candidate_in.is_some() { Runtime::Containerd } else { Runtime::Docker };
        ResolveRequest { id: id.into(), hint, candidate_in: candidate_in.map(str::to_owned), cgroup: String::new() }
    }

    fn start(settings: &RuntimeSettings, room: usize) -> (mpsc::Sender<Ask>, mpsc::Receiver<Resolution>) {
        let (ask, asks) = mpsc::channel(8);
        let (sender, resolutions) = mpsc::channel(room);
        let runtimes = Arc::new(Runtimes::new(settings));
        tokio::spawn(run(runtimes, asks, "/nonexistent".into(), move |resolution| sender.try_send(resolution).is_ok()));
        (ask, resolutions)
    }

    async fn within<T>(seconds: u64, what: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(seconds), what).await.unwrap()
    }

    fn known(resolution: Option<Resolution>) -> RuntimeContainer {
        let Some(Resolution::Known(container)) = resolution else { panic!("{resolution:?}") };
        *container
    }

    #[tokio::test]
    async fn a_container_that_the_runtime_does_not_know_yet_is_asked_for_again() {
        let there = Arc::new(AtomicBool::new(false));
        let is_there = there.clone();
        let server = FakeServer::by(
            move |_| {
                // The first question comes too early.
                if !is_there.swap(true, Ordering::SeqCst) {
                    return answer("404 Not Found", "{}");
                }
                answer("200 OK", &format!(r#"{{"Id":"{ID}","Name":"/web","Config":{{}}}}"#))
            },
            false,
        );
        let (ask, mut resolutions) = start(&RuntimeSettings { docker_socket: server.socket.clone(), ..nowhere() }, 8);
        ask.send(Ask::Resolve(request(ID, None))).await.unwrap();
        assert_eq!(known(within(5, resolutions.recv()).await).name, "web");
    }

    #[tokio::test]
    async fn a_container_that_has_not_started_is_sent_once_and_asked_for_again() {
        let asked = Arc::new(AtomicU32::new(0));
        let counts = asked.clone();
        let server = FakeServer::by(
            move |request| {
                counts.fetch_add(u32::from(request.contains(ID)), Ordering::SeqCst);
                let state = r#"{"Pid":0,"StartedAt":"0001-01-01T00:00:00Z"}"#;
                answer("200 OK", &format!(r#"{{"Id":"{ID}","Name":"/web","State":{state},"Config":{{}}}}"#))
            },
            false,
        );
        let (ask, mut resolutions) = start(&RuntimeSettings { docker_socket: server.socket.clone(), ..nowhere() }, 8);
        ask.send(Ask::Resolve(request(ID, None))).await.unwrap();
        assert_eq!(known(within(5, resolutions.recv()).await).name, "web");
        within(5, async {
            while asked.load(Ordering::SeqCst) < 3 {
                sleep(FIRST_RETRY).await;
            }
        })
        .await;
        assert!(resolutions.is_empty(), "nothing new");
        // When its cgroup goes, it is not queried any more.
        ask.send(Ask::Forget(request(ID, None))).await.unwrap();
        while ask.capacity() < 8 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_candidate_that_containerd_cannot_know_is_turned_down_at_once() {
        let (ask, mut resolutions) = start(&nowhere(), 8);
        let candidate = request("web", Some("default"));
        ask.send(Ask::Resolve(candidate.clone())).await.unwrap();
        assert_eq!(within(1, resolutions.recv()).await, Some(Resolution::Unknown(candidate)));
    }

    #[tokio::test]
    async fn dockers_events_tell_of_containers_that_nobody_asked_for() {
        let server = FakeServer::by(
            |request| {
                if request.contains("/events?") {
                    let event = format!(r#"{{"Action":"create","Actor":{{"ID":"{ID}"}}}}"#);
                    return format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{event}\n").into_bytes();
                }
                answer("200 OK", &format!(r#"{{"Id":"{ID}","Name":"/early","Config":{{}}}}"#))
            },
            false,
        );
        let (_ask, mut resolutions) = start(&RuntimeSettings { docker_socket: server.socket.clone(), ..nowhere() }, 8);
        assert_eq!(known(within(5, resolutions.recv()).await).name, "early");
    }

    #[tokio::test]
    async fn news_that_the_engine_had_no_room_for_is_sent_again() {
        let body = format!(r#"{{"Id":"{ID}","Name":"/web","Config":{{}}}}"#);
        let server = FakeServer::start(answer("200 OK", &body), false);
        let (ask, mut resolutions) = start(&RuntimeSettings { docker_socket: server.socket.clone(), ..nowhere() }, 1);
        // The second fills what the first found empty.
        ask.send(Ask::Resolve(request("full", Some("default")))).await.unwrap();
        while resolutions.is_empty() {
            tokio::task::yield_now().await;
        }
        ask.send(Ask::Resolve(request(ID, None))).await.unwrap();
        while ask.capacity() < 8 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(resolutions.recv().await, Some(Resolution::Unknown(_))));
        assert_eq!(known(within(5, resolutions.recv()).await).name, "web");
    }

    #[tokio::test]
    async fn a_runtime_that_hangs_does_not_hold_up_the_others() {
        let body = format!(r#"{{"Id":"{ID}","Name":"/web","Config":{{}}}}"#);
        let docker = FakeServer::start(answer("200 OK", &body), false);
        let containerd = FakeServer::start(vec![], true);
        let settings = RuntimeSettings {
            docker_socket: docker.socket.clone(),
            containerd_socket: containerd.socket.clone(),
            ..nowhere()
        };
        let (ask, mut resolutions) = start(&settings, 8);
        ask.send(Ask::Resolve(request("hung", Some("default")))).await.unwrap();
        ask.send(Ask::Resolve(request(ID, None))).await.unwrap();
        assert_eq!(known(within(1, resolutions.recv()).await).name, "web");
    }
}
