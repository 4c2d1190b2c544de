//! Rule files: where they are, and when they change.

mod files;

use std::collections::BTreeMap;

use ethogram_detect::rules::RuleSet;

#[cfg(test)]
mod tests;

pub(crate) use files::{Mark, Origin, RuleFiles};

/// Events of which the kernel reports for rules only what passes its tests, and these as people read them.
pub(crate) fn tested(set: &RuleSet) -> BTreeMap<String, Vec<String>> {
    let mut tested = BTreeMap::new();
    for (tracker, events) in set.wanted_events() {
        for (event, tests) in events.into_iter().filter(|(_, tests)| !tests.is_empty()) {
            tested.insert(format!("{tracker}.{event}"), tests.iter().map(ToString::to_string).collect());
        }
    }
    tested
}
