//! From a record to an event: the few fields of the common header that the reader itself needs.

use std::{borrow::Cow, sync::Arc};

use ethogram_model::{Event, EventSchema};

use crate::{counters::Refusal, hook::Hook, tables::shared::EventHeader};

/// Finds a record's schema by its code.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    events: Vec<Arc<EventSchema>>,
    hook: Option<Hook>,
}

impl Layout {
    pub(crate) fn new(events: &[Arc<EventSchema>], hook: Option<Hook>) -> Self {
        Self { events: events.to_vec(), hook }
    }

    /// Makes an event of a record, its time still nanoseconds since boot.
    pub(crate) fn event(&self, record: &[u8]) -> Result<Event, Refusal> {
        let header = EventHeader::from_bytes(record).ok_or(Refusal::Malformed)?;
        let schema = self.events.iter().find(|e| e.code == header.event).ok_or(Refusal::Malformed)?;
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
        let time_ns = EventHeader::from_bytes(record)?.time;
        Some(Event { schema: Arc::clone(schema), time_ns, record: record.into(), context: Default::default() })
    }
}
