//! The OpenAPI document, from what describes each resource.

use utoipa::{
    OpenApi,
    openapi::{OpenApi as Document, path::Operation},
};

#[derive(OpenApi)]
#[openapi(info(title = "Ethogram", description = "What containers do, and what they never do."))]
struct Api;

/// One document of the resources, each with its name.
pub(super) fn of<const N: usize>(resources: [(&str, Document); N]) -> Document {
    let mut all = Api::openapi();
    for (name, mut resource) in resources {
        operations(&mut resource).for_each(|operation| operation.tags = Some(vec![name.to_owned()]));
        all.merge(resource);
    }
    all
}

/// Each operation that is described.
fn operations(document: &mut Document) -> impl Iterator<Item = &mut Operation> {
    document.paths.paths.values_mut().flat_map(|path| {
        let all = [&mut path.get, &mut path.put, &mut path.post, &mut path.delete];
        all.into_iter().flat_map(Option::as_mut)
    })
}
