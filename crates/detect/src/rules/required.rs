//! What a text must have for a regular expression to match all of it: looked for first, as most texts do not have it.

use memchr::memmem::Finder;

/// Texts of which a match has both.
#[derive(Debug, Default)]
pub(super) struct Required {
    start: Box<[u8]>,
    part: Option<Finder<'static>>,
}

impl Required {
    /// Of a pattern that has to match a whole text. What is not understood here requires nothing.
    pub(super) fn of(pattern: &str) -> Self {
        let Some(runs) = runs(pattern) else { return Self::default() };
        let start = runs.first().map(|run| run.clone().into_bytes()).unwrap_or_default();
        let longest = runs.iter().skip(1).max_by_key(|run| run.len()).filter(|run| !run.is_empty());
        Self { start: start.into(), part: longest.map(|run| Finder::new(run.as_bytes()).into_owned()) }
    }

    /// What a match begins with; empty where that may be anything.
    pub(super) fn start(&self) -> &[u8] {
        &self.start
    }

    /// What a match has somewhere; empty where that may be anything.
    pub(super) fn part(&self) -> &[u8] {
        self.part.as_ref().map_or(&[], Finder::needle)
    }

    /// Whether a text may match.
    pub(super) fn allows(&self, text: &[u8]) -> bool {
        text.starts_with(&self.start) && self.part.as_ref().is_none_or(|part| part.find(text).is_some())
    }
}

/// Letters that follow each other and are neither repeated nor left out, first those that a text begins with. None where there
/// are alternatives to all of it, or something rare that would have to be understood.
fn runs(pattern: &str) -> Option<Vec<String>> {
    let mut runs = vec![String::new()];
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        let letter = match c {
            '|' => return None,
            '(' => {
                skip_group(&mut chars)?;
                None
            }
            '[' => only_one(&skip_class(&mut chars)?),
            '\\' => escaped(&mut chars)?,
            '.' | '^' | '$' | '*' | '+' | '?' | '{' | '}' | ')' | ']' => None,
            c => Some(c),
        };
        let repeated = skip_repetition(&mut chars);
        match (letter, runs.last_mut()) {
            (Some(letter), Some(run)) if letter.is_ascii() && !repeated => run.push(letter),
            _ => runs.push(String::new()),
        }
    }
    Some(runs)
}

type Chars<'p> = std::iter::Peekable<std::str::Chars<'p>>;

/// The letter that an escape stands for, if it stands for one.
fn escaped(chars: &mut Chars<'_>) -> Option<Option<char>> {
    match chars.next()? {
        // A number follows.
        'x' | 'u' | 'U' => None,
        c => Some(Some(c).filter(|c| c.is_ascii_punctuation() && !matches!(c, '<' | '>'))),
    }
}

/// To the end of a group that was begun. None where it may change what follows.
fn skip_group(chars: &mut Chars<'_>) -> Option<()> {
    if chars.next_if_eq(&'?').is_some() {
        chars.next_if_eq(&':')?;
    }
    loop {
        match chars.next()? {
            '(' => skip_group(chars)?,
            ')' => return Some(()),
            '[' => _ = skip_class(chars)?,
            '\\' => _ = chars.next(),
            _ => {}
        }
    }
}

/// To the end of a class that was begun, and what is in it. None where another is in it.
fn skip_class(chars: &mut Chars<'_>) -> Option<String> {
    let mut inside = String::new();
    loop {
        match chars.next()? {
            // First of all, it stands for itself.
            ']' if !inside.is_empty() && inside != "^" => return Some(inside),
            '[' => return None,
            '\\' => inside.extend(['\\', chars.next()?]),
            c => inside.push(c),
        }
    }
}

/// The letter of a class that has no other.
fn only_one(inside: &str) -> Option<char> {
    let mut chars = inside.chars();
    chars.next().filter(|c| chars.next().is_none() && !matches!(c, '^' | '\\'))
}

/// Whether what was before is repeated or may be left out.
fn skip_repetition(chars: &mut Chars<'_>) -> bool {
    let mut repeated = false;
    while let Some(c) = chars.next_if(|c| matches!(c, '*' | '+' | '?' | '{')) {
        repeated = true;
        if c == '{' {
            _ = chars.by_ref().find(|c| *c == '}');
        }
    }
    repeated
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn required(pattern: &str) -> (String, String) {
        let found = Required::of(pattern);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (text(&found.start), found.part.map(|p| text(p.needle())).unwrap_or_default())
    }

    #[test]
    fn is_what_every_match_has() {
        let both = |start: &str, part: &str| (start.to_owned(), part.to_owned());
        assert_eq!(required("/proc/[0-9]+/mem"), both("/proc/", "/mem"));
        assert_eq!(required(".*/[.]ssh/(id_[a-z]+|[^/]+[.]pem)"), both("", "/.ssh/"));
        assert_eq!(required("ab?c\\.d{2}ef"), both("a", "ef"));
        assert_eq!(required("a|b"), both("", ""));
        assert_eq!(required("(a|b)xyz"), both("", "xyz"));
        assert_eq!(required("x[)(]y([)]|b\\))z"), both("x", "z"));
        assert_eq!(required("a\\d\\.b"), both("a", ".b"));
        for rare in ["(?i)abc", "a(b(?i)c)d", "a\\x41b", "a[[:alpha:]]b"] {
            assert_eq!(required(rare), both("", ""), "{rare}");
        }
    }

    proptest! {
        /// Where the engine finds a match, nothing that is required is missing.
        #[test]
        fn never_refuses_a_match(pattern in "([ab./-]|[.]|[*+?]|\\[[ab]\\]|\\[\\^a\\]|\\(a[|]b?\\)|\\\\[.]|b\\{0,2\\}){1,8}", text in "[ab./-]{0,8}") {
            if let Ok(regex) = regex_lite::Regex::new(&format!("^(?:{pattern})$"))
                && regex.is_match(&text)
            {
                prop_assert!(Required::of(&pattern).allows(text.as_bytes()), "{pattern} and {text}");
            }
        }
    }
}
