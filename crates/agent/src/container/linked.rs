//! Guarded files that have more names than one, in a container or on the host: who reads or writes them by another name is known by
//! the inode.
//!
//! They are looked up as if that root were ours, so that no link leads out of it, and none is opened but as a place.

use std::os::{fd::AsFd, unix::ffi::OsStrExt};

use ethogram_engine::containers::runtime::LinkedFile;
use ethogram_model::FileId;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, major, minor, openat, openat2, statat,
};

/// Files that are secrets, or decide what runs.
const FILES: [&str; 17] = [
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/passwd",
    "/etc/sudoers",
    "/etc/crontab",
    "/etc/ld.so.preload",
    "/root/.aws/credentials",
    "/root/.docker/config.json",
    "/root/.kube/config",
    "/root/.netrc",
    "/root/.pgpass",
    "/root/.git-credentials",
    "/root/.my.cnf",
    "/root/.bashrc",
    "/root/.profile",
];
/// Folders of such files.
const FOLDERS: [&str; 9] = [
    "/root/.ssh",
    "/run/secrets",
    "/etc/cron.d",
    "/etc/kubernetes",
    "/etc/ssh",
    "/etc/ssl/private",
    "/etc/sudoers.d",
    "/var/spool/cron",
    "/var/spool/cron/crontabs",
];
/// Files looked at in a folder.
const MAX_LISTED: usize = 64;

/// Those on the host.
pub(crate) fn of_host() -> Vec<LinkedFile> {
    let place = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // The first process may be out of our reach; where we are no container, its root is ours.
    let root = ["/proc/1/root", "/"].into_iter().find_map(|root| openat(CWD, root, place, Mode::empty()).ok());
    root.map(within).unwrap_or_default()
}

/// Those below a root.
pub(super) fn within(root: impl AsFd) -> Vec<LinkedFile> {
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let open = |path: &str, flags| openat2(&root, path, flags | OFlags::CLOEXEC, Mode::empty(), inside).ok();
    let mut found: Vec<LinkedFile> = FILES
        .into_iter()
        .filter_map(|path| Some(LinkedFile { path: path.into(), id: linked(&fstat(open(path, OFlags::PATH)?).ok()?)? }))
        .collect();
    for path in FOLDERS {
        let Some(folder) = open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK) else { continue };
        let Ok(listed) = Dir::read_from(&folder) else { continue };
        found.extend(listed.take(MAX_LISTED).filter_map(|entry| {
            let entry = entry.ok()?;
            let id = linked(&statat(&folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW).ok()?)?;
            let name = std::ffi::OsStr::from_bytes(entry.file_name().to_bytes()).to_string_lossy();
            Some(LinkedFile { path: format!("{path}/{name}"), id })
        }));
    }
    found.truncate(LinkedFile::MAX);
    found
}

/// Which file it is, if it is one that has several names.
fn linked(stat: &Stat) -> Option<FileId> {
    let is_one = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_nlink > 1;
    // As the kernel numbers devices, which is not as it shows them.
    let device = major(stat.st_dev) << 20 | minor(stat.st_dev);
    is_one.then_some(FileId { device, inode: stat.st_ino })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt, symlink},
    };

    use super::*;

    fn found(root: &std::path::Path) -> Vec<(String, u64)> {
        let root = openat(CWD, root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        within(root).into_iter().map(|file| (file.path, file.id.inode)).collect()
    }

    #[test]
    fn guarded_files_with_several_names_are_found_and_others_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        for below in ["etc/cron.d", "root/.ssh", "srv"] {
            fs::create_dir_all(root.join(below)).unwrap();
        }
        for file in ["etc/shadow", "etc/gshadow", "root/.ssh/id_rsa", "root/.ssh/key", "srv/data"] {
            fs::write(root.join(file), "x").unwrap();
        }
        assert_eq!(found(&root), []);
        let inode = |file: &str| fs::metadata(root.join(file)).unwrap().ino();
        for (file, other) in [("etc/shadow", "srv/notes"), ("root/.ssh/id_rsa", "srv/photo"), ("srv/data", "srv/more")]
        {
            fs::hard_link(root.join(file), root.join(other)).unwrap();
        }
        let expected = [("/etc/shadow", "etc/shadow"), ("/root/.ssh/id_rsa", "root/.ssh/id_rsa")];
        assert_eq!(found(&root), expected.map(|(path, file)| (path.to_owned(), inode(file))));
    }

    #[test]
    fn no_link_leads_out_of_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::create_dir(folder.path().join("outside")).unwrap();
        let secret = folder.path().join("outside/secret");
        fs::write(&secret, "x").unwrap();
        fs::hard_link(&secret, folder.path().join("outside/other")).unwrap();
        symlink(&secret, root.join("etc/shadow")).unwrap();
        symlink("../../outside/secret", root.join("etc/gshadow")).unwrap();
        symlink(folder.path().join("outside"), root.join("etc/cron.d")).unwrap();
        assert_eq!(found(&root), []);
    }
}
