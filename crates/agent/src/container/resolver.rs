//! Asks the runtimes for what the engine needs to know of containers: at once, again a few times where the runtime is not
//! that far yet, and with every relist from then on.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use ethogram_engine::{
    containers::runtime::{Ask, LinkedFile, Resolution, ResolveRequest, candidate_key},
    share::{Share, Shares},
};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};

use super::{
    hierarchy::Hierarchy,
    membership::Membership,
    runtime::{Answer, Runtime, RuntimeContainer, Runtimes},
    users::{Files, Found, Reader},
};

/// Between two relists.
const RELIST: Duration = Duration::from_secs(10);
/// Before the first repetition; doubled with each further one.
const FIRST_RETRY: Duration = Duration::from_millis(25);
/// Repetitions before a request waits for the relist: 25 ms to 3.2 s, together six seconds.
const RETRIES: u32 = 8;
/// How often it is found out whether the files have changed that name the users in containers,
const REREAD: Duration = Duration::from_secs(5);
/// and of how many containers at a time.
const REREAD_AT_A_TIME: usize = 64;
/// Repetitions that are over when a container is expected to have started: so it is asked again 200 ms later.
const START: u32 = 3;
/// Requests that are open at a time. Beyond, the largest share of them gives way.
const MAX_OPEN: usize = 16_384;
/// Requests that are being asked at a time,
const MAX_ASKING: usize = 16;
/// and those of one share before all others have had their turn.
const FIRST_TURN: usize = 4;

/// Answers the engine's requests until their channel is closed. The cgroups are below `hierarchy`.
///
/// `send` must not block. Where it returns false, the engine did not take the answer, and it is sent again later.
pub(crate) async fn run(
    runtimes: Arc<Runtimes>,
    mut asks: mpsc::Receiver<Ask>,
    hierarchy: Hierarchy,
    send: impl Fn(Resolution) -> bool + Send + 'static,
) {
    let (hint, mut hints) = mpsc::channel(256);
    let mut tasks = JoinSet::new();
    tasks.spawn(listen(runtimes.clone(), hint));
    let reader = Reader::new(hierarchy.root.clone());
    let mut resolver = Resolver {
        runtimes,
        finder: Finder { reader, hierarchy: Arc::new(hierarchy) },
        open: HashMap::new(),
        shares: Shares::default(),
        next_number: 0,
        by_number: HashMap::new(),
        asking: JoinSet::new(),
        named: HashMap::new(),
        turns: VecDeque::new(),
        is_rereading: false,
        send,
    };
    let mut reread = interval(REREAD);
    reread.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut relist = interval(RELIST);
    relist.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let next = resolver.ask_due();
        tokio::select! {
            ask = asks.recv() => match ask {
                Some(Ask::Resolve(request)) => resolver.want(request),
                Some(Ask::Forget(request)) => {
                    resolver.named.remove(&place(&request));
                    resolver.close(&place(&request));
                }
                None => return,
            },
            Some(hint) = hints.recv() => resolver.follow(hint),
            Some(done) = resolver.asking.join_next() => match done {
                Ok(Done::Asked(request, answer, found)) => resolver.on_answer(request, answer, found),
                Ok(Done::Reread(found)) => resolver.on_reread(found),
                Ok(Done::Listed(keys)) => resolver.again(|open| keys.contains(&open.request.key())),
                Err(error) => tracing::error!("a question to a runtime was not finished: {error}"),
            },
            _ = relist.tick() => resolver.relist(),
            _ = reread.tick() => resolver.reread(),
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
        }
    }
}

struct Resolver<T> {
    runtimes: Arc<Runtimes>,
    finder: Finder,
    /// By [`place`].
    open: HashMap<String, Open>,
    /// Whose they are: the last of the largest share gives way.
    shares: Shares<u64>,
    next_number: u64,
    by_number: HashMap<u64, String>,
    asking: JoinSet<Done>,
    /// Containers whose users have names, by [`place`], and the order in which their files have their turn.
    named: HashMap<String, Named>,
    turns: VecDeque<String>,
    is_rereading: bool,
    send: T,
}

/// A container whose users have names.
struct Named {
    cgroup: String,
    pid: Option<u32>,
    files: Files,
    /// Its guarded files with several names, as the engine knows them.
    linked: Vec<LinkedFile>,
}

enum Done {
    Asked(ResolveRequest, Answer, Option<Completed>),
    /// What files say by now, by [`place`].
    Reread(Vec<(String, Found)>),
    /// The keys under which the listed containers may be open.
    Listed(HashSet<String>),
}

