//! A cgroup's network, cut by two programs on its packets.

use std::{
    fs::{self, File},
    io,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

use libbpf_rs::Link;

use super::CUT;
use crate::{
    Error,
    kernel::{capture_log, explain},
};

/// While it lives, no packet leaves or reaches the cgroup and those in it, but by loopback. The kernel undoes it where
/// the agent ends, however it ends, unless it was pinned.
#[derive(Debug)]
pub struct NetworkCut {
    links: Vec<Link>,
    /// Whether it outlives the agent.
    is_kept: bool,
}

impl NetworkCut {
    /// Cuts the cgroup with this directory in the hierarchy of version 2.
    ///
    /// # Errors
    /// Where this kernel or these privileges refuse it.
    pub fn attach(cgroup: &Path) -> Result<Self, Error> {
        let refused = |why: String| Error::Unsupported(format!("cutting the network of {}: {why}", cgroup.display()));
        let directory = File::open(cgroup).map_err(|e| refused(e.to_string()))?;
        let open = CUT.open("cut", None)?;
        let object = capture_log(|| open.load()).map_err(|(e, log)| refused(explain(&e, &log)))?;
        let mut links = Vec::new();
        for program in object.progs_mut() {
            let link = capture_log(|| program.attach_cgroup(directory.as_raw_fd()));
            links.push(link.map_err(|(e, log)| refused(explain(&e, &log)))?);
        }
        // The links hold the programs, which need no maps.
        Ok(Self { links, is_kept: false })
    }

    /// Has the cut outlive the agent, under names in `folder`, which must be in a BPF file system.
    ///
    /// # Errors
    /// Where it is not, or the names are taken.
    pub fn pin(&mut self, folder: &Path) -> Result<(), Error> {
        let failed = |why: String| Error::Unsupported(format!("keeping it in {}: {why}", folder.display()));
        fs::create_dir_all(folder).map_err(|e| failed(e.to_string()))?;
        for (link, path) in self.links.iter_mut().zip(pins(folder)) {
            link.pin(path).map_err(|e| failed(e.to_string()))?;
        }
        self.is_kept = true;
        Ok(())
    }

    /// Ends a cut that was pinned in `folder`, also by an earlier agent. One that is gone is no error.
    ///
    /// # Errors
    /// Where its names cannot be removed.
    pub fn unpin(folder: &Path) -> io::Result<()> {
        let gone = |done: io::Result<()>| match done {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        };
        for path in pins(folder) {
            // The kernel would detach it some time after its last name is gone: the answer is that it has ended.
            if let Ok(link) = Link::open(&path) {
                _ = link.detach();
            }
            gone(fs::remove_file(path))?;
        }
        gone(fs::remove_dir(folder))
    }

    /// Whether a cut is pinned in `folder`.
    pub fn is_pinned(folder: &Path) -> bool {
        pins(folder).iter().any(|path| path.exists())
    }
}

impl Drop for NetworkCut {
    /// Ends it now, but for one that was pinned: dropped only, a link is detached some time later.
    fn drop(&mut self) {
        if !self.is_kept {
            self.links.iter().for_each(|link| _ = link.detach());
        }
    }
}

fn pins(folder: &Path) -> [PathBuf; 2] {
    ["in", "out"].map(|name| folder.join(name))
}
