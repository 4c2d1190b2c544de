//! A field with modifiers and one of its values, as a comparison.

use base64::{Engine, engine::general_purpose::STANDARD};
use rsigma_parser::{FieldSpec, Modifier, SigmaString, SpecialChar, StringPart};

use super::fields::{Kind, call, network, record};

/// What the modifiers of a field say.
#[derive(Debug, Default)]
pub(super) struct How {
    pub(super) all: bool,
    pub(super) negated: bool,
    pub(super) meaning: Meaning,
    cased: bool,
    place: Option<Place>,
    encodings: Vec<Modifier>,
}

/// What the values are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Meaning {
    #[default]
    Pattern,
    /// A regular expression with these flags.
    Regex(String),
    Network,
    Existence,
    /// Another field.
    Field,
    /// A number, and how it is compared.
    Order(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    End,
    Anywhere,
}

/// A comparison: those of one field that say `in` can be said at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// A field, maybe transformed, and its value.
    In(String, String),
    Other(String),
}

impl Comparison {
    pub(super) fn text(self) -> String {
        match self {
            Self::In(left, value) => format!("{left} = {}", quoted(&value)),
            Self::Other(text) => text,
        }
    }
}

impl How {
    /// Reads a field's modifiers.
    ///
    /// # Errors
    /// One that cannot be had here, and why.
    pub(super) fn of(spec: &FieldSpec) -> Result<Self, String> {
        let mut how = Self::default();
        let mut flags = String::new();
        for modifier in &spec.modifiers {
            match modifier {
                Modifier::Contains => how.place = Some(Place::Anywhere),
                Modifier::StartsWith => how.place = Some(Place::Start),
                Modifier::EndsWith => how.place = Some(Place::End),
                Modifier::All => how.all = true,
                Modifier::Cased => how.cased = true,
                Modifier::Neq => how.negated = true,
                Modifier::Re => how.meaning = Meaning::Regex(String::new()),
                Modifier::IgnoreCase => flags.push('i'),
                Modifier::Multiline => flags.push('m'),
                Modifier::DotAll => flags.push('s'),
                Modifier::Cidr => how.meaning = Meaning::Network,
                Modifier::Exists => how.meaning = Meaning::Existence,
                Modifier::FieldRef => how.meaning = Meaning::Field,
                Modifier::Lt => how.meaning = Meaning::Order("<"),
                Modifier::Lte => how.meaning = Meaning::Order("<="),
                Modifier::Gt => how.meaning = Meaning::Order(">"),
                Modifier::Gte => how.meaning = Meaning::Order(">="),
                Modifier::WindAsh
                | Modifier::Base64
                | Modifier::Base64Offset
                | Modifier::Wide
                | Modifier::Utf16
                | Modifier::Utf16be => how.encodings.push(*modifier),
                Modifier::Expand => return Err("'expand' needs values that are not in the rule".into()),
                Modifier::Minute
                | Modifier::Hour
                | Modifier::Day
                | Modifier::Week
                | Modifier::Month
                | Modifier::Year => return Err("parts of a time are not compared".into()),
            }
        }
        if let Meaning::Regex(of) = &mut how.meaning {
            *of = flags;
        }
        Ok(how)
    }

