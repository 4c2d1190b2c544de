//! Events for people, one a line, as they happen.

use std::{borrow::Cow, io};

use ethogram_model::{Event, TrackerSchema, render};

use super::{Destination, Rows, details, text, text::Align};

/// Rows after which a terminal shows the header again.
pub(super) const HEADER_EVERY: usize = 50;

pub(super) struct Table {
    target: Destination,
    layout: Vec<(Align, usize)>,
    rows: usize,
}

impl Table {
    pub(super) fn new(tracker: &TrackerSchema, target: Destination) -> Self {
        let event = tracker.events.iter().map(|e| e.name.chars().count()).max().unwrap_or(0).clamp(5, 12);
        let layout = vec![
            (Align::Left, 12),
            (Align::Left, 18),
            (Align::Right, 7),
            (Align::Left, 15),
            (Align::Left, event),
            (Align::Left, 0),
        ];
        Self { target, layout, rows: 0 }
    }
}

impl Rows for Table {
    fn write(&mut self, event: &Event) -> io::Result<()> {
        let width = self.target.width();
        if self.rows == 0 || (self.target.terminal.is_some() && self.rows.is_multiple_of(HEADER_EVERY)) {
            let titles = ["TIME (UTC)", "CONTAINER", "PID", "COMM", "EVENT", "DETAILS"].map(Cow::Borrowed);
            self.target.to.write_all(text::row(&self.layout, &titles, width).as_bytes())?;
        }
        self.rows += 1;
        let cells = [
            text::clock(event.time_ns).into(),
            container(event),
            pid(event),
            comm(event),
            render::escape(&event.schema.name),
            details::of(event).into(),
        ];
        self.target.to.write_all(text::row(&self.layout, &cells, width).as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.to.flush()
    }
}

/// The container's name; `-` on the host.
pub(super) fn container(event: &Event) -> Cow<'_, str> {
    event.context.container.as_ref().map_or("-".into(), |c| render::escape(c.display_name()))
}

pub(super) fn pid(event: &Event) -> Cow<'_, str> {
    event.get("process.pid").as_u64().map_or("-".into(), |n| n.to_string().into())
}

pub(super) fn comm(event: &Event) -> Cow<'_, str> {
    let name = event.get("process.executable.name");
    render::escape(&name.to_text()).into_owned().into()
}
