//! Rule files as they are written: lists, macros and rules, each with what it changes of earlier ones.

mod exceptions;
mod sigma;

use std::{collections::HashMap, sync::Arc};

use ethogram_model::{Priority, nearest};

use super::{
    condition::{Literal, literal},
    file::File,
    problem::{Level, Position, Problems},
    yaml::{Content, Node},
};

/// The newest engine whose rules are understood.
const ENGINE: (u64, u64) = (0, 57);

/// One text of a file.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub(super) file: usize,
    pub(super) at: Position,
    pub(super) text: String,
    /// Whether it is in other words than in the file, where all of it stands at this place.
    pub(super) is_translated: bool,
}

/// What an item does to an earlier one of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Replace,
    Append,
}

#[derive(Debug)]
pub(super) struct List {
    pub(super) name: Text,
    pub(super) items: Vec<(Literal, Position)>,
    pub(super) change: Change,
}

#[derive(Debug)]
pub(super) struct Macro {
    pub(super) name: Text,
    pub(super) condition: Text,
    pub(super) change: Change,
}

/// A rule, or what is changed of one: what is not said stays as it was.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) name: Text,
    pub(super) condition: Option<(Vec<Text>, Change)>,
    pub(super) output: Option<(Text, Change)>,
    pub(super) desc: Option<(String, Change)>,
    pub(super) priority: Option<Priority>,
    pub(super) tags: Option<(Vec<String>, Change)>,
    pub(super) exceptions: Option<(Vec<Exception>, Change)>,
    pub(super) enabled: Option<bool>,
    pub(super) source: Option<String>,
    /// What to do next: Ethogram's own.
    pub(super) next: Option<String>,
    pub(super) examples: Vec<Example>,
    /// Whether it only changes an earlier one.
    pub(super) is_change: bool,
    /// What keeps it from firing, as there is no counterpart here.
    pub(super) unmapped: Vec<String>,
    /// Whether nothing need be said of fields that there are not.
    pub(super) skips_unknown: Option<bool>,
}

/// What a rule leaves out.
#[derive(Debug, Clone)]
pub(super) struct Exception {
    pub(super) name: String,
    pub(super) at: Position,
    pub(super) file: usize,
    pub(super) fields: Vec<String>,
    pub(super) comps: Vec<String>,
    /// Values for each field; a list counts as a list.
    pub(super) values: Vec<Vec<Vec<Literal>>>,
}

/// An event that a rule must hit, or must miss.
#[derive(Debug, Clone)]
pub(super) struct Example {
    pub(super) hits: bool,
    pub(super) at: Position,
    pub(super) file: usize,
    /// Fields by their names in the vocabulary, with their values.
    pub(super) fields: Vec<(String, Vec<String>)>,
}

/// All items of all files, in order.
#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) lists: Vec<List>,
    pub(super) macros: Vec<Macro>,
    pub(super) rules: Vec<Rule>,
    /// The rules of Sigma: their ids by their titles.
    pub(super) sigma_ids: HashMap<String, String>,
    /// Bytes of their conditions in other words.
    pub(super) translated: usize,
}

const KEYS: [(&str, &[&str]); 3] = [
    ("list", &["list", "items", "append", "override"]),
    ("macro", &["macro", "condition", "append", "override"]),
    (
        "rule",
        &[
            "rule",
            "condition",
            "output",
            "desc",
            "priority",
            "tags",
            "exceptions",
            "enabled",
            "source",
            "append",
            "override",
            "warn_evttypes",
            "skip-if-unknown-filter",
            "capture",
            "capture_duration",
            "next",
            "examples",
        ],
    ),
];

/// Reads the items of one file.
pub(super) fn read(number: usize, file: &File, nodes: &[Node], items: &mut Items, problems: &mut Problems) {
    let mut reader = Reader { file: number, name: &file.name, source: &file.text, problems };
    for node in nodes {
        match &node.content {
            _ if sigma::is_rule(node) => sigma::read(&mut reader, node, items),
            Content::Sequence(list) => list.iter().for_each(|item| reader.item(item, items)),
            Content::Scalar { text, is_plain: true } if text.is_empty() => {}
            _ => reader.error(node.at, format!("a rule file is a list of items, not {}", node.kind())),
        }
    }
}

pub(super) struct Reader<'a> {
    pub(super) file: usize,
    name: &'a Arc<str>,
    /// All of the file.
    pub(super) source: &'a str,
    pub(super) problems: &'a mut Problems,
}

