//! Texts that many comparisons look for in one value: all are looked for at once, and each comparison is a bit of what was found.

use std::{ops::Range, sync::Arc};

use aho_corasick::{AhoCorasick, Anchored, Input, StartKind, automaton::OverlappingState};
use rustc_hash::FxHashMap;

use super::{Compared, Predicate};
use crate::rules::{test::Test, value::Value};

/// With at least so many texts to look for in one value, all are looked for at once.
const MANY_PATTERNS: usize = 4;
/// With at least so many sets of texts, one of which it has to be.
const MANY_SETS: usize = 2;

/// All that is looked for in one value.
#[derive(Debug, Default)]
pub(in crate::rules) struct Patterns {
    /// Of texts that it must begin with; the first has this bit.
    starts: Option<(AhoCorasick, usize)>,
    /// Of texts that may be anywhere; the first has this bit.
    anywhere: Option<(AhoCorasick, usize)>,
    /// Of texts that it must be, their bits.
    equal: FxHashMap<Box<[u8]>, Vec<usize>>,
    /// The words in which all these bits are.
    words: Range<usize>,
}

impl Patterns {
    /// Of one slot's comparisons, which ask for bits from then on. `words` are those that others have taken.
    pub(super) fn new(predicates: &mut [Predicate], slot: usize, words: &mut usize) -> Option<Self> {
        let (mut starts, mut anywhere, mut sets) = (Vec::new(), Vec::new(), Vec::new());
        for predicate in predicates.iter_mut().filter(|p| p.slot == slot) {
            let Compared::Test(test) = &predicate.test else { continue };
            match &**test {
                Test::Starts(text) if !text.is_empty() => starts.push((text.to_vec(), predicate)),
                Test::Contains(text) if !text.needle().is_empty() => anywhere.push((text.needle().to_vec(), predicate)),
                Test::OneOf(_) => sets.push(predicate),
                // Most texts do not have what an expression requires, which costs less to find out.
                Test::Pattern { required, .. } if !required.start().is_empty() => {
                    starts.push((required.start().to_vec(), predicate));
                }
                Test::Pattern { required, .. } if !required.part().is_empty() => {
                    anywhere.push((required.part().to_vec(), predicate));
                }
                _ => {}
            }
        }
        let first = *words;
        let mut bits = first * 64;
        let starts = automaton(starts, StartKind::Anchored, &mut bits);
        let anywhere = automaton(anywhere, StartKind::Unanchored, &mut bits);
        let equal = if sets.len() < MANY_SETS { FxHashMap::default() } else { table(sets, &mut bits) };
        *words = bits.div_ceil(64);
        (first < *words).then(|| Self { starts, anywhere, equal, words: first..*words })
    }

    /// Sets the bits of what a value has.
    pub(in crate::rules) fn find(&self, value: &Value<'_>, found: &mut [u64]) {
        if let Some(mine) = found.get_mut(self.words.clone()) {
            mine.fill(0);
        }
        self.find_on(value, found);
    }

    fn find_on(&self, value: &Value<'_>, found: &mut [u64]) {
        match value {
            Value::Absent => {}
            Value::Text(text) => self.find_in(text, found),
            Value::Texts(all) => all.iter().for_each(|text| self.find_in(text, found)),
            Value::Two(a, b) => {
                self.find_on(a, found);
                self.find_on(b, found);
            }
            other => self.find_in(&other.to_text(), found),
        }
    }

    fn find_in(&self, text: &[u8], found: &mut [u64]) {
        for (automaton, anchored) in [(&self.starts, Anchored::Yes), (&self.anywhere, Anchored::No)] {
            let Some((automaton, first)) = automaton else { continue };
            let mut state = OverlappingState::start();
            let input = Input::new(text).anchored(anchored);
            while automaton.try_find_overlapping(input.clone(), &mut state).is_ok()
                && let Some(hit) = state.get_match()
            {
                set(found, first + hit.pattern().as_usize());
            }
        }
        if !self.equal.is_empty() {
            self.equal.get(text).into_iter().flatten().for_each(|bit| set(found, *bit));
        }
    }
}

/// Whether a bit is set.
pub(in crate::rules) fn is_set(found: &[u64], bit: usize) -> bool {
    found.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
}

/// Sets a bit.
pub(in crate::rules) fn set(found: &mut [u64], bit: usize) {
    if let Some(word) = found.get_mut(bit / 64) {
        *word |= 1 << (bit % 64);
    }
}

fn automaton(
    patterns: Vec<(Vec<u8>, &mut Predicate)>,
    start: StartKind,
    bits: &mut usize,
) -> Option<(AhoCorasick, usize)> {
    if patterns.len() < MANY_PATTERNS {
        return None;
    }
    let automaton = AhoCorasick::builder().start_kind(start).build(patterns.iter().map(|(text, _)| text)).ok()?;
    let first = *bits;
    *bits += patterns.len();
    for (bit, (_, predicate)) in (first..).zip(patterns) {
        predicate.test = match &predicate.test {
            Compared::Test(test) if matches!(**test, Test::Pattern { .. }) => {
                Compared::Expression { bit, test: Arc::clone(test) }
            }
            _ => Compared::Pattern(bit),
        };
    }
    Some((automaton, first))
}

fn table(sets: Vec<&mut Predicate>, bits: &mut usize) -> FxHashMap<Box<[u8]>, Vec<usize>> {
    let mut table: FxHashMap<Box<[u8]>, Vec<usize>> = FxHashMap::default();
    for predicate in sets {
        if let Compared::Test(test) = &predicate.test
            && let Test::OneOf(texts) = &**test
        {
            texts.iter().for_each(|text| table.entry(text.clone()).or_default().push(*bits));
            predicate.test = Compared::Pattern(*bits);
            *bits += 1;
        }
    }
    table
}
