//! Rule files, loaded and judged by.

use std::sync::Arc;

use ethogram_model::Event;

pub(super) use super::trackers::event;
use super::trackers::trackers;
use crate::rules::{File, Level, Loaded, RuleInfo, RuleSet, RuleState, Rules};

pub(super) fn load_files(texts: &[&str]) -> Loaded {
    let file = |(n, text): (usize, &&str)| File { name: format!("{n}.yaml").into(), text: (*text).into() };
    let files: Vec<File> = texts.iter().enumerate().map(file).collect();
    RuleSet::load(&files, &trackers())
}

pub(super) fn load(text: &str) -> Loaded {
    load_files(&[text])
}

/// Problems as they are shown.
pub(super) fn problems(loaded: &Loaded) -> Vec<String> {
    loaded.problems.iter().map(ToString::to_string).collect()
}

/// A file without a problem.
pub(super) fn right(text: &str) -> Rules {
    let loaded = load(text);
    assert_eq!(problems(&loaded), <[String; 0]>::default(), "{text}");
    Rules::new(Arc::new(loaded.set))
}

/// Its only rule, which has what keeps it from firing.
pub(super) fn cannot_fire(text: &str) -> (RuleInfo, String, Vec<String>) {
    let loaded = load(text);
    assert!(loaded.problems.iter().all(|p| p.level == Level::Warning), "{:?}", loaded.problems);
    let rules = loaded.set.rules();
    assert_eq!(rules.len(), 1);
    let RuleState::CannotFire(why) = rules[0].state.clone() else { panic!("it can fire: {text}") };
    (rules[0].clone(), why, problems(&loaded))
}

/// A rule file with one rule of this condition.
pub(super) fn rule(condition: &str) -> String {
    let condition = serde_json::Value::from(condition);
    format!("- rule: r\n  desc: d\n  output: o\n  priority: INFO\n  condition: {condition}\n")
}

/// Whether a condition holds for an event.
pub(super) fn holds(condition: &str, event: &Event) -> bool {
    !right(&rule(condition)).matching(event).is_empty()
}
