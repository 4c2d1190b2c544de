//! Answers that are sent as they are made: JSON, one object a line, as it happens, and long lists.

use std::convert::Infallible;

use axum::{
    body::Body,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use tokio_stream::{Stream, StreamExt};

/// Sends each line as it comes, until the reader goes or the source ends.
pub(super) fn lines(source: impl Stream<Item = String> + Send + 'static) -> Response {
    let body = Body::from_stream(source.map(|mut line| {
        line.push('\n');
        Ok::<_, Infallible>(line)
    }));
    ([(CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

/// Sends a list of JSON values, each of which is made when its turn comes.
pub(super) fn list(items: impl Stream<Item = String> + Send + 'static) -> Response {
    let mut is_first = true;
    let items = items.map(move |mut item| {
        item.insert(0, if std::mem::take(&mut is_first) { '[' } else { ',' });
        item
    });
    // An empty list has no first item that brings the bracket.
    let mut has_items = false;
    let parts = items.map(Some).chain(tokio_stream::once(None)).map(move |item| {
        let is_empty = !has_items;
        has_items = true;
        Ok::<_, Infallible>(item.unwrap_or_else(|| if is_empty { "[]".to_owned() } else { "]".to_owned() }))
    });
    ([(CONTENT_TYPE, "application/json")], Body::from_stream(parts)).into_response()
}
