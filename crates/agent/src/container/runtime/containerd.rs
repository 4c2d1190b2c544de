//! containerd's gRPC API: the few calls and fields needed here, with the numbers its published protocol gives them.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use ethogram_model::Image;
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::{net::UnixStream, time::timeout};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    metadata::MetadataValue,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use super::{
    CALL_TIMEOUT, Listed, MAX_ANSWER, MAX_DETAILS, Runtime, RuntimeContainer, RuntimeError, bounded_command,
    bounded_image, bounded_labels, bounded_mounts, bounded_name, oci, pod_of,
};
use ethogram_engine::containers::cgroup::is_identifier;

/// Docker's own namespace, in Docker's or the system's containerd: Docker reports those containers itself.
const DOCKERS_NAMESPACE: &str = "moby";
/// Namespaces asked at most.
const MAX_NAMESPACES: usize = 64;
/// Containers listed at most, over all namespaces.
const MAX_LISTED: usize = 16_384;

/// One containerd.
#[derive(Debug, Clone)]
pub(crate) struct Containerd {
    socket: PathBuf,
    channel: Channel,
}

#[derive(Clone, PartialEq, Message)]
struct Empty {}

#[derive(Clone, PartialEq, Message)]
struct Namespaces {
    #[prost(message, repeated, tag = "1")]
    namespaces: Vec<Named>,
}

#[derive(Clone, PartialEq, Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
}

