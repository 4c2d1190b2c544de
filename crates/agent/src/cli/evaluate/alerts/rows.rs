//! Reads comma-separated rows with bounded memory.
//!
//! A quoted field may hold commas, doubled quotes and line breaks. A quote that is never closed does not swallow what
//! follows: after a bounded search its row ends with its line.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

/// Bytes of a line that are read from its beginning.
const LINE_BYTES: u64 = 65_536;
/// Bytes that are read from the end of a longer line; what is between is dropped.
const TAIL_BYTES: usize = 4_096;
/// Lines over which one row may run.
const ROW_LINES: usize = 16;
/// Fields of a row; further ones are dropped.
const FIELDS: usize = 256;

/// One row.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// The line it begins on, from 1.
    pub(super) line: u64,
    /// It was longer than what is read of a line.
    pub(super) shortened: bool,
    /// A quote in it was never closed.
    pub(super) unclosed: bool,
    bytes: Vec<u8>,
    fields: Vec<(usize, usize)>,
}

impl Row {
    /// Number of fields.
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is nothing in it, as on an empty line.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The field at `at`, if there is one.
    pub(super) fn get(&self, at: usize) -> Option<&[u8]> {
        let &(start, end) = self.fields.get(at)?;
        self.bytes.get(start..end)
    }

    /// Splits `line`. False if a quote is open at its end.
    fn split(&mut self, line: &[u8]) -> bool {
        self.bytes.clear();
        self.fields.clear();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.contains(&b'"') { self.split_quoted(line) } else { self.split_plain(line) }
    }

    fn split_plain(&mut self, line: &[u8]) -> bool {
        self.bytes.extend_from_slice(line);
        let mut start = 0;
        for field in line.split(|&byte| byte == b',').take(FIELDS) {
            let end = start + field.len();
            self.fields.push((start, end));
            start = end + 1;
        }
        true
    }

    fn split_quoted(&mut self, line: &[u8]) -> bool {
        let (mut quoted, mut at, mut start) = (false, 0, 0);
        let mut begins = true;
        while let Some(&byte) = line.get(at) {
            at += 1;
            match byte {
                b'"' if quoted && line.get(at) == Some(&b'"') => {
                    self.bytes.push(b'"');
                    at += 1;
                }
                b'"' if quoted => quoted = false,
                b'"' if begins => quoted = true,
                b',' if !quoted => {
                    start = self.end_field(start);
                    begins = true;
                    continue;
                }
                byte => self.bytes.push(byte),
            }
            begins = false;
        }
        self.end_field(start);
        !quoted
    }

    /// Ends the field that began at `start`, and gives where the next begins.
    fn end_field(&mut self, start: usize) -> usize {
        if self.fields.len() < FIELDS {
            self.fields.push((start, self.bytes.len()));
        }
        self.bytes.len()
    }
}

#[derive(Debug)]
struct Line {
    number: u64,
    bytes: Vec<u8>,
    shortened: bool,
}

/// Reads rows from `input`.
#[derive(Debug)]
pub(super) struct Reader<R> {
    input: R,
    lines: u64,
    ahead: VecDeque<Line>,
    spare: Vec<u8>,
}

impl<R: BufRead> Reader<R> {
    /// Rows of `input`, from its beginning.
    pub(super) fn new(input: R) -> Self {
        Self { input, lines: 0, ahead: VecDeque::new(), spare: Vec::new() }
    }

    /// Reads the next row into `row`. False at the end.
    ///
    /// # Errors
    /// If the input cannot be read, for example because compressed data is damaged.
    pub(super) fn next(&mut self, row: &mut Row) -> io::Result<bool> {
        let Some(first) = self.take_line()? else { return Ok(false) };
        (row.line, row.shortened, row.unclosed) = (first.number, first.shortened, false);
        if !row.split(&first.bytes) {
            self.join(row, &first.bytes)?;
        }
        self.spare = first.bytes;
        Ok(true)
    }