/// What was found in a container's files.
struct Completed {
    files: Files,
    linked: Vec<LinkedFile>,
}

struct Open {
    request: ResolveRequest,
    share: Share,
    number: u64,
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
        let key = place(&request);
        if self.open.contains_key(&key) {
            return;
        }
        let share = share_of(&request);
        if self.open.len() >= MAX_OPEN {
            let Some((crowded, number)) = self.shares.give_way(&share) else {
                tracing::debug!(container = key, "too many containers without a name; this one has none");
                return;
            };
            tracing::debug!("too many containers without a name; the last below {crowded} has none");
            if let Some(last) = self.by_number.remove(&number) {
                self.open.remove(&last);
            }
        }
        let number = self.next_number;
        self.next_number += 1;
        self.shares.insert(&share, number);
        self.by_number.insert(number, key.clone());
        let state = OpenState::Due(Instant::now());
        self.open.insert(key, Open { request, share, number, attempts: 0, state, is_sent: false });
    }

    fn close(&mut self, key: &str) {
        if let Some(open) = self.open.remove(key) {
            self.shares.remove(&open.share, open.number);
            self.by_number.remove(&open.number);
        }
    }

    /// Asks what is due. Returns when the next one is.
    fn ask_due(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let mut next: Option<Instant> = None;
        let mut asking: BTreeMap<Share, usize> = BTreeMap::new();
        // Of each share, no more than could be asked.
        let mut due: BTreeMap<Share, Vec<String>> = BTreeMap::new();
        for (key, open) in &self.open {
            match open.state {
                OpenState::Asking => *asking.entry(open.share.clone()).or_default() += 1,
                // A request that finds no place is sent when an answer makes one.
                OpenState::Due(at) if at <= now => match due.get_mut(&open.share) {
                    Some(keys) if keys.len() >= MAX_ASKING => {}
                    Some(keys) => keys.push(key.clone()),
                    None => _ = due.insert(open.share.clone(), vec![key.clone()]),
                },
                OpenState::Due(at) => next = Some(next.map_or(at, |n| n.min(at))),
                OpenState::Waiting => {}
            }
        }
        for most in [FIRST_TURN, MAX_ASKING] {
            for key in due.values().flatten() {
                if self.asking.len() >= MAX_ASKING {
                    return next;
                }
                let Some(open) = self.open.get_mut(key).filter(|open| open.state != OpenState::Asking) else {
                    continue;
                };
                let of_its = asking.entry(open.share.clone()).or_default();
                if *of_its < most {
                    *of_its += 1;
                    open.state = OpenState::Asking;
                    spawn_ask(&mut self.asking, self.runtimes.clone(), self.finder.clone(), open.request.clone());
                }
            }
        }
        next
    }

    /// Something happened to that container: of use also without a request, as before its cgroup comes.
    fn follow(&mut self, hint: Hint) {
        match hint {
            Hint::Container(id) => {
                let mut is_open = false;
                for open in self.open.values_mut().filter(|open| open.request.id == id) {
                    is_open = true;
                    if open.state != OpenState::Asking {
                        open.state = OpenState::Due(Instant::now());
                    }
                }
                if !is_open && self.asking.len() < MAX_ASKING {
                    let cgroup = String::new();
                    let request = ResolveRequest { id, hint: Runtime::Docker, candidate_in: None, cgroup, share: None };
                    spawn_ask(&mut self.asking, self.runtimes.clone(), self.finder.clone(), request);
                }
            }
            Hint::Connected => self.again(|open| open.request.candidate_in.is_none()),
        }
    }

    fn on_answer(&mut self, request: ResolveRequest, answer: Answer, found: Option<Completed>) {
        let key = place(&request);
        let Some(open) = self.open.get_mut(&key) else {
            if let Answer::Known(container) = answer {
                (self.send)(Resolution::Known(container));
            }
            return;
        };
        match answer {
            Answer::Known(container) => {
                let pid = container.pid;
                // Its files are there, and Docker says since when it runs, once it has started.
                let has_started = container.users.is_some()
                    && (container.started_ns.is_some() || container.runtime != Runtime::Docker);
                let is_last = has_started || open.attempts >= RETRIES;
                if (open.is_sent && !is_last) || (self.send)(Resolution::Known(container)) {
                    if is_last {
                        self.close(&key);
                        if let Some(Completed { files, linked }) = found.filter(|_| self.named.len() < MAX_OPEN) {
                            // One that has been there before may still have its turn.
                            if !self.turns.contains(&key) {
                                self.turns.push_back(key.clone());
                            }
                            let cgroup = request.cgroup;
                            self.named.insert(key.clone(), Named { cgroup, pid, files, linked: Vec::new() });
                            self.on_linked(&key, linked);
                        }
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

    /// Finds out whether the names of users have changed in some containers, one after the other.
    fn reread(&mut self) {
        if self.is_rereading {
            return;
        }
        let mut some = Vec::new();
        for _ in 0..self.turns.len().min(REREAD_AT_A_TIME) {
            let Some(key) = self.turns.pop_front() else { break };
            // Where it is gone, its turns are over.
            let Some(Named { cgroup, pid, files, .. }) = self.named.get(&key) else { continue };
            some.push((key.clone(), *pid, cgroup.clone(), *files));
            self.turns.push_back(key);
        }
        if some.is_empty() {
            return;
        }
        self.is_rereading = true;
        let reader = self.finder.reader.clone();
        self.asking.spawn(async move {
            let mut found = Vec::new();
            for (key, pid, cgroup, files) in some {
                found.extend(reader.read_files(pid, &cgroup, Some(files)).await.map(|found| (key, found)));
            }
            Done::Reread(found)
        });
    }

    fn on_reread(&mut self, found: Vec<(String, Found)>) {
        self.is_rereading = false;
        for (key, Found { users, linked }) in found {
            self.on_linked(&key, linked);
            let (Some(named), Some((users, files))) = (self.named.get_mut(&key), users) else { continue };
            let news = Resolution::Users { cgroup: named.cgroup.clone(), users: Arc::new(users) };
            // What the engine did not take is sent again.
            if (self.send)(news) {
                named.files = files;
            }
        }
    }

    /// Which guarded files of a container have several names. That there are none is only said after there were some.
    fn on_linked(&mut self, key: &str, linked: Vec<LinkedFile>) {
        // Without a cgroup they would be the host's.
        let is_news = |named: &&mut Named| !named.cgroup.is_empty() && named.linked != linked;
        let Some(named) = self.named.get_mut(key).filter(is_news) else { return };
        // What the engine did not take is sent again.
        if (self.send)(Resolution::Linked { cgroup: named.cgroup.clone(), files: linked.clone() }) {
            named.linked = linked;
        }
    }

    fn again(&mut self, which: impl Fn(&Open) -> bool) {
        for open in self.open.values_mut().filter(|open| open.state == OpenState::Waiting && which(open)) {
            open.state = OpenState::Due(Instant::now());
        }
    }
}

/// Finds what no runtime says of a container, in its processes.
#[derive(Clone)]
struct Finder {
    reader: Reader,
    hierarchy: Arc<Hierarchy>,
}

impl Finder {
    async fn complete(&self, container: &mut RuntimeContainer, request: &ResolveRequest) -> Option<Completed> {
        if let (None, Some(pid)) = (&container.cgroup, container.pid) {
            let hierarchy = Arc::clone(&self.hierarchy);
            let of_pid = move || Membership::of_pid(pid)?.path_in(&hierarchy).map(str::to_owned);
            container.cgroup = tokio::task::spawn_blocking(of_pid).await.ok().flatten();
        }
        let Found { users, linked } = self.reader.read_files(container.pid, &request.cgroup, None).await?;
        let (users, files) = users?;
        container.users = Some(Arc::new(users));
        Some(Completed { files, linked })
    }
}

/// Under what a request is open: two may be about the same id, in different places.
fn place(request: &ResolveRequest) -> String {
    format!("{}@{}", request.key(), request.cgroup)
}

/// Whose it is: one container of the host's own says nothing of another, but who made many of them in one place has one share.
fn share_of(request: &ResolveRequest) -> Share {
    let parent = request.cgroup.rsplit_once('/').map_or("", |(parent, _)| parent);
    request.share.clone().unwrap_or_else(|| Share::Below(parent.into()))
}

fn spawn_ask(asking: &mut JoinSet<Done>, runtimes: Arc<Runtimes>, finder: Finder, request: ResolveRequest) {
    asking.spawn(async move {
        let mut answer = runtimes.ask(&request).await;
        let found = match &mut answer {
            Answer::Known(container) => finder.complete(container, &request).await,
            _ => None,
        };
        Done::Asked(request, answer, found)
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
#[path = "resolver_tests.rs"]
mod tests;
