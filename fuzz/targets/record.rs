//! Records as the kernel's side sends them: any bytes are read by the schema of any event, and shown. A recording has such bytes, too.
#![no_main]

use std::sync::{Arc, LazyLock};

use ethogram_model::{Context, Event, EventSchema, render};

static EVENTS: LazyLock<Vec<Arc<EventSchema>>> = LazyLock::new(|| {
    let trackers = ethogram_probe::builtin().expect("the trackers are not what they should be");
    trackers.iter().flat_map(|tracker| tracker.schema.events.clone()).collect()
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    LazyLock::force(&EVENTS);
    ethogram_fuzz::bounded(|| {
        let Some((which, record)) = data.split_first() else { return };
        let schema = Arc::clone(&EVENTS[usize::from(*which) % EVENTS.len()]);
        let event =
            Event { schema: Arc::clone(&schema), time_ns: 0, record: record.into(), context: Context::default() };
        for field in &schema.fields {
            _ = event.value(field).to_text();
            _ = event.as_asked(field);
        }
        _ = render::to_json(&event).to_string();
    });
});
