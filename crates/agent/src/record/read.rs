//! Reads a recording, and believes nothing in it.

use std::{
    collections::VecDeque,
    io::{self, BufRead, Read},
    sync::Arc,
};

use ethogram_detect::{Acceptance, Decision, rules::File};
use ethogram_model::{Event, EventSchema, Finding, TrackerSchema};

use super::{
    Account, Conditions, Header,
    entry::{self, Entry, Note},
    frame::Unframer,
};
use crate::{container::hierarchy::Walk, pipeline::Input};

/// Events handed on at once.
const BATCH: usize = 1024;

/// Rule files in force at once.
const MAX_RULE_FILES: usize = 1024;

/// Why a file cannot be read as a recording at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The system does not let us.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It is something else.
    #[error("is no recording: make one with 'ethogram record FILE', or with 'ethogram server --record FILE'")]
    Foreign,
    /// It was made by a later agent.
    #[error(
        "is a recording of version {version}, made by ethogram {agent}: this one reads up to version {}",
        Header::VERSION
    )]
    Later {
        /// The version of its format.
        version: u32,
        /// The version of the agent.
        agent: String,
    },
}

/// Where a recording stops making sense, and what was read before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("damaged at byte {offset}: {what}; read before: {events} events in {frames} frames")]
pub(crate) struct Damage {
    /// Where the frame begins that cannot be read.
    pub(crate) offset: u64,
    /// What is wrong with it.
    pub(crate) what: String,
    /// Events read before.
    pub(crate) events: u64,
    /// Frames read before.
    pub(crate) frames: u32,
}

/// What a recording holds, in its order.
#[derive(Debug)]
pub(crate) enum Item {
    /// Under which conditions it was recorded.
    Conditions(Conditions),
    /// What a tracker's events look like.
    Tracker(TrackerSchema),
    /// A profile learnt before, as the store has it: its workload, and the profile as JSON.
    Profile(String, String),
    /// These rule files come into force.
    Rules(Vec<File>),
    /// What rules had found before: uids of findings, and how often.
    Stories(Vec<(String, u64)>),
    /// An alert that had been told before.
    Alert(Box<Finding>),
    /// Something is normal from here on.
    Accept(Acceptance),
    /// It is not any more, by its id.
    Revoke(String),
    /// Something was decided of a profile.
    Profiles(Decision),
    /// What the engine took.
    Input(Input),
    /// Where each tracker's events went, up to here.
    Account(Vec<Account>),
    /// So many events and notes are missing here: they could not be written.
    Gap {
        /// Events.
        events: u64,
        /// Whatever else the engine took.
        notes: u64,
    },
}

/// A recording that is being read.
pub(crate) struct Recorded<R> {
    pub(crate) header: Header,
    frames: Unframer<R>,
    /// The frame at hand, and how much of it was read.
    frame: Vec<u8>,
    at: usize,
    /// Read already: two at most.
    items: VecDeque<Item>,
    batch: Vec<Event>,
    schemas: Vec<Arc<EventSchema>>,
    cgroups: Vec<(u64, String)>,
    rules: Vec<File>,
    /// Whether something is missing since the last walk: the next one may lack some of its cgroups.
    is_patchy: bool,
    events: u64,
    closed: bool,
    damage: Option<Damage>,
}

