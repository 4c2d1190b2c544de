//! Reading what the kernel counted: an empty table takes the place of the full one, then the full one is read.

use std::{
    io::Read as _,
    os::fd::{AsFd, AsRawFd},
    sync::Arc,
};

use ethogram_model::{Event, EventSchema};
use libbpf_rs::{Iter, Link, MapCore, MapFlags, MapHandle};

use super::layout::Layout;

/// A sample's tables: one that the programs write, one that is being read.
#[derive(Debug)]
pub(crate) struct Sample {
    schema: Arc<EventSchema>,
    /// The array of one map through which the programs find the table they write.
    slot: MapHandle,
    active: MapHandle,
    spare: MapHandle,
}

impl Sample {
    /// Both tables are the object's own: older kernels accept no table in the slot that is not described by its BTF.
    pub(crate) fn new(schema: Arc<EventSchema>, slot: MapHandle, active: MapHandle, spare: MapHandle) -> Self {
        Self { schema, slot, active, spare }
    }

    /// Takes all rows counted since the last time.
    pub(crate) fn drain(&mut self, layout: &Layout) -> Result<Vec<Event>, libbpf_rs::Error> {
        // The kernel returns from this update only when no program uses the table that it replaces.
        let spare = self.spare.as_fd().as_raw_fd().to_ne_bytes();
        self.slot.update(&0u32.to_ne_bytes(), &spare, MapFlags::ANY)?;
        std::mem::swap(&mut self.active, &mut self.spare);
        let mut rows = Vec::new();
        let keys: Vec<_> = self.spare.keys().collect();
        for key in keys {
            if let Some(mut row) = self.spare.lookup(&key, MapFlags::ANY)? {
                row.extend_from_slice(&key);
                rows.extend(layout.with_schema(&self.schema, &row));
            }
            self.spare.delete(&key)?;
        }
        Ok(rows)
    }
}

/// Runs an iterator over all that it walks.
pub(crate) fn walk(link: &Link) -> Result<(), String> {
    let mut iter = Iter::new(link).map_err(|e| e.to_string())?;
    let mut sink = Vec::new();
    iter.read_to_end(&mut sink).map(|_| ()).map_err(|e| format!("walking what is there already: {e}"))
}
