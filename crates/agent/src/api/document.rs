//! The OpenAPI document, from what describes each resource.

use utoipa::{
    OpenApi,
    openapi::{
        Content, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder,
        path::Operation,
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

use super::Problem;

/// Problems that any request can meet: the status, and what it means.
const OF_ANY: [(&str, &str); 2] =
    [("401", "Over TCP: no token, or a wrong one"), ("503", "The engine does not answer")];
/// Those of a request with a query or a variable path.
const OF_PARAMETERS: [(&str, &str); 2] =
    [("400", "The path or the query cannot be read"), ("422", "The path or the query makes no sense")];
/// Those of a request with a body.
const OF_BODIES: [(&str, &str); 3] = [
    ("400", "The query or the body cannot be read"),
    ("413", "The body is too large"),
    ("422", "The body makes no sense"),
];
/// That of a request with a body that is JSON.
const OF_JSON: [(&str, &str); 1] = [("415", "The content type is not application/json")];

#[derive(OpenApi)]
#[openapi(
    info(title = "Ethogram", description = "What containers do, and what they never do."),
    components(schemas(Problem))
)]
struct Api;

/// One document of the resources, each with its name.
pub(super) fn of<const N: usize>(resources: [(&str, Document); N]) -> Document {
    let mut all = Api::openapi();
    for (name, mut resource) in resources {
        for operation in operations(&mut resource) {
            operation.tags = Some(vec![name.to_owned()]);
            add_problems(operation);
        }
        all.merge(resource);
    }
    let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    all.components.get_or_insert_default().add_security_scheme("token", token);
    all.security = Some(vec![SecurityRequirement::new("token", [""; 0])]);
    all
}

/// Each operation that is described.
fn operations(document: &mut Document) -> impl Iterator<Item = &mut Operation> {
    document.paths.paths.values_mut().flat_map(|path| {
        let all = [&mut path.get, &mut path.put, &mut path.post, &mut path.delete];
        all.into_iter().flat_map(Option::as_mut)
    })
}

/// Describes the problems that a request of its kind can meet, where its handler says nothing of them.
fn add_problems(operation: &mut Operation) {
    let has_parameters = operation.parameters.as_ref().is_some_and(|all| !all.is_empty());
    let (has_body, is_json) = match &operation.request_body {
        Some(RefOr::T(body)) => (true, body.content.contains_key("application/json")),
        Some(RefOr::Ref(_)) => (true, true),
        None => (false, false),
    };
    let kinds: [(bool, &[_]); 4] =
        [(true, &OF_ANY), (has_body, &OF_BODIES), (has_parameters, &OF_PARAMETERS), (is_json, &OF_JSON)];
    let problems = kinds.into_iter().filter(|(applies, _)| *applies).flat_map(|(_, problems)| problems);
    for (status, meaning) in problems {
        operation.responses.responses.entry((*status).to_owned()).or_insert_with(|| problem(meaning).into());
    }
}

fn problem(meaning: &str) -> Response {
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new().description(meaning).content("application/problem+json", content).build()
}
