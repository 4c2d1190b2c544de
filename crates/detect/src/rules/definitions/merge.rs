//! Rules with all that files say of them, one after the other, and with what they leave out.

use std::{collections::HashMap, sync::Arc};

use ethogram_model::Priority;

use super::{
    super::{
        condition::{self, Check, Expr, Op, Operand},
        document::{self, Change, Example, Exception, Text},
        output::Template,
        prepared::{Prepared, RuleDef},
        problem::Level,
    },
    Condition, Definer, Written,
    terms::Refusal,
};

/// The source of the events that there are here.
const SYSCALL: &str = "syscall";

impl Definer<'_> {
    pub(super) fn rules(&mut self, rules: Vec<document::Rule>) {
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
        self.skips_unknown = rule.skips_unknown;
        let is_elsewhere = rule.source != SYSCALL;
        if is_elsewhere {
            let text = format!("the rule cannot fire: there are no events of the source '{}' here", rule.source);
            self.add(Level::Warning, rule.name.file, rule.name.at, text);
            self.mark_used(&rule.condition);
        }
        let condition = match self.unmapped.is_empty() && !is_elsewhere {
            true => self.condition(&rule.condition).map_or(Prepared::Never, |(condition, _)| condition),
            false => Prepared::Never,
        };
        let exceptions = if is_elsewhere { &[][..] } else { &rule.exceptions };
        let exceptions: Vec<Prepared> = exceptions.iter().filter_map(|exception| self.exception(exception)).collect();
        let condition = match exceptions.is_empty() {
            true => condition,
            false => Prepared::And(vec![condition, Prepared::Not(Box::new(Prepared::Or(exceptions)))]),
        };
        let text = if is_elsewhere { String::new() } else { rule.output.joined() };
        let output = Template::parse(&text, |term| {
            let (level, problem) = match self.term_def(term) {
                Ok((def, _)) => return Some(self.intern(def)),
                Err(Refusal::Unknown(_)) if self.skips_unknown => return None,
                Err(Refusal::Unknown(problem)) => (Level::Warning, format!("{problem}: it is left out")),
                Err(Refusal::Wrong(problem)) => (Level::Error, problem),
            };
            let at = text.find(&format!("%{}", term.field)).unwrap_or(0);
            self.wrong(level, Written { pieces: &rule.output.0, text: &text }, at, problem);
            None
        });
        let unmapped = std::mem::take(&mut self.unmapped);
        let condition = if unmapped.is_empty() { condition } else { Prepared::Never };
        self.done.rules.push(RuleDef {
            name: rule.name.text.as_str().into(),
            analytic: format!("rule.{}", slug(&rule.name.text)),
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

    /// What a condition names is used, though the condition cannot be.
    fn mark_used(&mut self, condition: &Condition) {
        let Ok(expr) = condition::parse(&condition.joined()) else { return };
        let mut open = vec![&expr];
        while let Some(part) = open.pop() {
            match part {
                Expr::And(all) | Expr::Or(all) => open.extend(all),
                Expr::Not(inside) => open.push(inside),
                Expr::Macro(name, _) => self.macros.get_mut(name).into_iter().for_each(|known| known.used = true),
                Expr::Check(check) => self.mark_lists_used(check),
            }
        }
    }

    /// An exception as a condition. None where it has no values yet.
    fn exception(&mut self, exception: &Exception) -> Option<Prepared> {
        if exception.fields.is_empty() && !exception.values.is_empty() {
            let text = format!("the exception '{}' has values, but no fields", exception.name);
            self.add(Level::Error, exception.file, exception.at, text);
            return None;
        }
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
        (!rows.is_empty()).then_some(Prepared::Or(rows))
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
    skips_unknown: bool,
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
            source: rule.source.unwrap_or_else(|| SYSCALL.into()),
            next: rule.next,
            examples: rule.examples,
            unmapped: rule.unmapped,
            skips_unknown: rule.skips_unknown.unwrap_or(false),
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
        self.skips_unknown = rule.skips_unknown.unwrap_or(self.skips_unknown);
        self.next = rule.next.or(self.next.take());
        self.examples.extend(rule.examples);
    }
}

fn slug(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => out.push(c),
            _ if !out.is_empty() && !out.ends_with('_') => out.push('_'),
            _ => {}
        }
    }
    out.trim_end_matches('_').to_owned()
}
