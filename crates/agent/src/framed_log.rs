//! A log on disk that survives a kill: numbered entries in a folder of segments, bounded in bytes.
//!
//! A segment is a file of [`Frame`]s, named by the number of its first. Entries are appended to the last one, and when it
//! is full, another begins; the oldest go as a whole. What is damaged, or was being written when the agent was killed, is
//! skipped. Nothing is synchronised: what the kernel has taken survives the end of the agent, and only a machine that
//! fails may lose the last seconds.

mod frame;

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use self::frame::MAX_TEXT;
pub(crate) use self::frame::{Frame, MAX_NUMBER};

/// Segments that a full log has.
const PARTS: u64 = 8;
/// Bytes that are searched for a frame first.
const FIRST_WINDOW: usize = 1 << 16;
/// What the names of segments end in.
const EXTENSION: &str = "segment";

/// Where something lies on disk: the number that its segment is named by, and the byte in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogPosition {
    segment: u64,
    offset: u64,
}

impl LogPosition {
    /// The beginning of a segment.
    pub(crate) fn beginning(segment: u64) -> Self {
        Self { segment, offset: 0 }
    }

    pub(crate) fn segment(self) -> u64 {
        self.segment
    }

    /// Behind a frame that was found from here on.
    pub(crate) fn behind(self, frame: &Frame) -> Self {
        Self { offset: self.offset + frame.end as u64, ..self }
    }
}

/// All segments of a folder.
pub(crate) struct FramedLog {
    folder: PathBuf,
    max_bytes: u64,
    /// Their sizes, by the number of their first entry.
    segments: BTreeMap<u64, u64>,
    /// The last one, once something was appended to it.
    active: Option<File>,
    /// Whether the last one must not be appended to, as writing to it failed.
    ended: bool,
}

impl FramedLog {
    /// Opens the folder, and makes it if it is not there. Its user keeps the log below `max_bytes`.
    ///
    /// # Errors
    /// Where the folder cannot be made or read.
    pub(crate) fn open(folder: &Path, max_bytes: u64) -> io::Result<Self> {
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
        Ok(Self { folder: folder.to_owned(), max_bytes, segments, active: None, ended: false })
    }

    /// Whether a folder has a log with segments.
    pub(crate) fn is_in(folder: &Path) -> bool {
        let mut files = fs::read_dir(folder).into_iter().flatten().flatten();
        files.any(|file| file.path().extension().is_some_and(|e| e == EXTENSION))
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Bytes on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.values().sum()
    }

    /// The numbers that segments are named by, oldest first.
    pub(crate) fn segments(&self) -> impl DoubleEndedIterator<Item = u64> {
        self.segments.keys().copied()
    }

    /// The segment after this one.
    pub(crate) fn following(&self, segment: u64) -> Option<u64> {
        self.segments.range(segment + 1..).next().map(|(number, _)| *number)
    }

    /// Whether the log could ever hold an entry of that length.
    pub(crate) fn can_hold(&self, text: &[u8]) -> bool {
        text.len() <= MAX_TEXT && frame::size(text) <= self.max_bytes
    }

    /// Whether the log is within its bound with one more entry.
    pub(crate) fn has_room(&self, text: &[u8]) -> bool {
        self.bytes() + frame::size(text) <= self.max_bytes
    }

    /// Appends an entry. Numbers count on.
    ///
    /// # Errors
    /// Where the disk does not take it.
    pub(crate) fn append(&mut self, number: u64, text: &[u8]) -> io::Result<()> {
        let written = self.append_frame(number, &frame::encode(number, text));
        if written.is_err() {
            // Part of it may have been written: the next one begins a segment of its own.
            self.end_segment();
        }
        written
    }

    fn append_frame(&mut self, number: u64, bytes: &[u8]) -> io::Result<()> {
        let is_full = |(_, size): (&u64, &u64)| *size >= self.max_bytes / PARTS;
        if self.ended || self.segments.last_key_value().is_none_or(is_full) {
            self.active = Some(open_to_append(&self.folder.join(file_name(number)))?);
            self.segments.entry(number).or_insert(0);
            self.ended = false;
        }
        let Some(mut last) = self.segments.last_entry() else { return Ok(()) };
        let path = self.folder.join(file_name(*last.key()));
        let file = match &mut self.active {
            Some(file) => file,
            none => none.insert(open_to_append(&path)?),
        };
        file.write_all(bytes)?;
        *last.get_mut() += bytes.len() as u64;
        Ok(())
    }

    /// Has the next entry begin a segment.
    pub(crate) fn end_segment(&mut self) {
        (self.active, self.ended) = (None, true);
    }

    /// All whole frames of a segment.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(crate) fn frames(&self, from: LogPosition) -> io::Result<impl Iterator<Item = Frame> + use<>> {
        let bytes = self.read(from, usize::MAX)?;
        Ok(frame::all(bytes))
    }

    /// The first frame of a segment, from there on, that is one of these.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(crate) fn find(&self, from: LogPosition, is_it: impl Fn(&Frame) -> bool) -> io::Result<Option<Frame>> {
        // More is read only where that does not hold such a frame as a whole.
        let mut window = FIRST_WINDOW;
        loop {
            let bytes = self.read(from, window)?;
            let is_all = bytes.len() < window;
            let found = frame::all(bytes).find(&is_it);
            if found.is_some() || is_all {
                return Ok(found);
            }
            window = window.saturating_mul(8);
        }
    }

    /// Removes a segment. A file that stays is found again when the log is opened next.
    pub(crate) fn remove(&mut self, segment: u64) {
        if self.segments.keys().next_back() == Some(&segment) {
            self.active = None;
        }
        self.segments.remove(&segment);
        _ = fs::remove_file(self.folder.join(file_name(segment)));
    }

    /// A segment's bytes from there on. None is longer than a log, but files are never trusted.
    fn read(&self, from: LogPosition, most: usize) -> io::Result<Vec<u8>> {
        let most = self.max_bytes.saturating_add(MAX_TEXT as u64).min(most as u64);
        let mut file = File::open(self.folder.join(file_name(from.segment)))?;
        file.seek(SeekFrom::Start(from.offset))?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

fn open_to_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn file_name(segment: u64) -> String {
    format!("{segment:020}.{EXTENSION}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
