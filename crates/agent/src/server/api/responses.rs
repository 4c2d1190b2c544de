//! What was done about findings.

use crate::{
    api::{Answer, Responses},
    response::{PolicyStatus, ResponseRecord},
    server::backend::Server,
};

impl Responses for Server {
    async fn responses(&self, limit: usize) -> Answer<Vec<ResponseRecord>> {
        Ok(self.response.list(limit))
    }

    async fn undo(&self, id: String) -> Answer<ResponseRecord> {
        self.response.undo(&id).await
    }

    async fn policies(&self) -> Answer<Vec<PolicyStatus>> {
        Ok(self.response.policies())
    }
}
