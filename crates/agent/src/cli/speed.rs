//! `ethogram profile cost`: how fast the behaviour model learns and judges recorded events.

use std::{
    collections::BTreeMap,
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::bail;
use ethogram_detect::{Model, Settings};
use ethogram_model::Event;
use serde_json::json;

use super::{ListFormat, replay};
use crate::output;

/// Events of a recording that are judged over and over.
const MOST_EVENTS: usize = 200_000;
/// How long each is repeated at least.
const LONG_ENOUGH: Duration = Duration::from_secs(2);
/// Longer than such a recording, and no longer than the model lets go by at a time.
const LEARNING_NS: u64 = 3_600_000_000_000;

/// Learns a recording's events, and judges them by what was learnt. They are made once, so that nothing else is measured.
pub(super) fn measure(recording: &Path, output: ListFormat) -> anyhow::Result<()> {
    let mut events = replay::events(recording, MOST_EVENTS)?;
    // Where there is no workload the model has nothing to do, and would look fast.
    events.retain(|event| event.context.container.as_ref().is_some_and(|c| c.image.is_some()));
    let Some(last_ns) = events.iter().map(|event| event.time_ns).max() else {
        bail!("{} has no events of containers whose image is known", recording.display());
    };
    let (mut model, new, known) = learn(&events);
    let learning = per_event(new.len(), || {
        let mut model = empty();
        new.iter().for_each(|event| drop(black_box(model.judge(event))));
    });
    // No more than a learning period goes by at a time.
    (0..3).for_each(|periods| model.advance(last_ns + periods * LEARNING_NS));
    let mut findings = 0;
    let all = per_event(events.len(), || findings += judge(&mut model, &events));
    let known_ns = per_event(known.len(), || findings += judge(&mut model, &known));
    let mut states = BTreeMap::new();
    model.profiles().iter().for_each(|p| *states.entry(p.state.name()).or_insert(0) += 1);
    let speed = json!({
        "profiles": states,
        "events": events.len(),
        "known": known.len(),
        "new": new.len(),
        "findings": findings,
        "events_per_second": all.map(|ns| 1e9 / ns),
        "event_ns": all,
        "known_ns": known_ns,
        "new_ns": learning,
    });
    output::print(&match output {
        ListFormat::Json => format!("{speed:#}\n"),
        ListFormat::Table => {
            let shown = |ns: Option<f64>| ns.map_or("-".to_owned(), |ns| format!("{ns:.0} ns"));
            let (known_number, new_number) = (known.len(), new.len());
            format!(
                "{} events: {} each; {known_number} known behaviours: {} each; {new_number} new while learning: {} each\n",
                events.len(),
                shown(all),
                shown(known_ns),
                shown(learning),
            )
        }
    })?;
    Ok(())
}

fn empty() -> Model {
    Model::new(Settings { learning_period_ns: LEARNING_NS, ..Settings::default() })
}

/// A model that learnt the events; those that taught it something, and those that it knew by then.
fn learn(events: &[Event]) -> (Model, Vec<Event>, Vec<Event>) {
    let (mut model, mut new, mut known) = (empty(), Vec::new(), Vec::new());
    for event in events {
        let before = model.counters();
        drop(model.judge(event));
        let after = model.counters();
        if after.learnt > before.learnt {
            new.push(event.clone());
        } else if after.known > before.known {
            known.push(event.clone());
        }
    }
    (model, new, known)
}

fn judge(model: &mut Model, events: &[Event]) -> usize {
    events.iter().map(|event| model.judge(event).len()).sum()
}

/// Nanoseconds for one of so many: the median of many rounds.
fn per_event(number: usize, mut round: impl FnMut()) -> Option<f64> {
    if number == 0 {
        return None;
    }
    let began = Instant::now();
    let mut rounds = Vec::new();
    while began.elapsed() < LONG_ENOUGH || rounds.len() < 5 {
        let start = Instant::now();
        round();
        rounds.push(start.elapsed().as_secs_f64() * 1e9 / number as f64);
    }
    rounds.sort_by(f64::total_cmp);
    rounds.get(rounds.len() / 2).copied()
}
