//! Which cgroups a process is in.

use std::{fs, os::unix::fs::MetadataExt};

use procfs::{ProcessCGroup, process::Process};

use super::hierarchy::Hierarchy;

/// The cgroups of a process, one in each hierarchy.
pub(crate) struct Membership(Vec<ProcessCGroup>);

impl Membership {
    /// None where the process has ended.
    pub(crate) fn of(process: &Process) -> Option<Self> {
        Some(Self(process.cgroups().ok()?.0))
    }

    /// As [`Membership::of`].
    pub(crate) fn of_pid(pid: u32) -> Option<Self> {
        Self::of(&Process::new(i32::try_from(pid).ok()?).ok()?)
    }

    /// Of this process.
    pub(crate) fn own() -> Option<Self> {
        Self::of(&Process::myself().ok()?)
    }

    /// The paths of the cgroups in their hierarchies.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|cgroup| cgroup.pathname.as_str())
    }

    /// The path in this hierarchy.
    pub(crate) fn path_in(&self, hierarchy: &Hierarchy) -> Option<&str> {
        self.find(|cgroup| cgroup.hierarchy == hierarchy.id)
    }

    /// The path in another hierarchy: that of a v1 controller, or of version 2.
    pub(crate) fn path_of(&self, controller: Option<&str>) -> Option<&str> {
        match controller {
            Some(name) => self.find(|cgroup| cgroup.controllers.iter().any(|c| c == name)),
            None => self.find(|cgroup| cgroup.hierarchy == 0),
        }
    }

    /// The id of the cgroup in this hierarchy.
    pub(crate) fn id_in(&self, hierarchy: &Hierarchy) -> Option<u64> {
        let directory = hierarchy.directory(self.path_in(hierarchy)?);
        Some(fs::metadata(directory).ok()?.ino())
    }

    fn find(&self, is_it: impl Fn(&ProcessCGroup) -> bool) -> Option<&str> {
        self.0.iter().find(|cgroup| is_it(cgroup)).map(|cgroup| cgroup.pathname.as_str())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use procfs::{FromBufRead, ProcessCGroups};

    use super::*;

    /// By the contents of `/proc/PID/cgroup`.
    pub(crate) fn membership(text: &str) -> Membership {
        Membership(ProcessCGroups::from_buf_read(text.as_bytes()).unwrap().0)
    }

    #[test]
    fn a_process_is_in_one_cgroup_of_each_hierarchy() {
        let found = membership("9:name=systemd:/x\n4:cpu,memory:/docker/a:b\n0::/y\n");
        assert_eq!(found.paths().collect::<Vec<_>>(), ["/x", "/docker/a:b", "/y"]);
        assert_eq!(found.path_of(Some("memory")), Some("/docker/a:b"));
        assert_eq!(found.path_of(Some("pids")), None);
        assert_eq!(found.path_of(None), Some("/y"));
    }

    #[test]
    fn this_process_is_in_one_of_this_host() {
        let hierarchy = Hierarchy::detect().unwrap();
        let own = Membership::own().unwrap();
        assert_eq!(Membership::of_pid(std::process::id()).unwrap().path_in(&hierarchy), own.path_in(&hierarchy));
        let id = own.id_in(&hierarchy).unwrap();
        assert!(hierarchy.walk().unwrap().cgroups.iter().any(|(found, _)| *found == id));
        assert!(Membership::of_pid(u32::MAX).is_none());
    }
}
