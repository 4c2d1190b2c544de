//! Takes a recording through the engine again: the same one that runs live, fed by another hand.

use std::{collections::BTreeMap, io::BufRead, sync::Arc};

use ethogram_detect::{
    Acceptance, Decision, Trail,
    rules::{File, RuleSet},
};
use ethogram_model::{Finding, Incident, TrackerSchema};

use super::{
    Account, Conditions, Damage, Header, OpenError,
    entry::Mark,
    read::{Item, Recorded},
};
use crate::{Consumer, Effects, Engine, Input, identity::Identity};

/// A recording that is about to be played.
pub struct Player<R> {
    recorded: Recorded<R>,
    /// Under which conditions it was recorded.
    pub conditions: Conditions,
    /// The trackers there were at its begin.
    pub trackers: Vec<TrackerSchema>,
    /// The profiles learnt before, as JSON, by their workload.
    pub profiles: Vec<(String, String)>,
    /// The rule files that were in force at its begin.
    pub rules: Vec<File>,
    /// What had been accepted before.
    pub accepted: Vec<Acceptance>,
    /// What rules had found before: uids of findings, and how often.
    pub groups: Vec<(String, u64)>,
    /// Alerts that were raised before.
    pub alerts: Vec<Finding>,
    /// Incidents that were before.
    pub incidents: Vec<Incident>,
    /// What was stored of these besides, by their uids.
    pub trails: BTreeMap<String, Trail>,
    /// Whether rules that come into force while it is played do so again.
    pub follows_rules: bool,
    /// What follows those.
    first: Option<Item>,
}

/// What playing gave.
pub struct Played<C> {
    /// The consumer, as it was at the end.
    pub consumer: C,
    /// Events that were read.
    pub events: u64,
    /// Events, and other things the engine took, that were not recorded since the disk was too slow.
    pub missing: (u64, u64),
    /// When the first and the last thing happened, nanoseconds since the Unix epoch.
    pub span_ns: (u64, u64),
    /// Where each tracker's events had gone at the end.
    pub account: Vec<Account>,
    /// Where it could not be read any further.
    pub damage: Option<Damage>,
}

impl<R: BufRead> Player<R> {
    /// Reads all that comes before the first input.
    ///
    /// # Errors
    /// Where it is no recording that this agent understands.
    pub fn open(from: R) -> Result<Self, OpenError> {
        let mut player = Self {
            recorded: Recorded::open(from)?,
            conditions: Conditions::default(),
            trackers: Vec::new(),
            profiles: Vec::new(),
            rules: Vec::new(),
            accepted: Vec::new(),
            groups: Vec::new(),
            alerts: Vec::new(),
            incidents: Vec::new(),
            trails: BTreeMap::new(),
            follows_rules: true,
            first: None,
        };
        // Damage is met again when it is played.
        while let Ok(Some(item)) = player.recorded.next_item() {
            match item {
                Item::Mark(Mark::Conditions(conditions)) => player.conditions = conditions,
                Item::Mark(Mark::Tracker(tracker)) => player.trackers.push(tracker.into_owned()),
                Item::Mark(Mark::Profile { uid, profile }) => player.profiles.push((uid, profile)),
                Item::Rules(files) => player.rules = files,
                Item::Mark(Mark::Accept(acceptance)) => player.accepted.push(acceptance),
                Item::Mark(Mark::Groups(groups)) => player.groups = groups,
                Item::Mark(Mark::Alert(alert)) => player.alerts.push(*alert),
                Item::Mark(Mark::Incident(incident)) => player.incidents.push(*incident),
                Item::Mark(Mark::Trail(trail)) => _ = player.trails.insert(trail.uid.clone(), *trail),
                other => {
                    player.first = Some(other);
                    break;
                }
            }
        }
        Ok(player)
    }

    /// What its events look like.
    pub fn schemas(&self) -> Vec<Arc<TrackerSchema>> {
        self.trackers.iter().cloned().map(Arc::new).collect()
    }

    /// What it says of itself.
    pub fn header(&self) -> &Header {
        &self.recorded.header
    }

    /// Plays it to its end, or to where it is damaged, or until `apply` returns false. What each step leads to goes to `apply`.
    pub fn play<C: Consumer>(mut self, consumer: C, mut apply: impl FnMut(Effects) -> bool) -> Played<C> {
        let roles = self.trackers.iter().filter_map(|t| t.role.map(|role| (t.name.clone(), role)));
        let schemas = self.schemas();
        let mut engine = Engine::new(Identity::new(roles), consumer, None);
        let (mut span, mut missing, mut account) = (None, (0_u64, 0_u64), Vec::new());
        let (mut has_ended, mut goes_on) = (false, true);
        let (mut next, mut damaged) = (self.first.take(), None);
        while goes_on {
            let input = match next.take() {
                Some(Item::Input(input)) => Some(input),
                Some(Item::Rules(files)) if self.follows_rules => {
                    let set = RuleSet::load(&files, &schemas).set;
                    Some(Input::Decision(Decision::Rules(Arc::new(set), files.into())))
                }
                Some(Item::Mark(Mark::Accept(acceptance))) => {
                    Some(Input::Decision(Decision::Accept(Box::new(acceptance))))
                }
                Some(Item::Mark(Mark::Account(accounts))) => {
                    account = accounts;
                    None
                }
                Some(Item::Mark(Mark::Gap { events, notes })) => {
                    missing = (missing.0.saturating_add(events), missing.1.saturating_add(notes));
                    None
                }
                Some(Item::Rules(_) | Item::Mark(_)) | None => None,
            };
            if let Some(input) = input {
                if let Some((first, last)) = input.span_ns() {
                    span = Some((span.map_or(first, |(first, _)| first), last));
                }
                has_ended |= matches!(input, Input::End(_));
                goes_on = apply(engine.step(input));
            }
            match self.recorded.next_item() {
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
            apply(engine.step(Input::End(span_ns.1)));
        }
        let events = self.recorded.events();
        Played { consumer: engine.consumer, events, missing, span_ns, account, damage: damaged }
    }
}
