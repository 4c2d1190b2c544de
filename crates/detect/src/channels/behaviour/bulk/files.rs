//! Files of a workload that go, while others that end otherwise come into their place.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use ethogram_model::render;
use rustc_hash::{FxHashMap, FxHashSet};

use super::Sum;
use crate::subject::{normalise, program::folder};

/// What belongs together happens within such a time, nanoseconds. What a workload has made within it is its own, as temporary
/// files are.
const WINDOW_NS: u64 = 60_000_000_000;
/// So many files in that time nobody replaces by hand.
const MANY: u32 = 16;
/// Names remembered within that time. Beyond, they are forgotten, and what was counted is not.
const MAX_NAMES: usize = 2_048;
/// Endings told apart within that time; further ones are one.
const MAX_ENDINGS: usize = 16;
/// Bytes of an ending: what is longer, or has other characters than words, is part of a name.
const MAX_ENDING: usize = 24;
/// Folders from the root on that are told apart: the jobs of one service work in different ones below.
const FOLDERS: usize = 2;
/// What stands for endings beyond the bound, and for any.
const ANY: &str = "*";

/// The last minute of a workload's files.
#[derive(Debug, Default)]
pub(super) struct Files {
    since_ns: u64,
    /// The container of the event at hand.
    place: u64,
    /// Names that were made.
    made: FxHashSet<u64>,
    /// Files of before that were opened for writing.
    changed: FxHashSet<u64>,
    /// Files that went, by the names that those in their place can have without their ending.
    gone: FxHashMap<u64, Gone>,
    /// Files that came, by the same.
    came: FxHashMap<u64, String>,
    /// What was replaced, by the new ending.
    replaced: BTreeMap<String, Many>,
}

/// A file that went.
#[derive(Debug, Clone, Copy)]
struct Gone {
    name: u64,
    ending: u64,
}

/// How many files, and where.
#[derive(Debug, Default)]
struct Many {
    count: u32,
    /// The folder that all lie below.
    folder: String,
}

impl Many {
    /// One more, in this folder. Whether it is time to say so.
    fn add(&mut self, folder: &str) -> bool {
        if self.count == 0 {
            folder.clone_into(&mut self.folder);
        } else if !is_below(folder, &self.folder) {
            let same = self.folder.split('/').zip(folder.split('/')).take_while(|(a, b)| a == b);
            let length = same.map(|(name, _)| name.len() + 1).sum::<usize>().saturating_sub(1);
            self.folder.truncate(length);
        }
        self.count = self.count.saturating_add(1);
        self.count >= MANY && self.count.is_power_of_two()
    }

    /// The folder, as profiles know it.
    fn known_folder(&self) -> String {
        let end = self.folder.match_indices('/').nth(FOLDERS).map_or(self.folder.len(), |(at, _)| at);
        normalise::path(self.folder.get(..end).unwrap_or_default()).into_owned()
    }
}

fn is_below(folder: &str, upper: &str) -> bool {
    folder.strip_prefix(upper).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A name without its ending, and that, where it has one.
fn parts(name: &str) -> Option<(&str, &str)> {
    let (stem, ending) = name.rsplit_once('.')?;
    let is_word = ending.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let fits = (1..=MAX_ENDING).contains(&ending.len()) && is_word;
    (fits && !stem.is_empty() && !stem.ends_with('/')).then_some((stem, ending))
}

fn shown(folder: &str) -> Cow<'_, str> {
    if folder.is_empty() { "/".into() } else { render::escape(folder) }
}