impl Reader<'_> {
    pub(super) fn error(&mut self, at: Position, text: impl Into<String>) {
        self.problems.add(Level::Error, self.name, at, text);
    }

    pub(super) fn warn(&mut self, at: Position, text: impl Into<String>) {
        self.problems.add(Level::Warning, self.name, at, text);
    }

    fn item(&mut self, node: &Node, items: &mut Items) {
        let Content::Mapping(pairs) = &node.content else {
            return self.error(node.at, format!("expected a list, macro or rule, not {}", node.kind()));
        };
        let get = |key: &str| pairs.iter().find(|(k, _)| k.text() == Some(key)).map(|(_, value)| value);
        if let Some(version) = get("required_engine_version") {
            return self.engine_version(version);
        }
        if let Some(plugins) = get("required_plugin_versions") {
            return self.plugins(plugins);
        }
        let Some((kind, keys)) = KEYS.iter().find(|(kind, _)| get(kind).is_some()) else {
            let kinds = ["list", "macro", "rule", "required_engine_version", "required_plugin_versions"];
            let first = pairs.first().and_then(|(k, _)| k.text()).unwrap_or_default();
            let near = did_you_mean(first, kinds);
            return self.error(node.at, format!("an item is a list, a macro or a rule, not '{first}'{near}"));
        };
        let mut seen: Vec<&str> = Vec::new();
        for (key, _) in pairs {
            let word = key.text().unwrap_or_default();
            if !keys.contains(&word) {
                self.warn(key.at, format!("'{word}' is no key of a {kind}{}", did_you_mean(word, keys.iter())));
            }
            if seen.contains(&word) {
                self.error(key.at, format!("'{word}' stands twice"));
            }
            seen.push(word);
        }
        if let Some(Content::Mapping(keys)) = get("override").map(|o| &o.content) {
            for (key, _) in keys {
                let word = key.text().unwrap_or_default();
                if get(word).is_none() {
                    self.error(key.at, format!("override names '{word}', which the item does not have"));
                }
            }
        }
        let Some(name) = get(kind).and_then(|n| self.text(n, kind)) else { return };
        match *kind {
            "list" => items.lists.extend(self.list(name, &get)),
            "macro" => items.macros.extend(self.macro_(name, &get)),
            _ => items.rules.extend(self.rule(name, &get)),
        }
    }

    fn engine_version(&mut self, node: &Node) {
        let text = node.text().unwrap_or_default();
        let mut parts = text.split('.').map(str::parse::<u64>);
        let version = match (parts.next(), parts.next()) {
            (Some(Ok(minor)), None) => Some((0, minor)),
            (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
            _ => None,
        };
        match version {
            None => self.error(node.at, format!("'{text}' is no version of an engine, such as 0.57.0")),
            Some(version) if version > ENGINE => {
                let (major, minor) = ENGINE;
                let what = "newer than what is understood here";
                self.warn(node.at, format!("the rules are for engine {text}, {what} ({major}.{minor})"));
            }
            Some(_) => {}
        }
    }

    fn plugins(&mut self, node: &Node) {
        let Content::Sequence(list) = &node.content else {
            return self.error(node.at, "required_plugin_versions is a list of plugins");
        };
        for plugin in list {
            let name = plugin.get("name").and_then(Node::text).unwrap_or_default();
            if name != "container" {
                self.warn(plugin.at, format!("there is no plugin '{name}' here: rules for its events cannot fire"));
            }
        }
    }

    pub(super) fn text(&mut self, node: &Node, what: &str) -> Option<Text> {
        match node.text() {
            Some(text) if !text.trim().is_empty() => {
                Some(Text { file: self.file, at: node.at, text: text.to_owned(), is_translated: false })
            }
            _ => {
                self.error(node.at, format!("'{what}' is a text, not {}", node.kind()));
                None
            }
        }
    }

    fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        match node.text() {
            Some("true" | "yes" | "on" | "True") => Some(true),
            Some("false" | "no" | "off" | "False") => Some(false),
            _ => {
                self.error(node.at, format!("'{what}' is true or false"));
                None
            }
        }
    }

    fn texts(&mut self, node: &Node, what: &str) -> Option<Vec<(String, Position)>> {
        match &node.content {
            Content::Sequence(list) if list.iter().all(|n| n.text().is_some()) => {
                Some(list.iter().filter_map(|n| Some((n.text()?.to_owned(), n.at))).collect())
            }
            Content::Scalar { text, is_plain: true } if text.is_empty() => Some(Vec::new()),
            _ => {
                self.error(node.at, format!("'{what}' is a list of texts"));
                None
            }
        }
    }

    /// What an item does to the earlier one, by key.
    fn change<'n>(&mut self, get: &impl Fn(&str) -> Option<&'n Node>, key: &str) -> Change {
        if let Some(how) = get("override").and_then(|o| o.get(key)) {
            match how.text() {
                Some("append") => return Change::Append,
                Some("replace") => return Change::Replace,
                _ => self.error(how.at, "override says append or replace"),
            }
        }
        let appends = get("append").is_some_and(|node| self.boolean(node, "append") == Some(true));
        if appends { Change::Append } else { Change::Replace }
    }

    fn list<'n>(&mut self, name: Text, get: &impl Fn(&str) -> Option<&'n Node>) -> Option<List> {
        let change = self.change(get, "items");
        let Some(items) = get("items") else {
            self.error(name.at, format!("the list '{}' has no items", name.text));
            return None;
        };
        let items = self.texts(items, "items")?.into_iter().map(|(text, at)| (literal_of(&text), at)).collect();
        Some(List { name, items, change })
    }

    fn macro_<'n>(&mut self, name: Text, get: &impl Fn(&str) -> Option<&'n Node>) -> Option<Macro> {
        let change = self.change(get, "condition");
        let Some(condition) = get("condition") else {
            self.error(name.at, format!("the macro '{}' has no condition", name.text));
            return None;
        };
        Some(Macro { name, condition: self.text(condition, "condition")?, change })
    }

    fn rule<'n>(&mut self, name: Text, get: &impl Fn(&str) -> Option<&'n Node>) -> Option<Rule> {
        let text = |this: &mut Self, key: &str| {
            let text = get(key).and_then(|node| this.text(node, key))?;
            Some((text, this.change(get, key)))
        };
        let condition = text(self, "condition").map(|(text, change)| (vec![text], change));
        let output = text(self, "output");
        let desc = text(self, "desc").map(|(desc, change)| (desc.text, change));
        let priority = get("priority").and_then(|node| self.priority(node));
        let tags = get("tags").and_then(|node| self.texts(node, "tags"));
        let tags = tags.map(|tags| (tags.into_iter().map(|(tag, _)| tag).collect(), self.change(get, "tags")));
        let exceptions = get("exceptions").map(|node| self.exceptions(node));
        let exceptions = exceptions.map(|all| (all, self.change(get, "exceptions")));
        let enabled = get("enabled").and_then(|node| self.boolean(node, "enabled"));
        let appends = get("append").is_some_and(|node| self.boolean(node, "append") == Some(true));
        // With nothing but whether it is enabled, a rule is switched.
        let switches = condition.is_none() && output.is_none() && enabled.is_some();
        let is_change = appends || get("override").is_some() || switches;
        if !is_change {
            let missing = ["condition", "output", "desc", "priority"].into_iter().filter(|key| get(key).is_none());
            let missing: Vec<_> = missing.collect();
            if !missing.is_empty() {
                self.error(name.at, format!("the rule '{}' has no {}", name.text, missing.join(", no ")));
                return None;
            }
        }
        Some(Rule {
            condition,
            output,
            desc,
            priority,
            tags,
            exceptions,
            enabled,
            source: get("source").and_then(Node::text).map(str::to_owned),
            next: get("next").and_then(Node::text).map(|t| t.trim().to_owned()),
            examples: get("examples").map(|node| self.examples(node)).unwrap_or_default(),
            is_change,
            unmapped: Vec::new(),
            skips_unknown: get("skip-if-unknown-filter").and_then(|node| self.boolean(node, "skip-if-unknown-filter")),
            name,
        })
    }

    fn priority(&mut self, node: &Node) -> Option<Priority> {
        let text = node.text().unwrap_or_default();
        let names = Priority::ALL.map(Priority::name);
        // Falco takes any case, and the short form.
        let wanted = if text.eq_ignore_ascii_case("info") { "Informational" } else { text };
        let found = Priority::ALL.into_iter().find(|p| p.name().eq_ignore_ascii_case(wanted));
        if found.is_none() {
            self.error(node.at, format!("'{text}' is no priority: there are {}", names.join(", ")));
        }
        found
    }

    fn examples(&mut self, node: &Node) -> Vec<Example> {
        let mut out = Vec::new();
        for (key, hits) in [("hits", true), ("misses", false)] {
            for event in node.get(key).map_or(&[][..], Node::list) {
                let Content::Mapping(pairs) = &event.content else {
                    self.error(event.at, "an example is a mapping of an event's fields to their values");
                    continue;
                };
                let mut fields = Vec::new();
                for (key, value) in pairs {
                    flatten(key.text().unwrap_or_default(), value, &mut fields);
                }
                out.push(Example { hits, at: event.at, file: self.file, fields });
            }
        }
        if out.is_empty() {
            self.error(node.at, "examples have 'hits' and 'misses', each a list of events");
        }
        out
    }
}

