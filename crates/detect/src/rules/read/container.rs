//! What a container is, where it comes from and what is mounted into it.

use ethogram_model::{Container, Event, Image, Mount};

use super::super::{field::ContainerPart, value::Value};

/// Falco's word for what is not there, where an absent value would not do.
const NOT_THERE: &str = "N/A";
/// How a value that is absent is shown.
const NO_VALUE: &str = "<NA>";

pub(super) fn container_value<'e>(event: &'e Event, part: ContainerPart, argument: Option<&str>) -> Value<'e> {
    let Some(container) = event.context.container.as_deref() else {
        return match part {
            ContainerPart::Id | ContainerPart::Name | ContainerPart::FullId => Value::text(Some("host")),
            ContainerPart::Info => Value::text(Some("container_id=host container_name=host")),
            _ => Value::Absent,
        };
    };
    let image = container.image.as_ref().map(Image::repository_and_tag);
    match part {
        ContainerPart::Id => Value::text(Some(container.short_id())),
        ContainerPart::FullId => Value::text(Some(&container.id)),
        ContainerPart::Name => Value::text(container.name.as_deref()),
        ContainerPart::Repository => Value::text(image.and_then(|(repository, _)| repository)),
        ContainerPart::Tag => Value::text(image.and_then(|(_, tag)| tag)),
        ContainerPart::Info => {
            let shown = |value: Option<&str>| value.unwrap_or(NO_VALUE).to_owned();
            let (repository, tag) = image.unwrap_or_default();
            Value::owned(format!(
                "container_id={} container_name={} container_image_repository={} container_image_tag={}",
                container.short_id(),
                shown(container.name.as_deref()),
                shown(repository),
                shown(tag)
            ))
        }
        ContainerPart::Mounts => {
            let all: Vec<_> = container.mounts.iter().map(described).collect();
            Value::owned(all.join(","))
        }
        ContainerPart::Started => container.started_ns.map_or(Value::Absent, Value::number),
        ContainerPart::Duration => match container.started_ns {
            Some(started) => Value::number(event.time_ns.saturating_sub(started)),
            None => Value::Absent,
        },
        ContainerPart::Label => Value::text(argument.and_then(|name| container.labels.get(name)).map(String::as_str)),
        ContainerPart::Labels => {
            let all: Vec<_> = container.labels.iter().map(|(name, value)| format!("{name}:{value}")).collect();
            Value::owned(all.join(", "))
        }
        part => mount_value(container, part, argument.unwrap_or_default()),
    }
}

fn described(mount: &Mount) -> String {
    let Mount { source, destination, mode, writable, propagation } = mount;
    format!("{source}:{destination}:{mode}:{writable}:{propagation}")
}

/// A part of the mount that the argument names: by its number, or by its source or destination, where `*` may stand at
/// the end.
fn mount_value<'e>(container: &'e Container, part: ContainerPart, argument: &str) -> Value<'e> {
    let fits = |path: &str| match argument.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => path == argument,
    };
    let found = match argument.parse::<usize>() {
        Ok(n) => container.mounts.get(n),
        // Its source is asked for by its destination, and everything else by its source.
        Err(_) if part == ContainerPart::MountSource => container.mounts.iter().find(|m| fits(&m.destination)),
        Err(_) => container.mounts.iter().find(|m| fits(&m.source)),
    };
    let Some(mount) = found else { return Value::text(Some(NOT_THERE)) };
    match part {
        ContainerPart::Mount => Value::owned(described(mount)),
        ContainerPart::MountSource => Value::text(Some(&mount.source)),
        ContainerPart::MountDestination => Value::text(Some(&mount.destination)),
        ContainerPart::MountMode => Value::text(Some(&mount.mode)),
        ContainerPart::MountWritable => Value::text(Some(if mount.writable { "true" } else { "false" })),
        ContainerPart::MountPropagation => Value::text(Some(&mount.propagation)),
        _ => Value::Absent,
    }
}
