//! A container's cgroups, and what can be done to them: freeze, thaw, and kill all that is in them.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use ethogram_engine::containers::cgroup;

use super::{
    processes::{self, members},
    record::Refused,
};
use crate::container::{hierarchy::Hierarchy, membership::Membership};

/// How long the kernel may take to freeze a container, or all its processes to end.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(5);

/// The hierarchies of this host.
#[derive(Debug)]
pub(super) struct Cgroups {
    /// By which containers are identified.
    main: Hierarchy,
    unified: Option<PathBuf>,
    freezer: Option<PathBuf>,
}

/// The directories of a container's outermost cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// In the hierarchy by which containers are identified.
    pub(super) main: PathBuf,
    /// In the hierarchy of version 2, where the container has one of its own there.
    pub(super) unified: Option<PathBuf>,
    /// In that of version 1 for freezing.
    pub(super) freezer: Option<PathBuf>,
}

impl Cgroups {
    pub(super) fn of_this_host(main: Hierarchy) -> Self {
        Self { main, unified: Hierarchy::mounted(None), freezer: Hierarchy::mounted(Some("freezer")) }
    }

    /// The directories of the container whose outermost cgroup has this id, as long as something runs in it.
    pub(super) fn find(&self, id: u64) -> Result<Place, Refused> {
        const GONE: Refused = Refused::Gone("the container has ended");
        let walk = self.main.walk().map_err(|e| Refused::Failed(format!("walking the cgroups: {e}")))?;
        let path = walk.cgroups.into_iter().find_map(|(found, path)| (found == id).then_some(path)).ok_or(GONE)?;
        if path == "/" {
            return Err(Refused::Failed("it has no cgroup of its own".into()));
        }
        let main = self.main.directory(&path);
        let pid = *members(&main).first().ok_or(GONE)?;
        let own = Membership::of_pid(pid).ok_or(GONE)?;
        let in_other = |root: &Option<PathBuf>, controller: Option<&str>| {
            let outermost = outermost(own.path_of(controller)?, &path)?;
            let directory = root.as_ref()?.join(outermost.trim_start_matches('/'));
            directory.is_dir().then_some(directory)
        };
        Ok(Place { main, unified: in_other(&self.unified, None), freezer: in_other(&self.freezer, Some("freezer")) })
    }

    /// Whether the cgroup is still there.
    pub(super) fn has(&self, id: u64) -> bool {
        self.main.walk().is_ok_and(|walk| walk.cgroups.iter().any(|(found, _)| *found == id))
    }

    /// The container that a process runs in.
    pub(super) fn container_of(&self, pid: u32) -> Option<String> {
        let own = Membership::of_pid(pid)?;
        cgroup::parse(own.path_in(&self.main)?).map(|found| found.id.to_owned())
    }
}

/// Where a container is in another hierarchy, by where a process of it is there: runtimes give it the same path in all.
fn outermost(found: &str, path: &str) -> Option<String> {
    if found == path || found.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')) {
        return Some(path.to_owned());
    }
    cgroup::parse(found).map(|container| container.outermost.to_owned())
}

impl Place {
    /// Freezes all that is in it.
    pub(super) fn freeze(&self) -> Result<(), Refused> {
        let freezer = self.freezer()?;
        if freezer.is_frozen() {
            return Err(Refused::Unneeded("it was frozen already"));
        }
        freezer.set(true).map_err(|e| Refused::Failed(format!("freezing {}: {e}", freezer.directory.display())))?;
        if wait_until(|| freezer.is_frozen()) {
            return Ok(());
        }
        // What cannot be frozen within that time is not left half frozen.
        _ = freezer.set(false);
        let what = freezer.directory.display();
        Err(Refused::Failed(format!("{what} does not freeze: one of its processes waits for a device")))
    }

    /// Lets all that is in it go on.
    pub(super) fn thaw(&self) -> Result<(), Refused> {
        let freezer = self.freezer()?;
        freezer.set(false).map_err(|e| Refused::Failed(format!("thawing {}: {e}", freezer.directory.display())))
    }

    /// Kills all that is in it, and waits for the end.
    pub(super) fn kill(&self, mut killed: impl FnMut()) -> Result<(), Refused> {
        if let Some(directory) = &self.unified
            && fs::write(directory.join("cgroup.kill"), "1").is_ok()
        {
            killed();
        } else {
            // Frozen, nothing in it can fork on while its processes are listed.
            let frozen = self.freeze().is_ok();
            for pid in members(&self.main) {
                _ = processes::kill_in(pid, &self.main);
            }
            if frozen {
                self.thaw()?;
            }
            killed();
        }
        if wait_until(|| members(&self.main).is_empty()) {
            return Ok(());
        }
        // What the first version's freezer holds ends once it lets go.
        _ = self.thaw();
        if wait_until(|| members(&self.main).is_empty()) {
            return Ok(());
        }
        Err(Refused::Failed("some of its processes do not end: they wait for a device".into()))
    }

    /// That of the second version, where it is: there even what is frozen can be killed.
    fn freezer(&self) -> Result<Freezer<'_>, Refused> {
        let unified = self.unified.as_deref().filter(|d| d.join("cgroup.freeze").exists());
        let found = unified.map(|directory| Freezer { directory, unified: true });
        found.or(self.freezer.as_deref().map(|directory| Freezer { directory, unified: false })).ok_or_else(|| {
            let how = "mount the freezer hierarchy of cgroup v1, or take a kernel with cgroup v2's, 5.2 or newer";
            Refused::Failed(format!("the container has no cgroup that can be frozen; {how}"))
        })
    }
}

struct Freezer<'a> {
    directory: &'a Path,
    unified: bool,
}

impl Freezer<'_> {
    fn set(&self, frozen: bool) -> io::Result<()> {
        let (file, text) = match (self.unified, frozen) {
            (true, true) => ("cgroup.freeze", "1"),
            (true, false) => ("cgroup.freeze", "0"),
            (false, true) => ("freezer.state", "FROZEN"),
            (false, false) => ("freezer.state", "THAWED"),
        };
        fs::write(self.directory.join(file), text)
    }

    fn is_frozen(&self) -> bool {
        let (file, line) = if self.unified { ("cgroup.events", "frozen 1") } else { ("freezer.state", "FROZEN") };
        fs::read_to_string(self.directory.join(file)).is_ok_and(|text| text.lines().any(|l| l == line))
    }
}

fn wait_until(mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ID: &str = "97ca8c4b43552c7ea2dd5f5087a801d4fc4294230864437bfe354728b1fe8219";

    #[test]
    fn a_container_is_found_in_every_hierarchy() {
        let path = format!("/docker/{ID}");
        assert_eq!(outermost(&format!("/docker/{ID}/inner"), &path).as_deref(), Some(path.as_str()));
        assert_eq!(outermost(&path, "/elsewhere").as_deref(), Some(path.as_str()));
        assert_eq!(outermost("/", &path), None, "it shares the root with others");
        assert_eq!(outermost("/x", &path), None);
    }

    #[test]
    fn what_is_not_there_is_gone() {
        let cgroups = Cgroups::of_this_host(Hierarchy::detect().unwrap());
        assert_eq!(cgroups.find(u64::MAX), Err(Refused::Gone("the container has ended")));
        assert!(!cgroups.has(u64::MAX));
        let root = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&cgroups.main.root).unwrap());
        assert!(cgroups.has(root) && matches!(cgroups.find(root), Err(Refused::Failed(_))), "the root is no container");
        assert_eq!(cgroups.container_of(1), None);
    }
}
