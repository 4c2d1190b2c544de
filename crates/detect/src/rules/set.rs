//! All rules of some files, checked and compiled.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ethogram_model::{EventSchema, FieldTest, Priority, TrackerSchema};
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::{
    access::Access,
    asked::AskedOfPrograms,
    compile::{Program, access_of},
    definitions::define,
    field::{EventPart, Source},
    file::File,
    prepared::{CheckDef, Definitions, Prepared, RuleDef, What, With},
    problem::{Level, Problem, Problems},
};

/// What came of loading files.
#[derive(Debug)]
pub struct Loaded {
    /// The rules, without those that have an error.
    pub set: RuleSet,
    /// What is wrong, in the order of the files.
    pub problems: Vec<Problem>,
    /// Problems beyond those.
    pub further_problems: usize,
}

impl Loaded {
    /// Whether something is wrong that keeps a file from being used.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|p| p.level == Level::Error)
    }
}

/// Rules, compiled for the kinds of events that there are.
#[derive(Debug, Default)]
pub struct RuleSet {
    pub(super) definitions: Definitions,
    pub(super) programs: Vec<Program>,
    by_event: FxHashMap<(Arc<str>, Arc<str>), usize>,
    states: Vec<RuleState>,
    /// The events that resolve names of addresses.
    naming: Vec<(String, String)>,
    /// Rules that say nothing of the event's type: they hold for the events that have one.
    untyped: BTreeSet<usize>,
    /// What is tested of programs before secrets are masked in their arguments.
    pub(super) asked: Vec<AskedOfPrograms>,
}

/// Whether a rule can fire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "reason")]
pub enum RuleState {
    /// It waits for events.
    Armed,
    /// Its file says so.
    Disabled,
    /// No event can make it fire, and why.
    CannotFire(String),
}

/// A rule in brief.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleInfo {
    /// Its name.
    pub name: Arc<str>,
    /// What it is for.
    pub desc: String,
    /// How urgent its author holds it.
    pub priority: Priority,
    /// Its tags.
    pub tags: Vec<String>,
    /// Where it stands.
    pub file: Arc<str>,
    /// The line there, from one.
    pub line: u32,
    /// Whether it can fire.
    #[serde(flatten)]
    pub state: RuleState,
    /// The events that it is tested for: `open.open`.
    pub events: Vec<String>,
}

impl RuleSet {
    /// Reads and compiles files, later ones on top of earlier ones, for the events of these trackers.
    pub fn load(files: &[File], trackers: &[Arc<TrackerSchema>]) -> Loaded {
        let schemas = events_of(trackers);
        let mut problems = Problems::default();
        let definitions = define(files, &schemas, &mut problems);
        let mut set = Self { definitions, ..Self::default() };
        let can_fire = |rule: &usize| set.rule(*rule).is_some_and(|r| r.unmapped.is_empty() && r.source == "syscall");
        let untyped = (0..set.definitions.rules.len()).filter(can_fire).filter(|rule| !set.is_typed(*rule)).collect();
        set.untyped = untyped;
        for rule in &set.untyped {
            let Some(def) = set.definitions.rules.get(*rule).filter(|def| !def.is_wrong) else { continue };
            let text = format!("the rule '{}' does not say for which evt.type it is: it is tested for all", def.name);
            let position = super::problem::Position { line: def.line, column: 1, byte: 0 };
            problems.add(Level::Warning, &def.file, position, text);
        }
        set.compile_all(&schemas);
        set.naming = schemas
            .iter()
            .filter(|s| s.layout().names.is_some())
            .map(|s| (s.tracker.to_string(), s.name.to_string()))
            .collect();
        set.states = (0..set.definitions.rules.len()).map(|rule| set.find_state(rule, &schemas)).collect();
        let order = |name: &Arc<str>| files.iter().position(|f| f.name == *name);
        problems.list.sort_by_key(|p| (order(&p.file), p.line, p.column));
        problems.list.dedup();
        Loaded { set, problems: problems.list, further_problems: problems.left_out }
    }

    /// Reads and compiles files; one that has an error is left out, and what depends on it as well.
    pub fn load_what_is_right(files: &[File], trackers: &[Arc<TrackerSchema>]) -> Loaded {
        let mut files = files.to_vec();
        let mut wrong: Vec<Problem> = Vec::new();
        loop {
            let mut loaded = Self::load(&files, trackers);
            let bad: BTreeSet<Arc<str>> =
                loaded.problems.iter().filter(|p| p.level == Level::Error).map(|p| Arc::clone(&p.file)).collect();
            if bad.is_empty() {
                wrong.append(&mut loaded.problems);
                loaded.problems = wrong;
                return loaded;
            }
            wrong.extend(loaded.problems.into_iter().filter(|p| p.level == Level::Error));
            files.retain(|f| !bad.contains(&f.name));
        }
    }

