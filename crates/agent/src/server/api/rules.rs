//! The rules in force.

use crate::{
    api::{Answer, Rules, RulesStatus},
    server::backend::Server,
};

impl Rules for Server {
    async fn rules(&self) -> Answer<RulesStatus> {
        let costs = self.ask(|judge| judge.detector.rules.costs()).await?;
        self.blocking(move |server| Ok(server.rules.status(costs))).await
    }

    async fn reload_rules(&self) -> Answer<RulesStatus> {
        self.rules.reload().await?;
        self.rules().await
    }
}
