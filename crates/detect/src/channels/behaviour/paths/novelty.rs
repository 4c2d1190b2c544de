//! How often there is something new below a folder: in how many of the windows in which it was used.

use std::collections::BTreeMap;

use super::{ANY, Directory, PathTree, code, known_as, places, split};
use crate::learning::Novelty;

/// Windows of time in which a folder was used, from which on it says by itself how surprising something new in it is.
const ENOUGH_WINDOWS: u32 = 4;
/// Names in a folder from which on it is where a program keeps files of its own.
const MANY_OWN: usize = 4;

impl PathTree {
    /// A path that it did not hold until now came in that window: something new below each of its folders.
    pub(crate) fn note_new(&mut self, path: &str, window: u64) {
        let mut directory = Some(&mut self.top);
        let (mut segments, _) = split(path);
        while let Some(known) = directory {
            known.novelty.add(window);
            directory =
                segments.next().and_then(|name| known.directories.get_mut(&*known_as(&known.directories, name)));
        }
    }

    /// How surprising something new is in the innermost folder of a path of which enough is known, and which one that is. Of
    /// code, other new files say nothing.
    pub(crate) fn novelty_around<'p>(&self, path: &'p str) -> Option<(&'p str, Novelty)> {
        let mut found: Option<(&str, &Directory)> = None;
        let mut directory = &self.top;
        let (segments, file) = split(path);
        let mut end = 0;
        for segment in segments {
            let Some(next) = directory.directories.get(&*known_as(&directory.directories, segment)) else { break };
            directory = next;
            end += segment.len();
            if directory.novelty.windows().0 >= ENOUGH_WINDOWS {
                found = path.get(..end).map(|folder| (folder, directory));
            }
            end += 1;
        }
        let (folder, directory) = found.filter(|(folder, _)| !folder.is_empty())?;
        let is_first = code::is_code(file) && !directory.holds_code();
        Some((folder, if is_first { directory.novelty.without_news() } else { directory.novelty }))
    }

    /// Whether any code is held.
    pub(crate) fn holds_code(&self) -> bool {
        self.top.holds_code()
    }

    /// Whether the folder of a path, or the one that this lies in, holds many names and is used all the time.
    pub(crate) fn is_own_data(&self, path: &str) -> bool {
        let mut on_the_way = vec![(String::new(), &self.top)];
        let (segments, _) = split(path);
        for segment in segments {
            let Some((at, directory)) = on_the_way.last() else { break };
            let Some(next) = directory.directories.get(&*known_as(&directory.directories, segment)) else { break };
            on_the_way.push((format!("{at}{segment}/"), next));
        }
        let holds_many = |(at, directory): &(String, &Directory)| {
            let names = directory.files.len() + directory.directories.len();
            let is_merged = directory.files.contains_key(ANY) || directory.directories.contains_key(ANY);
            let is_own = at.len() > 1 && !places::is_common_parent(at.trim_end_matches('/'));
            is_own && (names >= MANY_OWN || is_merged) && directory.novelty.windows().0 >= ENOUGH_WINDOWS
        };
        on_the_way.iter().rev().take(2).any(holds_many)
    }

    /// How surprising something new is, by folder.
    pub(crate) fn novelties(&self) -> BTreeMap<String, Novelty> {
        let mut all = BTreeMap::new();
        self.top.novelties(&mut String::new(), &mut all);
        all
    }

    /// Takes that over, for the folders that there are.
    pub(crate) fn set_novelties(&mut self, all: &BTreeMap<String, Novelty>) {
        for (folder, novelty) in all {
            let mut directory = Some(&mut self.top);
            for segment in folder.split_terminator('/') {
                directory = directory.and_then(|known| known.directories.get_mut(segment));
            }
            if let Some(known) = directory {
                known.novelty = *novelty;
            }
        }
    }
}

impl Directory {
    fn holds_code(&self) -> bool {
        self.files.keys().any(|name| code::is_code(name)) || self.directories.values().any(Self::holds_code)
    }

    fn novelties(&self, at: &mut String, all: &mut BTreeMap<String, Novelty>) {
        if self.novelty != Novelty::default() {
            all.insert(at.clone(), self.novelty);
        }
        for (name, directory) in &self.directories {
            let own = at.len();
            at.push_str(name);
            at.push('/');
            directory.novelties(at, all);
            at.truncate(own);
        }
    }
}
