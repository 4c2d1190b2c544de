//! Events as they happen.

use std::{pin::Pin, sync::Arc};

use axum::{extract::State, response::Response};
use serde::Deserialize;
use tokio_stream::Stream;
use utoipa::IntoParams;

use super::{
    Problem,
    extract::Query,
    resource::{Answered, Answers, resource},
    stream,
};

/// Text, line by line, as it comes.
pub type Lines = Pin<Box<dyn Stream<Item = String> + Send>>;

/// The events.
pub trait Events: Send + Sync + 'static {
    /// Events from now on, one JSON object each. A reader that does not keep up misses some.
    fn subscribe_events(&self, filter: EventFilter) -> impl Answers<Lines>;
}

resource!(Events: events);

/// Which events are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of the container of this name or id.
    pub container: Option<String>,
    /// Of this tracker.
    pub tracker: Option<String>,
}
/// Which events are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventQuery {
    /// Of the container of this name or id.
    container: Option<String>,
    /// Of this tracker.
    tracker: Option<String>,
}

/// Events from now on, one JSON object a line.
#[utoipa::path(get, path = "/v1/events", params(EventQuery), responses(
    (status = 200, body = String, content_type = "application/x-ndjson"),
    (status = 404, description = "No such tracker", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "Too many follow already", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn events<B: Events>(
    State(agent): State<Arc<B>>,
    Query(query): Query<EventQuery>,
) -> Answered<Response> {
    let EventQuery { container, tracker } = query;
    let events = agent.subscribe_events(EventFilter { container, tracker }).await?;
    Ok(stream::lines(events))
}
