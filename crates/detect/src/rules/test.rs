//! What a value is compared with, made ready once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aho_corasick::AhoCorasick;
use ethogram_model::glob;
use memchr::memmem::Finder;
use regex_lite::{Regex, RegexBuilder};
use rustc_hash::FxHashSet;

use super::{
    condition::{Literal, Op},
    field::Type,
    required::Required,
    value::Value,
};

/// Bytes that a compiled pattern may take.
const MAX_PATTERN: usize = 256 << 10;
/// Bytes that most take at most.
const USUAL_PATTERN: usize = 16 << 10;
/// Bytes of a pattern as written.
const MAX_WRITTEN: usize = 4_096;

/// One comparison without its field.
#[derive(Debug)]
pub(super) enum Test {
    /// Whether there is a value.
    Exists,
    Compare(Order, i64),
    Numbers(FxHashSet<i64>),
    Bool(bool),
    /// Texts, one of which it is.
    OneOf(FxHashSet<Box<[u8]>>),
    Starts(Box<[u8]>),
    Ends(Box<[u8]>),
    Contains(Box<Finder<'static>>),
    /// The same whatever the case of letters.
    ContainsAnyCase(Box<AhoCorasick>),
    /// A regular expression, what it requires, and whether it is large when compiled.
    Pattern {
        regex: Box<Regex>,
        required: Box<Required>,
        is_large: bool,
    },
    /// A text in which `*` stands for anything and `?` for one byte; whether the case of letters counts.
    Wild(Box<[u8]>, bool),
    /// Paths, below one of which it lies.
    Below(FxHashSet<Box<[u8]>>),
    Networks(Vec<Network>),
}

/// How numbers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Addresses that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(all), |bits| bits.parse().ok().filter(|bits| *bits <= all))?;
        Some(Self { address, bits })
    }

    pub(super) fn new(address: IpAddr, bits: u8) -> Self {
        Self { address, bits }
    }

    /// Its address, and how many bits of it count.
    pub(super) fn parts(self) -> (IpAddr, u8) {
        (self.address, self.bits)
    }

    pub(super) fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(net), IpAddr::V4(it)) => {
                begin_alike(Ipv4Addr::to_bits(net).into(), it.to_bits().into(), 32, self.bits)
            }
            (IpAddr::V6(net), IpAddr::V6(it)) => begin_alike(Ipv6Addr::to_bits(net), it.to_bits(), 128, self.bits),
            _ => false,
        }
    }
}

fn begin_alike(a: u128, b: u128, of: u32, bits: u8) -> bool {
    let shift = of - u32::from(bits);
    a.checked_shr(shift).unwrap_or(0) == b.checked_shr(shift).unwrap_or(0)
}

impl Test {
    /// Makes a comparison ready, for fields of a type.
    ///
    /// # Errors
    /// What is wrong with which value (by its place among them), or with the operator.
    pub(super) fn new(op: Op, kind: Type, values: &[&Literal]) -> Result<Self, (usize, String)> {
        let first = || values.first().map_or("", |v| v.text.as_str());
        let bytes = |text: &str| Box::<[u8]>::from(text.as_bytes());
        let set = || values.iter().map(|v| bytes(&v.text)).collect::<FxHashSet<_>>();
        let is_text = matches!(kind, Type::Text | Type::Texts | Type::Any);
        let unfit = || Err((0, format!("'{}' does not compare {}", op.name(), kind.name())));
        Ok(match op {
            Op::Exists => Self::Exists,
            Op::Less | Op::LessOrEqual | Op::Greater | Op::GreaterOrEqual => match kind {
                Type::Number | Type::Any => Self::Compare(order(op), number(first()).map_err(|e| (0, e))?),
                _ => return unfit(),
            },
            Op::Equal | Op::NotEqual | Op::In | Op::Intersects => match kind {
                Type::Number => Self::Numbers(each(values, number)?.into_iter().collect()),
                Type::Bool => {
                    let wanted = each(values, boolean)?;
                    match wanted.as_slice() {
                        [] => Self::Numbers(FxHashSet::default()),
                        [one, rest @ ..] if rest.iter().all(|other| other == one) => Self::Bool(*one),
                        _ => Self::Exists,
                    }
                }
                Type::Ip | Type::Net => Self::Networks(each(values, |text| {
                    let whole = kind == Type::Net || !text.contains('/');
                    let network = Network::parse(text).filter(|_| whole);
                    network.ok_or_else(|| {
                        format!("'{text}' is no {}", if kind == Type::Ip { "address" } else { "network" })
                    })
                })?),
                Type::Text | Type::Texts | Type::Any => Self::OneOf(set()),
            },
            _ if !is_text => return unfit(),
            Op::Contains => Self::contains(first().as_bytes()),
            Op::StartsWith => Self::Starts(bytes(first())),
            Op::EndsWith => Self::Ends(bytes(first())),
            Op::BContains => Self::contains(&hex(first()).map_err(|e| (0, e))?),
            Op::BStartsWith => Self::Starts(hex(first()).map_err(|e| (0, e))?),
            Op::IContains => {
                let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build([first()]);
                Self::ContainsAnyCase(Box::new(automaton.map_err(|e| (0, e.to_string()))?))
            }
            Op::Glob | Op::IGlob => {
                let (text, any_case) = (first(), op == Op::IGlob);
                let is_simple = !text.contains(['[', '\\', '(', ')', '|']);
                match is_simple && text.len() <= MAX_WRITTEN {
                    true if any_case => Self::Wild(text.to_ascii_lowercase().into_bytes().into(), false),
                    true => Self::Wild(bytes(text), true),
                    false => Self::pattern(&regex_of_glob(text), any_case).map_err(|e| (0, e))?,
                }
            }
            Op::Regex => Self::pattern(first(), false).map_err(|e| (0, e))?,
            Op::PathMatch => Self::Below(set().into_iter().map(without_end).collect()),
        })
    }

