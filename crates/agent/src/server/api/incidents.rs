//! Incidents.

use std::sync::Arc;

use ethogram_model::Incident;

use crate::{
    api::{Answer, IncidentFilter, IncidentStream, Incidents},
    refusal::Refusal,
    server::{backend::Server, streams},
};

impl Incidents for Server {
    async fn incidents(&self, filter: IncidentFilter) -> Answer<Vec<Arc<Incident>>> {
        self.ask_outlet(move |outlet| outlet.incidents.list(&filter)).await
    }

    async fn incident(&self, uid: String) -> Answer<Arc<Incident>> {
        let asked = uid.clone();
        let found = self.ask_outlet(move |outlet| outlet.incidents.find(&asked)).await?;
        found.ok_or_else(|| Refusal::unknown("incident", &uid, [""; 0]))
    }

    async fn subscribe_incidents(&self, filter: IncidentFilter) -> Answer<IncidentStream> {
        let follow = self.ask_outlet(move |outlet| outlet.streams.follow_incidents(filter));
        Ok(Box::pin(follow.await?.ok_or_else(streams::too_many)?))
    }
}
