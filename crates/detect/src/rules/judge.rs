//! Judges events by the rules that are in force.

mod answers;
mod finding;

use std::{collections::BTreeMap, sync::Arc};

use ethogram_model::{Event, EventSchema, Finding};
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::{
    access::raw,
    compile::{Program, access_of},
    dedup::{Dedup, FindingGroups, Match},
    evaluate::{Case, Scratch},
    facts::Facts,
    prepared::RuleDef,
    set::RuleSet,
    subject::Subjects,
};
use crate::{
    accepted::{Acceptance, Acceptances, Candidate},
    subject::{program::label, real_path::elsewhere},
    update::FindingUpdate,
};

/// Kinds of events that are not of the trackers the set was compiled for: of objects loaded later.
const MAX_KINDS: usize = 512;
/// Of so many events of a kind, one is used to measure what each rule takes.
const SAMPLED: u64 = 256;

/// What a rule has cost and brought.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Its name.
    pub rule: Arc<str>,
    /// Events that it was tested for.
    pub tested: u64,
    /// Events that it matched.
    pub matched: u64,
    /// Nanoseconds that a test took, on average, where that was measured: all of it, though rules share most of their work.
    pub test_ns: Option<f64>,
    /// The events that the kernel reports because of it: `open.open`.
    pub events: Vec<String>,
}

#[derive(Debug, Clone, Default)]
struct Counts {
    matched: u64,
    measured: u64,
    measured_ns: u64,
}

/// The rules in force, and what they have seen.
#[derive(Default)]
pub struct Rules {
    set: Arc<RuleSet>,
    kinds: FxHashMap<usize, Kind>,
    facts: Facts,
    scratch: Scratch,
    groups: FindingGroups,
    counts: Vec<Counts>,
    clock: Option<Box<dyn FnMut() -> u64 + Send>>,
}

/// A kind of event, by the address of its schema, which is held so that no other can get it.
struct Kind {
    schema: Arc<EventSchema>,
    program: Option<Which>,
    seen: u64,
    /// Whether it resolves names of addresses.
    names: bool,
    subjects: Subjects,
}

enum Which {
    OfSet(usize),
    Own(Box<Program>),
}

impl Which {
    fn program<'a>(&'a self, set: &'a RuleSet) -> Option<&'a Program> {
        match self {
            Self::OfSet(place) => set.programs.get(*place),
            Self::Own(own) => Some(own),
        }
    }
}

impl Kind {
    /// The rules for it; none where no rule can hold.
    fn program<'a>(&'a self, set: &'a RuleSet) -> Option<&'a Program> {
        self.program.as_ref()?.program(set)
    }
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").field("set", &self.set).finish_non_exhaustive()
    }
}

impl Rules {
    /// Judges by these rules.
    pub fn new(set: Arc<RuleSet>) -> Self {
        let counts = vec![Counts::default(); set.len()];
        Self { set, counts, ..Self::default() }
    }

    /// Measures now and then what rules take, by a clock in nanoseconds. It changes no result.
    pub fn measure_with(&mut self, clock: impl FnMut() -> u64 + Send + 'static) {
        self.clock = Some(Box::new(clock));
    }

    /// The rules in force.
    pub fn set(&self) -> &Arc<RuleSet> {
        &self.set
    }

    /// Puts other rules in force, at once and for good. Finding groups go on.
    pub fn replace(&mut self, set: Arc<RuleSet>) {
        let old: FxHashMap<Arc<str>, Counts> = self
            .set
            .definitions
            .rules
            .iter()
            .map(|r| Arc::clone(&r.name))
            .zip(std::mem::take(&mut self.counts))
            .collect();
        self.counts = set.definitions.rules.iter().map(|r| old.get(&r.name).cloned().unwrap_or_default()).collect();
        self.set = set;
        self.kinds.clear();
    }

    /// Goes on with a finding group that was reported before, by its finding's uid and count.
    pub fn restore(&mut self, uid: String, count: u64) {
        self.groups.restore(uid, count);
    }

    /// Goes on with a finding that was reported before.
    pub fn restore_finding(&mut self, finding: &Finding) {
        self.groups.restore_finding(finding);
    }

    /// Of the group of an accepted finding, other objects than the accepted one begin a group of their own.
    pub fn accept(&mut self, acceptance: &Acceptance) {
        self.groups.accept(acceptance);
    }

