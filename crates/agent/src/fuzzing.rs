//! What the fuzzers reach: readers of other people's bytes that are nobody else's to call.

use std::collections::BTreeMap;

use ethogram_engine::containers::runtime::RuntimeContainer;

use crate::{container, http};

pub use crate::http::fuzzing::Read;

/// The names in a container's `passwd` or `group`, whose ids are mapped as in a `uid_map`.
pub fn users(file: &[u8], map: &str) -> BTreeMap<u32, String> {
    container::users::read_any(file, map)
}

/// The containers that the runtimes' answers tell of, where each of them is `answer`; `spec` is the specification beside it.
pub fn runtimes(answer: &[u8], spec: &[u8]) -> Vec<RuntimeContainer> {
    container::runtime::read_any(answer, spec)
}

/// What the HTTP client makes of a server's bytes, which come in pieces of at most `piece` bytes; at most `most` bytes are
/// taken of the body.
pub fn http(answer: &[u8], piece: usize, most: usize) -> Read {
    http::fuzzing::read_any(answer, piece, most)
}
