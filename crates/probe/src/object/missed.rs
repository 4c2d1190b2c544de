//! Calls that the kernel did not run a program for, because one was already running on that CPU or, of return probes,
//! because too many calls were under way. Only the kernel sees them, and only its own counts show them.

use std::os::fd::{AsRawFd, BorrowedFd};

use libbpf_rs::{
    Link,
    query::{LinkTypeInfo, PerfEventType},
};
use libbpf_sys::{bpf_obj_get_info_by_fd, bpf_prog_info};

/// How often a program was passed over, since it was loaded. Zero on kernels before 5.12, which do not count it.
pub(crate) fn by_program(program: BorrowedFd<'_>) -> u64 {
    // SAFETY: the struct is plain numbers, for which zero is a value.
    let mut info: bpf_prog_info = unsafe { std::mem::zeroed() };
    let mut size = size_of::<bpf_prog_info>() as u32;
    // SAFETY: the kernel writes at most `size` bytes to `info`, which lives as long as the call.
    let failed = unsafe { bpf_obj_get_info_by_fd(program.as_raw_fd(), (&raw mut info).cast(), &raw mut size) };
    if failed == 0 { info.recursion_misses } else { 0 }
}

/// How many returns a link's probes missed. Zero on kernels before 6.7, which do not count it.
pub(crate) fn by_link(link: &Link) -> u64 {
    match link.info().map(|info| info.info) {
        Ok(LinkTypeInfo::KprobeMulti(multi)) => multi.missed,
        Ok(LinkTypeInfo::PerfEvent(event)) => match event.event_type {
            PerfEventType::Kprobe { missed, .. } => missed,
            _ => 0,
        },
        _ => 0,
    }
}
