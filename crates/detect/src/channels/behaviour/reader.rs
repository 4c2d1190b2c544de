//! Which of a program's processes reads a secret.

use ethogram_model::Event;

/// Which of a program's processes did something. A server reads its keys as it starts; those that it forks serve others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// One of which that is not known, or does not matter.
    Any,
    /// The one that was started to run it.
    Main,
    /// One that this has forked, while it goes on itself.
    Forked,
}

impl Reader {
    pub(super) fn of(event: &Event) -> Self {
        match event.context.process.as_deref() {
            // It began before the agent, which may not know by whom.
            None => Self::Any,
            Some(process) if process.exec.called_ns == 0 => Self::Any,
            Some(process) if process.pid == process.exec.pid => Self::Main,
            // A server that forks itself to run in the background is the child of another from then on.
            Some(process) if event.header().parent_pid == process.exec.pid => Self::Forked,
            Some(_) => Self::Any,
        }
    }
}
