//! Detections and their condition, as a condition of this engine.

use rsigma_parser::{
    ConditionExpr, FieldSpec, Quantifier, SelectorPattern, SigmaParserError, parse_condition, parse_field_spec,
};

use super::{
    comparison::{Comparison, How, Meaning, quoted, truth},
    fields::{self, Audited, Mapped, Source, View},
};
use crate::rules::{
    document::{Reader, Text, did_you_mean},
    problem::{Position, locate},
    yaml::{Content, Node},
};

/// Bytes of a rule's condition in other words, and of all rules'.
const MAX_TRANSLATED: usize = 128 << 10;
const MAX_TRANSLATED_IN_ALL: usize = 4 << 20;
/// Bytes of a condition as written, with so many `not` and parentheses: what reads it is made for no more.
const MAX_CONDITION: usize = 4_096;
const MAX_NESTED: usize = 200;

/// A rule's condition.
pub(super) struct Translation {
    pub(super) condition: Vec<Text>,
    /// What has no counterpart here.
    pub(super) unmapped: Vec<String>,
}

/// Translates a rule's detection. None where something is wrong with it.
pub(super) fn translate(
    reader: &mut Reader<'_>,
    detection: &Node,
    source: &Source,
    translated: &mut usize,
) -> Option<Translation> {
    let Content::Mapping(pairs) = &detection.content else {
        reader.error(detection.at, format!("'detection' is a mapping, not {}", detection.kind()));
        return None;
    };
    let before = reader.errors();
    let named: Vec<Named<'_>> = pairs
        .iter()
        .filter_map(|(key, node)| Some(Named { name: key.text()?, at: key.at, node }))
        .filter(|named| !matches!(named.name, "condition" | "timeframe"))
        .collect();
    let mut translator = Translator {
        file: reader.file,
        reader: &mut *reader,
        named: &named,
        source,
        audited: audited(named.iter().map(|n| n.node)),
        condition: Vec::new(),
        bytes: 0,
        unmapped: Vec::new(),
    };
    if let Some(timeframe) = detection.get("timeframe") {
        translator.unmapped(timeframe.at, "'timeframe': events are judged one by one");
    }
    let conditions = translator.conditions(detection)?;
    let views = if *translated > MAX_TRANSLATED_IN_ALL { &[] } else { source.views };
    for view in views {
        if !translator.condition.is_empty() {
            translator.push(detection.at, "or");
        }
        translator.push(detection.at, "(");
        translator.push(detection.at, view.when);
        translator.push(detection.at, "and");
        translator.group(detection.at, "or", &conditions, |this, (expr, at)| this.expr(view, expr, *at));
        translator.push(detection.at, ")");
    }
    *translated += translator.bytes;
    if *translated > MAX_TRANSLATED_IN_ALL {
        let text = format!("the conditions of Sigma's rules would take more than {MAX_TRANSLATED_IN_ALL} bytes here");
        translator.unmapped(detection.at, text);
    }
    let Translator { condition, unmapped, .. } = translator;
    (reader.errors() == before).then_some(Translation { condition, unmapped })
}

#[derive(Clone, Copy)]
struct Named<'n> {
    name: &'n str,
    at: Position,
    node: &'n Node,
}

struct Translator<'t, 'r, 'n> {
    file: usize,
    reader: &'t mut Reader<'r>,
    named: &'t [Named<'n>],
    source: &'t Source,
    audited: Audited,
    condition: Vec<Text>,
    bytes: usize,
    unmapped: Vec<String>,
}

impl<'n> Translator<'_, '_, 'n> {
    fn unmapped(&mut self, at: Position, text: impl Into<String>) {
        let text = text.into();
        if !self.unmapped.contains(&text) {
            self.reader.warn(at, format!("the rule cannot fire: {text}"));
            self.unmapped.push(text);
        }
    }

    fn push(&mut self, at: Position, text: impl Into<String>) {
        let text = text.into();
        self.bytes += text.len() + 1;
        if self.is_full() {
            self.condition.clear();
            let text = format!("its condition would take more than {MAX_TRANSLATED} bytes here: split the rule");
            return self.unmapped(at, text);
        }
        self.condition.push(Text { file: self.file, at, text, is_translated: true });
    }

    fn is_full(&self) -> bool {
        self.bytes > MAX_TRANSLATED
    }

    /// Parts joined by a word.
    fn group<T>(&mut self, at: Position, word: &str, parts: &[T], mut each: impl FnMut(&mut Self, &T)) {
        self.push(at, "(");
        for (number, part) in parts.iter().enumerate() {
            if number > 0 {
                self.push(at, word);
            }
            each(self, part);
            if self.is_full() {
                return;
            }
        }
        self.push(at, ")");
    }

