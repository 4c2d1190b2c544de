//! What all files together define: later items change earlier ones, lists and macros are looked up, types checked.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use ethogram_model::{EventSchema, Priority};

use super::{
    condition::{self, Check, Expr, Literal, Op, Operand, Term, Transformer},
    document::{self, Change, Example, Exception, Items, Text, did_you_mean},
    field::{self, Argument, Field, Source, Type},
    output::Template,
    problem::{Level, Position, Problems, locate},
    test::Test,
    yaml,
};

/// Bytes of a rule file.
const MAX_FILE: usize = 4 << 20;
/// Rules, macros and lists, each.
const MAX_ITEMS: usize = 20_000;
/// Values of a list with those of the lists in it.
const MAX_LIST: usize = 100_000;
/// How deep a condition is nested with the macros in it.
const MAX_DEPTH: usize = 256;
/// Values that all comparisons have together.
const MAX_COMPARED: usize = 1_000_000;
/// Comparisons by patterns in all conditions, which take the most memory.
const MAX_PATTERNS: usize = 1_000;
/// Those of them that take much of it.
const MAX_LARGE_PATTERNS: usize = 64;
/// How many times it is said what may have been meant: to find it takes time.
const MAX_NEAR: usize = 100;

/// A rule file.
#[derive(Debug, Clone)]
pub struct File {
    /// Its name, for messages.
    pub name: Arc<str>,
    /// What it says.
    pub text: Arc<str>,
}

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
    pub(super) checks: Vec<CheckDef>,
}

/// Reads all files.
pub(super) fn define(files: &[File], schemas: &[Arc<EventSchema>], problems: &mut Problems) -> Definitions {
    let mut items = Items::default();
    for (number, file) in files.iter().enumerate() {
        let start = Position { line: 1, column: 1, byte: 0 };
        if file.text.len() > MAX_FILE {
            let text = format!("the file has {} bytes, at most {MAX_FILE} are read", file.text.len());
            problems.add(Level::Error, &file.name, start, text);
            continue;
        }
        match yaml::read(&file.text) {
            Ok(nodes) => document::read(number, file, &nodes, &mut items, problems),
            Err((at, text)) => problems.add(Level::Error, &file.name, at, format!("not YAML: {text}")),
        }
    }
    let mut definer = Definer::new(files, schemas, problems);
    definer.lists(items.lists);
    definer.macros(items.macros);
    definer.rules(items.rules);
    definer.warn_of_unused();
    definer.done
}

/// A condition in pieces, since `append` adds to it.
#[derive(Debug, Clone)]
struct Condition(Vec<Text>);

impl Condition {
    fn joined(&self) -> String {
        self.0.iter().map(|t| t.text.as_str()).collect::<Vec<_>>().join(" ")
    }
}

/// A condition with its pieces joined.
#[derive(Clone, Copy)]
struct Written<'c> {
    pieces: &'c [Text],
    text: &'c str,
}

struct ListDef {
    name: Text,
    items: Vec<(Literal, usize, Position)>,
    used: bool,
}

struct MacroDef {
    name: Text,
    condition: Condition,
    state: MacroState,
    used: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum MacroState {
    New,
    Open,
    Done { at: usize, depth: usize },
    Wrong,
}

struct Definer<'a> {
    files: &'a [File],
    problems: &'a mut Problems,
    lists: BTreeMap<String, ListDef>,
    macros: BTreeMap<String, MacroDef>,
    /// The macros that are being looked up, for cycles.
    open: Vec<String>,
    /// How deep the conditions are nested that wait for them.
    around: usize,
    vocabulary: BTreeMap<String, Type>,
    arguments: BTreeSet<String>,
    types: BTreeSet<String>,
    terms: HashMap<TermDef, usize>,
    tests: HashMap<(Op, Type, Vec<String>), Option<usize>>,
    patterns: usize,
    large_patterns: usize,
    compared: usize,
    nears: Cell<usize>,
    /// Lists read for one comparison: lists of lists can be many without a value.
    lists_read: usize,
    /// What the rule at hand has no counterpart for.
    unmapped: Vec<String>,
    done: Definitions,
}

