//! What is wrong in a rule file, and where.

use std::{fmt, sync::Arc};

use serde::Serialize;

/// Where something stands in a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// From one.
    pub(super) line: u32,
    /// From one.
    pub(super) column: u32,
    /// Bytes from the beginning of the file.
    pub(super) byte: usize,
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Works, but maybe not as meant.
    Warning,
    /// The file is not used.
    Error,
}

/// Something wrong in a rule file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub level: Level,
    /// The file.
    pub file: Arc<str>,
    /// The line, from one.
    pub line: u32,
    /// The column, from one.
    pub column: u32,
    /// What is wrong, and what would be right.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Warning => "warning",
            Level::Error => "error",
        };
        write!(f, "{}:{}:{}: {level}: {}", self.file, self.line, self.column, self.text)
    }
}

/// Problems kept of one load; further ones are counted.
const MAX_PROBLEMS: usize = 1_000;

/// All problems of a load.
#[derive(Debug, Default)]
pub(super) struct Problems {
    pub(super) list: Vec<Problem>,
    pub(super) left_out: usize,
    /// How many are errors.
    pub(super) errors: usize,
}

impl Problems {
    /// Whether further ones are only counted.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= MAX_PROBLEMS
    }

    pub(super) fn add(&mut self, level: Level, file: &Arc<str>, at: Position, text: impl Into<String>) {
        self.errors += usize::from(level == Level::Error);
        if self.is_full() {
            self.left_out += 1;
            return;
        }
        let (line, column) = (at.line, at.column);
        self.list.push(Problem { level, file: Arc::clone(file), line, column, text: text.into() });
    }
}

/// Where the character at `offset` of a scalar's text stands in the file. Line breaks and indentation are folded away in
/// the text: so the characters that are no blanks are counted in both.
pub(super) fn locate(source: &str, scalar: Position, text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let wanted = before.chars().filter(|c| !c.is_whitespace()).count();
    let is_end = before.len() >= text.trim_end().len();
    let mut rest = source.get(scalar.byte..).unwrap_or_default();
    let mut at = scalar;
    // The mark of a block scalar, and a quote, are not of the text.
    if let Some(mark) = rest.chars().next()
        && matches!(mark, '>' | '|')
    {
        let line = rest.find('\n').map_or(rest.len(), |end| end + 1);
        at = Position { line: at.line + 1, column: 1, byte: at.byte + line };
        rest = rest.get(line..).unwrap_or_default();
    } else if rest.starts_with(['"', '\'']) && !text.starts_with(['"', '\'']) {
        at = Position { column: at.column + 1, byte: at.byte + 1, ..at };
        rest = &rest[1..];
    }
    let mut seen = 0;
    for c in rest.chars() {
        if is_end && seen == wanted {
            break;
        }
        if !c.is_whitespace() {
            if seen == wanted {
                break;
            }
            seen += 1;
        }
        at.byte += c.len_utf8();
        (at.line, at.column) = if c == '\n' { (at.line + 1, 1) } else { (at.line, at.column + 1) };
    }
    at
}
