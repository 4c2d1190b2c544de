//! DNS messages, which an attacker may write. What becomes of one is a record that can be read by its schema.
#![no_main]

use std::sync::{Arc, LazyLock};

use ethogram_model::{EventSchema, event};

static EVENTS: LazyLock<Vec<Arc<EventSchema>>> = LazyLock::new(|| {
    let trackers = ethogram_probe::builtin().expect("the trackers are not what they should be");
    ethogram_probe::find(&trackers, "dns").expect("there is one for DNS").schema.events.clone()
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    LazyLock::force(&EVENTS);
    ethogram_fuzz::bounded(|| {
        let Some((how, message)) = data.split_first() else { return };
        let schema = &EVENTS[usize::from(how & 0x0f) % EVENTS.len()];
        let record = if how & 0x80 != 0 { message.to_vec() } else { record(schema, message, how & 0x40 != 0) };
        if let Some(made) = ethogram_probe::hook::dns(&record, schema) {
            assert!(made.len() >= schema.size);
            schema.fields.iter().for_each(|field| _ = event::read(&made, field).to_text());
        }
    });
});

/// As the kernel's side sends a message of which it may have `cut` the end.
fn record(schema: &EventSchema, message: &[u8], cut: bool) -> Vec<u8> {
    let mut record = vec![0; schema.size];
    let message = &message[..message.len().min(4096)];
    let size = message.len() as u64 + u64::from(cut);
    let mut put = |name: &str, value: &[u8]| {
        let field = schema.field(name).expect("both events have it");
        let value = &value[..field.size];
        record[field.offset..][..field.size].copy_from_slice(value);
    };
    let reference = [(schema.size as u16).to_le_bytes(), (message.len() as u16).to_le_bytes()].concat();
    put("_payload", &reference);
    put("_size", &size.to_le_bytes());
    record.extend(message);
    record
}
