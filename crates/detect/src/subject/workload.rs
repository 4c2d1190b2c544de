//! Which containers are the same workload: the same content, started the same way, for the same owner.

use ethogram_model::Container;
use serde::{Deserialize, Serialize};

use super::normalise;
use crate::uid;

/// Arguments of the entrypoint that count.
const MAX_ARGS: usize = 64;
/// How the name of a service of the host begins.
const HOST: &str = "host ";
/// Characters of a workload's name.
const MAX_NAME: usize = 120;

/// What containers must share to share a profile. Never a tag, a container's id or its name: the next container of the
/// same image and command is the same workload from its first instruction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// Made of digest, command and owner: the same on every machine.
    pub uid: String,
    /// For people: image, digest, command, owner.
    pub name: String,
    /// The image as the first container's user wrote it.
    pub image: String,
    /// The image's digest.
    pub digest: String,
    /// The entrypoint with its arguments, generalised.
    pub command: Vec<String>,
    /// `project/service` of Compose, or `namespace/owner/container` of Kubernetes, where an orchestrator gives it.
    pub owner: Option<String>,
}

impl Workload {
    /// The workload of a container; nothing until the runtime has reported its image's digest.
    pub fn of(container: &Container) -> Option<Self> {
        let image = container.image.as_ref().filter(|image| !image.digest.is_empty())?;
        let command: Vec<String> = container.command.iter().take(MAX_ARGS).map(|a| normalise::argument(a)).collect();
        Some(Self::made_of(image.name.clone(), image.digest.clone(), command, owner(container)))
    }

    /// The workload that is a service of the host.
    pub(crate) fn of_service(service: &str) -> Self {
        Self {
            uid: uid::of(["service of the host", service]),
            name: format!("{HOST}{service}"),
            image: String::new(),
            digest: String::new(),
            command: Vec::new(),
            owner: None,
        }
    }

    /// The service of the host that it is, if it is one.
    pub(crate) fn service(&self) -> Option<&str> {
        self.name.strip_prefix(HOST).filter(|_| self.digest.is_empty())
    }

    /// One of which all is known: its command is generalised already.
    pub(crate) fn made_of(image: String, digest: String, command: Vec<String>, owner: Option<String>) -> Self {
        let parts = [digest.as_str(), owner.as_deref().unwrap_or_default()];
        let uid = uid::of(parts.into_iter().chain(command.iter().map(String::as_str)));
        let name = name(&image, &digest, &command, owner.as_deref());
        Self { uid, name, image, digest, command, owner }
    }

    /// Whether this is the image of the same name, run likewise, whatever its content and for whomever.
    pub fn resembles(&self, other: &Self) -> bool {
        let name = repository(&self.image);
        !name.is_empty() && name == repository(&other.image) && self.command == other.command
    }

    /// Whether this is another version of the same: another content of the same image's name, run likewise for the same owner.
    pub fn is_version_of(&self, other: &Self) -> bool {
        self.resembles(other) && self.digest != other.digest && self.owner == other.owner
    }
}

/// The name of an image without its tag and digest.
fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or_default();
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

fn name(image: &str, digest: &str, command: &[String], owner: Option<&str>) -> String {
    let short: String = match digest.split_once(':') {
        Some((kind, hash)) => format!("{kind}:{}", hash.chars().take(12).collect::<String>()),
        None => digest.chars().take(12).collect(),
    };
    let image = image.split('@').next().unwrap_or_default();
    let mut name = format!("{image}@{short}");
    if let Some(owner) = owner {
        name += &format!(" ({owner})");
    }
    for argument in command {
        name.push(' ');
        name += argument;
    }
    if name.chars().count() > MAX_NAME {
        name = name.chars().take(MAX_NAME - 1).chain(['…']).collect();
    }
    name
}

/// Who runs it, where an orchestrator says so.
fn owner(container: &Container) -> Option<String> {
    let label = |name: &str| container.labels.get(name).map(String::as_str).filter(|v| !v.is_empty());
    let pod = container.pod.as_ref();
    let pod_name = pod.map(|p| p.name.as_str()).or_else(|| label("io.kubernetes.pod.name"));
    if let Some(pod_name) = pod_name {
        let namespace = pod.map(|p| p.namespace.as_str()).or_else(|| label("io.kubernetes.pod.namespace"));
        let container = label("io.kubernetes.container.name").unwrap_or_default();
        return Some(format!("{}/{}/{container}", namespace.unwrap_or_default(), pod_owner(pod_name)));
    }
    let (project, service) = (label("com.docker.compose.project")?, label("com.docker.compose.service")?);
    Some(format!("{project}/{service}"))
}

