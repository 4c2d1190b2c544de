//! What the engine takes. An [`Input`] is also an entry of a recording: serialised it is one, and read back it is the input again.

use std::sync::Arc;

use ethogram_detect::{Decision, HabitCount};
use ethogram_model::{Event, Exec, Process, Users};
use serde::{Deserialize, Serialize};

use crate::containers::runtime::Resolution;

/// Rows of a list in one input. A longer list comes in several, so that an entry of a recording has a bounded size.
const ROWS: usize = 256;

/// All that the engine's result depends on. Times are nanoseconds since the Unix epoch.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Events in the order of their times. A recording has their records as they are: see [`crate::recording`].
    #[serde(skip)]
    Events(Vec<Event>),
    /// Some of the cgroups of the walk that follows: id, and absolute path within the hierarchy.
    Cgroups(Vec<(u64, String)>),
    /// A walk of the hierarchy is complete.
    Walk {
        /// Whether some of its cgroups are missing.
        cut: bool,
        /// When it began.
        started_ns: u64,
        /// When it was over.
        now_ns: u64,
    },
    /// Processes that ran before their trackers were attached.
    Processes(Vec<FoundProcess>),
    /// What a runtime answered about a container.
    Resolution(Resolution),
    /// The names of users and groups on the host.
    Users(Arc<Users>),
    /// What the kernel has counted of habits since the last time.
    Habits(Vec<HabitCount>),
    /// Events were lost since the last time.
    Lost,
    /// Time goes by.
    Tick(u64),
    /// Nothing more comes: what waits for a container's name goes on without.
    End(u64),
    /// A person decided how events are judged from here on.
    Decision(Decision),
}

/// A process as procfs shows it, its secrets masked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FoundProcess {
    /// Who it is.
    pub process: Process,
    /// What it runs.
    pub exec: Exec,
    /// The id of its cgroup.
    pub cgroup: u64,
    /// The pid of what leads its session.
    #[serde(default)]
    pub session: u32,
}

impl FoundProcess {
    /// Processes kept at most, and so of use at most.
    pub const LIMIT: usize = 65_536;
    /// A tick of the clock in which procfs counts start times, nanoseconds.
    pub const TICK_NS: u64 = 10_000_000;
}

impl Input {
    /// A list as inputs of a bounded size: `Input::rows(counts, Input::Habits)`.
    pub fn rows<T>(list: Vec<T>, make: fn(Vec<T>) -> Input) -> impl Iterator<Item = Input> {
        let mut rest = list.into_iter();
        std::iter::from_fn(move || {
            let some: Vec<T> = rest.by_ref().take(ROWS).collect();
            (!some.is_empty()).then(|| make(some))
        })
    }

    /// When the first and the last of it happened, where it says so.
    pub fn span_ns(&self) -> Option<(u64, u64)> {
        match self {
            Self::Events(batch) => Some((batch.first()?.time_ns, batch.last()?.time_ns)),
            Self::Walk { now_ns, .. } | Self::Tick(now_ns) | Self::End(now_ns) => Some((*now_ns, *now_ns)),
            _ => None,
        }
    }
}
