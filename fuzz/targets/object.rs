//! Objects that others compiled, and their manifests: the bytes are an object, or the types and the strings of one.
#![no_main]

use std::{collections::BTreeMap, sync::Arc};

use ethogram_model::{Context, Event, render};
use ethogram_probe::{Manifest, TrackerObject};

libfuzzer_sys::fuzz_target!(|data: &[u8]| ethogram_fuzz::bounded(|| {
    let (manifest, rest) = ethogram_fuzz::parts(data);
    let manifest = Manifest::parse("fuzzed", &String::from_utf8_lossy(manifest)).unwrap_or_default();
    let object = match rest.split_first_chunk() {
        Some((&[b't', low, high], rest)) => {
            let types = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
            let (types, strings) = rest.split_at(types);
            TrackerObject::new("fuzzed", &ethogram_fuzz::elf::with_types(types, strings), manifest)
        }
        _ => TrackerObject::new("fuzzed", rest, manifest),
    };
    if let Ok(object) = object {
        use_object(&object);
    }
}));

/// Asks what is asked of a tracker before the kernel has it, and reads records by its schema.
fn use_object(object: &TrackerObject) {
    _ = object.requirements();
    for param in &object.schema.params {
        _ = object.check(&BTreeMap::from([(param.name.clone(), param.default.to_string())]));
    }
    for schema in &object.schema.events {
        for size in [0, schema.size.min(1 << 16)] {
            let record = vec![1; size].into();
            let event = Event { schema: Arc::clone(schema), time_ns: 0, record, context: Context::default() };
            schema.fields.iter().for_each(|field| _ = event.value(field).to_text());
            _ = render::to_json(&event).to_string();
        }
    }
}
