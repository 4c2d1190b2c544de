//! What a shell makes of a text, as far as it matters here: commands, and their words.

use std::ops::Range;

/// Whether a value ends before it: what separates words and commands, and what has a command in it.
pub(super) fn ends_value(text: &[u8], at: usize) -> bool {
    let next = text.get(at + 1);
    match text.get(at) {
        Some(b'"' | b'\'' | b'`' | b';' | b'|' | b'&' | b'<' | b'>' | b'(' | b')' | 0) | None => true,
        Some(b'\\') => matches!(next, Some(b'"' | b'\'')),
        Some(b'$') => matches!(next, Some(b'(')),
        Some(b) => b.is_ascii_whitespace(),
    }
}

/// The commands of a text, each with the places of its words. Quotes around a whole word are not of it.
pub(super) fn commands(text: &[u8], within: Range<usize>) -> Vec<Vec<Range<usize>>> {
    let mut all = vec![Vec::new()];
    let mut at = within.start;
    while at < within.end {
        match text[at] {
            b';' | b'|' | b'&' | b'(' | b')' | b'`' | b'\n' | b'{' | b'}' | b'!' => {
                all.push(Vec::new());
                at += 1;
            }
            b'<' | b'>' | 0 => at += 1,
            b if b.is_ascii_whitespace() => at += 1,
            _ => {
                let end = end_of_word(text, at, within.end);
                if let Some(command) = all.last_mut() {
                    command.push(without_quotes(text, at..end));
                }
                at = end.max(at + 1);
            }
        }
    }
    all.retain(|command| !command.is_empty());
    all
}

fn end_of_word(text: &[u8], start: usize, limit: usize) -> usize {
    let mut at = start;
    while at < limit {
        match text[at] {
            b'\\' => at += 1,
            quote @ (b'"' | b'\'') => {
                let is_end = |(n, b): (usize, &u8)| *b == quote && (quote == b'\'' || text[at + n] != b'\\');
                let inside = text[at + 1..limit].iter().enumerate().position(is_end);
                at += inside.map_or(limit - at, |n| n + 1);
            }
            b';' | b'|' | b'&' | b'(' | b')' | b'`' | b'<' | b'>' | 0 => break,
            b if b.is_ascii_whitespace() => break,
            _ => {}
        }
        at += 1;
    }
    at.min(limit)
}

fn without_quotes(text: &[u8], word: Range<usize>) -> Range<usize> {
    match (text.get(word.start), text.get(word.end.saturating_sub(1))) {
        (Some(first @ (b'"' | b'\'')), Some(last)) if first == last && word.len() > 1 => word.start + 1..word.end - 1,
        _ => word,
    }
}
