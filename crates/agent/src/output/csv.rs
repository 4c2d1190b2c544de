//! Events as RFC 4180, with one fixed header for all events of a tracker, safe to open in a spreadsheet.

use std::{
    collections::HashMap,
    io::{self, Write},
};

use csv::{Terminator, WriterBuilder};
use ethogram_model::{Event, TrackerSchema, render, vocabulary::CONTEXT};
use serde_json::Value as Json;

use super::Rows;

pub(super) struct Csv {
    header: Option<Vec<String>>,
    columns: HashMap<String, usize>,
    to: csv::Writer<Box<dyn Write + Send>>,
}

impl Csv {
    pub(super) fn new(tracker: &TrackerSchema, to: Box<dyn Write + Send>) -> Self {
        let header = header(tracker);
        let columns = header.iter().enumerate().map(|(i, name)| (name.clone(), i)).collect();
        let to = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(to);
        Self { header: Some(header), columns, to }
    }

    fn start(&mut self) -> io::Result<()> {
        self.header.take().map_or(Ok(()), |header| self.to.write_record(header).map_err(io_error))
    }
}

/// The common names, the context, and then the fields of every event, each once.
pub(super) fn header(tracker: &TrackerSchema) -> Vec<String> {
    let fields = |header: bool| {
        let all = tracker.events.iter().flat_map(|e| &e.fields);
        all.filter(move |f| f.header == header && !render::is_internal(f)).map(|f| f.name.as_str())
    };
    let mut out: Vec<String> = Vec::new();
    let context = CONTEXT.iter().filter(|f| f.shown.in_events).map(|f| f.name);
    for name in ["time", "tracker", "event"].into_iter().chain(fields(true)).chain(context).chain(fields(false)) {
        if !out.iter().any(|n| n == name) {
            out.push(name.to_owned());
        }
    }
    out
}

impl Rows for Csv {
    fn write(&mut self, event: &Event) -> io::Result<()> {
        self.start()?;
        let mut row = vec![String::new(); self.columns.len()];
        for (name, value) in render::flatten(event) {
            if let Some(cell) = self.columns.get(name.as_ref()).and_then(|i| row.get_mut(*i)) {
                *cell = text(value);
            }
        }
        self.to.write_record(row).map_err(io_error)
    }

    // Also where nothing has happened, a reader finds the header.
    fn flush(&mut self) -> io::Result<()> {
        self.start()?;
        self.to.flush()
    }
}

/// The writer's error as it was: that the reader has gone must be distinguished from a full disk.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn text(value: Json) -> String {
    match value {
        Json::String(text) => guarded(text),
        Json::Array(list) => {
            let words: Vec<_> = list.iter().map(|v| v.as_str().unwrap_or_default()).collect();
            guarded(words.join(" "))
        }
        number_or_bool => number_or_bool.to_string(),
    }
}

/// A spreadsheet would run a text that begins like a formula, and texts come from watched processes.
fn guarded(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text }
}