impl<'a> Definer<'a> {
    fn new(files: &'a [File], schemas: &[Arc<EventSchema>], problems: &'a mut Problems) -> Self {
        let specs = || schemas.iter().filter_map(|s| s.rules.as_ref());
        let arguments = specs().flat_map(|r| r.fields.keys().chain(r.constants.keys()));
        let from_fields = schemas.iter().filter_map(|s| {
            let field = s.field(s.rules.as_ref()?.type_from.as_deref()?)?;
            Some(field.names.iter().map(|(_, name)| name.clone()))
        });
        let types = specs().flat_map(|r| r.types.iter().cloned()).chain(from_fields.flatten());
        let fields = schemas.iter().flat_map(|s| &s.fields).filter(|f| !f.name.starts_with('_'));
        Self {
            files,
            problems,
            lists: BTreeMap::new(),
            macros: BTreeMap::new(),
            open: Vec::new(),
            around: 0,
            vocabulary: fields.map(|f| (f.name.clone(), type_of(f.kind))).collect(),
            arguments: arguments.filter(|a| a.starts_with("evt.arg.")).cloned().collect(),
            types: types.collect(),
            terms: HashMap::new(),
            tests: HashMap::new(),
            patterns: 0,
            large_patterns: 0,
            compared: 0,
            nears: Cell::new(0),
            lists_read: 0,
            unmapped: Vec::new(),
            done: Definitions::default(),
        }
    }

    fn add(&mut self, level: Level, file: usize, at: Position, text: impl Into<String>) {
        if let Some(file) = self.files.get(file) {
            self.problems.add(level, &file.name, at, text);
        }
    }

    /// What may have been meant.
    fn near<N: AsRef<str>>(&self, wanted: &str, names: impl IntoIterator<Item = N>) -> String {
        let before = self.nears.replace(self.nears.get() + 1);
        if before < MAX_NEAR { did_you_mean(wanted, names) } else { String::new() }
    }

    /// Says what is wrong at a byte of a condition. What is wrong in a translation cannot be had here.
    fn wrong(&mut self, level: Level, condition: Written<'_>, mut at: usize, text: impl Into<String>) {
        let mut pieces = condition.pieces.iter().peekable();
        while let Some(piece) = pieces.next() {
            if at > piece.text.len() && pieces.peek().is_some() {
                at -= piece.text.len() + 1;
                continue;
            }
            let Some(file) = self.files.get(piece.file) else { return };
            let text = text.into();
            if piece.is_translated {
                let said = if level == Level::Error { format!("the rule cannot fire: {text}") } else { text.clone() };
                self.problems.add(Level::Warning, &file.name, piece.at, said);
                if level == Level::Error && !self.unmapped.contains(&text) {
                    self.unmapped.push(text);
                }
                return;
            }
            // To find the place takes time, and those that are left out need none.
            let place = if self.problems.is_full() { piece.at } else { locate(&file.text, piece.at, &piece.text, at) };
            self.problems.add(level, &file.name, place, text);
            return;
        }
    }

    fn lists(&mut self, lists: Vec<document::List>) {
        for list in lists {
            let items = list.items.into_iter().map(|(literal, at)| (literal, list.name.file, at));
            match (self.lists.get_mut(&list.name.text), list.change) {
                (Some(known), Change::Append) => known.items.extend(items),
                (None, Change::Append) => {
                    let near = self.near(&list.name.text, self.lists.keys());
                    let text = format!("there is no list '{}' to append to{near}", list.name.text);
                    self.add(Level::Error, list.name.file, list.name.at, text);
                }
                _ => {
                    if self.is_full(self.lists.len(), "lists", &list.name) {
                        return;
                    }
                    let name = list.name.text.clone();
                    self.lists.insert(name, ListDef { items: items.collect(), name: list.name, used: false });
                }
            }
        }
    }

