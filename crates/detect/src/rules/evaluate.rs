//! Which rules hold for an event.

use ethogram_model::Event;

use super::{
    compile::{
        Compared, Node, Predicate, Program, Slot,
        patterns::{is_set, set},
    },
    condition::Op,
    facts::Facts,
    value::Value,
};

/// What is kept between events for its memory.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    memo: Vec<u8>,
    places: Vec<Place>,
    values: Vec<Value<'static>>,
    found: Vec<u64>,
}

/// What is known of a slot.
#[derive(Debug, Default, Clone, Copy)]
struct Place {
    /// The place of its value among those read, from one.
    value: u16,
    /// Whether its patterns were looked for.
    looked: bool,
}

const UNKNOWN: u8 = 0;
const NO: u8 = 1;
const YES: u8 = 2;
/// It cannot be decided without more of the event.
const MAYBE: u8 = 3;

/// An event under test.
pub(super) struct Case<'e> {
    program: &'e Program,
    event: &'e Event,
    facts: &'e Facts,
    memo: Vec<u8>,
    /// Of each slot.
    places: Vec<Place>,
    values: Vec<Value<'e>>,
    /// Of slots whose patterns were looked for, those that were found.
    found: Vec<u64>,
    /// What of the event counts as known.
    known: Known,
}

/// What of an event counts as known: all, or only what others have in common with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    All,
    /// What is the same for all events about this object.
    OfObject,
    /// What is the same for all events of this habit.
    OfHabit,
    /// What is the same for all events of who did it.
    OfSubject,
}

impl<'e> Case<'e> {
    /// `decided` is what is known of the first nodes.
    pub(super) fn new(
        program: &'e Program,
        event: &'e Event,
        facts: &'e Facts,
        scratch: &mut Scratch,
        decided: &[u8],
    ) -> Self {
        let mut memo = std::mem::take(&mut scratch.memo);
        memo.clear();
        memo.extend_from_slice(decided);
        memo.resize(program.nodes.len(), UNKNOWN);
        let mut places = std::mem::take(&mut scratch.places);
        places.clear();
        places.resize(program.slots.len(), Place::default());
        // An empty vector keeps its memory when it is collected into one of another lifetime.
        let values = std::mem::take(&mut scratch.values).into_iter().map(|_| Value::Absent).collect();
        let mut found = std::mem::take(&mut scratch.found);
        found.resize(program.words, 0);
        Self { program, event, facts, memo, places, values, found, known: Known::All }
    }

    /// Gives the memory back.
    pub(super) fn end(mut self, scratch: &mut Scratch) {
        self.values.clear();
        scratch.memo = self.memo;
        scratch.places = self.places;
        scratch.values = self.values.into_iter().map(|_| Value::Absent).collect();
        scratch.found = self.found;
    }

    /// Copies what was decided of the first nodes.
    pub(super) fn copy_decided(&self, decided: &mut [u8]) {
        let known = self.memo.get(..decided.len()).unwrap_or_default();
        decided.get_mut(..known.len()).unwrap_or_default().copy_from_slice(known);
    }

    /// The rules that hold, each with its node, in their order. `open` are the steps that may hold, where that is known.
    pub(super) fn all_that_hold(&mut self, open: Option<&[u64]>) -> Vec<(usize, usize)> {
        let program = self.program;
        let mut holding = Vec::new();
        let mut at = 0;
        while let Some(step) = program.steps.get(at) {
            let may_hold = open.is_none_or(|open| is_set(open, at));
            at = match (may_hold && self.holds(step.node), step.rule) {
                (true, Some(rule)) => {
                    holding.push((rule, step.node));
                    at + 1
                }
                (true, None) => at + 1,
                (false, _) => step.otherwise,
            };
        }
        holding.sort_unstable();
        holding
    }

    /// Which steps may hold for any event of who did this one, a bit each.
    pub(super) fn open_for_subject(&mut self) -> Box<[u64]> {
        self.known = Known::OfSubject;
        let program = self.program;
        let mut open = vec![0; program.steps.len().div_ceil(64)];
        // Those that stand behind a step first: without any of them it need not be taken.
        for (at, step) in program.steps.iter().enumerate().rev() {
            let leads_on = step.rule.is_some() || (at + 1..step.otherwise).any(|next| is_set(&open, next));
            if leads_on && self.decide(step.node) != NO {
                set(&mut open, at);
            }
        }
        open.into()
    }

