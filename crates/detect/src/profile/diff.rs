//! What two profiles have not in common, as a reviewer wants to see it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use ethogram_model::render::escape;
use serde::{Deserialize, Serialize};

use super::{Profile, file::natural};
use crate::channels::behaviour::{Executable, Operation, Unjudged};

/// What differs between two profiles. Counts, times and alerts do not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileDiff {
    /// The workload whose profile is the first.
    pub from: String,
    /// The workload whose profile is the second.
    pub to: String,
    /// Operations in which they differ.
    pub operations: Vec<OperationDiff>,
}

/// In what two profiles differ of one operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationDiff {
    /// `execute`, `write`, ...
    pub operation: String,
    /// What is not judged of it, by the first and by the second, where that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unjudged: Option<(Unjudged, Unjudged)>,
    /// By executable; executions by the parent's.
    pub executables: Vec<ExecutableDiff>,
}

/// In what they differ of one executable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutableDiff {
    /// Its name.
    pub executable: String,
    /// What only the first has.
    pub removed: Vec<String>,
    /// What only the second has.
    pub added: Vec<String>,
}

impl ProfileDiff {
    /// What differs from one to the other.
    pub fn of(from: &Profile, to: &Profile) -> Self {
        let names: BTreeSet<&String> = operations(from).keys().chain(operations(to).keys()).collect();
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_by_key(|name| {
            let both = [from, to].into_iter().filter_map(|profile| operations(profile).get(*name));
            both.map(|operation| operation.rank(name)).min()
        });
        let nothing = Operation::default();
        let operations = names.into_iter().filter_map(|name| {
            let [from, to] = [from, to].map(|profile| operations(profile).get(name).unwrap_or(&nothing));
            operation(name, from, to)
        });
        Self { operations: operations.collect(), from: from.workload.name.clone(), to: to.workload.name.clone() }
    }

    /// Whether both have the same.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// As text, safe in a terminal: `-` before what only the first has, `+` before what only the second has.
    pub fn render(&self) -> String {
        // Writing to a string does not fail.
        let mut out = format!("--- {}\n+++ {}\n", escape(&self.from), escape(&self.to));
        for operation in &self.operations {
            let _ = writeln!(out, "\n{}", escape(&operation.operation));
            if let Some((from, to)) = operation.unjudged {
                for (sign, unjudged) in [('-', from), ('+', to)].iter().filter(|(_, u)| *u != Unjudged::Nothing) {
                    let _ = writeln!(out, "{sign} ({})", unjudged.words());
                }
            }
            for executable in &operation.executables {
                let _ = writeln!(out, "  {}", escape(&executable.executable));
                for (sign, objects) in [('-', &executable.removed), ('+', &executable.added)] {
                    for object in objects {
                        let _ = writeln!(out, "{sign}   {}", escape(object));
                    }
                }
            }
        }
        out
    }
}

fn operations(profile: &Profile) -> &BTreeMap<String, Operation> {
    &profile.channels.behaviour.operations
}

fn operation(name: &str, from: &Operation, to: &Operation) -> Option<OperationDiff> {
    let names: BTreeSet<&String> = from.executables.keys().chain(to.executables.keys()).collect();
    let executables = names.into_iter().filter_map(|name| {
        let (from, to) = (objects(from.executables.get(name)), objects(to.executables.get(name)));
        let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| {
            let mut only: Vec<String> = a.difference(b).cloned().collect();
            only.sort_by(|a, b| natural(a).cmp(&natural(b)));
            only
        };
        let (removed, added) = (only(&from, &to), only(&to, &from));
        let differs = !removed.is_empty() || !added.is_empty();
        differs.then(|| ExecutableDiff { executable: name.clone(), removed, added })
    });
    let executables: Vec<_> = executables.collect();
    let unjudged = (from.unjudged != to.unjudged).then_some((from.unjudged, to.unjudged));
    let differs = unjudged.is_some() || !executables.is_empty();
    differs.then(|| OperationDiff { operation: name.to_owned(), unjudged, executables })
}

fn objects(executable: Option<&Executable>) -> BTreeSet<String> {
    executable.into_iter().flat_map(|e| e.objects.patterns()).map(|(object, ..)| object).collect()
}
