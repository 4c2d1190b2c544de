//! Texts in lines.

/// Breaks a text between words, and a longer word wherever the line ends.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines: Vec<String> = Vec::new();
    let mut room = 0;
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        if let Some(line) = lines.last_mut().filter(|_| word.len() < room) {
            room -= word.len() + 1;
            line.push(' ');
            line.extend(word);
            continue;
        }
        while word.len() > width {
            lines.push(word.drain(..width).collect());
        }
        room = width - word.len();
        lines.push(word.into_iter().collect());
    }
    lines
}

/// The first of these lines; where there are more, the last one says so.
pub(super) fn few(mut lines: Vec<String>, most: usize) -> Vec<String> {
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            last.pop();
            last.push('…');
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_broken_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert!(wrapped("", 3).is_empty());
    }
}
