//! The cgroups of a hierarchy, as a walk of its directories finds them.

use std::collections::BTreeMap;

/// The cgroups found by one walk.
#[derive(Debug, Default)]
pub struct Walk {
    /// Id and absolute path within the hierarchy, parents before their children.
    pub cgroups: Vec<(u64, String)>,
    /// The user that each cgroup, or one above it, belongs to, where that is not root.
    pub owners: BTreeMap<u64, u32>,
    /// Whether there were more than [`Walk::LIMIT`], or nested deeper than [`Walk::MAX_DEPTH`].
    pub cut: bool,
}

impl Walk {
    /// Cgroups a walk returns at most.
    pub const LIMIT: usize = 65_536;
    /// How deep it goes, in directories.
    pub const MAX_DEPTH: usize = 64;
}
