//! The trackers, which the collector runs.

use std::collections::BTreeMap;

use ethogram_engine::Input;
use ethogram_model::schema::Role;
use ethogram_probe::{Error, Manifest, Start, TrackerObject, TrackerState, TrackerStatus as Status};

use crate::{
    api::{Answer, TrackerStatus, Trackers},
    pipeline::found,
    refusal::Refusal,
    server::backend::Server,
};

impl Trackers for Server {
    async fn trackers(&self) -> Answer<Vec<TrackerStatus>> {
        self.blocking(|server| Ok(server.collector.status().into_iter().map(TrackerStatus::from).collect())).await
    }

    async fn start(&self, name: String, params: BTreeMap<String, String>) -> Answer<TrackerStatus> {
        let status = self.blocking(move |server| server.start_with(&name, params)).await?;
        if status.schema.role == Some(Role::Lineage) {
            // Processes that were forked while the tracker was stopped.
            let found = self.blocking(|server| Ok(found(&server.hierarchy))).await?;
            self.control.feed_all(Input::rows(found, Input::Processes)).await.map_err(|_| Refusal::Gone)?;
        }
        Ok(status.into())
    }

    async fn stop(&self, name: String) -> Answer<TrackerStatus> {
        self.blocking(move |server| {
            if server.schema(&name).is_some_and(|schema| schema.role == Some(Role::Containers)) {
                return Err(refusal(Error::Needed(name)));
            }
            server.collector.stop(&name).map(TrackerStatus::from).map_err(refusal)
        })
        .await
    }

    async fn pause(&self, names: Vec<String>) -> Answer<Vec<String>> {
        self.blocking(move |server| {
            let names = if names.is_empty() { server.pausable() } else { names };
            if let Some(name) = names.iter().find(|n| server.schema(n).is_some_and(|s| s.role.is_some())) {
                return Err(refusal(Error::Needed(name.clone())));
            }
            server.collector.pause(&names).map_err(refusal)?;
            Ok(names)
        })
        .await
    }

    async fn resume(&self, names: Vec<String>) -> Answer<Vec<String>> {
        self.blocking(move |server| {
            let names = if names.is_empty() { server.pausable() } else { names };
            server.collector.resume(&names).map_err(refusal)?;
            Ok(names)
        })
        .await
    }

    async fn put_object(&self, name: String, object: Vec<u8>) -> Answer<TrackerStatus> {
        let put = name.clone();
        let status = self.blocking(move |server| server.put(&put, &object)).await?;
        if matches!(status.state, TrackerState::Running | TrackerState::Idle | TrackerState::Paused) {
            return Ok(status.into());
        }
        let started = self.blocking(move |server| server.start_with(&name, BTreeMap::new())).await?;
        Ok(started.into())
    }
}

impl Server {
    fn start_with(&self, name: &str, params: BTreeMap<String, String>) -> Result<Status, Refusal> {
        // What keeps the tables of processes has to see the host's, too.
        let filters_containers =
            self.filters_containers && self.schema(name).is_some_and(|schema| schema.role.is_none());
        // The request comes before the configuration, and that before the tracker's manifest.
        let mut all = self.collector.object(name).map(|o| o.server_params().clone()).unwrap_or_default();
        all.extend(self.params.get(name).cloned().unwrap_or_default());
        all.extend(params);
        // One that is idle is started anew, as its parameters may differ.
        if self.collector.status().iter().any(|s| &*s.schema.name == name && s.state == TrackerState::Idle) {
            self.collector.stop(name).map_err(refusal)?;
        }
        let start = Start { params: all, filters_containers, ..Start::default() };
        let status = self.collector.start(name, start).map_err(refusal)?;
        self.subscriptions.ask_for(name);
        Ok(status)
    }

    /// The trackers that can be paused: those that are started, without those that the agent itself needs.
    fn pausable(&self) -> Vec<String> {
        let is_started =
            |s: &Status| matches!(s.state, TrackerState::Running | TrackerState::Idle | TrackerState::Paused);
        let all = self.collector.status().into_iter().filter(|s| is_started(s) && s.schema.role.is_none());
        all.map(|s| s.schema.name.to_string()).collect()
    }

    /// Loads an object, as a new tracker or in the place of one.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<Status, Refusal> {
        let object = match self.collector.object(name) {
            Some(known) => known.with_object(bytes),
            None => TrackerObject::new(name, bytes, Manifest::default()),
        };
        self.collector.put(object.map_err(refusal)?).map_err(refusal)
    }
}

fn refusal(error: Error) -> Refusal {
    let text = error.to_string();
    match error {
        Error::UnknownTracker { near, .. } => Refusal::NotFound { what: text, nearest: near },
        Error::UnknownParam { .. } | Error::BadParam { .. } | Error::BadObject { .. } | Error::BadManifest { .. } => {
            Refusal::Invalid(text)
        }
        Error::Running(_) | Error::NotRunning(_) | Error::Needed(_) => Refusal::Conflict(text),
        Error::Unsupported(_) | Error::Kernel { .. } | Error::System { .. } => Refusal::Unable(text),
        Error::ReaderGone => Refusal::Gone,
    }
}
