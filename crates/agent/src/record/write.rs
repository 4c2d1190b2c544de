//! Writes a recording, without ever holding up the engine.
//!
//! The [`Recorder`] is the engine's: it copies what the engine takes into chunks, and gives each to the [`Writer`]'s
//! thread. Where too many wait, a chunk is lost: counted, told, and marked in the recording.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Sender, TrySendError, bounded};
use ethogram_detect::{Acceptance, Decision, rules::File};
use ethogram_model::{Event, EventSchema, Finding, TrackerSchema};
use ethogram_probe::TrackerStatus;
use rustc_hash::FxHashMap;

use super::{
    Header,
    disk::{Chunk, Shared, Writer},
    entry::{self, Account, Conditions, Note},
    frame::{FULL, Framer},
};
use crate::pipeline::Input;

/// Chunks that may wait for the disk: of 256 KiB each, a few hundred thousand events.
const QUEUE: usize = 32;
/// Ticks after which a chunk is written, however little is in it: four are a second.
const TICKS: u32 = 4;
/// Cgroups and processes in one note.
const SOME: usize = 256;
/// Schemas that are told apart; beyond, all are told anew.
const MAX_SCHEMAS: usize = 4096;

/// Why a recording cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    /// There is such a file.
    #[error("{} is there already, and a recording overwrites nothing: remove it, or choose another name", .0.display())]
    Exists(PathBuf),
    /// The system does not let us.
    #[error("cannot record to {}: {source}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What was recorded, and what was not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Events.
    pub(crate) events: u64,
    /// Events that could not be written.
    pub(crate) events_lost: u64,
    /// What else the engine took and could not be written.
    pub(crate) notes_lost: u64,
    /// Bytes of the file.
    pub(crate) bytes: u64,
}

/// What the engine's result depends on from before the first event.
#[derive(Debug, Default)]
pub(crate) struct Before<'a> {
    /// The profiles learnt before, as JSON, by their workload.
    pub(crate) profiles: Option<&'a BTreeMap<String, String>>,
    /// The rule files in force.
    pub(crate) rules: &'a [File],
    /// What was accepted.
    pub(crate) accepted: &'a [Acceptance],
    /// What rules had found: uids of findings, and how often.
    pub(crate) stories: &'a [(String, u64)],
    /// Alerts that had been told before.
    pub(crate) alerts: &'a [Finding],
}

/// The engine's side of a recording.
pub(crate) struct Recorder {
    recording: Recording,
    chunk: Chunk,
    /// Ticks since the last chunk was handed over.
    ticks: u32,
    /// The schemas told so far, by address. They are held, so that no other gets the address of one.
    schemas: FxHashMap<usize, (u16, Arc<EventSchema>)>,
    /// What was lost since something was written.
    gap: (u64, u64),
}

/// A handle on a recording.
#[derive(Clone)]
pub(crate) struct Recording {
    queue: Sender<Chunk>,
    shared: Arc<Shared>,
    writer: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Recorder {
    /// Begins a recording in a new file that only its owner can read.
    ///
    /// # Errors
    /// Where the file is there already, or cannot be made.
    pub(crate) fn create(
        path: &Path,
        conditions: Conditions,
        trackers: &[Arc<TrackerSchema>],
        before: &Before<'_>,
    ) -> Result<Self, CreateError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => CreateError::Exists(path.to_owned()),
            _ => CreateError::Create { path: path.to_owned(), source },
        };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        let mut header = serde_json::to_vec(&Header::now()).map_err(|e| failed(e.into()))?;
        header.push(b'\n');
        file.write_all(&header).map_err(failed)?;
        let framer = Framer::new().map_err(failed)?;

