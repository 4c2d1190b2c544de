//! Events made of given values: for examples and tests.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use crate::{Event, EventSchema, Field, FieldKind, example::Example, render::names, vocabulary};

/// An event of the schema with these fields, by their names in the vocabulary. Fields of the process and the container
/// that the record does not hold go into its context.
///
/// # Errors
/// A field that there is not, or a value that it cannot have.
pub fn event(schema: &Arc<EventSchema>, fields: &[(String, Vec<String>)]) -> Result<Event, String> {
    let mut record = vec![0; schema.size];
    let mut example = Example::default();
    // All ones is what is absent, for what has a zero of its own.
    for field in &schema.fields {
        if matches!(field.kind, FieldKind::Id | FieldKind::Duration)
            && let Some(bytes) = record.get_mut(field.offset..field.offset + field.size)
        {
            bytes.fill(u8::MAX);
        }
    }
    for (name, values) in fields {
        let field = schema.field(name);
        let in_context = set(&mut example, name, values)?;
        match field {
            Some(field) => write(&mut record, field, values)?,
            None if in_context => {}
            None => return Err(format!("events of {}.{} have no field '{name}'", schema.tracker, schema.name)),
        }
    }
    let record = record.into_boxed_slice();
    Ok(Event { schema: Arc::clone(schema), time_ns: 1_700_000_000_000_000_000, record, context: example.context() })
}

/// Sets a field of the context. Gives whether it is one.
fn set(example: &mut Example, name: &str, values: &[String]) -> Result<bool, String> {
    // Falco's name of it, which examples had first.
    let name = if name == "user.name" { "process.user.name" } else { name };
    let Some(set) = vocabulary::find(name).and_then(|field| field.set) else { return Ok(false) };
    set(example, values).map_err(|why| format!("{name}: {why}"))?;
    Ok(true)
}

fn write(record: &mut Vec<u8>, field: &Field, values: &[String]) -> Result<(), String> {
    let text = values.first().map_or("", String::as_str);
    let wrong = || format!("{}: '{text}' is no value of it", field.name);
    match field.kind {
        FieldKind::Text => {
            let bytes = text.as_bytes().get(..text.len().min(field.size.saturating_sub(1))).unwrap_or_default();
            put(record, field.offset, bytes);
        }
        FieldKind::PathBuf => put(record, field.offset, &leaf_first(text.as_bytes())),
        FieldKind::Str => refer(record, field.offset, text.as_bytes()),
        FieldKind::Path => refer(record, field.offset, &leaf_first(text.as_bytes())),
        FieldKind::PathAt => refer(record, field.offset + 4, text.as_bytes()),
        // Of a path that is cut, nothing is left.
        FieldKind::PathCut => match text {
            "true" if field.size > 12 => put(record, field.offset, b"\x01"),
            "true" => refer(record, field.offset, b"\x01"),
            "false" => {}
            _ => return Err(wrong()),
        },
        FieldKind::RequestedPath => refer(record, field.offset + 8, text.as_bytes()),
        FieldKind::Args => refer(record, field.offset, values.join("\0").as_bytes()),
        FieldKind::Ip => {
            let bytes = match text.parse::<IpAddr>().map_err(|_| wrong())? {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            put(record, field.offset, &bytes);
        }
        FieldKind::Names => return Err(format!("{}: cannot be set in an example", field.name)),
        _ => {
            let number = number(field, text).ok_or_else(wrong)?;
            put(record, field.offset, number.to_le_bytes().get(..field.size.min(8)).unwrap_or_default());
        }
    }
    Ok(())
}

fn number(field: &Field, text: &str) -> Option<u64> {
    // Permissions are given in octal, as they are printed.
    if field.kind == FieldKind::FileMode {
        return u64::from_str_radix(text, 8).ok();
    }
    if let Ok(number) = text.parse::<u64>() {
        return Some(number);
    }
    let flags = |name_of: &dyn Fn(&str) -> Option<u64>| {
        text.split(['|', ' ']).filter(|t| !t.is_empty()).try_fold(0, |all, name| Some(all | name_of(name)?))
    };
    match field.kind {
        FieldKind::Bool => match text {
            "true" => Some(1),
            "false" => Some(0),
            _ => None,
        },
        FieldKind::Signed => text.parse::<i64>().ok().map(|n| n as u64),
        FieldKind::Errno => (1..200).find(|n| names::errno(*n) == text),
        FieldKind::Signal => (1..32).find(|n| names::signal(*n) == text),
        FieldKind::FileType => [0o100_000, 0o040_000, 0o020_000, 0o060_000, 0o010_000, 0o140_000, 0o120_000]
            .into_iter()
            .find(|n| names::file_type(*n) == text),
        FieldKind::OpenFlags => flags(&|name| match name {
            "O_RDONLY" => Some(0),
            "O_WRONLY" => Some(1),
            "O_RDWR" => Some(2),
            _ => names::OPEN_FLAGS.iter().find(|(_, n)| *n == name).map(|(bit, _)| *bit),
        }),
        FieldKind::Name | FieldKind::Flags => {
            flags(&|name| field.names.iter().find(|(_, n)| n == name).map(|(number, _)| *number))
        }
        _ => None,
    }
}

/// The event as if its fields at these places had these paths.
pub fn at_paths(event: &Event, paths: &[(usize, Cow<'_, [u8]>)]) -> Event {
    let mut record = event.record.to_vec();
    for (place, path) in paths {
        match event.schema.fields.get(*place) {
            Some(Field { kind: FieldKind::Path, offset, .. }) => refer(&mut record, *offset, &leaf_first(path)),
            // The directory that the path would be relative to, and the path.
            Some(Field { kind: FieldKind::PathAt, offset, .. }) => {
                put(&mut record, *offset, &[0; 4]);
                refer(&mut record, offset + 4, path);
            }
            _ => {}
        }
    }
    Event { record: record.into(), ..event.clone() }
}

/// Says of the event's field at this place that it is so.
pub fn set_true(event: &mut Event, place: usize) {
    if let Some(Field { kind: FieldKind::Bool, offset, .. }) = event.schema.fields.get(place) {
        put(&mut event.record, *offset, &[1]);
    }
}

fn put(record: &mut [u8], offset: usize, bytes: &[u8]) {
    if let Some(place) = record.get_mut(offset..).and_then(|r| r.get_mut(..bytes.len())) {
        place.copy_from_slice(bytes);
    }
}

/// Appends to the tail and puts a reference to it into the record.
fn refer(record: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let at = u16::try_from(record.len()).unwrap_or(u16::MAX);
    let bytes = [bytes, b"\0"].concat();
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    put(record, offset, &at.to_le_bytes());
    put(record, offset + 2, &length.to_le_bytes());
    record.extend_from_slice(&bytes);
}

/// As the kernel side writes a path: its names from the leaf, and how it ends.
fn leaf_first(path: &[u8]) -> Vec<u8> {
    let Some(rooted) = path.strip_prefix(b"/") else { return [path, b"\0"].concat() };
    let mut out = Vec::with_capacity(path.len() + 3);
    for part in rooted.split(|byte| *byte == b'/').rev().filter(|part| !part.is_empty()) {
        out.extend_from_slice(part);
        out.push(0);
    }
    out.extend_from_slice(b"/\0");
    out
}
