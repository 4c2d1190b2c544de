//! Killing processes, and never others that bear their number by now.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use super::record::Refused;

/// procfs counts start times in hundredths of a second.
const TICK_NS: u64 = 10_000_000;
/// How long a process may take to end.
const PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// Processes of a container that are listed; a container has fewer, or is killed in several rounds.
const MAX_MEMBERS: usize = 65_536;
/// How deep cgroups are followed.
const MAX_DEPTH: usize = 16;

/// Kills the process of that number and start time, and waits for its end.
pub(super) fn kill(pid: u32, start_ns: u64, killed: impl FnOnce()) -> Result<(), Refused> {
    const GONE: Refused = Refused::Gone("the process had ended");
    // Opened first: were the number given to another afterwards, the descriptor would still mean this one.
    let process = open(pid).map_err(|e| if e == Errno::SRCH { GONE } else { Refused::Failed(e.to_string()) })?;
    let started = start_of(pid).ok_or(GONE)?;
    if started != start_ns / TICK_NS {
        return Err(Refused::Gone("the process had ended, and its number is another's"));
    }
    match pidfd_send_signal(&process, Signal::KILL) {
        Ok(()) => killed(),
        Err(Errno::SRCH) => return Err(GONE),
        Err(error) => return Err(Refused::Failed(format!("killing process {pid}: {error}"))),
    }
    match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&PATIENCE)) {
        Ok(1..) => Ok(()),
        _ => {
            Err(Refused::Failed("it was sent the signal and does not end: it is frozen, or waits for a device".into()))
        }
    }
}

/// Kills a process as long as it is in the cgroup of that directory.
pub(super) fn kill_in(pid: u32, cgroup: &Path) -> io::Result<()> {
    let process = open(pid)?;
    if members(cgroup).contains(&pid) {
        pidfd_send_signal(&process, Signal::KILL)?;
    }
    Ok(())
}

/// The processes in a cgroup and in those below it.
pub(super) fn members(cgroup: &Path) -> Vec<u32> {
    let mut found = Vec::new();
    let mut open: Vec<(PathBuf, usize)> = vec![(cgroup.to_owned(), 0)];
    while let Some((directory, depth)) = open.pop() {
        let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
        found.extend(text.lines().filter_map(|l| l.parse::<u32>().ok()).filter(|pid| *pid > 1));
        if found.len() >= MAX_MEMBERS || depth >= MAX_DEPTH {
            continue;
        }
        let below = fs::read_dir(&directory).into_iter().flatten().flatten();
        let folders = below.filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir()));
        open.extend(folders.map(|entry| (entry.path(), depth + 1)));
    }
    found
}

fn open(pid: u32) -> Result<OwnedFd, Errno> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
    pidfd_open(pid, PidfdFlags::empty())
}

/// When a process started, in ticks since boot.
fn start_of(pid: u32) -> Option<u64> {
    let pid = i32::try_from(pid).ok()?;
    Some(procfs::process::Process::new(pid).ok()?.stat().ok()?.starttime)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    fn sleeping() -> Child {
        Command::new("sleep").arg("100").spawn().unwrap()
    }

    #[test]
    fn a_process_is_killed_and_the_next_of_its_number_is_not() {
        let (mut child, mut neighbour) = (sleeping(), sleeping());
        let start_ns = start_of(child.id()).unwrap() * TICK_NS;
        let reused = kill(child.id(), start_ns.wrapping_sub(7 * TICK_NS), || unreachable!());
        assert!(matches!(reused, Err(Refused::Gone(_))), "{reused:?}");
        assert!(child.try_wait().unwrap().is_none(), "it lives");
        let mut was_killed = false;
        assert_eq!(kill(child.id(), start_ns, || was_killed = true), Ok(()));
        assert!(was_killed && !child.wait().unwrap().success());
        assert!(matches!(kill(child.id(), start_ns, || unreachable!()), Err(Refused::Gone(_))));
        assert!(neighbour.try_wait().unwrap().is_none(), "its neighbour lives");
        neighbour.kill().unwrap();
        neighbour.wait().unwrap();
    }
}