        let shared = Arc::new(Shared { bytes: AtomicU64::new(header.len() as u64), ..Shared::default() });
        let (queue, chunks) = bounded(QUEUE);
        let writer = Writer::new(file, framer, Arc::clone(&shared));
        let thread = thread::Builder::new().name("record".into()).spawn(move || writer.run(&chunks)).map_err(failed)?;
        let recording = Recording { queue, shared, writer: Arc::new(Mutex::new(Some(thread))) };
        let mut recorder =
            Self { recording, chunk: Chunk::default(), ticks: 0, schemas: FxHashMap::default(), gap: (0, 0) };
        recorder.begin(conditions, trackers, before);
        Ok(recorder)
    }

    /// What must be known before the first input. Nobody is held up yet: here the disk is waited for.
    fn begin(&mut self, conditions: Conditions, trackers: &[Arc<TrackerSchema>], before: &Before<'_>) {
        self.chunk.note(&Note::Conditions(conditions));
        for tracker in trackers {
            self.tell(TrackerSchema::clone(tracker));
        }
        self.tell_rules(before.rules);
        self.chunk.note(&Note::Stories(before.stories.to_vec()));
        for alert in before.alerts {
            self.chunk.note(&Note::Alert(Box::new(Finding { evidence: Vec::new(), ..alert.clone() })));
        }
        for acceptance in before.accepted {
            self.chunk.note(&Note::Accept(acceptance.clone()));
        }
        for (uid, profile) in before.profiles.into_iter().flatten() {
            if !self.chunk.note(&Note::Profile { uid: uid.clone(), profile: profile.clone() }) {
                tracing::warn!("the profile {uid} is too large to be recorded: a replay learns it anew");
            }
            if self.chunk.bytes.len() >= FULL {
                _ = self.recording.queue.send(std::mem::take(&mut self.chunk));
            }
        }
        // An empty one would be the last.
        if !self.chunk.bytes.is_empty() {
            _ = self.recording.queue.send(std::mem::take(&mut self.chunk));
        }
    }

    /// A handle on it.
    pub(crate) fn recording(&self) -> Recording {
        self.recording.clone()
    }

    /// Copies what the engine takes.
    pub(crate) fn record(&mut self, input: &Input) {
        match input {
            Input::Events(batch) => batch.iter().for_each(|event| self.event(event)),
            Input::Resolution(resolution) => self.note(&Note::Resolution(resolution.clone())),
            Input::Walk { walk, started_ns, now_ns } => {
                for some in walk.cgroups.chunks(SOME) {
                    self.note(&Note::Cgroups(some.to_vec()));
                }
                self.note(&Note::Walk { cut: walk.cut, started_ns: *started_ns, now_ns: *now_ns });
            }
            Input::Processes(found) => {
                for some in found.chunks(SOME) {
                    self.note(&Note::Processes(some.to_vec()));
                }
            }
            Input::Decision(Decision::Rules(_, files)) => {
                self.tell_rules(files);
                self.hand_over_full();
            }
            Input::Decision(Decision::Accept(acceptance)) => self.note(&Note::Accept(acceptance.clone())),
            Input::Decision(Decision::Revoke(id)) => self.note(&Note::Revoke(id.clone())),
            Input::Decision(Decision::ApproveProfile(uid)) => self.note(&Note::ApproveProfile(uid.clone())),
            Input::Decision(Decision::ResetProfile(uid)) => self.note(&Note::ResetProfile(uid.clone())),
            Input::Decision(Decision::ImportProfile(profile)) => self.note(&Note::ImportProfile(profile.clone())),
            Input::Users(users) => self.note(&Note::Users(Arc::clone(users))),
            Input::Habits(counts) => {
                for some in counts.chunks(SOME) {
                    self.note(&Note::Habits(some.to_vec()));
                }
            }
            Input::Lost => self.note(&Note::Lost),
            Input::Tick(now_ns) => {
                self.note(&Note::Tick(*now_ns));
                self.ticks += 1;
                if self.ticks >= TICKS {
                    self.hand_over();
                }
            }
            Input::End(now_ns) => {
                self.note(&Note::End(*now_ns));
                // The engine has ended: it may wait now, as long as the disk takes anything at all.
                self.recording.shared.is_ending.store(true, Relaxed);
                let last = std::mem::take(&mut self.chunk);
                _ = self.recording.queue.send(last);
            }
        }
    }

    /// Says which rules are in force.
    fn tell_rules(&mut self, files: &[File]) {
        for File { name, text } in files {
            if !self.chunk.note(&Note::RuleFile { name: name.to_string(), text: text.to_string() }) {
                self.recording.shared.notes_lost.fetch_add(1, Relaxed);
            }
        }
        self.chunk.note(&Note::Rules);
    }

    fn event(&mut self, event: &Event) {
        let schema = self.schema(&event.schema);
        if schema.is_some_and(|schema| entry::put_event(&mut self.chunk.bytes, schema, event)) {
            self.chunk.events += 1;
        } else {
            self.recording.shared.events_lost.fetch_add(1, Relaxed);
        }
        self.hand_over_full();
    }

    fn note(&mut self, note: &Note) {
        if !self.chunk.note(note) {
            self.recording.shared.notes_lost.fetch_add(1, Relaxed);
        }
        self.hand_over_full();
    }

    /// The number of a schema, which is told now if it was not yet. None where it is too large to be told.
    fn schema(&mut self, schema: &Arc<EventSchema>) -> Option<u16> {
        let address = Arc::as_ptr(schema) as usize;
        if let Some((number, _)) = self.schemas.get(&address) {
            return Some(*number);
        }
        if self.schemas.len() >= MAX_SCHEMAS {
            self.forget();
        }
        self.tell(TrackerSchema {
            name: Arc::clone(&schema.tracker),
            summary: String::new(),
            default: false,
            role: None,
            events: vec![Arc::clone(schema)],
            params: Vec::new(),
        });
        self.schemas.get(&address).map(|(number, _)| *number)
    }

    /// Tells a tracker's schemas, and numbers them.
    fn tell(&mut self, tracker: TrackerSchema) {
        let events = tracker.events.clone();
        if !self.chunk.note(&Note::Tracker(Cow::Owned(tracker))) {
            self.recording.shared.notes_lost.fetch_add(1, Relaxed);
            return;
        }
        for event in events {
            let number = self.schemas.len() as u16;
            self.schemas.insert(Arc::as_ptr(&event) as usize, (number, event));
        }
    }

    fn forget(&mut self) {
        self.schemas.clear();
        self.chunk.note(&Note::Forget);
    }

    fn hand_over_full(&mut self) {
        if self.chunk.bytes.len() >= FULL {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        self.ticks = 0;
        let chunk =
            std::mem::replace(&mut self.chunk, Chunk { bytes: Vec::with_capacity(FULL + 4096), ..Chunk::default() });
        match self.recording.queue.try_send(chunk) {
            Ok(()) => self.gap = (0, 0),
            Err(TrySendError::Full(lost) | TrySendError::Disconnected(lost)) => {
                self.recording.shared.events_lost.fetch_add(lost.events, Relaxed);
                self.recording.shared.notes_lost.fetch_add(lost.notes, Relaxed);
                self.gap = (self.gap.0 + lost.events, self.gap.1 + lost.notes);
                self.chunk.note(&Note::Gap { events: self.gap.0, notes: self.gap.1 });
                // It may have told schemas.
                self.forget();
            }
        }
    }
}

