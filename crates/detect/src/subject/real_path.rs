//! A file by its other paths: where it lies, where a mount or a changed root hides that; and the guarded path of which it is
//! known that the same file has it.

use std::borrow::Cow;

use ethogram_model::{Event, Mount, Value, build, layout::BehaviourLayout};

/// Where container runtimes keep what they mount into containers: it is the container's, whatever lies around it.
const OF_RUNTIMES: [&[u8]; 8] = [
    b"/var/lib/docker/",
    b"/var/lib/containers/",
    b"/var/lib/containerd/",
    b"/var/lib/kubelet/pods/",
    b"/var/lib/rancher/",
    b"/run/containerd/",
    b"/run/containers/",
    b"/run/docker/",
];

/// Where a path of the event lies, where it lies elsewhere than in the container: as the kernel says, or where that sees only what
/// a process asked for, by what the runtime has mounted there.
pub(crate) fn real_path(event: &Event, (path, real): (usize, usize)) -> Option<Cow<'_, [u8]>> {
    let by_mount = || mounted(event, &text(event, path).filter(|_| is_unresolved(event))?).map(Cow::Owned);
    let lies = text(event, real).or_else(by_mount);
    let is_containers = |path: &[u8]| OF_RUNTIMES.iter().any(|folder| path.starts_with(folder));
    lies.filter(|lies| !is_containers(lies) && reaches(event, path, lies))
}

/// Whether what is done at the path is done where that lies. A mount covers the place and nothing else: a place that is called
/// otherwise than what lies there is a mount itself, of which only that is covered. What is mounted in a host's tree may appear on the host.
fn reaches(event: &Event, path: usize, lies: &[u8]) -> bool {
    let layout = event.schema.layout();
    let is_of_host = || layout.is_of_host.is_some_and(|field| event.value_at(field).is_truthy());
    if !layout.is_mount || is_of_host() || is_unresolved(event) {
        return true;
    }
    // The root is a place of any name.
    text(event, path).is_none_or(|place| *place == *b"/" || last_name(&place) == last_name(lies))
}

fn last_name(path: &[u8]) -> Option<&[u8]> {
    path.rsplit(|byte| *byte == b'/').next()
}

/// The other paths of what a behaviour is about.
pub(crate) fn other_paths<'e>(layout: &BehaviourLayout, event: &'e Event) -> impl Iterator<Item = Cow<'e, str>> {
    let real = layout.real_path.and_then(|fields| real_path(event, fields));
    let guarded = layout.guarded_path.and_then(|field| text(event, field));
    real.into_iter().chain(guarded).map(readable)
}

/// The event as if its files' paths were the other ones: first where they lie, then the guarded one.
pub(crate) fn elsewhere(event: &Event) -> impl Iterator<Item = Event> {
    let layout = event.schema.layout();
    let lies = |fields: &(usize, usize)| Some((fields.0, real_path(event, *fields)?));
    let real: Vec<_> = layout.real_paths.iter().filter_map(lies).collect();
    let real = (!real.is_empty()).then(|| {
        let mut event = build::at_paths(event, &real);
        // What a runtime mounts is the host's.
        if let Some(field) = layout.is_of_host.filter(|_| is_unresolved(&event)) {
            build::set_true(&mut event, field);
        }
        event
    });
    let known = || Some((layout.file_path?, text(event, layout.guarded_path?)?));
    real.into_iter().chain(known().map(|known| build::at_paths(event, &[known])))
}

fn is_unresolved(event: &Event) -> bool {
    event.schema.layout().is_unresolved.is_some_and(|field| event.value_at(field).is_truthy())
}

/// Where on the host a path is that is below a mount of the container's.
fn mounted(event: &Event, path: &[u8]) -> Option<Vec<u8>> {
    let rest = |mount: &Mount| {
        let rest = path.strip_prefix(mount.destination.trim_end_matches('/').as_bytes())?;
        (rest.is_empty() || rest.starts_with(b"/")).then(|| rest.to_vec())
    };
    let mounts = event.context.container.as_ref()?.mounts.iter().filter(|mount| mount.source.starts_with('/'));
    let found = mounts.filter_map(|mount| Some((mount, rest(mount)?)));
    let (mount, rest) = found.min_by_key(|(_, rest)| rest.len())?;
    let lies = [mount.source.trim_end_matches('/').as_bytes(), &rest].concat();
    (lies != path).then_some(lies)
}

fn text(event: &Event, field: usize) -> Option<Cow<'_, [u8]>> {
    match event.value_at(field) {
        Value::Text(path) if !path.is_empty() => Some(path),
        _ => None,
    }
}

fn readable(path: Cow<'_, [u8]>) -> Cow<'_, str> {
    match path {
        Cow::Borrowed(path) => String::from_utf8_lossy(path),
        Cow::Owned(path) => String::from_utf8_lossy(&path).into_owned().into(),
    }
}