    /// Compiles all rules as if they were enabled.
    pub(super) fn enable_all(&mut self, trackers: &[Arc<TrackerSchema>]) {
        self.definitions.rules.iter_mut().for_each(|rule| rule.enabled = true);
        self.compile_all(&events_of(trackers));
    }

    fn compile_all(&mut self, schemas: &[Arc<EventSchema>]) {
        self.programs.clear();
        self.by_event.clear();
        for schema in schemas {
            let program = self.compile(schema);
            if program.armed.is_empty() {
                continue;
            }
            let key = (Arc::clone(&schema.tracker), Arc::clone(&schema.name));
            self.by_event.insert(key, self.programs.len());
            self.programs.push(program);
        }
        let predicates = self.programs.iter().flat_map(|program| &program.predicates);
        self.asked = AskedOfPrograms::gather(predicates.filter_map(|predicate| predicate.asked.as_deref()));
    }

    pub(super) fn compile(&self, schema: &Arc<EventSchema>) -> Program {
        let has_type = schema.rules.is_some();
        let wanted = |rule: usize| {
            let def = self.definitions.rules.get(rule);
            def.is_some_and(|r| r.enabled && r.source == "syscall") && (has_type || !self.untyped.contains(&rule))
        };
        Program::new(&self.definitions, schema, wanted)
    }

    /// The program for a kind of event; none where no rule can hold for it.
    pub(super) fn program(&self, tracker: &Arc<str>, event: &Arc<str>) -> Option<usize> {
        self.by_event.get(&(Arc::clone(tracker), Arc::clone(event))).copied()
    }

