//! What of a rule's condition the kernel can decide itself, as something happens.
//!
//! Its policies know an operation, what it is done to, and the container. A condition is taken apart into its alternatives; one
//! that asks for nothing else becomes a policy. What it asks for beyond makes it none, so a policy never holds where the rule would
//! not: it may hold for less.

mod target;

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use ethogram_model::{
    Container, Context, Event, FieldKind,
    schema::{PolicyField, PolicyOperation},
    vocabulary::Lasts,
};

pub use self::target::Target;
use super::{
    access::Access,
    compile::{Node, Program},
    evaluate::{Case, Scratch},
    facts::Facts,
    field::{ContainerPart, ProcessPart, Side},
    prepared::With,
    set::RuleSet,
    test::{Network, Test},
    value::Value,
};

/// Alternatives that a condition is taken apart into at most.
const MAX_WAYS: usize = 64;
/// Paths and peers that an alternative has at most.
const MAX_TARGETS: usize = 512;
/// Reasons that are given for one rule.
const MAX_REASONS: usize = 8;

/// What of a rule the kernel can decide.
#[derive(Debug, Clone, Default)]
pub struct Decidable {
    /// What finds it in alerts: `rule.` and its name in small letters.
    pub analytic: String,
    /// The rule holds for all that one of these matches.
    pub alternatives: Vec<Alternative>,
    /// Why the rule may also hold for something else; empty where the kernel can decide all of it.
    pub beyond: Vec<String>,
}

/// Something for which a rule holds.
#[derive(Debug, Clone)]
pub struct Alternative {
    /// What is done.
    pub operation: PolicyOperation,
    /// To what: any of these.
    pub targets: Vec<Target>,
    /// Comparisons of a program about the container, and whether they have to hold.
    scope: Vec<(usize, bool)>,
    program: usize,
}

/// A part of an alternative.
enum Atom {
    /// It is always so where the kernel decides.
    True,
    False,
    Targets(Vec<Target>),
    Scope,
    /// The kernel does not know it.
    Unknown,
}

/// An alternative that is being put together.
#[derive(Clone, Default)]
struct Way {
    /// None: whatever it is done to.
    targets: Option<Vec<Target>>,
    scope: Vec<(usize, bool)>,
}

impl RuleSet {
    /// What of a rule, by its place, the kernel can decide.
    pub fn decidable(&self, rule: usize) -> Decidable {
        let Some(def) = self.rule(rule) else { return Decidable::default() };
        let mut out = Decidable { analytic: def.analytic.clone(), ..Decidable::default() };
        for (place, program) in self.programs.iter().enumerate() {
            let Some((_, node)) = program.armed.iter().find(|(armed, _)| *armed == rule) else { continue };
            let Some(operation) = program.schema.rules.as_ref().and_then(|r| r.policy) else {
                let (tracker, event) = (&program.schema.tracker, &program.schema.name);
                out.beyond.push(format!("the kernel's policies do not know the event {tracker}.{event}"));
                continue;
            };
            let mut search = Search { set: self, program, operation, beyond: &mut out.beyond };
            let ways = search.ways(*node, true);
            search.note_undecided(*node);
            // What differs in its targets only is one.
            let mut by_scope: BTreeMap<Vec<(usize, bool)>, Vec<Target>> = BTreeMap::new();
            for mut way in ways {
                way.scope.sort_unstable();
                way.scope.dedup();
                by_scope.entry(way.scope).or_default().extend(way.targets.unwrap_or_else(|| vec![Target::Any]));
            }
            for (scope, mut targets) in by_scope {
                if targets.contains(&Target::Any) {
                    targets = vec![Target::Any];
                }
                targets.sort();
                targets.dedup();
                if targets.len() > MAX_TARGETS {
                    out.beyond.push(format!("it names {} paths or peers, of which {MAX_TARGETS} count", targets.len()));
                    targets.truncate(MAX_TARGETS);
                }
                out.alternatives.push(Alternative { operation, targets, scope, program: place });
            }
        }
        out.beyond.sort();
        out.beyond.dedup();
        out.beyond.truncate(MAX_REASONS);
        out.alternatives.retain(|a| !a.targets.is_empty());
        out
    }

    /// Whether an alternative is about what happens in that container.
    pub fn concerns(&self, alternative: &Alternative, container: &Arc<Container>) -> bool {
        let Some(program) = self.programs.get(alternative.program) else { return false };
        // Of one without a name it is not known what it is not called.
        if !container.is_resolved() && alternative.scope.iter().any(|(check, _)| !is_of_id(program, *check)) {
            return false;
        }
        let context = Context { container: Some(Arc::clone(container)), ..Context::default() };
        let record = vec![0; program.schema.size].into();
        let event = Event { schema: Arc::clone(&program.schema), time_ns: 0, record, context };
        let facts = Facts::default();
        let mut case = Case::new(program, &event, &facts, &mut Scratch::default(), &[]);
        alternative.scope.iter().all(|(check, wanted)| case.compares(*check) == *wanted)
    }
}

