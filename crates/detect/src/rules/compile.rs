//! Conditions for one kind of event: whatever is the same in all events of the kind is decided here, each comparison
//! stands once however many rules have it, and the cheapest come first.

pub(super) mod patterns;
mod plan;

use std::sync::Arc;

use ethogram_model::{EventSchema, FieldKind, render::names};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    access::Access,
    asked::Asked,
    condition::{Op, Transformer},
    habit::{OfHabit, asks_for_host},
    prepared::{CheckDef, Definitions, Prepared, TermDef, What, With},
    read::MODES,
    test::Test,
    value::Value,
};
use patterns::Patterns;
use plan::{Step, plan, put_first};

/// The conditions of all rules for one kind of event.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) schema: Arc<EventSchema>,
    pub(super) nodes: Vec<Node>,
    pub(super) slots: Vec<Slot>,
    pub(super) predicates: Vec<Predicate>,
    /// Which rule holds where which node does, in the order of the rules.
    pub(super) armed: Vec<(usize, usize)>,
    /// The way through them.
    pub(super) steps: Vec<Step>,
    /// How many nodes depend only on who does it: the first of all.
    pub(super) lasting: usize,
    /// The user's place among the fields, who belongs to that.
    pub(super) user: Option<usize>,
    /// Words that what is found of patterns takes.
    pub(super) words: usize,
}

/// A part of a condition. Others are named by their places.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Node {
    True,
    False,
    And(Box<[usize]>),
    Or(Box<[usize]>),
    Not(usize),
    Predicate(usize),
}

/// A value that comparisons need, read once an event.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) access: Access,
    pub(super) transformers: Box<[Transformer]>,
    /// All patterns that are looked for in it.
    pub(super) patterns: Option<Patterns>,
    pub(super) is_of_object: bool,
    pub(super) of_habit: OfHabit,
    /// Whether it depends only on who does it.
    pub(super) is_lasting: bool,
    /// The slot of the path of which this is a part.
    pub(super) whole: Option<usize>,
}

/// A comparison.
#[derive(Debug)]
pub(super) struct Predicate {
    pub(super) slot: usize,
    pub(super) test: Compared,
    pub(super) negated: bool,
    /// Where it is written.
    pub(super) check: usize,
    /// Whether all that it asks is whether something happens on the host, and not in a container.
    pub(super) asks_for_host: bool,
    /// The same test of what may hold secrets, which was made before they were masked.
    pub(super) asked: Option<Box<Asked>>,
}

/// What is compared.
#[derive(Debug)]
pub(super) enum Compared {
    Test(Arc<Test>),
    /// One of the slot's patterns, by its bit of what is found.
    Pattern(usize),
    /// A regular expression, where the slot has what it requires, which has this bit.
    Expression {
        bit: usize,
        test: Arc<Test>,
    },
    /// Any of these bits of a field's number.
    Bits(usize, u64),
    /// A field's number is one of these; one without a name is compared as a text.
    Named {
        field: usize,
        numbers: FxHashSet<u64>,
        known: FxHashSet<u64>,
        test: Arc<Test>,
    },
    /// Another value.
    Slot(Op, usize),
}

impl Program {
    /// Compiles all rules of which `wanted` says so for events of a kind.
    pub(super) fn new(definitions: &Definitions, schema: &Arc<EventSchema>, wanted: impl Fn(usize) -> bool) -> Self {
        let mut compiler = Compiler::new(definitions, schema);
        let mut armed = Vec::new();
        for (place, rule) in definitions.rules.iter().enumerate() {
            if !wanted(place) {
                continue;
            }
            let node = compiler.fold(&rule.condition);
            if node != FALSE {
                armed.push((place, node));
            }
        }
        compiler.finish(armed)
    }
}

/// The place of what always holds.
pub(super) const TRUE: usize = 0;
const FALSE: usize = 1;

struct Compiler<'d> {
    definitions: &'d Definitions,
    schema: &'d Arc<EventSchema>,
    nodes: Vec<Node>,
    costs: Vec<u32>,
    /// Whether nodes depend only on who does it.
    lasting: Vec<bool>,
    known: FxHashMap<Node, usize>,
    macros: Vec<Option<usize>>,
    checks: FxHashMap<usize, usize>,
    slots: Vec<Slot>,
    slot_of: FxHashMap<(Access, Box<[Transformer]>), usize>,
    predicates: Vec<Predicate>,
    /// A comparison by its slot, test and sign.
    tested: FxHashMap<(usize, usize, bool), usize>,
    constants: FxHashMap<usize, Access>,
}

