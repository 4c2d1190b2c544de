//! What the numbers of users and groups are called: in a container by the files that it has, and on the host.
//!
//! A container's files are whatever its image says. They are looked up as if its root were ours, so that no link leads
//! out of it, and nothing is opened before it is known to be a regular file.

use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata},
    io::{self, Read},
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ethogram_engine::containers::runtime::LinkedFile;
use ethogram_model::Users;
use rustix::{
    fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, stat},
    io::Errno,
};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use super::linked;
use crate::files;

/// Bytes read of a file.
const MAX_FILE: u64 = 1 << 20;
/// Bytes of a list of mounts; where there are more, they are not looked through.
const MAX_MOUNTS: u64 = 1 << 20;
/// Bytes of a map of ids: the kernel takes 340 lines.
const MAX_MAP: u64 = 1 << 16;
/// Bytes of a name; one that is longer is left out.
const MAX_NAME: usize = 64;
/// Processes of a cgroup that are tried.
const MAX_TRIED: usize = 8;
/// How long the names in a container's files may hold up its own name: a file system may be of its own making.
const READ_TIMEOUT: Duration = Duration::from_millis(100);
/// Containers whose files are read at a time, of those that the kernel reads by itself and of those where it has to ask
/// a server: that may never answer, and keeps the place then.
const MAX_READING: usize = 8;
const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// Has the names read that are in a container's own files.
#[derive(Clone)]
pub(crate) struct Reader {
    hierarchy: PathBuf,
    local: Arc<Semaphore>,
    served: Arc<Semaphore>,
}

impl Reader {
    /// One that finds processes in the cgroups below `hierarchy`.
    pub(crate) fn new(hierarchy: PathBuf) -> Self {
        let places = || Arc::new(Semaphore::new(MAX_READING));
        Self { hierarchy, local: places(), served: places() }
    }

    /// What its files say. None where it has no process yet, or its files take too long.
    pub(crate) async fn read_files(&self, pid: Option<u32>, cgroup: &str, seen: Option<Files>) -> Option<Found> {
        let cgroup = Some(cgroup.trim_start_matches('/')).filter(|c| !c.is_empty()).map(|c| self.hierarchy.join(c));
        // These files are the kernel's own: they do not wait.
        let found = spawn_blocking(move || {
            let members = cgroup.map(|cgroup| processes_of(&cgroup)).unwrap_or_default();
            let processes: Vec<u32> = pid.into_iter().chain(members).collect();
            let is_local = processes.iter().all(|pid| has_only_local_files(*pid));
            (processes, is_local)
        });
        let (processes, is_local) = found.await.ok()?;
        let place = Arc::clone(self.places(is_local)).try_acquire_owned().ok()?;
        let read = spawn_blocking(move || {
            let found = of_container(processes, seen.as_ref());
            drop(place);
            found
        });
        timeout(READ_TIMEOUT, read).await.ok()?.ok()?
    }

    fn places(&self, is_local: bool) -> &Arc<Semaphore> {
        if is_local { &self.local } else { &self.served }
    }
}

/// Whether all that a process has mounted is read by the kernel alone: no FUSE, no network.
fn has_only_local_files(pid: u32) -> bool {
    let mounts = files::read_text(Path::new(&format!("/proc/{pid}/mountinfo")), MAX_MOUNTS);
    mounts.is_ok_and(|mounts| mounts.lines().all(is_local))
}

/// Whether a line of `mountinfo` is of a file system that needs no server.
fn is_local(line: &str) -> bool {
    const LOCAL: [&str; 24] = [
        "bdev",
        "bpf",
        "btrfs",
        "cgroup",
        "cgroup2",
        "debugfs",
        "devpts",
        "devtmpfs",
        "erofs",
        "ext2",
        "ext3",
        "ext4",
        "f2fs",
        "hugetlbfs",
        "mqueue",
        "overlay",
        "proc",
        "ramfs",
        "securityfs",
        "squashfs",
        "sysfs",
        "tmpfs",
        "xfs",
        "zfs",
    ];
    let kind = line.split_once(" - ").and_then(|(_, rest)| rest.split(' ').next());
    kind.is_some_and(|kind| LOCAL.contains(&kind))
}