    /// Whether a node of the program holds.
    pub(super) fn holds(&mut self, node: usize) -> bool {
        self.decide(node) == YES
    }

    /// Whether any rule may hold for another event about the same object.
    pub(super) fn may_hold_for_object(&mut self) -> bool {
        self.may_hold(Known::OfObject)
    }

    /// Whether any rule may hold for another event of the same habit.
    pub(super) fn may_hold_for_habit(&mut self) -> bool {
        self.may_hold(Known::OfHabit)
    }

    fn may_hold(&mut self, known: Known) -> bool {
        self.known = known;
        let program = self.program;
        program.armed.iter().any(|(_, node)| self.decide(*node) != NO)
    }

    fn decide(&mut self, node: usize) -> u8 {
        let known = self.memo.get(node).copied().unwrap_or(NO);
        if known != UNKNOWN {
            return known;
        }
        let program = self.program;
        let decided = match program.nodes.get(node) {
            Some(Node::True) => YES,
            Some(Node::And(parts)) => self.all(parts, NO, YES),
            Some(Node::Or(parts)) => self.all(parts, YES, NO),
            Some(Node::Not(inside)) => match self.decide(*inside) {
                YES => NO,
                NO => YES,
                maybe => maybe,
            },
            Some(Node::Predicate(predicate)) => self.predicate(*predicate),
            Some(Node::False) | None => NO,
        };
        self.memo[node] = decided;
        decided
    }

    /// `decides` where one part does, `rest` where all parts are that.
    fn all(&mut self, parts: &[usize], decides: u8, rest: u8) -> u8 {
        let mut result = rest;
        for part in parts {
            match self.decide(*part) {
                part if part == decides => return decides,
                MAYBE => result = MAYBE,
                _ => {}
            }
        }
        result
    }

    /// Whether a comparison of the program holds.
    pub(super) fn compares(&mut self, predicate: usize) -> bool {
        self.predicate(predicate) == YES
    }

    fn predicate(&mut self, at: usize) -> u8 {
        let program = self.program;
        let Some(predicate) = program.predicates.get(at) else { return NO };
        let Some(slot) = program.slots.get(predicate.slot) else { return NO };
        let other = match &predicate.test {
            Compared::Slot(_, other) => program.slots.get(*other),
            _ => None,
        };
        if !(self.is_known(slot, predicate) && other.is_none_or(|other| self.is_known(other, predicate))) {
            return MAYBE;
        }
        let number = |field: &usize| {
            let field = self.event.schema.fields.get(*field)?;
            self.event.value(field).as_u64()
        };
        let before_masks = predicate.asked.as_ref().and_then(|asked| asked.answer(self.event));
        let holds = match &predicate.test {
            _ if before_masks.is_some() => before_masks.flatten(),
            Compared::Bits(field, bits) => number(field).map(|n| n & bits != 0),
            Compared::Named { field, numbers, known, test } => {
                number(field).map(|n| numbers.contains(&n) || (!known.contains(&n) && test.holds(&Value::number(n))))
            }
            Compared::Test(test) => {
                let value = self.value(predicate.slot);
                value.is_there().then(|| test.holds(value))
            }
            Compared::Pattern(bit) => self.pattern(predicate.slot, *bit),
            Compared::Expression { bit, test } => {
                let may_hold = self.pattern(predicate.slot, *bit);
                may_hold.map(|may_hold| may_hold && test.holds(self.value(predicate.slot)))
            }
            Compared::Slot(op, other) => {
                let (a, b) = (self.read(predicate.slot), self.read(*other));
                match (self.values.get(a), self.values.get(b)) {
                    (Some(a), Some(b)) if a.is_there() && b.is_there() => Some(compare(*op, a, b)),
                    _ => None,
                }
            }
        };
        match holds {
            Some(holds) if holds != predicate.negated => YES,
            _ => NO,
        }
    }

