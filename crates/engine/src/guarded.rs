//! Guarded files by what they are: a secret, or what decides what runs, is that by any of its names.
//!
//! Events show which file has a guarded path, and the agent looks up those of each container that have more than one name.
//! A file is known by its inode, and only in the container in which it was met, or where it is the host's.

use std::{collections::VecDeque, sync::Arc};

use ethogram_detect::{channels::behaviour::places, guarded_path};
use ethogram_model::{Event, FileId, FileIdentity, Value, build};
use rustc_hash::FxHashMap;

use crate::containers::runtime::LinkedFile;

/// Stands for the host, where a container is given by its outermost cgroup.
pub(crate) const HOST: u64 = 0;
/// Files kept of a container that events showed; beyond, what was shown first gives way.
const MAX_SHOWN: usize = 256;
/// Containers of which files are kept.
const MAX_CONTAINERS: usize = 4_096;

/// The guarded files that are known.
#[derive(Debug, Default)]
pub(crate) struct GuardedFiles {
    of: FxHashMap<u64, Files>,
}

/// Those of a container.
#[derive(Debug, Default)]
struct Files {
    /// As events showed them, and in which order.
    shown: FxHashMap<FileId, Shown>,
    order: VecDeque<FileId>,
    /// As they were looked up.
    found: FxHashMap<FileId, Arc<str>>,
}

#[derive(Debug)]
struct Shown {
    path: Arc<str>,
    generation: u32,
}

impl Shown {
    /// Whether it is that file, and not another that got its inode. What never gives its inode away has no generation.
    fn is(&self, file: &FileIdentity) -> bool {
        self.generation == 0 || self.generation == file.generation
    }
}

impl GuardedFiles {
    /// Learns from an event which file has a guarded path, or adds to it the one that its file is known by. Says whether the file may
    /// have been met by another name before.
    pub(crate) fn meet(&mut self, container: u64, event: &mut Event) -> bool {
        let Some(file) = event.file() else { return false };
        if let Some(path) = guarded_path(event).map(|path| Arc::from(&*path)) {
            return self.show(container, &file, path) && file.names > 1;
        }
        let known = self.path(container, &file).or_else(|| self.path(HOST, &file));
        let (Some(path), Some(field)) = (known, event.schema.layout().guarded_path) else { return false };
        if has_moved_from(event, path) && places::secret(path).is_none() {
            // It decides nothing where it is now.
            if let Some(files) = self.of.get_mut(&container) {
                files.forget(file.id);
            }
            return false;
        }
        *event = build::at_paths(event, &[(field, path.as_bytes().into())]);
        false
    }

    /// Takes in which guarded files of a container have several names. Says whether one was not known.
    pub(crate) fn look_up(&mut self, container: u64, found: Vec<LinkedFile>) -> bool {
        if found.is_empty() {
            // What is known of nothing takes no place.
            if let Some(files) = self.of.get_mut(&container) {
                files.found.clear();
            }
            return false;
        }
        let Some(files) = self.files(container) else { return false };
        let found: FxHashMap<FileId, Arc<str>> =
            found.into_iter().take(LinkedFile::MAX).map(|file| (file.id, file.path.into())).collect();
        let is_new = found.keys().any(|id| !files.found.contains_key(id));
        files.found = found;
        is_new
    }

    /// Forgets the containers that are not there any more.
    pub(crate) fn retain(&mut self, is_there: impl Fn(u64) -> bool) {
        self.of.retain(|container, _| *container == HOST || is_there(*container));
    }

    fn path(&self, container: u64, file: &FileIdentity) -> Option<&str> {
        let files = self.of.get(&container)?;
        let shown = files.shown.get(&file.id).filter(|shown| shown.is(file)).map(|shown| &shown.path);
        shown.or_else(|| files.found.get(&file.id)).map(|path| &**path)
    }

    fn show(&mut self, container: u64, file: &FileIdentity, path: Arc<str>) -> bool {
        let Some(files) = self.files(container) else { return false };
        let shown = Shown { path, generation: file.generation };
        if let Some(known) = files.shown.get_mut(&file.id) {
            let is_new = !known.is(file);
            *known = shown;
            return is_new;
        }
        if files.shown.len() >= MAX_SHOWN
            && let Some(first) = files.order.pop_front()
        {
            files.shown.remove(&first);
        }
        files.order.push_back(file.id);
        files.shown.insert(file.id, shown);
        true
    }

