//! What some trackers do to their records in user space, before these are events: for what C in the kernel should not do,
//! such as parsing a message. Each is `hook.rs` in its tracker's folder.

use ethogram_model::EventSchema;

/// Makes the final record of one from the kernel, whose length is at least that of the schema. None where the record
/// turns out not to be what the kernel took it for. It has to accept arbitrary bytes: they come from watched processes.
pub(crate) type Hook = fn(&[u8], &EventSchema) -> Option<Vec<u8>>;

include!(concat!(env!("OUT_DIR"), "/tracker_hooks.rs"));

/// What a DNS message's record becomes, for its fuzzer.
#[cfg(fuzzing)]
pub fn dns(record: &[u8], schema: &EventSchema) -> Option<Vec<u8>> {
    dns::hook(record, schema)
}