/// What a container's files say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The names, and of which files they are; none where these were seen before.
    pub(crate) users: Option<(Users, Files)>,
    /// Guarded files with several names.
    pub(crate) linked: Vec<LinkedFile>,
}

/// What the files say of the container that one of these processes is in; none as long as none of them is in it: the runtime's own
/// have the host's root until they are about to start it. A container that has no files with names has no names.
fn of_container(processes: impl IntoIterator<Item = u32>, seen: Option<&Files>) -> Option<Found> {
    // The first process may be out of our reach; where we are no container, its root is ours.
    let hosts: Vec<_> = ["/proc/1/root", "/"].into_iter().filter_map(|root| Some(place(&stat(root).ok()?))).collect();
    let (root, pid) = processes.into_iter().find_map(|pid| {
        let path = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, format!("/proc/{pid}/root"), path, Mode::empty()).ok()?;
        let is_its_own = !hosts.contains(&place(&fstat(&root).ok()?));
        is_its_own.then_some((root, pid))
    })?;
    let linked = linked::within(&root);
    // Before they are read: what changes meanwhile is read again.
    let versions = [PASSWD, GROUP].map(|file| version_within(&root, file));
    if seen == Some(&versions) {
        return Some(Found { users: None, linked });
    }
    let map = |file: &str| files::read_text(Path::new(&format!("/proc/{pid}/{file}")), MAX_MAP);
    let ids = |file: &str| Ids::parse(&map(file).unwrap_or_default());
    let names = |file, ids: &Ids| names(&read_within(&root, file).unwrap_or_default(), ids);
    let users = Users { users: names(PASSWD, &ids("uid_map")), groups: names(GROUP, &ids("gid_map")) };
    Some(Found { users: Some((users, versions)), linked })
}

/// Which file is there by now, with all links resolved as from within.
fn version_within(root: impl AsFd, path: &str) -> Option<Version> {
    let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let found = fstat(openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), within).ok()?).ok()?;
    Some((
        found.st_ino,
        u64::try_from(found.st_size).unwrap_or(0),
        found.st_ctime,
        i64::try_from(found.st_ctime_nsec).ok()?,
    ))
}

fn place(directory: &Stat) -> (u64, u64) {
    (directory.st_dev, directory.st_ino)
}

/// Some processes of a cgroup, first ones first.
fn processes_of(cgroup: &Path) -> Vec<u32> {
    let mut text = String::new();
    let file = File::open(cgroup.join("cgroup.procs"));
    _ = file.and_then(|file| file.take(4096).read_to_string(&mut text));
    text.lines().filter_map(|line| line.parse().ok()).take(MAX_TRIED).collect()
}

/// A regular file below `root`, with all links resolved as from within.
fn read_within(root: impl AsFd, path: &str) -> io::Result<Vec<u8>> {
    let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let place = openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), within)?;
    if FileType::from_raw_mode(fstat(&place)?.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL.into());
    }
    // What is opened now is what was checked, wherever its name leads by now.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat(CWD, format!("/proc/self/fd/{}", place.as_raw_fd()), flags, Mode::empty())?;
    read(File::from(file))
}

/// The whole lines in the first [`MAX_FILE`] bytes.
fn read(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if file.take(MAX_FILE).read_to_end(&mut bytes)? as u64 == MAX_FILE {
        bytes.truncate(bytes.iter().rposition(|b| *b == b'\n').unwrap_or(0));
    }
    Ok(bytes)
}

