//! The cgroup hierarchy by which containers are identified, and the cgroups in it.

use std::{
    fmt, fs, io,
    os::unix::fs::{DirEntryExt, MetadataExt},
    path::{Path, PathBuf},
};

use ethogram_engine::containers::walk::Walk;
use ethogram_probe::Controller;
use procfs::{
    CGroupController, ProcError,
    process::{MountInfo, Process},
};

/// How this host uses cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Version 2 alone.
    V2,
    /// Version 2 beside version 1, whose controllers are in use.
    Hybrid,
    /// Version 1 alone.
    V1,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V2 => "cgroup v2",
            Self::Hybrid => "cgroup v1 and v2 (hybrid)",
            Self::V1 => "cgroup v1",
        })
    }
}

/// The hierarchy whose cgroup ids name containers. The id of a cgroup is the inode number of its directory there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// Where it is mounted.
    pub(crate) root: PathBuf,
    /// The v1 controller by which the kernel side finds it; none means version 2.
    pub(crate) controller: Option<Controller>,
    /// The kernel's number for it, as the cgroup tracepoints report it; zero is version 2.
    pub(crate) id: u32,
    /// How this host uses cgroups.
    pub(crate) mode: Mode,
}

/// Why no usable hierarchy was found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HierarchyError {
    /// A file of procfs could not be read.
    #[error("cannot read {path}: {source}; mount procfs there")]
    Read {
        /// The file.
        path: &'static str,
        /// What went wrong.
        source: ProcError,
    },
    /// Runtimes use a hierarchy that is not mounted where this process looks.
    #[error(
        "the cgroup v1 controller {0} is in use but not mounted here, so containers cannot be identified; \
         run in the host's mount namespace, or mount it"
    )]
    NotMounted(&'static str),
    /// The hierarchy shows only a part of the host.
    #[error(
        "{} shows only the cgroups below {root}; to see all containers, run in the host's cgroup namespace and mount all \
         of the host's there, as with --cgroupns=host --volume /sys/fs/cgroup:/sys/fs/cgroup",
        mount_point.display()
    )]
    Partial {
        /// Where it is mounted.
        mount_point: PathBuf,
        /// The cgroup that is mounted there.
        root: String,
    },
    /// There is none.
    #[error("no cgroup hierarchy is mounted; mount one, usually on /sys/fs/cgroup")]
    None,
}

impl Hierarchy {
    /// Finds the hierarchy of this host.
    ///
    /// # Errors
    /// Where procfs cannot be read, no hierarchy is mounted, or only a part of it is visible.
    pub(crate) fn detect() -> Result<Self, HierarchyError> {
        let controllers = match procfs::cgroups() {
            // A kernel without v1 may lack this file.
            Err(ProcError::NotFound(_)) => Vec::new(),
            other => other.map_err(unreadable("/proc/cgroups"))?.0,
        };
        let mounts = Process::myself().and_then(|own| own.mountinfo()).map_err(unreadable("/proc/self/mountinfo"))?;
        Self::choose(&mounts.0, &controllers)
    }

    /// Where the whole of another hierarchy is mounted: that of a v1 controller, or of version 2.
    pub(crate) fn mounted(controller: Option<&str>) -> Option<PathBuf> {
        let mounts = Process::myself().and_then(|own| own.mountinfo()).ok()?;
        let is_it = |m: &MountInfo| controller.map_or(m.fs_type == "cgroup2", |name| has_controller(m, name));
        mounts.iter().find(|m| m.root == "/" && is_it(m)).map(mount_point)
    }

