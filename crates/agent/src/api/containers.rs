//! Which containers there are.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use ethogram_model::Container;

use super::resource::{Answered, Answers, resource};

/// The containers.
pub trait Containers: Send + Sync + 'static {
    /// Those that run now.
    fn containers(&self) -> impl Answers<Vec<Arc<Container>>>;
}

resource!(Containers: containers);

/// The containers that run now.
#[utoipa::path(get, path = "/v1/containers", responses((status = 200, body = Vec<serde_json::Value>)))]
pub(super) async fn containers<B: Containers>(State(agent): State<Arc<B>>) -> Answered<Response> {
    Ok(Json(agent.containers().await?).into_response())
}
