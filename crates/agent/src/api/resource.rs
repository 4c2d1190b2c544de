//! The shape that all resources of the API have: a trait that says what is asked of the agent, handlers, and one list of
//! them, from which both the routes and the OpenAPI document are made.

use std::future::Future;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    handler::Handler,
    routing::{MethodFilter, on},
};
use utoipa::{Path, openapi::HttpMethod};

use super::Problem;
use crate::refusal::Refusal;

/// What an answer of the agent resolves to.
pub type Answer<T> = Result<T, Refusal>;
/// What a handler answers.
pub(super) type Answered<T> = Result<T, Problem>;

/// An answer that takes a while.
pub trait Answers<T>: Future<Output = Answer<T>> + Send {}
impl<T, F: Future<Output = Answer<T>> + Send> Answers<T> for F {}

/// A route to a handler: its method and path are those of the handler's `#[utoipa::path]`.
pub(super) fn route<P: Path, H, T, S>(router: Router<S>, handler: H, max_body: Option<usize>) -> Router<S>
where
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    let methods = P::methods().iter().map(filter).reduce(MethodFilter::or);
    let endpoint = on(methods.unwrap_or(MethodFilter::GET), handler);
    let endpoint = match max_body {
        Some(bytes) => endpoint.layer(DefaultBodyLimit::max(bytes)),
        None => endpoint,
    };
    router.route(&P::path(), endpoint)
}

fn filter(method: &HttpMethod) -> MethodFilter {
    match method {
        HttpMethod::Get => MethodFilter::GET,
        HttpMethod::Put => MethodFilter::PUT,
        HttpMethod::Post => MethodFilter::POST,
        HttpMethod::Head => MethodFilter::HEAD,
        HttpMethod::Patch => MethodFilter::PATCH,
        HttpMethod::Trace => MethodFilter::TRACE,
        HttpMethod::Delete => MethodFilter::DELETE,
        HttpMethod::Options => MethodFilter::OPTIONS,
    }
}

/// `resource!(Trait: handler, handler up to BYTES)` makes `routes` and `description` of the module's handlers. Nothing of the
/// description is in the binary, as only tests call it.
macro_rules! resource {
    ($backend:ident: $($handler:ident $(up to $bytes:ident)?),+ $(,)?) => {
        /// The resource's routes.
        pub(super) fn routes<B: $backend>() -> axum::Router<std::sync::Arc<B>> {
            let router = axum::Router::new();
            pastey::paste! {
                $(
                    let max_body = None $(.or(Some($bytes)))?;
                    let router = super::resource::route::<[<__path_ $handler>], _, _, _>(router, $handler::<B>, max_body);
                )+
            }
            router
        }

        /// What describes the resource.
        pub(super) fn description() -> utoipa::openapi::OpenApi {
            #[derive(utoipa::OpenApi)]
            #[openapi(paths($($handler),+))]
            struct Description;
            <Description as utoipa::OpenApi>::openapi()
        }
    };
}
pub(super) use resource;