impl<'d> Compiler<'d> {
    fn new(definitions: &'d Definitions, schema: &'d Arc<EventSchema>) -> Self {
        Self {
            definitions,
            schema,
            nodes: vec![Node::True, Node::False],
            costs: vec![0, 0],
            lasting: vec![true, true],
            known: [(Node::True, TRUE), (Node::False, FALSE)].into_iter().collect(),
            macros: vec![None; definitions.macros.len()],
            checks: FxHashMap::default(),
            slots: Vec::new(),
            slot_of: FxHashMap::default(),
            predicates: Vec::new(),
            tested: FxHashMap::default(),
            constants: FxHashMap::default(),
        }
    }

    fn node(&mut self, node: Node, cost: u32) -> usize {
        if let Some(known) = self.known.get(&node) {
            return *known;
        }
        let lasting = match &node {
            Node::True | Node::False => true,
            Node::And(parts) | Node::Or(parts) => parts.iter().all(|part| self.lasting[*part]),
            Node::Not(inside) => self.lasting[*inside],
            Node::Predicate(at) => self.predicates.get(*at).is_some_and(|p| self.is_lasting(p)),
        };
        self.nodes.push(node.clone());
        self.costs.push(cost);
        self.lasting.push(lasting);
        self.known.insert(node, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    fn is_lasting(&self, predicate: &Predicate) -> bool {
        let is = |slot: usize| self.slots.get(slot).is_some_and(|s| s.is_lasting);
        is(predicate.slot) && !matches!(predicate.test, Compared::Slot(_, other) if !is(other))
    }

    fn fold(&mut self, expr: &Prepared) -> usize {
        match expr {
            Prepared::Never => FALSE,
            Prepared::And(inside) => self.many(inside, FALSE),
            Prepared::Or(inside) => self.many(inside, TRUE),
            Prepared::Not(inside) => match self.fold(inside) {
                TRUE => FALSE,
                FALSE => TRUE,
                inside => match &self.nodes[inside] {
                    Node::Not(again) => *again,
                    _ => self.node(Node::Not(inside), self.costs[inside]),
                },
            },
            Prepared::Macro(place) => {
                if let Some(done) = self.macros.get(*place).copied().flatten() {
                    return done;
                }
                let Some((_, condition)) = self.definitions.macros.get(*place) else { return FALSE };
                let node = self.fold(condition);
                self.macros[*place] = Some(node);
                node
            }
            Prepared::Check(place) => {
                if let Some(done) = self.checks.get(place) {
                    return *done;
                }
                let node = self.check(*place);
                self.checks.insert(*place, node);
                node
            }
        }
    }

    /// All, or any where `decides` is [`TRUE`]: one part that decides is enough.
    fn many(&mut self, inside: &[Prepared], decides: usize) -> usize {
        let rest = if decides == TRUE { FALSE } else { TRUE };
        let mut parts = Vec::with_capacity(inside.len());
        let mut seen = FxHashSet::default();
        for expr in inside {
            let node = self.fold(expr);
            if node == decides {
                return decides;
            }
            if node == rest || !seen.insert(node) {
                continue;
            }
            // What is nested in the same way stands beside the others.
            match (&self.nodes[node], decides) {
                (Node::And(inner), FALSE) | (Node::Or(inner), TRUE) => parts.extend(inner.iter().copied()),
                _ => parts.push(node),
            }
        }
        // What must not be is mostly not, and decides nothing: it comes last.
        let is_exclusion = |part: &usize| decides == FALSE && matches!(self.nodes[*part], Node::Not(_));
        parts.sort_by_key(|part| (is_exclusion(part), self.costs[*part], *part));
        parts.dedup();
        match parts.as_slice() {
            [] => rest,
            [only] => *only,
            _ => {
                let cost = parts.iter().map(|part| self.costs[*part]).fold(0, u32::saturating_add);
                let parts = parts.into_boxed_slice();
                self.node(if decides == FALSE { Node::And(parts) } else { Node::Or(parts) }, cost)
            }
        }
    }

    fn access(&mut self, term: usize) -> Access {
        if let Some(known) = self.constants.get(&term) {
            return known.clone();
        }
        let access = self.definitions.terms.get(term).map_or(Access::Absent, |term| access_of(self.schema, term));
        self.constants.insert(term, access.clone());
        access
    }

    fn check(&mut self, place: usize) -> usize {
        let Some(check) = self.definitions.checks.get(place) else { return FALSE };
        let access = self.access(check.term);
        if access == Access::Absent {
            return FALSE;
        }
        let transformers: Box<[Transformer]> =
            self.definitions.terms.get(check.term).map(|t| t.transformers.as_slice().into()).unwrap_or_default();
        let test = match check.with {
            With::Test(test) => test,
            With::Term(op, other) => return self.compare(place, check, access, transformers, op, other),
        };
        let Some(shared) = self.definitions.tests.get(test).cloned() else { return FALSE };
        if transformers.is_empty()
            && let Some(known) = decided(&access, &shared)
        {
            return if known != check.negated { TRUE } else { FALSE };
        }
        let cost = self.cost(&access, shared.cost());
        let asks_for_host = transformers.is_empty() && asks_for_host(&access, &shared);
        let key = self.definitions.test_keys.get(test).map_or("", |key| key);
        let asked = Asked::new(&access, &transformers, &shared, key, self.schema);
        let slot = self.slot(access.clone(), transformers.clone());
        if let Some(done) = self.tested.get(&(slot, test, check.negated)) {
            return *done;
        }
        let compared = match &access {
            Access::Field(at) if transformers.is_empty() => match self.by_number(*at, &shared) {
                Some(Compared::Bits(_, 0)) => return self.remember(slot, test, check.negated, FALSE),
                // Nothing that has a name fits, and what has none is a number.
                Some(Compared::Named { numbers, .. }) if numbers.is_empty() && !shared.takes_numbers() => {
                    if !check.negated {
                        return self.remember(slot, test, false, FALSE);
                    }
                    Compared::Test(shared)
                }
                Some(by_number) => by_number,
                None => Compared::Test(shared),
            },
            _ => Compared::Test(shared),
        };
        let predicate = Predicate { slot, test: compared, negated: check.negated, check: place, asks_for_host, asked };
        let node = self.predicate(predicate, cost);
        self.remember(slot, test, check.negated, node)
    }

    fn remember(&mut self, slot: usize, test: usize, negated: bool, node: usize) -> usize {
        self.tested.insert((slot, test, negated), node);
        node
    }

    fn compare(
        &mut self,
        place: usize,
        check: &CheckDef,
        access: Access,
        transformers: Box<[Transformer]>,
        op: Op,
        other: usize,
    ) -> usize {
        let other_access = self.access(other);
        if other_access == Access::Absent {
            return FALSE;
        }
        let other_transformers: Box<[Transformer]> =
            self.definitions.terms.get(other).map(|t| t.transformers.as_slice().into()).unwrap_or_default();
        let cost = self.cost(&access, 2) + self.cost(&other_access, 2);
        let slot = self.slot(access, transformers);
        let other = self.slot(other_access, other_transformers);
        let test = Compared::Slot(op, other);
        let (negated, asks_for_host) = (check.negated, false);
        self.predicate(Predicate { slot, test, negated, check: place, asks_for_host, asked: None }, cost)
    }

    fn predicate(&mut self, predicate: Predicate, cost: u32) -> usize {
        self.predicates.push(predicate);
        self.node(Node::Predicate(self.predicates.len() - 1), cost)
    }

    /// How much a comparison takes, of others.
    fn cost(&self, access: &Access, test: u32) -> u32 {
        let cost = access.cost(self.schema) + test;
        // It was mostly decided before.
        if access.is_lasting() { cost / 4 } else { cost }
    }

    fn slot(&mut self, access: Access, transformers: Box<[Transformer]>) -> usize {
        let key = (access, transformers);
        if let Some(known) = self.slot_of.get(&key) {
            return *known;
        }
        let (access, transformers) = key.clone();
        let whole = match access {
            Access::Directory(path) | Access::FileName(path) => Some(self.slot(Access::Field(path), Box::default())),
            _ => None,
        };
        let (is_of_object, is_lasting) = (access.is_of_object(self.schema), access.is_lasting());
        let of_habit = OfHabit::of(&access, self.schema);
        self.slots.push(Slot { access, transformers, patterns: None, is_of_object, of_habit, is_lasting, whole });
        self.slot_of.insert(key, self.slots.len() - 1);
        self.slots.len() - 1
    }

    /// The same comparison by a field's number, where its numbers have names.
    fn by_number(&self, at: usize, test: &Arc<Test>) -> Option<Compared> {
        let field = self.schema.fields.get(at)?;
        let holds = |name: &str| test.holds(&Value::text(Some(name)));
        let bits =
            |all: &[(u64, &str)]| all.iter().filter(|(_, name)| holds(name)).fold(0, |bits, (bit, _)| bits | bit);
        let finds = matches!(**test, Test::Contains(_) | Test::ContainsAnyCase(_)) && !holds("") && !holds(" |");
        match field.kind {
            FieldKind::OpenFlags if finds && !["O_RDONLY", "O_WRONLY", "O_RDWR"].iter().any(|name| holds(name)) => {
                Some(Compared::Bits(at, bits(&names::OPEN_FLAGS)))
            }
            FieldKind::FileMode if finds && !holds("0123456789") => Some(Compared::Bits(at, bits(&MODES))),
            FieldKind::Flags if finds && !field.names.is_empty() => {
                let all: Vec<_> = field.names.iter().map(|(bit, name)| (*bit, name.as_str())).collect();
                Some(Compared::Bits(at, bits(&all)))
            }
            FieldKind::Name if !field.names.is_empty() => {
                let known = field.names.iter().map(|(n, _)| *n).collect();
                let numbers = field.names.iter().filter(|(_, name)| holds(name)).map(|(n, _)| *n).collect();
                Some(Compared::Named { field: at, numbers, known, test: Arc::clone(test) })
            }
            _ => None,
        }
    }

    fn finish(mut self, mut armed: Vec<(usize, usize)>) -> Program {
        let mut words = 0;
        for (place, slot) in self.slots.iter_mut().enumerate() {
            slot.patterns = Patterns::new(&mut self.predicates, place, &mut words);
        }
        let Self { mut nodes, mut costs, lasting, slots, predicates, .. } = self;
        put_first(&lasting, &mut nodes, &mut costs, &mut armed);
        let steps = plan(&nodes, &costs, &armed);
        let lasting = lasting.iter().filter(|lasting| **lasting).count();
        let user = self.schema.fields.iter().position(|f| f.name == "process.user.id");
        Program { schema: Arc::clone(self.schema), nodes, slots, predicates, armed, steps, lasting, user, words }
    }
}

/// The way to a term in events of a kind.
pub(super) fn access_of(schema: &EventSchema, term: &TermDef) -> Access {
    match &term.what {
        What::Falco(known) => Access::of(schema, known.0, term.argument.as_deref()),
        What::Argument(name) => Access::of_argument(schema, name),
        What::RawArgument(name) => Access::of_raw_argument(schema, name),
        What::Vocabulary(name) => Access::of_vocabulary(schema, name),
    }
}

/// What a test of a value gives that is the same in every event.
fn decided(access: &Access, test: &Test) -> Option<bool> {
    match access {
        _ if test.never_holds() => Some(false),
        Access::Constant(text) => Some(test.holds(&Value::text(Some(text)))),
        Access::ConstantBool(b) => Some(test.holds(&Value::Bool(*b))),
        Access::ConstantNumber(n) => Some(test.holds(&Value::Number(*n))),
        Access::IsServer(b) => Some(test.holds(&Value::Bool(*b))),
        Access::Types(types) => Some(types.iter().any(|t| test.holds(&Value::text(Some(t))))),
        // Events are counted from one.
        Access::Number => match test {
            Test::Numbers(set) if set.iter().all(|n| *n < 1) => Some(false),
            Test::Compare(..) if test.holds(&Value::Number(1)) && test.holds(&Value::Number(i64::MAX)) => Some(true),
            Test::Compare(..) if !test.holds(&Value::Number(1)) && !test.holds(&Value::Number(i64::MAX)) => Some(false),
            _ => None,
        },
        // Whatever happens, it happens somewhere.
        Access::Container(super::field::ContainerPart::Id, _) if matches!(test, Test::Exists) => Some(true),
        _ => None,
    }
}
