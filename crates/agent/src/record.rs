//! Recordings as files: the engine's inputs, encoded by [`ethogram_engine::recording`], compressed and written by a thread.

mod disk;
mod write;

use std::fs;

use ethogram_engine::recording::Header;
use ethogram_model::render;
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::boot;

pub(crate) use write::{Recorder, Recording, Totals};

/// The first line of a recording that begins now on this host.
fn header() -> Header {
    let read = |path: &str| fs::read_to_string(path).map(|t| t.trim().to_owned()).unwrap_or_default();
    let realtime_ns = nanoseconds(clock_gettime(ClockId::Realtime));
    Header {
        format: Header::FORMAT.into(),
        version: Header::VERSION,
        agent: env!("CARGO_PKG_VERSION").into(),
        kernel: read("/proc/sys/kernel/osrelease"),
        architecture: std::env::consts::ARCH.into(),
        boot_id: boot::id(),
        begun: render::rfc3339(realtime_ns),
        realtime_ns,
        boottime_ns: nanoseconds(clock_gettime(ClockId::Boottime)),
    }
}

fn nanoseconds(time: Timespec) -> u64 {
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}