    fn is_full(&mut self, there_are: usize, what: &str, next: &Text) -> bool {
        let full = there_are >= MAX_ITEMS;
        if full {
            self.add(Level::Error, next.file, next.at, format!("more than {MAX_ITEMS} {what}"));
        }
        full
    }

    fn macros(&mut self, macros: Vec<document::Macro>) {
        for item in macros {
            match (self.macros.get_mut(&item.name.text), item.change) {
                (Some(known), Change::Append) => known.condition.0.push(item.condition),
                (None, Change::Append) => {
                    let near = self.near(&item.name.text, self.macros.keys());
                    let text = format!("there is no macro '{}' to append to{near}", item.name.text);
                    self.add(Level::Error, item.name.file, item.name.at, text);
                }
                _ => {
                    if self.is_full(self.macros.len(), "macros", &item.name) {
                        return;
                    }
                    let condition = Condition(vec![item.condition]);
                    let name = item.name.text.clone();
                    let def = MacroDef { name: item.name, condition, state: MacroState::New, used: false };
                    self.macros.insert(name, def);
                }
            }
        }
        let names: Vec<String> = self.macros.keys().cloned().collect();
        for name in names {
            self.macro_at(&name);
        }
    }

    /// The place of a macro and how deep it is, where there is such a macro and nothing is wrong with it.
    fn macro_at(&mut self, name: &str) -> Option<(usize, usize)> {
        let known = self.macros.get_mut(name)?;
        match known.state {
            MacroState::Done { at, depth } => return Some((at, depth)),
            MacroState::Wrong => return None,
            MacroState::New => known.state = MacroState::Open,
            MacroState::Open => {
                let (file, at) = (known.name.file, known.name.at);
                let way = self.open.iter().skip_while(|n| *n != name).cloned().collect::<Vec<_>>().join(" → ");
                self.add(Level::Error, file, at, format!("a macro that needs itself: {way} → {name}"));
                return None;
            }
        }
        let condition = known.condition.clone();
        self.open.push(name.to_owned());
        let prepared = self.condition(&condition);
        self.open.pop();
        let state = match prepared {
            Some((prepared, depth)) => {
                let at = self.done.macros.len();
                self.done.macros.push((name.into(), prepared));
                MacroState::Done { at, depth }
            }
            None => MacroState::Wrong,
        };
        self.macros.get_mut(name)?.state = state;
        match state {
            MacroState::Done { at, depth } => Some((at, depth)),
            _ => None,
        }
    }

    fn condition(&mut self, condition: &Condition) -> Option<(Prepared, usize)> {
        let text = condition.joined();
        let written = Written { pieces: &condition.0, text: &text };
        match condition::parse(&text) {
            Ok(expr) => Some(self.expr(&expr, written, 0)),
            Err(wrong) => {
                self.wrong(Level::Error, written, wrong.at, wrong.text);
                None
            }
        }
    }

    /// Makes an expression ready, and tells how deep it is.
    fn expr(&mut self, expr: &Expr, of: Written<'_>, depth: usize) -> (Prepared, usize) {
        let mut deepest = depth;
        let mut all = |this: &mut Self, inside: &[Expr]| -> Vec<Prepared> {
            let mut out = Vec::with_capacity(inside.len());
            for expr in inside {
                let (prepared, depth) = this.expr(expr, of, depth + 1);
                deepest = deepest.max(depth);
                out.push(prepared);
            }
            out
        };
        let prepared = match expr {
            Expr::And(inside) => Prepared::And(all(self, inside)),
            Expr::Or(inside) => Prepared::Or(all(self, inside)),
            Expr::Not(inside) => match all(self, std::slice::from_ref(inside)).pop() {
                Some(inside) => Prepared::Not(Box::new(inside)),
                None => Prepared::Never,
            },
            Expr::Check(check) => self.check(check, of).map_or(Prepared::Never, Prepared::Check),
            Expr::Macro(name, at) => match self.macro_within(name, depth) {
                Ok((place, below)) => {
                    deepest = depth + below + 1;
                    Prepared::Macro(place)
                }
                Err(wrong) => {
                    if let Some(text) = wrong {
                        self.wrong(Level::Error, of, *at, text);
                    }
                    Prepared::Never
                }
            },
        };
        (prepared, deepest)
    }

