//! Entries: one byte for the kind, four for the length, and then an event as it came from its ring, or an input or a mark as
//! JSON.

use std::{borrow::Cow, sync::Arc};

use ethogram_detect::{Acceptance, Trail};
use ethogram_model::{Answer, Answers, Event, Finding, Incident, TrackerSchema};
use serde::{Deserialize, Serialize};

use super::{Account, Conditions, frame::MAX_ENTRY};
use crate::Input;

const HEAD: usize = 5;
const EVENT: u8 = b'e';
const ANSWERED: u8 = b'a';
const INPUT: u8 = b'n';
const MARK: u8 = b'm';
/// The version since which marks have a kind of their own.
const MARKS_SINCE: u32 = 3;
/// Bytes of an event before its record: which schema, and its time.
const EVENT_HEAD: usize = 10;
/// Bytes of an answer: the test that it is of, and what that gave.
const ANSWER: usize = 9;

/// An entry as it lies in a frame.
#[derive(Debug)]
pub enum Entry<'a> {
    /// An event.
    Event {
        /// The place of its schema among all that were declared.
        schema: u16,
        /// Nanoseconds since the Unix epoch.
        time_ns: u64,
        /// As it came from its ring, secrets masked.
        record: &'a [u8],
        /// What tests of rules gave of it before they were masked.
        answers: Option<Arc<Answers>>,
    },
    /// Any other input.
    Input(Input),
    /// What is no input.
    Mark(Mark),
}

/// What a recording holds besides inputs: what was there before the first, and where something is missing.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Under which conditions it was recorded. The first of all.
    Conditions(Conditions),
    /// What a tracker's events look like. Those of them are numbered on from the ones declared before.
    Tracker(Cow<'static, TrackerSchema>),
    /// A profile that had been learnt before.
    Profile {
        /// Its workload.
        uid: String,
        /// The profile, as the store has it.
        profile: String,
    },
    /// A rule file, of those that come into force next.
    RuleFile {
        /// Its name.
        name: String,
        /// Its text.
        text: String,
    },
    /// The rule files declared since the last such mark are in force.
    Rules,
    /// What rules had found before: uids of findings, and how often.
    #[serde(rename = "stories")]
    Groups(Vec<(String, u64)>),
    /// An alert that was raised before.
    Alert(Box<Finding>),
    /// An incident that was before.
    Incident(Box<Incident>),
    /// What was stored of such an incident besides.
    Trail(Box<Trail>),
    /// An entry of the allowlist that was made before.
    Accept(Acceptance),
    /// Where each tracker's events went, up to now.
    Account(Vec<Account>),
    /// What could not be written is missing here.
    Gap {
        /// So many events.
        events: u64,
        /// So many other entries.
        notes: u64,
    },
    /// The schemas declared so far count no more.
    Forget,
    /// Nothing follows.
    Closed,
}

/// Adds an event. Returns whether it fits.
pub fn put_event(to: &mut Vec<u8>, schema: u16, event: &Event) -> bool {
    let answers = event.context.answers.as_deref().filter(|answers| !answers.is_empty());
    let size = EVENT_HEAD + answers.map_or(0, |answers| 2 + answers.len() * ANSWER);
    if event.record.len() > MAX_ENTRY - size {
        return false;
    }
    to.push(if answers.is_some() { ANSWERED } else { EVENT });
    to.extend_from_slice(&((event.record.len() + size) as u32).to_le_bytes());
    to.extend_from_slice(&schema.to_le_bytes());
    to.extend_from_slice(&event.time_ns.to_le_bytes());
    if let Some(answers) = answers {
        to.extend_from_slice(&(answers.len() as u16).to_le_bytes());
        for (test, answer) in answers.iter() {
            to.extend_from_slice(&test.to_le_bytes());
            to.push(answer.to_byte());
        }
    }
    to.extend_from_slice(&event.record);
    true
}

/// Adds an input other than events. Returns whether it fits.
pub fn put_input(to: &mut Vec<u8>, input: &Input) -> bool {
    put_json(to, INPUT, input)
}

/// Adds a mark. Returns whether it fits.
pub fn put_mark(to: &mut Vec<u8>, mark: &Mark) -> bool {
    put_json(to, MARK, mark)
}

fn put_json(to: &mut Vec<u8>, kind: u8, value: &impl Serialize) -> bool {
    let begin = to.len();
    to.extend_from_slice(&[kind, 0, 0, 0, 0]);
    let written = serde_json::to_writer(&mut *to, value);
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

/// Takes the first entry off `bytes`, of a recording of that version.
///
/// # Errors
/// What is wrong with it.
pub fn take<'a>(bytes: &mut &'a [u8], version: u32) -> Result<Entry<'a>, String> {
    let cut = || "an entry is cut".to_owned();
    let (&[kind, a, b, c, d], rest) = bytes.split_first_chunk().ok_or_else(cut)?;
    let (body, rest) = rest.split_at_checked(u32::from_le_bytes([a, b, c, d]) as usize).ok_or_else(cut)?;
    *bytes = rest;
    match kind {
        EVENT | ANSWERED => {
            let (schema, body) = body.split_first_chunk().ok_or_else(cut)?;
            let (time, mut record) = body.split_first_chunk().ok_or_else(cut)?;
            let answers = if kind == ANSWERED { Some(Arc::new(take_answers(&mut record)?)) } else { None };
            let (schema, time_ns) = (u16::from_le_bytes(*schema), u64::from_le_bytes(*time));
            Ok(Entry::Event { schema, time_ns, record, answers })
        }
        INPUT if version < MARKS_SINCE => mixed(body),
        INPUT => serde_json::from_slice(body).map(Entry::Input).map_err(not_understood),
        MARK => serde_json::from_slice(body).map(Entry::Mark).map_err(not_understood),
        other => Err(format!("there is an entry of an unknown kind ({other})")),
    }
}

/// The answers before a record: their number, and each.
fn take_answers(bytes: &mut &[u8]) -> Result<Answers, String> {
    let cut = || "answers are cut".to_owned();
    let (count, rest) = bytes.split_first_chunk().ok_or_else(cut)?;
    let (all, record) = rest.split_at_checked(usize::from(u16::from_le_bytes(*count)) * ANSWER).ok_or_else(cut)?;
    *bytes = record;
    let answer = |one: &[u8]| {
        let (test, answer) = one.split_first_chunk()?;
        Some((u64::from_le_bytes(*test), Answer::from_byte(*answer.first()?)?))
    };
    let answers: Option<Vec<_>> = all.chunks_exact(ANSWER).map(answer).collect();
    answers.map(Answers::new).ok_or_else(|| "an answer is none".to_owned())
}

/// An entry of version 2, which had one kind for inputs, decisions and marks.
fn mixed(body: &[u8]) -> Result<Entry<'static>, String> {
    if let Ok(mark) = serde_json::from_slice(body) {
        return Ok(Entry::Mark(mark));
    }
    match serde_json::from_slice(body) {
        Ok(input) => Ok(Entry::Input(input)),
        Err(error) => match serde_json::from_slice(body) {
            Ok(decision) => Ok(Entry::Input(Input::Decision(decision))),
            Err(_) => Err(not_understood(error)),
        },
    }
}

fn not_understood(error: serde_json::Error) -> String {
    format!("an entry cannot be understood: {error}")
}
