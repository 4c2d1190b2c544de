//! Comparisons of names that no process can have.

use super::{
    super::{
        condition::{Check, Literal, Op, Operand},
        field::{ProcessPart, Source},
        prepared::{Known, What},
        problem::Level,
    },
    Definer, Written,
};

/// Bytes of a process's name that the kernel keeps.
const LONGEST_NAME: usize = 15;

impl Definer<'_> {
    /// A longer name than processes have is never met.
    pub(super) fn warn_of_long_names(&mut self, term: usize, literals: &[&Literal], of: Written<'_>, check: &Check) {
        if !self.is_name(term) || matches!(check.op, Op::Glob | Op::IGlob | Op::Regex | Op::Exists) {
            return;
        }
        let is_long = |literal: &Literal| literal.text.len() > LONGEST_NAME;
        let name = &check.left.field;
        let said = |text: &str| format!("{name} has at most {LONGEST_NAME} bytes, so it is never '{text}'");
        let Operand::Values(written) = &check.right else { return };
        let of_list = |literal: &Literal| !literal.is_quoted && self.lists.contains_key(&literal.text);
        let own: Vec<&Literal> = written.iter().filter(|literal| !of_list(literal)).collect();
        for literal in own.iter().filter(|literal| is_long(literal)) {
            self.wrong(Level::Warning, of, literal.at.max(check.at), said(&literal.text));
        }
        // Lists may be meant for other fields, too: only one of which nothing is left is a slip.
        if let (true, Some(first), true) = (own.is_empty(), literals.first(), literals.iter().all(|l| is_long(l))) {
            self.wrong(Level::Warning, of, check.at, said(&first.text));
        }
    }

    fn is_name(&self, term: usize) -> bool {
        use Source::{Ancestor, Parent, Process};
        let Some(term) = self.done.terms.get(term).filter(|term| term.transformers.is_empty()) else { return false };
        let What::Falco(Known(field)) = &term.what else { return false };
        matches!(
            field.source,
            Process(ProcessPart::Name | ProcessPart::SessionName)
                | Parent(ProcessPart::Name)
                | Ancestor(ProcessPart::Name)
        )
    }
}