    /// Whether what a comparison asks of a slot is known.
    fn is_known(&self, slot: &Slot, predicate: &Predicate) -> bool {
        match self.known {
            Known::All => true,
            Known::OfObject => slot.is_of_object,
            Known::OfSubject => slot.is_lasting,
            Known::OfHabit => predicate.asks_for_host || slot.of_habit.is_same_in_habit_of(self.event),
        }
    }

    /// The value of a slot. It is read once.
    pub(super) fn value(&mut self, slot: usize) -> &Value<'e> {
        let place = self.read(slot);
        self.values.get(place).unwrap_or(&Value::Absent)
    }

    /// Reads a slot's value, and returns its place among those read.
    fn read(&mut self, slot: usize) -> usize {
        let (program, event, facts) = (self.program, self.event, self.facts);
        let known = self.places.get(slot).map_or(0, |place| place.value);
        if known != 0 {
            return usize::from(known) - 1;
        }
        let value = match program.slots.get(slot) {
            Some(slot) => {
                let value = match (slot.access.read_leaf(event), slot.whole) {
                    (Some(leaf), _) => leaf,
                    (None, Some(whole)) => slot.access.read_part(self.value(whole)),
                    (None, None) => slot.access.read(event, facts),
                };
                slot.transformers.iter().fold(value, |value, transformer| value.transformed(*transformer))
            }
            None => Value::Absent,
        };
        self.values.push(value);
        if let (Some(place), Ok(next)) = (self.places.get_mut(slot), u16::try_from(self.values.len())) {
            place.value = next;
        }
        self.values.len() - 1
    }

    /// Whether a pattern of a slot is found where it must be. None where there is no value.
    fn pattern(&mut self, slot: usize, bit: usize) -> Option<bool> {
        let at = self.read(slot);
        let value = self.values.get(at).filter(|value| value.is_there())?;
        let place = self.places.get_mut(slot)?;
        if !place.looked {
            place.looked = true;
            self.program.slots.get(slot)?.patterns.as_ref()?.find(value, &mut self.found);
        }
        Some(is_set(&self.found, bit))
    }

    /// The predicates that make a node hold, which does.
    pub(super) fn because(&mut self, node: usize, out: &mut Vec<usize>) {
        const MOST: usize = 32;
        if out.len() >= MOST {
            return;
        }
        let program = self.program;
        match program.nodes.get(node) {
            Some(Node::And(parts)) => parts.iter().for_each(|part| self.because(*part, out)),
            Some(Node::Or(parts)) => {
                if let Some(part) = parts.iter().find(|part| self.holds(**part)) {
                    self.because(*part, out);
                }
            }
            Some(Node::Predicate(predicate)) if !out.contains(predicate) => out.push(*predicate),
            // What is not so says little, and there is much of it.
            _ => {}
        }
    }
}

fn compare(op: Op, a: &Value<'_>, b: &Value<'_>) -> bool {
    if let (Value::Number(a), Value::Number(b)) = (a, b) {
        return match op {
            Op::Less => a < b,
            Op::LessOrEqual => a <= b,
            Op::Greater => a > b,
            Op::GreaterOrEqual => a >= b,
            _ => a == b,
        };
    }
    let texts = |value: &Value<'_>| match value {
        Value::Texts(all) => all.iter().map(|t| t.to_vec()).collect(),
        other => vec![other.to_text().into_owned()],
    };
    let (a, b) = (texts(a), texts(b));
    let any = |fits: &dyn Fn(&[u8], &[u8]) -> bool| a.iter().any(|a| b.iter().any(|b| fits(a, b)));
    match op {
        Op::Contains | Op::BContains => any(&|a, b| memchr::memmem::find(a, b).is_some()),
        Op::IContains => any(&|a, b| memchr::memmem::find(&a.to_ascii_lowercase(), &b.to_ascii_lowercase()).is_some()),
        Op::StartsWith | Op::BStartsWith => any(&|a, b| a.starts_with(b)),
        Op::EndsWith => any(&|a, b| a.ends_with(b)),
        Op::PathMatch => any(&|a, b| a.strip_prefix(b).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))),
        _ => any(&|a, b| a == b),
    }
}
