//! Incidents.

use ethogram_detect::{Acceptance, Decision, Width};
use ethogram_model::AnnotatedIncident;

use crate::{
    api::{Accepted, Answer, IncidentFilter, IncidentStream, Incidents},
    pipeline::now_ns,
    refusal::Refusal,
    server::{backend::Server, streams},
};

impl Incidents for Server {
    async fn incidents(&self, filter: IncidentFilter) -> Answer<Vec<AnnotatedIncident>> {
        self.ask_outlet(move |outlet| outlet.incidents.list(&filter)).await
    }

    async fn incident(&self, uid: String) -> Answer<AnnotatedIncident> {
        let asked = uid.clone();
        let found = self.ask_outlet(move |outlet| outlet.incidents.find(&asked)).await?;
        found.ok_or_else(|| Refusal::unknown("incident", &uid, [""; 0]))
    }

    async fn accept_incident(&self, uid: String, for_ns: Option<u64>, reason: Option<String>) -> Answer<Vec<Accepted>> {
        let parts = self.incident(uid).await?.incident;
        let alerts = self.ask_outlet(move |outlet| {
            let uids = parts.parts.iter().flat_map(|part| &part.findings);
            uids.filter_map(|uid| outlet.alerts.find(uid)).collect::<Vec<_>>()
        });
        let mut all = Vec::new();
        for alert in alerts.await? {
            let now_ns = now_ns();
            let acceptance = Acceptance::of(&alert, Width::default(), reason.clone(), now_ns, for_ns);
            let acceptance = acceptance.map_err(|too_wide| Refusal::Conflict(too_wide.to_string()))?;
            all.push(acceptance);
        }
        if all.is_empty() {
            return Err(Refusal::Conflict("none of its alerts is kept any more: there is nothing to accept".into()));
        }
        let accepted = all.iter().map(Accepted::from).collect();
        for acceptance in all {
            self.decide(Decision::Accept(Box::new(acceptance))).await?;
        }
        Ok(accepted)
    }

    async fn subscribe_incidents(&self, filter: IncidentFilter) -> Answer<IncidentStream> {
        let follow = self.ask_outlet(move |outlet| outlet.streams.follow_incidents(filter));
        Ok(Box::pin(follow.await?.ok_or_else(streams::too_many)?))
    }
}
