//! Events as one Parquet table: the columns of CSV, each with its type, null where an event has none.

use std::{collections::HashMap, fs::File, io, sync::Arc};

use ethogram_model::{Event, FieldKind, TrackerSchema, render, vocabulary};
use parquet::{
    basic::{Compression, ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel},
    data_type::{BoolType, ByteArray, ByteArrayType, Int64Type},
    errors::ParquetError,
    file::{
        properties::WriterProperties,
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
    schema::types::{Type, TypePtr},
};
use serde_json::Value as Json;

use super::{Rows, csv};

/// Rows held in memory until they are written together.
const GROUP: usize = 1 << 15;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ColumnKind {
    Time,
    Unsigned,
    Signed,
    Bool,
    Text,
    List,
}

/// A column, and the values that are not written yet.
struct Column {
    name: String,
    kind: ColumnKind,
    /// For each value, or for each null, how much of it is there.
    defined: Vec<i16>,
    /// For lists: zero where a new one begins.
    repeated: Vec<i16>,
    numbers: Vec<i64>,
    flags: Vec<bool>,
    texts: Vec<ByteArray>,
}

pub(super) struct Parquet {
    columns: Vec<Column>,
    by_name: HashMap<String, usize>,
    rows: usize,
    /// None once it is closed.
    writer: Option<SerializedFileWriter<File>>,
}

impl Parquet {
    pub(super) fn new(tracker: &TrackerSchema, to: File) -> io::Result<Self> {
        let columns: Vec<Column> = csv::header(tracker).into_iter().map(|name| Column::new(tracker, name)).collect();
        let fields = columns.iter().map(Column::schema).collect::<Result<Vec<_>, _>>()?;
        let schema = Type::group_type_builder("events").with_fields(fields).build()?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("ethogram ", env!("CARGO_PKG_VERSION")).into())
            .build();
        let writer = SerializedFileWriter::new(to, Arc::new(schema), Arc::new(properties))?;
        let by_name = columns.iter().enumerate().map(|(i, c)| (c.name.clone(), i)).collect();
        Ok(Self { columns, by_name, rows: 0, writer: Some(writer) })
    }

    fn write_group(&mut self) -> io::Result<()> {
        let Some(writer) = self.writer.as_mut().filter(|_| self.rows > 0) else { return Ok(()) };
        let mut group = writer.next_row_group()?;
        for column in &mut self.columns {
            if let Some(to) = group.next_column()? {
                column.write(to)?;
            }
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }
}

impl Rows for Parquet {
    fn write(&mut self, event: &Event) -> io::Result<()> {
        let mut row: Vec<Option<Json>> = vec![None; self.columns.len()];
        for (name, value) in render::flatten(event) {
            if let Some(cell) = self.by_name.get(name.as_ref()).and_then(|i| row.get_mut(*i)) {
                *cell = Some(value);
            }
        }
        for (column, value) in self.columns.iter_mut().zip(row) {
            if column.kind == ColumnKind::Time {
                column.number(i64::try_from(event.time_ns).ok());
            } else {
                column.push(value);
            }
        }
        self.rows += 1;
        if self.rows < GROUP { Ok(()) } else { self.write_group() }
    }

    // Small groups would make a large file: what is held is written when there is enough, and at the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        self.write_group()?;
        self.writer.take().map_or(Ok(()), |writer| writer.close().map(drop).map_err(io::Error::from))
    }
}

impl Column {
    fn new(tracker: &TrackerSchema, name: String) -> Self {
        let kind = kind(tracker, &name);
        let (defined, repeated) = (Vec::new(), Vec::new());
        Self { name, kind, defined, repeated, numbers: Vec::new(), flags: Vec::new(), texts: Vec::new() }
    }