    /// The comparisons of a field with a value, any of which is enough.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn compare(&self, field: &str, kind: Kind, value: &str) -> Result<Vec<Comparison>, String> {
        match &self.meaning {
            Meaning::Regex(flags) if matches!(kind, Kind::Text | Kind::Directory) => {
                // Here a pattern is of the whole text, and a dot is also a line's end.
                let dot = if flags.contains('s') { "" } else { "-s" };
                let pattern = quoted(&format!(".*(?{flags}{dot}:{value}).*"));
                Ok(vec![Comparison::Other(format!("{field} regex {pattern}"))])
            }
            Meaning::Regex(_) => Err("only texts are compared with a regular expression".into()),
            Meaning::Network => match kind {
                Kind::Address(network) => Ok(vec![Comparison::In(network.into(), value.into())]),
                _ => Err("only addresses are in networks".into()),
            },
            Meaning::Order(op) if kind == Kind::Number => {
                Ok(vec![Comparison::Other(format!("{field} {op} {}", quoted(value)))])
            }
            Meaning::Order(_) => Err("only numbers are less or greater".into()),
            _ => {
                let one = |pattern| self.pattern(field, kind, pattern);
                if self.encodings.is_empty() {
                    return Ok(vec![one(self.placed(SigmaString::new(value)))?]);
                }
                self.encoded(value)?.iter().map(|text| one(self.placed(SigmaString::from_raw(text)))).collect()
            }
        }
    }

    /// The comparison of a field with another.
    ///
    /// # Errors
    /// Fields that cannot be compared.
    pub(super) fn compare_fields(&self, a: (&str, Kind), b: (&str, Kind)) -> Result<String, String> {
        let op = match self.place {
            None => "=",
            Some(Place::Start) => "startswith",
            Some(Place::End) => "endswith",
            Some(Place::Anywhere) => "contains",
        };
        let is_text = |kind| matches!(kind, Kind::Text | Kind::Directory);
        match ((a.0, is_text(a.1)), (b.0, is_text(b.1))) {
            ((a, true), (b, true)) if !self.cased => Ok(format!("tolower({a}) {op} tolower({b})")),
            ((left, a_text), (right, b_text)) if a_text == b_text && (a_text || self.place.is_none()) => {
                Ok(format!("{left} {op} val({right})"))
            }
            _ => Err("the two fields are not of a kind".into()),
        }
    }

    fn placed(&self, text: SigmaString) -> Pattern {
        let star = || StringPart::Special(SpecialChar::WildcardMulti);
        let mut parts = text.parts;
        if matches!(self.place, Some(Place::Anywhere | Place::End)) {
            parts.insert(0, star());
        }
        if matches!(self.place, Some(Place::Anywhere | Place::Start)) {
            parts.push(star());
        }
        parts.dedup_by(|a, b| a == b && *a == star());
        match parts.as_slice() {
            [] => Pattern::Whole(String::new()),
            [StringPart::Plain(text)] => Pattern::Whole(text.clone()),
            [any] if *any == star() => Pattern::Any,
            [StringPart::Plain(text), any] if *any == star() => Pattern::At(Place::Start, text.clone()),
            [any, StringPart::Plain(text)] if *any == star() => Pattern::At(Place::End, text.clone()),
            [any, StringPart::Plain(text), rest] if *any == star() && *rest == star() => {
                Pattern::At(Place::Anywhere, text.clone())
            }
            parts => Pattern::Glob(parts.iter().map(glob).collect()),
        }
    }

    fn pattern(&self, field: &str, kind: Kind, pattern: Pattern) -> Result<Comparison, String> {
        let is = |left: &str, value: String| Ok(Comparison::In(left.to_owned(), value));
        let other = |text: String| Ok(Comparison::Other(text));
        match (kind, pattern) {
            (_, Pattern::Any) => other(format!("{field} exists")),
            (Kind::Text | Kind::Directory, pattern) => Ok(self.text(field, kind, pattern)),
            // The audit system shows the largest number where there was no login.
            (Kind::Number, Pattern::Whole(value)) if value == "4294967295" => is(field, "-1".into()),
            (Kind::Number | Kind::Address(_), Pattern::Whole(value)) => is(field, value),
            (Kind::Address(of), Pattern::At(Place::Start, start)) => match network(&start) {
                Some(network) => is(of, network),
                None => Err(format!("'{start}' is no beginning of an address that ends with a dot: use cidr")),
            },
            (Kind::Inverted, Pattern::Whole(value)) => match truth(&value) {
                Some(truth) => other(format!("{field} = {}", !truth)),
                None => Err(format!("'{value}' is neither true nor false")),
            },
            (Kind::Call, Pattern::Whole(value)) => is(field, call(&value)),
            (Kind::Record, Pattern::Whole(value)) => match record(&value) {
                Some(condition) => other(condition.into()),
                None => Err(format!("there are no audit records of the type '{value}' here")),
            },
            (Kind::Number, _) => Err("numbers are compared as a whole, not by their digits".into()),
            (Kind::Address(_), _) => Err("of an address only the beginning can be compared".into()),
            _ => Err("it is compared as a whole, not in part".into()),
        }
    }

    fn text(&self, field: &str, kind: Kind, pattern: Pattern) -> Comparison {
        let left = if self.cased { field.to_owned() } else { format!("tolower({field})") };
        let written = |text: String| if self.cased { text } else { text.to_ascii_lowercase() };
        let ended = |text: String| {
            if kind == Kind::Directory && !text.is_empty() && !text.ends_with('/') { format!("{text}/") } else { text }
        };
        match pattern {
            Pattern::Whole(text) => Comparison::In(left, written(ended(text))),
            Pattern::At(place, text) => {
                let (op, text) = match place {
                    Place::Start => ("startswith", text),
                    Place::End => ("endswith", ended(text)),
                    Place::Anywhere => ("contains", text),
                };
                Comparison::Other(format!("{left} {op} {}", quoted(&written(text))))
            }
            Pattern::Glob(glob) => {
                Comparison::Other(format!("{field} {} {}", if self.cased { "glob" } else { "iglob" }, quoted(&glob)))
            }
            Pattern::Any => Comparison::Other(format!("{field} exists")),
        }
    }

    /// What a text becomes by the modifiers that change it.
    fn encoded(&self, text: &str) -> Result<Vec<String>, String> {
        let plain = SigmaString::new(text).as_plain().ok_or("a text with wildcards has no encoding")?;
        let mut all = vec![plain.into_bytes()];
        for encoding in &self.encodings {
            all = all.iter().flat_map(|text| encode(*encoding, text)).collect();
            // Dashes of dashes of dashes: no rule says that.
            if all.len() > 64 {
                return Err("it has too many encodings".into());
            }
        }
        let printable = |text| String::from_utf8(text).ok().filter(|text| !text.contains('\0'));
        let all: Option<_> = all.into_iter().map(printable).collect();
        all.ok_or_else(|| "the texts of events have no zeros in them, as this encoding has".into())
    }
}