    /// The place of a macro that stands so deep in a condition, and how deep it is itself. What is wrong with it, where
    /// that is not yet said.
    fn macro_within(&mut self, name: &str, depth: usize) -> Result<(usize, usize), Option<String>> {
        let too_deep = || Some(format!("with the macros in it, the condition is nested deeper than {MAX_DEPTH}"));
        let Some(known) = self.macros.get_mut(name) else {
            let near = self.near(name, self.macros.keys());
            return Err(Some(format!("there is no macro '{name}'{near}")));
        };
        known.used = true;
        // Found out before it is looked up: that takes room on the stack.
        if known.state == MacroState::New && self.around + depth >= MAX_DEPTH {
            return Err(too_deep());
        }
        self.around += depth + 1;
        let found = self.macro_at(name);
        self.around -= depth + 1;
        match found {
            Some((_, below)) if depth + below >= MAX_DEPTH => Err(too_deep()),
            Some(found) => Ok(found),
            None if self.macros.get(name).is_some_and(|m| m.state == MacroState::Wrong) => {
                Err(Some(format!("the macro '{name}' has an error")))
            }
            None => Err(None),
        }
    }

    fn check(&mut self, check: &Check, of: Written<'_>) -> Option<usize> {
        let (term, kind) = self.term(&check.left, of)?;
        if let Some(What::Argument(name)) = self.done.terms.get(term).map(|t| t.what.clone())
            && !self.arguments.contains(&name)
        {
            let near = self.near(&name, &self.arguments);
            self.wrong(Level::Warning, of, check.at, format!("no event here has '{name}'{near}"));
        }
        let text: Box<str> = shortened(of.text.get(check.at..check.end).unwrap_or_default()).into();
        let negated = check.op == Op::NotEqual;
        let mut values = Vec::new();
        let with = match &check.right {
            Operand::Term(other) => {
                let (other, other_kind) = self.term(other, of)?;
                if kind != other_kind && kind != Type::Any && other_kind != Type::Any {
                    let text = format!("this compares {} with {}", kind.name(), other_kind.name());
                    self.wrong(Level::Error, of, check.at, text);
                    return None;
                }
                With::Term(if negated { Op::Equal } else { check.op }, other)
            }
            right => {
                let literals = self.literals(right, check.op, of)?;
                let literals: Vec<&Literal> = literals.iter().collect();
                values.extend(literals.iter().take(64).map(|l| Box::from(l.text.as_str())));
                if matches!(self.done.terms.get(term).map(|t| &t.what), Some(What::Falco(Known(f))) if f.source == Source::Event(field::EventPart::Type))
                {
                    self.warn_of_types(&literals, of, check);
                }
                With::Test(self.test(check, kind, &literals, of)?)
            }
        };
        self.done.checks.push(CheckDef { term, with, negated, text, values: values.into() });
        Some(self.done.checks.len() - 1)
    }

    /// A type of event that nobody sees is a slip, or cannot be seen here.
    fn warn_of_types(&mut self, literals: &[&Literal], of: Written<'_>, check: &Check) {
        if !matches!(check.op, Op::Equal | Op::NotEqual | Op::In) {
            return;
        }
        for literal in literals.iter().filter(|l| !self.types.contains(&l.text)).collect::<Vec<_>>() {
            // Only what looks like a slip: many calls are simply not seen.
            let near = if is_call(&literal.text) { String::new() } else { self.near(&literal.text, &self.types) };
            if !near.is_empty() {
                let text = format!("no event here has the type '{}'{near}", literal.text);
                self.wrong(Level::Warning, of, literal.at.max(check.at), text);
            }
        }
    }

