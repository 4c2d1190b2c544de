//! Which fields terms name, and what their values are.

use super::{
    super::{
        condition::{Term, Transformer},
        field::{self, Argument, Type},
        prepared::{Known, TermDef, What},
        problem::Level,
    },
    Definer, Written,
};

/// Why a term names no value.
pub(super) enum Refusal {
    /// There is no such field here: a newer engine may have it, or a plugin.
    Unknown(String),
    /// It is not written as it has to be.
    Wrong(String),
}

impl Definer<'_> {
    /// A field that there is not keeps the rule that asks for it from firing, and no other.
    fn lack(&mut self, of: Written<'_>, at: usize, text: String) {
        // Of a macro, each rule says it that uses it.
        if self.open.is_empty() && !self.skips_unknown {
            self.wrong(Level::Warning, of, at, format!("the rule cannot fire: {text}"));
        }
        if !self.unmapped.contains(&text) {
            self.unmapped.push(text);
        }
    }

    /// The same where a macro asks for it.
    pub(super) fn lack_of_macro(&mut self, name: &str, of: Written<'_>, at: usize) {
        let lacks = self.macros.get(name).map(|known| known.lacks.clone()).unwrap_or_default();
        for text in lacks {
            self.lack(of, at, text);
        }
    }

    pub(super) fn term(&mut self, term: &Term, of: Written<'_>) -> Option<(usize, Type)> {
        match self.term_def(term) {
            Ok((def, kind)) => Some((self.intern(def), kind)),
            Err(Refusal::Unknown(text)) => {
                self.lack(of, term.at, text);
                None
            }
            Err(Refusal::Wrong(text)) => {
                self.wrong(Level::Error, of, term.at, text);
                None
            }
        }
    }

    pub(super) fn intern(&mut self, def: TermDef) -> usize {
        if let Some(known) = self.terms.get(&def) {
            return *known;
        }
        self.done.terms.push(def.clone());
        self.terms.insert(def, self.done.terms.len() - 1);
        self.done.terms.len() - 1
    }

    /// Which field a term names, and what its values are.
    pub(super) fn term_def(&self, term: &Term) -> Result<(TermDef, Type), Refusal> {
        let transformers = term.transformers.clone();
        let (what, argument, kind) = self.field(&term.field, term.argument.as_deref())?;
        let kind = match transformers.last() {
            None => kind,
            Some(Transformer::Length) => Type::Number,
            Some(_) if matches!(kind, Type::Text | Type::Texts | Type::Any) => kind,
            Some(_) => {
                let text = format!("{} is {}, which no transformer changes", term.field, kind.name());
                return Err(Refusal::Wrong(text));
            }
        };
        Ok((TermDef { what, argument, transformers }, kind))
    }

    fn field(&self, name: &str, argument: Option<&str>) -> Result<(What, Option<String>, Type), Refusal> {
        let (of_call, of_kernel) = (["evt.arg.", "evt.arg"], ["evt.rawarg.", "evt.rawarg"]);
        for ([start, whole], is_raw) in [(of_call, false), (of_kernel, true)] {
            let called = name.strip_prefix(start).or(argument.filter(|_| name == whole));
            if let Some(called) = called {
                let called = format!("evt.arg.{called}");
                return Ok((if is_raw { What::RawArgument(called) } else { What::Argument(called) }, None, Type::Any));
            }
        }
        // A label may stand behind a dot, too.
        let labelled = ["k8s.pod.label", "container.label"].into_iter().find_map(|field| {
            Some((field, name.strip_prefix(field)?.strip_prefix('.').filter(|label| !label.is_empty())?))
        });
        let (name, argument) = match labelled {
            Some((field, label)) if argument.is_none() => (field, Some(label)),
            _ => (name, argument),
        };
        if let Some(known) = field::find(name) {
            match (known.argument, argument) {
                (Argument::None, Some(_)) => return Err(Refusal::Wrong(format!("{name} takes no argument"))),
                (Argument::Needed, None) => {
                    return Err(Refusal::Wrong(format!("{name} needs an argument: {name}[...]")));
                }
                _ => {}
            }
            // Of the ancestors one is a single text.
            let kind = match (known.kind, argument) {
                (Type::Texts, Some(n)) if n.parse::<u8>().is_err() => {
                    return Err(Refusal::Wrong(format!("the argument of {name} counts ancestors: {name}[2]")));
                }
                (Type::Texts, Some(_)) => Type::Text,
                (kind, _) => kind,
            };
            return Ok((What::Falco(Known(known)), argument.map(str::to_owned), kind));
        }
        if let Some(kind) = self.vocabulary.get(name) {
            return Ok((What::Vocabulary(name.to_owned()), None, *kind));
        }
        let falco = field::FIELDS.iter().map(|f| f.name);
        let near = self.near(name, falco.chain(self.vocabulary.keys().map(String::as_str)));
        Err(Refusal::Unknown(format!("there is no field '{name}'{near}")))
    }
}

pub(super) fn type_of(kind: ethogram_model::FieldKind) -> Type {
    use ethogram_model::FieldKind as Kind;
    match kind {
        Kind::Unsigned | Kind::Signed | Kind::Duration | Kind::Id => Type::Number,
        Kind::Bool | Kind::PathCut => Type::Bool,
        Kind::Ip => Type::Ip,
        Kind::Args | Kind::Names => Type::Texts,
        _ => Type::Any,
    }
}
