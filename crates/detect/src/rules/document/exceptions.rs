//! What rules leave out, as files say it.

use super::{
    super::{
        condition::Literal,
        yaml::{Content, Node},
    },
    Exception, Reader, did_you_mean, literal_of,
};

const KEYS: [&str; 4] = ["name", "fields", "comps", "values"];

impl Reader<'_> {
    pub(super) fn exceptions(&mut self, node: &Node) -> Vec<Exception> {
        let Content::Sequence(list) = &node.content else {
            self.error(node.at, "exceptions are a list");
            return Vec::new();
        };
        list.iter().filter_map(|node| self.exception(node)).collect()
    }

    fn exception(&mut self, node: &Node) -> Option<Exception> {
        let Some(name) = node.get("name").and_then(Node::text) else {
            self.error(node.at, "an exception has a name");
            return None;
        };
        if let Content::Mapping(pairs) = &node.content {
            for (key, _) in pairs {
                let word = key.text().unwrap_or_default();
                if !KEYS.contains(&word) {
                    self.warn(key.at, format!("'{word}' is no key of an exception{}", did_you_mean(word, KEYS.iter())));
                }
            }
        }
        let words = |key: &str| match node.get(key) {
            Some(n) => match &n.content {
                Content::Sequence(list) => list.iter().filter_map(|n| n.text().map(str::to_owned)).collect(),
                Content::Scalar { text, .. } => vec![text.clone()],
                Content::Mapping(_) => Vec::new(),
            },
            None => Vec::new(),
        };
        let (fields, comps) = (words("fields"), words("comps"));
        if !comps.is_empty() && comps.len() != fields.len() {
            self.error(
                node.at,
                format!("the exception '{name}' has {} fields and {} comps", fields.len(), comps.len()),
            );
            return None;
        }
        let is_single = matches!(node.get("fields").map(|n| &n.content), Some(Content::Scalar { .. }));
        let mut values = Vec::new();
        for row in node.get("values").map_or(&[][..], Node::list) {
            let cells: Vec<Vec<Literal>> = match (&row.content, is_single) {
                (Content::Sequence(cells), false) => cells.iter().map(literals).collect(),
                _ => vec![literals(row)],
            };
            if !fields.is_empty() && cells.len() != fields.len() {
                let (cells, fields) = (cells.len(), fields.len());
                self.error(row.at, format!("the exception '{name}' has {fields} fields, but here are {cells} values"));
                return None;
            }
            values.push(cells);
        }
        Some(Exception { name: name.to_owned(), at: node.at, file: self.file, fields, comps, values })
    }
}

fn literals(node: &Node) -> Vec<Literal> {
    match &node.content {
        Content::Sequence(list) => list.iter().filter_map(Node::text).map(literal_of).collect(),
        _ => node.text().map(literal_of).into_iter().collect(),
    }
}