    pub(super) fn rule(&self, at: usize) -> Option<&RuleDef> {
        self.definitions.rules.get(at)
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.definitions.rules.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All rules in brief, in their order.
    pub fn rules(&self) -> Vec<RuleInfo> {
        let info = |(at, def): (usize, &RuleDef)| RuleInfo {
            name: Arc::clone(&def.name),
            desc: def.desc.clone(),
            priority: def.priority,
            tags: def.tags.clone(),
            file: Arc::clone(&def.file),
            line: def.line,
            state: self.states.get(at).cloned().unwrap_or(RuleState::Disabled),
            events: self
                .programs
                .iter()
                .filter(|p| p.armed.iter().any(|(rule, _)| *rule == at))
                .map(|p| format!("{}.{}", p.schema.tracker, p.schema.name))
                .collect(),
        };
        self.definitions.rules.iter().enumerate().map(info).collect()
    }

    /// The events that some rule waits for, by tracker, each with what it must be like.
    pub fn wanted_events(&self) -> BTreeMap<String, BTreeMap<String, Vec<FieldTest>>> {
        let mut wanted: BTreeMap<String, BTreeMap<String, Vec<FieldTest>>> = BTreeMap::new();
        for program in &self.programs {
            let events = wanted.entry(program.schema.tracker.to_string()).or_default();
            events.insert(program.schema.name.to_string(), program.required());
        }
        if self.wants_names() {
            for (tracker, event) in &self.naming {
                wanted.entry(tracker.clone()).or_default().insert(event.clone(), Vec::new());
            }
        }
        wanted
    }

    /// Whether some rule that can fire asks for what processes have in their environment.
    pub fn wants_environment(&self) -> bool {
        use super::field::ProcessPart;
        let asks =
            |access: &Access| matches!(access, Access::Environment(_) | Access::Process(ProcessPart::Environment));
        self.programs.iter().flat_map(|p| &p.slots).any(|slot| asks(&slot.access))
    }

    /// Whether some rule that can fire asks what addresses are called.
    fn wants_names(&self) -> bool {
        let asks = |access: &Access| matches!(access, Access::AddressName(..));
        self.programs.iter().flat_map(|p| &p.slots).any(|slot| asks(&slot.access))
    }

    fn is_typed(&self, rule: usize) -> bool {
        let Some(def) = self.definitions.rules.get(rule) else { return false };
        let mut typed = false;
        self.each_check(&def.condition, &mut |check| {
            let term = self.definitions.terms.get(check.term);
            typed |= match term.map(|t| &t.what) {
                Some(What::Falco(known)) => {
                    matches!(known.0.source, Source::Event(EventPart::Type | EventPart::Tracker | EventPart::Name))
                }
                Some(What::Vocabulary(_)) => true,
                _ => false,
            };
        });
        typed
    }

    fn each_check(&self, condition: &Prepared, look: &mut impl FnMut(&CheckDef)) {
        let mut open = vec![condition];
        let mut seen = BTreeSet::new();
        while let Some(part) = open.pop() {
            match part {
                Prepared::And(all) | Prepared::Or(all) => open.extend(all),
                Prepared::Not(inside) => open.push(inside),
                Prepared::Macro(at) if seen.insert(*at) => {
                    open.extend(self.definitions.macros.get(*at).map(|(_, condition)| condition));
                }
                Prepared::Check(at) => {
                    if let Some(check) = self.definitions.checks.get(*at) {
                        look(check);
                    }
                }
                Prepared::Macro(_) | Prepared::Never => {}
            }
        }
    }

    fn find_state(&self, rule: usize, schemas: &[Arc<EventSchema>]) -> RuleState {
        let Some(def) = self.definitions.rules.get(rule) else { return RuleState::Disabled };
        if def.is_wrong {
            return RuleState::CannotFire("it has an error".into());
        }
        if !def.unmapped.is_empty() {
            return RuleState::CannotFire(def.unmapped.join("; "));
        }
        if def.source != "syscall" {
            return RuleState::CannotFire(format!("there are no events of the source '{}' here", def.source));
        }
        if !def.enabled {
            // What it would be matters to a user who means to enable it.
            let armed =
                schemas.iter().any(|schema| !Program::new(&self.definitions, schema, |at| at == rule).armed.is_empty());
            return if armed { RuleState::Disabled } else { self.cannot_fire(def, schemas) };
        }
        if self.programs.iter().any(|p| p.armed.iter().any(|(at, _)| *at == rule)) {
            return RuleState::Armed;
        }
        self.cannot_fire(def, schemas)
    }

    /// Why no event makes a rule's condition hold.
    fn cannot_fire(&self, def: &RuleDef, schemas: &[Arc<EventSchema>]) -> RuleState {
        let mut reasons = BTreeSet::new();
        let (mut unseen, mut seen_types, mut asks_for_result) = (BTreeSet::new(), BTreeSet::new(), false);
        self.each_check(&def.condition, &mut |check| {
            let Some(term) = self.definitions.terms.get(check.term) else { return };
            match &term.what {
                What::Falco(known) => match known.0.source {
                    Source::Nowhere(why) => _ = reasons.insert(format!("{}: {why}", known.0.name)),
                    Source::Event(EventPart::Type) if matches!(check.with, With::Test(_)) => {
                        let (seen, not): (Vec<_>, Vec<_>) =
                            check.values.iter().partition(|value| schemas.iter().any(|s| has_type(s, value)));
                        seen_types.extend(seen.into_iter().map(|value| value.to_string()));
                        unseen.extend(not.into_iter().map(|value| value.to_string()));
                    }
                    Source::Event(EventPart::Result | EventPart::RawResult | EventPart::Failed) => {
                        asks_for_result = true
                    }
                    _ if schemas.iter().all(|s| access_of(s, term) == Access::Absent) => {
                        reasons.insert(format!("no event has {}", known.0.name));
                    }
                    _ => {}
                },
                What::Argument(name) | What::RawArgument(name)
                    if schemas.iter().all(|s| access_of(s, term) == Access::Absent) =>
                {
                    reasons.insert(format!("no event has {name}"));
                }
                What::Argument(_) | What::RawArgument(_) | What::Vocabulary(_) => {}
            }
        });
        let only_succeeds = |s: &EventSchema| s.field("error.type").is_none();
        let of_types = || schemas.iter().filter(|s| seen_types.iter().any(|name| has_type(s, name)));
        if asks_for_result && !seen_types.is_empty() && of_types().all(|s| only_succeeds(s)) {
            let types = seen_types.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            reasons.insert(format!("{types}: only what succeeds is an event"));
        }
        if !unseen.is_empty() && seen_types.is_empty() {
            reasons.insert(format!("no tracker sees {}", unseen.into_iter().collect::<Vec<_>>().join(", ")));
        }
        if reasons.is_empty() {
            let why =
                "its condition never holds as it stands: it is a template, whose lists or macros are to be filled";
            reasons.insert(why.into());
        }
        RuleState::CannotFire(reasons.into_iter().collect::<Vec<_>>().join("; "))
    }
}

fn events_of(trackers: &[Arc<TrackerSchema>]) -> Vec<Arc<EventSchema>> {
    trackers.iter().flat_map(|t| &t.events).cloned().collect()
}

/// Whether events of a kind have that `evt.type`.
fn has_type(schema: &EventSchema, name: &str) -> bool {
    let Some(rules) = &schema.rules else { return false };
    let from = rules.type_from.as_deref().and_then(|field| schema.field(field));
    rules.types.iter().any(|t| t == name) || from.is_some_and(|f| f.names.iter().any(|(_, n)| n == name))
}