/// What a text is compared with.
enum Pattern {
    Any,
    Whole(String),
    At(Place, String),
    Glob(String),
}

fn glob(part: &StringPart) -> String {
    match part {
        StringPart::Special(SpecialChar::WildcardMulti) => "*".into(),
        StringPart::Special(SpecialChar::WildcardSingle) => "?".into(),
        StringPart::Plain(text) => {
            let mut out = String::with_capacity(text.len());
            for c in text.chars() {
                if c.is_ascii_punctuation() {
                    out.push('\\');
                }
                out.push(c);
            }
            out
        }
    }
}

fn encode(encoding: Modifier, text: &[u8]) -> Vec<Vec<u8>> {
    let units = || String::from_utf8_lossy(text).encode_utf16().collect::<Vec<u16>>();
    match encoding {
        Modifier::WindAsh => dashes(&String::from_utf8_lossy(text)),
        Modifier::Base64 => vec![STANDARD.encode(text).into_bytes()],
        Modifier::Base64Offset => (0..3).map(|offset| at_offset(text, offset)).collect(),
        Modifier::Wide => vec![units().into_iter().flat_map(u16::to_le_bytes).collect()],
        Modifier::Utf16 => vec![[0xfeff].into_iter().chain(units()).flat_map(u16::to_le_bytes).collect()],
        Modifier::Utf16be => vec![units().into_iter().flat_map(u16::to_be_bytes).collect()],
        _ => vec![text.to_owned()],
    }
}

/// What is the same of a text's base64 whatever stands before and after it, so many bytes into a group of three.
fn at_offset(text: &[u8], offset: usize) -> Vec<u8> {
    let encoded = STANDARD.encode([&vec![0; offset], text].concat());
    let (start, end) = ([0, 2, 3][offset % 3], [0, 3, 2][(text.len() + offset) % 3]);
    encoded.as_bytes().get(start..encoded.len().saturating_sub(end)).unwrap_or_default().to_owned()
}

/// A text with each of the signs that programs take for a dash before an option.
fn dashes(text: &str) -> Vec<Vec<u8>> {
    let with = |dash: char| {
        let (mut out, mut before) = (String::with_capacity(text.len()), ' ');
        let mut chars = text.chars().peekable();
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        while let Some(c) = chars.next() {
            let begins = matches!(c, '-' | '/') && !is_word(before) && chars.peek().is_some_and(|c| is_word(*c));
            out.push(if begins { dash } else { c });
            before = c;
        }
        out.into_bytes()
    };
    let mut all: Vec<_> = ['-', '/', '–', '—', '―'].map(with).into();
    all.sort_unstable();
    all.dedup();
    all
}

/// What a value says that is true or false.
pub(super) fn truth(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Some(true),
        "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// A text as it stands in a condition.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use rsigma_parser::parse_field_spec;

    use super::*;

    fn texts(key: &str, value: &str) -> Vec<String> {
        let how = How::of(&parse_field_spec(key).unwrap()).unwrap();
        how.compare("f", Kind::Text, value).unwrap().into_iter().map(Comparison::text).collect()
    }

    #[test]
    fn wildcards_become_the_cheapest_comparison() {
        assert_eq!(texts("x", "Bash"), [r#"tolower(f) = "bash""#]);
        assert_eq!(texts("x", "*/Bash"), [r#"tolower(f) endswith "/bash""#]);
        assert_eq!(texts("x", "/bin/*"), [r#"tolower(f) startswith "/bin/""#]);
        assert_eq!(texts("x|endswith", "*nc*"), [r#"tolower(f) contains "nc""#]);
        assert_eq!(texts("x", "*"), ["f exists"]);
        assert_eq!(texts("x", r"a\*b"), [r#"tolower(f) = "a*b""#]);
        assert_eq!(texts("x", "a?c"), [r#"f iglob "a?c""#]);
        assert_eq!(texts("x|contains|cased", "a(*)B"), [r#"f glob "*a\\(*\\)B*""#]);
        assert_eq!(texts("x|cased", r"C:\Dir"), [r#"f = "C:\\Dir""#]);
    }

    #[test]
    fn encodings() {
        assert_eq!(texts("x|base64|cased", "foo"), [r#"f = "Zm9v""#]);
        assert_eq!(
            texts("x|base64offset|contains|cased", "/bin/bash"),
            [r#"f contains "L2Jpbi9iYXNo""#, r#"f contains "9iaW4vYmFza""#, r#"f contains "vYmluL2Jhc2""#]
        );
        assert_eq!(texts("x|wide|base64|cased", "hi"), [r#"f = "aABpAA==""#]);
        let how = How::of(&parse_field_spec("x|wide").unwrap()).unwrap();
        assert!(how.compare("f", Kind::Text, "hi").unwrap_err().contains("zeros"));
        assert_eq!(texts("x|windash|cased", "a -o b-c").len(), 5);
        assert_eq!(texts("x|windash|cased", "a-b"), [r#"f = "a-b""#]);
    }
}
