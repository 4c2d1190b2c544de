//! How the model learns, its bounds, and what it did.

/// How the model learns, and its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a workload is learnt before it is judged, nanoseconds.
    pub learning_period_ns: u64,
    /// How many alerts a day new behaviour may lead to on this host, those that are grave not counted.
    pub alerts_per_day: u32,
    /// After how long a behaviour that is not seen any more is forgotten, nanoseconds.
    pub forget_after_ns: u64,
    /// Whether nothing is learnt: a workload is judged by the profile that it has, and one that has none is told.
    pub is_locked: bool,
    /// Whether behaviours that are usual are counted where they come from, and not judged again and again.
    pub habituation: bool,
    /// Profiles held; the one unseen for longest makes room for a new one.
    pub max_profiles: usize,
    /// Patterns a profile holds; beyond, paths are given up for their directories.
    pub max_entries: usize,
    /// Bytes a profile takes, likewise.
    pub max_bytes: usize,
    /// Behaviours of one profile that are told; further ones are counted.
    pub max_alerts: usize,
    /// Behaviours of one executable and operation that are told each by itself, unless they are grave.
    pub alerts_per_executable: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            learning_period_ns: 24 * 3_600_000_000_000,
            alerts_per_day: 1,
            forget_after_ns: 30 * 24 * 3_600_000_000_000,
            is_locked: false,
            habituation: false,
            max_profiles: 1_024,
            max_entries: 4_096,
            max_bytes: 1 << 20,
            max_alerts: 1_024,
            alerts_per_executable: 16,
        }
    }
}

/// What the model did, each a count that only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Behaviours added to a profile.
    pub learnt: u64,
    /// Behaviours that a profile held.
    pub known: u64,
    /// Of these, such as were counted where they came from, and not judged.
    pub habitual: u64,
    /// Findings made.
    pub findings: u64,
    /// Behaviours that belong to a finding made before.
    pub repeated: u64,
    /// New behaviours that surprise too little to be told.
    pub unsurprising: u64,
    /// New behaviours that are not learnt, as who showed them is under an open alert.
    pub withheld: u64,
    /// Events of a container whose image is not known: neither learnt nor judged.
    pub unattributed: u64,
    /// Behaviours that did not fit into a profile: their operation is not judged any more.
    pub overflowed: u64,
    /// New behaviours that were not told, since the workload has too many alerts.
    pub untold: u64,
    /// Profiles that made room for others.
    pub evicted: u64,
    /// Patterns of profiles that were not seen for long, and forgotten.
    pub forgotten: u64,
}