    fn test(&mut self, check: &Check, kind: Type, literals: &[&Literal], of: Written<'_>) -> Option<usize> {
        let op = if check.op == Op::NotEqual { Op::Equal } else { check.op };
        let key = (op, kind, literals.iter().map(|l| l.text.clone()).collect());
        if let Some(known) = self.tests.get(&key) {
            return *known;
        }
        if matches!(op, Op::Glob | Op::IGlob | Op::Regex) {
            self.patterns += 1;
            if self.large_patterns > MAX_LARGE_PATTERNS {
                return None;
            }
            if self.patterns > MAX_PATTERNS {
                self.wrong(Level::Error, of, check.at, format!("more than {MAX_PATTERNS} patterns in all rules"));
                return None;
            }
        }
        let made = match Test::new(op, kind, literals) {
            Ok(test) => {
                self.large_patterns += usize::from(matches!(test, Test::Pattern { is_large: true, .. }));
                if self.large_patterns > MAX_LARGE_PATTERNS {
                    let text = format!("more than {MAX_LARGE_PATTERNS} patterns that are large when compiled");
                    self.wrong(Level::Error, of, check.at, text);
                    return None;
                }
                self.done.tests.push(Arc::new(test));
                Some(self.done.tests.len() - 1)
            }
            Err((place, text)) => {
                let at = literals.get(place).map_or(check.at, |l| l.at.max(check.at));
                self.wrong(Level::Error, of, at, format!("{}: {text}", check.left.field));
                None
            }
        };
        self.tests.insert(key, made);
        made
    }

    /// The values of an operand, those of lists in their place.
    fn literals(&mut self, right: &Operand, op: Op, of: Written<'_>) -> Option<Vec<Literal>> {
        let Operand::Values(values) = right else { return Some(Vec::new()) };
        if self.compared > MAX_COMPARED {
            return None;
        }
        let mut out = Vec::new();
        self.lists_read = 0;
        for value in values {
            if value.is_quoted || !self.lists.contains_key(&value.text) {
                out.push(value.clone());
                continue;
            }
            if !matches!(op, Op::In | Op::Intersects | Op::PathMatch) {
                out.push(value.clone());
                continue;
            }
            if let Err(text) = self.expand(&value.text, value.at, &mut Vec::new(), &mut out) {
                self.wrong(Level::Error, of, value.at, text);
                return None;
            }
        }
        self.compared += out.len();
        if self.compared > MAX_COMPARED {
            let text = format!("more than {MAX_COMPARED} values in all comparisons: compare with a list in one macro");
            self.wrong(Level::Error, of, check_at(values), text);
            return None;
        }
        Some(out)
    }

    fn expand(&mut self, name: &str, at: usize, way: &mut Vec<String>, out: &mut Vec<Literal>) -> Result<(), String> {
        if way.iter().any(|n| n == name) {
            return Err(format!("a list that holds itself: {} → {name}", way.join(" → ")));
        }
        if way.len() >= MAX_DEPTH {
            return Err(format!("lists in lists, deeper than {MAX_DEPTH}"));
        }
        let Some(list) = self.lists.get_mut(name) else { return Ok(()) };
        list.used = true;
        let items = list.items.clone();
        self.lists_read += 1;
        way.push(name.to_owned());
        for (item, ..) in items {
            if out.len() + self.lists_read >= MAX_LIST {
                return Err(format!("the list '{name}' has more than {MAX_LIST} values with those of the lists in it"));
            }
            if !item.is_quoted && self.lists.contains_key(&item.text) {
                self.expand(&item.text, at, way, out)?;
            } else {
                out.push(Literal { at, ..item });
            }
        }
        way.pop();
        Ok(())
    }

