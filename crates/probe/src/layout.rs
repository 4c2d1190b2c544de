//! From a record to an event: the few fields of the common header that the reader itself needs.

use std::{borrow::Cow, sync::Arc};

use ethogram_model::{Event, EventSchema, Value, event};

use crate::hook::Hook;

/// Finds a record's schema by its code.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    events: Vec<Arc<EventSchema>>,
    hook: Option<Hook>,
}

/// Why a record is no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It fits no schema.
    Malformed,
    /// The tracker's hook found it to be something else.
    Unparsed,
}

impl Layout {
    pub(crate) fn new(events: &[Arc<EventSchema>], hook: Option<Hook>) -> Self {
        Self { events: events.to_vec(), hook }
    }

    /// Makes an event of a record, its time still nanoseconds since boot.
    pub(crate) fn event(&self, record: &[u8]) -> Result<Event, Refusal> {
        // The header is the same in all events of an object, so any of them tells where the code is.
        let header = self.events.first().ok_or(Refusal::Malformed)?;
        let code = number(header, record, "_event").ok_or(Refusal::Malformed)?;
        let schema = self.events.iter().find(|e| u64::from(e.code) == code).ok_or(Refusal::Malformed)?;
        if record.len() < schema.size {
            return Err(Refusal::Malformed);
        }
        let record = match self.hook {
            Some(hook) => Cow::Owned(hook(record, schema).ok_or(Refusal::Unparsed)?),
            None => Cow::Borrowed(record),
        };
        self.with_schema(schema, &record).ok_or(Refusal::Malformed)
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
