//! Paths as a tree, in which a directory with too many different children becomes `directory/*`. Code is counted by its
//! ending, and becomes `directory/<any>.php`: what became many without it says nothing of it.

mod merge;
mod novelty;

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};

use super::{
    alike,
    code::{self, ANY, any_like},
    places,
};
use crate::{
    learning::{Novelty, Seen},
    subject::{
        normalise::{self, MAX_PATH},
        program::folder,
    },
};

/// Different files, or different directories, in one place from which they are treated as one.
const MANY: usize = 16;
/// The same where files are gone soon.
const MANY_TEMPORARY: usize = 4;
/// Files in one place that a new one is compared with.
const MOST_COMPARED: usize = 64;

/// Normalised paths that were seen. Reads and writes as a map from pattern to what was seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, Seen>", into = "BTreeMap<String, Seen>")]
pub(crate) struct PathTree {
    top: Directory,
    len: usize,
}

/// Either holds children by name, or one of the name `*` for all; files and directories each for themselves.
#[derive(Debug, Clone, Default, PartialEq)]
struct Directory {
    files: BTreeMap<String, Seen>,
    directories: BTreeMap<String, Directory>,
    /// How surprising something new anywhere below it is.
    novelty: Novelty,
}

impl PathTree {
    /// Patterns it holds.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What was seen of the path, if a pattern covers it.
    pub(crate) fn get(&self, path: &str) -> Option<&Seen> {
        let (directories, file) = split(path);
        if let Some(any) = self.anywhere(file) {
            return self.top.files.get(&*any);
        }
        let mut directory = &self.top;
        for segment in directories {
            directory = directory.directories.get(&*known_as(&directory.directories, segment))?;
        }
        let name = file_known_as(&directory.files, file);
        directory
            .files
            .get(&*name)
            .or_else(|| directory.files.get(&alike(&directory.files, file, is_temporary(path))?.0))
    }

    /// Whether the names of the files beside a path were given up.
    pub(crate) fn gave_up_around(&self, path: &str) -> bool {
        self.get(&format!("{}/{ANY}", folder(path))).is_some()
    }

    /// The same to be changed.
    pub(crate) fn get_mut(&mut self, path: &str) -> Option<&mut Seen> {
        let (directories, file) = split(path);
        if let Some(any) = self.anywhere(file) {
            return self.top.files.get_mut(&*any);
        }
        let mut directory = &mut self.top;
        for segment in directories {
            directory = directory.directories.get_mut(&*known_as(&directory.directories, segment))?;
        }
        let before = directory.files.len();
        let name = directory.file(file, is_temporary(path));
        self.len = self.len + directory.files.len() - before;
        directory.files.get_mut(&*name)
    }

    /// The pattern that covers code of this name wherever it lies, where it holds one.
    fn anywhere<'a>(&self, file: &'a str) -> Option<Cow<'a, str>> {
        // Hardly ever is there any.
        let any = if self.top.files.is_empty() { None } else { code::pattern(file) };
        any.filter(|any| self.top.files.contains_key(&**any))
    }

    /// Adds all code of the kind of this file, wherever it lies.
    pub(crate) fn insert_anywhere(&mut self, path: &str, seen: Seen) {
        let (_, file) = split(path);
        self.top.files.entry(any_like(file).into_owned()).or_default().add(seen);
        self.len = self.top.count();
    }

    /// Adds a path, and gives up the names of a directory's children where they have become too many.
    pub(crate) fn insert(&mut self, path: &str, seen: Seen) {
        let (directories, file) = split(path);
        let mut at = String::new();
        match self.top.insert(&mut at, directories, file, seen) {
            Some((before, after)) => self.len = self.len + after - before,
            None => self.len = self.top.count(),
        }
    }

    /// Adds a pattern as it is, with the names that were given up.
    pub(crate) fn insert_pattern(&mut self, pattern: &str, seen: Seen) {
        let (directories, file) = split(pattern);
        let mut directory = &mut self.top;
        for segment in directories {
            directory = directory.directories.entry(segment.to_owned()).or_default();
        }
        if directory.files.insert(file.to_owned(), seen).is_none() {
            self.len += 1;
        }
    }

    /// Keeps what `keep` says.
    pub(crate) fn retain(&mut self, keep: &mut impl FnMut(&str, &mut Seen) -> bool) {
        self.top.retain(&mut String::new(), keep);
        self.len = self.top.count();
    }

    /// Bytes of its names.
    pub(crate) fn bytes(&self) -> usize {
        self.top.bytes()
    }

    /// Counts what was noted. How much that was.
    pub(crate) fn flush_counts(&mut self, window: u64) -> u64 {
        self.top.flush_counts(window)
    }

    /// Adds all that it was seen of.
    pub(crate) fn add_to(&self, all: &mut Seen) {
        self.top.add_to(all);
    }

    /// Every pattern with what was seen, in order.
    pub(crate) fn patterns(&self) -> Vec<(String, Seen)> {
        let mut out = Vec::with_capacity(self.len);
        self.top.collect(&mut String::new(), &mut out);
        out.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        out
    }
}

