//! Podman and CRI-O, which have no daemon to ask or no API for it, but keep their containers in the same storage.
//!
//! What Podman's API has beyond that, labels above all, is queried there where its socket is. The files go first: to
//! connect to that socket may start a service.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;
use tokio::{sync::Semaphore, time::timeout};

use super::{
    CALL_TIMEOUT, Docker, Listed, MAX_ANSWER, MAX_DETAILS, Runtime, RuntimeContainer, RuntimeError, bounded_command,
    bounded_image, bounded_labels, bounded_mounts, bounded_name, oci, pod_of,
};
use crate::files;

/// Where containers are listed that do not outlive a boot, below the run directory of the same storage.
const VOLATILE: &str = "volatile-containers.json";
const LASTING: &str = "containers.json";

/// Podman's API, if any, and the storage.
#[derive(Debug, Clone)]
pub(crate) struct Podman {
    api: Docker,
    storage: PathBuf,
    /// Its lists are read one at a time: each may be large.
    reading: Arc<Semaphore>,
}

/// One entry of the storage's list.
#[derive(Debug, Clone, Deserialize)]
struct Entry {
    id: String,
    #[serde(default)]
    names: Option<Vec<String>>,
    #[serde(default)]
    image: String,
    /// JSON within JSON.
    #[serde(default)]
    metadata: String,
    /// `<driver>-containers`, where the list was found.
    #[serde(skip)]
    directory: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Metadata {
    image_name: String,
}

impl Podman {
    /// Podman with its API at `socket` and its containers below `storage`.
    pub(crate) fn new(socket: impl Into<PathBuf>, storage: impl Into<PathBuf>) -> Self {
        let reading = Arc::new(Semaphore::new(1));
        Self { api: Docker::new(Runtime::Podman, socket), storage: storage.into(), reading }
    }

    /// Whether there is a storage or a socket.
    pub(crate) fn is_present(&self) -> bool {
        self.storage.exists() || self.api.is_present()
    }

    /// What is asked first.
    pub(crate) fn place(&self) -> &Path {
        if self.storage.exists() { &self.storage } else { self.api.socket() }
    }

    /// All containers, stopped ones too.
    pub(super) async fn list(&self) -> Result<Vec<Listed>, RuntimeError> {
        if !self.storage.exists() {
            return self.api.list().await;
        }
        let entries = self.entries().await?;
        Ok(entries.into_iter().map(|e| Listed { namespace: None, name: e.name(), id: e.id }).collect())
    }

    /// One container; none where neither knows that id.
    pub(super) async fn inspect(&self, id: &str) -> Result<Option<RuntimeContainer>, RuntimeError> {
        if !self.storage.exists() {
            return self.api.inspect(id).await;
        }
        let Some(entry) = self.entries().await?.into_iter().find(|e| e.id == id) else { return Ok(None) };
        let stored = in_background(move || entry.read()).await?;
        if stored.runtime == Runtime::Podman && self.api.is_present() {
            // A socket without a server takes nothing away from what the files say.
            if let Ok(Some(info)) = self.api.inspect(id).await {
                return Ok(Some(info));
            }
        }
        Ok(Some(stored))
    }

