//! The alerts of a spool in their log, and where in it the receiver is.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use super::SpooledAlert;
use crate::{
    framed_log::{FramedLog, LogPosition, MAX_NUMBER},
    sink::counters::{Reason, SinkCounters},
};

/// Alerts that wait in memory while the disk takes none, and their bytes.
const MAX_IN_MEMORY: usize = 1024;
const MAX_BYTES_IN_MEMORY: usize = 8 << 20;
const POSITION: &str = "position";

/// All alerts of a spool, on disk and in memory.
pub(super) struct Log {
    disk: FramedLog,
    /// Where the first alert lies that is not acknowledged, or will lie.
    place: LogPosition,
    /// Its number.
    acknowledged: u64,
    /// The number of the next alert that comes.
    next: u64,
    /// Those that the disk did not take, with their numbers: all are later than those on disk.
    memory: VecDeque<(u64, Vec<u8>)>,
    position: File,
    /// Whether the disk's failure was logged.
    failing: bool,
}

impl Log {
    pub(super) fn open(folder: &Path, max_bytes: u64) -> io::Result<Self> {
        let disk = FramedLog::open(folder, max_bytes)?;
        let path = folder.join(POSITION);
        let position =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        let first = disk.segments().next();
        let acknowledged = read_position(&position).unwrap_or_else(|| {
            if first.is_some() {
                tracing::warn!("{} is damaged: all alerts that are left beside it are sent again", path.display());
            }
            first.unwrap_or_default()
        });
        let mut log = Self {
            disk,
            place: LogPosition::beginning(0),
            acknowledged,
            next: acknowledged,
            memory: VecDeque::new(),
            position,
            failing: false,
        };
        log.find_place()?;
        log.set_position(log.acknowledged);
        Ok(log)
    }

    /// Finds the first alert that is not acknowledged, and the number that comes next. What was being written when the
    /// agent was killed is no alert.
    fn find_place(&mut self) -> io::Result<()> {
        if let Some(last) = self.disk.segments().next_back() {
            let numbers = self.disk.frames(LogPosition::beginning(last))?.map(|frame| frame.number + 1);
            self.next = self.next.max(numbers.max().unwrap_or(last));
        }
        // A segment is done with where the next one begins at or before the position.
        let begins: Vec<u64> = self.disk.segments().chain([self.next]).collect();
        for pair in begins.windows(2) {
            if let [segment, following] = *pair
                && following <= self.acknowledged
            {
                self.disk.remove(segment);
            }
        }
        self.go_to_oldest();
        if self.place.segment() < self.acknowledged && self.disk.segments().next().is_some() {
            let frames = self.disk.frames(self.place)?;
            let done = frames.take_while(|frame| frame.number < self.acknowledged);
            self.place = done.last().map_or(self.place, |frame| self.place.behind(&frame));
        }
        Ok(())
    }

    pub(super) fn append(&mut self, text: &[u8], counters: &SinkCounters) {
        if !self.disk.can_hold(text) {
            return counters.dropped(Reason::TooLong, 1);
        }
        while !self.disk.has_room(text) && self.drop_oldest(counters) {}
        // What comes behind an alert that waits in memory waits there, too.
        let written = self.memory.is_empty() && self.write(text);
        if !written {
            let bytes: usize = self.memory.iter().map(|(_, text)| text.len()).sum();
            if self.memory.len() == MAX_IN_MEMORY || bytes + text.len() > MAX_BYTES_IN_MEMORY {
                return counters.dropped(Reason::DiskFull, 1);
            }
            self.memory.push_back((self.next, text.to_vec()));
        }
        self.next += 1;
    }

    /// The oldest alert that is not acknowledged.
    pub(super) fn oldest(&mut self, counters: &SinkCounters) -> Option<SpooledAlert> {
        while self.acknowledged < self.end_on_disk() {
            if let Some(entry) = self.oldest_on_disk(counters) {
                return Some(entry);
            }
            self.leave_segment(counters);
        }
        self.memory.front().map(|(number, text)| SpooledAlert { text: text.clone(), number: *number, next: None })
    }

    /// None where the rest of the segment holds no alert that is due.
    fn oldest_on_disk(&mut self, counters: &SinkCounters) -> Option<SpooledAlert> {
        let due = self.acknowledged..self.end_of(self.place.segment());
        let found = self.disk.find(self.place, |frame| due.contains(&frame.number)).inspect_err(|error| {
            tracing::error!("cannot read alerts in {}: {error}", self.disk.folder().display());
        });
        let frame = found.ok()??;
        if frame.number > self.acknowledged {
            counters.dropped(Reason::Damaged, frame.number - self.acknowledged);
            self.set_position(frame.number);
        }
        let next = Some(self.place.behind(&frame));
        Some(SpooledAlert { text: frame.text, number: frame.number, next })
    }

