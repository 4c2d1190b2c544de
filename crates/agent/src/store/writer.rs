//! A thread that saves, so that nothing else waits for the disk.

use std::{
    io,
    sync::mpsc::{SyncSender, TrySendError, sync_channel},
    thread::JoinHandle,
};

use super::{Batch, Store};
use crate::threads;

/// Batches that may wait.
const QUEUE: usize = 4;
/// Bytes of alerts that may wait in one batch while the disk is full or slow.
const MAX_WAITING: usize = 8 << 20;

/// Saves batches in the background, in the order they come.
pub struct Writer {
    queue: Option<SyncSender<Box<Batch>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(store: Store) -> io::Result<Self> {
        let (queue, batches) = sync_channel::<Box<Batch>>(QUEUE);
        let thread = threads::spawn("store", move || run(store, batches.iter()))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Hands over a batch without waiting.
    ///
    /// # Errors
    /// Gives the batch back where too many wait: merge it with the next one.
    pub fn submit(&self, batch: Batch) -> Result<(), Box<Batch>> {
        match self.queue.as_ref().map(|q| q.try_send(Box::new(batch))) {
            Some(Err(TrySendError::Full(mut batch))) => {
                bound(&mut batch);
                Err(batch)
            }
            // Where the thread has ended, the agent is ending, and nothing will ever make room.
            _ => Ok(()),
        }
    }
}

/// All that was handed over is saved first.
impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's thread failed");
        }
    }
}

/// What waits for the disk must not take all memory. Alerts are shown and sent all the same.
fn bound(batch: &mut Batch) {
    let lost = batch.bound(MAX_WAITING);
    if lost > 0 {
        tracing::error!(lost, "alerts are not stored: the store cannot be written, and too many wait for it");
    }
}

fn run(mut store: Store, batches: impl Iterator<Item = Box<Batch>>) {
    // What could not be saved yet: it is tried again with the next batch.
    let mut pending = Batch::default();
    let mut failing = false;
    for batch in batches {
        pending.merge(*batch);
        match store.save(&pending) {
            Ok(evicted) => {
                pending = Batch::default();
                if std::mem::replace(&mut failing, false) {
                    tracing::info!("the store can be written again");
                }
                if evicted > 0 {
                    tracing::info!(evicted, "old alerts made room for new ones in the store");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::error!("{error}");
                }
                bound(&mut pending);
            }
        }
    }
}
