//! Commands to look further. A name goes into one only where every shell takes it as it stands.

use std::net::{IpAddr, SocketAddr};

use crate::{Incident, Origin};

/// Objects of each kind that get a command.
const MAX_OBJECTS: usize = 3;
/// Bytes of the longest name.
const MAX_NAME: usize = 256;

type Command = (String, &'static str);

pub(super) fn commands(incident: &Incident) -> Vec<Command> {
    let mut all: Vec<Command> = Vec::new();
    let uid = incident.uid.get(..8).unwrap_or(&incident.uid);
    let uid = Some(uid).filter(|uid| !uid.is_empty() && uid.bytes().all(|b| b.is_ascii_alphanumeric()));
    if let Some(uid) = uid {
        all.push((format!("ethogram incidents show {uid}"), "its story, with who started whom"));
    }
    if incident.origin == Origin::Agent {
        all.push(("ethogram doctor".into(), "what works on this machine, and what does not"));
        all.push(("ethogram trackers".into(), "which trackers run"));
    }
    let container = incident.containers.first().filter(|name| *name != "host");
    match container.filter(|name| is_name(name)) {
        Some(name) => of_container(incident, name, &mut all),
        None if container.is_some() => {
            all.push(("ethogram alerts -o json".into(), "its alerts; the container's name is none for a command line"));
        }
        None => {
            all.push(("ethogram alerts".into(), "the alerts that it is made of"));
            paths(incident).for_each(|path| all.push((format!("ls -ld {path}"), "whose the file is, and since when")));
        }
    }
    let pids: Vec<String> = incident.steps.iter().filter(|step| step.pid > 0).map(|s| s.pid.to_string()).collect();
    if !pids.is_empty() && incident.is_open {
        let pids = pids.get(..pids.len().min(2 * MAX_OBJECTS)).unwrap_or_default().join(",");
        all.push((format!("ps -o pid,ppid,user,lstart,args -p {pids}"), "which of its programs still run"));
    }
    peers(incident).for_each(|peer| all.push((format!("getent hosts {peer}"), "who the peer is")));
    if let Some(uid) = uid {
        all.push((format!("ethogram incidents accept {uid} --for 30d"), "if it turns out to be normal"));
    }
    all
}

fn of_container(incident: &Incident, name: &str, all: &mut Vec<Command>) {
    all.push((format!("ethogram alerts --container {name}"), "all alerts of the container"));
    all.push((format!("ethogram profile show {name}"), "what the workload usually does"));
    all.push((format!("docker top {name}"), "what runs in it now (or the same of another runtime)"));
    all.push((format!("docker diff {name}"), "which files differ from the image, without going in"));
    for path in paths(incident) {
        all.push((
            format!("docker cp {name}:{path} - | tar -tv"),
            "whose the file is and since when, without going in",
        ));
    }
}

/// Files that something was done to, the worst first.
fn paths(incident: &Incident) -> impl Iterator<Item = &str> {
    objects(incident).filter(|object| is_path(object)).take(MAX_OBJECTS)
}

fn peers(incident: &Incident) -> impl Iterator<Item = IpAddr> {
    let address = |object: &str| object.parse::<SocketAddr>().ok().map(|peer| peer.ip());
    objects(incident).filter_map(address).take(MAX_OBJECTS)
}

/// Each once.
fn objects(incident: &Incident) -> impl Iterator<Item = &str> {
    let mut parts: Vec<_> = incident.parts.iter().filter(|part| part.operation != "execute").collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.severity));
    let mut seen: Vec<&str> = Vec::new();
    for part in parts {
        if !seen.contains(&part.object.as_str()) {
            seen.push(&part.object);
        }
    }
    seen.into_iter()
}

/// A container's name that means nothing else to a shell or a command.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    name.len() <= MAX_NAME && name.bytes().all(plain) && name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
}

/// A path of the same kind: from the root on, and without a way up.
fn is_path(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-/+@,=".contains(&byte);
    path.len() <= MAX_NAME
        && path.starts_with('/')
        && path.bytes().all(plain)
        && path.split('/').all(|part| part != "..")
}
