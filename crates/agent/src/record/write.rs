//! Writes a recording, without ever holding up the engine.
//!
//! The [`Recorder`] is the engine's: it copies what the engine takes into chunks, and gives each to the [`Writer`]'s
//! thread. Where too many wait, a chunk is lost: counted, reported, and marked in the recording.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
};

use crossbeam_channel::{Sender, bounded};
use ethogram_engine::{
    Input,
    recording::{Account, Before, Chunk, Conditions, Encoder, Mark, frame::Framer},
};
use ethogram_model::TrackerSchema;
use ethogram_probe::TrackerStatus;
use parking_lot::Mutex;

use super::{
    disk::{Shared, Writer},
    header,
};
use crate::threads;

/// Chunks that may wait for the disk: of 256 KiB each, a few hundred thousand events.
const QUEUE: usize = 32;
/// Ticks after which a chunk is written, however little is in it: four are a second.
const TICKS: u32 = 4;

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

/// The engine's side of a recording.
pub(crate) struct Recorder {
    recording: Recording,
    encoder: Encoder,
    /// Ticks since the last chunk was handed over.
    ticks: u32,
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
        let mut header = serde_json::to_vec(&header()).map_err(|e| failed(e.into()))?;
        header.push(b'\n');
        file.write_all(&header).map_err(failed)?;
        let framer = Framer::new().map_err(failed)?;

        let shared = Arc::new(Shared { bytes: AtomicU64::new(header.len() as u64), ..Shared::default() });
        let (queue, chunks) = bounded(QUEUE);
        let writer = Writer::new(file, framer, Arc::clone(&shared));
        let thread = threads::spawn("record", move || writer.run(&chunks)).map_err(failed)?;
        let recording = Recording { queue, shared, writer: Arc::new(Mutex::new(Some(thread))) };
        let mut encoder = Encoder::default();
        // Nothing is held up yet: here the disk is waited for.
        let too_large = encoder.begin(conditions, trackers, before, |chunk| _ = recording.queue.send(chunk));
        for uid in too_large {
            tracing::warn!("the profile {uid} is too large to be recorded: a replay learns it anew");
        }
        Ok(Self { recording, encoder, ticks: 0 })
    }

    /// A handle on it.
    pub(crate) fn recording(&self) -> Recording {
        self.recording.clone()
    }

    /// Copies what the engine takes.
    pub(crate) fn record(&mut self, input: &Input) {
        let Self { recording, encoder, ticks } = self;
        encoder.encode(input, &mut |chunk| recording.hand_over(chunk));
        match input {
            Input::Tick(_) => {
                *ticks += 1;
                if *ticks >= TICKS {
                    *ticks = 0;
                    encoder.hand_over(&mut |chunk| recording.hand_over(chunk));
                }
            }
            Input::End(_) => {
                // The engine has ended: it may wait now, as long as the disk takes anything at all.
                recording.shared.is_ending.store(true, Relaxed);
                _ = recording.queue.send(encoder.take());
            }
            _ => {}
        }
        let (events, notes) = encoder.take_refused();
        recording.shared.events_lost.fetch_add(events, Relaxed);
        recording.shared.notes_lost.fetch_add(notes, Relaxed);
    }
}

impl Recording {
    /// Gives a chunk to the disk's thread, and gets it back where too many wait.
    fn hand_over(&self, chunk: Chunk) -> Result<(), Chunk> {
        self.queue.try_send(chunk).map_err(|refused| {
            let lost = refused.into_inner();
            self.shared.events_lost.fetch_add(lost.events, Relaxed);
            self.shared.notes_lost.fetch_add(lost.notes, Relaxed);
            lost
        })
    }

    /// Says where all events went up to now.
    pub(crate) fn account(&self, status: &[TrackerStatus]) {
        let mut chunk = Chunk::default();
        chunk.mark(&Mark::Account(status.iter().map(account).collect()));
        // Where it does not fit, the next one says the same.
        _ = self.queue.try_send(chunk);
    }

    /// Says the last word, and waits until all is written.
    pub(crate) fn finish(&self, status: &[TrackerStatus]) -> Totals {
        let mut chunk = Chunk::default();
        chunk.mark(&Mark::Account(status.iter().map(account).collect()));
        chunk.mark(&Mark::Closed);
        self.shared.is_ending.store(true, Relaxed);
        // An empty one is the last.
        _ = self.queue.send(chunk);
        _ = self.queue.send(Chunk::default());
        let writer = self.writer.lock().take();
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

/// Where a tracker's events went.
fn account(status: &TrackerStatus) -> Account {
    let counters = &status.counters;
    let mut dropped = BTreeMap::<String, BTreeMap<String, u64>>::new();
    for ((stage, reason), n) in &counters.dropped {
        dropped.entry(stage.clone()).or_default().insert(reason.clone(), *n);
    }
    Account {
        tracker: status.schema.name.to_string(),
        seen: counters.seen,
        delivered: counters.delivered,
        aggregated: counters.aggregated,
        filtered: counters.filtered.clone(),
        dropped,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ethogram_engine::recording::{Item, Recorded};
    use ethogram_model::Event;

    use super::*;

    #[test]
    fn only_its_owner_can_read_it_and_nothing_is_overwritten() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r");
        let create = || Recorder::create(&path, Conditions::default(), &[], &Before::default());
        drop(create().unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let error = create().err().unwrap().to_string();
        assert!(error.contains("is there already"), "{error}");
    }

    #[test]
    fn a_disk_that_is_too_slow_is_counted_and_marked_and_holds_up_nobody() {
        let (queue, chunks) = bounded(2);
        let shared = Arc::<Shared>::default();
        let recording = Recording { queue, shared, writer: Arc::default() };
        let mut recorder = Recorder { recording, encoder: Encoder::default(), ticks: 0 };
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
        let mut file = [&serde_json::to_vec(&header()).unwrap()[..], b"\n"].concat();
        let mut write = |chunk: Chunk| file.extend_from_slice(framer.frame(&chunk.bytes).unwrap());
        chunks.try_iter().for_each(&mut write);
        recorder.record(&Input::Events(vec![event()]));
        recorder.record(&Input::End(2));
        chunks.try_iter().for_each(&mut write);

        let mut recorded = Recorded::open(&*file).unwrap();
        let (mut read, mut gap) = (0, None);
        while let Ok(Some(item)) = recorded.next_item() {
            match item {
                Item::Input(Input::Events(batch)) => read += batch.len() as u64,
                Item::Mark(Mark::Gap { events, notes }) => gap = Some((events, notes)),
                _ => {}
            }
        }
        assert_eq!(read + lost, sent + 1, "all are there or counted");
        assert_eq!(gap.unwrap().0, lost, "and the gap says so");
    }
}
