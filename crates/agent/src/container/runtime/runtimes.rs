//! All runtimes of this host together.

use std::{collections::BTreeSet, fmt, path::Path, time::Instant};

use ethogram_model::render::escape;

use super::{
    Docker, Listed, Runtime, RuntimeContainer, RuntimeError, containerd::Containerd, health::Health, podman::Podman,
};
use crate::config::RuntimeSettings;
use ethogram_engine::containers::{cgroup::is_identifier, runtime::ResolveRequest};

/// The runtimes of this host. One that is absent is not asked; one that hangs or answers nonsense is warned of and left
/// alone for a while, and the others go on.
#[derive(Debug)]
pub(crate) struct Runtimes {
    sources: [Source; 3],
}

#[derive(Debug)]
struct Source {
    client: Client,
    health: Health,
}

#[derive(Debug)]
enum Client {
    Docker(Docker),
    Containerd(Containerd),
    Podman(Podman),
}

/// What the runtimes said of one container.
#[derive(Debug)]
pub(crate) enum Answer {
    /// One knows it.
    Known(Box<RuntimeContainer>),
    /// All that could know it say that they do not.
    Unknown,
    /// One that could know it did not answer.
    Unclear,
}

/// What the runtimes list.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Each container, and who lists it.
    pub(crate) all: Vec<(Runtime, Listed)>,
    /// Who was asked.
    pub(crate) asked: Vec<Runtime>,
    /// Who of those did not answer.
    pub(crate) failed: Vec<Runtime>,
}

/// No runtime knows a container that the user asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) struct NoSuchContainer {
    wanted: String,
    asked: Vec<Runtime>,
    failed: Vec<Runtime>,
    nearest: Vec<String>,
}

impl Runtimes {
    /// The runtimes at these places. Needs a tokio runtime; nothing is asked yet.
    pub(crate) fn new(settings: &RuntimeSettings) -> Self {
        let clients = [
            Client::Docker(Docker::new(Runtime::Docker, &settings.docker_socket)),
            Client::Containerd(Containerd::new(&settings.containerd_socket)),
            Client::Podman(Podman::new(&settings.podman_socket, &settings.podman_storage)),
        ];
        Self { sources: clients.map(|client| Source { client, health: Health::default() }) }
    }

    /// The runtimes that are there now, healthy or not, and where.
    pub(crate) fn present(&self) -> impl Iterator<Item = (Runtime, &Path)> {
        self.sources.iter().filter(|s| s.client.is_present()).map(|s| (s.client.runtime(), s.client.place()))
    }

    /// The names of those that are there and answer.
    pub(crate) fn answering(&self) -> BTreeSet<String> {
        let answers = |s: &&Source| s.client.is_present() && s.health.is_well();
        self.sources.iter().filter(answers).map(|s| s.client.runtime().to_string()).collect()
    }

    /// Whether one that is there does not answer.
    pub(crate) fn are_failing(&self) -> bool {
        self.sources.iter().any(|s| s.client.is_present() && !s.health.is_well())
    }

    /// Asks for one container, the likeliest runtime first.
    pub(crate) async fn ask(&self, request: &ResolveRequest) -> Answer {
        let (likeliest, others): (Vec<&Source>, Vec<&Source>) =
            self.sources.iter().partition(|s| s.client.covers(request.hint));
        let mut unclear = false;
        // Only the likeliest can know a candidate: that is what makes it one.
        let others = if request.candidate_in.is_some() { Vec::new() } else { others };
        for source in likeliest.into_iter().chain(others).filter(|s| s.client.is_present()) {
            match source.call(source.client.inspect(request)).await {
                // Docker also finds containers by name, and a name may look like another's id.
                Some(Some(container)) if container.id == request.id => return Answer::Known(Box::new(container)),
                Some(_) => {}
                None => unclear = true,
            }
        }
        if unclear { Answer::Unclear } else { Answer::Unknown }
    }

    /// All containers that any runtime lists, stopped ones too.
    pub(crate) async fn list(&self) -> Listing {
        let mut listing = Listing::default();
        for source in self.sources.iter().filter(|s| s.client.is_present()) {
            let runtime = source.client.runtime();
            listing.asked.push(runtime);
            match source.call(source.client.list()).await {
                Some(listed) => {
                    let listed = listed.into_iter().filter(|l| is_identifier(&l.id));
                    listing.all.extend(listed.map(|l| (runtime, l)));
                }
                None => listing.failed.push(runtime),
            }
        }
        listing
    }

