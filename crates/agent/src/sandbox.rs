//! What the agent gives up before it begins: capabilities, new privileges, and system calls that it never makes. An
//! attacker who takes it over by a defect has no more than it needs.

pub(crate) mod calls;

use rustix::{
    io::Errno,
    thread::{
        CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
        remove_capability_from_bounding_set, set_capabilities, set_capabilities_secure_bits, set_no_new_privs,
    },
};

/// What it needs as long as it runs, as trackers and responses start at any time: to load and attach programs, to read what
/// others own, to freeze and kill, and to listen on any port.
const NEEDED: CapabilitySet = CapabilitySet::BPF
    .union(CapabilitySet::PERFMON)
    .union(CapabilitySet::NET_ADMIN)
    // The addresses of the kernel's functions.
    .union(CapabilitySet::SYSLOG)
    // Locked memory, in which maps count before 5.11.
    .union(CapabilitySet::SYS_RESOURCE)
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    // A cgroup that was given to a user is that user's, and so may be the store's folder.
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::NET_BIND_SERVICE);

/// Gives it up for this thread and all that it starts: so this comes before any other thread. Each part is worth something
/// without the others: what the system refuses is a warning.
pub(crate) fn enter() {
    if let Err(error) = set_no_new_privs(true) {
        tracing::warn!("programs could get new privileges: {error}");
    }
    if let Err(error) = drop_capabilities() {
        tracing::warn!("capabilities that are not needed stay: {error}");
    }
    if let Err(error) = calls::forbid() {
        tracing::warn!("system calls that are never made stay allowed: {error}");
    }
}

/// What is kept of the capabilities that are held.
pub(crate) fn kept(held: CapabilitySet) -> CapabilitySet {
    // Before 5.8, and where it was not given what became of it since, this does what the first two do.
    let is_modern = held.contains(CapabilitySet::BPF | CapabilitySet::PERFMON);
    held & if is_modern { NEEDED } else { NEEDED | CapabilitySet::SYS_ADMIN }
}

fn drop_capabilities() -> rustix::io::Result<()> {
    let held = capabilities(None)?;
    let kept = kept(held.permitted);
    if held.effective.contains(CapabilitySet::SETPCAP) {
        for number in 0..u64::BITS {
            let one = CapabilitySet::from_bits_retain(1 << number);
            // Those above the last that the kernel knows are refused.
            if !kept.contains(one) && remove_capability_from_bounding_set(one) == Err(Errno::INVAL) {
                break;
            }
        }
        set_capabilities_secure_bits(
            CapabilitiesSecureBits::NO_ROOT
                | CapabilitiesSecureBits::NO_ROOT_LOCKED
                | CapabilitiesSecureBits::NO_SETUID_FIXUP
                | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
                | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
                | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
                | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED,
        )?;
    }
    clear_ambient_capability_set()?;
    let effective = held.effective & kept;
    set_capabilities(None, CapabilitySets { effective, permitted: kept, inheritable: CapabilitySet::empty() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{fs, process::Command, thread};

    use rustix::thread::no_new_privs;

    use super::*;

    #[test]
    fn what_a_newer_kernel_split_off_is_kept_in_place_of_all() {
        let all = CapabilitySet::all();
        assert!(kept(all).contains(CapabilitySet::BPF | CapabilitySet::KILL));
        for gone in [CapabilitySet::SYS_ADMIN, CapabilitySet::SYS_MODULE, CapabilitySet::SETPCAP, CapabilitySet::MKNOD]
        {
            assert!(!kept(all).contains(gone), "{gone:?}");
        }
        let older = CapabilitySet::SYS_ADMIN | CapabilitySet::SYS_MODULE | CapabilitySet::SYS_PTRACE;
        assert_eq!(kept(older), CapabilitySet::SYS_ADMIN | CapabilitySet::SYS_PTRACE);
        assert_eq!(kept(CapabilitySet::empty()), CapabilitySet::empty());
    }

    /// What a thread gives up, its test process keeps.
    #[test]
    fn a_thread_and_those_that_it_starts_have_only_what_is_needed() {
        let held = capabilities(None).unwrap();
        let within = thread::spawn(move || {
            enter();
            thread::spawn(move || {
                let now = capabilities(None).unwrap();
                assert_eq!(now.permitted, kept(held.permitted));
                assert_eq!((now.effective, now.inheritable), (held.effective & now.permitted, CapabilitySet::empty()));
                assert!(no_new_privs().unwrap());
                let run = Command::new("/bin/true").status();
                assert_eq!(run.unwrap_err().raw_os_error(), Some(Errno::PERM.raw_os_error()));
                let status = fs::read_to_string("/proc/thread-self/status").unwrap();
                assert!(status.contains("\nSeccomp:\t2\n"), "{status}");
            })
            .join()
        });
        within.join().unwrap().unwrap();
        assert!(Command::new("/bin/true").status().unwrap().success());
        assert_eq!(capabilities(None).unwrap(), held);
    }
}