    /// The directory of a cgroup.
    pub(crate) fn directory(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn choose(mounts: &[MountInfo], controllers: &[CGroupController]) -> Result<Self, HierarchyError> {
        let v2: Vec<&MountInfo> = mounts.iter().filter(|m| m.fs_type == "cgroup2").collect();
        let in_v1 = |c: &Controller| hierarchy_id(controllers, *c).is_some_and(|id| id != 0);
        for controller in Controller::ALL.into_iter().filter(in_v1) {
            let of_it: Vec<&MountInfo> = mounts.iter().filter(|m| has_controller(m, controller.name())).collect();
            if of_it.is_empty() {
                continue;
            }
            return Ok(Self {
                root: whole(&of_it)?,
                controller: Some(controller),
                id: hierarchy_id(controllers, controller).unwrap_or(0),
                mode: if v2.is_empty() { Mode::V1 } else { Mode::Hybrid },
            });
        }
        if let Some(controller) = Controller::ALL.into_iter().find(in_v1) {
            return Err(HierarchyError::NotMounted(controller.name()));
        }
        Ok(Self { root: whole(&v2)?, controller: None, id: 0, mode: Mode::V2 })
    }

    /// All cgroups there are now. One that goes away meanwhile is left out, one that comes may be.
    ///
    /// # Errors
    /// Where the root itself cannot be read.
    pub(crate) fn walk(&self) -> io::Result<Walk> {
        let root = fs::metadata(&self.root)?;
        let mut walk = Walk { cgroups: vec![(root.ino(), "/".to_owned())], ..Walk::default() };
        let mut open = vec![(self.root.clone(), 0, root.uid())];
        while let Some((directory, depth, above)) = open.pop() {
            let Ok(entries) = fs::read_dir(&directory) else { continue };
            for entry in entries.flatten() {
                if !entry.file_type().is_ok_and(|t| t.is_dir()) {
                    continue;
                }
                if walk.cgroups.len() >= Walk::LIMIT || depth >= Walk::MAX_DEPTH {
                    walk.cut = true;
                    break;
                }
                let path = entry.path();
                // What is below a user's can be made by that user alone, as whom they like.
                let owner = if above == 0 { entry.metadata().map_or(0, |found| found.uid()) } else { above };
                if owner != 0 {
                    walk.owners.insert(entry.ino(), owner);
                }
                walk.cgroups.push((entry.ino(), self.path_within(&path)));
                open.push((path, depth + 1, owner));
            }
        }
        Ok(walk)
    }

    fn path_within(&self, path: &Path) -> String {
        format!("/{}", path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy())
    }
}

fn unreadable(path: &'static str) -> impl Fn(ProcError) -> HierarchyError {
    move |source| HierarchyError::Read { path, source }
}

fn has_controller(mount: &MountInfo, name: &str) -> bool {
    mount.fs_type == "cgroup" && mount.super_options.get(name).is_some_and(Option::is_none)
}

/// Where the whole hierarchy is mounted.
fn whole(mounts: &[&MountInfo]) -> Result<PathBuf, HierarchyError> {
    if let Some(mount) = mounts.iter().find(|m| m.root == "/") {
        return Ok(mount_point(mount));
    }
    let Some(mount) = mounts.first() else { return Err(HierarchyError::None) };
    Err(HierarchyError::Partial { mount_point: mount_point(mount), root: mount.root.clone() })
}

/// The number of the hierarchy that a controller is in.
fn hierarchy_id(controllers: &[CGroupController], controller: Controller) -> Option<u32> {
    controllers.iter().find(|c| c.name == controller.name()).map(|c| c.hierarchy)
}

/// Where it is mounted. procfs leaves the kernel's escapes as they are.
fn mount_point(mount: &MountInfo) -> PathBuf {
    unescape(&mount.mount_point.to_string_lossy())
}

/// Undoes the kernel's `\040` for a blank and the like.
fn unescape(text: &str) -> PathBuf {
    let mut parts = text.split('\\');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..3).and_then(|octal| u8::from_str_radix(octal, 8).ok()) {
            Some(byte) => {
                out.push(char::from(byte));
                out.push_str(part.get(3..).unwrap_or_default());
            }
            None => {
                out.push('\\');
                out.push_str(part);
            }
        }
    }
    PathBuf::from(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use procfs::{CGroupControllers, FromBufRead, process::MountInfos};

    use super::*;

    const V2: &str = "35 24 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";
    const MEMORY: &str = "36 31 0:32 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory";
    const CPU: &str = "37 31 0:33 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct";
    const SYSTEMD: &str = "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd";
    const ALL_V2: &str =
        "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t0\t80\t1\nmemory\t0\t80\t1\npids\t0\t80\t1\n";
    const ALL_V1: &str = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t2\t80\t1\nmemory\t4\t80\t1\n";

    fn choose(mounts: &[&str], controllers: &str) -> Result<Hierarchy, HierarchyError> {
        let mounts = MountInfos::from_buf_read(mounts.join("\n").as_bytes()).unwrap();
        let controllers = CGroupControllers::from_buf_read(controllers.as_bytes()).unwrap();
        Hierarchy::choose(&mounts.0, &controllers.0)
    }

    #[test]
    fn version_2_alone_is_taken_as_it_is() {
        let found = choose(&[V2], ALL_V2).unwrap();
        assert_eq!((found.mode, found.controller, found.id), (Mode::V2, None, 0));
        assert_eq!(found.root, Path::new("/sys/fs/cgroup"));
        assert_eq!(choose(&[V2], "").unwrap().mode, Mode::V2);
    }

    #[test]
    fn a_v1_controller_goes_before_version_2() {
        let found = choose(&[SYSTEMD, V2, CPU, MEMORY], ALL_V1).unwrap();
        assert_eq!((found.mode, found.controller, found.id), (Mode::Hybrid, Some(Controller::Memory), 4));
        let found = choose(&[SYSTEMD, CPU], ALL_V1).unwrap();
        assert_eq!((found.mode, found.controller, found.id), (Mode::V1, Some(Controller::Cpu), 2));
    }

    #[test]
    fn a_named_v1_hierarchy_beside_version_2_does_not_count() {
        assert_eq!(choose(&[SYSTEMD, V2], ALL_V2).unwrap().mode, Mode::V2);
    }

    #[test]
    fn what_cannot_be_seen_is_an_error_that_says_what_to_do() {
        let message = |mounts: &[&str], controllers| choose(mounts, controllers).unwrap_err().to_string();
        assert!(message(&[], "").contains("no cgroup hierarchy"));
        assert!(message(&[V2], ALL_V1).contains("controller memory is in use but not mounted"));
        let partial = V2.replace(" / ", " /docker/abc ");
        assert!(message(&[&partial], ALL_V2).contains("only the cgroups below /docker/abc"));
    }

    #[test]
    fn mount_points_are_unescaped() {
        assert_eq!(unescape(r"/a\040b\134c"), Path::new(r"/a b\c"));
        assert_eq!(unescape(r"/a\04"), Path::new(r"/a\04"));
    }

    #[test]
    fn a_walk_finds_directories_with_their_inode_and_leaves_links_alone() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("docker/abc/nested")).unwrap();
        fs::write(root.path().join("docker/tasks"), "").unwrap();
        std::os::unix::fs::symlink(root.path(), root.path().join("loop")).unwrap();
        let hierarchy = Hierarchy { root: root.path().into(), controller: None, id: 0, mode: Mode::V2 };
        let walk = hierarchy.walk().unwrap();
        let paths: Vec<&str> = walk.cgroups.iter().map(|(_, path)| path.as_str()).collect();
        assert_eq!(paths, ["/", "/docker", "/docker/abc", "/docker/abc/nested"]);
        assert_eq!(walk.cgroups[2].0, fs::metadata(root.path().join("docker/abc")).unwrap().ino());
        assert!(!walk.cut);
    }

    #[test]
    fn what_is_below_a_users_directory_is_that_users() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("user/delegated/within")).unwrap();
        fs::create_dir_all(root.path().join("docker")).unwrap();
        let delegated = root.path().join("user/delegated");
        std::os::unix::fs::chown(&delegated, Some(1000), None).unwrap();
        std::os::unix::fs::chown(delegated.join("within"), Some(70_000), None).unwrap();
        let hierarchy = Hierarchy { root: root.path().into(), controller: None, id: 0, mode: Mode::V2 };
        let walk = hierarchy.walk().unwrap();
        let owner = |path: &str| walk.owners.get(&fs::metadata(root.path().join(path)).unwrap().ino()).copied();
        assert_eq!([owner("docker"), owner("user")], [None, None]);
        assert_eq!([owner("user/delegated"), owner("user/delegated/within")], [Some(1000), Some(1000)]);
    }

    #[test]
    fn this_host_has_one() {
        let hierarchy = Hierarchy::detect().unwrap();
        let walk = hierarchy.walk().unwrap();
        assert_eq!(walk.cgroups[0], (fs::metadata(&hierarchy.root).unwrap().ino(), "/".to_owned()));
    }
}
