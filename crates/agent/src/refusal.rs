//! Why a request is not answered, in the words of the agent: the API makes HTTP statuses of it.

use ethogram_model::nearest::{nearest, suggestion};

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such thing.
    #[error("{what}")]
    NotFound {
        /// One line: what does not exist, and what does.
        what: String,
        /// What may have been meant.
        nearest: Vec<String>,
    },
    /// The request itself is wrong: what, and what would be right.
    #[error("{0}")]
    Invalid(String),
    /// It cannot be done now, such as starting what runs.
    #[error("{0}")]
    Conflict(String),
    /// This kernel, or the agent's privileges, cannot do it.
    #[error("{0}")]
    Unable(String),
    /// The engine has ended.
    #[error("the engine does not answer: see the server's log")]
    Gone,
}

impl Refusal {
    /// There is no `kind`, such as a tracker, that is called `name`; `names` are what there is.
    pub fn unknown<N: AsRef<str>>(kind: &str, name: &str, names: impl IntoIterator<Item = N>) -> Self {
        let names: Vec<String> = names.into_iter().map(|n| n.as_ref().to_owned()).collect();
        let what = format!("no {kind} is called {name:?}{}", suggestion(name, &names));
        Self::NotFound { what, nearest: nearest(name, &names) }
    }
}
