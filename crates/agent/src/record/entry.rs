//! Entries: one byte for the kind, four for the length, and then an event as it came from its ring, or a note as JSON.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use ethogram_detect::{Acceptance, HabitCount, Profile as Learnt, Settings};
use ethogram_model::{Event, Finding, TrackerSchema, Users};
use ethogram_probe::TrackerStatus;
use serde::{Deserialize, Serialize};

use super::frame::MAX_ENTRY;
use crate::{
    container::resolver::Resolution,
    pipeline::{Selection, found::Found},
};

const HEAD: usize = 5;
const EVENT: u8 = b'e';
const NOTE: u8 = b'n';
/// Bytes of an event before its record: which schema, and its time.
const EVENT_HEAD: usize = 10;

/// An entry as it lies in a frame.
pub(super) enum Entry<'a> {
    /// An event.
    Event {
        /// The place of its schema among all that were told.
        schema: u16,
        /// Nanoseconds since the Unix epoch.
        time_ns: u64,
        /// As it came from its ring, secrets masked.
        record: &'a [u8],
    },
    /// Anything else.
    Note(Note),
}

/// Whatever is no event.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Note {
    /// Under which conditions it was recorded. The first of all.
    Conditions(Conditions),
    /// What a tracker's events look like. Those of them are counted on from the ones told before.
    Tracker(Cow<'static, TrackerSchema>),
    /// A profile that had been learnt before, as the store has it.
    Profile { uid: String, profile: String },
    /// A rule file, of those that come into force next.
    RuleFile { name: String, text: String },
    /// The rule files told since the last such note are in force.
    Rules,
    /// What rules had found before: uids of findings, and how often.
    Stories(Vec<(String, u64)>),
    /// An alert that was told before.
    Alert(Box<Finding>),
    /// Something is normal.
    Accept(Acceptance),
    /// It is not any more.
    Revoke(String),
    /// The profile of a workload is right as it is.
    ApproveProfile(String),
    /// A workload is to be learnt anew.
    ResetProfile(String),
    /// A profile is to be judged by.
    ImportProfile(Box<Learnt>),
    /// Some of the cgroups of the walk that follows.
    Cgroups(Vec<(u64, String)>),
    /// A walk of the hierarchy.
    Walk { cut: bool, started_ns: u64, now_ns: u64 },
    /// Processes that were there already.
    Processes(Vec<Found>),
    /// What a runtime said of a container.
    Resolution(Resolution),
    /// What users and groups are called on the host.
    Users(Arc<Users>),
    /// What the kernel has counted of habits.
    Habits(Vec<HabitCount>),
    /// Events were lost of late.
    Lost,
    /// Time goes by.
    Tick(u64),
    /// The engine has ended.
    End(u64),
    /// Where each tracker's events went, up to now.
    Account(Vec<Account>),
    /// What could not be written is missing here: so many events, and so many notes.
    Gap { events: u64, notes: u64 },
    /// The schemas told so far count no more.
    Forget,
    /// Nothing follows.
    Closed,
}

/// What the result depends on besides what happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Conditions {
    /// Whose events were wanted.
    pub(crate) selection: Selection,
    /// How long a workload is learnt, nanoseconds.
    pub(crate) learning_period_ns: u64,
    /// How many alerts a day new behaviour may lead to. Older recordings do not say.
    #[serde(default)]
    pub(crate) alerts_per_day: Option<u32>,
    /// After how long a behaviour is forgotten, nanoseconds.
    #[serde(default)]
    pub(crate) forget_after_ns: Option<u64>,
    /// Whether what is usual was counted where it came from.
    #[serde(default)]
    pub(crate) habituation: bool,
    /// Whether nothing is learnt.
    #[serde(default)]
    pub(crate) is_locked: bool,
}

