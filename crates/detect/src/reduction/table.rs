//! A table of bounded size that forgets what was not used for longest.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hasher};

/// Identity of an entry: two independent hashes of its parts, so that chosen names cannot pass for each other.
pub(crate) type Key = u128;

/// Hashes the parts of a name. The length of each part goes in, so that no two lists of parts run together.
pub(crate) fn key(parts: &[&[u8]]) -> Key {
    let half = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(seed);
        for part in parts {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        u128::from(hasher.finish())
    };
    (half(1) << 64) | half(2)
}

const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Slot<T> {
    key: Key,
    newer: u32,
    older: u32,
    value: T,
}

/// Up to `capacity` values by key. The order of use is a list through the slots, so nothing depends on the order of
/// the hash map.
#[derive(Debug)]
pub(crate) struct Table<T> {
    index: HashMap<Key, u32, BuildHasherDefault<DefaultHasher>>,
    slots: Vec<Slot<T>>,
    newest: u32,
    oldest: u32,
    capacity: usize,
    forgotten: u64,
}

impl<T: Default> Table<T> {
    /// An empty table. It holds at least one entry.
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, NONE as usize - 1);
        Self { index: HashMap::default(), slots: Vec::new(), newest: NONE, oldest: NONE, capacity, forgotten: 0 }
    }

    /// The value of `key`, new if it was not there. When the table is full the entry unused for longest goes.
    pub(crate) fn entry(&mut self, key: Key) -> &mut T {
        let at = match self.index.get(&key) {
            Some(&at) => {
                self.unlink(at);
                at
            }
            None => self.insert(key),
        };
        self.link_newest(at);
        &mut self.slots[at as usize].value
    }

    /// Entries that had to go.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn insert(&mut self, key: Key) -> u32 {
        let slot = Slot { key, newer: NONE, older: NONE, value: T::default() };
        let at = if self.slots.len() < self.capacity {
            self.slots.push(slot);
            u32::try_from(self.slots.len() - 1).unwrap_or(NONE - 1)
        } else {
            let at = self.oldest;
            self.unlink(at);
            self.index.remove(&self.slots[at as usize].key);
            self.slots[at as usize] = slot;
            self.forgotten += 1;
            at
        };
        self.index.insert(key, at);
        at
    }

    fn unlink(&mut self, at: u32) {
        let Slot { newer, older, .. } = self.slots[at as usize];
        match newer {
            NONE => self.newest = older,
            newer => self.slots[newer as usize].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.slots[older as usize].newer = newer,
        }
    }

    fn link_newest(&mut self, at: u32) {
        let previous = self.newest;
        self.slots[at as usize].newer = NONE;
        self.slots[at as usize].older = previous;
        match previous {
            NONE => self.oldest = at,
            previous => self.slots[previous as usize].newer = at,
        }
        self.newest = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_unused_for_longest_goes_and_the_one_just_used_stays() {
        let mut table: Table<u32> = Table::new(2);
        *table.entry(1) = 10;
        *table.entry(2) = 20;
        table.entry(1);
        *table.entry(3) = 30;
        assert_eq!(table.forgotten(), 1);
        assert_eq!((*table.entry(1), *table.entry(3)), (10, 30));
        assert_eq!(*table.entry(2), 0);
    }

    #[test]
    fn a_flood_of_distinct_keys_stays_within_the_capacity() {
        let mut table: Table<u32> = Table::new(100);
        for flood in 0..100_000 {
            *table.entry(flood) += 1;
        }
        assert_eq!((table.slots.len(), table.index.len()), (100, 100));
        assert_eq!(table.forgotten(), 99_900);
    }

    #[test]
    fn a_table_for_one_entry_works() {
        let mut table: Table<u32> = Table::new(0);
        *table.entry(1) = 1;
        assert_eq!(*table.entry(2), 0);
        assert_eq!(*table.entry(1), 0);
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
        assert_eq!(key(&[b"ab", b"c"]), key(&[b"ab", b"c"]));
    }
}