    /// Finds the container that a user names, running or not: by its name, its id, or four or more characters of the
    /// start of its id.
    ///
    /// # Errors
    /// Where no runtime knows it: who was asked, and what similar names there are.
    pub(crate) async fn find(&self, wanted: &str) -> Result<RuntimeContainer, NoSuchContainer> {
        let Listing { all, asked, failed } = self.list().await;
        let exact = all.iter().find(|(_, l)| l.name == wanted || l.id == wanted);
        let found = exact.or_else(|| all.iter().find(|(_, l)| wanted.len() >= 4 && l.id.starts_with(wanted)));
        if let Some((runtime, listed)) = found {
            let (id, candidate_in) = (listed.id.clone(), listed.namespace.clone());
            let request = ResolveRequest { id, hint: *runtime, candidate_in, cgroup: String::new(), share: None };
            if let Answer::Known(container) = self.ask(&request).await {
                return Ok(*container);
            }
        }
        let mut names: Vec<String> = all.into_iter().map(|(_, l)| l.name).collect();
        names.sort_by(|a, b| strsim::jaro_winkler(b, wanted).total_cmp(&strsim::jaro_winkler(a, wanted)));
        names.dedup();
        names.truncate(3);
        Err(NoSuchContainer { wanted: wanted.to_owned(), asked, failed, nearest: names })
    }

    /// Docker, for its stream of events.
    pub(crate) fn docker(&self) -> Option<&Docker> {
        self.sources.iter().find_map(|s| match &s.client {
            Client::Docker(docker) => Some(docker),
            _ => None,
        })
    }
}

impl Source {
    /// The answer to a call; none where the runtime is left alone or failed, which is warned of.
    async fn call<T>(&self, call: impl Future<Output = Result<T, RuntimeError>>) -> Option<T> {
        if !self.health.may_ask(Instant::now()) {
            return None;
        }
        match call.await {
            Ok(answer) => {
                self.health.answered();
                Some(answer)
            }
            Err(error) => {
                self.health.complain(self.client.runtime(), self.client.place(), &error);
                None
            }
        }
    }
}

impl Client {
    fn runtime(&self) -> Runtime {
        match self {
            Self::Docker(_) => Runtime::Docker,
            Self::Containerd(_) => Runtime::Containerd,
            Self::Podman(_) => Runtime::Podman,
        }
    }

    /// CRI-O's containers are in the storage that it shares with Podman.
    fn covers(&self, runtime: Runtime) -> bool {
        self.runtime() == runtime || matches!((self, runtime), (Self::Podman(_), Runtime::CriO))
    }

    fn place(&self) -> &Path {
        match self {
            Self::Docker(docker) => docker.socket(),
            Self::Containerd(containerd) => containerd.socket(),
            Self::Podman(podman) => podman.place(),
        }
    }

    fn is_present(&self) -> bool {
        match self {
            Self::Docker(docker) => docker.is_present(),
            Self::Containerd(containerd) => containerd.is_present(),
            Self::Podman(podman) => podman.is_present(),
        }
    }

    async fn list(&self) -> Result<Vec<Listed>, RuntimeError> {
        match self {
            Self::Docker(docker) => docker.list().await,
            Self::Containerd(containerd) => containerd.list().await,
            Self::Podman(podman) => podman.list().await,
        }
    }

    async fn inspect(&self, request: &ResolveRequest) -> Result<Option<RuntimeContainer>, RuntimeError> {
        match self {
            Self::Docker(docker) => docker.inspect(&request.id).await,
            Self::Containerd(containerd) => containerd.inspect(request.candidate_in.as_deref(), &request.id).await,
            Self::Podman(podman) => podman.inspect(&request.id).await,
        }
    }
}

