//! The segments of a spool, and where in them the receiver is.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{
    SpooledAlert,
    frame::{self, MAX_NUMBER, MAX_TEXT},
};
use crate::sink::counters::{Reason, SinkCounters};

/// Parts that a spool's room is divided into: when it is full, the oldest part goes.
const PARTS: u64 = 8;
/// Alerts that wait in memory while the disk takes none, and their bytes.
const MAX_IN_MEMORY: usize = 1024;
const MAX_BYTES_IN_MEMORY: usize = 8 << 20;
/// Bytes that are looked at first.
const FIRST_WINDOW: usize = 1 << 16;
/// What the names of segments end in.
pub(super) const EXTENSION: &str = "segment";
const POSITION: &str = "position";

/// Where something lies on disk: the number that its segment is named by, and the byte in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogPosition {
    segment: u64,
    offset: u64,
}

/// All segments of a spool.
pub(super) struct Log {
    folder: PathBuf,
    max_bytes: u64,
    /// Their sizes, by the number of their first alert.
    segments: BTreeMap<u64, u64>,
    /// The last one, if it can be appended to.
    active: Option<File>,
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
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut segments = BTreeMap::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let number = Path::new(&name).file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            if let Some(number) = number.filter(|n| *n <= MAX_NUMBER && name == *file_name(*n)) {
                segments.insert(number, entry.metadata()?.len());
            }
        }
        let path = folder.join(POSITION);
        let position =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        let first = segments.keys().next().copied();
        let acknowledged = read_position(&position).unwrap_or_else(|| {
            if first.is_some() {
                tracing::warn!("{} is damaged: all alerts that are left beside it are sent again", path.display());
            }
            first.unwrap_or_default()
        });
        let mut log = Self {
            folder: folder.to_owned(),
            max_bytes,
            segments,
            active: None,
            place: LogPosition { segment: 0, offset: 0 },
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
        if let Some(last) = self.segments.keys().next_back().copied() {
            let bytes = self.read(LogPosition { segment: last, offset: 0 }, usize::MAX)?;
            let next = frame::all(&bytes).map(|frame| frame.number + 1).max().unwrap_or(last);
            self.next = self.next.max(next);
        }
        // A segment is done with where the next one begins at or before the position.
        let begins: Vec<u64> = self.segments.keys().copied().chain([self.next]).collect();
        for pair in begins.windows(2) {
            if let [segment, following] = *pair
                && following <= self.acknowledged
            {
                self.remove(segment);
            }
        }
        self.go_to_oldest();
        if self.place.segment < self.acknowledged && !self.segments.is_empty() {
            let bytes = self.read(self.place, usize::MAX)?;
            let done = frame::all(&bytes).take_while(|frame| frame.number < self.acknowledged);
            self.place.offset = done.last().map_or(0, |frame| frame.end as u64);
        }
        Ok(())
    }

    pub(super) fn append(&mut self, text: &[u8], counters: &SinkCounters) {
        let bytes = frame::encode(self.next, text);
        let size = bytes.len() as u64;
        if text.len() > MAX_TEXT || size > self.max_bytes {
            return counters.dropped(Reason::TooLong, 1);
        }
        while self.bytes() + size > self.max_bytes && !self.segments.is_empty() {
            self.drop_oldest(counters);
        }
        // What comes behind an alert that waits in memory waits there, too.
        let written = self.memory.is_empty() && self.write(&bytes);
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
        let due = self.acknowledged..self.end_of(self.place.segment);
        // What is looked at is more only where it does not hold a whole alert.
        let mut window = FIRST_WINDOW;
        loop {
            let bytes = self.read(self.place, window).inspect_err(|error| {
                tracing::error!("cannot read alerts in {}: {error}", self.folder.display());
            });
            let bytes = bytes.ok()?;
            if let Some(frame) = frame::all(&bytes).find(|frame| due.contains(&frame.number)) {
                if frame.number > self.acknowledged {
                    counters.dropped(Reason::Damaged, frame.number - self.acknowledged);
                    self.set_position(frame.number);
                }
                let next = LogPosition { segment: self.place.segment, offset: self.place.offset + frame.end as u64 };
                return Some(SpooledAlert { text: frame.text, number: frame.number, next: Some(next) });
            }
            if bytes.len() < window {
                return None;
            }
            window = window.saturating_mul(8);
        }
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
        self.segments.values().sum()
    }

    /// So that the next alert begins a segment.
    #[cfg(test)]
    pub(super) fn forget_active(&mut self) {
        self.active = None;
    }

    /// Whether the disk took it.
    fn write(&mut self, bytes: &[u8]) -> bool {
        match self.write_to_last(bytes) {
            Ok(()) => {
                self.failing = false;
                true
            }
            Err(error) => {
                // Part of it may have been written: the next one begins a segment of its own.
                self.active = None;
                if !std::mem::replace(&mut self.failing, true) {
                    let folder = self.folder.display();
                    tracing::error!("cannot write to {folder}: {error}; at most {MAX_IN_MEMORY} alerts wait in memory");
                }
                false
            }
        }
    }

    /// Appends to the last segment, or begins one.
    fn write_to_last(&mut self, bytes: &[u8]) -> io::Result<()> {
        let is_full = |(_, size): (&u64, &u64)| *size >= self.max_bytes / PARTS;
        if self.active.is_none() || self.segments.last_key_value().is_none_or(is_full) {
            let path = self.path(self.next);
            self.active = Some(OpenOptions::new().append(true).create(true).mode(0o600).open(path)?);
            self.segments.entry(self.next).or_insert(0);
            if self.segments.len() == 1 {
                self.go_to_oldest();
            }
        }
        if let (Some(file), Some(mut last)) = (&mut self.active, self.segments.last_entry()) {
            file.write_all(bytes)?;
            *last.get_mut() += bytes.len() as u64;
        }
        Ok(())
    }

    /// The number after the last alert on disk.
    fn end_on_disk(&self) -> u64 {
        if self.segments.is_empty() {
            return self.acknowledged;
        }
        self.memory.front().map_or(self.next, |(number, _)| *number)
    }

    /// The number after the last alert that a segment can hold.
    fn end_of(&self, segment: u64) -> u64 {
        let following = self.segments.range(segment + 1..).next();
        following.map_or_else(|| self.end_on_disk(), |(number, _)| *number)
    }

    fn drop_oldest(&mut self, counters: &SinkCounters) {
        let Some(oldest) = self.segments.keys().next().copied() else { return };
        let end = self.end_of(oldest);
        if end > self.acknowledged {
            counters.dropped(Reason::SpoolFull, end - self.acknowledged);
            self.set_position(end);
        }
        self.remove(oldest);
        self.go_to_oldest();
    }

    /// What is left of the segment cannot be read. Goes on with the next one.
    fn leave_segment(&mut self, counters: &SinkCounters) {
        let end = self.end_of(self.place.segment);
        if end > self.acknowledged {
            counters.dropped(Reason::Damaged, end - self.acknowledged);
            self.set_position(end);
        }
        self.remove(self.place.segment);
        self.go_to_oldest();
    }

    /// Everything is acknowledged: all but the segment that is written to can go.
    fn remove_done(&mut self) {
        let last = self.segments.keys().next_back().copied();
        let done: Vec<u64> = self.segments.keys().copied().filter(|s| Some(*s) != last).collect();
        done.into_iter().for_each(|segment| self.remove(segment));
        if !self.segments.contains_key(&self.place.segment) {
            self.go_to_oldest();
        }
    }

    fn go_to_oldest(&mut self) {
        let segment = self.segments.keys().next().copied().unwrap_or(self.next);
        self.place = LogPosition { segment, offset: 0 };
    }

    fn remove(&mut self, segment: u64) {
        if self.segments.keys().next_back() == Some(&segment) {
            self.active = None;
        }
        self.segments.remove(&segment);
        // One that stays is found again at the next start.
        let _ = fs::remove_file(self.path(segment));
    }

    fn set_position(&mut self, number: u64) {
        self.acknowledged = number;
        let number = number.to_le_bytes();
        let sum = crc32fast::hash(&number).to_le_bytes();
        // In one call: a kill cannot come between.
        if let Err(error) = self.position.write_all_at(&[&number[..], &sum].concat(), 0) {
            tracing::error!("cannot write {}: {error}", self.folder.join(POSITION).display());
        }
    }

    fn path(&self, segment: u64) -> PathBuf {
        self.folder.join(file_name(segment))
    }

    /// A segment's bytes from there on. None is longer than a spool, but files are never trusted.
    fn read(&self, from: LogPosition, most: usize) -> io::Result<Vec<u8>> {
        let most = self.max_bytes.saturating_add(MAX_TEXT as u64).min(most as u64);
        let mut file = File::open(self.path(from.segment))?;
        file.seek(SeekFrom::Start(from.offset))?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if self.waiting() == 0 {
            let all: Vec<u64> = self.segments.keys().copied().collect();
            all.into_iter().for_each(|segment| self.remove(segment));
        }
    }
}

fn file_name(segment: u64) -> String {
    format!("{segment:020}.{EXTENSION}")
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
