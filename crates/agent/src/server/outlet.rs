//! Where the engine's findings and events go: to alerts, receivers, followers, the response, and the store.

use std::{sync::Arc, time::Duration};

use ethogram_detect::Acceptances;
use ethogram_engine::{Effects, effects::Save};
use ethogram_model::Report;

use super::{
    alerts::{AlertBook, Unsaved},
    incidents::{self, IncidentBook},
    streams::Streams,
};
use crate::{
    pipeline::Outlet,
    response::Response,
    sink::Sinks,
    store::{Batch, Writer},
};

/// What the server does with what the engine sends. Owned by the thread that applies effects.
pub(super) struct ServerOutlet {
    pub(super) alerts: AlertBook,
    pub(super) incidents: IncidentBook,
    pub(super) streams: Streams,
    pub(super) sinks: Sinks,
    response: Arc<Response>,
    writer: Writer,
    /// What the store had no room for yet.
    unsaved: Batch,
    /// The allowlist, where the response had no room for it yet.
    accepted: Option<Box<Acceptances>>,
}

impl ServerOutlet {
    pub(super) fn new(
        alerts: AlertBook,
        incidents: IncidentBook,
        sinks: Sinks,
        response: Arc<Response>,
        writer: Writer,
    ) -> Self {
        let (streams, unsaved) = (Streams::default(), Batch::default());
        Self { alerts, incidents, streams, sinks, response, writer, unsaved, accepted: None }
    }

    /// Saves what is left and waits until all alerts are written, but no longer than `patience` for those.
    pub(super) fn finish(self, patience: Duration) {
        let mut batch = self.unsaved;
        while let Err(back) = self.writer.submit(batch) {
            batch = *back;
            std::thread::sleep(Duration::from_millis(10));
        }
        self.sinks.finish(patience);
        // With it goes the store's lock, which keeps others from what alerts wait in, too.
        drop(self.writer);
    }

    /// What is on the allowlist is not acted upon, by the kernel neither.
    fn pass_on_accepted(&mut self) {
        if self.accepted.as_ref().is_some_and(|accepted| self.response.accept(accepted)) {
            self.accepted = None;
        }
    }

    fn save(&mut self, save: Save) {
        let Unsaved { alerts, gone } = self.alerts.take_unsaved();
        save.trails.into_iter().for_each(|trail| self.incidents.follow(trail));
        let incidents::Unsaved { incidents, trails } = self.incidents.take_unsaved();
        let (delivered, accepted) = (self.sinks.take_unsaved(), save.accepted);
        let mut batch = Batch { alerts, gone, incidents, trails, delivered, accepted, ..Batch::default() };
        for (uid, profile) in save.profiles {
            match profile.map(|profile| serde_json::to_string(&profile)).transpose() {
                Ok(json) => _ = batch.profiles.insert(uid, json),
                Err(error) => tracing::error!("the profile {uid} cannot be stored: {error}"),
            }
        }
        self.unsaved.merge(batch);
        if !self.unsaved.is_empty()
            && let Err(back) = self.writer.submit(std::mem::take(&mut self.unsaved))
        {
            self.unsaved = *back;
        }
    }
}

impl Outlet for ServerOutlet {
    fn apply(&mut self, effects: Effects) {
        effects.containers.iter().for_each(|container| self.response.add_container(container));
        effects.events.iter().for_each(|event| self.streams.event(event));
        for report in effects.reports {
            match &report {
                Report::Finding(finding) => {
                    self.response.consider(finding);
                    self.streams.alert(finding);
                    self.alerts.raise(finding);
                    self.sinks.send(&report);
                }
                // The engine sends them as they change; what of that is reported is decided for each receiver.
                Report::Incident(_) => {}
            }
        }
        // What goes on is updated, and not raised again.
        for update in effects.updates {
            self.sinks.seen(&update.uid, update.last_seen_ns);
            self.alerts.update(update);
        }
        self.sinks.send_incidents(&effects.incidents);
        for incident in effects.incidents {
            self.streams.incident(&incident);
            self.incidents.put(incident);
        }
        for update in effects.incident_updates {
            if let Some(incident) = self.incidents.update(update) {
                self.streams.incident(&incident);
            }
        }
        if effects.accepted.is_some() {
            self.accepted = effects.accepted;
        }
        self.pass_on_accepted();
        if let Some(save) = effects.save {
            self.save(*save);
        }
    }
}
