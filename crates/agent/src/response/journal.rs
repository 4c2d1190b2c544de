//! Records of responses as the thread that acts writes them.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::{audit::Audit, record::ResponseRecord};

/// The records, shared with those who list them.
#[derive(Clone)]
pub(super) struct Journal {
    audit: Arc<Mutex<Audit>>,
    /// Whether the records could not be written the last time.
    failed: bool,
}

impl Journal {
    pub(super) fn new(audit: Audit) -> Self {
        Self { audit: Arc::new(Mutex::new(audit)), failed: false }
    }

    pub(super) fn audit(&self) -> MutexGuard<'_, Audit> {
        self.audit.lock()
    }

    /// Writes a record, in the place of an earlier one of its number, and logs it.
    pub(super) fn write(&mut self, record: &ResponseRecord) {
        let written = self.audit().write(record);
        match written {
            Ok(()) => self.failed = false,
            Err(error) if !std::mem::replace(&mut self.failed, true) => {
                let id = record.id;
                tracing::error!("the record of response {id} cannot be written: {error}: make room in [store] path");
            }
            Err(_) => {}
        }
        tracing::info!("response {}", serde_json::to_string(record).unwrap_or_default());
    }
}
