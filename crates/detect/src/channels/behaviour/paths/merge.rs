//! Gives up names: many files, or many directories, in one place become one.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use super::{ANY, Directory, PathTree, any_like, most_in};

impl PathTree {
    /// Gives up the names in the directory that has most of them. False when there is none with more than one.
    pub(crate) fn shrink(&mut self) -> bool {
        let Some(largest) = self.top.largest(&mut String::new()).filter(|l| l.saved > 0) else { return false };
        let mut directory = &mut self.top;
        for segment in &largest.path {
            match directory.directories.get_mut(segment) {
                Some(next) => directory = next,
                None => return false,
            }
        }
        if largest.files {
            directory.merge_files(|_, alike| alike > 1)
        } else {
            directory.merge_directories()
        }
        self.len = self.top.count();
        true
    }
}

impl Directory {
    /// Its files by what would stand for them, if their names were given up: how many there are of each.
    pub(super) fn kinds(&self) -> BTreeMap<Cow<'_, str>, usize> {
        let mut kinds = BTreeMap::new();
        self.files.keys().for_each(|name| *kinds.entry(any_like(name)).or_default() += 1);
        kinds
    }

    /// Gives up the names of the files of each kind that `of` says, given what stands for it and how many there are.
    pub(super) fn merge_files(&mut self, of: impl Fn(&str, usize) -> bool) {
        let kinds = self.kinds().into_iter().filter(|(any, alike)| of(any, *alike));
        let kinds: BTreeSet<String> = kinds.map(|(any, _)| any.into_owned()).collect();
        for (name, seen) in std::mem::take(&mut self.files) {
            let any = any_like(&name);
            let key = if kinds.contains(&*any) { any.into_owned() } else { name };
            self.files.entry(key).or_default().add(seen);
        }
    }

    pub(super) fn merge_directories(&mut self) {
        let mut all = Self::default();
        std::mem::take(&mut self.directories).into_values().for_each(|directory| all.absorb(directory));
        self.directories.insert(ANY.to_owned(), all);
    }

    /// Takes over what another directory holds. Names that one of the two has given up, the other gives up too.
    fn absorb(&mut self, other: Self) {
        self.novelty = self.novelty.most(other.novelty);
        for (name, seen) in other.files {
            self.files.entry(name).or_default().add(seen);
        }
        let given_up: BTreeSet<String> = self.files.keys().filter(|name| any_like(name) == **name).cloned().collect();
        if !given_up.is_empty() {
            self.merge_files(|any, _| given_up.contains(any));
        }
        for (name, directory) in other.directories {
            self.directories.entry(name).or_default().absorb(directory);
        }
        if self.directories.len() > 1 && self.directories.contains_key(ANY) {
            self.merge_directories();
        }
    }

    /// The place below `at` where most is saved, of those whose names may be given up.
    fn largest(&self, at: &mut String) -> Option<Largest> {
        let mut largest = (most_in(at) < usize::MAX).then(|| {
            let (files, directories) =
                (self.files.len() - self.kinds().len(), self.directories.len().saturating_sub(1));
            Largest { saved: files.max(directories), files: files >= directories, path: Vec::new() }
        });
        for (name, directory) in &self.directories {
            let own = at.len();
            at.push_str(name);
            at.push('/');
            if let Some(mut below) = directory.largest(at)
                && largest.as_ref().is_none_or(|l| below.saved > l.saved)
            {
                below.path.insert(0, name.clone());
                largest = Some(below);
            }
            at.truncate(own);
        }
        largest
    }
}

/// The place where giving up names saves most.
struct Largest {
    /// So many names.
    saved: usize,
    files: bool,
    path: Vec<String>,
}
