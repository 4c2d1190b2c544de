//! Which boot of the host this is.

use std::fs;

/// The kernel's id of this boot; empty where it does not say.
pub(crate) fn id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}
