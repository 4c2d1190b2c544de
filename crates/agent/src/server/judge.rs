//! What the server does with events: learns, judges, tells and keeps.

use std::{sync::Arc, time::Duration};

use ethogram_detect::{Decision, Detector, HabitChange, HabitCount, Profile};
use ethogram_model::{Container, Event};

use super::{alerts::AlertBook, streams::Streams};
use crate::{
    container::table::Lookup,
    pipeline::{Consumer, Selection},
    response::Response,
    sink::Sinks,
    store::{Batch, Writer},
};

/// How often what was learnt is handed to the store. With the time that writing takes, less than ten seconds of it
/// are lost when the agent is killed.
const SAVE_NS: u64 = 3_000_000_000;
/// The same once an alert was told: whoever was found out may end the agent next, and it has to judge afterwards by what it
/// judged by before.
const SAVE_TOLD_NS: u64 = 300_000_000;

/// The server's state, owned by the engine's thread.
pub(super) struct Judge {
    selection: Selection,
    pub(super) detector: Detector,
    pub(super) alerts: AlertBook,
    pub(super) streams: Streams,
    pub(super) sinks: Sinks,
    response: Arc<Response>,
    writer: Writer,
    /// What the store had no room for yet.
    unsaved: Batch,
    saved_ns: u64,
    /// An alert was told since.
    has_told: bool,
    /// How much was accepted when the thread that acts was told of it; none where it is to be told.
    told_accepted: Option<usize>,
}

impl Judge {
    pub(super) fn new(
        selection: Selection,
        detector: Detector,
        alerts: AlertBook,
        sinks: Sinks,
        response: Arc<Response>,
        writer: Writer,
    ) -> Self {
        let (streams, unsaved) = (Streams::default(), Batch::default());
        Self {
            selection,
            detector,
            alerts,
            streams,
            sinks,
            response,
            writer,
            unsaved,
            saved_ns: 0,
            has_told: false,
            told_accepted: None,
        }
    }

    /// Saves everything and waits until all alerts are written, but no longer than `patience` for those.
    pub(super) fn finish(mut self, patience: Duration) {
        let last = self.detector.model.take_last();
        self.collect_unsaved(last);
        let mut batch = self.unsaved;
        while let Err(back) = self.writer.submit(batch) {
            batch = back;
            std::thread::sleep(Duration::from_millis(10));
        }
        self.sinks.finish(patience);
        // With it goes the store's lock, which keeps others from what alerts wait in, too.
        drop(self.writer);
    }

    /// What goes on is updated, and not told again.
    fn update_alerts(&mut self) {
        for update in self.detector.take_updates() {
            self.sinks.seen(&update.uid, update.last_seen_ns);
            self.alerts.update(update);
        }
    }

    /// What is accepted is not acted upon, by the kernel neither.
    fn tell_accepted(&mut self) {
        let count = self.detector.accepted.list().count();
        if self.told_accepted != Some(count) && self.response.accept(&self.detector.accepted) {
            self.told_accepted = Some(count);
        }
    }

    fn collect_unsaved(&mut self, profiles: Vec<(String, Profile)>) {
        self.update_alerts();
        let (alerts, accepted) = (self.alerts.take_unsaved(), self.detector.accepted.take_changed());
        let mut batch = Batch { alerts, accepted, ..Batch::default() };
        for (uid, profile) in profiles {
            match serde_json::to_string(&profile) {
                Ok(json) => _ = batch.profiles.insert(uid, Some(json)),
                Err(error) => tracing::error!("the profile {uid} cannot be stored: {error}"),
            }
        }
        batch.profiles.extend(self.detector.model.take_evicted().into_iter().map(|uid| (uid, None)));
        self.unsaved.merge(batch);
    }
}

impl Consumer for Judge {
    fn wants(&mut self, lookup: &Lookup) -> Option<bool> {
        self.selection.wants(lookup)
    }

    fn take(&mut self, event: &Event) {
        self.streams.event(event);
        for finding in self.detector.judge(event) {
            let alert = Arc::new(finding);
            self.has_told = true;
            self.response.consider(&alert);
            self.sinks.send(&alert);
            self.streams.alert(&alert);
            self.alerts.raise(alert);
        }
    }

    fn is_ordinary(&mut self, event: &Event) -> bool {
        self.detector.is_ordinary(event)
    }

    fn count_habits(&mut self, counts: &[HabitCount]) {
        self.detector.count_habits(counts);
    }

    fn note_loss(&mut self) {
        self.detector.model.note_loss();
    }

    fn take_habit_changes(&mut self) -> Vec<HabitChange> {
        self.detector.take_habit_changes()
    }

    fn meet(&mut self, container: &Arc<Container>) {
        self.response.meet(container);
    }

    fn decide(&mut self, decision: Decision) {
        if !matches!(decision, Decision::Rules(..)) {
            self.told_accepted = None;
        }
        self.detector.decide(decision);
        self.tell_accepted();
    }

    fn tick(&mut self, now_ns: u64) {
        self.detector.advance(now_ns);
        self.tell_accepted();
        self.update_alerts();
        let every_ns = if self.has_told { SAVE_TOLD_NS } else { SAVE_NS };
        if now_ns.saturating_sub(self.saved_ns) < every_ns && now_ns >= self.saved_ns {
            return;
        }
        (self.saved_ns, self.has_told) = (now_ns, false);
        let profiles = self.detector.model.take_dirty();
        self.collect_unsaved(profiles);
        if !self.unsaved.is_empty()
            && let Err(back) = self.writer.submit(std::mem::take(&mut self.unsaved))
        {
            self.unsaved = back;
        }
    }
}
