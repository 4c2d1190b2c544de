//! How behaviours are put in words: as the manifests of their trackers say.

use std::borrow::Cow;

use ethogram_model::BehaviourWords;

use super::{
    Behaviour,
    earlier::{self, find},
};

/// What is said of an executable that does something for the first time, where its manifest does not say.
const FIRST: &str = "it never did that to anybody before";

/// What is listed below an operation, where its manifest did not say.
pub(crate) fn heading(operation: &str) -> &'static str {
    find(operation).map_or("", |earlier| earlier.heading)
}

/// What was done, by whom, to what.
pub(super) fn sentence(behaviour: &Behaviour<'_>, who: &str, what: &str) -> String {
    let template = match behaviour.words {
        Some(words) => words.sentence.as_str(),
        None => find(behaviour.operation).map_or("", |earlier| earlier.sentence),
    };
    match template.split_once("{object}") {
        Some((before, after)) => format!("{who} {before}{what}{after}"),
        None if template.is_empty() => format!("{who} did {} to {what}", behaviour.operation),
        None => format!("{who} {template}"),
    }
}

/// What an object means that is a word itself.
pub(super) fn object<'a>(words: Option<&'a BehaviourWords>, object: &str) -> Option<Cow<'a, str>> {
    match words {
        Some(words) => words.objects.get(object).map(|meaning| Cow::Borrowed(meaning.as_str())),
        None => earlier::OBJECTS.iter().find(|(word, _)| *word == object).map(|(_, meaning)| Cow::Borrowed(*meaning)),
    }
}

/// What is said of an executable that does such a thing for the first time.
pub(super) fn first<'a>(behaviour: &Behaviour<'a>) -> &'a str {
    let own = behaviour.words.and_then(|words| words.first.as_deref());
    own.or_else(|| find(behaviour.operation)?.first).unwrap_or(FIRST)
}
