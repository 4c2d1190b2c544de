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

impl Definer<'_> {
    pub(super) fn term(&mut self, term: &Term, of: Written<'_>) -> Option<(usize, Type)> {
        match self.term_def(term) {
            Ok((def, kind)) => Some((self.intern(def), kind)),
            Err(text) => {
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
    pub(super) fn term_def(&self, term: &Term) -> Result<(TermDef, Type), String> {
        let transformers = term.transformers.clone();
        let (what, argument, kind) = self.field(&term.field, term.argument.as_deref())?;
        let kind = match transformers.last() {
            None => kind,
            Some(Transformer::Length) => Type::Number,
            Some(_) if matches!(kind, Type::Text | Type::Texts | Type::Any) => kind,
            Some(_) => return Err(format!("{} is {}, which no transformer changes", term.field, kind.name())),
        };
        Ok((TermDef { what, argument, transformers }, kind))
    }

    fn field(&self, name: &str, argument: Option<&str>) -> Result<(What, Option<String>, Type), String> {
        let as_argument = |name: &str| (What::Argument(format!("evt.arg.{name}")), None, Type::Any);
        if let Some(name) = name.strip_prefix("evt.arg.").or_else(|| name.strip_prefix("evt.rawarg.")) {
            return Ok(as_argument(name));
        }
        if let (true, Some(name)) = (matches!(name, "evt.arg" | "evt.rawarg"), argument) {
            return Ok(as_argument(name));
        }
        if let Some(known) = field::find(name) {
            match (known.argument, argument) {
                (Argument::None, Some(_)) => return Err(format!("{name} takes no argument")),
                (Argument::Needed, None) => return Err(format!("{name} needs an argument: {name}[...]")),
                _ => {}
            }
            // Of the ancestors one is a single text.
            let kind = match (known.kind, argument) {
                (Type::Texts, Some(n)) if n.parse::<u8>().is_err() => {
                    return Err(format!("the argument of {name} counts ancestors: {name}[2]"));
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
        Err(format!("there is no field '{name}'{near}"))
    }
}

pub(super) fn type_of(kind: ethogram_model::FieldKind) -> Type {
    use ethogram_model::FieldKind as Kind;
    match kind {
        Kind::Unsigned | Kind::Signed | Kind::Duration | Kind::Id => Type::Number,
        Kind::Bool => Type::Bool,
        Kind::Ip => Type::Ip,
        Kind::Args | Kind::Names => Type::Texts,
        _ => Type::Any,
    }
}