    fn term(&mut self, term: &Term, of: Written<'_>) -> Option<(usize, Type)> {
        match self.term_def(term) {
            Ok((def, kind)) => Some((self.intern(def), kind)),
            Err(text) => {
                self.wrong(Level::Error, of, term.at, text);
                None
            }
        }
    }

    fn intern(&mut self, def: TermDef) -> usize {
        if let Some(known) = self.terms.get(&def) {
            return *known;
        }
        self.done.terms.push(def.clone());
        self.terms.insert(def, self.done.terms.len() - 1);
        self.done.terms.len() - 1
    }

    /// Which field a term names, and what its values are.
    fn term_def(&self, term: &Term) -> Result<(TermDef, Type), String> {
        let transformers = term.transformers.clone();
        let (what, argument, kind) = self.field(&term.field, term.argument.as_deref())?;
        let kind = match transformers.last() {
            None => kind,
            Some(Transformer::Length) => Type::Number,
            Some(_) if matches!(kind, Type::Text | Type::Texts | Type::Any) => kind,
            Some(_) => return Err(format!("{} is {}, which no transformer changes", term.field, kind.name())),
        };
        Ok((TermDef { what, argument, transformers }, kind))
    }

    fn field(&self, name: &str, argument: Option<&str>) -> Result<(What, Option<String>, Type), String> {
        let as_argument = |name: &str| (What::Argument(format!("evt.arg.{name}")), None, Type::Any);
        if let Some(name) = name.strip_prefix("evt.arg.").or_else(|| name.strip_prefix("evt.rawarg.")) {
            return Ok(as_argument(name));
        }
        if let (true, Some(name)) = (matches!(name, "evt.arg" | "evt.rawarg"), argument) {
            return Ok(as_argument(name));
        }
        if let Some(known) = field::find(name) {
            match (known.argument, argument) {
                (Argument::None, Some(_)) => return Err(format!("{name} takes no argument")),
                (Argument::Needed, None) => return Err(format!("{name} needs an argument: {name}[...]")),
                _ => {}
            }
            // Of the ancestors one is a single text.
            let kind = match (known.kind, argument) {
                (Type::Texts, Some(n)) if n.parse::<u8>().is_err() => {
                    return Err(format!("the argument of {name} counts ancestors: {name}[2]"));
                }
                (Type::Texts, Some(_)) => Type::Text,
                (kind, _) => kind,
            };
            return Ok((What::Falco(Known(known)), argument.map(str::to_owned), kind));
        }
        if let Some(kind) = self.vocabulary.get(name) {
            return Ok((What::Vocabulary(name.to_owned()), None, *kind));
        }
        let falco = field::FIELDS.iter().map(|f| f.name);
        let near = self.near(name, falco.chain(self.vocabulary.keys().map(String::as_str)));
        Err(format!("there is no field '{name}'{near}"))
    }

    fn rules(&mut self, rules: Vec<document::Rule>) {
        let mut order: Vec<String> = Vec::new();
        let mut merged: HashMap<String, Merged> = HashMap::new();
        for rule in rules {
            if self.is_full(merged.len(), "rules", &rule.name) {
                return;
            }
            let name = rule.name.text.clone();
            match merged.get_mut(&name) {
                Some(known) if rule.is_change => known.change(rule),
                None if rule.is_change => {
                    let near = self.near(&name, order.iter());
                    let text = format!("there is no rule '{name}' to change{near}");
                    self.add(Level::Error, rule.name.file, rule.name.at, text);
                }
                known => {
                    if known.is_none() {
                        order.push(name.clone());
                    }
                    merged.insert(name, Merged::new(rule));
                }
            }
        }
        for name in order {
            if let Some(rule) = merged.remove(&name) {
                self.rule(rule);
            }
        }
    }

