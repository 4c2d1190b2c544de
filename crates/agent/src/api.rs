//! The HTTP API: what people and programs ask the running server.
//!
//! A resource is a file: what it asks of the agent (a trait), its words, its handlers, and one list of these.

mod alerts;
mod connections;
mod containers;
mod document;
mod events;
mod extract;
mod health;
mod incidents;
mod listen;
mod problem;
mod profiles;
mod resource;
mod responses;
mod rules;
mod serve;
mod stream;
mod tls;
mod token;
mod trackers;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, StatusCode, Uri},
};

// All that is public in a resource's file.
pub use self::{
    alerts::*,
    containers::*,
    events::*,
    health::*,
    incidents::*,
    listen::{ListenError, Listeners, Server},
    problem::Problem,
    profiles::*,
    resource::{Answer, Answers},
    responses::*,
    rules::*,
    tls::TlsError,
    trackers::*,
};

/// The largest body of a request that needs no larger one, in bytes.
const MAX_BODY_BYTES: usize = 64 << 10;

/// The API as an OpenAPI document: the page of the reference. What makes it does not have to be in the binary.
pub const OPENAPI: &str = include_str!("../../../docs/reference/openapi.json");

/// `resources!(module: Trait, ...)` makes the routes and the OpenAPI document of all resources, and `Backend`, all that they
/// ask of the agent.
macro_rules! resources {
    ($($module:ident: $backend:ident),+ $(,)?) => {
        /// Who answers all that the API is asked.
        pub trait Backend: $($backend +)+ {}
        impl<T: $($backend +)+> Backend for T {}

        fn routes<B: Backend>() -> Router<Arc<B>> {
            Router::new()$(.merge($module::routes::<B>()))+
        }

        /// What the page of the reference has to say, which a test compares.
        pub fn openapi() -> utoipa::openapi::OpenApi {
            document::of([$((stringify!($module), $module::description())),+])
        }
    };
}
resources!(
    trackers: Trackers,
    containers: Containers,
    profiles: Profiles,
    alerts: Alerts,
    incidents: Incidents,
    rules: Rules,
    events: Events,
    responses: Responses,
    health: Health,
);

/// All of the API.
pub fn router<B: Backend>(backend: Arc<B>) -> Router {
    with_fallbacks(routes::<B>().layer(DefaultBodyLimit::max(MAX_BODY_BYTES))).with_state(backend)
}

/// The metrics alone.
fn metrics_router<B: Health>(backend: Arc<B>) -> Router {
    let router = resource::route::<health::__path_metrics, _, _, _>(Router::new(), health::metrics::<B>, None);
    with_fallbacks(router).with_state(backend)
}

fn with_fallbacks<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router.fallback(nothing_here).method_not_allowed_fallback(other_method)
}

async fn nothing_here(uri: Uri) -> Problem {
    let detail = format!("there is nothing at {}: GET /openapi.json lists what there is", uri.path());
    Problem::new(StatusCode::NOT_FOUND, detail)
}

async fn other_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not answer {method}: GET /openapi.json lists what there is", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
pub(crate) mod tests;
