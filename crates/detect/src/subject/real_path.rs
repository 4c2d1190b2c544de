//! A file by its other path: where it lies, where a mount or a changed root hides that.

use std::borrow::Cow;

use ethogram_model::{Event, Value, build};

/// Where container runtimes keep what they mount into containers: it is the container's, whatever lies around it.
const OF_RUNTIMES: [&str; 8] = [
    "/var/lib/docker/",
    "/var/lib/containers/",
    "/var/lib/containerd/",
    "/var/lib/kubelet/pods/",
    "/var/lib/rancher/",
    "/run/containerd/",
    "/run/containers/",
    "/run/docker/",
];

/// The path at which the event's file lies, where it has another in the container.
pub(crate) fn real_path(event: &Event) -> Option<Cow<'_, str>> {
    let field = event.schema.layout().real_path?;
    let path = match event.value_at(field) {
        Value::Text(path) => String::from_utf8_lossy(&path).into_owned(),
        _ => return None,
    };
    (!OF_RUNTIMES.iter().any(|folder| path.starts_with(folder))).then_some(Cow::Owned(path))
}

/// The event as if that were its file's path.
pub(crate) fn at_real_path(event: &Event) -> Option<Event> {
    real_path(event)?;
    build::at_real_path(event)
}
