//! Where programs attach that meet every process's packets and sockets.

use std::{fs::File, path::Path};

use procfs::process::{MountInfos, Process};

/// The root of the cgroup v2 hierarchy, also where v1 ones are mounted beside it.
pub(crate) fn root() -> Result<File, String> {
    let mounts = Process::myself().and_then(|own| own.mountinfo());
    let mounts = mounts.map_err(|e| format!("reading /proc/self/mountinfo: {e}"))?;
    let place =
        mount_point(&mounts).ok_or("no cgroup v2 hierarchy is mounted; mount one: mount -t cgroup2 none DIR")?;
    File::open(place).map_err(|e| format!("opening {}: {e}", place.display()))
}

fn mount_point(mounts: &MountInfos) -> Option<&Path> {
    mounts.0.iter().find(|mount| mount.fs_type == "cgroup2").map(|mount| mount.mount_point.as_path())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use procfs::FromBufRead;

    use super::*;

    #[test]
    fn the_second_version_is_found_beside_the_first() {
        let mounts = |text: &str| MountInfos::from_buf_read(text.as_bytes()).unwrap();
        let both = mounts(
            "30 25 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755\n\
             31 30 0:27 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n\
             34 30 0:30 / /sys/fs/cgroup/cpu rw,relatime shared:10 - cgroup cgroup rw,cpu\n",
        );
        assert_eq!(mount_point(&both), Some(Path::new("/sys/fs/cgroup/unified")));
        let first = mounts("34 30 0:30 / /sys/fs/cgroup/cpu rw,relatime shared:10 - cgroup cgroup rw,cpu\n");
        assert_eq!(mount_point(&first), None);
    }
}
