//! What workloads are known to do all day: the kernel counts it and does not report it.
//!
//! Only this side adds and removes, so the kernel's table is no LRU one, whose own evictions would lose counts.

use std::collections::HashMap;

use libbpf_rs::{MapCore, MapFlags, MapHandle};
use parking_lot::{Mutex, MutexGuard};

use super::shared::{Habit, table};
use crate::{Error, clock::realtime_ns};

/// How many are read at once.
const BATCH: u32 = 4_096;

/// What was counted of a habit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HabitCount {
    /// Which one, as events have it in their field `_habit`.
    pub habit: u64,
    /// Events since it was read last.
    pub count: u64,
    /// When it was read: none is later. Nanoseconds since the Unix epoch.
    pub last_ns: u64,
}

/// The habits that are in the kernel's table.
#[derive(Debug)]
pub(crate) struct Habits {
    pub(super) map: MapHandle,
    /// Locked while the kernel's table is changed or read.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Each with the count that was read of it.
    read: HashMap<u64, u64>,
    /// What was counted of those that have ended since. Bounded: more end only where they are not read.
    ended: Vec<HabitCount>,
}

impl Known {
    fn end(&mut self, habit: u64, value: &[u8], read: u64, now_ns: u64) {
        let last = count(habit, value, read, now_ns);
        self.ended.extend(last.filter(|_| self.ended.len() < table::HABITS.entries as usize));
    }
}

impl Habits {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self { map: table::HABITS.make()?, known: Mutex::default() })
    }

    pub(crate) fn len(&self) -> usize {
        self.known().read.len()
    }

    pub(crate) fn begin(&self, habit: u64, generation: u32) -> Result<(), Error> {
        let mut known = self.known();
        if known.read.contains_key(&habit) {
            return Ok(());
        }
        let value = Habit { generation, ..Habit::default() };
        self.map
            .update(&habit.to_ne_bytes(), &value.to_bytes(), MapFlags::ANY)
            .map_err(|source| Error::Kernel { doing: "telling the programs of a habit".into(), source })?;
        known.read.insert(habit, 0);
        Ok(())
    }

    pub(crate) fn end(&self, habit: u64) -> Result<(), Error> {
        let mut known = self.known();
        let Some(read) = known.read.remove(&habit) else { return Ok(()) };
        if let Some(value) = self.take(habit)? {
            known.end(habit, &value, read, realtime_ns());
        }
        Ok(())
    }

    pub(crate) fn end_all(&self) -> Result<(), Error> {
        let mut known = self.known();
        let (mut all, now_ns) = (std::mem::take(&mut known.read), realtime_ns());
        if all.is_empty() {
            return Ok(());
        }
        let taken = self.map.lookup_and_delete_batch(BATCH, MapFlags::ANY, MapFlags::ANY).map_err(reading)?;
        for (key, value) in taken {
            let Ok(habit) = key.as_slice().try_into().map(u64::from_ne_bytes) else { continue };
            if let Some(read) = all.remove(&habit) {
                known.end(habit, &value, read, now_ns);
            }
        }
        // Kernels that do not take many at once give none.
        for (habit, read) in all {
            if let Some(value) = self.take(habit)? {
                known.end(habit, &value, read, now_ns);
            }
        }
        Ok(())
    }

    pub(crate) fn counts(&self) -> Result<Vec<HabitCount>, Error> {
        let mut known = self.known();
        let mut counts = std::mem::take(&mut known.ended);
        let read = &mut known.read;
        if read.is_empty() {
            return Ok(counts);
        }
        let now_ns = realtime_ns();
        let mut take = |habit: u64, value: &[u8], read: &mut u64| {
            if let Some(more) = count(habit, value, *read, now_ns) {
                *read += more.count;
                counts.push(more);
            }
        };
        let mut is_empty = true;
        for (key, value) in self.map.lookup_batch(BATCH, MapFlags::ANY, MapFlags::ANY).map_err(reading)? {
            is_empty = false;
            let Ok(habit) = key.as_slice().try_into().map(u64::from_ne_bytes) else { continue };
            if let Some(read) = read.get_mut(&habit) {
                take(habit, &value, read);
            }
        }
        // Kernels that do not read many at once give none.
        for (habit, read) in read.iter_mut().filter(|_| is_empty) {
            if let Ok(Some(value)) = self.map.lookup(&habit.to_ne_bytes(), MapFlags::ANY) {
                take(*habit, &value, read);
            }
        }
        Ok(counts)
    }

    /// Removes a habit from the kernel's table. What it was there.
    fn take(&self, habit: u64) -> Result<Option<Vec<u8>>, Error> {
        let key = habit.to_ne_bytes();
        // Kernels before 5.14 do not do both at once.
        if let Ok(taken) = self.map.lookup_and_delete(&key) {
            return Ok(taken);
        }
        let wrong = |source| Error::Kernel { doing: "ending a habit".into(), source };
        let last = self.map.lookup(&key, MapFlags::ANY).map_err(wrong)?;
        match self.map.delete(&key) {
            Err(e) if e.kind() != libbpf_rs::ErrorKind::NotFound => Err(wrong(e)),
            _ => Ok(last),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock()
    }
}

fn reading(source: libbpf_rs::Error) -> Error {
    Error::Kernel { doing: "reading the counts of habits".into(), source }
}

/// What was counted beyond what was read before.
fn count(habit: u64, value: &[u8], read: u64, now_ns: u64) -> Option<HabitCount> {
    let more = Habit::from_bytes(value)?.count.checked_sub(read).filter(|more| *more > 0)?;
    Some(HabitCount { habit, count: more, last_ns: now_ns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_counted() {
        let value = |count: u64| Habit { count, ..Habit::default() }.to_bytes();
        assert_eq!(count(7, &value(5), 3, 1000), Some(HabitCount { habit: 7, count: 2, last_ns: 1000 }));
        assert_eq!(count(7, &value(5), 5, 1000), None);
        assert_eq!(count(7, &value(5)[..12], 0, 1000), None);
    }
}
