//! What this kernel and these privileges allow, and what libbpf says when they do not.

pub(crate) mod abilities;
pub(crate) mod cgroup;
pub(crate) mod kprobe;
mod print;
pub(crate) mod symbols;
pub(crate) mod syscalls;
pub(crate) mod types;

use std::{cell::RefCell, fs, path::Path, sync::Once};

use libbpf_rs::{ErrorKind, MapHandle, MapType};
use rustix::thread::{CapabilitySet, capabilities};

use crate::Error;

/// Lines kept of what libbpf prints about one failure.
const LOG_LINES: usize = 400;

/// A ring's size is a multiple of the page size, which is at most this on every architecture.
const LARGEST_PAGE: u32 = 1 << 16;
/// How the lines begin in which the verifier says what its work was, whatever its verdict.
const STATISTICS: [&str; 3] = ["processed ", "stack depth ", "verification time "];

thread_local! {
    static LOG: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Runs `f`, and where it fails adds what libbpf printed on this thread meanwhile.
pub(crate) fn capture_log<T>(f: impl FnOnce() -> libbpf_rs::Result<T>) -> Result<T, (libbpf_rs::Error, Vec<String>)> {
    static ONCE: Once = Once::new();
    ONCE.call_once(print::redirect);
    LOG.with_borrow_mut(|log| *log = Some(Vec::new()));
    let result = f();
    let log = LOG.with_borrow_mut(Option::take).unwrap_or_default();
    result.map_err(|e| (e, log))
}

pub(crate) fn keep(line: &str) {
    LOG.with_borrow_mut(|log| {
        if let Some(log) = log
            && log.len() < LOG_LINES
        {
            log.push(line.trim().to_owned());
        }
    });
}

/// One line that says why the kernel refused: the verifier's last word, or the first thing that libbpf missed.
pub(crate) fn explain(error: &libbpf_rs::Error, log: &[String]) -> String {
    let text = log.join("\n");
    if let Some(start) = text.find("BEGIN PROG LOAD LOG") {
        let body = text[start..].split("END PROG LOAD LOG").next().unwrap_or_default();
        let said = body.lines().rev().find(|l| {
            let l = l.trim();
            let is_statistics = STATISTICS.iter().any(|s| l.starts_with(s));
            !l.is_empty() && !l.starts_with("--") && !l.contains("LOAD LOG") && !is_statistics
        });
        if let Some(said) = said {
            return format!("the verifier says: {}", said.trim());
        }
    }
    let telling = ["failed to find", "not found", "failed to load", "failed to create", "failed to attach", "failed"];
    let line = telling.iter().find_map(|t| log.iter().find(|l| l.contains(t)));
    match line {
        Some(line) => line.trim_start_matches("libbpf: ").to_owned(),
        None => error.to_string(),
    }
}

/// Checks that this kernel and these privileges can run trackers at all.
///
/// # Errors
/// One line that says what is missing and what to do.
pub fn check_kernel() -> Result<(), Error> {
    let missing = |what: &str| Err(Error::Unsupported(what.into()));
    let held = capabilities(None).map(|c| c.effective).unwrap_or(CapabilitySet::empty());
    let enough = held.contains(CapabilitySet::SYS_ADMIN)
        || held.contains(CapabilitySet::BPF | CapabilitySet::PERFMON | CapabilitySet::DAC_READ_SEARCH);
    if !enough {
        return missing(
            "no permission to load BPF programs: run as root, or with CAP_BPF, CAP_PERFMON and CAP_DAC_READ_SEARCH",
        );
    }
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        return missing(
            "this kernel has no BTF (/sys/kernel/btf/vmlinux is missing): it needs CONFIG_DEBUG_INFO_BTF=y",
        );
    }
    make_ring().map_err(|error| {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Error::Unsupported(no_ring(release.trim(), &error))
    })
}

/// Tries what every tracker needs. The kernel's version would not show it: some distributions carry it in older ones.
fn make_ring() -> libbpf_rs::Result<()> {
    let options =
        libbpf_sys::bpf_map_create_opts { sz: size_of::<libbpf_sys::bpf_map_create_opts>() as _, ..Default::default() };
    MapHandle::create(MapType::RingBuf, Some("ethogram_check"), 0, 0, LARGEST_PAGE, &options).map(|_| ())
}

fn no_ring(release: &str, error: &libbpf_rs::Error) -> String {
    match error.kind() {
        ErrorKind::InvalidInput => {
            format!("kernel {release} is too old: it has no BPF ring buffers, which came with 5.8")
        }
        _ => format!(
            "kernel {release} refuses to create a BPF ring buffer: {error}; run as root outside of a restricted container"
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_kernel_without_ring_buffers_is_distinguished_from_one_that_forbids_them() {
        let without = no_ring("4.18.0", &libbpf_rs::Error::from_raw_os_error(22));
        assert!(without.starts_with("kernel 4.18.0 is too old"), "{without}");
        let forbids = no_ring("6.1.0", &libbpf_rs::Error::from_raw_os_error(1));
        assert!(forbids.starts_with("kernel 6.1.0 refuses") && forbids.contains("run as root"), "{forbids}");
    }

    #[test]
    fn this_kernel_has_what_the_tests_need() {
        make_ring().unwrap();
        check_kernel().unwrap();
    }

    #[test]
    fn the_verifiers_last_word_is_the_reason() {
        let log: Vec<_> = [
            "-- BEGIN PROG LOAD LOG --",
            "0: R1=ctx()",
            "invalid access to packet",
            "verification time 12 usec",
            "stack depth 0+0",
            "processed 3 insns",
            "-- END PROG LOAD LOG --",
        ]
        .map(String::from)
        .into();
        let error = libbpf_rs::Error::from_raw_os_error(22);
        assert_eq!(explain(&error, &log), "the verifier says: invalid access to packet");
    }
}
