//! A rule file.

use std::sync::Arc;

/// A rule file.
#[derive(Debug, Clone)]
pub struct File {
    /// Its name, for messages.
    pub name: Arc<str>,
    /// What it says.
    pub text: Arc<str>,
}