    fn contains(text: &[u8]) -> Self {
        Self::Contains(Box::new(Finder::new(text).into_owned()))
    }

    fn pattern(pattern: &str, any_case: bool) -> Result<Self, String> {
        if pattern.len() > MAX_WRITTEN {
            return Err(format!("a pattern of {} bytes: at most {MAX_WRITTEN}", pattern.len()));
        }
        let whole = format!("^(?:{pattern})$");
        let compile = |size| {
            RegexBuilder::new(&whole)
                .dot_matches_new_line(true)
                .case_insensitive(any_case)
                .size_limit(size)
                .nest_limit(64)
                .build()
        };
        // The error does not say why: whether it would do with more room is found out by giving it that.
        let (regex, is_large) = match compile(USUAL_PATTERN) {
            Err(_) => (compile(MAX_PATTERN), true),
            usual => (usual, false),
        };
        let problem = |e: regex_lite::Error| format!("no usable pattern: {e}");
        let required = || if any_case { Box::default() } else { Box::new(Required::of(pattern)) };
        regex.map(|regex| Self::Pattern { regex: Box::new(regex), required: required(), is_large }).map_err(problem)
    }

    /// Whether a value, which is there, passes. Of several, one that passes is enough.
    pub(super) fn holds(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (_, Value::Absent) => false,
            (Self::Exists, _) => true,
            (_, Value::Texts(all)) => all.iter().any(|one| self.holds_text(one)),
            (Self::Networks(networks), Value::Ip(ip)) => networks.iter().any(|n| n.holds(*ip)),
            (_, Value::Two(a, b)) => self.holds(a) || self.holds(b),
            (Self::Bool(wanted), Value::Bool(is)) => wanted == is,
            (Self::Compare(order, than), Value::Number(n)) => order.holds(*n, *than),
            (Self::Numbers(set), Value::Number(n)) => set.contains(n),
            (_, Value::Text(text)) => self.holds_text(text),
            (_, other) => self.holds_text(&other.to_text()),
        }
    }

    fn holds_text(&self, text: &[u8]) -> bool {
        match self {
            Self::Exists => true,
            Self::OneOf(set) => set.contains(text),
            Self::Starts(start) => text.starts_with(start),
            Self::Ends(end) => text.ends_with(end),
            Self::Contains(part) => part.find(text).is_some(),
            Self::ContainsAnyCase(automaton) => automaton.is_match(text),
            Self::Pattern { regex, required, .. } => {
                required.allows(text) && regex.is_match(&String::from_utf8_lossy(text))
            }
            Self::Wild(pattern, true) => glob::matches(pattern, text),
            Self::Wild(pattern, false) => glob::matches(pattern, &text.to_ascii_lowercase()),
            Self::Below(paths) => is_below(paths, text),
            Self::Compare(order, than) => parsed(text).is_some_and(|n| order.holds(n, *than)),
            Self::Numbers(set) => parsed(text).is_some_and(|n| set.contains(&n)),
            Self::Bool(wanted) => text == if *wanted { b"true".as_slice() } else { b"false" },
            Self::Networks(_) => false,
        }
    }

    /// Whether no value passes.
    pub(super) fn never_holds(&self) -> bool {
        match self {
            Self::OneOf(set) | Self::Below(set) => set.is_empty(),
            Self::Numbers(set) => set.is_empty(),
            Self::Networks(all) => all.is_empty(),
            _ => false,
        }
    }

    /// Whether a number, written in digits, may pass.
    pub(super) fn takes_numbers(&self) -> bool {
        match self {
            Self::OneOf(set) => set.iter().any(|text| parsed(text).is_some()),
            Self::Starts(part) | Self::Ends(part) => is_of_digits(part),
            Self::Contains(part) => is_of_digits(part.needle()),
            Self::Below(_) => false,
            _ => true,
        }
    }

    /// How much it takes to find out, of other tests.
    pub(super) fn cost(&self) -> u32 {
        match self {
            Self::Exists | Self::Bool(_) | Self::Compare(..) | Self::Numbers(_) => 1,
            Self::OneOf(_) | Self::Starts(_) | Self::Ends(_) | Self::Networks(_) => 2,
            Self::Contains(_) | Self::Below(_) => 4,
            Self::ContainsAnyCase(_) | Self::Wild(..) => 6,
            Self::Pattern { .. } => 12,
        }
    }
}

