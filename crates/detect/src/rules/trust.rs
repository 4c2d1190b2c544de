//! What rules excuse by a name, which an attacker chooses.

use std::collections::BTreeSet;

use super::{
    condition::Op,
    prepared::{CheckDef, Prepared, What, With},
    set::RuleSet,
};

/// Names that an attacker chooses.
const CHOSEN: [&str; 9] = [
    "proc.name",
    "proc.exe",
    "proc.exepath",
    "proc.pname",
    "proc.pexe",
    "proc.pexepath",
    "proc.aname",
    "proc.aexe",
    "proc.sname",
];

impl RuleSet {
    /// The comparisons with names of programs that keep rules from firing, each with its rule. An attacker chooses names,
    /// so rules that are meant for everybody should ask for `proc.program` instead.
    pub fn excused_by_name(&self) -> BTreeSet<(String, String)> {
        let mut found = BTreeSet::new();
        for rule in &self.definitions.rules {
            let mut open = vec![(&rule.condition, false)];
            while let Some((part, is_negated)) = open.pop() {
                match part {
                    Prepared::And(all) | Prepared::Or(all) => open.extend(all.iter().map(|part| (part, is_negated))),
                    Prepared::Not(inside) => open.push((inside, !is_negated)),
                    Prepared::Macro(at) => {
                        open.extend(self.definitions.macros.get(*at).map(|(_, part)| (part, is_negated)));
                    }
                    Prepared::Check(at) => {
                        let Some(check) = self.definitions.checks.get(*at) else { continue };
                        if self.is_by_name(check) && is_negated != check.negated {
                            found.insert((rule.name.to_string(), check.text.to_string()));
                        }
                    }
                    Prepared::Never => {}
                }
            }
        }
        found
    }

    fn is_by_name(&self, check: &CheckDef) -> bool {
        let Some(term) = self.definitions.terms.get(check.term) else { return false };
        let What::Falco(known) = &term.what else { return false };
        let name = known.0.name;
        // Whether there is one at all is not chosen, and a whole path is where it lies.
        let is_there = matches!(check.with, With::Test(_)) && check.text.ends_with(Op::Exists.name());
        let is_place = name.ends_with("exepath") && term.transformers.is_empty();
        CHOSEN.contains(&name) && !is_there && !is_place
    }
}
