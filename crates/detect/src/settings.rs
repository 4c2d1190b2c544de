//! How the model learns, and its bounds.

/// How the model learns, and its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a workload is learnt before it is judged, nanoseconds.
    pub learning_period_ns: u64,
    /// How many incidents a day of medium severity and above ordinary life of a host may lead to, and how many alerts a day that
    /// of a workload. Those with a part of high severity and above do not count.
    pub incidents_per_day: u32,
    /// Bytes that open incidents and what connects them take; beyond, the weakest become summaries, and then go.
    pub incident_bytes: usize,
    /// After how long a behaviour that is not seen any more is forgotten, nanoseconds.
    pub forget_after_ns: u64,
    /// Whether nothing is learnt: a workload is judged by the profile that it has, and one that has none raises an alert.
    pub is_locked: bool,
    /// Whether behaviours that are usual are counted where they come from, and not judged again and again.
    pub habituation: bool,
    /// Profiles held; the one unseen for longest makes room for a new one.
    pub max_profiles: usize,
    /// Patterns a profile holds; beyond, paths are given up for their directories.
    pub max_entries: usize,
    /// Bytes a profile takes, likewise.
    pub max_bytes: usize,
    /// Behaviours of one profile that raise an alert each, and again so many of high severity; further ones share one for each operation.
    pub max_alerts: usize,
    /// Behaviours of one executable and operation that raise an alert each; further ones share one, unless they are of high severity.
    pub alerts_per_executable: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            learning_period_ns: 24 * 3_600_000_000_000,
            incidents_per_day: 1,
            incident_bytes: 4 << 20,
            forget_after_ns: 30 * 24 * 3_600_000_000_000,
            is_locked: false,
            habituation: false,
            max_profiles: 1_024,
            max_entries: 4_096,
            max_bytes: 1 << 20,
            max_alerts: 256,
            alerts_per_executable: 16,
        }
    }
}
