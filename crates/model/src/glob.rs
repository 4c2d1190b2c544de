//! Patterns of names: `*` stands for any characters, `?` for one.

/// Whether the whole of a text is as the pattern says. `?` stands for one character of UTF-8, or for one byte that is of
/// none. A star first stands for nothing, and for more where the rest does not fit; only the last one met needs to be
/// tried again.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut place) = (0, 0);
    let mut again: Option<(usize, usize)> = None;
    while place < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                again = Some((at + 1, place));
                at += 1;
            }
            Some(b'?') => {
                at += 1;
                place += character(text.get(place..).unwrap_or_default());
            }
            Some(c) if text.get(place) == Some(c) => {
                at += 1;
                place += 1;
            }
            _ => match &mut again {
                Some((after, from)) => {
                    *from += 1;
                    (at, place) = (*after, *from);
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|c| *c == b'*')
}

/// Bytes of the first character.
fn character(text: &[u8]) -> usize {
    let further = text.iter().skip(1).take(3).take_while(|b| **b & 0b1100_0000 == 0b1000_0000);
    // Of what begins no character, each byte is one.
    if text.first().is_some_and(|b| *b >= 0b1000_0000) { 1 + further.count() } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_stand_for_others() {
        let matches = |pattern: &str, text: &str| matches(pattern.as_bytes(), text.as_bytes());
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("*", "anything"),
            ("Reverse shell*", "Reverse shell in container"),
            ("*shell*", "Reverse shell in container"),
            ("a*b*c", "aXbXbXc"),
            ("w?b", "wéb"),
            ("w?b*", "w€b"),
            ("*?b", "éb"),
            ("registry/*:1", "registry/a/b:1"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("web", "web2"),
            ("w?b", "wb"),
            ("w??b", "wéb"),
            ("*??", "é"),
            ("*??b", "€b"),
            ("a*b", "abc"),
            ("Shell*", "shell"),
            ("*x", "xy"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_byte_that_is_of_no_character_is_one() {
        assert!(matches(b"a?b", b"a\xffb"));
        assert!(matches(b"a?b", b"a\x80b"));
        assert!(matches(b"??", b"\xff\xff"));
        assert!(!matches(b"?", b"\xff\xff"));
    }
}
