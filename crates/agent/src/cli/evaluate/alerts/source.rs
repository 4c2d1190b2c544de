//! Alerts from files: comma-separated with a header, plain or compressed with gzip.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use serde::Serialize;

use super::rows::{Reader, Row};
use ethogram_detect::reduction::Alert;

/// Problems that are described in full; further ones are only counted.
const DESCRIBED: usize = 10;
/// Bytes of a wrong value that are shown.
const SHOWN: usize = 40;
const COLUMNS: [&str; 5] = ["time", "name", "ip", "host", "short"];
const LABELS: [&str; 2] = ["time_label", "event_label"];

/// What was wrong with the rows of a file. Rows that are wrong are judged with what they have.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Problems {
    /// Rows with too few columns, a time that is no number, an unclosed quote, or of excessive length.
    pub(super) malformed: u64,
    /// Rows without a name, host, or kind. Address and name stand in for host and kind.
    pub(super) incomplete: u64,
    /// The first of them, each with line, column and what was expected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) described: Vec<String>,
}

impl Problems {
    fn add(&mut self, line: u64, column: &str, expected: &str, found: &[u8]) {
        self.malformed += 1;
        if self.described.len() < DESCRIBED {
            self.described.push(format!("line {line}, column {column}: expected {expected}, found {}", shown(found)));
        }
    }
}

/// The labels of an alert, where they are read: of the phase, and of the kind of event.
pub(super) type Labels<'a> = Option<(&'a [u8], &'a [u8])>;

/// Reads `path` and gives each alert, in the order of the file, to `each`. What was wrong with rows is added to
/// `problems`.
///
/// # Errors
/// If the file cannot be read to its end, or is not a table of alerts.
pub(super) fn read(
    path: &Path,
    with_labels: bool,
    problems: &mut Problems,
    each: impl FnMut(&Alert<'_>, Labels<'_>),
) -> Result<(), String> {
    let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    read_from(BufReader::with_capacity(1 << 16, file), with_labels, problems, each)
}

/// The same as [`read`] for anything that can be read.
///
/// # Errors
/// If `input` cannot be read to its end, or is not a table of alerts.
pub(super) fn read_from(
    mut input: impl BufRead,
    with_labels: bool,
    problems: &mut Problems,
    each: impl FnMut(&Alert<'_>, Labels<'_>),
) -> Result<(), String> {
    let start = input.fill_buf().map_err(|error| format!("cannot be read: {error}"))?;
    if start.starts_with(&[0x1f, 0x8b]) {
        let plain: Box<dyn Read + '_> = Box::new(MultiGzDecoder::new(input));
        rows(BufReader::with_capacity(1 << 16, plain), with_labels, problems, each)
    } else {
        rows(input, with_labels, problems, each)
    }
}

fn rows(
    input: impl BufRead,
    with_labels: bool,
    problems: &mut Problems,
    mut each: impl FnMut(&Alert<'_>, Labels<'_>),
) -> Result<(), String> {
    let (mut reader, mut row) = (Reader::new(input), Row::default());
    if !reader.next(&mut row).map_err(|error| unreadable(1, &error))? {
        return Err(format!("is empty: expected a header with the columns {}", COLUMNS.join(",")));
    }
    let columns = Columns::find(&row, with_labels)?;
    loop {
        match reader.next(&mut row) {
            Ok(true) if row.is_empty() => {}
            Ok(true) => columns.alert(&row, problems, &mut each),
            Ok(false) => return Ok(()),
            Err(error) => return Err(unreadable(row.line + 1, &error)),
        }
    }
}

/// Where the columns are.
struct Columns {
    alert: [usize; 5],
    labels: Option<[usize; 2]>,
}

impl Columns {
    fn find(header: &Row, with_labels: bool) -> Result<Self, String> {
        let at = |name: &str| {
            let same = |at: &usize| header.get(*at).is_some_and(|field| trim(field) == name.as_bytes());
            (0..header.len()).find(same).ok_or_else(|| {
                let found = header.get(0).unwrap_or_default();
                let columns = COLUMNS.join(",");
                format!("line 1: no column {name}: expected a header with {columns}, found {} first", shown(found))
            })
        };
        let [time, name, ip, host, short] = COLUMNS;
        let labels = if with_labels {
            let missing = |error| format!("{error} (its labels were asked for)");
            Some([at(LABELS[0]).map_err(missing)?, at(LABELS[1]).map_err(missing)?])
        } else {
            None
        };
        Ok(Self { alert: [at(time)?, at(name)?, at(ip)?, at(host)?, at(short)?], labels })
    }

    fn alert(&self, row: &Row, problems: &mut Problems, each: &mut impl FnMut(&Alert<'_>, Labels<'_>)) {
        let [time, name, ip, host, short] = self.alert.map(|at| row.get(at).unwrap_or_default());
        let last = self.alert.iter().copied().max().unwrap_or(0);
        let time_ms = milliseconds(time);
        if row.unclosed {
            problems.add(row.line, "name", "a closing quote", name);
        } else if row.shortened {
            problems.add(row.line, "name", "a row of at most 64 KiB", name);
        } else if row.len() <= last {
            let expected = format!("{} columns", last + 1);
            problems.add(row.line, &(row.len() + 1).to_string(), &expected, b"the end of the row");
        } else if time_ms.is_none() {
            problems.add(row.line, "time", "seconds since 1970 as a number", time);
        }
        if name.is_empty() || host.is_empty() || short.is_empty() {
            problems.incomplete += 1;
        }
        let labels = self.labels.map(|[phase, event]| (label(row, phase), label(row, event)));
        each(&Alert { time_ms, name, short, host, ip }, labels);
    }
}

/// A label. A missing one is none.
fn label(row: &Row, at: usize) -> &[u8] {
    row.get(at).filter(|label| !label.is_empty()).unwrap_or(b"-")
}

/// Seconds, with or without a fraction, as milliseconds.
fn milliseconds(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(trim(text)).ok()?;
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds.checked_mul(1_000);
    }
    let millis = text.parse::<f64>().ok()? * 1_000.0;
    (millis.abs() < 9e15).then_some(millis as i64)
}

/// Without spaces around, and without a byte order mark before.
fn trim(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii()
}

fn shown(found: &[u8]) -> String {
    let cut = found.get(..SHOWN).unwrap_or(found);
    format!("{:?}{}", String::from_utf8_lossy(cut), if found.len() > SHOWN { " (shortened)" } else { "" })
}

fn unreadable(line: u64, error: &io::Error) -> String {
    format!("line {line}: cannot be read on: {error}")
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
