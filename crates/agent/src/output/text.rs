//! Numbers, texts and columns as people read them.

use std::{borrow::Cow, os::fd::AsFd};

use ethogram_model::render;
use jiff::Timestamp;

/// Columns of a line by default.
pub(super) const DEFAULT_WIDTH: usize = 120;

/// Columns of the terminal; 120 where it does not say, and never so few that nothing would fit.
pub fn terminal_width(of: &impl AsFd) -> usize {
    match rustix::termios::tcgetwinsize(of) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col).max(80),
        _ => DEFAULT_WIDTH,
    }
}

/// `HH:MM:SS.mmm`, UTC.
pub(super) fn clock(time_ns: u64) -> String {
    Timestamp::from_nanosecond(i128::from(time_ns))
        .map_or_else(|_| "-".to_owned(), |t| t.strftime("%H:%M:%S%.3f").to_string())
}

/// Nanoseconds with three digits and their unit: `870ns`, `1.2ms`, `3m20s`.
pub(super) fn duration(ns: u64) -> String {
    let short = |n: f64, unit: &str| if n < 10.0 { format!("{n:.1}{unit}") } else { format!("{n:.0}{unit}") };
    let seconds = ns / 1_000_000_000;
    match ns {
        0..1_000 => format!("{ns}ns"),
        1_000..1_000_000 => short(ns as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => short(ns as f64 / 1e6, "ms"),
        _ if seconds < 60 => short(ns as f64 / 1e9, "s"),
        _ if seconds < 3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// Bytes in powers of 1024: `512`, `12.3K`, `4.0M`.
pub(super) fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["K", "M", "G", "T", "P", "E"];
    if n < 1024 {
        return n.to_string();
    }
    let mut value = n as f64 / 1024.0;
    let mut unit = 0;
    // What would be printed as 1024.0 belongs to the next unit.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1}{}", UNITS.get(unit).copied().unwrap_or_default())
}

/// A text safe in a terminal, and quoted as a shell would need it, so that one can see where it ends.
pub(super) fn quoted(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "_-./:=@%+,…~[]".contains(c);
    let text = render::escape(text);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''")).into()
}

/// The text in at most `width` columns, what is left out marked by `…`.
pub(super) fn fit(text: &str, width: usize) -> Cow<'_, str> {
    if text.chars().nth(width).is_none() {
        return text.into();
    }
    let mut out: String = text.chars().take(width.saturating_sub(1)).collect();
    out.push('…');
    out.into()
}

/// As [`fit`], but it is the beginning that is left out.
fn fit_end(text: &str, width: usize) -> Cow<'_, str> {
    let length = text.chars().count();
    if length <= width {
        return text.into();
    }
    format!("…{}", text.chars().skip(length + 1 - width.max(1)).collect::<String>()).into()
}

/// To which side a column's texts are moved, and where a longer one is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Texts.
    Left,
    /// Paths, which differ in their ends.
    Path,
    /// Numbers.
    Right,
}

/// A column of a table.
#[derive(Debug, Clone)]
pub struct Column {
    /// What stands above it.
    pub title: Cow<'static, str>,
    /// The side.
    pub align: Align,
    /// Characters at least, and at most.
    pub width: (usize, usize),
}

impl Column {
    /// A column of texts, between `min` and `max` characters wide.
    pub fn left(title: impl Into<Cow<'static, str>>, min: usize, max: usize) -> Self {
        Self { title: title.into(), align: Align::Left, width: (min, max) }
    }

    /// A column of paths, between `min` and `max` characters wide.
    pub fn path(title: impl Into<Cow<'static, str>>, min: usize, max: usize) -> Self {
        Self { title: title.into(), align: Align::Path, width: (min, max) }
    }

    /// A column of numbers, at least `min` characters wide.
    pub fn right(title: impl Into<Cow<'static, str>>, min: usize) -> Self {
        Self { title: title.into(), align: Align::Right, width: (min, 20) }
    }
}

/// Lays out one row; the last column takes what is left of the line. Ends with a newline.
pub fn row(columns: &[(Align, usize)], cells: &[Cow<'_, str>], line: usize) -> String {
    let mut out = String::with_capacity(line + 1);
    let mut used = 0;
    for (i, ((align, width), cell)) in columns.iter().zip(cells).enumerate() {
        let is_last = i + 1 == columns.len();
        let width = if is_last { line.saturating_sub(used) } else { *width };
        let cell = if *align == Align::Path { fit_end(cell, width) } else { fit(cell, width) };
        match align {
            _ if is_last => out += &cell,
            Align::Left | Align::Path => out += &format!("{cell:<width$} "),
            Align::Right => out += &format!("{cell:>width$} "),
        }
        used += width + 1;
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// Lays out a whole table: each column as wide as its widest cell within its bounds, the last one as wide as is left
/// of the line. Cells must have been escaped.
pub fn columns(columns: &[Column], rows: &[Vec<Cow<'_, str>>], line: usize) -> String {
    let widest = |i: usize| rows.iter().filter_map(|r| r.get(i)).map(|c| c.chars().count()).max().unwrap_or(0);
    let layout: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(i, c)| {
            let width = widest(i).max(c.title.chars().count()).max(c.width.0);
            (c.align, width.min(c.width.1.max(c.title.chars().count())))
        })
        .collect();
    let titles: Vec<_> = columns.iter().map(|c| c.title.clone()).collect();
    rows.iter().fold(row(&layout, &titles, line), |mut out, cells| {
        out += &row(&layout, cells, line);
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_digits_and_a_unit() {
        for (ns, text) in [
            (870, "870ns"),
            (1_230, "1.2µs"),
            (1_200_000, "1.2ms"),
            (73_000_000, "73ms"),
            (5_500_000_000, "5.5s"),
            (200_000_000_000, "3m20s"),
            (7_260_000_000_000, "2h01m"),
        ] {
            assert_eq!(duration(ns), text);
        }
    }

    #[test]
    fn bytes_keep_small_numbers_exact() {
        for (n, text) in [
            (0, "0"),
            (1023, "1023"),
            (12_595, "12.3K"),
            (4 << 20, "4.0M"),
            ((1 << 20) - 1, "1.0M"),
            (u64::MAX, "16.0E"),
        ] {
            assert_eq!(bytes(n), text);
        }
    }

    #[test]
    fn texts_are_quoted_only_where_needed() {
        assert_eq!(quoted("/etc/passwd"), "/etc/passwd");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted("\u{1b}[2J"), "'\\u{1b}[2J'");
    }

    #[test]
    fn long_texts_are_cut_with_a_mark() {
        assert_eq!(fit("abc", 3), "abc");
        assert_eq!(fit("abcd", 3), "ab…");
        assert_eq!(fit("äöüß", 4), "äöüß");
        assert_eq!(fit_end("/a/b/name", 5), "…name");
        assert_eq!(fit_end("name", 4), "name");
        assert_eq!(fit_end("name", 0), "…");
    }
}