/// What stands for a name. Names are chosen by who is watched: none may be made to stand for another.
pub(super) fn hash_of(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

impl Files {
    /// Lets go of what is over.
    pub(super) fn forget(&mut self, now_ns: u64) {
        if self.since_ns != 0 && now_ns.saturating_sub(self.since_ns) >= WINDOW_NS {
            *self = Self::default();
        }
    }

    /// The same at that time, for what a container does.
    pub(super) fn at(&mut self, place: u64, now_ns: u64) -> &mut Self {
        self.forget(now_ns);
        if self.since_ns == 0 {
            self.since_ns = now_ns;
        }
        if self.made.len() + self.changed.len() + self.gone.len() + self.came.len() >= MAX_NAMES {
            // Their room stays: who makes many files fills it again at once.
            self.made.clear();
            self.changed.clear();
            self.gone.clear();
            self.came.clear();
        }
        self.place = place;
        self
    }

    fn key(&self, path: &str) -> u64 {
        hash_of((self.place, path))
    }

    /// A file has a name that no file had. What it completes.
    pub(super) fn make(&mut self, path: &str) -> Option<Sum> {
        let name = self.key(path);
        self.made.insert(name);
        let (stem, ending) = parts(path)?;
        let ending = normalise::segment(ending).into_owned();
        let base = self.key(stem);
        // What is there again is not gone.
        let is_other = |gone: &Gone| !self.made.contains(&gone.name) && gone.ending != hash_of(&ending);
        if self.gone.get(&base).is_some_and(is_other) {
            self.gone.remove(&base);
            return self.replace(path, ending);
        }
        self.came.insert(base, ending);
        None
    }

    /// A file loses its name. What it completes.
    pub(super) fn remove(&mut self, path: &str) -> Option<Sum> {
        let name = self.key(path);
        let parts = parts(path);
        let ending = parts.map(|(_, ending)| normalise::segment(ending).into_owned()).unwrap_or_default();
        let bases = [Some(name), parts.map(|(stem, _)| self.key(stem))];
        if self.made.remove(&name) {
            // It was there for a moment only, and takes no other's place.
            if let Some(base) = bases[1].filter(|base| self.came.get(base) == Some(&ending)) {
                self.came.remove(&base);
            }
            return None;
        }
        for base in bases.into_iter().flatten() {
            if self.came.get(&base).is_some_and(|of_new| *of_new != ending) {
                let of_new = self.came.remove(&base)?;
                return self.replace(path, of_new);
            }
        }
        let gone = Gone { name, ending: hash_of(&ending) };
        bases.into_iter().flatten().for_each(|base| _ = self.gone.insert(base, gone));
        None
    }

    /// A file gets another name, and so loses this one. That alone changes nothing in it.
    pub(super) fn give_up(&mut self, path: &str) -> Option<Sum> {
        let name = self.key(path);
        if self.made.contains(&name) || self.changed.contains(&name) { self.remove(path) } else { None }
    }

    /// A file of before is opened for writing.
    pub(super) fn change(&mut self, path: &str) {
        let name = self.key(path);
        if !self.made.contains(&name) {
            self.changed.insert(name);
        }
    }

    fn replace(&mut self, path: &str, ending: String) -> Option<Sum> {
        let is_one_more = self.replaced.len() >= MAX_ENDINGS && !self.replaced.contains_key(&ending);
        let ending = if is_one_more { ANY.to_owned() } else { ending };
        let many = self.replaced.entry(ending.clone()).or_default();
        if !many.add(folder(path)) {
            return None;
        }
        let (count, of) = (many.count, shown(&many.folder));
        let words =
            format!("{count} files below {of} gave way within a minute to ones beside them that end in .{ending}");
        Some(Sum { object: format!("{}/*.{ending}", many.known_folder()), many: words })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(files: &Files) -> usize {
        files.made.len() + files.changed.len() + files.gone.len() + files.came.len()
    }

    #[test]
    fn endless_files_and_endings_are_bounded_and_what_is_replaced_among_them_is_found() {
        let mut files = Files::default();
        let mut found = Vec::new();
        for n in 0..50_000_u64 {
            let now_ns = 1 + n;
            let lone = format!("/tmp/{n}.x{n}");
            found.extend(files.at(7, now_ns).make(&lone));
            found.extend(files.at(7, now_ns).remove(&format!("/other/{n}.y")));
            files.at(7, now_ns).change(&format!("/changed/{n}"));
            if n % 100 == 0 {
                let path = format!("/data/{n}.pdf");
                found.extend(files.at(7, now_ns).make(&format!("{path}.e{n}")));
                found.extend(files.at(7, now_ns).remove(&path));
            }
            assert!(names(&files) <= MAX_NAMES + 8 && files.replaced.len() <= MAX_ENDINGS + 1);
        }
        let object = found.first().map(|sum| &*sum.object);
        assert_eq!((object, found.len()), (Some("/data/*.*"), 5), "of 500 files, all with endings of their own");
        files.forget(WINDOW_NS + 1);
        assert_eq!((names(&files), files.replaced.len()), (0, 0));
    }

    #[test]
    fn an_ending_is_a_word_behind_a_name() {
        for (name, expected) in [
            ("/data/a.pdf", Some(("/data/a", "pdf"))),
            ("/data/a.pdf.locked", Some(("/data/a.pdf", "locked"))),
            ("/data/.hidden", None),
            ("/data/a", None),
            ("/data.d/a", None),
            ("/mail/1.M1P2.host:2,S", None),
            ("/data/a.", None),
        ] {
            assert_eq!(parts(name), expected, "{name}");
        }
    }
}
