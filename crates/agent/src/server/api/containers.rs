//! The containers there are.

use std::sync::Arc;

use ethogram_model::Container;

use crate::{
    api::{Answer, Containers},
    refusal::Refusal,
    server::backend::Server,
};

impl Containers for Server {
    async fn containers(&self) -> Answer<Vec<Arc<Container>>> {
        let list = self.control.ask(|e| e.containers().cloned().collect::<Vec<_>>()).await;
        let mut list = list.map_err(|_| Refusal::Gone)?;
        list.sort_by(|a, b| (a.display_name(), &a.id).cmp(&(b.display_name(), &b.id)));
        Ok(list)
    }
}
