//! The API's description, from the handlers themselves.

use utoipa::OpenApi;

use super::{profiles, routes, rules};

#[derive(OpenApi)]
#[openapi(
    info(title = "Ethogram", description = "What containers do, and what they never do."),
    paths(
        routes::trackers,
        routes::start,
        routes::stop,
        routes::pause,
        routes::resume,
        routes::put_object,
        routes::containers,
        profiles::list,
        profiles::import,
        profiles::show,
        profiles::reset,
        profiles::file,
        profiles::diff,
        profiles::approve,
        routes::alerts,
        rules::accept,
        rules::accepted,
        rules::revoke,
        rules::rules,
        rules::reload,
        routes::events,
        routes::responses,
        routes::undo,
        routes::policies,
        routes::healthz,
        routes::metrics,
    )
)]
struct Api;

/// The API as an OpenAPI document: the page of the reference. What makes it does not have to be in the binary.
pub const OPENAPI: &str = include_str!("../../../../docs/reference/openapi.json");

/// What the page has to say, which a test compares.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
