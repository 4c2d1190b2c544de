//! Examples in rule files: events that a rule must hit, and others that it must miss.

use std::sync::Arc;

use ethogram_model::{EventSchema, TrackerSchema, build};

use super::{document::Example, judge::Rules, set::RuleSet};

/// What came of an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The rule that it is of.
    pub rule: Arc<str>,
    /// The file that it stands in, and the line.
    pub place: String,
    /// Why it failed; nothing where it did not.
    pub failure: Option<String>,
}

/// Tries all examples of a set's rules. A disabled rule's examples are tried as well.
pub fn check_examples(files: &[super::File], trackers: &[Arc<TrackerSchema>]) -> Vec<Outcome> {
    let mut set = RuleSet::load(files, trackers).set;
    set.enable_all(trackers);
    let mut rules = Rules::new(Arc::new(set));
    let set = Arc::clone(rules.set());
    let mut out = Vec::new();
    for def in &set.definitions.rules {
        for example in &def.examples {
            let file = files.get(example.file).map_or("", |f| &f.name);
            let failure = try_example(&mut rules, &def.name, example, trackers).err();
            out.push(Outcome { rule: Arc::clone(&def.name), place: format!("{file}:{}", example.at.line), failure });
        }
    }
    out
}

fn try_example(
    rules: &mut Rules,
    rule: &Arc<str>,
    example: &Example,
    trackers: &[Arc<TrackerSchema>],
) -> Result<(), String> {
    let first = |key: &str| example.fields.iter().find(|(k, _)| k == key).and_then(|(_, v)| v.first());
    let (Some(tracker), Some(event)) = (first("tracker"), first("event")) else {
        return Err("an example names its 'tracker' and its 'event'".into());
    };
    let schema = schema(trackers, tracker, event).ok_or_else(|| format!("there is no event {tracker}.{event}"))?;
    let fields: Vec<_> =
        example.fields.iter().filter(|(k, _)| !matches!(k.as_str(), "tracker" | "event" | "time")).cloned().collect();
    let event = build::event(schema, &fields)?;
    let matching = rules.matching(&event);
    match (example.hits, matching.contains(rule)) {
        (true, false) => Err("the rule misses it".into()),
        (false, true) => Err("the rule hits it, but should not".into()),
        _ => Ok(()),
    }
}

fn schema<'t>(trackers: &'t [Arc<TrackerSchema>], tracker: &str, event: &str) -> Option<&'t Arc<EventSchema>> {
    trackers.iter().find(|t| *t.name == *tracker)?.events.iter().find(|e| *e.name == *event)
}
