//! Answers without an end: JSON, one object a line, as it happens.

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