    async fn entries(&self) -> Result<Vec<Entry>, RuntimeError> {
        let (storage, reading) = (self.storage.clone(), Arc::clone(&self.reading));
        let turn = timeout(CALL_TIMEOUT, reading.acquire_owned()).await.ok().and_then(Result::ok);
        let turn = turn.ok_or(RuntimeError::Timeout)?;
        in_background(move || {
            let entries = entries(&storage);
            drop(turn);
            entries
        })
        .await
    }
}

/// Everything listed below a storage, whatever driver it uses.
fn entries(storage: &Path) -> Result<Vec<Entry>, RuntimeError> {
    let directories = fs::read_dir(storage).map_err(|source| RuntimeError::File { path: storage.into(), source })?;
    let mut all = Vec::new();
    for directory in directories.flatten().map(|d| d.path()) {
        let Some(name) = directory.file_name().and_then(|n| n.to_str()).filter(|n| n.ends_with("-containers")) else {
            continue;
        };
        let volatile = run_directory(storage).join(name).join(VOLATILE);
        for list in [directory.join(LASTING), directory.join(VOLATILE), volatile] {
            let Some(json) = read_bounded(&list, MAX_ANSWER)? else { continue };
            let mut entries: Vec<Entry> = serde_json::from_slice(&json)?;
            for entry in &mut entries {
                entry.directory.clone_from(&directory);
            }
            all.append(&mut entries);
        }
    }
    Ok(all)
}

/// `/var/lib/containers/storage` has its volatile part in `/run/containers/storage`.
fn run_directory(storage: &Path) -> PathBuf {
    storage.strip_prefix("/var/lib").map_or_else(|_| storage.join("run"), |rest| Path::new("/run").join(rest))
}

impl Entry {
    fn name(&self) -> String {
        let name = self.names.iter().flatten().find(|name| !name.is_empty());
        bounded_name(name.unwrap_or(&self.id).clone())
    }

    /// What the files of the container itself add. They may not be there yet.
    fn read(self) -> Result<RuntimeContainer, RuntimeError> {
        let config = self.directory.join(&self.id).join("userdata/config.json");
        let is_plain = self.id.bytes().all(|b| b.is_ascii_alphanumeric());
        let spec: oci::Spec = match if is_plain { read_bounded(&config, MAX_DETAILS)? } else { None } {
            Some(json) => serde_json::from_slice(&json)?,
            None => oci::Spec::default(),
        };
        Ok(self.container(spec))
    }

    fn container(self, mut spec: oci::Spec) -> RuntimeContainer {
        let metadata: Metadata = serde_json::from_str(&self.metadata).unwrap_or_default();
        let of_crio = spec.annotation("io.container.manager") == Some("cri-o");
        // CRI-O keeps the labels as JSON in an annotation, and its own image name beside the storage's.
        let labels = spec.annotation("io.kubernetes.cri-o.Labels").and_then(|json| serde_json::from_str(json).ok());
        let labels: Option<BTreeMap<String, String>> = labels;
        let labels = bounded_labels(labels.unwrap_or_default());
        let image_name = spec.annotation("io.kubernetes.cri-o.ImageName").unwrap_or(&metadata.image_name).to_owned();
        let kube_name = spec.annotation("io.kubernetes.container.name").filter(|_| of_crio).map(str::to_owned);
        RuntimeContainer {
            runtime: if of_crio { Runtime::CriO } else { Runtime::Podman },
            namespace: None,
            name: kube_name.map_or_else(|| self.name(), bounded_name),
            image: (!self.image.is_empty()).then(|| bounded_image(image_name, &self.image)),
            sandbox: spec.annotation("io.kubernetes.cri-o.ContainerType") == Some("sandbox"),
            privileged: spec.is_privileged(),
            mounts: bounded_mounts(spec.take_mounts()),
            command: bounded_command(spec.take_command()),
            pod: pod_of(&labels),
            labels,
            started_ns: None,
            users: None,
            cgroup: spec.cgroup(),
            pid: None,
            id: self.id,
        }
    }
}

/// What the storage says, where its list is these bytes, and each container's specification those.
#[cfg(fuzzing)]
pub(super) fn read_any(list: &[u8], spec: &[u8]) -> Vec<RuntimeContainer> {
    let entries: Vec<Entry> = serde_json::from_slice(list).unwrap_or_default();
    let read = |entry: Entry| Some(entry.container(serde_json::from_slice(spec).ok()?));
    entries.into_iter().filter_map(read).collect()
}

/// A file's contents; none where it is not there.
fn read_bounded(path: &Path, most: usize) -> Result<Option<Vec<u8>>, RuntimeError> {
    let read = || {
        let file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        files::read_from(file, most as u64)
    };
    match read() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(RuntimeError::File { path: path.into(), source }),
    }
}

