//! What this kernel and these privileges allow, and what libbpf says when they do not.

use std::{cell::RefCell, fs, path::Path, sync::Once};

use libbpf_rs::{MapCore, PrintLevel, set_print};
use rustix::thread::{CapabilitySet, capabilities};

use crate::Error;

/// Lines kept of what libbpf prints about one failure.
const LOG_LINES: usize = 400;

thread_local! {
    static LOG: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Runs `f`, and where it fails adds what libbpf printed on this thread meanwhile.
pub(crate) fn capture_log<T>(f: impl FnOnce() -> libbpf_rs::Result<T>) -> Result<T, (libbpf_rs::Error, Vec<String>)> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        set_print(Some((PrintLevel::Info, keep)));
    });
    LOG.with_borrow_mut(|log| *log = Some(Vec::new()));
    let result = f();
    let log = LOG.with_borrow_mut(Option::take).unwrap_or_default();
    result.map_err(|e| (e, log))
}

fn keep(_: PrintLevel, line: String) {
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
            !l.is_empty() && !l.starts_with("--") && !l.starts_with("processed ") && !l.contains("LOAD LOG")
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
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    if version(&release).is_some_and(|v| v < (5, 8)) {
        return missing(&format!("kernel {} is too old: 5.8 is the first with BPF ring buffers", release.trim()));
    }
    let info = libbpf_rs::MapHandle::create(
        libbpf_rs::MapType::Array,
        Some("ethogram_check"),
        4,
        4,
        1,
        &libbpf_sys::bpf_map_create_opts {
            sz: size_of::<libbpf_sys::bpf_map_create_opts>() as _,
            ..Default::default()
        },
    )
    .and_then(|m| m.info().map(|_| ()));
    match info {
        Ok(()) => Ok(()),
        Err(e) => missing(&format!(
            "the kernel refuses to create a BPF map: {e}; run as root outside of a restricted container"
        )),
    }
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert_eq!(version("5.10.0-28-cloud-amd64"), Some((5, 10)));
        assert!(version("6.18.44") > version("6.9.1"));
        assert_eq!(version("nonsense"), None);
    }

    #[test]
    fn the_verifiers_last_word_is_the_reason() {
        let log: Vec<_> = [
            "-- BEGIN PROG LOAD LOG --",
            "0: R1=ctx()",
            "invalid access to packet",
            "processed 3 insns",
            "-- END PROG LOAD LOG --",
        ]
        .map(String::from)
        .into();
        let error = libbpf_rs::Error::from_raw_os_error(22);
        assert_eq!(explain(&error, &log), "the verifier says: invalid access to packet");
    }
}
