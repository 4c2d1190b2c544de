//! The grammar of conditions.
//!
//! The language is Falco's, as its documentation describes it: <https://falco.org/docs/concepts/rules/conditions/>.

mod parser;

pub(super) use parser::{field, literal, parse};

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    /// A macro by its name, and where that stands.
    Macro(String, usize),
    Check(Box<Check>),
}

/// One comparison.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Check {
    pub(super) left: Term,
    pub(super) op: Op,
    pub(super) right: Operand,
    /// Byte offsets in the condition.
    pub(super) at: usize,
    pub(super) end: usize,
}

/// What is compared: a field, maybe changed by transformers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Term {
    pub(super) field: String,
    pub(super) argument: Option<String>,
    /// The outermost last.
    pub(super) transformers: Vec<Transformer>,
    pub(super) at: usize,
}

/// What makes another value of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Transformer {
    ToLower,
    ToUpper,
    Base64,
    Basename,
    Length,
}

impl Transformer {
    const ALL: [(&'static str, Self); 5] = [
        ("tolower", Self::ToLower),
        ("toupper", Self::ToUpper),
        ("b64", Self::Base64),
        ("basename", Self::Basename),
        ("len", Self::Length),
    ];
}

/// What it is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    None,
    Values(Vec<Literal>),
    /// Another field.
    Term(Term),
}

/// A value as written, or the name of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Literal {
    pub(super) text: String,
    /// What stands in quotes is no name of a list.
    pub(super) is_quoted: bool,
    pub(super) at: usize,
}

/// How things are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Op {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Contains,
    IContains,
    BContains,
    StartsWith,
    BStartsWith,
    EndsWith,
    Glob,
    IGlob,
    Regex,
    In,
    Intersects,
    PathMatch,
    Exists,
}

impl Op {
    /// Those that are signs, longer ones first, and then those that are words.
    const SIGNS: [(&'static str, Self); 7] = [
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("=", Self::Equal),
        ("<", Self::Less),
        (">", Self::Greater),
    ];
    const WORDS: [(&'static str, Self); 13] = [
        ("contains", Self::Contains),
        ("icontains", Self::IContains),
        ("bcontains", Self::BContains),
        ("startswith", Self::StartsWith),
        ("bstartswith", Self::BStartsWith),
        ("endswith", Self::EndsWith),
        ("glob", Self::Glob),
        ("iglob", Self::IGlob),
        ("regex", Self::Regex),
        ("in", Self::In),
        ("intersects", Self::Intersects),
        ("pmatch", Self::PathMatch),
        ("exists", Self::Exists),
    ];

    /// As it is written.
    pub(super) fn name(self) -> &'static str {
        Self::SIGNS.iter().skip(1).chain(&Self::WORDS).find(|(_, op)| *op == self).map_or("=", |(name, _)| name)
    }

    /// The operator that is written so.
    pub(super) fn of(name: &str) -> Option<Self> {
        Self::SIGNS.iter().chain(&Self::WORDS).find(|(n, _)| *n == name).map(|(_, op)| *op)
    }

    fn takes_list(self) -> bool {
        matches!(self, Self::In | Self::Intersects | Self::PathMatch)
    }
}

/// What is wrong in a condition, and at which byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) at: usize,
    pub(super) text: String,
}
