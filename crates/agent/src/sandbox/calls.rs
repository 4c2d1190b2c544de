//! System calls that the agent never makes, and that an attacker in it would make next: to run a program, to look into
//! another process, to change mounts, modules, clocks or the kernel itself. The kernel refuses them.

use std::{collections::BTreeMap, env::consts::ARCH};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
use syscalls::Sysno;

/// Those of all architectures.
const FORBIDDEN: [Sysno; 52] = [
    // Other programs, and other processes.
    Sysno::execve,
    Sysno::execveat,
    Sysno::ptrace,
    Sysno::process_vm_readv,
    Sysno::process_vm_writev,
    Sysno::process_madvise,
    Sysno::pidfd_getfd,
    Sysno::kcmp,
    // Other users, and other namespaces.
    Sysno::setuid,
    Sysno::setgid,
    Sysno::setreuid,
    Sysno::setregid,
    Sysno::setresuid,
    Sysno::setresgid,
    Sysno::setfsuid,
    Sysno::setfsgid,
    Sysno::setgroups,
    Sysno::setns,
    Sysno::unshare,
    Sysno::chroot,
    Sysno::pivot_root,
    // Mounts and devices.
    Sysno::mount,
    Sysno::umount2,
    Sysno::move_mount,
    Sysno::open_tree,
    Sysno::fsopen,
    Sysno::fsconfig,
    Sysno::fsmount,
    Sysno::fspick,
    Sysno::mount_setattr,
    Sysno::mknodat,
    Sysno::open_by_handle_at,
    Sysno::swapon,
    Sysno::swapoff,
    Sysno::quotactl,
    Sysno::acct,
    // The kernel, and the machine.
    Sysno::init_module,
    Sysno::finit_module,
    Sysno::delete_module,
    Sysno::kexec_load,
    Sysno::kexec_file_load,
    Sysno::reboot,
    Sysno::settimeofday,
    Sysno::clock_settime,
    Sysno::adjtimex,
    Sysno::clock_adjtime,
    Sysno::sethostname,
    Sysno::setdomainname,
    // What is used to attack the kernel more than for anything else.
    Sysno::userfaultfd,
    Sysno::io_uring_setup,
    Sysno::keyctl,
    Sysno::add_key,
];

#[cfg(target_arch = "x86_64")]
const FORBIDDEN_HERE: [Sysno; 5] = [Sysno::iopl, Sysno::ioperm, Sysno::modify_ldt, Sysno::mknod, Sysno::uselib];
#[cfg(not(target_arch = "x86_64"))]
const FORBIDDEN_HERE: [Sysno; 0] = [];

/// The bit of calls with pointers of 32 bits, which some kernels take beside their own.
const X32: i64 = 0x4000_0000;
/// Those that have another number there.
const X32_ONLY: [i64; 6] = [520, 521, 528, 539, 540, 545];

/// Why they stay allowed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotForbidden(String);

/// How many the kernel refuses.
pub(crate) fn count() -> usize {
    FORBIDDEN.len() + FORBIDDEN_HERE.len()
}

/// Has the kernel refuse them, to this thread and all that it starts. It needs to have given up new privileges.
///
/// # Errors
/// Where the kernel has no filters of system calls, or does not take this one.
pub(super) fn forbid() -> Result<(), NotForbidden> {
    let failed = |error: seccompiler::Error| NotForbidden(error.to_string());
    apply_filter(&filter()?).map_err(failed)
}

fn filter() -> Result<BpfProgram, NotForbidden> {
    let failed = |error: seccompiler::BackendError| NotForbidden(error.to_string());
    let own = FORBIDDEN.iter().chain(&FORBIDDEN_HERE).map(|call| i64::from(call.id()));
    let all: Vec<i64> = match ARCH {
        "x86_64" => own.flat_map(|call| [call, call | X32]).chain(X32_ONLY.map(|call| call | X32)).collect(),
        _ => own.collect(),
    };
    let rules: BTreeMap<i64, Vec<_>> = all.into_iter().map(|call| (call, Vec::new())).collect();
    let refuse = SeccompAction::Errno(rustix::io::Errno::PERM.raw_os_error().unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, ARCH.try_into().map_err(failed)?);
    filter.and_then(TryInto::try_into).map_err(failed)
}
