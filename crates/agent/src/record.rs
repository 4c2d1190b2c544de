//! A recording: all that the engine took, so that it can be taken again, anywhere, with the same result.
//!
//! One line of JSON, the [`Header`], says what the file is. Frames follow, each compressed and checked by itself, so that
//! what is written can be read at any time, also when the end is missing: see [`frame`]. In the frames are entries, which
//! frames never cut: see [`entry`]. docs/recording.md has the picture.

mod disk;
mod entry;
mod frame;
mod play;
mod read;
mod write;

use std::fs;

use ethogram_model::render;
use rustix::time::{ClockId, Timespec, clock_gettime};
use serde::{Deserialize, Serialize};

pub(crate) use entry::{Account, Conditions};
pub(crate) use play::{Played, Player};
pub(crate) use read::{Damage, OpenError};
pub(crate) use write::{Before, Recorder, Recording, Totals};

/// What a recording is, for whoever looks at its first line. The result of a replay does not depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// [`Header::FORMAT`].
    pub(crate) format: String,
    /// [`Header::VERSION`] of the agent that wrote it.
    pub(crate) version: u32,
    /// The agent's version.
    pub(crate) agent: String,
    /// The host's kernel.
    pub(crate) kernel: String,
    /// The host's architecture.
    pub(crate) architecture: String,
    /// The kernel's id of this boot: pids and start times mean something within it only.
    pub(crate) boot_id: String,
    /// When it was begun, RFC 3339.
    pub(crate) begun: String,
    /// The same, nanoseconds since the Unix epoch.
    pub(crate) realtime_ns: u64,
    /// The same, nanoseconds since boot: the clock in the records themselves.
    pub(crate) boottime_ns: u64,
}

impl Header {
    pub(crate) const FORMAT: &str = "ethogram-recording";
    /// Raised when an older agent could not read it any more.
    pub(crate) const VERSION: u32 = 2;
    /// Bytes of the line at most.
    const MAX_LINE: u64 = 16 << 10;

    /// For a recording that begins now on this host.
    fn now() -> Self {
        let read = |path: &str| fs::read_to_string(path).map(|t| t.trim().to_owned()).unwrap_or_default();
        let realtime_ns = nanoseconds(clock_gettime(ClockId::Realtime));
        Self {
            format: Header::FORMAT.into(),
            version: Header::VERSION,
            agent: env!("CARGO_PKG_VERSION").into(),
            kernel: read("/proc/sys/kernel/osrelease"),
            architecture: std::env::consts::ARCH.into(),
            boot_id: read("/proc/sys/kernel/random/boot_id"),
            begun: render::rfc3339(realtime_ns),
            realtime_ns,
            boottime_ns: nanoseconds(clock_gettime(ClockId::Boottime)),
        }
    }
}

fn nanoseconds(time: Timespec) -> u64 {
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
