//! A recording: all that the engine took, so that it can be taken again, anywhere, with the same result.
//!
//! One line of JSON, the [`Header`], says what the file is. Frames follow, each compressed and checked by itself, so that
//! what is written can be read at any time, also when the end is missing: see [`frame`]. In the frames are entries, which
//! frames never cut: see [`entry`]. docs/recording.md has the picture. Files are the agent's: here are only bytes.

pub mod conditions;
pub mod encode;
pub mod entry;
pub mod frame;
pub mod play;
pub mod read;

use serde::{Deserialize, Serialize};

pub use conditions::{Account, Conditions};
pub use encode::{Before, Chunk, Encoder};
pub use entry::Mark;
pub use play::{Played, Player};
pub use read::{Damage, Item, OpenError, Recorded};

/// What a recording is, in its first line. The result of a replay does not depend on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`Header::FORMAT`].
    pub format: String,
    /// [`Header::VERSION`] of the agent that wrote it.
    pub version: u32,
    /// The agent's version.
    pub agent: String,
    /// The host's kernel.
    pub kernel: String,
    /// The host's architecture.
    pub architecture: String,
    /// The kernel's id of this boot: pids and start times mean something within it only.
    pub boot_id: String,
    /// When it was begun, RFC 3339.
    pub begun: String,
    /// The same, nanoseconds since the Unix epoch.
    pub realtime_ns: u64,
    /// The same, nanoseconds since boot: the clock in the records themselves.
    pub boottime_ns: u64,
}

impl Header {
    /// What the first line begins with.
    pub const FORMAT: &str = "ethogram-recording";
    /// Raised when an older agent could not read it any more. Since 3 an entry that is no input has a kind of its own; since 4
    /// events may have answers of rules' tests; since 5 behaviours may be such as only many events show.
    pub const VERSION: u32 = 5;
    /// Bytes of the line at most.
    pub const MAX_LINE: u64 = 16 << 10;
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]
mod tests;