/// `NAME:PASSWORD:ID:...`, in a container with its own ids. Where two names have an id, the first counts.
fn names(file: &[u8], ids: &Ids) -> BTreeMap<u32, String> {
    let mut names = BTreeMap::new();
    for line in file.split(|b| *b == b'\n') {
        let mut fields = line.split(|b| *b == b':');
        let (Some(name), Some(id)) = (fields.next(), fields.nth(1)) else { continue };
        let text = |bytes| str::from_utf8(bytes).ok().filter(|text: &&str| !text.is_empty() && text.len() <= MAX_NAME);
        let id = text(id).and_then(|id| id.parse().ok()).and_then(|id| ids.on_host(id));
        if let (Some(name), Some(id)) = (text(name), id) {
            names.entry(id).or_insert_with(|| name.to_owned());
        }
        if names.len() >= Users::MAX {
            break;
        }
    }
    names
}

/// The names in a file, whatever it is.
#[cfg(fuzzing)]
pub(crate) fn read_any(file: &[u8], map: &str) -> BTreeMap<u32, String> {
    names(file, &Ids::parse(map))
}

/// How the ids of a user namespace are numbered on the host, as `uid_map` and `gid_map` show: the first within, the first
/// outside, and how many.
struct Ids(Vec<[u32; 3]>);

impl Ids {
    /// As they are on the host itself.
    fn of_host() -> Self {
        Self(vec![[0, 0, u32::MAX]])
    }

    fn parse(map: &str) -> Self {
        let line = |line: &str| {
            let mut numbers = line.split_whitespace().map(|n| n.parse().ok());
            Some([numbers.next()??, numbers.next()??, numbers.next()??])
        };
        Self(map.lines().filter_map(line).collect())
    }

    fn on_host(&self, id: u32) -> Option<u32> {
        self.0.iter().find_map(|[within, outside, count]| {
            let n = id.checked_sub(*within).filter(|n| n < count)?;
            outside.checked_add(n)
        })
    }
}

/// The names on the host, read again where they have changed.
#[derive(Default)]
pub(crate) struct HostUsers {
    seen: Option<[Option<Version>; 2]>,
}

/// Which files the names are from, of users and of groups.
pub(crate) type Files = [Option<Version>; 2];

/// What is another where a file is: its inode, its size, and when it was changed.
pub(crate) type Version = (u64, u64, i64, i64);

