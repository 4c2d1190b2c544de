//! What an event itself says, on one line.

use std::net::IpAddr;

use ethogram_model::{Event, Field, FieldKind, Value, render};

use super::text;

/// The event's own fields: a path first, then arguments, then addresses, then the rest as `label=value`.
/// Absent ones, empty ones and those that are false are left out.
pub(super) fn of(event: &Event) -> String {
    let own: Vec<&Field> = event.schema.fields.iter().filter(|f| !f.header && !render::is_internal(f)).collect();
    let mut shown: Vec<&str> = Vec::new();
    let mut parts: Vec<String> = Vec::new();

    // `file.path` is what it is about; another path, such as a working directory, only where there is no such.
    if let Some(path) = own.iter().find(|f| f.name.ends_with(".path")).or_else(|| own.iter().find(|f| is_path(f))) {
        shown.push(&path.name);
        parts.extend(cell(event, path));
    }
    for args in own.iter().filter(|f| f.name == "process.command_args") {
        shown.push(&args.name);
        parts.extend(cell(event, args));
    }
    for address in own.iter().filter(|f| f.kind == FieldKind::Ip) {
        let port_name = address.name.strip_suffix(".address").map(|prefix| format!("{prefix}.port"));
        let port = port_name.and_then(|name| own.iter().find(|f| f.name == name));
        shown.push(&address.name);
        shown.extend(port.map(|p| p.name.as_str()));
        let Value::Ip(ip) = event.value(address) else { continue };
        let joined = join(ip, port.and_then(|p| event.value(p).as_u64()));
        // The peer is what people look for; an address of another kind says which it is.
        parts.push(if address.name.contains("peer") { joined } else { format!("{}={joined}", address.label) });
    }
    for field in own.iter().filter(|f| !shown.contains(&f.name.as_str())) {
        match event.value(field) {
            Value::Bool(false) => {}
            Value::Bool(true) => parts.push(field.label.clone()),
            _ => parts.extend(cell(event, field).map(|c| format!("{}={c}", field.label))),
        }
    }
    parts.join(" ")
}

/// One field for people, safe in a terminal; nothing where it is absent or empty.
pub(super) fn cell(event: &Event, field: &Field) -> Option<String> {
    let text = match (field.kind, event.value(field)) {
        (_, Value::Absent) => return None,
        (FieldKind::Duration, Value::Unsigned(ns)) => text::duration(ns),
        (FieldKind::Unsigned, Value::Unsigned(n)) if is_bytes(field) => text::bytes(n),
        (_, Value::Text(t)) => text::quoted(&String::from_utf8_lossy(&t)).into_owned(),
        (_, Value::List(l)) => {
            l.iter().map(|t| text::quoted(&String::from_utf8_lossy(t)).into_owned()).collect::<Vec<_>>().join(" ")
        }
        _ => match render::field_json(event, field)? {
            serde_json::Value::String(s) => render::escape(&s).into_owned(),
            other => other.to_string(),
        },
    };
    (!text.is_empty() && text != "''").then_some(text)
}

pub(super) fn is_path(field: &Field) -> bool {
    matches!(field.kind, FieldKind::Path | FieldKind::PathAt | FieldKind::RequestedPath | FieldKind::PathBuf)
}

fn is_bytes(field: &Field) -> bool {
    field.label.contains("bytes") || field.name.ends_with(".size")
}

fn join(ip: IpAddr, port: Option<u64>) -> String {
    match (ip, port) {
        (ip, None) => ip.to_string(),
        (IpAddr::V4(ip), Some(port)) => format!("{ip}:{port}"),
        (IpAddr::V6(ip), Some(port)) => format!("[{ip}]:{port}"),
    }
}
