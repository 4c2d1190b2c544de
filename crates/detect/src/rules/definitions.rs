//! What all files together define: later items change earlier ones, lists and macros are looked up, types checked.

mod lists;
mod merge;
mod names;
mod terms;

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use ethogram_model::EventSchema;

use super::{
    condition::{self, Check, Expr, Literal, Op, Operand},
    document::{self, Change, Items, Text, did_you_mean},
    field::{self, Source, Type},
    file::File,
    prepared::{CheckDef, Definitions, Known, Prepared, TermDef, What, With},
    problem::{Level, Position, Problems, locate},
    test::Test,
    yaml,
};
use lists::ListDef;
use terms::type_of;

/// Bytes of a rule file.
const MAX_FILE: usize = 4 << 20;
/// Rules, macros and lists, each.
const MAX_ITEMS: usize = 20_000;
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

struct MacroDef {
    name: Text,
    condition: Condition,
    state: MacroState,
    used: bool,
    /// The fields that it asks for and that there are not.
    lacks: Vec<String>,
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
    /// What numbers of fields are called: among them are system calls, also those that have no event of their own.
    numbered: HashSet<&'a str>,
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
    /// Whether the rule at hand says that nothing need be said of such fields.
    skips_unknown: bool,
    done: Definitions,
}

impl<'a> Definer<'a> {
    fn new(files: &'a [File], schemas: &'a [Arc<EventSchema>], problems: &'a mut Problems) -> Self {
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
            numbered: schemas.iter().flat_map(|s| &s.fields).flat_map(|f| &f.names).map(|(_, n)| n.as_str()).collect(),
            terms: HashMap::new(),
            tests: HashMap::new(),
            patterns: 0,
            large_patterns: 0,
            compared: 0,
            nears: Cell::new(0),
            lists_read: 0,
            unmapped: Vec::new(),
            skips_unknown: false,
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
                    let state = MacroState::New;
                    let def = MacroDef { name: item.name, condition, state, used: false, lacks: Vec::new() };
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
        let outer = std::mem::take(&mut self.unmapped);
        let prepared = self.condition(&condition);
        let lacks = std::mem::replace(&mut self.unmapped, outer);
        self.open.pop();
        let state = match prepared {
            Some((prepared, depth)) => {
                let at = self.done.macros.len();
                self.done.macros.push((name.into(), prepared));
                MacroState::Done { at, depth }
            }
            None => MacroState::Wrong,
        };
        let known = self.macros.get_mut(name)?;
        (known.state, known.lacks) = (state, lacks);
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

    /// Makes an expression ready, and returns how deep it is.
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
                    self.lack_of_macro(name, of, *at);
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
        let Some((term, kind)) = self.term(&check.left, of) else {
            self.mark_lists_used(check);
            return None;
        };
        if let Some(What::Argument(name) | What::RawArgument(name)) = self.done.terms.get(term).map(|t| t.what.clone())
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
                self.warn_of_long_names(term, &literals, of, check);
                With::Test(self.test(check, kind, &literals, of)?)
            }
        };
        self.done.checks.push(CheckDef { term, with, negated, text, values: values.into() });
        Some(self.done.checks.len() - 1)
    }

    /// A type of event that no tracker reports is a slip, or cannot be seen here.
    fn warn_of_types(&mut self, literals: &[&Literal], of: Written<'_>, check: &Check) {
        if !matches!(check.op, Op::Equal | Op::NotEqual | Op::In) {
            return;
        }
        for literal in literals.iter().filter(|l| !self.types.contains(&l.text)).collect::<Vec<_>>() {
            // Only what looks like a slip: many calls are simply not seen.
            let is_number = self.numbered.contains(literal.text.as_str());
            let near = if is_number { String::new() } else { self.near(&literal.text, &self.types) };
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
                let values: Vec<&str> = literals.iter().map(|l| l.text.as_str()).collect();
                self.done.test_keys.push(format!("{} {} {values:?}", op.name(), kind.name()).into());
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

    fn warn_of_unused(&mut self) {
        let lists = self.lists.values().filter(|l| !l.used).map(|l| ("list", l.name.clone()));
        let macros = self.macros.values().filter(|m| !m.used).map(|m| ("macro", m.name.clone()));
        let unused: Vec<_> = lists.chain(macros).collect();
        for (what, name) in unused {
            self.add(Level::Warning, name.file, name.at, format!("the {what} '{}' is not used", name.text));
        }
    }
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 100;
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &one_line[..end]),
        None => one_line,
    }
}
