//! A profile as a file: what people review, keep beside the image that it is of, and give back.
//!
//! It is TOML. A table for each operation holds, by executable, what that does so to, in order: no counts and no times, which
//! would make each export another one. `[objects]` says for each operation what its objects are, so that on reading nothing
//! has to be guessed: of files, those that are guarded are held by their own names, and all others are patterns. The rare
//! file that is held otherwise than its path says is written as `{ exactly = "..." }` or `{ like = "..." }`.

mod read;
mod write;

use std::{borrow::Cow, fmt};

use ethogram_model::{ObjectKind, render};

use super::Profile;
use crate::channels::behaviour::{Unjudged, places};

/// The version of the file that this program writes, and the latest that it reads.
pub const FILE_VERSION: u64 = 1;
/// The largest file that is read, in bytes: more than a full profile takes, whatever its names are made of.
pub const MAX_FILE_BYTES: usize = 8 << 20;
/// Patterns of one file at most: more than a profile holds.
const MAX_PATTERNS: usize = 8_192;
/// Bytes of one name at most.
const MAX_NAME: usize = 4_096;
/// Problems of one file that are reported.
const MAX_PROBLEMS: usize = 16;

/// Keys of a file that are no operations.
const VERSION: &str = "ethogram_profile";
const WORKLOAD: &str = "workload";
const UNJUDGED: &str = "unjudged";
const SKETCH: &str = "sketch";
const OBJECTS: &str = "objects";

/// The one key of a file's object that is not held as its path says.
const EXACTLY: &str = "exactly";
const LIKE: &str = "like";

/// Something that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProblem {
    /// In which line, from one, where it is in one.
    pub line: Option<usize>,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&render::escape(&self.what))
    }
}

/// All that is wrong with a file, as far as it is worth telling. On one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProblems(pub Vec<FileProblem>);

impl fmt::Display for FileProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if i > 0 { "; " } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for FileProblems {}

impl Profile {
    /// The profile as a file. Alerts, counts and times are not in it.
    pub fn to_file(&self) -> String {
        write::file(self)
    }

    /// Reads such a file, which was approved at this time: nanoseconds since the Unix epoch.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_file(text: &str, now_ns: u64) -> Result<Self, FileProblems> {
        read::file(text, now_ns)
    }
}

/// What an operation is done to, in the file's words.
const KINDS: [(&str, Option<ObjectKind>); 6] = [
    ("programs", Some(ObjectKind::Executable)),
    ("files", Some(ObjectKind::Path)),
    ("secrets", Some(ObjectKind::SensitivePath)),
    ("peers", Some(ObjectKind::Peer)),
    ("ports", Some(ObjectKind::Port)),
    ("names", Some(ObjectKind::Name)),
];

/// What is not judged of an operation, in the file's words.
const UNJUDGED_WORDS: [(&str, Unjudged); 3] =
    [(ORDINARY, Unjudged::Ordinary), (SKETCHED, Unjudged::Sketched), (ALL, Unjudged::All)];
const ORDINARY: &str = "ordinary files are too various: not judged";
const SKETCHED: &str = "all of it is too various: judged by a sketch of what was seen";
const ALL: &str = "all of it is too various: not judged";

impl Unjudged {
    /// In words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Nothing => "all is judged",
            Self::Ordinary => ORDINARY,
            Self::Sketched => SKETCHED,
            Self::All => ALL,
        }
    }
}

/// Whether an object is a pattern of paths where the file does not say it.
fn is_pattern(kind: Option<ObjectKind>, object: &str) -> bool {
    kind == Some(ObjectKind::Path) && !places::is_guarded(object)
}

/// Numbers by their size, and before all else.
pub(crate) fn natural(object: &str) -> (u64, Cow<'_, str>) {
    match object.parse() {
        Ok(number) => (number, Cow::Borrowed("")),
        Err(_) => (u64::MAX, Cow::Borrowed(object)),
    }
}
