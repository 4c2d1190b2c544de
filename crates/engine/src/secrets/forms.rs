//! Secrets by the form in which they stand, whatever program they are for: assignments, headers, addresses, JSON.

use std::ops::Range;

use super::{
    finder::{Ends, Finder},
    names::{is_plain_value, is_secret_in_capitals, is_secret_name, is_secret_parameter},
    words::ends_value,
};

/// What a header names before what it authorizes with.
const SCHEMES: &[&str] =
    &["bearer", "basic", "token", "apikey", "api-key", "digest", "negotiate", "key", "bot", "oauth"];
/// How tokens of well-known services begin.
const TOKENS: &[&str] = &[
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xapp-",
    "sk_live_",
    "rk_live_",
    "npm_",
    "pypi-",
    "hf_",
    "dop_v1_",
    "hvs.",
    "shpat_",
    "AIza",
    "SG.",
    "sk-ant-",
    "eyJ",
];
/// From which length on what follows is taken for a token.
const SHORTEST_TOKEN: usize = 16;

impl Finder<'_> {
    /// All of them in a word.
    pub(super) fn forms(&mut self, word: Range<usize>, ends: Ends) {
        self.assignments(&word, ends);
        self.statements(&word, ends);
        self.authorizations(&word);
        self.addresses(&word);
        self.tokens(&word);
    }

    /// `password=x`, `"password": "x"`, `?access_key=x`, `X-Api-Key: x`.
    fn assignments(&mut self, word: &Range<usize>, ends: Ends) {
        for at in word.clone() {
            match self.text[at] {
                b'=' if self.is_assignment(at) => self.assignment(word, at, ends),
                b':' => self.named(word, at, ends),
                _ => {}
            }
        }
    }

    /// Whether a `=` is one, and not of `==` or `!=`.
    fn is_assignment(&self, at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|before| self.text.get(before));
        !matches!(before, Some(b'=' | b'!' | b'<' | b'>' | b'+')) && self.text.get(at + 1) != Some(&b'=')
    }

    fn assignment(&mut self, word: &Range<usize>, at: usize, ends: Ends) {
        let (name, is_quoted) = self.name_before(word.start, at);
        let text = &self.text[name.clone()];
        if text.is_empty() {
            return;
        }
        let is_parameter = is_secret_parameter(text) && self.is_in_query(word.start, name.start);
        if !is_secret_name(text) && !is_secret_in_capitals(text) && !is_parameter {
            return;
        }
        let mut from = at + 1;
        if is_quoted {
            // `'password' => 'x'`
            from += usize::from(self.text.get(from) == Some(&b'>'));
            from = self.without_blanks(from, word.end);
        }
        // Nothing but the value can follow the name of an option.
        let is_option = self.text.get(word.start) == Some(&b'-') && name.start == word.start;
        match ends {
            Ends::Argument if is_option => self.secret(from, word.end, ends),
            _ => self.value(from, word.end, ends, b""),
        }
    }

    /// A name in quotes, or a header's, before a colon.
    fn named(&mut self, word: &Range<usize>, at: usize, ends: Ends) {
        let (name, is_quoted) = self.name_before(word.start, at);
        let text = &self.text[name.clone()];
        // `-HX-Api-Key: x`
        let text = text.strip_prefix(b"-H").unwrap_or(text);
        let is_blank = self.text.get(at + 1).is_some_and(|b| matches!(b, b' ' | b'\t'));
        let is_own = text.len() > 2 && text[..2].eq_ignore_ascii_case(b"x-");
        let is_header =
            (text.contains(&b'-') && (is_blank || is_own)) || (text.eq_ignore_ascii_case(b"apikey") && is_blank);
        if (is_quoted || is_header) && is_secret_name(text) {
            let from = self.without_blanks(at + 1, word.end);
            self.value(from, word.end, ends, if is_quoted { b",}]" } else { b"" });
        }
    }

    /// `IDENTIFIED BY 'x'` and `PASSWORD 'x'` of SQL.
    fn statements(&mut self, word: &Range<usize>, ends: Ends) {
        for before in [b"identified by ".as_slice(), b"password "] {
            for at in self.all(word, before) {
                let from = at + before.len();
                if matches!(self.text.get(from), Some(b'"' | b'\'')) && from < word.end {
                    self.value(from, word.end, ends, b"");
                }
            }
        }
    }

    /// The name that ends before a place, and whether it stands in quotes.
    fn name_before(&self, start: usize, end: usize) -> (Range<usize>, bool) {
        let text = &self.text[start..end];
        let blanks = text.iter().rev().take_while(|b| b.is_ascii_whitespace()).count();
        let quote = text.len() - blanks;
        let is_quoted = quote > 0 && matches!(text[quote - 1], b'"' | b'\'');
        if blanks > 0 && !is_quoted {
            return (end..end, false);
        }
        let mut last = quote - usize::from(is_quoted);
        last -= usize::from(is_quoted && last > 0 && text[last - 1] == b'\\');
        let is_of_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        let first = last - text[..last].iter().rev().take_while(|b| is_of_name(b)).count();
        (start + first..start + last, is_quoted)
    }

    /// Whether a name is a parameter's in an address.
    fn is_in_query(&self, start: usize, name: usize) -> bool {
        let before = &self.text[start..name];
        let of_address = before.iter().rev().take_while(|b| !b.is_ascii_whitespace() && !matches!(b, b'"' | b'\''));
        matches!(before.last(), Some(b'?' | b'&')) && of_address.into_iter().any(|b| *b == b'?')
    }

    fn without_blanks(&self, from: usize, limit: usize) -> usize {
        (from..limit).find(|at| !matches!(self.text[*at], b' ' | b'\t')).unwrap_or(limit)
    }

    /// A value that begins at a place: what is in its quotes, or up to what ends it.
    fn value(&mut self, from: usize, limit: usize, ends: Ends, also: &[u8]) {
        let is_escaped = self.text.get(from) == Some(&b'\\');
        let quote = self.text.get(from + usize::from(is_escaped)).filter(|b| matches!(b, b'"' | b'\'')).copied();
        let start = from + usize::from(quote.is_some()) + usize::from(quote.is_some() && is_escaped);
        let is_end = |at: usize| match (quote, ends) {
            (Some(quote), Ends::Argument) => {
                let before = is_escaped && self.text[at] == b'\\' && self.text.get(at + 1) == Some(&quote);
                before || self.text[at] == quote
            }
            _ => ends_value(self.text, at) || also.contains(&self.text[at]) || self.is_before_next(at, limit),
        };
        let end = (start..limit).find(|at| is_end(*at)).unwrap_or(limit);
        self.secret(start, end, ends);
    }

    /// Whether another assignment follows: `password=x,replicas=2`.
    fn is_before_next(&self, at: usize, limit: usize) -> bool {
        let is_of_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        let rest = self.text.get(at + 1..limit).unwrap_or_default();
        let name = rest.iter().take_while(|b| is_of_name(b)).count();
        self.text[at] == b',' && name > 0 && rest.get(name) == Some(&b'=')
    }

    /// `Authorization: Bearer x`, and `Bearer x` where it looks like a token.
    fn authorizations(&mut self, word: &Range<usize>) {
        for at in self.all(word, b"authorization") {
            let is_between = |b: &u8| matches!(b, b'"' | b'\'' | b'\\' | b' ' | b':' | b'=');
            let between = self.text[at + "authorization".len()..word.end].iter().take_while(|b| is_between(b));
            let (count, is_header) = between.fold((0, false), |(n, is), b| (n + 1, is || matches!(b, b':' | b'=')));
            if !is_header {
                continue;
            }
            let from = at + "authorization".len() + count;
            let first = self.token_at(from, word.end);
            let second = self.token_at(self.without_blanks(first.end, word.end), word.end);
            let is_scheme =
                SCHEMES.iter().any(|scheme| self.text[first.clone()].eq_ignore_ascii_case(scheme.as_bytes()));
            let has_digit = self.text[first.clone()].iter().any(u8::is_ascii_digit);
            if is_scheme {
                self.secret(second.start, second.end, Ends::Text);
            } else if has_digit && first.len() >= 8 {
                self.secret(first.start, first.end, Ends::Text);
            }
        }
        for at in self.all(word, b"bearer ") {
            let token = self.token_at(self.without_blanks(at + "bearer".len(), word.end), word.end);
            let has_digit = self.text[token.clone()].iter().any(u8::is_ascii_digit);
            if has_digit && token.len() >= SHORTEST_TOKEN {
                self.secret(token.start, token.end, Ends::Text);
            }
        }
    }

    fn token_at(&self, from: usize, limit: usize) -> Range<usize> {
        let end = (from..limit).find(|at| ends_value(self.text, *at)).unwrap_or(limit);
        from..end.max(from)
    }

    /// Where a text stands in a word, whatever the case of its letters.
    fn all(&self, word: &Range<usize>, wanted: &[u8]) -> Vec<usize> {
        let windows = self.text[word.clone()].windows(wanted.len()).enumerate();
        windows.filter(|(_, w)| w.eq_ignore_ascii_case(wanted)).map(|(at, _)| word.start + at).collect()
    }

    /// The password of `scheme://user:password@host`, and a token that stands for both.
    fn addresses(&mut self, word: &Range<usize>) {
        for at in self.all(word, b"://") {
            let start = at + 3;
            let ends = |at: &usize| matches!(self.text[*at], b'/' | b'?' | b'#') || ends_value(self.text, *at);
            let end = (start..word.end).find(ends).unwrap_or(word.end);
            let authority = &self.text[start..end];
            let Some(user) = authority.iter().rposition(|b| *b == b'@') else { continue };
            match authority[..user].iter().position(|b| *b == b':') {
                Some(colon) => self.secret(start + colon + 1, start + user, Ends::Text),
                None if user >= SHORTEST_TOKEN => self.secret(start, start + user, Ends::Text),
                None => {}
            }
        }
    }

    /// Tokens that show by their beginning what they are.
    fn tokens(&mut self, word: &Range<usize>) {
        let is_of_token = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        for start in TOKENS {
            let mut from = word.start;
            while let Some(n) = self.text[from..word.end].windows(start.len()).position(|w| w == start.as_bytes()) {
                let at = from + n;
                from = at + start.len();
                let is_within = at > word.start && self.text[at - 1].is_ascii_alphanumeric();
                let rest = self.text[from..word.end].iter().take_while(|b| is_of_token(b)).count();
                let token = &self.text[from..from + rest];
                let has_digit = token.iter().any(u8::is_ascii_digit);
                let is_long = rest >= SHORTEST_TOKEN && !is_plain_value(token);
                if !is_within && is_long && has_digit {
                    self.found.push(from..from + rest);
                    from += rest;
                }
            }
        }
    }
}