impl Directory {
    /// Adds a file below `at`, this directory's own path. How many files were beside it before and after; none where the names
    /// of many were given up.
    fn insert<'a>(
        &mut self,
        at: &mut String,
        mut directories: impl Iterator<Item = &'a str>,
        file: &str,
        seen: Seen,
    ) -> Option<(usize, usize)> {
        let Some(segment) = directories.next() else {
            let before = self.files.len();
            let name = self.file(file, places::is_temporary(at.trim_end_matches('/'))).into_owned();
            let is_new = !self.files.contains_key(&name);
            self.files.entry(name.clone()).or_default().add(seen);
            if is_new && name.contains(['<', '*']) {
                self.take_in(&name);
            }
            let most = most_in(at);
            if self.files.len() > most && self.kinds().get(&any_like(&name)).is_some_and(|alike| *alike > most) {
                self.merge_files(|_, alike| alike > most);
                return None;
            }
            return Some((before, self.files.len()));
        };
        let name = known_as(&self.directories, segment).into_owned();
        let own = at.len();
        at.push_str(&name);
        at.push('/');
        let below = self.directories.entry(name).or_default().insert(at, directories, file, seen);
        at.truncate(own);
        let many = self.directories.len() > most_in(at);
        if many {
            self.merge_directories();
            return None;
        }
        below
    }

    /// The key under which a file is kept. One that differs from another only in what varies shows that it does: both are
    /// kept under their pattern from then on.
    fn file<'a>(&mut self, name: &'a str, is_temporary: bool) -> Cow<'a, str> {
        let known = file_known_as(&self.files, name);
        if self.files.contains_key(&*known) {
            return known;
        }
        let Some((other, pattern)) = alike(&self.files, name, is_temporary) else { return known };
        if other != pattern
            && let Some(seen) = self.files.remove(&other)
        {
            self.files.entry(pattern.clone()).or_default().add(seen);
            self.take_in(&pattern);
        }
        Cow::Owned(pattern)
    }

    /// Counts names that a pattern covers as the pattern: two of them need not have shown that they are alike.
    fn take_in(&mut self, pattern: &str) {
        if self.files.len() > MOST_COMPARED {
            return;
        }
        let covers = |name: &String| alike::common(pattern, name).is_some_and(|common| common == pattern);
        let covered: Vec<String> = self.files.keys().filter(|name| covers(name)).cloned().collect();
        let seen: Vec<Seen> = covered.iter().filter_map(|name| self.files.remove(name)).collect();
        if let Some(all) = self.files.get_mut(pattern) {
            seen.into_iter().for_each(|seen| all.add(seen));
        }
    }

    fn retain(&mut self, at: &mut String, keep: &mut impl FnMut(&str, &mut Seen) -> bool) {
        let own = at.len();
        self.files.retain(|name, seen| {
            at.push_str(name);
            let kept = keep(at, seen);
            at.truncate(own);
            kept
        });
        self.directories.retain(|name, directory| {
            at.push_str(name);
            at.push('/');
            directory.retain(at, keep);
            at.truncate(own);
            !directory.files.is_empty() || !directory.directories.is_empty()
        });
    }

    fn bytes(&self) -> usize {
        let files: usize = self.files.keys().map(String::len).sum();
        let below = self.directories.iter();
        files + below.map(|(name, below)| name.len() + size_of::<Novelty>() + below.bytes()).sum::<usize>()
    }

    fn flush_counts(&mut self, window: u64) -> u64 {
        let files: u64 = self.files.values_mut().map(Seen::flush_counts).sum();
        let all = files + self.directories.values_mut().map(|below| below.flush_counts(window)).sum::<u64>();
        if all > 0 {
            self.novelty.touch(window);
        }
        all
    }

    fn add_to(&self, all: &mut Seen) {
        self.files.values().for_each(|seen| all.add(*seen));
        self.directories.values().for_each(|directory| directory.add_to(all));
    }

    fn count(&self) -> usize {
        self.files.len() + self.directories.values().map(Self::count).sum::<usize>()
    }

    fn collect(&self, at: &mut String, out: &mut Vec<(String, Seen)>) {
        out.extend(self.files.iter().map(|(name, seen)| (format!("{at}{name}"), *seen)));
        for (name, directory) in &self.directories {
            let own = at.len();
            at.push_str(name);
            at.push('/');
            directory.collect(at, out);
            at.truncate(own);
        }
    }
}

