//! Where programs attach that meet every process's packets and sockets.

use std::fs::{self, File};

/// The root of the cgroup v2 hierarchy, also where v1 ones are mounted beside it.
pub(crate) fn root() -> Result<File, String> {
    let mounts = fs::read_to_string("/proc/self/mounts").map_err(|e| format!("reading /proc/self/mounts: {e}"))?;
    let place =
        mount_point(&mounts).ok_or("no cgroup v2 hierarchy is mounted; mount one: mount -t cgroup2 none DIR")?;
    File::open(place).map_err(|e| format!("opening {place}: {e}"))
}

fn mount_point(mounts: &str) -> Option<&str> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let place = fields.next()?;
        (fields.next() == Some("cgroup2")).then_some(place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_version_is_found_beside_the_first() {
        let both = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                    cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n";
        assert_eq!(mount_point(both), Some("/sys/fs/cgroup/unified"));
        assert_eq!(mount_point("cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n\n"), None);
    }
}