impl Conditions {
    /// What events are recorded under.
    pub(crate) fn of(selection: Selection, settings: &Settings) -> Self {
        Self {
            selection,
            learning_period_ns: settings.learning_period_ns,
            alerts_per_day: Some(settings.alerts_per_day),
            forget_after_ns: Some(settings.forget_after_ns),
            habituation: settings.habituation,
            is_locked: settings.is_locked,
        }
    }

    /// How the model learns under them.
    pub(crate) fn settings(&self) -> Settings {
        let usual = Settings::default();
        Settings {
            learning_period_ns: self.learning_period_ns,
            alerts_per_day: self.alerts_per_day.unwrap_or(usual.alerts_per_day),
            forget_after_ns: self.forget_after_ns.unwrap_or(usual.forget_after_ns),
            habituation: self.habituation,
            is_locked: self.is_locked,
            ..usual
        }
    }
}

/// Where a tracker's events went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    /// The tracker.
    pub(crate) tracker: String,
    /// Events that its hooks met.
    pub(crate) seen: u64,
    /// Those handed on one by one.
    pub(crate) delivered: u64,
    /// Those counted in the kernel.
    pub(crate) aggregated: u64,
    /// Those nobody wanted, by reason.
    pub(crate) filtered: BTreeMap<String, u64>,
    /// Those lost, by stage and reason.
    pub(crate) dropped: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Account {
    pub(super) fn of(status: &TrackerStatus) -> Self {
        let counters = &status.counters;
        let mut dropped = BTreeMap::<String, BTreeMap<String, u64>>::new();
        for ((stage, reason), n) in &counters.dropped {
            dropped.entry(stage.clone()).or_default().insert(reason.clone(), *n);
        }
        Self {
            tracker: status.schema.name.to_string(),
            seen: counters.seen,
            delivered: counters.delivered,
            aggregated: counters.aggregated,
            filtered: counters.filtered.clone(),
            dropped,
        }
    }
}

/// Adds an event. Returns whether it fits.
pub(super) fn put_event(to: &mut Vec<u8>, schema: u16, event: &Event) -> bool {
    if event.record.len() > MAX_ENTRY - EVENT_HEAD {
        return false;
    }
    to.push(EVENT);
    to.extend_from_slice(&((event.record.len() + EVENT_HEAD) as u32).to_le_bytes());
    to.extend_from_slice(&schema.to_le_bytes());
    to.extend_from_slice(&event.time_ns.to_le_bytes());
    to.extend_from_slice(&event.record);
    true
}

/// Adds a note. Returns whether it fits.
pub(super) fn put_note(to: &mut Vec<u8>, note: &Note) -> bool {
    let begin = to.len();
    to.extend_from_slice(&[NOTE, 0, 0, 0, 0]);
    let written = serde_json::to_writer(&mut *to, note);
    let length = to.len() - begin - HEAD;
    if written.is_err() || length > MAX_ENTRY {
        to.truncate(begin);
        return false;
    }
    if let Some(place) = to.get_mut(begin + 1..begin + HEAD) {
        place.copy_from_slice(&(length as u32).to_le_bytes());
    }
    true
}

/// Takes the first entry off `bytes`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn take<'a>(bytes: &mut &'a [u8]) -> Result<Entry<'a>, String> {
    let cut = || "an entry is cut".to_owned();
    let (&[kind, a, b, c, d], rest) = bytes.split_first_chunk().ok_or_else(cut)?;
    let (body, rest) = rest.split_at_checked(u32::from_le_bytes([a, b, c, d]) as usize).ok_or_else(cut)?;
    *bytes = rest;
    match kind {
        EVENT => {
            let (schema, body) = body.split_first_chunk().ok_or_else(cut)?;
            let (time, record) = body.split_first_chunk().ok_or_else(cut)?;
            Ok(Entry::Event { schema: u16::from_le_bytes(*schema), time_ns: u64::from_le_bytes(*time), record })
        }
        NOTE => serde_json::from_slice(body).map(Entry::Note).map_err(|e| format!("a note cannot be understood: {e}")),
        other => Err(format!("there is an entry of an unknown kind ({other})")),
    }
}
