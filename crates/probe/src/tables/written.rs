//! Tables that the agent alone writes, and whether someone else has.

use std::collections::HashMap;

use libbpf_rs::{MapCore, MapFlags, MapHandle};
use parking_lot::Mutex;

pub(super) type Bytes = Box<[u8]>;

/// A table, and what the agent has written into it. Who may load programs may write any table, and so have the kernel
/// side leave out what they do.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) map: MapHandle,
    entries: Mutex<HashMap<Bytes, Bytes>>,
}

impl Written {
    pub(crate) fn new(map: MapHandle) -> Self {
        Self { map, entries: Mutex::default() }
    }

    pub(crate) fn put(&self, key: &[u8], value: &[u8]) -> libbpf_rs::Result<()> {
        let mut entries = self.entries.lock();
        self.map.update(key, value, MapFlags::ANY)?;
        entries.insert(key.into(), value.into());
        Ok(())
    }

    /// Removes an entry, if there is one.
    pub(crate) fn remove(&self, key: &[u8]) -> libbpf_rs::Result<()> {
        let mut entries = self.entries.lock();
        entries.remove(key);
        match self.map.delete(key) {
            Err(e) if e.kind() == libbpf_rs::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// Writes back what another has changed, and gives the keys of these entries. One that is missing only leaves more to
    /// the agent.
    pub(crate) fn restore(&self) -> libbpf_rs::Result<Vec<Bytes>> {
        let mut altered = Vec::new();
        for (key, value) in self.entries.lock().iter() {
            if self.map.lookup(key, MapFlags::ANY)?.is_some_and(|found| *found != **value) {
                self.map.update(key, value, MapFlags::ANY)?;
                altered.push(key.clone());
            }
        }
        Ok(altered)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::tables::shared::table;

    #[test]
    fn what_another_has_written_is_noticed_and_written_back() {
        let table = Written::new(table::SUBSCRIPTION.make().unwrap());
        let (key, value) = (200_u32.to_ne_bytes(), 6_u32.to_ne_bytes());
        table.put(&key, &value).unwrap();
        // The agent's own changes, and entries that it did not write, are as they should be.
        table.put(&201_u32.to_ne_bytes(), &value).unwrap();
        table.put(&201_u32.to_ne_bytes(), &[1; 4]).unwrap();
        table.map.update(&202_u32.to_ne_bytes(), &value, MapFlags::ANY).unwrap();
        assert!(table.restore().unwrap().is_empty());
        table.map.update(&key, &u32::MAX.to_ne_bytes(), MapFlags::ANY).unwrap();
        assert_eq!(table.restore().unwrap(), [key.into()]);
        assert_eq!(table.map.lookup(&key, MapFlags::ANY).unwrap().unwrap(), value);
        assert!(table.restore().unwrap().is_empty(), "it is as it was");
    }
}