    fn rule(&mut self, rule: Merged) {
        let before = self.problems.errors;
        self.unmapped = rule.unmapped;
        let condition = match self.unmapped.is_empty() {
            true => self.condition(&rule.condition).map_or(Prepared::Never, |(condition, _)| condition),
            false => Prepared::Never,
        };
        let exceptions: Vec<Prepared> =
            rule.exceptions.iter().filter_map(|exception| self.exception(exception)).collect();
        let condition = match exceptions.is_empty() {
            true => condition,
            false => Prepared::And(vec![condition, Prepared::Not(Box::new(Prepared::Or(exceptions)))]),
        };
        let text = rule.output.joined();
        let output = Template::parse(&text, |term| match self.term_def(term) {
            Ok((def, _)) => Some(self.intern(def)),
            Err(problem) => {
                let at = text.find(&format!("%{}", term.field)).unwrap_or(0);
                self.wrong(Level::Error, Written { pieces: &rule.output.0, text: &text }, at, problem);
                None
            }
        });
        let unmapped = std::mem::take(&mut self.unmapped);
        let condition = if unmapped.is_empty() { condition } else { Prepared::Never };
        self.done.rules.push(RuleDef {
            name: rule.name.text.as_str().into(),
            condition,
            output,
            desc: rule.desc,
            priority: rule.priority,
            tags: rule.tags,
            enabled: rule.enabled,
            source: rule.source,
            next: rule.next,
            examples: rule.examples,
            file: self.files.get(rule.name.file).map(|f| Arc::clone(&f.name)).unwrap_or_default(),
            line: rule.name.at.line,
            is_wrong: self.problems.errors > before,
            unmapped,
        });
    }

    /// An exception as a condition. None where it has no values yet.
    fn exception(&mut self, exception: &Exception) -> Option<Prepared> {
        let mut rows = Vec::new();
        for row in &exception.values {
            let mut cells = Vec::new();
            for (place, values) in row.iter().enumerate() {
                let name = exception.fields.get(place)?;
                let default = if values.len() == 1 && row.len() > 1 { "=" } else { "in" };
                let comp = exception.comps.get(place).map_or(default, String::as_str);
                let wrong = |this: &mut Self, text: String| {
                    this.add(
                        Level::Error,
                        exception.file,
                        exception.at,
                        format!("exception '{}': {text}", exception.name),
                    );
                };
                let Some(op) = Op::of(comp) else {
                    wrong(self, format!("'{comp}' is no operator"));
                    return None;
                };
                let Some((left, _)) = condition::field(name) else {
                    wrong(self, format!("'{name}' is no field"));
                    return None;
                };
                let at = Text { file: exception.file, at: exception.at, text: String::new(), is_translated: false };
                let check = Check { left, op, right: Operand::Values(values.clone()), at: 0, end: 0 };
                let nowhere = Written { pieces: &[at], text: "" };
                cells.push(self.check(&check, nowhere).map_or(Prepared::Never, Prepared::Check));
            }
            rows.push(Prepared::And(cells));
        }
        if exception.fields.is_empty() && !exception.values.is_empty() {
            let text = format!("the exception '{}' has values, but no fields", exception.name);
            self.add(Level::Error, exception.file, exception.at, text);
        }
        (!rows.is_empty()).then_some(Prepared::Or(rows))
    }

    fn warn_of_unused(&mut self) {
        let lists = self.lists.values().filter(|l| !l.used).map(|l| ("list", l.name.clone()));
        let macros = self.macros.values().filter(|m| !m.used).map(|m| ("macro", m.name.clone()));
        let unused: Vec<_> = lists.chain(macros).collect();
        for (what, name) in unused {
            self.add(Level::Warning, name.file, name.at, format!("the {what} '{}' is not used", name.text));
        }
    }
}