impl fmt::Display for NoSuchContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |runtimes: &[Runtime]| runtimes.iter().map(|r| r.as_str()).collect::<Vec<_>>().join(", ");
        write!(f, "no runtime knows container {}", escape(&self.wanted))?;
        if self.asked.is_empty() {
            return f.write_str("; no runtime was found to ask");
        }
        write!(f, "; asked: {}", names(&self.asked))?;
        if !self.failed.is_empty() {
            write!(f, "; no answer from: {}", names(&self.failed))?;
        }
        if !self.nearest.is_empty() {
            let nearest: Vec<_> = self.nearest.iter().map(|n| escape(n)).collect();
            write!(f, "; nearest names: {}", nearest.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::http::tests::{FakeServer, answer};

    fn settings(root: &Path) -> RuntimeSettings {
        RuntimeSettings {
            docker_socket: root.join("docker"),
            containerd_socket: root.join("containerd"),
            podman_socket: root.join("podman"),
            podman_storage: root.join("storage"),
        }
    }

    fn request(id: &str, hint: Runtime) -> ResolveRequest {
        ResolveRequest { id: id.into(), hint, candidate_in: None, cgroup: String::new(), share: None }
    }

    #[tokio::test]
    async fn one_that_answers_nonsense_does_not_hide_the_others() {
        let root = tempfile::tempdir().unwrap();
        let docker = FakeServer::start(b"nonsense\r\n".to_vec(), false);
        let podman = FakeServer::start(answer("200 OK", r#"{"Id":"aa","Name":"web","Config":{}}"#), false);
        let runtimes = Runtimes::new(&RuntimeSettings {
            docker_socket: docker.socket.clone(),
            podman_socket: podman.socket.clone(),
            ..settings(root.path())
        });
        let Answer::Known(web) = runtimes.ask(&request("aa", Runtime::Docker)).await else { panic!("not found") };
        assert_eq!((web.name.as_str(), web.runtime), ("web", Runtime::Podman));
    }

    #[tokio::test]
    async fn a_name_that_looks_like_an_id_is_not_taken_for_it() {
        let root = tempfile::tempdir().unwrap();
        let docker = FakeServer::start(answer("200 OK", r#"{"Id":"bb","Name":"/aa","Config":{}}"#), false);
        let runtimes =
            Runtimes::new(&RuntimeSettings { docker_socket: docker.socket.clone(), ..settings(root.path()) });
        assert!(matches!(runtimes.ask(&request("aa", Runtime::Docker)).await, Answer::Unknown));
        assert!(matches!(runtimes.ask(&request("bb", Runtime::Docker)).await, Answer::Known(_)));
    }

    #[tokio::test]
    async fn what_nobody_answered_is_unclear_and_what_nobody_knows_is_unknown() {
        let root = tempfile::tempdir().unwrap();
        let runtimes = Runtimes::new(&settings(root.path()));
        assert!(matches!(runtimes.ask(&request("aa", Runtime::Docker)).await, Answer::Unknown));
        let docker = FakeServer::start(answer("404 Not Found", "{}"), false);
        let containerd = FakeServer::start(b"nonsense\r\n".to_vec(), false);
        let mut with_docker = RuntimeSettings { docker_socket: docker.socket.clone(), ..settings(root.path()) };
        let runtimes = Runtimes::new(&with_docker);
        assert!(matches!(runtimes.ask(&request("aa", Runtime::Podman)).await, Answer::Unknown));
        with_docker.containerd_socket.clone_from(&containerd.socket);
        let runtimes = Runtimes::new(&with_docker);
        assert!(matches!(runtimes.ask(&request("aa", Runtime::Docker)).await, Answer::Unclear));
        // Only containerd is asked for a candidate.
        let candidate = ResolveRequest { candidate_in: Some("default".into()), ..request("aa", Runtime::Containerd) };
        assert!(matches!(runtimes.ask(&candidate).await, Answer::Unclear));
    }

    #[tokio::test]
    async fn a_container_is_found_by_name_id_and_start_of_id() {
        let root = tempfile::tempdir().unwrap();
        let docker = FakeServer::by(
            |request| match request.split(' ').nth(1).unwrap() {
                "/containers/json?all=1" => {
                    answer("200 OK", r#"[{"Id":"abcdef","Names":["/web"]},{"Id":"123456","Names":["/database"]}]"#)
                }
                "/containers/abcdef/json" => answer("200 OK", r#"{"Id":"abcdef","Name":"/web","Config":{}}"#),
                _ => answer("404 Not Found", "{}"),
            },
            false,
        );
        let there = RuntimeSettings { docker_socket: docker.socket.clone(), ..settings(root.path()) };
        let runtimes = Runtimes::new(&there);
        for wanted in ["web", "abcdef", "abcd"] {
            assert_eq!(runtimes.find(wanted).await.unwrap().id, "abcdef");
        }
        for wanted in ["abc", "we", "data\u{1b}base"] {
            let message = runtimes.find(wanted).await.unwrap_err().to_string();
            assert!(message.contains("asked: docker") && message.contains("database"), "{message}");
            assert!(!message.contains('\u{1b}'));
        }
        let message = Runtimes::new(&settings(root.path())).find("web").await.unwrap_err().to_string();
        assert_eq!(message, "no runtime knows container web; no runtime was found to ask");
    }
}
