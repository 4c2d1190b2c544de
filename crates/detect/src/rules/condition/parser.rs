//! Reads conditions.

use super::{Check, Expr, Literal, Op, Operand, Term, Transformer, Wrong};

/// How deep parentheses and negations may be nested.
const MAX_DEPTH: usize = 100;
/// Values in one list within a condition.
const MAX_VALUES: usize = 100_000;

/// Reads a condition.
pub(in super::super) fn parse(text: &str) -> Result<Expr, Wrong> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let expr = parser.or()?;
    parser.blanks();
    match parser.rest() {
        "" => Ok(expr),
        ")" => Err(parser.wrong("a ')' that closes nothing")),
        _ => Err(parser.wrong(format!("expected 'and' or 'or' before '{}'", parser.here()))),
    }
}

/// Reads a value as it may stand in a list: quoted, or bare to its end.
pub(in super::super) fn literal(text: &str) -> Result<Literal, Wrong> {
    if text.starts_with(['"', '\'']) {
        let mut parser = Parser { text, at: 0, depth: 0 };
        let literal = parser.literal()?;
        if parser.rest().trim().is_empty() {
            return Ok(literal);
        }
    }
    Ok(Literal { text: text.to_owned(), is_quoted: false, at: 0 })
}

/// Reads a field with its argument from the beginning of a text, and says where it ends.
pub(in super::super) fn field(text: &str) -> Option<(Term, usize)> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let field = parser.word_with_dots()?;
    let argument = parser.argument().ok()?;
    Some((Term { field, argument, transformers: Vec::new(), at: 0 }, parser.at))
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn wrong(&self, text: impl Into<String>) -> Wrong {
        Wrong { at: self.at, text: text.into() }
    }

    /// The word that comes next, for messages.
    fn here(&self) -> String {
        let rest = self.rest();
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        rest[..end].chars().take(40).collect()
    }

    fn blanks(&mut self) -> bool {
        let rest = self.rest();
        let trimmed = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\u{8}');
        self.at += rest.len() - trimmed.len();
        rest.len() != trimmed.len()
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    /// Takes a word that is followed by a blank, a parenthesis or the end.
    fn keyword(&mut self, word: &str) -> bool {
        let Some(after) = self.rest().strip_prefix(word) else { return false };
        let ends = after.chars().next().is_none_or(|c| c.is_ascii_whitespace() || c == '(' || c == ')');
        self.at += if ends { word.len() } else { 0 };
        ends
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Wrong>) -> Result<T, Wrong> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong(format!("nested deeper than {MAX_DEPTH}: put parts of it into macros")));
        }
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn or(&mut self) -> Result<Expr, Wrong> {
        let mut all = vec![self.and()?];
        while self.follows("or") {
            all.push(self.and()?);
        }
        Ok(one_or(all, Expr::Or))
    }

    fn and(&mut self) -> Result<Expr, Wrong> {
        let mut all = vec![self.not()?];
        while self.follows("and") {
            all.push(self.not()?);
        }
        Ok(one_or(all, Expr::And))
    }

    fn follows(&mut self, word: &str) -> bool {
        self.blanks();
        self.keyword(word)
    }

    fn not(&mut self) -> Result<Expr, Wrong> {
        let mut negated = false;
        loop {
            self.blanks();
            if !self.keyword("not") {
                break;
            }
            negated = !negated;
        }
        let inner = self.primary()?;
        Ok(if negated { Expr::Not(Box::new(inner)) } else { inner })
    }

    fn primary(&mut self) -> Result<Expr, Wrong> {
        self.blanks();
        if self.take("(") {
            let inner = self.nested(Self::or)?;
            self.blanks();
            return if self.take(")") { Ok(inner) } else { Err(self.expected("')'")) };
        }
        let start = self.at;
        if let Some(term) = self.transformed()? {
            return self.comparison(term, start);
        }
        let Some(word) = self.word_with_dots() else {
            return Err(self.expected("a field, a macro or '('"));
        };
        let is_field = word.contains('.') || self.operator_follows();
        if !is_field {
            return Ok(Expr::Macro(word, start));
        }
        let argument = self.argument()?;
        self.comparison(Term { field: word, argument, transformers: Vec::new(), at: start }, start)
    }

    fn expected(&self, what: &str) -> Wrong {
        match self.here().as_str() {
            "" => self.wrong(format!("expected {what}, but here it ends")),
            here => self.wrong(format!("expected {what}, not '{here}'")),
        }
    }

    fn word_with_dots(&mut self) -> Option<String> {
        let rest = self.rest();
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.').unwrap_or(rest.len());
        let word = rest.get(..end)?.trim_end_matches('.');
        self.at += word.len();
        Some(word.to_owned())
    }

    /// Whether an operator comes next: then what stood before is a field though it has no dot.
    fn operator_follows(&self) -> bool {
        let mut ahead = Parser { text: self.text, at: self.at, depth: 0 };
        ahead.blanks();
        ahead.operator().is_some()
    }

    fn operator(&mut self) -> Option<Op> {
        if let Some((sign, op)) = Op::SIGNS.iter().find(|(sign, _)| self.rest().starts_with(sign)) {
            self.at += sign.len();
            return Some(*op);
        }
        Op::WORDS.iter().find(|(word, _)| self.keyword(word)).map(|(_, op)| *op)
    }

    fn argument(&mut self) -> Result<Option<String>, Wrong> {
        if !self.take("[") {
            return Ok(None);
        }
        let argument = if self.rest().starts_with(['"', '\'']) {
            self.literal()?.text
        } else {
            let rest = self.rest();
            let end = rest.find(|c: char| c.is_whitespace() || "[]\"'".contains(c)).unwrap_or(rest.len());
            self.at += end;
            rest.get(..end).unwrap_or_default().to_owned()
        };
        if argument.is_empty() || !self.take("]") {
            return Err(self.expected("an argument and ']'"));
        }
        Ok(Some(argument))
    }

    /// A field within transformers: `tolower(proc.name)`.
    fn transformed(&mut self) -> Result<Option<Term>, Wrong> {
        let start = self.at;
        let name = self.word_with_dots();
        let known = name.as_deref().and_then(|n| Transformer::ALL.iter().find(|(known, _)| *known == n));
        let Some((_, transformer)) = known.filter(|_| self.rest().starts_with('(')) else {
            self.at = start;
            return Ok(None);
        };
        self.at += 1;
        self.blanks();
        let mut term = match self.nested(Self::transformed)? {
            Some(term) => term,
            None => self.plain_field()?,
        };
        self.blanks();
        if !self.take(")") {
            return Err(self.expected("')'"));
        }
        term.transformers.push(*transformer);
        Ok(Some(term))
    }

    fn plain_field(&mut self) -> Result<Term, Wrong> {
        let at = self.at;
        let field = self.word_with_dots().ok_or_else(|| self.expected("a field"))?;
        Ok(Term { field, argument: self.argument()?, transformers: Vec::new(), at })
    }

    fn comparison(&mut self, left: Term, at: usize) -> Result<Expr, Wrong> {
        self.blanks();
        let op = self.operator().ok_or_else(|| {
            let words: Vec<_> = Op::SIGNS.iter().skip(1).chain(&Op::WORDS).map(|(name, _)| *name).collect();
            self.expected(&format!("one of {}", words.join(" ")))
        })?;
        let right = if op == Op::Exists { Operand::None } else { self.operand(op)? };
        let end = self.at;
        Ok(Expr::Check(Box::new(Check { left, op, right, at, end })))
    }

    fn operand(&mut self, op: Op) -> Result<Operand, Wrong> {
        self.blanks();
        if self.rest().starts_with("val(") {
            self.at += "val(".len();
            self.blanks();
            let term = self.plain_field()?;
            self.blanks();
            return if self.take(")") { Ok(Operand::Term(term)) } else { Err(self.expected("')'")) };
        }
        if let Some(term) = self.transformed()? {
            return Ok(Operand::Term(term));
        }
        if !op.takes_list() {
            return Ok(Operand::Values(vec![self.literal()?]));
        }
        if !self.take("(") {
            // A list by its name alone.
            return Ok(Operand::Values(vec![self.literal()?]));
        }
        let mut values = Vec::new();
        loop {
            self.blanks();
            if self.take(")") {
                return Ok(Operand::Values(values));
            }
            if !values.is_empty() {
                if !self.take(",") {
                    return Err(self.expected("',' or ')'"));
                }
                self.blanks();
                if self.take(")") {
                    return Ok(Operand::Values(values));
                }
            }
            values.push(self.literal()?);
            if values.len() > MAX_VALUES {
                return Err(self.wrong(format!("more than {MAX_VALUES} values in one list")));
            }
        }
    }

    fn literal(&mut self) -> Result<Literal, Wrong> {
        let at = self.at;
        let rest = self.rest();
        if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            let text = self.quoted(quote)?;
            return Ok(Literal { text, is_quoted: true, at });
        }
        let bare = |c: char| !c.is_whitespace() && !"()\"'=,".contains(c);
        let end = rest.find(|c| !bare(c)).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.expected("a value"));
        }
        self.at += end;
        Ok(Literal { text: rest.get(..end).unwrap_or_default().to_owned(), is_quoted: false, at })
    }

    fn quoted(&mut self, quote: char) -> Result<String, Wrong> {
        let start = self.at;
        let mut out = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some((_, 'b')) => out.push('\u{8}'),
                    Some((_, 'f')) => out.push('\u{c}'),
                    Some((_, 'n')) => out.push('\n'),
                    Some((_, 'r')) => out.push('\r'),
                    Some((_, 't')) => out.push('\t'),
                    // A backslash before a blank stands for itself, as in existing rules.
                    Some((_, ' ')) => out.push('\\'),
                    Some((_, c @ ('\\' | '/' | '"' | '\''))) => out.push(c),
                    Some((at, c)) => {
                        self.at = start + at - 1;
                        return Err(self.wrong(format!("'\\{c}' means nothing: write '\\\\{c}'")));
                    }
                    None => break,
                },
                c if c == quote => {
                    self.at = start + at + c.len_utf8();
                    return Ok(out);
                }
                c => out.push(c),
            }
        }
        Err(Wrong { at: start, text: format!("a text that begins with {quote} and does not end") })
    }
}

fn one_or(mut all: Vec<Expr>, many: impl FnOnce(Vec<Expr>) -> Expr) -> Expr {
    match all.pop() {
        Some(only) if all.is_empty() => only,
        Some(last) => {
            all.push(last);
            many(all)
        }
        None => many(all),
    }
}