impl Order {
    fn holds(self, n: i64, than: i64) -> bool {
        match self {
            Self::Less => n < than,
            Self::LessOrEqual => n <= than,
            Self::Greater => n > than,
            Self::GreaterOrEqual => n >= than,
        }
    }
}

fn order(op: Op) -> Order {
    match op {
        Op::Less => Order::Less,
        Op::LessOrEqual => Order::LessOrEqual,
        Op::Greater => Order::Greater,
        _ => Order::GreaterOrEqual,
    }
}

fn each<T>(values: &[&Literal], read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, (usize, String)> {
    values.iter().enumerate().map(|(place, value)| read(&value.text).map_err(|e| (place, e))).collect()
}

fn is_of_digits(text: &[u8]) -> bool {
    text.iter().all(|c| c.is_ascii_digit() || *c == b'-')
}

fn parsed(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn number(text: &str) -> Result<i64, String> {
    // In lists a number may stand in quotes within the quotes of YAML.
    let bare = text.trim_matches(['"', '\'']);
    let parsed = match bare.strip_prefix("0x").or_else(|| bare.strip_prefix("0X")) {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => bare.strip_prefix('+').unwrap_or(bare).parse().ok(),
    };
    parsed.ok_or_else(|| format!("'{text}' is no number"))
}

fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(format!("'{text}' is neither true nor false")),
    }
}

fn hex(text: &str) -> Result<Box<[u8]>, String> {
    let odd = || format!("'{text}' is not bytes in hexadecimal");
    if text.is_empty() || !text.len().is_multiple_of(2) || !text.is_ascii() {
        return Err(odd());
    }
    let byte = |at| text.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok()).ok_or_else(odd);
    (0..text.len()).step_by(2).map(byte).collect()
}

fn without_end(path: Box<[u8]>) -> Box<[u8]> {
    match path.strip_suffix(b"/") {
        Some(rest) if !rest.is_empty() => rest.into(),
        _ => path,
    }
}

fn is_below(paths: &FxHashSet<Box<[u8]>>, path: &[u8]) -> bool {
    paths.contains(path)
        || (path.starts_with(b"/") && paths.contains(b"/".as_slice()))
        || memchr::memrchr_iter(b'/', path).any(|end| paths.contains(&path[..end]))
}

/// A glob as a regular expression: `*` and `?` also stand for slashes, `[...]` for one of several, `@(a|b)`, `*(a)`,
/// `+(a)`, `?(a)` for alternatives, as in fnmatch(3) with FNM_EXTMATCH.
fn regex_of_glob(glob: &str) -> String {
    let mut out = String::with_capacity(glob.len() + 8);
    let mut chars = glob.chars().peekable();
    let mut groups: Vec<&str> = Vec::new();
    while let Some(c) = chars.next() {
        match c {
            '@' | '*' | '+' | '?' if chars.peek() == Some(&'(') => {
                chars.next();
                out += "(?:";
                groups.push(match c {
                    '*' => ")*",
                    '+' => ")+",
                    '?' => ")?",
                    _ => ")",
                });
            }
            ')' if !groups.is_empty() => out += groups.pop().unwrap_or(")"),
            '|' if !groups.is_empty() => out.push('|'),
            '*' => out += ".*",
            '?' => out.push('.'),
            '[' => {
                let class: String = chars.clone().take_while(|c| *c != ']').collect();
                if class.is_empty() || chars.clone().count() == class.chars().count() {
                    out += "\\[";
                    continue;
                }
                chars.by_ref().take(class.chars().count() + 1).for_each(drop);
                let (negated, class) = match class.strip_prefix(['!', '^']) {
                    Some(rest) => ("^", rest.to_owned()),
                    None => ("", class),
                };
                out += &format!("[{negated}{}]", class.replace('\\', "\\\\").replace('[', "\\[").replace('&', "\\&"));
            }
            '\\' => {
                if let Some(next) = chars.next() {
                    out += &regex_lite::escape(next.encode_utf8(&mut [0; 4]));
                }
            }
            c => out += &regex_lite::escape(c.encode_utf8(&mut [0; 4])),
        }
    }
    // A group that does not end is no pattern: the compiler says so.
    out
}
