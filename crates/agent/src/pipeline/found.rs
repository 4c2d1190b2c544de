//! Processes that were there before the agent, as procfs shows them.

use std::path::Path;

use ethogram_engine::FoundProcess;
use ethogram_model::{Exec, script};
use procfs::process::Process;
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

/// Arguments kept of a process, in bytes over all.
const MAX_ARGS: usize = 4096;

/// All processes that procfs shows, parents before their children. `cgroup` gives the id of a process's cgroup.
pub(crate) fn found(cgroup: impl Fn(&Process) -> Option<u64>) -> Vec<FoundProcess> {
    let Ok(all) = procfs::process::all_processes() else { return Vec::new() };
    let mut found: Vec<_> = all.flatten().filter_map(|p| read(&p, &cgroup)).take(FoundProcess::LIMIT).collect();
    found.sort_by_key(|f| f.process.start_ns);
    found
}

fn read(process: &Process, cgroup: impl Fn(&Process) -> Option<u64>) -> Option<FoundProcess> {
    let stat = process.stat().ok()?;
    let pid = u32::try_from(stat.pid).ok()?;
    let terminal = terminal(stat.tty_nr());
    // Secrets are masked by the engine, once rules have tested them.
    let mut args = process.cmdline().unwrap_or_default().join("\0").into_bytes();
    args.truncate(MAX_ARGS);
    let args = args.split(|b| *b == 0).map(|a| String::from_utf8_lossy(a).into_owned()).collect();
    let text = |path: procfs::ProcResult<std::path::PathBuf>| path.map(|p| p.to_string_lossy().into_owned());
    let path = text(process.exe()).unwrap_or_default();
    let file = file(pid);
    let in_memory = file.is_unlinked && path.starts_with("/memfd:");
    let mut exec = Exec {
        pid,
        name: stat.comm,
        args,
        working_directory: text(process.cwd()).unwrap_or_default(),
        terminal,
        in_memory,
        is_unlinked: file.is_unlinked,
        file_modified_ns: file.modified_ns,
        file_changed_ns: file.changed_ns,
        mount_namespace: mount_namespace(pid),
        path,
        ..Exec::default()
    };
    exec.script = script::of(&exec).unwrap_or_default();
    let status = process.status().ok();
    let own_number = status.as_ref().and_then(|s| s.nspid.as_ref()?.last().copied());
    let found = ethogram_model::Process {
        pid,
        start_ns: stat.starttime * FoundProcess::TICK_NS,
        parent_pid: u32::try_from(stat.ppid).unwrap_or(0),
        user_id: status.as_ref().map_or(0, |s| s.ruid),
        group_id: status.as_ref().map_or(0, |s| s.rgid),
        login_user_id: process.loginuid().ok().filter(|id| *id != u32::MAX),
        namespace_pid: own_number.and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0),
        is_group_leader: stat.pgrp == stat.pid,
        ..ethogram_model::Process::default()
    };
    let cgroup = cgroup(process).unwrap_or(0);
    let session = u32::try_from(stat.session).unwrap_or(0);
    Some(FoundProcess { process: found, exec, cgroup, session, answers: None })
}

/// What is asked of a process's file.
#[derive(Default)]
struct File {
    modified_ns: u64,
    changed_ns: u64,
    /// Whether it has no name in any directory.
    is_unlinked: bool,
}

/// As the kernel knows it by now: a container's own file system, such as FUSE, is not asked, and cannot make us wait.
fn file(pid: u32) -> File {
    let exe = Path::new("/proc").join(pid.to_string()).join("exe");
    let wanted = StatxFlags::MTIME | StatxFlags::CTIME | StatxFlags::NLINK;
    let Ok(stat) = statx(CWD, &exe, AtFlags::STATX_DONT_SYNC, wanted) else { return File::default() };
    let ns = |s: i64, ns: u32| u64::try_from(s).unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(ns.into());
    File {
        modified_ns: ns(stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
        changed_ns: ns(stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec),
        is_unlinked: stat.stx_nlink == 0,
    }
}

/// The inode of its mount namespace; zero where it has ended.
fn mount_namespace(pid: u32) -> u32 {
    let link = Path::new("/proc").join(pid.to_string()).join("ns/mnt");
    let stat = statx(CWD, &link, AtFlags::STATX_DONT_SYNC, StatxFlags::INO);
    stat.ok().and_then(|stat| u32::try_from(stat.stx_ino).ok()).unwrap_or(0)
}

/// The kernel's name of a terminal, from its device number; empty where there is none.
fn terminal((major, minor): (i32, i32)) -> String {
    match (major, minor) {
        (4, 0..64) => format!("tty{minor}"),
        (4, _) => format!("ttyS{}", minor - 64),
        (136..=143, _) => format!("pts{}", (major - 136) * 256 + minor),
        _ => String::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{
        os::unix::{fs::MetadataExt, process::CommandExt},
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn procfs_shows_what_an_exec_would_have() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("/bin/sleep");
        command.arg("60").process_group(0).current_dir(folder.path()).stdin(Stdio::null());
        let mut child = command.spawn().unwrap();
        let all = found(|process| Some(process.pid as u64 + 1));
        child.kill().unwrap();
        child.wait().unwrap();
        let of = |pid: u32| all.iter().find(|f| f.process.pid == pid).unwrap();
        let (child, own) = (of(child.id()), of(std::process::id()));
        assert_eq!((child.process.parent_pid, child.cgroup), (own.process.pid, u64::from(child.process.pid) + 1));
        assert_eq!(child.exec.working_directory, folder.path().to_str().unwrap());
        assert_eq!(child.session, own.session);
        assert!(child.process.is_group_leader);
        let file = std::fs::metadata("/bin/sleep").unwrap();
        assert_eq!(child.exec.file_modified_ns, (file.mtime() * 1_000_000_000 + file.mtime_nsec()) as u64);
        assert!(child.exec.file_changed_ns >= child.exec.file_modified_ns && !child.exec.in_memory);
        assert!(child.process.namespace_pid > 0);
        let namespace = std::fs::metadata("/proc/self/ns/mnt").unwrap().ino();
        assert_eq!(u64::from(child.exec.mount_namespace), namespace);
        assert_eq!(child.process.group_id, rustix::process::getgid().as_raw());
    }

    #[test]
    fn terminals_have_the_names_that_the_kernel_gives_them() {
        for (device, name) in
            [((136, 0), "pts0"), ((137, 1), "pts257"), ((4, 1), "tty1"), ((4, 64), "ttyS0"), ((0, 0), "")]
        {
            assert_eq!(terminal(device), name);
        }
    }
}
