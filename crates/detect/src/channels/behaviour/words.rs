//! How behaviours are put in words: as the manifests of their trackers say. What earlier agents recorded and stored has no words,
//! so those of that time stand here; no others are added.

use std::borrow::Cow;

use ethogram_model::BehaviourWords;

use super::Behaviour;

/// Of one operation of that time.
struct Earlier {
    operation: &'static str,
    sentence: &'static str,
    first: &'static str,
    heading: &'static str,
}

const fn earlier(
    operation: &'static str,
    sentence: &'static str,
    first: &'static str,
    heading: &'static str,
) -> Earlier {
    Earlier { operation, sentence, first, heading }
}

/// In the order in which a reader wants to see them: what runs, whom it talks to, what it changes.
const EARLIER: [Earlier; 8] = [
    earlier("execute", "ran {object}", "it never ran a program before", "what starts what"),
    earlier("connect", "connected to {object}", "it never connected to anything before", "who talks to whom"),
    earlier("listen", "listened on {object}", FIRST, "on which ports"),
    earlier("accept", "accepted a connection on {object}", FIRST, "clients, by port"),
    earlier("write", "wrote {object}", FIRST, "who writes what"),
    earlier("read", "read {object}", FIRST, "who reads which secrets"),
    earlier("generate", "made code in memory ({object})", "it never made code before", "who makes code in memory"),
    earlier("trace", "reached into the memory of {object}", FIRST, "who reaches into whose memory"),
];
const FIRST: &str = "it never did that to anybody before";

const EARLIER_OBJECTS: [(&str, &str); 3] = [
    ("writable_executable", "writable and executable at once"),
    ("made_executable", "executable once it was written"),
    ("executable_memfd", "from a file in memory only"),
];

fn find(operation: &str) -> Option<&'static Earlier> {
    EARLIER.iter().find(|earlier| earlier.operation == operation)
}

/// In which order a reader wants to see the operations; those of other trackers after these.
pub(crate) fn rank(operation: &str) -> usize {
    EARLIER.iter().position(|earlier| earlier.operation == operation).unwrap_or(EARLIER.len())
}

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
        None => EARLIER_OBJECTS.iter().find(|(word, _)| *word == object).map(|(_, meaning)| Cow::Borrowed(*meaning)),
    }
}

/// What is said of an executable that does such a thing for the first time.
pub(super) fn first<'a>(behaviour: &Behaviour<'a>) -> &'a str {
    let own = behaviour.words.and_then(|words| words.first.as_deref());
    own.or_else(|| find(behaviour.operation).map(|earlier| earlier.first)).unwrap_or(FIRST)
}
