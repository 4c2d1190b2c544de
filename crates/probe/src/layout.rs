//! The few fields of the common header that the reader itself needs.

use std::sync::Arc;

use ethogram_model::{Event, EventSchema, Value, event};

/// Finds a record's schema by its code.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    events: Vec<Arc<EventSchema>>,
}

impl Layout {
    pub(crate) fn new(events: &[Arc<EventSchema>]) -> Self {
        Self { events: events.to_vec() }
    }

    /// Makes an event of a record, its time still nanoseconds since boot. None where the record fits no schema.
    pub(crate) fn event(&self, record: &[u8]) -> Option<Event> {
        // The header is the same in all events of an object, so any of them tells where the code is.
        let header = self.events.first()?;
        let code = number(header, record, "_event")?;
        let schema = self.events.iter().find(|e| u64::from(e.code) == code)?;
        self.with_schema(schema, record)
    }

    /// Makes an event of a record of a known kind.
    pub(crate) fn with_schema(&self, schema: &Arc<EventSchema>, record: &[u8]) -> Option<Event> {
        if record.len() < schema.size {
            return None;
        }
        let time_ns = number(schema, record, "_time")?;
        Some(Event { schema: Arc::clone(schema), time_ns, record: record.into(), context: Default::default() })
    }
}

fn number(schema: &EventSchema, record: &[u8], field: &str) -> Option<u64> {
    match event::read(record, schema.field(field)?) {
        Value::Unsigned(n) => Some(n),
        _ => None,
    }
}