    /// Adds lines to the row that `first` begins until its quote is closed, or gives up and ends it with its line.
    fn join(&mut self, row: &mut Row, first: &[u8]) -> io::Result<()> {
        let mut joined = first.to_vec();
        for line in 0..ROW_LINES - 1 {
            if line == self.ahead.len() {
                let Some(next) = self.read_line()? else { break };
                self.ahead.push_back(next);
            }
            let Some(next) = self.ahead.get(line) else { break };
            joined.extend_from_slice(&next.bytes);
            if joined.len() as u64 > LINE_BYTES {
                break;
            }
            if row.split(&joined) {
                self.ahead.drain(..=line);
                return Ok(());
            }
        }
        row.split(first);
        row.unclosed = true;
        Ok(())
    }

    fn take_line(&mut self) -> io::Result<Option<Line>> {
        match self.ahead.pop_front() {
            Some(line) => Ok(Some(line)),
            None => self.read_line(),
        }
    }

    fn read_line(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = std::mem::take(&mut self.spare);
        bytes.clear();
        if (&mut self.input).take(LINE_BYTES).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        self.lines += 1;
        let shortened = bytes.last() != Some(&b'\n') && self.skip_line(&mut bytes)?;
        Ok(Some(Line { number: self.lines, bytes, shortened }))
    }

    /// Drops what is left of a line but its last bytes, in which the columns after a long one are. True if there was
    /// something.
    fn skip_line(&mut self, bytes: &mut Vec<u8>) -> io::Result<bool> {
        let mut tail = Vec::new();
        loop {
            let buffer = self.input.fill_buf()?;
            let end = buffer.iter().position(|&byte| byte == b'\n');
            let rest = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
            tail.extend_from_slice(rest.get(rest.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default());
            tail.drain(..tail.len().saturating_sub(TAIL_BYTES));
            let (used, over) = (end.map_or(buffer.len(), |at| at + 1), end.is_some() || buffer.is_empty());
            self.input.consume(used);
            if over {
                bytes.extend_from_slice(&tail);
                return Ok(!tail.is_empty());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(u64, Vec<String>, bool)> {
        let (mut reader, mut row, mut all) = (Reader::new(text.as_bytes()), Row::default(), Vec::new());
        while reader.next(&mut row).unwrap() {
            let fields = (0..row.len()).map(|at| String::from_utf8_lossy(row.get(at).unwrap()).into_owned()).collect();
            all.push((row.line, fields, row.unclosed));
        }
        all
    }

    #[test]
    fn plain_and_quoted_fields() {
        assert_eq!(
            rows("a,b\r\n1,\"x,\"\"y\"\"\nz\"\n,\n"),
            [
                (1, vec!["a".into(), "b".into()], false),
                (2, vec!["1".into(), "x,\"y\"\nz".into()], false),
                (4, vec![String::new(), String::new()], false),
            ]
        );
    }

    #[test]
    fn a_quote_inside_a_plain_field_is_text() {
        assert_eq!(rows("a\"b,c\n"), [(1, vec!["a\"b".into(), "c".into()], false)]);
    }

    #[test]
    fn an_unclosed_quote_costs_its_own_row_only() {
        let mut text = "1,\"open,x\n".to_string();
        for line in 2..100 {
            text.push_str(&format!("{line},b\n"));
        }
        let all = rows(&text);
        assert_eq!(all.len(), 99);
        assert!(all[0].2 && all[1..].iter().all(|row| !row.2));
        assert_eq!(all[98], (99, vec!["99".into(), "b".into()], false));
    }

    #[test]
    fn a_long_line_is_shortened_and_what_follows_in_it_and_after_it_is_read() {
        let text = format!("\"{}\",host\nb\n", "a".repeat(1_000_000));
        let (mut reader, mut row) = (Reader::new(text.as_bytes()), Row::default());
        assert!(reader.next(&mut row).unwrap() && row.shortened);
        assert_eq!(row.get(0).map(<[u8]>::len), Some(65_536 + 4_096 - 7));
        assert_eq!(row.get(1), Some(&b"host"[..]));
        assert!(reader.next(&mut row).unwrap() && !row.shortened);
        assert_eq!((row.line, row.get(0)), (2, Some(&b"b"[..])));
    }

    #[test]
    fn fields_without_end_are_bounded() {
        let all = rows(&",x".repeat(10_000));
        assert_eq!(all[0].1.len(), FIELDS);
    }
}