impl HostUsers {
    /// The names, where they are others than when they were read last.
    pub(crate) fn changed(&mut self) -> Option<Users> {
        let version = |m: Metadata| (m.ino(), m.len(), m.mtime(), m.mtime_nsec());
        let now = [PASSWD, GROUP].map(|file| fs::metadata(file).ok().map(version));
        if self.seen == Some(now) {
            return None;
        }
        self.seen = Some(now);
        let names = |file| names(&File::open(file).and_then(read).unwrap_or_default(), &Ids::of_host());
        Some(Users { users: names(PASSWD), groups: names(GROUP) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn host(file: &str) -> Vec<(u32, String)> {
        names(file.as_bytes(), &Ids::of_host()).into_iter().collect()
    }

    #[test]
    fn names_are_read_and_what_is_none_is_left_out() {
        let file = "root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0\nalice:x:1234:1234:::\n\nno\nbad:x:-1:0\nworse:x:many:0\n\
                    :x:7:7\n# a comment\nbig:x:4294967296:0\nlast:x:8";
        assert_eq!(host(file), [(0, "root".into()), (8, "last".into()), (1234, "alice".into())]);
        assert_eq!(host(&format!("{}:x:1\n{}:x:2", "a".repeat(MAX_NAME), "b".repeat(MAX_NAME + 1))).len(), 1);
        assert_eq!(names(b"\xff\xfe:x:1\nok:x:2\n\0:", &Ids::of_host()).len(), 1);
        let many: String = (0..5000).map(|n| format!("u{n}:x:{n}\n")).collect();
        assert_eq!(host(&many).len(), Users::MAX);
    }

    #[test]
    fn file_systems_with_a_server_are_known_from_those_without() {
        let line =
            |kind: &str| format!("36 35 98:0 /a /mnt\\040- rw,noatime master:1 - {kind} /dev/root rw,errors=continue");
        for kind in ["fuse", "fuse.sshfs", "fuseblk", "nfs4", "cifs", "9p", "virtiofs", "ceph", "something"] {
            assert!(!is_local(&line(kind)), "{kind}");
        }
        for kind in ["overlay", "ext4", "tmpfs", "proc", "zfs"] {
            assert!(is_local(&line(kind)), "{kind}");
        }
        assert!(!is_local("nonsense") && !has_only_local_files(u32::MAX));
    }

    #[test]
    fn servers_that_never_answer_keep_only_the_places_of_their_like() {
        let reader = Reader::new("/nonexistent".into());
        let take = |is_local| Arc::clone(reader.places(is_local)).try_acquire_owned();
        let kept: Vec<_> = (0..MAX_READING).map(|_| take(false).unwrap()).collect();
        assert!(take(false).is_err() && take(true).is_ok());
        drop(kept);
    }

    #[test]
    fn ids_of_a_user_namespace_are_told_as_the_host_numbers_them() {
        let ids = Ids::parse("         0     100000      1000\n      1000       5000          1\nnonsense\n");
        assert_eq!([0, 999, 1000, 1001].map(|id| ids.on_host(id)), [Some(100_000), Some(100_999), Some(5000), None]);
        assert_eq!(Ids::parse("5 4294967290 100").on_host(50), None);
        assert_eq!(Ids::of_host().on_host(1234), Some(1234));
    }

    #[test]
    fn no_link_leads_out_of_the_root_and_only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::create_dir(root.join("proc")).unwrap();
        fs::write(folder.path().join("secret"), "outside:x:1:").unwrap();
        fs::write(root.join("real"), "inside:x:1:").unwrap();
        let opened = || {
            let root = openat(CWD, &root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap();
            read_within(root, PASSWD).map(|bytes| String::from_utf8(bytes).unwrap()).ok()
        };
        assert_eq!(opened(), None, "there is none");
        let outside = folder.path().join("secret");
        for target in ["../../secret", outside.to_str().unwrap(), "/proc/self/root/real", "passwd"] {
            symlink(target, root.join("etc/passwd")).unwrap();
            assert_eq!(opened(), None, "{target}");
            fs::remove_file(root.join("etc/passwd")).unwrap();
        }
        for target in ["/real", "../real", "../../../real"] {
            symlink(target, root.join("etc/passwd")).unwrap();
            assert_eq!(opened().as_deref(), Some("inside:x:1:"), "{target}");
            fs::remove_file(root.join("etc/passwd")).unwrap();
        }
        // A magic link, such as a container's procfs has.
        symlink(format!("/proc/{}/exe", std::process::id()), root.join("etc/passwd")).unwrap();
        assert_eq!(opened(), None);
        fs::remove_file(root.join("etc/passwd")).unwrap();
        // One without a writer: to open it would take forever.
        rustix::fs::mknodat(CWD, root.join("etc/passwd"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert_eq!(opened(), None);
    }

    #[test]
    fn a_file_without_end_is_read_up_to_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passwd");
        fs::write(&path, format!("first:x:1:\n{}", "x".repeat(2 << 20))).unwrap();
        assert_eq!(read(File::open(&path).unwrap()).unwrap(), b"first:x:1:");
    }

    #[test]
    fn processes_with_the_hosts_root_are_in_no_container() {
        assert_eq!(of_container([std::process::id(), u32::MAX], None), None);
    }

    #[test]
    fn the_hosts_names_are_read_once_and_again_after_a_change() {
        let mut host = HostUsers::default();
        assert_eq!(host.changed().unwrap().users[&0], "root");
        assert_eq!(host.changed(), None);
        host.seen = Some([None, None]);
        assert!(host.changed().is_some());
    }
}
