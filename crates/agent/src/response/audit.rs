//! The records of all that was done: a file of JSON lines, and the newest of them in memory.
//!
//! A record that changes is written again; of lines with one id, the last counts. So the file also shows a later agent what
//! an earlier one left behind.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::record::ResponseRecord;

/// The file, in the store's folder.
const FILE: &str = "responses.jsonl";
/// What it is renamed to when it is full; what was there before is gone then.
const OLDER: &str = "responses.older.jsonl";
/// How long it gets.
const MAX_BYTES: u64 = 16 << 20;
/// The longest line that is read back.
const MAX_LINE: u64 = 1 << 16;

/// All records that are kept, and where they are written.
pub(super) struct Audit {
    folder: PathBuf,
    /// None before the first record, or where it cannot be opened.
    file: Option<File>,
    bytes: u64,
    records: VecDeque<ResponseRecord>,
    next_id: u64,
    totals: BTreeMap<(&'static str, &'static str), u64>,
}

impl Audit {
    /// Records kept in memory; those that go on stay beyond.
    pub(super) const MAX_RECORDS: usize = 1000;

    /// Opens the file in `folder`, and reads what it holds.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let mut audit = Self {
            folder: folder.to_owned(),
            file: None,
            bytes: 0,
            records: VecDeque::new(),
            next_id: 1,
            totals: BTreeMap::new(),
        };
        for name in [OLDER, FILE] {
            audit.read(&folder.join(name))?;
        }
        Ok(audit)
    }

    /// A number for the next record.
    pub(super) fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    /// Writes a record that is new, or has changed.
    pub(super) fn write(&mut self, record: &ResponseRecord) -> io::Result<()> {
        self.keep(record.clone());
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        if self.file.is_none() {
            self.reopen()?;
        }
        if self.bytes + line.len() as u64 > MAX_BYTES {
            self.rotate()?;
        }
        let file = self.file.as_mut().ok_or_else(|| io::Error::other("it could not be opened"))?;
        file.write_all(&line)?;
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// Counts what became of an action.
    pub(super) fn count(&mut self, action: &'static str, outcome: &'static str, times: u64) {
        *self.totals.entry((action, outcome)).or_default() += times;
    }

    pub(super) fn totals(&self) -> &BTreeMap<(&'static str, &'static str), u64> {
        &self.totals
    }

    /// The records, oldest first; of more than `limit`, the latest.
    pub(super) fn list(&self, limit: usize) -> Vec<ResponseRecord> {
        self.records.iter().skip(self.records.len().saturating_sub(limit)).cloned().collect()
    }

    pub(super) fn get(&self, id: u64) -> Option<&ResponseRecord> {
        self.records.iter().rev().find(|r| r.id == id)
    }

    /// Those that go on.
    pub(super) fn active(&self) -> Vec<ResponseRecord> {
        self.records.iter().filter(|r| r.is_active()).cloned().collect()
    }

    fn keep(&mut self, record: ResponseRecord) {
        self.next_id = self.next_id.max(record.id + 1);
        match self.records.iter_mut().rev().find(|r| r.id == record.id) {
            Some(known) => *known = record,
            None => self.records.push_back(record),
        }
        while self.records.len() > Self::MAX_RECORDS {
            match self.records.iter().position(|r| !r.is_active()) {
                Some(oldest) => _ = self.records.remove(oldest),
                None => break,
            }
        }
    }

    /// Takes in what an earlier agent wrote. A line that it did not finish is none.
    fn read(&mut self, path: &Path) -> io::Result<()> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut lines = BufReader::new(file.take(2 * MAX_BYTES));
        let mut line = Vec::new();
        while lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? > 0 {
            if let Ok(record) = serde_json::from_slice(&line) {
                self.keep(record);
            }
            line.clear();
        }
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        let path = self.folder.join(FILE);
        let file = OpenOptions::new().append(true).read(true).create(true).mode(0o600).open(path)?;
        self.bytes = file.metadata()?.len();
        let ends_well = self.bytes == 0 || {
            let mut last = [0];
            rustix::io::pread(&file, &mut last, self.bytes - 1)?;
            last == *b"\n"
        };
        self.file = Some(file);
        if !ends_well {
            self.file.as_mut().map_or(Ok(()), |file| file.write_all(b"\n"))?;
        }
        Ok(())
    }

    /// Begins a new file, with what goes on.
    fn rotate(&mut self) -> io::Result<()> {
        self.file = None;
        std::fs::rename(self.folder.join(FILE), self.folder.join(OLDER))?;
        self.reopen()?;
        let Some(file) = &mut self.file else { return Ok(()) };
        for record in self.records.iter().filter(|r| r.is_active()) {
            let line = format!("{}\n", serde_json::to_string(record)?);
            file.write_all(line.as_bytes())?;
            self.bytes += line.len() as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;
    use crate::{
        config::Act,
        response::record::{By, Outcome, Target, Undone},
    };

    pub(crate) fn record(id: u64, action: Act) -> ResponseRecord {
        ResponseRecord {
            id,
            time: "2026-01-31T12:00:00Z".into(),
            action,
            dry_run: false,
            outcome: Outcome::Done,
            reason: None,
            rule: "Reverse shell".into(),
            finding: Some("f1".into()),
            target: Target { container: Some("web".into()), ..Target::default() },
            by: By::User,
            latency_ns: 1_000_000,
            count: 1,
            until: None,
            undone: None,
        }
    }

    #[test]
    fn the_last_line_of_an_id_counts_and_half_a_line_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut audit = Audit::open(folder.path()).unwrap();
        assert_eq!(audit.next_id(), 1);
        audit.write(&record(1, Act::Freeze)).unwrap();
        audit.write(&record(2, Act::CutNetwork)).unwrap();
        audit.write(&record(3, Act::Kill)).unwrap();
        let undone = Some(Undone { time: "t".into(), why: "limit".into() });
        audit.write(&ResponseRecord { undone, ..record(1, Act::Freeze) }).unwrap();
        let mut file = OpenOptions::new().append(true).open(folder.path().join(FILE)).unwrap();
        file.write_all(br#"{"id":9,"ti"#).unwrap();

        let mut later = Audit::open(folder.path()).unwrap();
        assert_eq!(later.list(10), audit.list(10));
        assert_eq!(later.active().iter().map(|r| r.id).collect::<Vec<_>>(), [2]);
        assert_eq!(later.list(1)[0].id, 3);
        assert_eq!(later.next_id(), 4);
        later.write(&record(4, Act::Kill)).unwrap();
        assert_eq!(Audit::open(folder.path()).unwrap().get(4), Some(&record(4, Act::Kill)));
    }

    #[test]
    fn it_is_bounded_and_forgets_nothing_that_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut audit = Audit::open(folder.path()).unwrap();
        audit.write(&record(1, Act::Freeze)).unwrap();
        for id in 2..2000 {
            audit.write(&record(id, Act::Kill)).unwrap();
        }
        assert_eq!(audit.list(5000).len(), Audit::MAX_RECORDS);
        assert_eq!(audit.active()[0].id, 1);
        audit.bytes = MAX_BYTES;
        audit.write(&record(2000, Act::Kill)).unwrap();
        assert!(folder.path().join(OLDER).exists());
        std::fs::remove_file(folder.path().join(OLDER)).unwrap();
        let later = Audit::open(folder.path()).unwrap();
        assert_eq!(later.list(10).iter().map(|r| r.id).collect::<Vec<_>>(), [1, 2000]);
    }
}