/// Reads files without holding up the tasks of this thread.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RuntimeError> + Send + 'static,
) -> Result<T, RuntimeError> {
    match timeout(CALL_TIMEOUT, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(result)) => result,
        _ => Err(RuntimeError::Timeout),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::http::tests::{FakeServer, answer};

    fn storage(list: &str, configs: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let containers = root.path().join("overlay-containers");
        fs::create_dir_all(&containers).unwrap();
        fs::write(containers.join(LASTING), list).unwrap();
        for (id, config) in configs {
            let userdata = containers.join(id).join("userdata");
            fs::create_dir_all(&userdata).unwrap();
            fs::write(userdata.join("config.json"), config).unwrap();
        }
        root
    }

    #[tokio::test]
    async fn the_files_name_containers_of_podman_and_cri_o() {
        let root = storage(
            r#"[{"id":"aa","names":["web"],"image":"11","metadata":"{\"image-name\":\"localhost/web:1\"}"},
                {"id":"bb","names":["k8s_c_p_n_0"],"image":"22","metadata":"no json"},{"id":"cc"}]"#,
            &[
                ("aa", r#"{"process":{"args":["/bin/sh","-c","x"]},"annotations":{"io.container.manager":"libpod"}}"#),
                (
                    "bb",
                    r#"{"process":{"args":["/pause"]},"annotations":{"io.container.manager":"cri-o",
                    "io.kubernetes.container.name":"c","io.kubernetes.cri-o.ImageName":"registry/c:1",
                    "io.kubernetes.cri-o.ContainerType":"sandbox","io.kubernetes.cri-o.Labels":
                    "{\"io.kubernetes.pod.name\":\"p\",\"io.kubernetes.pod.namespace\":\"n\"}"}}"#,
                ),
            ],
        );
        let podman = Podman::new("/nonexistent/socket", root.path());
        assert_eq!(podman.list().await.unwrap().len(), 3);
        let web = podman.inspect("aa").await.unwrap().unwrap();
        assert_eq!((web.runtime, web.name.as_str(), web.sandbox), (Runtime::Podman, "web", false));
        assert_eq!(web.command, ["/bin/sh", "-c", "x"]);
        let image = web.image.unwrap();
        assert_eq!((image.name.as_str(), image.digest.as_str()), ("localhost/web:1", "sha256:11"));
        let pause = podman.inspect("bb").await.unwrap().unwrap();
        assert_eq!((pause.runtime, pause.name.as_str(), pause.sandbox), (Runtime::CriO, "c", true));
        assert_eq!(pause.pod.unwrap().name, "p");
        assert_eq!(pause.image.unwrap().name, "registry/c:1");
        let bare = podman.inspect("cc").await.unwrap().unwrap();
        assert_eq!((bare.name.as_str(), bare.image), ("cc", None));
        assert_eq!(podman.inspect("dd").await.unwrap(), None);
    }

    #[tokio::test]
    async fn the_api_adds_labels_and_its_silence_takes_nothing() {
        let root = storage(r#"[{"id":"aa","names":["web"],"image":"11"}]"#, &[]);
        let body = r#"{"Id":"aa","Name":"web","Image":"11","Config":{"Image":"web:1","Labels":{"a":"b"}}}"#;
        for (reply, labels) in [(answer("200 OK", body), 1), (answer("500 Oops", ""), 0)] {
            let server = FakeServer::start(reply, false);
            let info = Podman::new(&server.socket, root.path()).inspect("aa").await.unwrap().unwrap();
            assert_eq!((info.name.as_str(), info.labels.len()), ("web", labels));
            assert_eq!(info.image.unwrap().digest, "sha256:11");
        }
    }

    #[tokio::test]
    async fn damaged_files_are_an_error() {
        let root = storage("[{", &[]);
        assert!(matches!(Podman::new("/nonexistent", root.path()).list().await, Err(RuntimeError::Json(_))));
        let root = storage(r#"[{"id":"aa"}]"#, &[("aa", "?")]);
        assert!(Podman::new("/nonexistent", root.path()).inspect("aa").await.is_err());
        assert!(!Podman::new("/nonexistent", "/nonexistent").is_present());
    }
}
