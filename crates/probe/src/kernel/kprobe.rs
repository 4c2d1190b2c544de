//! A probe on the return of a kernel function, by the function's address: by its name, kernels before 6.2 go through all of their
//! symbols three times for each.

use std::{
    fs, io,
    os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd},
    sync::OnceLock,
};

use libbpf_rs::{Link, ProgramMut};
use libbpf_sys::perf_event_attr;

use super::symbols::Symbols;

/// PERF_FLAG_FD_CLOEXEC of the kernel's uapi.
const CLOSE_ON_EXEC: libc::c_ulong = 1 << 3;

/// How the kernel numbers such probes: the type of their events, and what of its configuration says that one is of a return.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    event: u32,
    of_return: u64,
}

/// Attaches a program to the return of a function behind a system call. None where only its name can be tried.
pub(crate) fn attach_return(program: &ProgramMut<'_>, function: &str) -> Option<Link> {
    let address = *Symbols::of_kernel().system_calls.get(function).filter(|address| **address != 0)?;
    let event = open((*numbers())?, address).ok()?;
    let link = program.attach_perf_event(event.as_raw_fd()).ok()?;
    // The link closes it.
    _ = event.into_raw_fd();
    Some(link)
}

fn open(numbers: Numbers, address: u64) -> io::Result<OwnedFd> {
    let mut attributes = perf_event_attr {
        type_: numbers.event,
        size: size_of::<perf_event_attr>() as u32,
        config: numbers.of_return,
        ..Default::default()
    };
    // No name, and so an address.
    attributes.__bindgen_anon_4.kprobe_addr = address;
    let (any_process, first_cpu, no_group) = (-1, 0, -1);
    // SAFETY: the attributes outlive the call, and their size is theirs.
    let event = unsafe {
        libc::syscall(libc::SYS_perf_event_open, &raw const attributes, any_process, first_cpu, no_group, CLOSE_ON_EXEC)
    };
    if event < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that is not negative was just opened for us and has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(event as RawFd) })
}

fn numbers() -> &'static Option<Numbers> {
    static NUMBERS: OnceLock<Option<Numbers>> = OnceLock::new();
    NUMBERS.get_or_init(|| {
        let read = |file: &str| fs::read_to_string(format!("/sys/bus/event_source/devices/kprobe/{file}")).ok();
        let event = read("type")?.trim().parse().ok()?;
        let bit: u32 = read("format/retprobe")?.trim().strip_prefix("config:")?.parse().ok()?;
        Some(Numbers { event, of_return: 1u64.checked_shl(bit)? })
    })
}