impl<R: BufRead> Recorded<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// Where it cannot be read, or is no recording that this agent understands.
    pub(crate) fn open(mut from: R) -> Result<Self, OpenError> {
        let mut line = Vec::new();
        from.by_ref().take(Header::MAX_LINE).read_until(b'\n', &mut line)?;
        let header = header(&line)?;
        let frames = Unframer::new(from, line.len() as u64)?;
        Ok(Self {
            header,
            frames,
            frame: Vec::new(),
            at: 0,
            items: VecDeque::new(),
            batch: Vec::new(),
            schemas: Vec::new(),
            cgroups: Vec::new(),
            rules: Vec::new(),
            is_patchy: false,
            events: 0,
            closed: false,
            damage: None,
        })
    }

    /// What comes next; nothing at the end.
    ///
    /// # Errors
    /// Where the recording is damaged or cut. All that was whole before has been given then.
    pub(crate) fn next(&mut self) -> Result<Option<Item>, Damage> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Ok(Some(item));
            }
            if let Some(damage) = &self.damage {
                return Err(damage.clone());
            }
            let (offset, frames) = (self.frames.offset, self.frames.number);
            let read = if self.at < self.frame.len() { self.read_entry().map(|()| true) } else { self.read_frame() };
            match read {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(what) => {
                    self.hand_on_events();
                    self.at = self.frame.len();
                    self.damage = Some(Damage { offset, what, events: self.events, frames });
                }
            }
        }
    }

    /// Events read so far.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// Goes on to the next frame. Returns whether there is one.
    fn read_frame(&mut self) -> Result<bool, String> {
        self.hand_on_events();
        match (self.frames.next()?, self.closed) {
            (None, true) => Ok(false),
            (None, false) => {
                Err("the end is missing: it was cut, or whoever recorded was killed or has not ended".into())
            }
            (Some(_), true) => Err("there is something behind the end".into()),
            (Some(frame), false) => {
                (self.frame, self.at) = (frame, 0);
                Ok(true)
            }
        }
    }

    fn read_entry(&mut self) -> Result<(), String> {
        let mut left = self.frame.get(self.at..).unwrap_or_default();
        let taken = entry::take(&mut left)?;
        self.at = self.frame.len() - left.len();
        match taken {
            Entry::Event { schema, time_ns, record } => {
                let known = self.schemas.get(usize::from(schema));
                let schema = known.ok_or_else(|| format!("an event has the unknown schema {schema}"))?;
                let schema = Arc::clone(schema);
                self.batch.push(Event { schema, time_ns, record: record.into(), context: Default::default() });
                self.events += 1;
                if self.batch.len() >= BATCH {
                    self.hand_on_events();
                }
            }
            Entry::Note(note) => {
                self.hand_on_events();
                self.take_note(note)?;
            }
        }
        Ok(())
    }

    fn take_note(&mut self, note: Note) -> Result<(), String> {
        let item = match note {
            Note::Conditions(conditions) => Item::Conditions(conditions),
            Note::Tracker(tracker) => {
                if self.schemas.len() + tracker.events.len() > usize::from(u16::MAX) {
                    return Err("there are more schemas than can be told apart".into());
                }
                self.schemas.extend(tracker.events.iter().cloned());
                Item::Tracker(tracker.into_owned())
            }
            Note::Profile { uid, profile } => Item::Profile(uid, profile),
            Note::RuleFile { name, text } => {
                if self.rules.len() >= MAX_RULE_FILES {
                    return Err(format!("there are more than {MAX_RULE_FILES} rule files"));
                }
                self.rules.push(File { name: name.into(), text: text.into() });
                return Ok(());
            }
            Note::Rules => Item::Rules(std::mem::take(&mut self.rules)),
            Note::Stories(stories) => Item::Stories(stories),
            Note::Alert(alert) => Item::Alert(alert),
            Note::Accept(acceptance) => Item::Accept(acceptance),
            Note::Revoke(id) => Item::Revoke(id),
            Note::ApproveProfile(uid) => Item::Profiles(Decision::ApproveProfile(uid)),
            Note::ResetProfile(uid) => Item::Profiles(Decision::ResetProfile(uid)),
            Note::ImportProfile(profile) => Item::Profiles(Decision::ImportProfile(profile)),
            Note::Cgroups(some) => {
                if self.cgroups.len() + some.len() > Walk::LIMIT {
                    return Err(format!("a walk has more than {} cgroups", Walk::LIMIT));
                }
                self.cgroups.extend(some);
                return Ok(());
            }
            Note::Walk { cut, started_ns, now_ns } => {
                let cut = cut || std::mem::take(&mut self.is_patchy);
                let walk = Walk { cgroups: std::mem::take(&mut self.cgroups), cut };
                Item::Input(Input::Walk { walk, started_ns, now_ns })
            }
            Note::Processes(found) => Item::Input(Input::Processes(found)),
            Note::Resolution(resolution) => Item::Input(Input::Resolution(resolution)),
            Note::Users(users) => Item::Input(Input::Users(users)),
            Note::Lost => Item::Input(Input::Lost),
            Note::Habits(counts) => Item::Input(Input::Habits(counts)),
            Note::Tick(now_ns) => Item::Input(Input::Tick(now_ns)),
            Note::End(now_ns) => Item::Input(Input::End(now_ns)),
            Note::Account(account) => Item::Account(account),
            Note::Gap { events, notes } => {
                self.is_patchy = true;
                Item::Gap { events, notes }
            }
            Note::Forget => {
                self.schemas.clear();
                return Ok(());
            }
            Note::Closed => {
                self.closed = true;
                return Ok(());
            }
        };
        self.items.push_back(item);
        Ok(())
    }

    fn hand_on_events(&mut self) {
        if !self.batch.is_empty() {
            self.items.push_back(Item::Input(Input::Events(std::mem::take(&mut self.batch))));
        }
    }
}

fn header(line: &[u8]) -> Result<Header, OpenError> {
    #[derive(serde::Deserialize)]
    struct Any {
        format: String,
        version: u32,
        #[serde(default)]
        agent: String,
    }
    let any: Any = serde_json::from_slice(line).map_err(|_| OpenError::Foreign)?;
    if any.format != Header::FORMAT {
        return Err(OpenError::Foreign);
    }
    if any.version > Header::VERSION {
        return Err(OpenError::Later { version: any.version, agent: any.agent });
    }
    serde_json::from_slice(line).map_err(|_| OpenError::Foreign)
}