/// The name of what made a pod: the pod's name without what Kubernetes appends for a replica set, a job or an ordinal.
fn pod_owner(pod: &str) -> &str {
    /// Of these Kubernetes makes the five random characters of a pod.
    const RANDOM: &str = "bcdfghjklmnpqrstvwxz2456789";
    /// Of these the hash of a replica set: it spells a decimal number in `RANDOM`.
    const HASH: &str = "456789bcdf";
    let made_of = |text: &str, alphabet: &str| text.chars().all(|c| alphabet.contains(c));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let Some((rest, last)) = pod.rsplit_once('-').filter(|(rest, _)| !rest.is_empty()) else { return pod };
    if is_number(last) {
        return rest;
    }
    if last.len() != 5 || !made_of(last, RANDOM) {
        return pod;
    }
    match rest.rsplit_once('-') {
        Some((owner, hash)) if !owner.is_empty() && (6..=10).contains(&hash.len()) && made_of(hash, HASH) => owner,
        Some((owner, time)) if !owner.is_empty() && time.len() >= 8 && is_number(time) => owner,
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ethogram_model::{Image, Pod};

    use super::*;

    fn container(change: impl FnOnce(&mut Container)) -> Container {
        let image = Image { name: "nginx:1.27".into(), digest: "sha256:1a2b3c4d5e6f7788".into() };
        let command = ["nginx", "-g", "daemon off;"].map(String::from).to_vec();
        let mut c =
            Container { id: "aa".into(), name: Some("web".into()), image: Some(image), command, ..Default::default() };
        change(&mut c);
        c
    }

    fn uid(change: impl FnOnce(&mut Container)) -> String {
        Workload::of(&container(change)).unwrap().uid
    }

    #[test]
    fn tag_name_and_id_do_not_matter() {
        let same = uid(|_| ());
        assert_eq!(uid(|c| c.image.as_mut().unwrap().name = "nginx:latest".into()), same);
        assert_eq!(uid(|c| c.name = Some("other".into())), same);
        assert_eq!(uid(|c| c.id = "bb".into()), same);
        assert_eq!(uid(|c| drop(c.labels.insert("maintainer".into(), "x".into()))), same);
    }

    #[test]
    fn content_command_and_owner_do() {
        let one = uid(|_| ());
        assert_ne!(uid(|c| c.image.as_mut().unwrap().digest = "sha256:00".into()), one);
        assert_ne!(uid(|c| c.command.push("-t".into())), one);
        let compose = |service: &'static str| {
            move |c: &mut Container| {
                c.labels.insert("com.docker.compose.project".into(), "shop".into());
                c.labels.insert("com.docker.compose.service".into(), service.into());
            }
        };
        assert_ne!(uid(compose("web")), one);
        assert_ne!(uid(compose("web")), uid(compose("admin")));
        assert_eq!(uid(compose("web")), uid(compose("web")));
    }

    #[test]
    fn accidental_arguments_do_not() {
        let with = |argument: &'static str| move |c: &mut Container| c.command.push(argument.into());
        assert_eq!(uid(with("--id=a1b2c3d4e5f6")), uid(with("--id=00112233aabb")));
        assert_ne!(uid(with("--mode=fast")), uid(with("--mode=slow")));
    }

    #[test]
    fn pods_of_one_deployment_are_one_workload() {
        let pod = |name: &'static str| {
            move |c: &mut Container| {
                c.pod = Some(Pod { name: name.into(), namespace: "shop".into() });
                c.labels.insert("io.kubernetes.container.name".into(), "web".into());
            }
        };
        assert_eq!(uid(pod("web-7d4b9c8f5d-x2x7k")), uid(pod("web-6c9f8b7d44-bcdfg")));
        assert_ne!(uid(pod("web-7d4b9c8f5d-x2x7k")), uid(pod("api-7d4b9c8f5d-x2x7k")));
        let w = Workload::of(&container(pod("web-7d4b9c8f5d-x2x7k"))).unwrap();
        assert_eq!(w.owner.as_deref(), Some("shop/web/web"));
    }

    #[test]
    fn owners_of_pods() {
        for (pod, owner) in [
            ("web-7d4b9c8f5d-x2x7k", "web"),
            ("web-front-7d4b9c8f5d-x2x7k", "web-front"),
            ("kube-proxy-x7k2p", "kube-proxy"),
            ("db-0", "db"),
            ("backup-28571040-x7k2p", "backup"),
            ("web-front", "web-front"),
            ("etcd-node", "etcd-node"),
            ("single", "single"),
            ("-x7k2p", "-x7k2p"),
            ("", ""),
        ] {
            assert_eq!(pod_owner(pod), owner, "{pod}");
        }
    }

    #[test]
    fn the_name_is_for_people() {
        let w = Workload::of(&container(|_| ())).unwrap();
        assert_eq!(w.name, "nginx:1.27@sha256:1a2b3c4d5e6f nginx -g daemon off;");
        let long = Workload::of(&container(|c| c.command.push("x".repeat(500)))).unwrap();
        assert_eq!(long.name.chars().count(), MAX_NAME);
    }

    #[test]
    fn without_a_digest_there_is_none() {
        assert_eq!(Workload::of(&container(|c| c.image = None)), None);
        assert_eq!(Workload::of(&container(|c| c.image.as_mut().unwrap().digest.clear())), None);
    }
}
