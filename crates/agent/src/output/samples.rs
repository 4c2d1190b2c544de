//! Samples for people: what was counted in an interval, as one block with a column for each field.

use std::{borrow::Cow, io};

use ethogram_model::{Event, EventSchema, Field, FieldKind, render};

use super::{Destination, Rows, details, table, text, text::Column};

/// Rows held back to align a block; a longer interval is shown as several blocks.
const BLOCK: usize = 1000;

pub(super) struct Samples {
    target: Destination,
    block: Block,
    any: bool,
}

/// Rows of one schema that are not printed yet.
#[derive(Default)]
struct Block {
    of: Option<std::sync::Arc<EventSchema>>,
    rows: Vec<Vec<Cow<'static, str>>>,
}

impl Samples {
    pub(super) fn new(target: Destination) -> Self {
        Self { target, block: Block::default(), any: false }
    }

    fn print(&mut self) -> io::Result<()> {
        let Block { of: Some(schema), rows } = std::mem::take(&mut self.block) else { return Ok(()) };
        let (numbers, texts) = halves(&schema);
        let mut columns =
            vec![Column::left("time (UTC)", 8, 8), Column::right("pid", 7), Column::left("container_name", 14, 20)];
        columns.extend(numbers.iter().map(|f| match f.kind {
            FieldKind::FileType | FieldKind::Name => Column::left(f.label.clone(), 7, 9),
            _ => Column::right(f.label.clone(), 5),
        }));
        columns.push(Column::left("comm", 15, 15));
        columns.extend(texts.iter().map(|f| match details::is_path(f) {
            true => Column::path(f.label.clone(), 8, 32),
            false => Column::left(f.label.clone(), 8, 32),
        }));
        if std::mem::replace(&mut self.any, true) {
            self.target.to.write_all(b"\n")?;
        }
        let width = self.target.width();
        self.target.to.write_all(text::columns(&columns, &rows, width).as_bytes())
    }
}

/// The sample's own fields: those of fixed width, and texts, which come last.
fn halves(schema: &EventSchema) -> (Vec<&Field>, Vec<&Field>) {
    use FieldKind::{Args, Names, Path, PathAt, PathBuf, RequestedPath, Str, Text};
    let own = schema.fields.iter().filter(|f| !f.header && !render::is_internal(f));
    own.partition(|f| !matches!(f.kind, Text | Str | Path | PathAt | RequestedPath | PathBuf | Args | Names))
}

impl Rows for Samples {
    fn write(&mut self, event: &Event) -> io::Result<()> {
        let same = self.block.of.as_ref().is_none_or(|s| s.code == event.schema.code);
        if !same || self.block.rows.len() >= BLOCK {
            self.print()?;
        }
        let (numbers, texts) = halves(&event.schema);
        let cell = |f: &&Field| Cow::Owned(details::cell(event, f).unwrap_or_else(|| "-".to_owned()));
        let mut row: Vec<Cow<'static, str>> = vec![
            text::clock(event.time_ns).get(..8).unwrap_or("-").to_owned().into(),
            table::pid(event).into_owned().into(),
            table::container(event).into_owned().into(),
        ];
        row.extend(numbers.iter().map(cell));
        row.push(table::comm(event).into_owned().into());
        row.extend(texts.iter().map(cell));
        self.block.of.get_or_insert_with(|| event.schema.clone());
        self.block.rows.push(row);
        Ok(())
    }

    fn end_interval(&mut self) -> io::Result<()> {
        self.print()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.to.flush()
    }
}