    fn schema(&self) -> Result<TypePtr, ParquetError> {
        let text = |name: &str, repetition| {
            Type::primitive_type_builder(name, Physical::BYTE_ARRAY)
                .with_repetition(repetition)
                .with_logical_type(Some(LogicalType::String))
                .build()
        };
        let number = |kind| {
            Type::primitive_type_builder(&self.name, Physical::INT64)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(Some(kind))
                .build()
        };
        let built = match self.kind {
            ColumnKind::Time => number(LogicalType::timestamp(true, TimeUnit::NANOS)),
            ColumnKind::Unsigned => number(LogicalType::integer(64, false)),
            ColumnKind::Signed => number(LogicalType::integer(64, true)),
            ColumnKind::Bool => Type::primitive_type_builder(&self.name, Physical::BOOLEAN)
                .with_repetition(Repetition::OPTIONAL)
                .build(),
            ColumnKind::Text => text(&self.name, Repetition::OPTIONAL),
            ColumnKind::List => {
                let inner = Type::group_type_builder("list")
                    .with_repetition(Repetition::REPEATED)
                    .with_fields(vec![Arc::new(text("element", Repetition::REQUIRED)?)])
                    .build()?;
                Type::group_type_builder(&self.name)
                    .with_repetition(Repetition::OPTIONAL)
                    .with_logical_type(Some(LogicalType::List))
                    .with_converted_type(ConvertedType::LIST)
                    .with_fields(vec![Arc::new(inner)])
                    .build()
            }
        };
        built.map(Arc::new)
    }

    fn push(&mut self, value: Option<Json>) {
        match (self.kind, value) {
            (ColumnKind::List, None) => {
                self.defined.push(0);
                self.repeated.push(0);
            }
            (ColumnKind::List, Some(value)) => {
                let texts = match value {
                    Json::Array(values) => values.into_iter().map(text).collect(),
                    other => vec![text(other)],
                };
                if texts.is_empty() {
                    self.defined.push(1);
                    self.repeated.push(0);
                }
                for (i, text) in texts.into_iter().enumerate() {
                    self.defined.push(2);
                    self.repeated.push(i16::from(i > 0));
                    self.texts.push(text);
                }
            }
            (ColumnKind::Text, value) => {
                self.defined.push(i16::from(value.is_some()));
                self.texts.extend(value.map(text));
            }
            (ColumnKind::Bool, value) => {
                let flag = value.and_then(|v| v.as_bool());
                self.defined.push(i16::from(flag.is_some()));
                self.flags.extend(flag);
            }
            // The bits are the same: the column's type says how they are read.
            (ColumnKind::Unsigned, value) => self.number(value.and_then(|v| v.as_u64()).map(u64::cast_signed)),
            (ColumnKind::Signed | ColumnKind::Time, value) => self.number(value.and_then(|v| v.as_i64())),
        }
    }

    fn number(&mut self, number: Option<i64>) {
        self.defined.push(i16::from(number.is_some()));
        self.numbers.extend(number);
    }

    fn write(&mut self, mut to: SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let repeated = (self.kind == ColumnKind::List).then_some(self.repeated.as_slice());
        let defined = Some(self.defined.as_slice());
        match self.kind {
            ColumnKind::Time | ColumnKind::Unsigned | ColumnKind::Signed => {
                to.typed::<Int64Type>().write_batch(&self.numbers, defined, repeated)?;
            }
            ColumnKind::Bool => _ = to.typed::<BoolType>().write_batch(&self.flags, defined, repeated)?,
            ColumnKind::Text | ColumnKind::List => {
                _ = to.typed::<ByteArrayType>().write_batch(&self.texts, defined, repeated)?
            }
        }
        self.defined.clear();
        self.repeated.clear();
        self.numbers.clear();
        self.flags.clear();
        self.texts.clear();
        to.close()
    }
}

/// What a column of that name holds. Where trackers do not agree, texts.
fn kind(tracker: &TrackerSchema, name: &str) -> ColumnKind {
    if name == "time" {
        return ColumnKind::Time;
    }
    let fields = tracker.events.iter().flat_map(|e| &e.fields).filter(|f| f.name == name).map(|f| f.kind);
    let context = vocabulary::find(name).filter(|f| f.shown.in_events).map(|f| f.kind);
    let mut kinds = fields.chain(context).map(|kind| match kind {
        FieldKind::Unsigned | FieldKind::Duration => ColumnKind::Unsigned,
        FieldKind::Signed => ColumnKind::Signed,
        FieldKind::Bool | FieldKind::PathCut => ColumnKind::Bool,
        FieldKind::Args => ColumnKind::List,
        // Names of signals, errors and the like, paths and addresses.
        _ => ColumnKind::Text,
    });
    match kinds.next() {
        Some(first) if kinds.all(|k| k == first) => first,
        _ => ColumnKind::Text,
    }
}

fn text(value: Json) -> ByteArray {
    match value {
        Json::String(text) => text.into_bytes().into(),
        other => other.to_string().into_bytes().into(),
    }
}