/// Answers of `Get` and each answer of `ListStream` hold the container in the same place.
#[derive(Clone, PartialEq, Message)]
struct ContainerAnswer {
    #[prost(message, optional, tag = "1")]
    container: Option<ContainerRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerRecord {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(map = "string, string", tag = "2")]
    labels: HashMap<String, String>,
    #[prost(string, tag = "3")]
    image: String,
    #[prost(message, optional, tag = "5")]
    spec: Option<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct ImageAnswer {
    #[prost(message, optional, tag = "1")]
    image: Option<ImageRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct ImageRecord {
    #[prost(message, optional, tag = "3")]
    target: Option<Descriptor>,
}

#[derive(Clone, PartialEq, Message)]
struct Descriptor {
    #[prost(string, tag = "2")]
    digest: String,
}

impl Containerd {
    /// The containerd at `socket`; it connects when first asked, and again after a restart. Needs a tokio runtime.
    pub(crate) fn new(socket: impl Into<PathBuf>) -> Self {
        let socket = socket.into();
        let path = socket.clone();
        // The address is only the name that HTTP/2 wants; the connection goes to the socket.
        let channel = Endpoint::from_static("http://localhost")
            .connect_timeout(CALL_TIMEOUT)
            .connect_with_connector_lazy(tower::service_fn(move |_| {
                let path = path.clone();
                async move { UnixStream::connect(path).await.map(TokioIo::new) }
            }));
        Self { socket, channel }
    }

    /// Whether its socket is there.
    pub(crate) fn is_present(&self) -> bool {
        self.socket.exists()
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// All containers of all namespaces but Docker's, stopped ones too.
    pub(super) async fn list(&self) -> Result<Vec<Listed>, RuntimeError> {
        let mut listed = Vec::new();
        for namespace in self.namespaces().await? {
            in_time(self.list_namespace(&namespace, &mut listed)).await?;
        }
        Ok(listed)
    }

    /// One container of that namespace, or of the first namespace that knows the id.
    pub(super) async fn inspect(
        &self,
        namespace: Option<&str>,
        id: &str,
    ) -> Result<Option<RuntimeContainer>, RuntimeError> {
        if !is_identifier(id) {
            return Ok(None);
        }
        let namespaces = match namespace {
            Some(DOCKERS_NAMESPACE) => return Ok(None),
            Some(namespace) => vec![namespace.to_owned()],
            None => self.namespaces().await?,
        };
        for namespace in namespaces {
            let answer: Option<ContainerAnswer> = self.get("containers.v1.Containers", Some(&namespace), id).await?;
            if let Some(record) = answer.and_then(|a| a.container) {
                return Ok(Some(self.container(namespace, record).await?));
            }
        }
        Ok(None)
    }

    async fn container(
        &self,
        namespace: String,
        mut record: ContainerRecord,
    ) -> Result<RuntimeContainer, RuntimeError> {
        let image = self.image(&namespace, std::mem::take(&mut record.image)).await?;
        record.container(namespace, image)
    }

    /// The image with its digest, which is empty where the image was removed since.
    async fn image(&self, namespace: &str, name: String) -> Result<Option<Image>, RuntimeError> {
        if name.is_empty() {
            return Ok(None);
        }
        let answer: Option<ImageAnswer> = self.get("images.v1.Images", Some(namespace), &name).await?;
        let target = answer.and_then(|a| a.image).and_then(|image| image.target);
        Ok(Some(bounded_image(name, &target.map(|t| t.digest).unwrap_or_default())))
    }

    async fn namespaces(&self) -> Result<Vec<String>, RuntimeError> {
        let path = PathAndQuery::from_static("/containerd.services.namespaces.v1.Namespaces/List");
        let answer: Namespaces = self.call(path, Request::new(Empty {})).await?.unwrap_or_default();
        let names =
            answer.namespaces.into_iter().map(|n| n.name).filter(|n| n != DOCKERS_NAMESPACE && is_identifier(n));
        Ok(names.take(MAX_NAMESPACES).collect())
    }

    /// One answer a container, so that their specifications are never all in memory.
    async fn list_namespace(&self, namespace: &str, listed: &mut Vec<Listed>) -> Result<(), RuntimeError> {
        let mut grpc = self.grpc(MAX_ANSWER).await?;
        let path = PathAndQuery::from_static("/containerd.services.containers.v1.Containers/ListStream");
        let request = in_namespace(Empty {}, Some(namespace))?;
        let mut answers =
            grpc.server_streaming(request, path, ProstCodec::<Empty, ContainerAnswer>::default()).await?.into_inner();
        while let Some(answer) = answers.message().await? {
            let Some(record) = answer.container else { continue };
            if listed.len() >= MAX_LISTED {
                break;
            }
            listed.push(Listed {
                namespace: Some(namespace.to_owned()),
                name: bounded_name(record.name().to_owned()),
                id: record.id,
            });
        }
        Ok(())
    }

    /// `Get` of a service, which takes the id or name in its first field; none where there is none of that name.
    async fn get<T: Message + Default + 'static>(
        &self,
        service: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<T>, RuntimeError> {
        let path = PathAndQuery::from_maybe_shared(format!("/containerd.services.{service}/Get"))
            .map_err(|e| RuntimeError::Grpc(e.to_string()))?;
        self.call(path, in_namespace(Named { name: name.to_owned() }, namespace)?).await
    }

    async fn call<Q, A>(&self, path: PathAndQuery, request: Request<Q>) -> Result<Option<A>, RuntimeError>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        in_time(async {
            match self.grpc(MAX_DETAILS).await?.unary(request, path, ProstCodec::<Q, A>::default()).await {
                Ok(answer) => Ok(Some(answer.into_inner())),
                Err(status) if status.code() == Code::NotFound => Ok(None),
                Err(status) => Err(status.into()),
            }
        })
        .await
    }

    /// For answers of at most so many bytes.
    async fn grpc(&self, most: usize) -> Result<Grpc<Channel>, RuntimeError> {
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(most);
        grpc.ready().await.map_err(|e| RuntimeError::Grpc(chain(&e)))?;
        Ok(grpc)
    }
}

impl ContainerRecord {
    /// As the kubelet or nerdctl named it, else its id.
    fn name(&self) -> &str {
        let label = |name: &str| self.labels.get(name).filter(|value| !value.is_empty());
        label("io.kubernetes.container.name")
            .or_else(|| label("nerdctl/name"))
            .or_else(|| label("io.kubernetes.pod.name"))
            .unwrap_or(&self.id)
    }

    /// What it says, its image apart.
    fn container(self, namespace: String, image: Option<Image>) -> Result<RuntimeContainer, RuntimeError> {
        let mut spec: oci::Spec = match &self.spec {
            Some(spec) if !spec.value.is_empty() => serde_json::from_slice(&spec.value)?,
            _ => oci::Spec::default(),
        };
        let privileged = spec.is_privileged();
        let name = self.name().to_owned();
        let sandbox = self.labels.get("io.cri-containerd.kind").is_some_and(|kind| kind == "sandbox");
        let labels = bounded_labels(self.labels);
        Ok(RuntimeContainer {
            runtime: Runtime::Containerd,
            image,
            namespace: Some(namespace),
            name: bounded_name(name),
            command: bounded_command(spec.take_command()),
            pod: pod_of(&labels),
            sandbox,
            labels,
            privileged,
            mounts: bounded_mounts(spec.take_mounts()),
            // Only its service for tasks knows, and not since when.
            started_ns: None,
            users: None,
            cgroup: spec.cgroup(),
            pid: None,
            id: self.id,
        })
    }
}

/// What its answers say, where they are these bytes, or tell of this specification.
#[cfg(fuzzing)]
pub(super) fn read_any(answer: &[u8], spec: &[u8]) -> Vec<RuntimeContainer> {
    let told = ContainerAnswer::decode(answer).ok().and_then(|answer| answer.container);
    let spec = Any { value: spec.to_vec(), ..Any::default() };
    let bare = ContainerRecord { spec: Some(spec), ..ContainerRecord::default() };
    let image = ImageAnswer::decode(answer).ok().and_then(|answer| answer.image?.target);
    let image = image.map(|target| bounded_image(String::new(), &target.digest));
    told.into_iter().chain([bare]).filter_map(|r| r.container("default".into(), image.clone()).ok()).collect()
}

impl From<Status> for RuntimeError {
    fn from(status: Status) -> Self {
        // What the transport says says more than the status made of it.
        let cause = std::error::Error::source(&status).map(chain);
        Self::Grpc(cause.unwrap_or_else(|| format!("it answered {:?}: {}", status.code(), status.message())))
    }
}

/// An error and all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

fn in_namespace<T>(message: T, namespace: Option<&str>) -> Result<Request<T>, RuntimeError> {
    let mut request = Request::new(message);
    if let Some(namespace) = namespace {
        let value = MetadataValue::try_from(namespace).map_err(|e| RuntimeError::Grpc(e.to_string()))?;
        request.metadata_mut().insert("containerd-namespace", value);
    }
    Ok(request)
}

async fn in_time<T>(call: impl Future<Output = Result<T, RuntimeError>>) -> Result<T, RuntimeError> {
    timeout(CALL_TIMEOUT, call).await.unwrap_or(Err(RuntimeError::Timeout))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::http::tests::{FakeServer, answer};

    #[tokio::test]
    async fn nonsense_is_an_error() {
        for nonsense in [answer("200 OK", "{}"), vec![0xff; 64], vec![]] {
            let server = FakeServer::start(nonsense, false);
            let containerd = Containerd::new(&server.socket);
            assert!(containerd.list().await.is_err());
            assert!(containerd.inspect(Some("default"), "a").await.is_err());
        }
    }

    #[tokio::test]
    async fn a_server_that_hangs_costs_the_timeout() {
        let server = FakeServer::start(vec![], true);
        let before = std::time::Instant::now();
        assert!(matches!(Containerd::new(&server.socket).list().await, Err(RuntimeError::Timeout)));
        assert!(before.elapsed() < CALL_TIMEOUT * 2);
    }

    #[tokio::test]
    async fn an_absent_server_is_an_error_that_says_so() {
        let error = Containerd::new("/nonexistent/socket").list().await.unwrap_err().to_string();
        assert!(error.contains("No such file"), "{error}");
    }

    #[tokio::test]
    async fn what_can_be_no_container_is_not_asked_for() {
        let containerd = Containerd::new("/nonexistent/socket");
        for (namespace, id) in [(Some("moby"), "a"), (Some("default"), "a/b"), (None, "")] {
            assert_eq!(containerd.inspect(namespace, id).await.unwrap(), None);
        }
    }

    #[test]
    fn names_come_from_labels_where_there_are_any() {
        let record = |labels: &[(&str, &str)]| ContainerRecord {
            id: "id".into(),
            labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ..Default::default()
        };
        assert_eq!(record(&[]).name(), "id");
        assert_eq!(record(&[("nerdctl/name", "web")]).name(), "web");
        assert_eq!(record(&[("io.kubernetes.pod.name", "pod"), ("io.kubernetes.container.name", "c")]).name(), "c");
        assert_eq!(record(&[("io.kubernetes.pod.name", "pod")]).name(), "pod");
    }
}