    /// The findings that an event begins. What goes on is in [`Rules::take_updates`].
    pub fn judge(&mut self, event: &Event, accepted: &mut Acceptances) -> Vec<Finding> {
        self.meet(&event.schema);
        if let Some(kind) = self.kinds.get_mut(&address(&event.schema)) {
            kind.seen += 1;
            if kind.names {
                self.facts.names.learn(event);
            }
        }
        let mut held = Vec::new();
        let mut findings = self.judge_as(event, event, &mut held, accepted);
        // A file is what it is by any of its paths.
        for other in elsewhere(event) {
            findings.extend(self.judge_as(event, &other, &mut held, accepted));
        }
        findings
    }

    /// The findings that an event begins, where rules test it as `tested`. Rules that `held` before are left out.
    fn judge_as(
        &mut self,
        event: &Event,
        tested: &Event,
        held: &mut Vec<usize>,
        accepted: &mut Acceptances,
    ) -> Vec<Finding> {
        self.facts.number += 1;
        let Self { set, kinds, facts, scratch, groups, counts, clock } = self;
        let Some(kind) = kinds.get_mut(&address(&event.schema)) else { return Vec::new() };
        let is_sample = kind.seen % SAMPLED == 1;
        let Some(program) = kind.program.as_ref().and_then(|which| which.program(set)) else { return Vec::new() };
        if let (true, Some(clock)) = (is_sample, clock.as_mut()) {
            measure(program, event, facts, scratch, counts, clock);
        }
        let user = program.user.and_then(|at| raw(event, at).as_u64());
        let mut subject = kind.subjects.of(event, user, program.lasting);
        if let Some(subject) = &mut subject {
            if subject.is_known && subject.open_steps.is_none() {
                let mut case = Case::new(program, tested, facts, scratch, &subject.decided);
                subject.open_steps = Some(case.open_for_subject());
                case.end(scratch);
            }
            subject.is_known = true;
        }
        let decided = subject.as_ref().map_or([].as_slice(), |subject| &subject.decided);
        let mut case = Case::new(program, tested, facts, scratch, decided);
        let mut holding = case.all_that_hold(subject.as_ref().and_then(|subject| subject.open_steps.as_deref()));
        if let Some(subject) = subject {
            case.copy_decided(&mut subject.decided);
        }
        holding.retain(|(rule, _)| !held.contains(rule));
        held.extend(holding.iter().map(|(rule, _)| *rule));
        if holding.is_empty() {
            case.end(scratch);
            return Vec::new();
        }
        let mut findings = Vec::new();
        let workload = groups.workload(event);
        let (executable, object) = (finding::executable(event), finding::object(event));
        for (rule, node) in holding {
            let Some(def) = set.rule(rule) else { continue };
            if let Some(count) = counts.get_mut(rule) {
                count.matched += 1;
            }
            let found = Candidate {
                analytic: &def.analytic,
                workload: &workload,
                executable: &executable,
                object: &object,
                severity: def.priority.severity(),
            };
            if accepted.covers(&found, event.time_ns) {
                continue;
            }
            let matched = Match {
                rule: &def.name,
                severity: def.priority.severity(),
                workload: &workload,
                object: &object,
                event,
            };
            if let Dedup::New { uid, is_many } = groups.add(matched) {
                let mut because = Vec::new();
                case.because(node, &mut because);
                let because = because.iter().filter_map(|p| finding::explain(set, program, &mut case, *p)).collect();
                let mut finding = finding::of(set, def, event, facts, (uid, &workload, &executable), because);
                if is_many {
                    finding::stand_for_many(&mut finding);
                }
                findings.push(finding);
            }
        }
        case.end(scratch);
        findings
    }

    /// Whether a rule may hold for another event about the same object, used in the same way.
    pub fn may_match_object(&mut self, event: &Event) -> bool {
        self.may_match_object_as(event) || elsewhere(event).any(|other| self.may_match_object_as(&other))
    }

    fn may_match_object_as(&mut self, event: &Event) -> bool {
        self.meet(&event.schema);
        let Self { set, kinds, facts, scratch, .. } = self;
        let kind = kinds.get(&address(&event.schema));
        let Some(program) = kind.and_then(|kind| kind.program(set)) else { return false };
        let mut case = Case::new(program, event, facts, scratch, &[]);
        let may = case.may_hold_for_object();
        case.end(scratch);
        may
    }

    /// Whether a rule may hold for another event of the same habit, by the kernel's key of habits: who does what to what.
    /// Where it is not known what runs, or in which container, any rule may.
    pub fn may_match_habit(&mut self, event: &Event) -> bool {
        self.may_match_habit_as(event) || elsewhere(event).any(|other| self.may_match_habit_as(&other))
    }