    fn files(&mut self, container: u64) -> Option<&mut Files> {
        if self.of.len() >= MAX_CONTAINERS && !self.of.contains_key(&container) {
            return None;
        }
        Some(self.of.entry(container).or_default())
    }
}

impl Files {
    fn forget(&mut self, id: FileId) {
        if self.shown.remove(&id).is_some() {
            self.order.retain(|other| *other != id);
        }
    }
}

/// Whether the event moves its file away from that path.
fn has_moved_from(event: &Event, path: &str) -> bool {
    let layout = event.schema.layout();
    let is_it = |field| matches!(event.value_at(field), Value::Text(from) if *from == *path.as_bytes());
    layout.is_move && layout.file_path.is_some_and(is_it) && !event.get("error.type").is_truthy()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::LazyLock;

    use ethogram_model::TrackerSchema;

    use super::*;

    const CONTAINER: u64 = 7;

    /// An event about the file of that inode; each name of a field stands before its value.
    fn event(tracker: &str, kind: &str, inode: u64, fields: &[(&str, &str)]) -> Event {
        // They are read from their objects, which takes a while.
        static TRACKERS: LazyLock<Vec<Arc<TrackerSchema>>> =
            LazyLock::new(|| ethogram_probe::builtin().unwrap().into_iter().map(|t| t.schema).collect());
        let tracker = TRACKERS.iter().find(|t| &*t.name == tracker).unwrap();
        let schema = tracker.events.iter().find(|e| &*e.name == kind).unwrap();
        let identity = [("_inode", inode.to_string()), ("_device", "1".into()), ("_names", "1".into())];
        let given = fields.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let fields: Vec<_> = identity.into_iter().chain(given).map(|(n, v)| (n.to_owned(), vec![v])).collect();
        build::event(schema, &fields).unwrap()
    }

    fn read(inode: u64, path: &str) -> Event {
        event("open", "open", inode, &[("file.path", path), ("file.open.read", "true")])
    }

    fn write(inode: u64, path: &str) -> Event {
        event("open", "open", inode, &[("file.path", path), ("file.open.write", "true")])
    }

    /// What a file is known by in a container.
    fn known(files: &mut GuardedFiles, container: u64, mut event: Event) -> String {
        files.meet(container, &mut event);
        event.get("file.guarded_path").to_text().into_owned()
    }

    #[test]
    fn another_name_of_a_guarded_file_is_known_and_another_file_is_not() {
        let mut files = GuardedFiles::default();
        assert_eq!(known(&mut files, CONTAINER, read(5, "/srv/notes")), "");
        assert_eq!(known(&mut files, CONTAINER, read(5, "/etc/shadow")), "", "it says so itself");
        assert_eq!(known(&mut files, CONTAINER, read(5, "/srv/notes")), "/etc/shadow");
        assert_eq!(known(&mut files, CONTAINER, read(6, "/srv/notes")), "", "another file");
        assert_eq!(known(&mut files, 8, read(5, "/srv/notes")), "", "another container");
        let on_another_device = event("open", "open", 5, &[("file.path", "/srv/notes"), ("_device", "2")]);
        assert_eq!(known(&mut files, CONTAINER, on_another_device), "");
        // What is only read at a place that decides something is not guarded.
        known(&mut files, CONTAINER, read(9, "/etc/cron.d/job"));
        assert_eq!(known(&mut files, CONTAINER, write(9, "/srv/job")), "");
        known(&mut files, CONTAINER, write(9, "/etc/cron.d/job"));
        assert_eq!(known(&mut files, CONTAINER, write(9, "/srv/job")), "/etc/cron.d/job");
    }

    #[test]
    fn a_file_that_got_the_inode_of_another_is_another() {
        let mut files = GuardedFiles::default();
        let of = |generation: &str, path: &str| {
            let fields = [("file.path", path), ("file.open.read", "true"), ("_generation", generation)];
            event("open", "open", 5, &fields)
        };
        known(&mut files, CONTAINER, of("3", "/srv/one.key"));
        assert_eq!(known(&mut files, CONTAINER, of("3", "/srv/notes")), "/srv/one.key");
        assert_eq!(known(&mut files, CONTAINER, of("4", "/srv/notes")), "");
        // As a file of the image is until it is copied to be changed.
        known(&mut files, CONTAINER, of("0", "/srv/one.key"));
        assert_eq!(known(&mut files, CONTAINER, of("4", "/srv/notes")), "/srv/one.key");
    }

    #[test]
    fn what_is_moved_away_or_linked_stays_a_secret_and_decides_nothing_more() {
        let mut files = GuardedFiles::default();
        let moved = |inode, from: &str, to: &str, error: &str| {
            let paths = [("file.path", from), ("file.new_path", to), ("error.type", error)];
            event("fs", "rename", inode, &paths[..if error.is_empty() { 2 } else { 3 }])
        };
        known(&mut files, CONTAINER, moved(5, "/etc/shadow", "/srv/a", ""));
        assert_eq!(known(&mut files, CONTAINER, read(5, "/srv/a")), "/etc/shadow");
        let link = [("file.path", "/srv/b"), ("file.link.target_path", "/srv/a")];
        assert_eq!(known(&mut files, CONTAINER, event("fs", "link", 5, &link)), "/etc/shadow");
        // A file that gets a guarded name is that by its old one, too.
        let link = [("file.path", "/etc/cron.d/job"), ("file.link.target_path", "/srv/job")];
        known(&mut files, CONTAINER, event("fs", "link", 6, &link));
        assert_eq!(known(&mut files, CONTAINER, write(6, "/srv/job")), "/etc/cron.d/job");
        known(&mut files, CONTAINER, moved(6, "/etc/cron.d/job", "/srv/c", "EACCES"));
        assert_eq!(known(&mut files, CONTAINER, write(6, "/srv/c")), "/etc/cron.d/job");
        known(&mut files, CONTAINER, moved(6, "/etc/cron.d/job", "/srv/c", ""));
        assert_eq!(known(&mut files, CONTAINER, write(6, "/srv/c")), "");
    }

    #[test]
    fn what_was_looked_up_is_known_as_long_as_it_is_there() {
        let mut files = GuardedFiles::default();
        let found = |inode, path: &str| LinkedFile { path: path.into(), id: FileId { device: 1, inode } };
        assert!(!files.look_up(CONTAINER, Vec::new()));
        assert!(files.look_up(CONTAINER, vec![found(5, "/etc/shadow")]));
        assert!(!files.look_up(CONTAINER, vec![found(5, "/etc/shadow")]));
        assert!(files.look_up(HOST, vec![found(6, "/etc/gshadow")]));
        assert_eq!(known(&mut files, CONTAINER, read(5, "/srv/a")), "/etc/shadow");
        assert_eq!(known(&mut files, 8, read(5, "/srv/a")), "");
        // The host's are that wherever they are mounted.
        assert_eq!(known(&mut files, 8, read(6, "/srv/b")), "/etc/gshadow");
        files.look_up(CONTAINER, Vec::new());
        assert_eq!(known(&mut files, CONTAINER, read(5, "/srv/a")), "");
        files.retain(|_| false);
        assert_eq!(known(&mut files, 8, read(6, "/srv/b")), "/etc/gshadow");
    }

    #[test]
    fn who_has_many_guarded_files_forgets_their_own_first_ones() {
        let mut files = GuardedFiles::default();
        known(&mut files, 8, read(1, "/etc/shadow"));
        for inode in 0..2000 {
            known(&mut files, CONTAINER, read(inode, &format!("/srv/{inode}.key")));
        }
        assert_eq!(files.of[&CONTAINER].shown.len(), MAX_SHOWN);
        assert_eq!(files.of[&CONTAINER].order.len(), MAX_SHOWN);
        assert_eq!(known(&mut files, CONTAINER, read(1, "/srv/a")), "");
        assert_eq!(known(&mut files, CONTAINER, read(1999, "/srv/a")), "/srv/1999.key");
        assert_eq!(known(&mut files, 8, read(1, "/srv/a")), "/etc/shadow");
        for container in 100..10_000 {
            files.meet(container, &mut read(1, "/etc/shadow"));
        }
        assert_eq!(files.of.len(), MAX_CONTAINERS);
        files.retain(|container| container == 8);
        assert_eq!(files.of.len(), 1);
    }
}
