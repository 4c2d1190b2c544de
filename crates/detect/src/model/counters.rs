//! What the model did.

/// What the model did, each a count that only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModelCounters {
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
    /// New behaviours that surprise too little to raise an alert.
    pub unsurprising: u64,
    /// New behaviours that are not learnt, as who showed them is under an open alert.
    pub withheld: u64,
    /// Events of a container whose image is not known: neither learnt nor judged.
    pub unattributed: u64,
    /// Behaviours that did not fit into a profile: their operation is not judged any more.
    pub overflowed: u64,
    /// New behaviours that raised no alert of their own, since there are many: one stands for them.
    pub untold: u64,
    /// Profiles that made room for others.
    pub evicted: u64,
    /// Patterns of profiles that were not seen for long, and forgotten.
    pub forgotten: u64,
}