    pub(super) fn acknowledge(&mut self, entry: &SpooledAlert) {
        // It may have been dropped meanwhile, to make room.
        if entry.number < self.acknowledged {
            return;
        }
        self.set_position(entry.number + 1);
        match entry.next {
            Some(place) => self.place = place,
            None => self.memory.retain(|(number, _)| *number > entry.number),
        }
        if self.acknowledged >= self.next {
            self.remove_done();
        }
    }

    pub(super) fn waiting(&self) -> u64 {
        self.next.saturating_sub(self.acknowledged)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.disk.bytes()
    }

    /// So that the next alert begins a segment.
    #[cfg(test)]
    pub(super) fn end_segment(&mut self) {
        self.disk.end_segment();
    }

    /// Whether the disk took it.
    fn write(&mut self, text: &[u8]) -> bool {
        let was_empty = self.disk.segments().next().is_none();
        let written = self.disk.append(self.next, text);
        if was_empty {
            self.go_to_oldest();
        }
        match written {
            Ok(()) => {
                self.failing = false;
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    let folder = self.disk.folder().display();
                    tracing::error!("cannot write to {folder}: {error}; at most {MAX_IN_MEMORY} alerts wait in memory");
                }
                false
            }
        }
    }

    /// The number after the last alert on disk.
    fn end_on_disk(&self) -> u64 {
        if self.disk.segments().next().is_none() {
            return self.acknowledged;
        }
        self.memory.front().map_or(self.next, |(number, _)| *number)
    }

    /// The number after the last alert that a segment can hold.
    fn end_of(&self, segment: u64) -> u64 {
        self.disk.following(segment).unwrap_or_else(|| self.end_on_disk())
    }

    /// Whether there was one.
    fn drop_oldest(&mut self, counters: &SinkCounters) -> bool {
        let Some(oldest) = self.disk.segments().next() else { return false };
        let end = self.end_of(oldest);
        if end > self.acknowledged {
            counters.dropped(Reason::SpoolFull, end - self.acknowledged);
            self.set_position(end);
        }
        self.disk.remove(oldest);
        self.go_to_oldest();
        true
    }

    /// What is left of the segment cannot be read. Goes on with the next one.
    fn leave_segment(&mut self, counters: &SinkCounters) {
        let segment = self.place.segment();
        let end = self.end_of(segment);
        if end > self.acknowledged {
            counters.dropped(Reason::Damaged, end - self.acknowledged);
            self.set_position(end);
        }
        self.disk.remove(segment);
        self.go_to_oldest();
    }

    /// Everything is acknowledged: all but the segment that is written to can go.
    fn remove_done(&mut self) {
        let last = self.disk.segments().next_back();
        let done: Vec<u64> = self.disk.segments().filter(|s| Some(*s) != last).collect();
        done.into_iter().for_each(|segment| self.disk.remove(segment));
        if last != Some(self.place.segment()) {
            self.go_to_oldest();
        }
    }

    fn go_to_oldest(&mut self) {
        self.place = LogPosition::beginning(self.disk.segments().next().unwrap_or(self.next));
    }

    fn set_position(&mut self, number: u64) {
        self.acknowledged = number;
        let number = number.to_le_bytes();
        let sum = crc32fast::hash(&number).to_le_bytes();
        // In one call: a kill cannot come between.
        if let Err(error) = self.position.write_all_at(&[&number[..], &sum].concat(), 0) {
            tracing::error!("cannot write {}: {error}", self.disk.folder().join(POSITION).display());
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if self.waiting() == 0 {
            let all: Vec<u64> = self.disk.segments().collect();
            all.into_iter().for_each(|segment| self.disk.remove(segment));
        }
    }
}

fn read_position(file: &File) -> Option<u64> {
    let mut bytes = [0; 12];
    file.read_exact_at(&mut bytes, 0).ok()?;
    let (number, sum) = bytes.split_at(8);
    let sum: [u8; 4] = sum.try_into().ok()?;
    let number: [u8; 8] = number.try_into().ok()?;
    let is_whole = crc32fast::hash(&number) == u32::from_le_bytes(sum);
    Some(u64::from_le_bytes(number)).filter(|n| is_whole && *n <= MAX_NUMBER)
}
