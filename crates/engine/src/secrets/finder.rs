//! Finds the places of secrets in arguments.

use std::ops::Range;

use super::{
    clients::{Client, Way, own_words, program},
    names::{is_plain_value, is_secret_name},
    words::{commands, ends_value},
};

/// How deep a text is read in which a shell runs another text.
const MAX_DEPTH: usize = 4;

/// Where values end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// With the argument, or with the quotes around them: nothing runs what is in it.
    Argument,
    /// Where a shell or an interpreter might go on with something else.
    Text,
}

/// Finds the places of secrets.
pub(super) struct Finder<'t> {
    pub(super) text: &'t [u8],
    pub(super) found: Vec<Range<usize>>,
}

impl<'t> Finder<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self { text, found: Vec::new() }
    }

    /// In arguments that are separated by NULs.
    pub(super) fn in_arguments(mut self) -> Vec<Range<usize>> {
        let mut start = 0;
        let mut words = Vec::new();
        for word in self.text.split(|b| *b == 0) {
            words.push(start..start + word.len());
            start += word.len() + 1;
        }
        self.command(&words, Ends::Argument, 0);
        self.found
    }

    /// In a text of which nothing is known.
    pub(super) fn in_value(mut self) -> Vec<Range<usize>> {
        self.forms(0..self.text.len(), Ends::Argument);
        self.found
    }

    fn word(&self, at: &Range<usize>) -> &'t [u8] {
        self.text.get(at.clone()).unwrap_or_default()
    }

    fn command(&mut self, words: &[Range<usize>], ends: Ends, depth: usize) {
        let texts: Vec<&[u8]> = words.iter().map(|word| self.word(word)).collect();
        let program = program(&texts);
        let ends = if program.is_interpreter { Ends::Text } else { ends };
        let flags = program.client.map_or(&[][..], |client| client.flags);
        for (at, text) in texts.iter().enumerate() {
            let Some(next) = words.get(at + 1) else { break };
            let is_option = text.starts_with(b"-") && !text.contains(&b'=') && is_secret_name(text);
            let is_flag = flags.iter().any(|flag| *text == flag.as_bytes());
            // `config set NAME VALUE`
            let is_set = at > 0 && texts[at - 1] == b"set" && is_secret_setting(text);
            if (is_option && !is_flag) || is_set {
                self.next_word(next, ends);
            }
        }
        if let Some(client) = program.client {
            self.of_client(client, &words[program.at..], &texts[program.at..], ends);
        }
        for word in words {
            if depth == 0 {
                self.forms(word.clone(), ends);
            }
            let has_more = self.word(word).iter().any(u8::is_ascii_whitespace);
            if has_more && depth < MAX_DEPTH {
                for inner in commands(self.text, word.clone()) {
                    self.command(&inner, Ends::Text, depth + 1);
                }
            }
        }
    }

    /// What clients are handed in ways of their own.
    fn of_client(&mut self, client: &Client, words: &[Range<usize>], texts: &[&[u8]], ends: Ends) {
        let own = own_words(texts);
        let (words, texts) = (&words[..own], &texts[..own]);
        for way in client.ways {
            match *way {
                Way::Last(before) => {
                    let stands = |wanted: &&str| texts.contains(&wanted.as_bytes());
                    if let (true, Some(last)) = (words.len() > 2 && before.iter().any(stands), words.last()) {
                        self.next_word(last, ends);
                    }
                }
                Way::Between(first, last) => {
                    for word in words.iter().skip(1) {
                        let text = self.word(word);
                        let Some(from) = text.iter().position(|b| *b == first).filter(|from| *from > 0) else {
                            continue;
                        };
                        if let Some(to) = text.iter().rposition(|b| *b == last).filter(|to| *to > from) {
                            self.secret(word.start + from + 1, word.start + to, ends);
                            break;
                        }
                    }
                }
                Way::Attached(option) => {
                    for (word, text) in words.iter().zip(texts).skip(1) {
                        if text.len() > option.len() && text.starts_with(option.as_bytes()) {
                            self.secret(word.start + option.len(), word.end, ends);
                        }
                    }
                }
                Way::Next(option) => self.after_word(option, None, words, texts, ends),
                Way::After(option, sign) => self.after_word(option, Some(sign), words, texts, ends),
                Way::Word(name) => self.after_word(name, None, words, texts, ends),
            }
        }
    }

    /// What follows an option: the next word, or what stands behind a sign in it.
    fn after_word(&mut self, option: &str, sign: Option<u8>, words: &[Range<usize>], texts: &[&[u8]], ends: Ends) {
        let is_short = option.len() == 2 && option.starts_with('-');
        let behind = |text: &[u8]| sign.map_or(Some(0), |sign| Some(text.iter().position(|b| *b == sign)? + 1));
        for (at, text) in texts.iter().enumerate().skip(1) {
            // Of several letters, the last one may take a value: `-sSu`.
            let is_last = is_short
                && sign.is_some()
                && text.len() > 2
                && text.starts_with(b"-")
                && text[1..].iter().all(u8::is_ascii_alphabetic)
                && text.ends_with(&option.as_bytes()[1..]);
            if *text == option.as_bytes() || is_last {
                let Some(next) = words.get(at + 1) else { continue };
                match (sign, behind(self.word(next))) {
                    (None, _) => self.next_word(next, ends),
                    // `file:/x`, `env:X`
                    (_, Some(from)) if !is_plain_value(self.word(next)) => {
                        self.secret(next.start + from, next.end, ends);
                    }
                    _ => {}
                }
            } else if let (Some(_), Some(rest)) = (sign, text.strip_prefix(option.as_bytes())) {
                let is_attached = (is_short && !rest.is_empty()) || rest.starts_with(b"=");
                let skipped = usize::from(!is_short);
                if let (true, Some(from)) = (is_attached, rest.get(skipped..).and_then(behind)) {
                    self.secret(words[at].end - rest.len() + skipped + from, words[at].end, ends);
                }
            }
        }
    }

    /// A word that is a secret, unless it is an option.
    fn next_word(&mut self, word: &Range<usize>, ends: Ends) {
        if !self.word(word).starts_with(b"-") {
            self.secret(word.start, word.end, ends);
        }
    }

    /// A secret that begins at a place and ends before another one.
    pub(super) fn secret(&mut self, start: usize, limit: usize, ends: Ends) {
        let mut start = start;
        // A quote has been left out before a whole word.
        let mut quote = start.checked_sub(1).and_then(|before| self.text.get(before)).copied();
        if self.text.get(start) == Some(&b'\\') && matches!(self.text.get(start + 1), Some(b'"' | b'\'')) {
            start += 1;
        }
        if let Some(first @ (b'"' | b'\'')) = self.text.get(start) {
            quote = Some(*first);
            start += 1;
        }
        let end = match ends {
            Ends::Argument => limit,
            Ends::Text => (start..limit).find(|at| ends_value(self.text, *at)).unwrap_or(limit),
        };
        let Some(value) = self.text.get(start..end).filter(|value| !value.is_empty()) else { return };
        // A shell puts the value of a variable there, and code calls something.
        let is_reference = value.starts_with(b"$") && quote != Some(b'\'');
        let is_call = self.text.get(end) == Some(&b'(');
        if is_plain_value(value) || (ends == Ends::Text && (is_reference || is_call)) {
            return;
        }
        self.found.push(start..end);
    }
}

/// Whether a setting's name speaks of a secret: `//registry/:_authToken`, `aws_secret_access_key`.
fn is_secret_setting(name: &[u8]) -> bool {
    let last = name.rsplit(|b| matches!(b, b':' | b'/')).next().unwrap_or_default();
    is_secret_name(last)
}
