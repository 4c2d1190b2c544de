//! The token that requests over TCP must bear.

use std::{fs::File, io, os::unix::fs::MetadataExt, path::Path, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::Problem;
use crate::files;

/// A shorter one could be guessed.
const MIN_LENGTH: usize = 16;
const MAX_LENGTH: u64 = 4096;

/// Reads the token from a file that only its owner can read.
pub(super) fn read(path: &Path) -> io::Result<Arc<str>> {
    let file = File::open(path)?;
    if file.metadata()?.mode() & 0o077 != 0 {
        return Err(io::Error::other("others can read it: give it mode 0600"));
    }
    let text = files::text(files::read_from(file, MAX_LENGTH)?)?;
    match text.trim() {
        token if token.len() >= MIN_LENGTH => Ok(token.into()),
        _ => Err(io::Error::other(format!("the token in it is shorter than {MIN_LENGTH} characters"))),
    }
}

/// Lets a request pass that bears the token.
pub(super) async fn require(State(token): State<Arc<str>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let bearer = given.and_then(|v| v.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    if bearer.is_some_and(|(_, given)| same(given.trim().as_bytes(), token.as_bytes())) {
        return next.run(request).await;
    }
    let problem = Problem::new(StatusCode::UNAUTHORIZED, "send the server's token: Authorization: Bearer TOKEN");
    let mut response = problem.into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// Takes as long wherever the two differ, so that a token cannot be found byte by byte.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}
