//! The host's file systems, and where they are mounted in its tree.

use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt};

use libbpf_rs::{MapCore, MapFlags, MapHandle};

use super::shared::{HOST_TREE_PLACE, HostTree, table};
use crate::Error;

/// The mounts as the host's first process has them.
const MOUNTS: &str = "/proc/1/mountinfo";
/// The same process's root.
const ROOT: &str = "/proc/1/root";
/// Those that show parts of others, or no files of the host.
const OTHERS: [&str; 2] = ["overlay", "nsfs"];
/// Those of which a part may be what is mounted, and which answer at once.
const PARTS: [&str; 5] = ["btrfs", "ext4", "ext3", "xfs", "f2fs"];

/// The table.
#[derive(Debug)]
pub(crate) struct HostTrees {
    pub(super) map: MapHandle,
}

impl HostTrees {
    pub(super) fn new() -> Result<Self, Error> {
        let this = Self { map: table::HOST_TREES.make()? };
        this.renew();
        Ok(this)
    }

    /// Reads the host's mounts anew. What cannot be read stays as it was.
    pub(crate) fn renew(&self) {
        let Ok(mounts) = fs::read(MOUNTS) else { return };
        let trees = trees(&String::from_utf8_lossy(&mounts), inode);
        for key in self.map.keys() {
            let known = key.as_slice().try_into().is_ok_and(|device| trees.contains_key(&u32::from_ne_bytes(device)));
            if !known {
                _ = self.map.delete(&key);
            }
        }
        for (device, tree) in trees {
            // Of those that there is no room for, what they hold is known by its own path only.
            _ = self.map.update(&device.to_ne_bytes(), &tree.to_bytes(), MapFlags::ANY);
        }
    }
}

/// The inode that is mounted at a place of the host's.
fn inode(place: &str) -> Option<u64> {
    fs::symlink_metadata(format!("{ROOT}{place}")).ok().map(|found| found.ino())
}

/// A file system for each device: where most of it is mounted, at the shortest path.
fn trees(mounts: &str, inode: impl Fn(&str) -> Option<u64>) -> BTreeMap<u32, HostTree> {
    let mut best: BTreeMap<u32, (bool, usize, HostTree)> = BTreeMap::new();
    for line in mounts.lines() {
        let Some((device, is_part, place)) = mount(line) else { continue };
        let root = match is_part {
            true => inode(&place),
            false => Some(0),
        };
        let Some(root) = root else { continue };
        let mut bytes = [0; HOST_TREE_PLACE as usize];
        let place = place.trim_start_matches('/').as_bytes();
        // One is left for NUL.
        let Some(to) = bytes.get_mut(..place.len()).filter(|_| place.len() < HOST_TREE_PLACE as usize) else {
            continue;
        };
        to.copy_from_slice(place);
        let found = (is_part, place.len(), HostTree { root, place: bytes });
        let known = best.get(&device).is_some_and(|known| (known.0, known.1) <= (found.0, found.1));
        if !known {
            best.insert(device, found);
        }
    }
    let mut all: Vec<_> = best.into_iter().collect();
    all.sort_by_key(|(_, (_, length, _))| *length);
    all.into_iter().take(table::HOST_TREES.entries as usize).map(|(device, (.., tree))| (device, tree)).collect()
}

/// A line of mountinfo: the device as the kernel numbers it, whether only a part of the file system is mounted, and where.
fn mount(line: &str) -> Option<(u32, bool, String)> {
    let (mount, source) = line.split_once(" - ")?;
    let kind = source.split(' ').next()?;
    let mut fields = mount.split(' ').skip(2);
    let (major, minor) = fields.next()?.split_once(':')?;
    let (root, place) = (fields.next()?, unescaped(fields.next()?));
    let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
    let is_part = root != "/";
    if (OTHERS.contains(&kind) && place != "/") || (is_part && !PARTS.contains(&kind)) {
        return None;
    }
    Some((major.checked_shl(20)? | (minor & 0xf_ffff), is_part, place))
}

/// Blanks and line breaks are written as octal numbers.
fn unescaped(place: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(place.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(mounts: &str) -> Vec<(u32, u64, String)> {
        let inode = |place: &str| (place != "/gone").then_some(256);
        let text = |tree: &HostTree| String::from_utf8_lossy(&tree.place).trim_end_matches('\0').to_owned();
        trees(mounts, inode).iter().map(|(device, tree)| (*device, tree.root, text(tree))).collect()
    }

    #[test]
    fn a_file_system_is_known_by_the_shortest_place_of_the_most_of_it() {
        let mounts = "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n22 21 8:2 / /srv/a\\040b rw - xfs /dev/sda2 rw\n\
                      23 21 8:2 /sub /s rw - xfs /dev/sda2 rw\n24 21 0:5 / /dev rw - devtmpfs udev rw\n\
                      25 21 8:1 /etc /bound rw - ext4 /dev/sda1 rw\n26 21 0:50 / /var/merged rw - overlay o rw\n\
                      27 21 0:51 net:[4026531833] /run/netns/x rw - nsfs nsfs rw";
        let found = [(5, 0, "dev".into()), (8 << 20 | 1, 0, String::new()), (8 << 20 | 2, 0, "srv/a b".into())];
        assert_eq!(places(mounts), found);
    }

    #[test]
    fn a_part_of_a_file_system_is_known_by_its_inode() {
        let mounts =
            "21 1 0:30 /@root / rw shared:1 - btrfs /dev/sda1 rw\n22 21 0:31 /@x /gone rw - btrfs /dev/sda1 rw";
        assert_eq!(places(mounts), [(30, 256, String::new())]);
    }

    #[test]
    fn what_is_no_mount_or_too_long_is_left_out() {
        let long = format!("21 1 8:1 / /{} rw - ext4 /dev/sda1 rw", "x".repeat(56));
        for line in ["", "x", "21 1 8:1 / /", "21 1 8 / / rw - ext4 d rw", "21 1 a:b / / rw - ext4 d rw", &long] {
            assert_eq!(places(line), [], "{line}");
        }
    }
}
