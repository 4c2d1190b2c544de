//! Conditions with everything looked up, ready to be compiled for each kind of event.

use std::sync::Arc;

use ethogram_model::Priority;

use super::{
    condition::{Op, Transformer},
    document::Example,
    field::Field,
    output::Template,
    test::Test,
};

/// A condition, ready to be compiled for each kind of event.
#[derive(Debug)]
pub(super) enum Prepared {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Macro(usize),
    Check(usize),
    /// What could not be made ready: a problem says why.
    Never,
}

/// A value that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TermDef {
    pub(super) what: What,
    pub(super) argument: Option<String>,
    pub(super) transformers: Vec<Transformer>,
}

/// Which field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known(pub(super) &'static Field);

impl std::hash::Hash for Known {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.name.hash(state);
    }
}

/// Which field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum What {
    Falco(Known),
    /// An argument of the call: `evt.arg.NAME`.
    Argument(String),
    /// The same as the kernel has it: `evt.rawarg.NAME`.
    RawArgument(String),
    /// A field of Ethogram's own vocabulary.
    Vocabulary(String),
}

/// A comparison.
#[derive(Debug)]
pub(super) struct CheckDef {
    pub(super) term: usize,
    pub(super) with: With,
    pub(super) negated: bool,
    /// As it is written, shortened.
    pub(super) text: Box<str>,
    /// What it compares with, as far as it is written there.
    pub(super) values: Box<[Box<str>]>,
}

/// With what.
#[derive(Debug, Clone, Copy)]
pub(super) enum With {
    Test(usize),
    Term(Op, usize),
}

/// A rule as all files together define it.
#[derive(Debug)]
pub(super) struct RuleDef {
    pub(super) name: Arc<str>,
    /// `rule.` and the name in small letters.
    pub(super) analytic: String,
    pub(super) condition: Prepared,
    pub(super) output: Template,
    pub(super) desc: String,
    pub(super) priority: Priority,
    pub(super) tags: Vec<String>,
    pub(super) enabled: bool,
    pub(super) source: String,
    pub(super) next: Option<String>,
    pub(super) examples: Vec<Example>,
    pub(super) file: Arc<str>,
    pub(super) line: u32,
    /// Whether something is wrong with it.
    pub(super) is_wrong: bool,
    /// What keeps it from firing, as there is no counterpart here.
    pub(super) unmapped: Vec<String>,
}

/// What all files together define.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    pub(super) macros: Vec<(Arc<str>, Prepared)>,
    pub(super) rules: Vec<RuleDef>,
    pub(super) terms: Vec<TermDef>,
    pub(super) tests: Vec<Arc<Test>>,
    /// What stands for each test, the same whatever else there is.
    pub(super) test_keys: Vec<Box<str>>,
    pub(super) checks: Vec<CheckDef>,
}