impl Node {
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match &self.content {
            Content::Mapping(pairs) => pairs.iter().find(|(k, _)| k.text() == Some(key)).map(|(_, value)| value),
            _ => None,
        }
    }

    fn list(&self) -> &[Node] {
        match &self.content {
            Content::Sequence(list) => list,
            _ => &[],
        }
    }
}

fn literal_of(text: &str) -> Literal {
    literal(text).unwrap_or_else(|_| Literal { text: text.to_owned(), is_quoted: false, at: 0 })
}

/// Nested names become dotted ones, as events print them nested.
fn flatten(name: &str, value: &Node, out: &mut Vec<(String, Vec<String>)>) {
    match &value.content {
        Content::Scalar { text, .. } => out.push((name.to_owned(), vec![text.clone()])),
        Content::Sequence(list) => {
            out.push((name.to_owned(), list.iter().filter_map(|n| n.text().map(str::to_owned)).collect()));
        }
        Content::Mapping(pairs) => {
            for (key, value) in pairs {
                flatten(&format!("{name}.{}", key.text().unwrap_or_default()), value, out);
            }
        }
    }
}

/// What may have been meant.
pub(super) fn did_you_mean<N: AsRef<str>>(wanted: &str, names: impl IntoIterator<Item = N>) -> String {
    nearest::did_you_mean(wanted, names).map_or_else(String::new, |question| format!(": {question}"))
}
