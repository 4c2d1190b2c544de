//! What workloads are known to do all day: the kernel counts it and does not report it.
//!
//! Only this side adds and removes, so the kernel's table is no LRU one, whose own evictions would lose counts.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType};

use crate::{
    Error,
    reader::{boot_ns, realtime_ns},
};

/// Habits that the kernel has room for.
const HABITS: u32 = 32_768;
/// Bytes of `struct habit`, as in `habit.bpf.h`.
const HABIT: usize = 24;
/// How many are read at once.
const BATCH: u32 = 4_096;

/// What was counted of a habit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HabitCount {
    /// Which one, as events have it in their field `_habit`.
    pub habit: u64,
    /// Events since it was read last.
    pub count: u64,
    /// The last one's time, nanoseconds since the Unix epoch.
    pub last_ns: u64,
}

/// The habits that the kernel was told of.
#[derive(Debug)]
pub(crate) struct Habits {
    pub(crate) map: MapHandle,
    /// Each with the count that was read of it. Locked while the kernel's table is changed or read.
    read: Mutex<HashMap<u64, u64>>,
}

impl Habits {
    pub(crate) fn new() -> Result<Self, Error> {
        let options = libbpf_sys::bpf_map_create_opts {
            sz: size_of::<libbpf_sys::bpf_map_create_opts>() as _,
            map_flags: libbpf_sys::BPF_F_NO_PREALLOC,
            ..Default::default()
        };
        let map = MapHandle::create(MapType::Hash, Some("habits"), 8, HABIT as u32, HABITS, &options)
            .map_err(|source| Error::Kernel { doing: "making the map 'habits'".into(), source })?;
        Ok(Self { map, read: Mutex::default() })
    }

    pub(crate) fn len(&self) -> usize {
        self.known().len()
    }

    pub(crate) fn begin(&self, habit: u64, generation: u32) -> Result<(), Error> {
        let mut known = self.known();
        if known.contains_key(&habit) {
            return Ok(());
        }
        let mut value = [0; HABIT];
        value[..4].copy_from_slice(&generation.to_ne_bytes());
        self.map
            .update(&habit.to_ne_bytes(), &value, MapFlags::ANY)
            .map_err(|source| Error::Kernel { doing: "telling the programs of a habit".into(), source })?;
        known.insert(habit, 0);
        Ok(())
    }

    pub(crate) fn end(&self, habit: u64) -> Result<Option<HabitCount>, Error> {
        let mut known = self.known();
        let Some(read) = known.remove(&habit) else { return Ok(None) };
        let last = self.take(habit)?;
        Ok(last.and_then(|value| count(habit, &value, read, to_epoch())))
    }

    pub(crate) fn end_all(&self) -> Result<Vec<HabitCount>, Error> {
        let mut known = self.known();
        let to_epoch = to_epoch();
        let mut counts = Vec::new();
        for (habit, read) in known.drain() {
            counts.extend(self.take(habit)?.and_then(|value| count(habit, &value, read, to_epoch)));
        }
        Ok(counts)
    }

    pub(crate) fn counts(&self) -> Result<Vec<HabitCount>, Error> {
        let mut known = self.known();
        if known.is_empty() {
            return Ok(Vec::new());
        }
        let to_epoch = to_epoch();
        let mut counts = Vec::new();
        let all = self
            .map
            .lookup_batch(BATCH, MapFlags::ANY, MapFlags::ANY)
            .map_err(|source| Error::Kernel { doing: "reading the counts of habits".into(), source })?;
        let mut seen = 0;
        let mut take = |key: &[u8], value: &[u8], known: &mut HashMap<u64, u64>| {
            let Ok(habit) = key.try_into().map(u64::from_ne_bytes) else { return };
            let Some(read) = known.get_mut(&habit) else { return };
            if let Some(more) = count(habit, value, *read, to_epoch) {
                *read += more.count;
                counts.push(more);
            }
        };
        for (key, value) in all {
            seen += 1;
            take(&key, &value, &mut known);
        }
        // Kernels that cannot read many at once give none.
        if seen == 0 {
            let habits: Vec<u64> = known.keys().copied().collect();
            for habit in habits {
                if let Ok(Some(value)) = self.map.lookup(&habit.to_ne_bytes(), MapFlags::ANY) {
                    take(&habit.to_ne_bytes(), &value, &mut known);
                }
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

    fn known(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was counted beyond what was read before.
fn count(habit: u64, value: &[u8], read: u64, to_epoch: u64) -> Option<HabitCount> {
    let word = |at: usize| value.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_ne_bytes);
    let more = word(8)?.checked_sub(read).filter(|more| *more > 0)?;
    Some(HabitCount { habit, count: more, last_ns: word(16)?.saturating_add(to_epoch) })
}

fn to_epoch() -> u64 {
    realtime_ns().saturating_sub(boot_ns())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_counted() {
        let value = |count: u64, last: u64| {
            let mut value = vec![0; HABIT];
            value[8..16].copy_from_slice(&count.to_ne_bytes());
            value[16..].copy_from_slice(&last.to_ne_bytes());
            value
        };
        assert_eq!(count(7, &value(5, 100), 3, 1000), Some(HabitCount { habit: 7, count: 2, last_ns: 1100 }));
        assert_eq!(count(7, &value(5, 100), 5, 1000), None);
        assert_eq!(count(7, &value(5, 100)[..20], 0, 1000), None);
    }
}
