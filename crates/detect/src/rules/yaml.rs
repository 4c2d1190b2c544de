//! YAML as a tree that knows where in the file each value stands.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use super::problem::Position;

/// Values in one file; a longer one is refused.
const MAX_VALUES: usize = 250_000;
/// How deep values lie in each other.
const MAX_DEPTH: usize = 32;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) content: Content,
    /// How many values it holds, itself included.
    size: usize,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// A text, a number, true or false: as written.
    Scalar {
        text: String,
        is_plain: bool,
    },
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    pub(super) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match &self.content {
            Content::Scalar { is_plain: true, text } if text.is_empty() => "nothing",
            Content::Scalar { .. } => "a text",
            Content::Sequence(_) => "a list",
            Content::Mapping(_) => "a mapping",
        }
    }
}

/// Reads all documents of a file.
///
/// # Errors
/// What is wrong, and where.
pub(super) fn read(text: &str) -> Result<Vec<Node>, (Position, String)> {
    let options = granit_parser::options! {
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut composer = Composer { open: Vec::new(), done: Vec::new(), anchors: HashMap::new(), values: 0 };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|e| (position(&Span::empty(*e.marker())), e.info()))?;
        composer.take(event, &span)?;
    }
    Ok(composer.done)
}

fn position(span: &Span) -> Position {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let start = &span.start;
    Position {
        line: number(start.line()),
        column: number(start.col() + 1),
        byte: start.byte_offset().unwrap_or_default(),
    }
}

struct Composer {
    open: Vec<Open>,
    done: Vec<Node>,
    anchors: HashMap<usize, Node>,
    values: usize,
}

struct Open {
    at: Position,
    anchor: usize,
    is_mapping: bool,
    inside: Vec<Node>,
}

impl Composer {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), (Position, String)> {
        let at = position(span);
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let is_plain = style == ScalarStyle::Plain;
                let content = Content::Scalar { text: text.into_owned(), is_plain };
                self.add(Node { at, content, size: 1 }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open.push(Open { at, anchor, is_mapping: false, inside: Vec::new() });
                Ok(())
            }
            Event::MappingStart(_, anchor, _) => {
                self.open.push(Open { at, anchor, is_mapping: true, inside: Vec::new() });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { at, anchor, is_mapping, inside }) = self.open.pop() else { return Ok(()) };
                let size = 1 + inside.iter().map(|n| n.size).sum::<usize>();
                let content = if is_mapping {
                    let mut inside = inside.into_iter();
                    let mut pairs = Vec::with_capacity(inside.len() / 2);
                    while let (Some(key), Some(value)) = (inside.next(), inside.next()) {
                        pairs.push((key, value));
                    }
                    Content::Mapping(pairs)
                } else {
                    Content::Sequence(inside)
                };
                self.add(Node { at, content, size }, anchor)
            }
            Event::Alias(id) => match self.anchors.get(&id).cloned() {
                Some(node) => {
                    self.values += node.size;
                    self.add(Node { at, ..node }, 0)
                }
                None => Err((at, "an alias of itself".into())),
            },
            _ => Ok(()),
        }
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), (Position, String)> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err((node.at, format!("more than {MAX_VALUES} values in one file: split it")));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            Some(open) => open.inside.push(node),
            None => self.done.push(node),
        }
        Ok(())
    }
}