    /// The conditions, any of which is enough.
    fn conditions(&mut self, detection: &'n Node) -> Option<Vec<(ConditionExpr, Position)>> {
        let Some(node) = detection.get("condition") else {
            self.reader.error(detection.at, "the detection has no condition");
            return None;
        };
        let nodes = match &node.content {
            Content::Sequence(list) => list.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let before = self.reader.errors();
        let mut all = Vec::new();
        for node in nodes {
            let Some(text) = node.text().filter(|t| !t.trim().is_empty()) else {
                self.reader.error(node.at, format!("a condition is a text, not {}", node.kind()));
                return None;
            };
            all.extend(self.condition(node, text).map(|expr| (expr, node.at)));
        }
        if nodes.is_empty() {
            self.reader.error(node.at, "there is no condition");
        }
        for (expr, at) in &all {
            self.check_names(expr, *at);
        }
        for named in self.named {
            if all.len() == nodes.len()
                && self.reader.errors() == before
                && !all.iter().any(|(expr, _)| uses(expr, named.name))
            {
                self.reader.warn(named.at, format!("the detection '{}' is not used", named.name));
            }
        }
        Some(all)
    }

    fn condition(&mut self, node: &Node, text: &str) -> Option<ConditionExpr> {
        if text.contains('|') {
            self.unmapped(node.at, "'|': events are judged one by one, not counted or put in an order");
            return None;
        }
        if text.len() > MAX_CONDITION || text.matches("not").count() + text.matches('(').count() > MAX_NESTED {
            let most = format!("at most {MAX_CONDITION} bytes with {MAX_NESTED} 'not' and '('");
            self.reader.error(node.at, format!("a condition has {most}"));
            return None;
        }
        parse_condition(text).map_err(|wrong| self.wrong(node, text, &wrong)).ok()
    }

    fn wrong(&mut self, node: &Node, text: &str, wrong: &SigmaParserError) {
        let at = wrong.location().map_or(0, |at| {
            let lines: usize = text.split_inclusive('\n').take(at.line.saturating_sub(1) as usize).map(str::len).sum();
            let rest = text.get(lines..).unwrap_or_default();
            lines + rest.char_indices().nth(at.col.saturating_sub(1) as usize).map_or(rest.len(), |(at, _)| at)
        });
        let expected = wrong.to_string();
        let expected = expected.lines().rev().find_map(|line| line.trim().strip_prefix("= ")).unwrap_or(&expected);
        let place = locate(self.reader.source, node.at, text, at);
        self.reader.error(place, expected.split(' ').map(plainly).collect::<Vec<_>>().join(" "));
    }

    /// Says which names there are no detections for.
    fn check_names(&mut self, expr: &ConditionExpr, at: Position) {
        let names = || self.named.iter().map(|n| n.name);
        let text = match expr {
            ConditionExpr::And(parts) | ConditionExpr::Or(parts) => {
                return parts.iter().for_each(|part| self.check_names(part, at));
            }
            ConditionExpr::Not(inside) => return self.check_names(inside, at),
            ConditionExpr::Identifier(name) if names().any(|n| n == name) => return,
            ConditionExpr::Identifier(name) => {
                format!("there is no detection '{name}'{}", did_you_mean(name, names()))
            }
            ConditionExpr::Selector { quantifier, pattern } => {
                let fit = names().filter(|name| pattern.matches_detection_name(name)).count();
                match quantifier {
                    _ if fit == 0 => format!("no detection is called like '{pattern}'"),
                    Quantifier::Count(0) => "'0 of' holds always".into(),
                    Quantifier::Count(wanted) if *wanted > fit as u64 => {
                        format!("'{wanted} of {pattern}': there are only {fit}")
                    }
                    _ => return,
                }
            }
        };
        self.reader.error(at, text);
    }

    fn expr(&mut self, view: &View, expr: &ConditionExpr, at: Position) {
        match expr {
            ConditionExpr::And(parts) => self.group(at, "and", parts, |this, part| this.expr(view, part, at)),
            ConditionExpr::Or(parts) => self.group(at, "or", parts, |this, part| this.expr(view, part, at)),
            ConditionExpr::Not(inside) => {
                self.push(at, "not");
                self.group(at, "and", std::slice::from_ref(&**inside), |this, part| this.expr(view, part, at));
            }
            ConditionExpr::Identifier(name) => {
                if let Some(named) = self.named.iter().find(|n| n.name == name).copied() {
                    self.detection(view, named.node, self.audited);
                }
            }
            ConditionExpr::Selector { quantifier, pattern } => self.selector(view, quantifier, pattern, at),
        }
    }

    fn selector(&mut self, view: &View, quantifier: &Quantifier, pattern: &SelectorPattern, at: Position) {
        let fit: Vec<&Node> =
            self.named.iter().filter(|n| pattern.matches_detection_name(n.name)).map(|n| n.node).collect();
        let audited = self.audited;
        match quantifier {
            Quantifier::Any => self.group(at, "or", &fit, |this, node| this.detection(view, node, audited)),
            Quantifier::All => self.group(at, "and", &fit, |this, node| this.detection(view, node, audited)),
            Quantifier::Count(wanted) => {
                self.some_of(view, &fit, usize::try_from(*wanted).unwrap_or(usize::MAX), at);
            }
        }
    }

    /// At least so many of these: the first and one less of the rest, or so many of the rest.
    fn some_of(&mut self, view: &View, of: &[&Node], wanted: usize, at: Position) {
        let audited = self.audited;
        if wanted <= 1 || wanted >= of.len() {
            let word = if wanted <= 1 { "or" } else { "and" };
            return self.group(at, word, of, |this, node| this.detection(view, node, audited));
        }
        let Some((first, rest)) = of.split_first() else { return };
        self.group(at, "or", &[true, false], |this, with_first| {
            if *with_first {
                this.push(at, "(");
                this.detection(view, first, audited);
                this.push(at, "and");
                this.some_of(view, rest, wanted - 1, at);
                this.push(at, ")");
            } else {
                this.some_of(view, rest, wanted, at);
            }
        });
    }

    fn detection(&mut self, view: &View, node: &Node, around: Audited) {
        if self.is_full() {
            return;
        }
        match &node.content {
            Content::Mapping(pairs) if !pairs.is_empty() => {
                let audited = audited_as(node).unwrap_or(around);
                self.group(node.at, "and", pairs, |this, (key, value)| this.item(view, key, value, audited));
            }
            Content::Sequence(list) if list.iter().any(|n| n.text().is_none()) => {
                self.group(node.at, "or", list, |this, part| this.detection(view, part, around));
            }
            Content::Mapping(_) => self.reader.error(node.at, "a detection has fields and their values"),
            _ => self.unmapped(node.at, "keywords: events here are fields, without a text to look through"),
        }
    }

    /// A field with its values.
    fn item(&mut self, view: &View, key: &Node, value: &Node, audited: Audited) {
        let written = key.text().unwrap_or_default();
        let spec = match parse_field_spec(written) {
            Ok(spec) => spec,
            Err(SigmaParserError::UnknownModifier(name)) => {
                let known = ["contains", "startswith", "endswith", "windash", "base64offset", "fieldref", "exists"];
                let near = did_you_mean(&name, known);
                return self.reader.error(key.at, format!("there is no modifier '{name}'{near}"));
            }
            Err(wrong) => return self.reader.error(key.at, wrong.to_string()),
        };
        let Some(name) = spec.name.as_deref() else {
            return self.unmapped(key.at, "keywords: events here are fields, without a text to look through");
        };
        let found = fields::find(view, self.source, audited, name);
        let (how, field) = match (How::of(&spec), found) {
            (Ok(how), Ok(field)) => (how, field),
            (how, field) => {
                let field = field.err();
                for text in how.err().map(|text| format!("'{written}': {text}")).into_iter().chain(field) {
                    self.unmapped(key.at, text);
                }
                return;
            }
        };
        let values = match &value.content {
            Content::Sequence(list) => list.as_slice(),
            _ => std::slice::from_ref(value),
        };
        if values.is_empty() {
            return self.reader.error(value.at, format!("'{written}' has no value"));
        }
        if let Some(odd) = values.iter().find(|v| v.text().is_none()) {
            return self
                .reader
                .error(odd.at, format!("a value of '{written}' is a text or a number, not {}", odd.kind()));
        }
        if how.negated {
            self.push(key.at, "not");
        }
        let word = if how.all { "and" } else { "or" };
        let gathered = self.values(view, &spec, &how, &field, values, audited);
        self.group(key.at, word, &gathered, |this, (at, text)| this.push(*at, text.as_str()));
    }

    /// The comparisons with each value. Where one value is enough, those with whole values are said at once.
    fn values(
        &mut self,
        view: &View,
        spec: &FieldSpec,
        how: &How,
        field: &Mapped,
        values: &[Node],
        audited: Audited,
    ) -> Vec<(Position, String)> {
        let mut out: Vec<(Position, String)> = Vec::new();
        let mut whole: Vec<(Position, String, Vec<String>)> = Vec::new();
        for value in values {
            let text = value.text().unwrap_or_default();
            let comparisons = match how.meaning {
                Meaning::Field => self.other_field(view, how, field, text, audited).map(|text| vec![text]),
                Meaning::Existence => existence(field, text).map(|text| vec![Comparison::Other(text)]),
                _ if is_null(value) => Ok(vec![Comparison::Other(existence_text(field, false))]),
                _ => field
                    .here
                    .iter()
                    .map(|here| how.compare(here, field.kind, text))
                    .collect::<Result<Vec<_>, _>>()
                    .map(|all| all.into_iter().flatten().collect()),
            };
            let comparisons = match comparisons {
                Ok(comparisons) => comparisons,
                Err(text) => {
                    let name = spec.name.as_deref().unwrap_or_default();
                    self.unmapped(value.at, format!("'{name}': {text}"));
                    continue;
                }
            };
            if how.all {
                let texts: Vec<_> = comparisons.into_iter().map(Comparison::text).collect();
                out.push((value.at, format!("({})", texts.join(" or "))));
                continue;
            }
            for comparison in comparisons {
                match comparison {
                    Comparison::Other(text) => out.push((value.at, text)),
                    Comparison::In(left, text) => match whole.iter_mut().find(|(_, known, _)| *known == left) {
                        Some((.., texts)) => texts.push(quoted(&text)),
                        None => whole.push((value.at, left, vec![quoted(&text)])),
                    },
                }
            }
        }
        for (at, left, texts) in whole {
            let text = match texts.as_slice() {
                [only] => format!("{left} = {only}"),
                all => format!("{left} in ({})", all.join(", ")),
            };
            out.push((at, text));
        }
        out
    }

    fn other_field(
        &mut self,
        view: &View,
        how: &How,
        field: &Mapped,
        name: &str,
        audited: Audited,
    ) -> Result<Comparison, String> {
        let other = fields::find(view, self.source, audited, name)?;
        let mut texts = Vec::new();
        for a in &field.here {
            for b in &other.here {
                texts.push(how.compare_fields((a, field.kind), (b, other.kind))?);
            }
        }
        Ok(Comparison::Other(format!("({})", texts.join(" or "))))
    }
}

impl Reader<'_> {
    fn errors(&self) -> usize {
        self.problems.errors
    }
}