/// The directories on a path, and the file's name. A path without a `/` has none.
fn split(path: &str) -> (impl Iterator<Item = &str>, &str) {
    let (directories, file) = path.rsplit_once('/').map_or((None, path), |(d, f)| (Some(d), f));
    (directories.into_iter().flat_map(|d| d.split('/')), file)
}

/// The key under which a directory is kept: `*`, its own name, or a class of names that it may belong to.
fn known_as<'a, T>(children: &BTreeMap<String, T>, name: &'a str) -> Cow<'a, str> {
    kept_as(children, name, Cow::Borrowed(ANY))
}

/// The same of a file, for which `*` stands only where it is no code.
fn file_known_as<'a>(files: &BTreeMap<String, Seen>, name: &'a str) -> Cow<'a, str> {
    kept_as(files, name, any_like(name))
}

fn kept_as<'a, T>(children: &BTreeMap<String, T>, name: &'a str, any: Cow<'a, str>) -> Cow<'a, str> {
    if children.contains_key(&*any) {
        return any;
    }
    if children.contains_key(name) || !children.keys().any(|child| child.contains(['<', '*'])) {
        return Cow::Borrowed(name);
    }
    let class = normalise::looser(name).into_iter().find(|class| children.contains_key(class));
    class.map_or(Cow::Borrowed(name), Cow::Owned)
}

/// A file that differs from this one only in what varies, and what stands for both. In a place with very many files none is
/// looked for.
fn alike(files: &BTreeMap<String, Seen>, name: &str, is_temporary: bool) -> Option<(String, String)> {
    if files.len() > MOST_COMPARED {
        return None;
    }
    // Where names are made up anyway, one that has no capital and no digit is no other than the rest.
    if is_temporary
        && let Some(class) = alike::class_of_ending(name)
        && files.contains_key(&class)
    {
        return Some((class.clone(), class));
    }
    files.keys().find_map(|other| Some((other.clone(), alike::common(other, name)?)))
}

/// Whether a path lies in a place for files that are gone soon.
fn is_temporary(path: &str) -> bool {
    path.rsplit_once('/').is_some_and(|(folder, _)| places::is_temporary(folder))
}

/// How many different children a directory may have, given its path with a `/` at the end.
fn most_in(directory: &str) -> usize {
    let directory = directory.strip_suffix('/').unwrap_or(directory);
    match directory {
        _ if places::is_temporary(directory) => MANY_TEMPORARY,
        _ if places::is_common_parent(directory) => usize::MAX,
        _ => MANY,
    }
}

impl From<BTreeMap<String, Seen>> for PathTree {
    /// Takes patterns as they are, with the names that were given up; overlong ones cannot be ours and are left out.
    fn from(patterns: BTreeMap<String, Seen>) -> Self {
        let mut tree = Self::default();
        for (pattern, seen) in patterns.into_iter().filter(|(p, _)| p.len() <= 2 * MAX_PATH) {
            tree.insert_pattern(&pattern, seen);
        }
        tree
    }
}

impl From<PathTree> for BTreeMap<String, Seen> {
    fn from(tree: PathTree) -> Self {
        tree.patterns().into_iter().collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