fn is_of_id(program: &Program, predicate: usize) -> bool {
    let slot = program.predicates.get(predicate).and_then(|p| program.slots.get(p.slot));
    matches!(slot.map(|s| &s.access), Some(Access::Container(ContainerPart::Id | ContainerPart::FullId, _)))
}

struct Search<'s> {
    set: &'s RuleSet,
    program: &'s Program,
    operation: PolicyOperation,
    beyond: &'s mut Vec<String>,
}

impl Search<'_> {
    /// The alternatives that make a node hold, or fail where it is not `wanted`.
    fn ways(&mut self, node: usize, wanted: bool) -> Vec<Way> {
        let program = self.program;
        match (program.nodes.get(node), wanted) {
            (Some(Node::True), true) | (Some(Node::False), false) => vec![Way::default()],
            (Some(Node::True | Node::False) | None, _) => Vec::new(),
            (Some(Node::Not(inside)), _) => self.ways(*inside, !wanted),
            (Some(Node::And(parts)), true) | (Some(Node::Or(parts)), false) => self.all(parts, wanted),
            (Some(Node::Or(parts)), true) | (Some(Node::And(parts)), false) => {
                let ways: Vec<Way> = parts.iter().flat_map(|part| self.ways(*part, wanted)).collect();
                self.bounded(ways)
            }
            (Some(Node::Predicate(predicate)), _) => self.predicate(*predicate, wanted),
        }
    }

    fn all(&mut self, parts: &[usize], wanted: bool) -> Vec<Way> {
        let mut ways = vec![Way::default()];
        for part in parts {
            let more = self.ways(*part, wanted);
            let both = ways.iter().flat_map(|a| more.iter().filter_map(|b| a.and(b))).take(MAX_WAYS + 1).collect();
            ways = self.bounded(both);
        }
        ways
    }

    fn bounded(&mut self, mut ways: Vec<Way>) -> Vec<Way> {
        if ways.len() > MAX_WAYS {
            self.beyond.push(format!("its condition has more than {MAX_WAYS} alternatives"));
            ways.truncate(MAX_WAYS);
        }
        ways
    }

    fn predicate(&mut self, at: usize, wanted: bool) -> Vec<Way> {
        let way = match self.atom(at, wanted) {
            Atom::True => Way::default(),
            Atom::Targets(targets) => Way { targets: Some(targets), ..Way::default() },
            Atom::Scope => Way { scope: vec![(at, wanted)], ..Way::default() },
            Atom::False => return Vec::new(),
            Atom::Unknown => {
                let check = self.program.predicates.get(at).and_then(|p| self.set.definitions.checks.get(p.check));
                let (not, text) = (if wanted { "" } else { "not " }, check.map_or("", |c| &c.text));
                self.beyond.push(format!("the kernel's policies cannot decide: {not}{text}"));
                return Vec::new();
            }
        };
        vec![way]
    }

    fn atom(&self, at: usize, wanted: bool) -> Atom {
        let Some(predicate) = self.program.predicates.get(at) else { return Atom::Unknown };
        let Some(slot) = self.program.slots.get(predicate.slot) else { return Atom::Unknown };
        let test = match self.set.definitions.checks.get(predicate.check).map(|c| c.with) {
            Some(With::Test(test)) => self.set.definitions.tests.get(test),
            _ => None,
        };
        let Some(test) = test else { return Atom::Unknown };
        if is_of_container(&slot.access) {
            return Atom::Scope;
        }
        if !slot.transformers.is_empty() {
            return Atom::Unknown;
        }
        let is_so = |holds: bool| if (holds != predicate.negated) == wanted { Atom::True } else { Atom::False };
        if let Some(values) = self.known(&slot.access) {
            let holds: Vec<bool> = values.iter().map(|value| test.holds(value)).collect();
            return match holds.as_slice() {
                [first, rest @ ..] if rest.iter().all(|other| other == first) => is_so(*first),
                _ => Atom::Unknown,
            };
        }
        // The kernel knows no exclusions.
        if predicate.negated == wanted {
            return Atom::Unknown;
        }
        match self.targets(&slot.access, test) {
            Some(targets) if targets.is_empty() => Atom::False,
            Some(targets) => Atom::Targets(targets),
            None => Atom::Unknown,
        }
    }

    /// All values that there can be in what the kernel decides of this operation. None where they are many.
    fn known(&self, access: &Access) -> Option<Vec<Value<'static>>> {
        let text = |text| vec![Value::text(Some(text))];
        match (self.operation, access) {
            // No directory is opened for writing.
            (PolicyOperation::Write, Access::FileType(_, short)) => Some(text(if *short { "f" } else { "file" })),
            (_, Access::Field(_)) => {
                let known = self.policy_field().filter(|known| self.is_field(access, &known.field))?;
                Some(known.decided.iter().map(|word| self.value(&known.field, word)).collect())
            }
            _ => None,
        }
    }

    /// What a test that holds says of what the operation is done to. None where that is more than a policy can say.
    fn targets(&self, access: &Access, test: &Test) -> Option<Vec<Target>> {
        match (self.operation, access) {
            (PolicyOperation::Exec, Access::Process(ProcessPart::Path)) => target::paths(test),
            (PolicyOperation::Exec, _) if self.is_field(access, "process.executable.path") => target::paths(test),
            (PolicyOperation::Write, _) if self.is_field(access, "file.path") => target::paths(test),
            (PolicyOperation::Connect, Access::Address(_, Side::Any | Side::Server | Side::Remote)) => match test {
                Test::Networks(all) => all.iter().map(|network| network_target(*network)).collect(),
                _ => None,
            },
            (PolicyOperation::Connect, Access::Port(_, Side::Any | Side::Server | Side::Remote)) => match test {
                Test::Numbers(all) => Some(all.iter().filter_map(|port| target::port(*port)).collect()),
                _ => None,
            },
            _ => None,
        }
    }

    /// The field that says which of the events can be decided.
    fn policy_field(&self) -> Option<&PolicyField> {
        self.program.schema.rules.as_ref()?.policy_field.as_ref()
    }

    /// A word of the manifest as a field of that name has it.
    fn value(&self, field: &str, word: &str) -> Value<'static> {
        match self.program.schema.field(field).map(|f| f.kind) {
            Some(FieldKind::Bool) => Value::Bool(word == "true"),
            _ => Value::owned(word.to_owned()),
        }
    }

    fn is_field(&self, access: &Access, name: &str) -> bool {
        matches!(access, Access::Field(at) if self.program.schema.fields.get(*at).is_some_and(|f| f.name == name))
    }

    /// What the rule would hold for as well though nothing in its condition says so.
    fn note_undecided(&mut self, node: usize) {
        let undecided = self.policy_field().map(|known| (known.field.clone(), known.undecided.clone()));
        if let Some((field, words)) = undecided {
            for (word, meaning) in words {
                if self.may_hold_without(node, &field, &self.value(&field, &word)) {
                    self.beyond.push(format!("it is also about {meaning}, which the kernel's policies do not decide"));
                }
            }
        }
    }

    /// Whether a node may hold where a field has that value.
    fn may_hold_without(&self, node: usize, field: &str, value: &Value<'_>) -> bool {
        self.may_be(node, true, &|predicate| {
            let predicate = self.program.predicates.get(predicate)?;
            let slot = self.program.slots.get(predicate.slot)?;
            let With::Test(test) = self.set.definitions.checks.get(predicate.check)?.with else { return None };
            let test = self.set.definitions.tests.get(test)?;
            (self.is_field(&slot.access, field) && slot.transformers.is_empty())
                .then(|| test.holds(value) != predicate.negated)
        })
    }

    /// Whether a node can be as `wanted`, where a function says what of its comparisons is known.
    fn may_be(&self, node: usize, wanted: bool, known: &dyn Fn(usize) -> Option<bool>) -> bool {
        let each = |part: &usize| self.may_be(*part, wanted, known);
        match (self.program.nodes.get(node), wanted) {
            (Some(Node::True), _) => wanted,
            (Some(Node::False) | None, _) => !wanted,
            (Some(Node::Not(inside)), _) => self.may_be(*inside, !wanted, known),
            (Some(Node::And(parts)), true) | (Some(Node::Or(parts)), false) => parts.iter().all(each),
            (Some(Node::Or(parts)), true) | (Some(Node::And(parts)), false) => parts.iter().any(each),
            (Some(Node::Predicate(predicate)), _) => known(*predicate).is_none_or(|is| is == wanted),
        }
    }
}

