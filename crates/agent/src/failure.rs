//! Kinds of failure that end with an exit code of their own.

/// This kernel, or these privileges, cannot do it: exit code 77.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unable(pub String);

/// Two things that were compared differ: exit code 1, and nothing more to say.
#[derive(Debug, thiserror::Error)]
#[error("they differ")]
pub struct Differ;

/// What was asked makes no sense, such as an unknown tracker: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);
