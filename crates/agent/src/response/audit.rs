//! The records of all that was done: a log on disk, and the newest of them in memory.
//!
//! A record that changes is written again; of entries with one id, the last counts. So the log also shows a later agent
//! what an earlier one left behind.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use super::record::ResponseRecord;
use crate::framed_log::{FramedLog, LogPosition};

/// The log's folder, in the store's.
const FOLDER: &str = "responses";
/// What earlier agents wrote instead: lines of JSON, the older file first.
const LINES: [&str; 2] = ["responses.older.jsonl", "responses.jsonl"];
/// How long the log gets.
const MAX_BYTES: u64 = 32 << 20;
/// The longest line that is read.
const MAX_LINE: u64 = 1 << 16;

/// All records that are kept, and where they are written.
pub(super) struct Audit {
    log: FramedLog,
    /// The number of the next entry of the log.
    next_entry: u64,
    records: VecDeque<ResponseRecord>,
    next_id: u64,
    totals: BTreeMap<(&'static str, &'static str), u64>,
}

impl Audit {
    /// Records kept in memory; those that go on stay beyond.
    pub(super) const MAX_RECORDS: usize = 1000;

    /// Opens the log below `folder`, and reads what it holds.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let log = FramedLog::open(&folder.join(FOLDER), MAX_BYTES)?;
        let (records, totals) = (VecDeque::new(), BTreeMap::new());
        let mut audit = Self { log, next_entry: 0, records, next_id: 1, totals };
        audit.read()?;
        for name in LINES {
            audit.take_over(&folder.join(name))?;
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
        self.append(&serde_json::to_vec(record)?)?;
        if self.log.bytes() > MAX_BYTES {
            self.make_room()?;
        }
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

    /// Reads what an earlier agent wrote.
    fn read(&mut self) -> io::Result<()> {
        let segments: Vec<u64> = self.log.segments().collect();
        for segment in segments {
            self.next_entry = self.next_entry.max(segment);
            for frame in self.log.frames(LogPosition::beginning(segment))? {
                self.next_entry = self.next_entry.max(frame.number + 1);
                if let Ok(record) = serde_json::from_slice(&frame.text) {
                    self.keep(record);
                }
            }
        }
        Ok(())
    }

    /// Moves lines of JSON into the log. A line that was not finished is none.
    fn take_over(&mut self, path: &Path) -> io::Result<()> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut lines = BufReader::new(file.take(MAX_BYTES));
        let mut line = Vec::new();
        while lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? > 0 {
            if let Ok(record) = serde_json::from_slice::<ResponseRecord>(&line) {
                self.write(&record)?;
            }
            line.clear();
        }
        fs::remove_file(path)
    }

    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        self.log.append(self.next_entry, text)?;
        self.next_entry += 1;
        Ok(())
    }

    /// Drops the oldest segments, once what goes on is written again: they may have it alone.
    fn make_room(&mut self) -> io::Result<()> {
        for record in self.active() {
            self.append(&serde_json::to_vec(&record)?)?;
        }
        let segments: Vec<u64> = self.log.segments().collect();
        // The last one stays: it has what goes on.
        for oldest in segments.into_iter().rev().skip(1).rev() {
            if self.log.bytes() > MAX_BYTES {
                self.log.remove(oldest);
            }
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

    fn ids(records: &[ResponseRecord]) -> Vec<u64> {
        records.iter().map(|r| r.id).collect()
    }

    fn undone(record: ResponseRecord) -> ResponseRecord {
        ResponseRecord { undone: Some(Undone { time: "t".into(), why: "limit".into() }), ..record }
    }

    #[test]
    fn the_last_entry_of_an_id_counts_and_a_torn_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut audit = Audit::open(folder.path()).unwrap();
        assert_eq!(audit.next_id(), 1);
        audit.write(&record(1, Act::Freeze)).unwrap();
        audit.write(&record(2, Act::CutNetwork)).unwrap();
        audit.write(&record(3, Act::Kill)).unwrap();
        audit.write(&undone(record(1, Act::Freeze))).unwrap();
        let before = audit.list(10);
        audit.write(&record(9, Act::Kill)).unwrap();
        let segment = folder.path().join(FOLDER).join("00000000000000000000.segment");
        let bytes = fs::read(&segment).unwrap();
        fs::write(&segment, &bytes[..bytes.len() - 7]).unwrap();

        let mut later = Audit::open(folder.path()).unwrap();
        assert_eq!(later.list(10), before);
        assert_eq!(ids(&later.active()), [2]);
        assert_eq!(later.list(1)[0].id, 3);
        assert_eq!(later.next_id(), 4);
        later.write(&record(4, Act::Kill)).unwrap();
        let last = Audit::open(folder.path()).unwrap();
        assert_eq!(ids(&last.list(10)), [1, 2, 3, 4], "the torn one hides none that comes behind it");
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
        let reason = Some("x".repeat(1 << 20));
        for id in 2000..2040 {
            audit.write(&ResponseRecord { reason: reason.clone(), ..record(id, Act::Kill) }).unwrap();
            assert!(audit.log.bytes() <= MAX_BYTES);
        }
        let later = Audit::open(folder.path()).unwrap();
        assert_eq!(ids(&later.active()), [1]);
        assert_eq!(later.list(1)[0].id, 2039);
        assert!(later.get(1999).is_none() && later.get(2020).is_some(), "the oldest go first");
    }

    #[test]
    fn lines_of_an_earlier_version_are_taken_over_once() {
        let folder = tempfile::tempdir().unwrap();
        let line = |record: &ResponseRecord| format!("{}\n", serde_json::to_string(record).unwrap());
        let (one, two, three) = (record(1, Act::Freeze), record(2, Act::CutNetwork), record(3, Act::Kill));
        fs::write(folder.path().join(LINES[0]), line(&one) + &line(&two)).unwrap();
        let torn = r#"{"id":9,"ti"#;
        fs::write(folder.path().join(LINES[1]), line(&undone(one.clone())) + &line(&three) + torn).unwrap();
        for _ in 0..2 {
            let audit = Audit::open(folder.path()).unwrap();
            assert_eq!(audit.list(10), [undone(one.clone()), two.clone(), three.clone()]);
            assert_eq!(audit.next_entry, 4);
            assert!(LINES.iter().all(|name| !folder.path().join(name).exists()));
        }
    }
}
