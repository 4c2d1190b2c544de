//! The rule files that are configured, and those that ship with the binary.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use ethogram_detect::rules::File;

use crate::{config, files};

include!(concat!(env!("OUT_DIR"), "/rules.rs"));

/// Rule files read at most.
const MAX_FILES: usize = 256;
/// Bytes read of one; the rules' reader refuses what is longer than it allows, which is less.
const MAX_BYTES: u64 = 16 << 20;

/// Why rule files cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the rules at {}: {why}: check [rules] files in the configuration", path.display())]
pub(crate) struct CannotRead {
    path: PathBuf,
    why: io::Error,
}

/// Where rules come from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    shipped: bool,
    paths: Vec<PathBuf>,
}

/// Rule files as they were read, and what shows whether they have changed since.
#[derive(Debug, Default)]
pub(crate) struct RuleFiles {
    pub(crate) files: Vec<File>,
    pub(crate) marks: Vec<Mark>,
}

/// What changes when a file does, also one that is reached through symbolic links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    path: PathBuf,
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Origin {
    pub(crate) fn configured(rules: &config::Rules) -> Self {
        Self { shipped: rules.shipped, paths: rules.files.clone() }
    }

    /// These files and nothing else.
    pub(crate) fn only(paths: Vec<PathBuf>) -> Self {
        Self { shipped: false, paths }
    }

    /// Reads all files, those of folders in the order of their names.
    ///
    /// # Errors
    /// A file or folder that cannot be read.
    pub(crate) fn read(&self) -> Result<RuleFiles, CannotRead> {
        let mut read = RuleFiles::default();
        if self.shipped {
            read.files =
                SHIPPED.iter().map(|(name, text)| File { name: (*name).into(), text: (*text).into() }).collect();
        }
        for path in self.all()? {
            let cannot = |why| CannotRead { path: path.clone(), why };
            read.marks.push(mark(&path).map_err(cannot)?);
            let text = files::read_text(&path, MAX_BYTES).map_err(cannot)?;
            read.files.push(File { name: path.display().to_string().into(), text: text.into() });
        }
        Ok(read)
    }

    /// What shows whether any file has changed. An error is a change, too.
    pub(crate) fn marks(&self) -> Option<Vec<Mark>> {
        self.all().ok()?.iter().map(|path| mark(path).ok()).collect()
    }

    fn all(&self) -> Result<Vec<PathBuf>, CannotRead> {
        let mut all = Vec::new();
        for path in &self.paths {
            let cannot = |why| CannotRead { path: path.clone(), why };
            if !fs::metadata(path).map_err(cannot)?.is_dir() {
                all.push(path.clone());
                continue;
            }
            let mut inside = Vec::new();
            for entry in fs::read_dir(path).map_err(cannot)? {
                let entry = entry.map_err(cannot)?.path();
                // What begins with a dot is how a ConfigMap keeps its versions.
                let is_hidden = entry.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
                let is_yaml = entry.extension().is_some_and(|e| e == "yaml" || e == "yml");
                if is_yaml && !is_hidden && entry.is_file() {
                    inside.push(entry);
                }
            }
            inside.sort();
            all.append(&mut inside);
        }
        if all.len() > MAX_FILES {
            let why = io::Error::other(format!("{} files, at most {MAX_FILES} are read", all.len()));
            return Err(CannotRead { path: self.paths.first().cloned().unwrap_or_default(), why });
        }
        Ok(all)
    }
}

fn mark(path: &Path) -> io::Result<Mark> {
    let is = fs::metadata(path)?;
    let modified = (is.mtime(), is.mtime_nsec());
    Ok(Mark { path: path.to_owned(), device: is.dev(), inode: is.ino(), size: is.size(), modified })
}
