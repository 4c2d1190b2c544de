//! Lists, and the values of comparisons, those of lists in their place.

use super::{
    super::{
        condition::{Check, Literal, Op, Operand},
        document::{self, Change, Text},
        problem::{Level, Position},
    },
    Definer, MAX_COMPARED, MAX_DEPTH, Written,
};

/// Values of a list with those of the lists in it.
const MAX_LIST: usize = 100_000;

pub(super) struct ListDef {
    pub(super) name: Text,
    items: Vec<(Literal, usize, Position)>,
    pub(super) used: bool,
}

impl Definer<'_> {
    pub(super) fn lists(&mut self, lists: Vec<document::List>) {
        for list in lists {
            let items = list.items.into_iter().map(|(literal, at)| (literal, list.name.file, at));
            match (self.lists.get_mut(&list.name.text), list.change) {
                (Some(known), Change::Append) => known.items.extend(items),
                (None, Change::Append) => {
                    let near = self.near(&list.name.text, self.lists.keys());
                    let text = format!("there is no list '{}' to append to{near}", list.name.text);
                    self.add(Level::Error, list.name.file, list.name.at, text);
                }
                _ => {
                    if self.is_full(self.lists.len(), "lists", &list.name) {
                        return;
                    }
                    let name = list.name.text.clone();
                    self.lists.insert(name, ListDef { items: items.collect(), name: list.name, used: false });
                }
            }
        }
    }

    /// The values of an operand, those of lists in their place.
    pub(super) fn literals(&mut self, right: &Operand, op: Op, of: Written<'_>) -> Option<Vec<Literal>> {
        let Operand::Values(values) = right else { return Some(Vec::new()) };
        if self.compared > MAX_COMPARED {
            return None;
        }
        let mut out = Vec::new();
        self.lists_read = 0;
        for value in values {
            if value.is_quoted || !self.lists.contains_key(&value.text) {
                out.push(value.clone());
                continue;
            }
            if !matches!(op, Op::In | Op::Intersects | Op::PathMatch) {
                out.push(value.clone());
                continue;
            }
            if let Err(text) = self.expand(&value.text, value.at, &mut Vec::new(), &mut out) {
                self.wrong(Level::Error, of, value.at, text);
                return None;
            }
        }
        self.compared += out.len();
        if self.compared > MAX_COMPARED {
            let text = format!("more than {MAX_COMPARED} values in all comparisons: compare with a list in one macro");
            self.wrong(Level::Error, of, values.first().map_or(0, |literal| literal.at), text);
            return None;
        }
        Some(out)
    }

    /// Lists that a comparison names which cannot be made.
    pub(super) fn mark_lists_used(&mut self, check: &Check) {
        let Operand::Values(values) = &check.right else { return };
        for value in values.iter().filter(|value| !value.is_quoted) {
            self.lists.get_mut(&value.text).into_iter().for_each(|known| known.used = true);
        }
    }

    fn expand(&mut self, name: &str, at: usize, way: &mut Vec<String>, out: &mut Vec<Literal>) -> Result<(), String> {
        if way.iter().any(|n| n == name) {
            return Err(format!("a list that holds itself: {} → {name}", way.join(" → ")));
        }
        if way.len() >= MAX_DEPTH {
            return Err(format!("lists in lists, deeper than {MAX_DEPTH}"));
        }
        let Some(list) = self.lists.get_mut(name) else { return Ok(()) };
        list.used = true;
        let items = list.items.clone();
        self.lists_read += 1;
        way.push(name.to_owned());
        for (item, ..) in items {
            if out.len() + self.lists_read >= MAX_LIST {
                return Err(format!("the list '{name}' has more than {MAX_LIST} values with those of the lists in it"));
            }
            if !item.is_quoted && self.lists.contains_key(&item.text) {
                self.expand(&item.text, at, way, out)?;
            } else {
                out.push(Literal { at, ..item });
            }
        }
        way.pop();
        Ok(())
    }
}