/// What the grammar of conditions calls its parts, in the words of who writes one.
fn plainly(word: &str) -> String {
    let (name, end) = word.strip_suffix(',').map_or((word, ""), |name| (name, ","));
    let said = match name {
        "selector" | "quantifier" => "'1 of'",
        "ident" => "the name of a detection",
        "ident_pattern" | "selector_target" => "names with a *",
        "expr" => "a condition",
        "not_op" => "'not'",
        "and_op" => "'and'",
        "or_op" => "'or'",
        "of_kw_inner" => "'of'",
        "EOI" => "the end",
        other => other,
    };
    format!("{said}{end}")
}

fn is_null(value: &Node) -> bool {
    matches!(&value.content, Content::Scalar { text, is_plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
}

fn existence(field: &Mapped, value: &str) -> Result<String, String> {
    let wanted = truth(value).ok_or_else(|| format!("'{value}' is neither true nor false"))?;
    Ok(existence_text(field, wanted))
}

fn existence_text(field: &Mapped, exists: bool) -> String {
    let any = field.here.iter().map(|here| format!("{here} exists")).collect::<Vec<_>>().join(" or ");
    format!("{}({any})", if exists { "" } else { "not " })
}

fn uses(expr: &ConditionExpr, name: &str) -> bool {
    match expr {
        ConditionExpr::And(parts) | ConditionExpr::Or(parts) => parts.iter().any(|part| uses(part, name)),
        ConditionExpr::Not(inside) => uses(inside, name),
        ConditionExpr::Identifier(used) => used == name,
        ConditionExpr::Selector { pattern, .. } => pattern.matches_detection_name(name),
    }
}

/// The record that a mapping is about, where it says so.
fn audited_as(node: &Node) -> Option<Audited> {
    let kind = node.get("type")?;
    let texts = match &kind.content {
        Content::Sequence(list) => list.iter().filter_map(Node::text).collect(),
        _ => vec![kind.text()?],
    };
    Some(if texts.contains(&"SYSCALL") { Audited::Call } else { Audited::Program })
}

/// The record that a rule is about where a detection does not say it: a program's arguments, if any is.
fn audited<'n>(nodes: impl Iterator<Item = &'n Node>) -> Audited {
    let mut open: Vec<&Node> = nodes.collect();
    let mut seen = None;
    while let Some(node) = open.pop() {
        match audited_as(node) {
            Some(Audited::Program) => return Audited::Program,
            Some(call) => seen = Some(call),
            None => {}
        }
        if let Content::Sequence(list) = &node.content {
            open.extend(list);
        }
    }
    seen.unwrap_or(Audited::Program)
}
