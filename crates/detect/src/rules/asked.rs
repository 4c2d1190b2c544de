//! Tests of arguments and variables, which are made before secrets are masked in them: what is judged later is the masked
//! text, with the answers of those tests that give something else of it.

use std::sync::Arc;

use ethogram_model::{Answer, Event, EventSchema, Exec, FieldKind};
use rustc_hash::FxHashMap;

use super::{
    access::Access,
    condition::Transformer,
    field::ProcessPart,
    read::{argument, exec_value, variable},
    test::Test,
    value::Value,
};
use crate::uid;

/// A text of a program that may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Text {
    Part(ProcessPart),
    Argument(usize),
    Variable(Box<str>),
}

/// Whose text it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Process,
    /// Of the ancestor of that number, from zero.
    Ancestor(usize),
    /// Of any ancestor.
    Ancestors,
}

/// A test of a text that may hold secrets.
#[derive(Debug)]
pub(super) struct Asked {
    /// Stands for the text and the test, the same on every machine and for every agent that has the rule.
    id: u64,
    of: Of,
    transformers: Box<[Transformer]>,
    test: Arc<Test>,
}

#[derive(Debug)]
enum Of {
    Program(Whose, Text),
    /// The event's own.
    Event,
}

impl Asked {
    /// None where no secret can be in what is tested. `key` stands for the test.
    pub(super) fn new(
        access: &Access,
        transformers: &[Transformer],
        test: &Arc<Test>,
        key: &str,
        schema: &EventSchema,
    ) -> Option<Box<Self>> {
        // A mask leaves the length as it is.
        if transformers.contains(&Transformer::Length) {
            return None;
        }
        let (of, name) = match access {
            Access::Process(part) => (Of::Program(Whose::Process, Text::Part(*part)), part_name(*part)?.to_owned()),
            Access::Parent(part) => (Of::Program(Whose::Ancestor(0), Text::Part(*part)), part_name(*part)?.to_owned()),
            Access::Ancestor(part, n) => {
                let whose = n.checked_sub(1).map_or(Whose::Process, Whose::Ancestor);
                (Of::Program(whose, Text::Part(*part)), part_name(*part)?.to_owned())
            }
            Access::Ancestors(part) => (Of::Program(Whose::Ancestors, Text::Part(*part)), part_name(*part)?.to_owned()),
            Access::ProcessArgument(n) => (Of::Program(Whose::Process, Text::Argument(*n)), format!("proc.args[{n}]")),
            Access::Environment(name) => {
                (Of::Program(Whose::Process, Text::Variable(name.clone())), format!("proc.env[{name}]"))
            }
            Access::Arguments => (Of::Event, "evt.args".to_owned()),
            Access::Field(at) | Access::Raw(at) => {
                let field = schema.fields.get(*at).filter(|field| field.kind == FieldKind::Args)?;
                (Of::Event, field.name.clone())
            }
            _ => return None,
        };
        let changed = format!("{transformers:?}");
        let digits = uid::of([name.as_str(), &changed, key]);
        let id = digits.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok())?;
        Some(Box::new(Self { id, of, transformers: transformers.into(), test: Arc::clone(test) }))
    }

    /// What it gave in an event, where the masked text may give something else: no value, or whether it held.
    pub(super) fn answer(&self, event: &Event) -> Option<Option<bool>> {
        let process = || event.context.process.as_deref();
        let known = |exec: &Arc<Exec>| exec.answers.as_ref()?.of(self.id);
        let answer = match &self.of {
            Of::Event => event.context.answers.as_ref()?.of(self.id)?,
            Of::Program(Whose::Process, _) => known(&process()?.exec)?,
            Of::Program(Whose::Ancestor(n), _) => known(process()?.ancestors.get(*n)?)?,
            Of::Program(Whose::Ancestors, text) => {
                let ancestors = &process()?.ancestors;
                if ancestors.iter().all(|exec| exec.answers.is_none()) {
                    return None;
                }
                let each = ancestors.iter().map(|exec| known(exec).unwrap_or_else(|| self.of_value(text.read(exec))));
                each.max().unwrap_or(Answer::Absent)
            }
        };
        Some(match answer {
            Answer::Absent => None,
            Answer::No => Some(false),
            Answer::Yes => Some(true),
        })
    }

    /// What it gives of the event's own, where that is what it tests and the masked value gives something else.
    pub(super) fn of_event(&self, plain: Value<'_>, masked: Value<'_>) -> Option<(u64, Answer)> {
        let given = self.of_value(plain);
        (matches!(self.of, Of::Event) && given != self.of_value(masked)).then_some((self.id, given))
    }

    /// Whether it tests the event's own.
    pub(super) fn is_of_event(&self) -> bool {
        matches!(self.of, Of::Event)
    }

    fn of_value(&self, value: Value<'_>) -> Answer {
        answer(&self.test, &self.transformers, value)
    }
}

impl Text {
    fn read<'e>(&self, exec: &'e Arc<Exec>) -> Value<'e> {
        match self {
            Self::Part(part) => exec_value(Some(exec), *part),
            Self::Argument(n) => argument(exec, *n),
            Self::Variable(name) => variable(exec, name),
        }
    }
}

fn answer(test: &Test, transformers: &[Transformer], value: Value<'_>) -> Answer {
    let value = transformers.iter().fold(value, |value, transformer| value.transformed(*transformer));
    match value.is_there() {
        false => Answer::Absent,
        true if test.holds(&value) => Answer::Yes,
        true => Answer::No,
    }
}

/// What stands for a part of a program in which a secret may be.
fn part_name(part: ProcessPart) -> Option<&'static str> {
    Some(match part {
        ProcessPart::Called => "proc.exe",
        ProcessPart::Arguments => "proc.args",
        ProcessPart::CommandLine => "proc.cmdline",
        ProcessPart::CalledLine => "proc.exeline",
        ProcessPart::Environment => "proc.env",
        ProcessPart::Program => "proc.program",
        _ => return None,
    })
}

/// All tests of one text of programs, for all kinds of events.
#[derive(Debug)]
pub(super) struct AskedOfPrograms {
    text: Text,
    transformers: Box<[Transformer]>,
    tests: Vec<(u64, Arc<Test>)>,
}

impl AskedOfPrograms {
    /// Gathers what is asked of programs, each test once.
    pub(super) fn gather<'a>(asked: impl Iterator<Item = &'a Asked>) -> Vec<Self> {
        let mut places: FxHashMap<(Text, Box<[Transformer]>), usize> = FxHashMap::default();
        let mut all: Vec<Self> = Vec::new();
        for asked in asked {
            let Of::Program(_, text) = &asked.of else { continue };
            let place = *places.entry((text.clone(), asked.transformers.clone())).or_insert_with(|| {
                let (text, transformers) = (text.clone(), asked.transformers.clone());
                all.push(Self { text, transformers, tests: Vec::new() });
                all.len() - 1
            });
            if let Some(of_text) = all.get_mut(place)
                && of_text.tests.iter().all(|(id, _)| *id != asked.id)
            {
                of_text.tests.push((asked.id, Arc::clone(&asked.test)));
            }
        }
        all
    }

    /// Adds the answers that are others than of what is masked.
    pub(super) fn answer(&self, plain: &Arc<Exec>, masked: &Arc<Exec>, found: &mut Vec<(u64, Answer)>) {
        let (before, after) = (self.text.read(plain), self.text.read(masked));
        if before == after {
            return;
        }
        for (id, test) in &self.tests {
            let given = answer(test, &self.transformers, before.clone());
            if given != answer(test, &self.transformers, after.clone()) {
                found.push((*id, given));
            }
        }
    }
}
