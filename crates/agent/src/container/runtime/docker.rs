//! Docker Engine's API, which Podman speaks too.

use std::collections::BTreeMap;

use ethogram_engine::containers::cgroup::is_identifier;
use ethogram_model::Mount;
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    CALL_TIMEOUT, Listed, MAX_DETAILS, Runtime, RuntimeContainer, RuntimeError, bounded_command, bounded_image,
    bounded_labels, bounded_mounts, bounded_name, drop_claims, names_owner, pod_of,
};
use crate::http::{HttpError, Lines, UnixClient};

/// One server that speaks Docker's API.
#[derive(Debug, Clone)]
pub(crate) struct Docker {
    runtime: Runtime,
    client: UnixClient,
    /// For what is asked of one container.
    details: UnixClient,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Summary {
    id: String,
    #[serde(default)]
    names: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Details {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    image: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    args: Option<Vec<String>>,
    config: Config,
    #[serde(default)]
    state: State,
    #[serde(default)]
    host_config: HostConfig,
    #[serde(default)]
    mounts: Option<Vec<MountPoint>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct State {
    /// Zero as long as it does not run.
    pid: u32,
    /// The year 1 as long as it was never started.
    started_at: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfig {
    privileged: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct MountPoint {
    source: String,
    destination: String,
    mode: String,
    #[serde(rename = "RW")]
    writable: bool,
    propagation: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(default)]
    image: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ImageDetails {
    #[serde(default)]
    config: ImageConfig,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ImageConfig {
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    action: String,
    actor: Actor,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Actor {
    #[serde(rename = "ID")]
    id: String,
}

impl Docker {
    /// The server at `socket`, which is Docker or Podman.
    pub(crate) fn new(runtime: Runtime, socket: impl Into<std::path::PathBuf>) -> Self {
        let client = UnixClient::new(socket, CALL_TIMEOUT);
        Self { runtime, details: client.clone().with_max_body(MAX_DETAILS), client }
    }

    /// Whether its socket is there.
    pub(crate) fn is_present(&self) -> bool {
        self.client.socket().exists()
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> &std::path::Path {
        self.client.socket()
    }

    /// All containers, stopped ones too.
    pub(super) async fn list(&self) -> Result<Vec<Listed>, RuntimeError> {
        let summaries: Vec<Summary> = get(&self.client, "/containers/json?all=1").await?.unwrap_or_default();
        Ok(summaries.into_iter().map(Listed::from).collect())
    }

    /// One container; none where it does not know that id.
    pub(super) async fn inspect(&self, id: &str) -> Result<Option<RuntimeContainer>, RuntimeError> {
        if !is_identifier(id) {
            return Ok(None);
        }
        let found: Option<Details> = get(&self.details, &format!("/containers/{id}/json")).await?;
        let Some(mut details) = found else { return Ok(None) };
        if let Some(labels) = details.config.labels.as_mut()
            && names_owner(labels)
        {
            let of_image = match self.labels_of_image(&details.image).await {
                // One that says so much says all of it.
                Err(RuntimeError::Http(HttpError::TooLong(_))) => labels.clone(),
                other => other?,
            };
            drop_claims(labels, &of_image);
        }
        Ok(Some(self.container(details)))
    }

    /// The labels that an image brings along; none where it is not there any more.
    async fn labels_of_image(&self, id: &str) -> Result<BTreeMap<String, String>, RuntimeError> {
        let hash = id.strip_prefix("sha256:").unwrap_or(id);
        if !is_identifier(hash) {
            return Ok(BTreeMap::new());
        }
        let image: Option<ImageDetails> = get(&self.details, &format!("/images/{hash}/json")).await?;
        Ok(image.and_then(|image| image.config.labels).unwrap_or_default())
    }

    fn container(&self, details: Details) -> RuntimeContainer {
        let labels = bounded_labels(details.config.labels.unwrap_or_default());
        let command = Some(details.path).filter(|path| !path.is_empty()).into_iter();
        RuntimeContainer {
            runtime: self.runtime,
            namespace: None,
            name: bounded_name(plain_name(&details.name).unwrap_or(&details.id).to_owned()),
            image: Some(bounded_image(details.config.image, &details.image)),
            command: bounded_command(command.chain(details.args.unwrap_or_default())),
            pod: pod_of(&labels),
            sandbox: labels.get("io.kubernetes.docker.type").is_some_and(|kind| kind == "podsandbox"),
            labels,
            privileged: details.host_config.privileged,
            mounts: bounded_mounts(details.mounts.unwrap_or_default().into_iter().map(Mount::from)),
            started_ns: started_ns(&details.state.started_at),
            users: None,
            // Its first process shows it.
            cgroup: None,
            pid: Some(details.state.pid).filter(|pid| *pid > 0),
            id: details.id,
        }
    }

    /// The ids of containers as they are created, started and renamed, from now on.
    pub(crate) async fn events(&self) -> Result<Events, RuntimeError> {
        // {"type":["container"],"event":["create","start","rename"]}
        let filter = "%7B%22type%22%3A%5B%22container%22%5D%2C\
                      %22event%22%3A%5B%22create%22%2C%22start%22%2C%22rename%22%5D%7D";
        let (status, lines) = self.client.lines(&format!("/events?filters={filter}")).await?;
        if !status.is_success() {
            return Err(RuntimeError::Status(status.as_u16()));
        }
        Ok(Events { lines })
    }
}

async fn get<T: DeserializeOwned>(client: &UnixClient, path: &str) -> Result<Option<T>, RuntimeError> {
    let response = client.get(path).await?;
    match response.status.as_u16() {
        200 => Ok(Some(serde_json::from_slice(&response.body)?)),
        404 => Ok(None),
        status => Err(RuntimeError::Status(status)),
    }
}

/// A stream of hints that something happened to a container.
#[derive(Debug)]
pub(crate) struct Events {
    lines: Lines,
}

impl Events {
    /// The id of the next container; none when the server ended the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<String>, RuntimeError> {
        while let Some(line) = self.lines.next().await? {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            if let Some(id) = of_event(&line)? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }
}

/// The id of the container that an event is of; none where the event is no hint.
fn of_event(line: &[u8]) -> Result<Option<String>, RuntimeError> {
    let event: Event = serde_json::from_slice(line)?;
    Ok(matches!(event.action.as_str(), "create" | "start" | "rename").then_some(event.actor.id))
}

/// What each of its answers says, where it is these bytes.
#[cfg(fuzzing)]
pub(super) fn read_any(answer: &[u8]) -> Option<RuntimeContainer> {
    let summaries: Vec<Summary> = serde_json::from_slice(answer).unwrap_or_default();
    summaries.into_iter().map(Listed::from).for_each(drop);
    _ = of_event(answer);
    Some(Docker::new(Runtime::Docker, "").container(serde_json::from_slice(answer).ok()?))
}

impl From<Summary> for Listed {
    fn from(summary: Summary) -> Self {
        let name = summary.names.unwrap_or_default().into_iter().find_map(|n| plain_name(&n).map(str::to_owned));
        Self { namespace: None, name: bounded_name(name.unwrap_or_else(|| summary.id.clone())), id: summary.id }
    }
}

impl From<MountPoint> for Mount {
    fn from(mount: MountPoint) -> Self {
        let MountPoint { source, destination, mode, writable, propagation } = mount;
        Self { source, destination, mode, writable, propagation }
    }
}

/// RFC 3339 in nanoseconds since the Unix epoch; none for what was never started.
fn started_ns(text: &str) -> Option<u64> {
    let started: Timestamp = text.parse().ok()?;
    u64::try_from(started.as_nanosecond()).ok()
}

/// `/web` is `web`; `/other/alias` is a name that a link gave it.
fn plain_name(name: &str) -> Option<&str> {
    let name = name.strip_prefix('/').unwrap_or(name);
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::http::tests::{FakeServer, answer};

    fn docker(server: &FakeServer) -> Docker {
        Docker::new(Runtime::Docker, &server.socket)
    }

    /// Of what Docker answers, the parts that are read, and their neighbours.
    const RUNNING: &str = r#"{"Id":"dd","Created":"2026-11-25T02:19:25.109419419Z","Path":"sleep","Args":["300"],
        "State":{"Status":"running","Running":true,"Paused":false,"Restarting":false,"OOMKilled":false,"Dead":false,
        "Pid":18334,"ExitCode":0,"Error":"","StartedAt":"2026-11-25T02:19:29.875867947Z",
        "FinishedAt":"0001-01-01T00:00:00Z"},"Image":"sha256:aac2","Name":"/src","RestartCount":0,
        "HostConfig":{"Binds":["/srv:/data:ro","cache:/cache"],"NetworkMode":"default","Privileged":true,
        "SecurityOpt":["label=disable"],"MaskedPaths":null},"Mounts":[
        {"Type":"bind","Source":"/srv","Destination":"/data","Mode":"ro","RW":false,"Propagation":"rprivate"},
        {"Type":"volume","Name":"cache","Source":"/var/lib/docker/volumes/cache/_data","Destination":"/cache",
        "Driver":"local","Mode":"z","RW":true,"Propagation":""},
        {"Type":"bind","Source":"/opt","Destination":"/opt2","Mode":"","RW":true,"Propagation":"rshared"}],
        "Config":{"Image":"test:1","Labels":{"ethogram.test":"1"},"User":"","Cmd":["sleep","300"]}}"#;

    #[tokio::test]
    async fn containers_are_listed_and_inspected() {
        let server = FakeServer::by(
            |request| {
                let body = match request.split(' ').nth(1).unwrap() {
                    "/containers/json?all=1" => {
                        r#"[{"Id":"aa","Names":["/db/alias","/web"]},{"Id":"bb","Names":null}]"#
                    }
                    "/containers/aa/json" => {
                        r#"{"Id":"aa","Name":"/web","Image":"sha256:11","Path":"/bin/sh","Args":["-c","x"],
                            "Config":{"Image":"web:1","Labels":{"a":"b","io.kubernetes.pod.name":"p",
                            "io.kubernetes.pod.namespace":"n"}}}"#
                    }
                    "/containers/dd/json" => RUNNING,
                    "/containers/bb/json" => r#"{"Id":"bb","Config":{"Labels":null},"Args":null}"#,
                    _ => return answer("404 Not Found", r#"{"message":"No such container"}"#),
                };
                answer("200 OK", body)
            },
            false,
        );
        let docker = docker(&server);
        let names: Vec<String> = docker.list().await.unwrap().into_iter().map(|l| l.name).collect();
        assert_eq!(names, ["web", "bb"]);
        let web = docker.inspect("aa").await.unwrap().unwrap();
        assert_eq!((web.name.as_str(), web.command.join(" ").as_str()), ("web", "/bin/sh -c x"));
        assert_eq!(web.image.unwrap().digest, "sha256:11");
        assert_eq!(web.pod.unwrap().namespace, "n");
        let bare = docker.inspect("bb").await.unwrap().unwrap();
        assert_eq!((bare.name.as_str(), bare.command.len(), bare.pod), ("bb", 0, None));
        assert_eq!((bare.privileged, bare.mounts.len(), bare.started_ns, bare.pid), (None, 0, None, None));
        assert_eq!(docker.inspect("cc").await.unwrap(), None);

        let full = docker.inspect("dd").await.unwrap().unwrap();
        assert_eq!((full.privileged, full.pid), (Some(true), Some(18334)));
        assert_eq!(full.started_ns, Some(1_795_573_169_875_867_947));
        let shown = |m: &Mount| {
            [&*m.source, &m.destination, &m.mode, if m.writable { "rw" } else { "ro" }, &m.propagation].join(" ")
        };
        assert_eq!(
            full.mounts.iter().map(shown).collect::<Vec<_>>(),
            ["/srv /data ro ro rprivate", "/var/lib/docker/volumes/cache/_data /cache z rw ", "/opt /opt2  rw rshared",]
        );
    }

    #[tokio::test]
    async fn an_image_does_not_say_whose_its_containers_are() {
        let server = FakeServer::by(
            |request| {
                let (image, more) =
                    ("\"com.docker.compose.project\":\"shop\",\"com.docker.compose.service\":\"web\"", "\"own\":\"1\"");
                let container = |image: &str, labels: &str| {
                    format!(
                        r#"{{"Id":"aa","Image":"sha256:{image}","Config":{{"Image":"x:1","Labels":{{{labels}}}}}}}"#
                    )
                };
                let body = match request.split(' ').nth(1).unwrap() {
                    // All of it is the image's.
                    "/containers/claims/json" => container("11", &format!("{image},{more}")),
                    // Compose labels the images that it builds, too, and its containers further.
                    "/containers/built/json" => {
                        container("11", &format!("{image},\"com.docker.compose.container-number\":\"1\""))
                    }
                    // The image has no such labels.
                    "/containers/plain/json" => container("22", image),
                    "/containers/gone/json" => container("33", image),
                    "/images/11/json" => format!(r#"{{"Id":"sha256:11","Config":{{"Labels":{{{image}}}}}}}"#),
                    "/images/22/json" => r#"{"Id":"sha256:22","Config":{"Labels":null}}"#.to_owned(),
                    _ => return answer("404 Not Found", "{}"),
                };
                answer("200 OK", &body)
            },
            false,
        );
        let docker = docker(&server);
        for (id, is_owned) in [("claims", false), ("built", true), ("plain", true), ("gone", true)] {
            let labels = docker.inspect(id).await.unwrap().unwrap().labels;
            assert_eq!(labels.contains_key("com.docker.compose.service"), is_owned, "{id}: {labels:?}");
            assert_eq!(labels.contains_key("own"), id == "claims");
        }
    }

    #[test]
    fn what_was_never_started_has_no_start() {
        for text in ["0001-01-01T00:00:00Z", "", "yesterday"] {
            assert_eq!(started_ns(text), None, "{text}");
        }
        assert_eq!(started_ns("1970-01-01T00:00:01.5Z"), Some(1_500_000_000));
    }

    #[tokio::test]
    async fn what_is_said_of_one_container_is_shorter_than_a_list() {
        let long = |bytes: usize| format!(r#"{{"Id":"aa","Config":{{}},"Ignored":"{}"}}"#, "x".repeat(bytes));
        let of = |body: String| FakeServer::start(answer("200 OK", &body), false);
        let short = of(long(MAX_DETAILS / 2));
        assert!(docker(&short).inspect("aa").await.unwrap().is_some());
        let server = of(long(MAX_DETAILS));
        let error = docker(&server).inspect("aa").await.unwrap_err();
        assert!(matches!(error, RuntimeError::Http(crate::http::HttpError::TooLong(MAX_DETAILS))), "{error}");
        let server = of(format!("[{}]", long(MAX_DETAILS)));
        assert_eq!(docker(&server).list().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn an_id_cannot_lead_to_another_path() {
        let server = FakeServer::by(|request| panic!("asked for {request}"), false);
        for id in ["", "..", "a/../../images", "a?x=1", "a b", "a\r\nb"] {
            assert_eq!(docker(&server).inspect(id).await.unwrap(), None, "{id:?}");
        }
    }

    #[tokio::test]
    async fn nonsense_is_an_error() {
        for body in ["", "[", "null", "{}", r#"[{"Id":7}]"#, "<html>"] {
            let server = FakeServer::start(answer("200 OK", body), false);
            assert!(matches!(docker(&server).list().await, Err(RuntimeError::Json(_))), "{body}");
        }
        let server = FakeServer::start(answer("500 Internal Server Error", "{}"), false);
        assert!(matches!(docker(&server).inspect("aa").await, Err(RuntimeError::Status(500))));
    }

    #[tokio::test]
    async fn events_name_containers_and_nonsense_ends_them() {
        let mut stream = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
        stream.extend_from_slice(
            b"{\"Action\":\"create\",\"Actor\":{\"ID\":\"aa\"}}\n\n{\"Action\":\"exec_start: ls\",\"Actor\":{\"ID\":\"bb\"}}\n\
              {\"Action\":\"rename\",\"Actor\":{\"ID\":\"cc\"}}\nwhat?\n",
        );
        let server = FakeServer::start(stream, true);
        let mut events = docker(&server).events().await.unwrap();
        assert_eq!(events.next().await.unwrap().unwrap(), "aa");
        assert_eq!(events.next().await.unwrap().unwrap(), "cc");
        assert!(events.next().await.is_err());
    }
}
