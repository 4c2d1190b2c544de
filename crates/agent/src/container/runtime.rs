//! The container runtimes, and what they say of a container.
//!
//! Each is asked where it listens by default or by configuration, may be absent, and may answer anything: see
//! [`Runtimes`] for what follows from that.

mod containerd;
mod docker;
mod health;
mod oci;
mod podman;
#[cfg(test)]
mod real_tests;
mod runtimes;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

pub(crate) use ethogram_engine::containers::runtime::{Runtime, RuntimeContainer};
use ethogram_engine::secrets;
use ethogram_model::{Container, Image, Mount, Pod};

pub(crate) use docker::Docker;
pub(crate) use runtimes::{Answer, Runtimes};

/// How long one call to a runtime may take.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes accepted of one answer.
pub(crate) const MAX_ANSWER: usize = 16 << 20;
/// Bytes of what a runtime says of one container: several are asked for at a time.
const MAX_DETAILS: usize = 1 << 20;

/// A container as a runtime lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    /// containerd's namespace.
    pub(crate) namespace: Option<String>,
    /// The full id.
    pub(crate) id: String,
    /// The name, or the id where it has none.
    pub(crate) name: String,
}

/// Why a runtime did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RuntimeError {
    /// No usable answer over HTTP.
    #[error(transparent)]
    Http(#[from] crate::http::HttpError),
    /// An answer with an unexpected status.
    #[error("it answered with status {0}")]
    Status(u16),
    /// An answer that is not what was asked for.
    #[error("its answer could not be understood: {0}")]
    Json(#[from] serde_json::Error),
    /// No usable answer over gRPC.
    #[error("{0}")]
    Grpc(String),
    /// Too slow.
    #[error("no answer within {} ms", CALL_TIMEOUT.as_millis())]
    Timeout,
    /// A file of its state could not be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
}

/// At most `max` bytes of a text, with a mark where it was cut.
fn bounded(mut text: String, max: usize) -> String {
    if text.len() > max {
        let end = (0..=max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// A name, bounded.
fn bounded_name(name: String) -> String {
    bounded(name, 256)
}

/// Labels, bounded in number and length.
fn bounded_labels(labels: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let ordered: BTreeMap<String, String> = labels.into_iter().collect();
    ordered.into_iter().take(Container::MAX_LABELS).map(|(k, v)| (bounded_name(k), bounded(v, 1024))).collect()
}

/// Mounts, bounded in number and length.
fn bounded_mounts(mounts: impl IntoIterator<Item = Mount>) -> Vec<Mount> {
    let bounded_mount = |mount: Mount| Mount {
        source: bounded(mount.source, 1024),
        destination: bounded(mount.destination, 1024),
        mode: bounded_name(mount.mode),
        writable: mount.writable,
        propagation: bounded_name(mount.propagation),
    };
    mounts.into_iter().take(Container::MAX_MOUNTS).map(bounded_mount).collect()
}

/// A command, bounded in number and length of its arguments, secrets masked.
fn bounded_command(args: impl IntoIterator<Item = String>) -> Vec<String> {
    let args: Vec<String> = args.into_iter().take(64).map(|arg| bounded(arg, 1024)).collect();
    let mut joined = args.join("\0").into_bytes();
    secrets::mask(&mut joined);
    joined.split(|b| *b == 0).map(|arg| String::from_utf8_lossy(arg).into_owned()).take(args.len()).collect()
}

/// An image, bounded. `digest` may lack the name of its algorithm.
fn bounded_image(name: String, digest: &str) -> Image {
    let digest = if digest.is_empty() || digest.contains(':') { digest.to_owned() } else { format!("sha256:{digest}") };
    Image { name: bounded(name, 512), digest: bounded_name(digest) }
}

/// How the labels begin by which orchestrators say whose a container is.
const OF_OWNERS: [&str; 2] = ["com.docker.compose.", "io.kubernetes."];

/// Whether a container's labels say whose it is.
fn names_owner(labels: &BTreeMap<String, String>) -> bool {
    labels.keys().any(|name| OF_OWNERS.iter().any(|of| name.starts_with(of)))
}

/// Takes from a container's labels what its image says of whose it is. Who builds images may write anything there; an
/// orchestrator gives its containers more of such labels than the image has.
fn drop_claims(labels: &mut BTreeMap<String, String>, of_image: &BTreeMap<String, String>) {
    for of in OF_OWNERS {
        if labels.iter().filter(|(name, _)| name.starts_with(of)).all(|(name, value)| of_image.get(name) == Some(value))
        {
            labels.retain(|name, _| !name.starts_with(of));
        }
    }
}

/// The pod, by the labels that the kubelet gives every container.
fn pod_of(labels: &BTreeMap<String, String>) -> Option<Pod> {
    Some(Pod {
        name: labels.get("io.kubernetes.pod.name")?.clone(),
        namespace: labels.get("io.kubernetes.pod.namespace")?.clone(),
    })
}

/// The containers that the runtimes' answers tell of, where each of them is `answer`, and the specification beside it `spec`.
#[cfg(fuzzing)]
pub(crate) fn read_any(answer: &[u8], spec: &[u8]) -> Vec<RuntimeContainer> {
    let docker = docker::read_any(answer).into_iter();
    docker.chain(containerd::read_any(answer, spec)).chain(podman::read_any(answer, spec)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!(bounded("äöü".into(), 3), "ä…");
        assert_eq!(bounded("äöü".into(), 6), "äöü");
        let labels = bounded_labels((0..1000).map(|n| (format!("{n:04}"), "x".repeat(5000))));
        assert_eq!(labels.len(), Container::MAX_LABELS);
        assert!(labels.values().all(|v| v.len() < 1100));
        let long = Mount { source: "/x".repeat(5000), ..Mount::default() };
        let mounts = bounded_mounts(vec![long; 1000]);
        assert_eq!(mounts.len(), Container::MAX_MOUNTS);
        assert!(mounts[0].source.len() < 1100);
        assert_eq!(bounded_command(["db".into(), "--password".into(), "x".into()]), ["db", "--password", "*"]);
        assert_eq!(bounded_command([]), [""; 0]);
        assert_eq!(bounded_command((0..1000).map(|n| n.to_string())).len(), 64);
    }

    #[test]
    fn digests_name_their_algorithm() {
        assert_eq!(bounded_image("a".into(), "ab").digest, "sha256:ab");
        assert_eq!(bounded_image("a".into(), "sha512:ab").digest, "sha512:ab");
        assert_eq!(bounded_image("a".into(), "").digest, "");
    }
}
