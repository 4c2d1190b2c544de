//! What an event must be like for any rule to hold, as far as the kernel can decide by one of its fields (a field filter).
//!
//! Of each field that the kernel could read, it is asked what the rules say where a test of it fails, whatever else the event
//! has in it. Where none can hold then, the kernel need not report the event.

use ethogram_model::{FieldKind, FieldTest};

use super::{
    access::Access,
    compile::{Compared, Node, Predicate, Program},
    field::UserPart,
    test::Test,
    value::Value,
};

/// The user's field, which every event has.
const USER: &str = "process.user.id";

impl Program {
    /// Tests that an event must all pass for any of the rules to hold: one of its user and one of another field at most.
    pub(super) fn required(&self) -> Vec<FieldTest> {
        let mut of_user = None;
        let mut of_event = None;
        for (at, field) in self.schema.fields.iter().enumerate() {
            let place = if field.name == USER { &mut of_user } else { &mut of_event };
            if place.is_none() {
                *place = self.candidates(at).into_iter().find(|test| !self.may_hold_without(at, test));
            }
        }
        of_user.into_iter().chain(of_event).collect()
    }

    /// Tests of a field that rules could depend on.
    fn candidates(&self, at: usize) -> Vec<FieldTest> {
        let Some(field) = self.schema.fields.get(at) else { return Vec::new() };
        let name = field.name.as_str();
        match field.kind {
            _ if field.size > 4 => Vec::new(),
            FieldKind::Bool => vec![FieldTest::not_zero(name), FieldTest::zero(name)],
            FieldKind::Id | FieldKind::Unsigned if name == USER => {
                vec![FieldTest::zero(name), FieldTest::not_zero(name)]
            }
            _ => {
                let bits = self.predicates.iter().fold(0, |all, predicate| match &predicate.test {
                    Compared::Bits(field, bits) if *field == at => all | bits,
                    _ => all,
                });
                u32::try_from(bits)
                    .ok()
                    .filter(|bits| *bits != 0)
                    .map(|bits| FieldTest::any_of(name, bits))
                    .into_iter()
                    .collect()
            }
        }
    }

    /// Whether any rule may hold for an event that fails a test of one of its fields.
    fn may_hold_without(&self, at: usize, test: &FieldTest) -> bool {
        let mut known = vec![None; self.nodes.len()];
        self.armed.iter().any(|(_, node)| self.decided(*node, (at, test), &mut known) != Some(false))
    }

    /// What a node is then; none where that depends on something else, too.
    fn decided(&self, node: usize, without: (usize, &FieldTest), known: &mut [Option<Option<bool>>]) -> Option<bool> {
        if let Some(Some(known)) = known.get(node) {
            return *known;
        }
        let decided = match self.nodes.get(node) {
            Some(Node::True) => Some(true),
            Some(Node::False) | None => Some(false),
            Some(Node::Not(inside)) => self.decided(*inside, without, known).map(|is| !is),
            Some(Node::And(parts)) => self.all(parts, false, without, known),
            Some(Node::Or(parts)) => self.all(parts, true, without, known),
            Some(Node::Predicate(at)) => self.predicates.get(*at).and_then(|p| self.predicate(p, without)),
        };
        if let Some(place) = known.get_mut(node) {
            *place = Some(decided);
        }
        decided
    }

    fn all(
        &self,
        parts: &[usize],
        decides: bool,
        without: (usize, &FieldTest),
        known: &mut [Option<Option<bool>>],
    ) -> Option<bool> {
        let mut result = Some(!decides);
        for part in parts {
            match self.decided(*part, without, known) {
                Some(is) if is == decides => return Some(decides),
                None => result = None,
                Some(_) => {}
            }
        }
        result
    }

    fn predicate(&self, predicate: &Predicate, (at, without): (usize, &FieldTest)) -> Option<bool> {
        let slot = self.slots.get(predicate.slot)?;
        let is_user = self.schema.fields.get(at).is_some_and(|field| field.name == USER);
        let is_of_field = match slot.access {
            Access::Field(field) | Access::UserId(field) => field == at,
            Access::User(UserPart::Id) => is_user,
            _ => false,
        };
        if !is_of_field || !slot.transformers.is_empty() {
            return None;
        }
        // What is left for the field where the test fails.
        let holds = match &predicate.test {
            Compared::Bits(_, bits) if !without.zero => (bits & !u64::from(without.mask) == 0).then_some(false),
            Compared::Test(test) if without.mask == u32::MAX => match (&**test, without.zero) {
                (Test::Bool(wanted), is_zero) => Some(*wanted == is_zero),
                // One that is not known is none of any numbers, and no other than them either.
                (Test::Numbers(numbers), true) if !predicate.negated => {
                    (numbers.len() == 1 && numbers.contains(&0)).then_some(false)
                }
                (Test::Numbers(numbers), false) => Some(numbers.contains(&0)),
                (Test::Compare(..), false) => Some(test.holds(&Value::number(0))),
                _ => None,
            },
            _ => None,
        };
        holds.map(|holds| holds != predicate.negated)
    }
}