impl Way {
    /// What is both; none where nothing is.
    fn and(&self, other: &Self) -> Option<Self> {
        let targets = match (&self.targets, &other.targets) {
            (None, one) | (one, None) => one.clone(),
            (Some(a), Some(b)) => {
                let both: Vec<_> =
                    a.iter().flat_map(|a| b.iter().filter_map(|b| a.and(b))).take(MAX_TARGETS + 1).collect();
                Some(both).filter(|both| !both.is_empty()).map(Some)?
            }
        };
        Some(Self { targets, scope: [&self.scope[..], &other.scope[..]].concat() })
    }
}

/// Whether it stays the same as long as the container is there, once a runtime has reported it.
fn is_of_container(access: &Access) -> bool {
    use ContainerPart as Part;
    match access {
        Access::Container(part, _) => {
            matches!(part, Part::Id | Part::FullId | Part::Name | Part::Repository | Part::Tag | Part::Label)
        }
        Access::Context(field) => field.lasts >= Lasts::Container,
        _ => false,
    }
}

/// A network as the kernel's policies take it: they hold IPv4 as a part of IPv6, and see an address as it was asked for.
fn network_target(network: Network) -> Option<Target> {
    let (address, bits) = network.parts();
    let holds = |text: &str| text.parse().is_ok_and(|address: IpAddr| network.holds(address));
    let holds_ipv4 = address.is_ipv6() && holds("::ffff:0:0");
    let any_is_not_loopback = holds("0.0.0.0") != holds("127.0.0.1") && holds("0.0.0.0");
    let any_is_not_loopback6 = holds("::") != holds("::1") && holds("::");
    (!holds_ipv4 && !any_is_not_loopback && !any_is_not_loopback6).then_some(Target::Peer { address, bits, port: None })
}