    fn may_match_habit_as(&mut self, event: &Event) -> bool {
        self.meet(&event.schema);
        let Self { set, kinds, facts, scratch, .. } = self;
        let kind = kinds.get(&address(&event.schema));
        let Some(program) = kind.and_then(|kind| kind.program(set)) else { return false };
        if event.context.process.is_none() || event.context.container.is_none() {
            return true;
        }
        let mut case = Case::new(program, event, facts, scratch, &[]);
        let may = case.may_hold_for_habit();
        case.end(scratch);
        may
    }

    /// The rules that hold for an event, whatever was found before.
    pub fn matching(&mut self, event: &Event) -> Vec<Arc<str>> {
        let mut names = self.matching_as(event);
        for other in elsewhere(event) {
            let more = self.matching_as(&other);
            names.extend(more.into_iter().filter(|name| !names.contains(name)).collect::<Vec<_>>());
        }
        names
    }

    fn matching_as(&mut self, event: &Event) -> Vec<Arc<str>> {
        self.meet(&event.schema);
        let Self { set, kinds, facts, scratch, .. } = self;
        let kind = kinds.get(&address(&event.schema));
        let Some(program) = kind.and_then(|kind| kind.program(set)) else { return Vec::new() };
        let mut case = Case::new(program, event, facts, scratch, &[]);
        let held = case.all_that_hold(None).into_iter();
        let names = held.filter_map(|(rule, _)| set.rule(rule).map(|r| Arc::clone(&r.name))).collect();
        case.end(scratch);
        names
    }

    /// How finding groups went on since the last call. Small: repetitions are counted, not listed.
    pub fn take_updates(&mut self) -> Vec<FindingUpdate> {
        self.groups.take_updates()
    }

    /// Finding groups that were forgotten since there were too many.
    pub fn forgotten_groups(&self) -> u64 {
        self.groups.forgotten()
    }

    /// What each rule has cost and brought, in their order.
    pub fn costs(&self) -> Vec<Cost> {
        let mut costs: Vec<Cost> = Vec::with_capacity(self.set.len());
        let mut tested: BTreeMap<(Arc<str>, Arc<str>), u64> = BTreeMap::new();
        for kind in self.kinds.values() {
            *tested.entry((Arc::clone(&kind.schema.tracker), Arc::clone(&kind.schema.name))).or_default() += kind.seen;
        }
        for (at, def) in self.set.definitions.rules.iter().enumerate() {
            let count = self.counts.get(at).cloned().unwrap_or_default();
            let mut cost = Cost { rule: Arc::clone(&def.name), matched: count.matched, ..Cost::default() };
            cost.test_ns = (count.measured > 0).then(|| count.measured_ns as f64 / count.measured as f64);
            for program in self.set.programs.iter().filter(|p| p.armed.iter().any(|(rule, _)| *rule == at)) {
                let (tracker, event) = (&program.schema.tracker, &program.schema.name);
                cost.tested += tested.get(&(Arc::clone(tracker), Arc::clone(event))).copied().unwrap_or(0);
                cost.events.push(format!("{tracker}.{event}"));
            }
            costs.push(cost);
        }
        costs
    }

    /// Finds the program for a kind of event that was not met before.
    fn meet(&mut self, schema: &Arc<EventSchema>) {
        let address = address(schema);
        if self.kinds.contains_key(&address) {
            return;
        }
        if self.kinds.len() >= MAX_KINDS {
            self.kinds.clear();
        }
        let program = self.find_program(schema);
        let names = schema.layout().names.is_some();
        let kind = Kind { schema: Arc::clone(schema), program, seen: 0, names, subjects: Subjects::default() };
        self.kinds.insert(address, kind);
    }

    fn find_program(&self, schema: &Arc<EventSchema>) -> Option<Which> {
        if let Some(place) = self.set.program(&schema.tracker, &schema.name)
            && self.set.programs.get(place).is_some_and(|p| p.schema == *schema)
        {
            return Some(Which::OfSet(place));
        }
        let own = self.set.compile(schema);
        (!own.armed.is_empty()).then(|| Which::Own(Box::new(own)))
    }
}

fn address(schema: &Arc<EventSchema>) -> usize {
    Arc::as_ptr(schema) as usize
}

fn measure(
    program: &Program,
    event: &Event,
    facts: &Facts,
    scratch: &mut Scratch,
    counts: &mut [Counts],
    clock: &mut Box<dyn FnMut() -> u64 + Send>,
) {
    for (rule, node) in &program.armed {
        let mut case = Case::new(program, event, facts, scratch, &[]);
        let began = clock();
        case.holds(*node);
        let took = clock().saturating_sub(began);
        case.end(scratch);
        if let Some(count) = counts.get_mut(*rule) {
            count.measured += 1;
            count.measured_ns += took;
        }
    }
}
