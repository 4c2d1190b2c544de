//! What can go wrong below the collector.

use thiserror::Error;

/// Why a tracker could not be loaded, started or stopped. Each names what was wrong and what would be right.
#[derive(Debug, Error)]
pub enum Error {
    /// There is no tracker of that name.
    #[error("there is no tracker '{name}'{}; known are: {}", nearest(.near), .known.join(", "))]
    UnknownTracker {
        /// What was asked for.
        name: String,
        /// The most similar names.
        near: Vec<String>,
        /// All names.
        known: Vec<String>,
    },
    /// There is no parameter of that name.
    #[error("tracker '{tracker}' has no parameter '{name}'{}; it has: {}", nearest(.near), .known.join(", "))]
    UnknownParam {
        /// The tracker.
        tracker: String,
        /// What was asked for.
        name: String,
        /// The most similar names.
        near: Vec<String>,
        /// All names.
        known: Vec<String>,
    },
    /// A parameter's value does not fit.
    #[error("parameter '{name}' of tracker '{tracker}': '{value}' is not {expected}")]
    BadParam {
        /// The tracker.
        tracker: String,
        /// The parameter.
        name: String,
        /// What was given.
        value: String,
        /// What would be right.
        expected: String,
    },
    /// The tracker runs already.
    #[error("tracker '{0}' is running already; stop it first")]
    Running(String),
    /// The tracker does not run.
    #[error("tracker '{0}' is not running")]
    NotRunning(String),
    /// The agent itself needs the tracker.
    #[error("tracker '{0}' identifies containers and processes for the agent; it runs as long as the agent does")]
    Needed(String),
    /// An object is not one of a tracker.
    #[error("{origin}: {problem}")]
    BadObject {
        /// The file or tracker.
        origin: String,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// A tracker's manifest is wrong.
    #[error("manifest of tracker '{tracker}': {problem}")]
    BadManifest {
        /// The tracker.
        tracker: String,
        /// What is wrong, and where.
        problem: String,
    },
    /// This kernel, or these privileges, cannot run it.
    #[error("{0}")]
    Unsupported(String),
    /// A call to the kernel failed that should not.
    #[error("{doing}: {source}")]
    Kernel {
        /// What was being done.
        doing: String,
        /// What the kernel said.
        source: libbpf_rs::Error,
    },
    /// A system call failed that should not.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The reader thread has ended.
    #[error("the reader thread has ended")]
    ReaderGone,
}

impl Error {
    /// Whether another kernel or more privileges would help.
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Unsupported(_))
    }

    pub(crate) fn system(doing: &'static str) -> impl Fn(rustix::io::Errno) -> Self {
        move |e| Self::System { doing, source: e.into() }
    }
}

fn nearest(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!(" (did you mean {}?)", near.join(" or ")) }
}
