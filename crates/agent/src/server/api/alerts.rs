//! Alerts, and accepting them.

use ethogram_detect::{Acceptance, Decision, Width};

use crate::{
    api::{Accepted, AlertFilter, AlertPage, Alerts, Answer, Findings},
    pipeline::now_ns,
    refusal::Refusal,
    server::{backend::Server, streams},
};

impl Alerts for Server {
    async fn alerts(&self, filter: AlertFilter) -> Answer<AlertPage> {
        self.ask_outlet(move |outlet| outlet.alerts.list(&filter)).await
    }

    async fn subscribe_alerts(&self, filter: AlertFilter) -> Answer<Findings> {
        let follow = self.ask_outlet(move |outlet| outlet.streams.follow_alerts(filter));
        Ok(Box::pin(follow.await?.ok_or_else(streams::too_many)?))
    }

    async fn accept(&self, uid: String, width: Width, for_ns: Option<u64>, reason: Option<String>) -> Answer<Accepted> {
        let asked = uid.clone();
        let Some(alert) = self.ask_outlet(move |outlet| outlet.alerts.find(&asked)).await? else {
            return Err(Refusal::unknown("alert", &uid, [""; 0]));
        };
        let acceptance = Acceptance::of(&alert, width, reason, now_ns(), for_ns);
        let acceptance = acceptance.map_err(|too_wide| Refusal::Conflict(too_wide.to_string()))?;
        let accepted = Accepted::from(&acceptance);
        self.decide(Decision::Accept(Box::new(acceptance))).await?;
        Ok(accepted)
    }

    async fn accepted(&self) -> Answer<Vec<Accepted>> {
        self.ask(|judge| judge.detector.accepted.list().map(Accepted::from).collect()).await
    }

    async fn revoke(&self, id: String) -> Answer<Accepted> {
        let all = self.accepted().await?;
        let Some(known) = all.iter().find(|accepted| accepted.id == id) else {
            return Err(Refusal::unknown("acceptance", &id, all.iter().map(|accepted| &accepted.id)));
        };
        self.decide(Decision::Revoke(id)).await?;
        Ok(known.clone())
    }
}
