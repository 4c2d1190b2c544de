//! The thread that compresses what was recorded, and writes it.

use std::{
    fs::File,
    io::{self, Seek, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::Receiver;
use ethogram_engine::recording::{Chunk, frame::Framer};

/// Before a write that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// Between two complaints.
const COMPLAINT: Duration = Duration::from_secs(10);

/// What both sides count.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) events: AtomicU64,
    pub(super) events_lost: AtomicU64,
    pub(super) notes_lost: AtomicU64,
    pub(super) bytes: AtomicU64,
    /// The last chunk is on its way: what cannot be written now is given up.
    pub(super) is_ending: AtomicBool,
}

/// The thread that compresses and writes.
pub(super) struct Writer {
    file: File,
    framer: Framer,
    shared: Arc<Shared>,
    /// Something could not be written at the end: nothing may follow it.
    has_given_up: bool,
    /// How many lost events were complained about, and when.
    warned: (u64, Instant),
}

impl Writer {
    pub(super) fn new(file: File, framer: Framer, shared: Arc<Shared>) -> Self {
        Self { file, framer, shared, has_given_up: false, warned: (0, Instant::now()) }
    }

    /// Writes all chunks up to an empty one.
    pub(super) fn run(mut self, chunks: &Receiver<Chunk>) {
        for chunk in chunks {
            if chunk.bytes.is_empty() {
                break;
            }
            if self.write(&chunk.bytes) {
                self.shared.events.fetch_add(chunk.events, Relaxed);
            } else {
                self.shared.events_lost.fetch_add(chunk.events, Relaxed);
                self.shared.notes_lost.fetch_add(chunk.notes, Relaxed);
            }
            self.complain();
        }
        if let Err(error) = self.file.sync_data() {
            tracing::error!("the recording may not be on the disk: {error}");
        }
    }

    /// Writes one frame, whole or not at all. Where there is no room it waits for some, and the queue fills meanwhile;
    /// at the end it gives up.
    fn write(&mut self, raw: &[u8]) -> bool {
        let Self { file, framer, shared, has_given_up, .. } = self;
        if *has_given_up {
            return false;
        }
        let frame = match framer.frame(raw) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::error!("the recording cannot be compressed, and ends here: {error}");
                *has_given_up = true;
                return false;
            }
        };
        let offset = shared.bytes.load(Relaxed);
        let mut failed = false;
        loop {
            let Err(error) = file.write_all(frame) else {
                shared.bytes.store(offset + frame.len() as u64, Relaxed);
                if failed {
                    tracing::info!("the recording goes on");
                }
                return true;
            };
            if !std::mem::replace(&mut failed, true) {
                tracing::error!("the recording cannot be written: {error}");
            }
            // Half a frame would make the rest unreadable.
            _ = file.set_len(offset).and_then(|()| file.seek(io::SeekFrom::Start(offset)));
            if shared.is_ending.load(Relaxed) {
                *has_given_up = true;
                return false;
            }
            thread::sleep(RETRY);
        }
    }

    fn complain(&mut self) {
        let lost = self.shared.events_lost.load(Relaxed);
        if lost > self.warned.0 && (self.warned.0 == 0 || self.warned.1.elapsed() > COMPLAINT) {
            self.warned = (lost, Instant::now());
            tracing::warn!("the disk is too slow for the recording: {lost} events are missing in it so far");
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_ends_the_recording_where_a_frame_ends() {
        let file = File::options().write(true).open("/dev/full").unwrap();
        let shared = Arc::new(Shared { is_ending: AtomicBool::new(true), ..Shared::default() });
        let mut writer = Writer::new(file, Framer::new().unwrap(), shared);
        assert!(!writer.write(b"a"));
        writer.file = tempfile::tempfile().unwrap();
        assert!(!writer.write(b"b"), "nothing follows what is missing");
        assert_eq!(writer.file.metadata().unwrap().len(), 0);
    }
}
