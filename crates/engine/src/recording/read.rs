//! Reads a recording, and believes nothing in it.

use std::{
    collections::VecDeque,
    io::{self, BufRead, Read},
    sync::Arc,
};

use ethogram_detect::rules::File;
use ethogram_model::{Context, Event, EventSchema};

use super::{
    Header,
    entry::{self, Entry, Mark},
    frame::Unframer,
};
use crate::Input;

/// Events handed on at once.
const BATCH: usize = 1024;

/// Rule files in force at once.
const MAX_RULE_FILES: usize = 1024;

/// Why a file cannot be read as a recording at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
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
pub struct Damage {
    /// Where the frame begins that cannot be read.
    pub offset: u64,
    /// What is wrong with it.
    pub what: String,
    /// Events read before.
    pub events: u64,
    /// Frames read before.
    pub frames: u32,
}

/// What a recording holds, in its order.
#[derive(Debug)]
pub enum Item {
    /// What the engine took.
    Input(Input),
    /// These rule files come into force.
    Rules(Vec<File>),
    /// Anything else.
    Mark(Mark),
}

/// A recording that is being read.
pub struct Recorded<R> {
    /// What it says of itself.
    pub header: Header,
    frames: Unframer<R>,
    /// The frame at hand, and how much of it was read.
    frame: Vec<u8>,
    at: usize,
    /// Read already: two at most.
    items: VecDeque<Item>,
    batch: Vec<Event>,
    schemas: Vec<Arc<EventSchema>>,
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
    pub fn open(mut from: R) -> Result<Self, OpenError> {
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
    pub fn next_item(&mut self) -> Result<Option<Item>, Damage> {
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
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Goes on to the next frame. Returns whether there is one.
    fn read_frame(&mut self) -> Result<bool, String> {
        self.hand_on_events();
        match (self.frames.next_frame()?, self.closed) {
            (None, true) => Ok(false),
            (None, false) => {
                Err("the end is missing: the file was cut, or the recorder was killed or is still running".into())
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
        let taken = entry::take(&mut left, self.header.version)?;
        self.at = self.frame.len() - left.len();
        match taken {
            Entry::Event { schema, time_ns, record, answers } => {
                let known = self.schemas.get(usize::from(schema));
                let schema = known.ok_or_else(|| format!("an event has the unknown schema {schema}"))?;
                let schema = Arc::clone(schema);
                let context = Context { answers, ..Context::default() };
                self.batch.push(Event { schema, time_ns, record: record.into(), context });
                self.events += 1;
                if self.batch.len() >= BATCH {
                    self.hand_on_events();
                }
            }
            Entry::Input(mut input) => {
                self.hand_on_events();
                if let Input::Walk { cut, .. } = &mut input {
                    *cut |= std::mem::take(&mut self.is_patchy);
                }
                self.items.push_back(Item::Input(input));
            }
            Entry::Mark(mark) => {
                self.hand_on_events();
                let item = self.take_mark(mark)?;
                self.items.extend(item);
            }
        }
        Ok(())
    }

    fn take_mark(&mut self, mark: Mark) -> Result<Option<Item>, String> {
        match &mark {
            Mark::Tracker(tracker) => {
                if self.schemas.len() + tracker.events.len() > usize::from(u16::MAX) {
                    return Err("there are more schemas than the format has numbers for".into());
                }
                self.schemas.extend(tracker.events.iter().cloned());
            }
            Mark::RuleFile { name, text } => {
                if self.rules.len() >= MAX_RULE_FILES {
                    return Err(format!("there are more than {MAX_RULE_FILES} rule files"));
                }
                self.rules.push(File { name: name.as_str().into(), text: text.as_str().into() });
                return Ok(None);
            }
            Mark::Rules => return Ok(Some(Item::Rules(std::mem::take(&mut self.rules)))),
            Mark::Gap { .. } => self.is_patchy = true,
            Mark::Forget => {
                self.schemas.clear();
                return Ok(None);
            }
            Mark::Closed => {
                self.closed = true;
                return Ok(None);
            }
            _ => {}
        }
        Ok(Some(Item::Mark(mark)))
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