impl Recording {
    /// Says where all events went up to now.
    pub(crate) fn account(&self, status: &[TrackerStatus]) {
        let mut chunk = Chunk::default();
        chunk.note(&Note::Account(status.iter().map(Account::of).collect()));
        // Where it does not fit, the next one says the same.
        _ = self.queue.try_send(chunk);
    }

    /// Says the last word, and waits until all is written.
    pub(crate) fn finish(&self, status: &[TrackerStatus]) -> Totals {
        let mut chunk = Chunk::default();
        chunk.note(&Note::Account(status.iter().map(Account::of).collect()));
        chunk.note(&Note::Closed);
        self.shared.is_ending.store(true, Relaxed);
        // An empty one is the last.
        _ = self.queue.send(chunk);
        _ = self.queue.send(Chunk::default());
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if writer.is_some_and(|w| w.join().is_err()) {
            tracing::error!("the recording's thread failed");
        }
        self.totals()
    }

    /// What was recorded so far.
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            events: self.shared.events.load(Relaxed),
            events_lost: self.shared.events_lost.load(Relaxed),
            notes_lost: self.shared.notes_lost.load(Relaxed),
            bytes: self.shared.bytes.load(Relaxed),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::record::read::{Item, Recorded};

    #[test]
    fn a_disk_that_is_too_slow_is_counted_and_marked_and_holds_up_nobody() {
        let (queue, chunks) = bounded(2);
        let shared = Arc::<Shared>::default();
        let recording = Recording { queue, shared, writer: Arc::default() };
        let mut recorder =
            Recorder { recording, chunk: Chunk::default(), ticks: 0, schemas: FxHashMap::default(), gap: (0, 0) };
        let trackers = ethogram_probe::builtin().unwrap();
        let schema = &trackers[0].schema.events[0];
        let event = || Event {
            schema: Arc::clone(schema),
            time_ns: 1,
            record: vec![7; 60_000].into(),
            context: Default::default(),
        };
        let sent = 50;
        recorder.record(&Input::Events((0..sent).map(|_| event()).collect()));
        assert_eq!(chunks.len(), 2);
        let lost = recorder.recording.totals().events_lost;
        assert!(lost > 20, "{lost}");
        // There is room again.
        let mut framer = Framer::new().unwrap();
        let mut file = [&serde_json::to_vec(&Header::now()).unwrap()[..], b"\n"].concat();
        let mut write = |chunk: Chunk| file.extend_from_slice(framer.frame(&chunk.bytes).unwrap());
        chunks.try_iter().for_each(&mut write);
        recorder.record(&Input::Events(vec![event()]));
        recorder.record(&Input::End(2));
        chunks.try_iter().for_each(&mut write);

        let mut recorded = Recorded::open(&*file).unwrap();
        let (mut read, mut gap) = (0, None);
        while let Ok(Some(item)) = recorded.next() {
            match item {
                Item::Input(Input::Events(batch)) => read += batch.len() as u64,
                Item::Gap { events, notes } => gap = Some((events, notes)),
                _ => {}
            }
        }
        assert_eq!(read + lost, sent + 1, "all are there or counted");
        assert_eq!(gap.unwrap().0, lost, "and the gap says so");
    }
}
