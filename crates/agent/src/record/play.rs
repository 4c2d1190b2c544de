//! Takes a recording through the engine again: the same one that runs live, fed by another hand.

use std::{io::BufRead, sync::Arc};

use ethogram_detect::{
    Acceptance, Decision,
    rules::{File, RuleSet},
};
use ethogram_model::{Finding, TrackerSchema};

use super::{
    Account, Conditions, Damage, Header, OpenError,
    read::{Item, Recorded},
};
use crate::pipeline::{Consumer, Engine, Identity, Input};

/// A recording that is about to be played.
pub(crate) struct Player<R> {
    recorded: Recorded<R>,
    /// Under which conditions it was recorded.
    pub(crate) conditions: Conditions,
    /// The trackers there were at its begin.
    pub(crate) trackers: Vec<TrackerSchema>,
    /// The profiles learnt before, as JSON, by their workload.
    pub(crate) profiles: Vec<(String, String)>,
    /// The rule files that were in force at its begin.
    pub(crate) rules: Vec<File>,
    /// What had been accepted before.
    pub(crate) accepted: Vec<Acceptance>,
    /// What rules had found before: uids of findings, and how often.
    pub(crate) stories: Vec<(String, u64)>,
    /// Alerts that had been told before.
    pub(crate) alerts: Vec<Finding>,
    /// Whether rules that come into force while it is played do so again.
    pub(crate) follows_rules: bool,
    /// What follows those.
    first: Option<Item>,
}

/// What playing gave.
pub(crate) struct Played<C> {
    pub(crate) consumer: C,
    /// Events that were read.
    pub(crate) events: u64,
    /// Events, and other things the engine took, that were not recorded since the disk was too slow.
    pub(crate) missing: (u64, u64),
    /// When the first and the last thing happened, nanoseconds since the Unix epoch.
    pub(crate) span_ns: (u64, u64),
    /// Where each tracker's events had gone at the end.
    pub(crate) account: Vec<Account>,
    /// Where it could not be read any further.
    pub(crate) damage: Option<Damage>,
}

impl<R: BufRead> Player<R> {
    /// Reads all that comes before the first input.
    ///
    /// # Errors
    /// Where it is no recording that this agent understands.
    pub(crate) fn open(from: R) -> Result<Self, OpenError> {
        let mut player = Self {
            recorded: Recorded::open(from)?,
            conditions: Conditions::default(),
            trackers: Vec::new(),
            profiles: Vec::new(),
            rules: Vec::new(),
            accepted: Vec::new(),
            stories: Vec::new(),
            alerts: Vec::new(),
            follows_rules: true,
            first: None,
        };
        // Damage is met again when it is played.
        while let Ok(Some(item)) = player.recorded.next() {
            match item {
                Item::Conditions(conditions) => player.conditions = conditions,
                Item::Tracker(tracker) => player.trackers.push(tracker),
                Item::Profile(uid, profile) => player.profiles.push((uid, profile)),
                Item::Rules(files) => player.rules = files,
                Item::Accept(acceptance) => player.accepted.push(acceptance),
                Item::Stories(stories) => player.stories = stories,
                Item::Alert(alert) => player.alerts.push(*alert),
                other => {
                    player.first = Some(other);
                    break;
                }
            }
        }
        Ok(player)
    }

    /// What its events look like.
    pub(crate) fn schemas(&self) -> Vec<Arc<TrackerSchema>> {
        self.trackers.iter().cloned().map(Arc::new).collect()
    }

    /// What it says of itself.
    pub(crate) fn header(&self) -> &Header {
        &self.recorded.header
    }

    /// Plays it to its end, or to where it is damaged, as long as `goes_on` says so.
    pub(crate) fn play<C: Consumer>(mut self, consumer: C, goes_on: impl Fn(&C) -> bool) -> Played<C> {
        let roles = self.trackers.iter().filter_map(|t| t.role.map(|role| (t.name.clone(), role)));
        // Nobody answers: the answers are in the recording.
        let (asks, _) = tokio::sync::mpsc::channel(1);
        let schemas = self.schemas();
        let mut engine = Engine::new(Identity::new(roles, asks), consumer, None);
        let mut span = None;
        let (mut missing, mut account, mut has_ended) = ((0, 0), Vec::new(), false);
        let (mut next, mut damaged) = (self.first.take(), None);
        while goes_on(&engine.consumer) {
            match next.take() {
                Some(Item::Input(input)) => {
                    if let Some((first, last)) = times(&input) {
                        span = Some((span.map_or(first, |(first, _)| first), last));
                    }
                    has_ended |= matches!(input, Input::End(_));
                    engine.step(input);
                }
                Some(Item::Rules(files)) if self.follows_rules => {
                    let set = RuleSet::load(&files, &schemas).set;
                    engine.step(Input::Decision(Decision::Rules(Arc::new(set), files.into())));
                }
                Some(Item::Accept(acceptance)) => engine.step(Input::Decision(Decision::Accept(acceptance))),
                Some(Item::Profiles(decision)) => engine.step(Input::Decision(decision)),
                Some(Item::Revoke(id)) => engine.step(Input::Decision(Decision::Revoke(id))),
                Some(Item::Rules(_) | Item::Stories(_) | Item::Alert(_)) => {}
                Some(Item::Account(accounts)) => account = accounts,
                Some(Item::Gap { events, notes }) => missing = (missing.0 + events, missing.1 + notes),
                Some(Item::Conditions(_) | Item::Tracker(_) | Item::Profile(..)) | None => {}
            }
            match self.recorded.next() {
                Ok(None) => break,
                Ok(item) => next = item,
                Err(damage) => {
                    damaged = Some(damage);
                    break;
                }
            }
        }
        let span_ns = span.unwrap_or_default();
        if !has_ended {
            engine.step(Input::End(span_ns.1));
        }
        let events = self.recorded.events();
        Played { consumer: engine.consumer, events, missing, span_ns, account, damage: damaged }
    }
}

/// When the first and the last of it happened.
fn times(input: &Input) -> Option<(u64, u64)> {
    match input {
        Input::Events(batch) => Some((batch.first()?.time_ns, batch.last()?.time_ns)),
        Input::Walk { now_ns, .. } | Input::Tick(now_ns) | Input::End(now_ns) => Some((*now_ns, *now_ns)),
        Input::Resolution(_)
        | Input::Processes(_)
        | Input::Users(_)
        | Input::Habits(_)
        | Input::Lost
        | Input::Decision(_) => None,
    }
}