/// A rule with all that was said of it.
struct Merged {
    name: Text,
    condition: Condition,
    output: Condition,
    desc: String,
    priority: Priority,
    tags: Vec<String>,
    exceptions: Vec<Exception>,
    enabled: bool,
    source: String,
    next: Option<String>,
    examples: Vec<Example>,
    unmapped: Vec<String>,
}

impl Merged {
    fn new(rule: document::Rule) -> Self {
        Self {
            condition: Condition(rule.condition.map(|(pieces, _)| pieces).unwrap_or_default()),
            output: Condition(rule.output.into_iter().map(|(text, _)| text).collect()),
            desc: rule.desc.map(|(desc, _)| desc.trim().to_owned()).unwrap_or_default(),
            priority: rule.priority.unwrap_or(Priority::Debug),
            tags: rule.tags.map(|(tags, _)| tags).unwrap_or_default(),
            exceptions: rule.exceptions.map(|(all, _)| all).unwrap_or_default(),
            enabled: rule.enabled.unwrap_or(true),
            source: rule.source.unwrap_or_else(|| "syscall".into()),
            next: rule.next,
            examples: rule.examples,
            unmapped: rule.unmapped,
            name: rule.name,
        }
    }

    fn change(&mut self, rule: document::Rule) {
        let text = |known: &mut Condition, change: Option<(Vec<Text>, Change)>| match change {
            Some((pieces, Change::Append)) => known.0.extend(pieces),
            Some((pieces, Change::Replace)) => *known = Condition(pieces),
            None => {}
        };
        if matches!(rule.condition, Some((_, Change::Replace))) {
            self.unmapped.clear();
        }
        text(&mut self.condition, rule.condition);
        text(&mut self.output, rule.output.map(|(text, change)| (vec![text], change)));
        match rule.desc {
            Some((desc, Change::Append)) => self.desc = format!("{} {}", self.desc, desc.trim()),
            Some((desc, Change::Replace)) => self.desc = desc.trim().to_owned(),
            None => {}
        }
        match rule.tags {
            Some((tags, Change::Append)) => self.tags.extend(tags),
            Some((tags, Change::Replace)) => self.tags = tags,
            None => {}
        }
        match rule.exceptions {
            Some((all, Change::Replace)) => self.exceptions = all,
            Some((all, Change::Append)) => {
                for new in all {
                    match self.exceptions.iter_mut().find(|known| known.name == new.name) {
                        Some(known) => {
                            if known.fields.is_empty() {
                                (known.fields, known.comps) = (new.fields, new.comps);
                            }
                            known.values.extend(new.values);
                        }
                        None => self.exceptions.push(new),
                    }
                }
            }
            None => {}
        }
        self.priority = rule.priority.unwrap_or(self.priority);
        self.enabled = rule.enabled.unwrap_or(self.enabled);
        self.next = rule.next.or(self.next.take());
        self.examples.extend(rule.examples);
    }
}

fn type_of(kind: ethogram_model::FieldKind) -> Type {
    use ethogram_model::FieldKind as Kind;
    match kind {
        Kind::Unsigned | Kind::Signed | Kind::Duration | Kind::Id => Type::Number,
        Kind::Bool => Type::Bool,
        Kind::Ip => Type::Ip,
        Kind::Args | Kind::Names => Type::Texts,
        _ => Type::Any,
    }
}

/// Whether it looks like a system call that exists though no tracker sees it.
fn is_call(name: &str) -> bool {
    const UNSEEN: [&str; 14] = [
        "read", "write", "recvfrom", "recvmsg", "close", "fcntl", "ioctl", "splice", "sendfile", "mmap2", "poll",
        "recvmmsg", "sendmmsg", "setpgid",
    ];
    UNSEEN.contains(&name)
}

fn check_at(values: &[Literal]) -> usize {
    values.first().map_or(0, |literal| literal.at)
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 100;
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &one_line[..end]),
        None => one_line,
    }
}
