//! Recordings that were made before fields had the tag say nothing of keys. These were the ones.

use ethogram_model::{EventSchema, schema::Descriptor};

/// Whether the field of that name was part of the key, or followed from it.
pub(super) fn is_key(schema: &EventSchema, name: &str) -> bool {
    let is_server = schema.rules.as_ref().is_some_and(|r| r.fd == Some(Descriptor::Server));
    match name {
        "process.user.id" | "error.type" | "network.transport" | "network.connection.established" => true,
        "file.path" | "file.type" | "file.mode" | "file.created" | "file.writable_layer" => true,
        "file.requested_path" | "file.open.flags" | "file.open.write" => true,
        "network.local.address" | "network.local.requested_port" => true,
        "network.peer.address" | "network.peer.port" => !is_server,
        "network.local.port" => is_server,
        _ => false,
    }
}
