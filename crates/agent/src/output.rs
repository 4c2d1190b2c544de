//! How events are shown: a table, JSON lines, CSV or Parquet, to the terminal or a file.

mod csv;
mod details;
mod parquet;
mod samples;
mod table;
mod text;

use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
};

use ethogram_model::{Event, TrackerSchema, render};

pub use text::{Align, Column, columns, row, terminal_width};

/// The form of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns, for people.
    #[default]
    Table,
    /// One JSON object a line, `time`, `tracker`, `event` and the vocabulary nested.
    Json,
    /// RFC 4180, one column for each name of the vocabulary.
    Csv,
}

/// Why nothing more can be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The reader of the output, such as `head`, has enough: not an error to report.
    #[error("the reader of the output has gone")]
    ReaderGone,
    /// A file could not be made.
    #[error("cannot create {}: {source}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It could not be written.
    #[error("cannot write to {target}: {source}")]
    Write {
        /// The file, or standard output.
        target: String,
        /// Why.
        source: io::Error,
    },
}

/// Writes the events of one tracker, in one form, to one place.
pub struct Output {
    rows: Box<dyn Rows + Send>,
    target: String,
}

/// One form of output.
trait Rows {
    fn write(&mut self, event: &Event) -> io::Result<()>;
    /// All samples of an interval have been written.
    fn end_interval(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn flush(&mut self) -> io::Result<()>;
    /// Nothing more comes.
    fn close(&mut self) -> io::Result<()> {
        self.flush()
    }
}

/// Where it goes, and what is known of it.
struct Destination {
    to: Box<dyn Write + Send>,
    /// Columns of the terminal, where it is one.
    terminal: Option<usize>,
}

impl Destination {
    /// Columns that a line may take.
    fn width(&self) -> usize {
        self.terminal.unwrap_or(text::DEFAULT_WIDTH)
    }
}

impl Output {
    /// Writes to `file`, or to standard output.
    ///
    /// # Errors
    /// If the file cannot be created, with its name and the reason. A file that is there is emptied.
    pub fn new(format: Format, tracker: &TrackerSchema, file: Option<&Path>) -> Result<Self, OutputError> {
        let (to, terminal, name): (Box<dyn Write + Send>, _, _) = match file {
            Some(path) => {
                let file =
                    File::create(path).map_err(|source| OutputError::Create { path: path.to_owned(), source })?;
                (Box::new(file), None, path.display().to_string())
            }
            None => {
                let stdout = io::stdout();
                let terminal = stdout.is_terminal().then(|| terminal_width(&stdout));
                (Box::new(stdout), terminal, "standard output".to_owned())
            }
        };
        let target = Destination { to: Box::new(BufWriter::with_capacity(1 << 16, to)), terminal };
        Ok(Self { rows: rows(format, tracker, target), target: name })
    }

    /// Writes to a Parquet file, which is whole once it is closed.
    ///
    /// # Errors
    /// As [`Output::new`].
    pub fn parquet(tracker: &TrackerSchema, file: &Path) -> Result<Self, OutputError> {
        let create = |source| OutputError::Create { path: file.to_owned(), source };
        let rows = File::create(file).and_then(|to| parquet::Parquet::new(tracker, to)).map_err(create)?;
        Ok(Self { rows: Box::new(rows), target: file.display().to_string() })
    }

    /// Writes the last of it.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub fn close(mut self) -> Result<(), OutputError> {
        let result = self.rows.close();
        self.explain(result)
    }

    /// Adds an event.
    ///
    /// # Errors
    /// If it could not be written; [`OutputError::ReaderGone`] where that is the reader's wish.
    pub fn write(&mut self, event: &Event) -> Result<(), OutputError> {
        let result = self.rows.write(event);
        self.explain(result)
    }

    /// Ends an interval of samples: a table shows them now, as one block.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub fn end_interval(&mut self) -> Result<(), OutputError> {
        let result = self.rows.end_interval().and_then(|()| self.rows.flush());
        self.explain(result)
    }

    /// Hands on what is buffered. Call it after every batch, so that people see events as they happen.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub fn flush(&mut self) -> Result<(), OutputError> {
        let result = self.rows.flush();
        self.explain(result)
    }

    fn explain(&self, result: io::Result<()>) -> Result<(), OutputError> {
        result.map_err(|source| explained(source, &self.target))
    }
}

fn explained(source: io::Error, target: &str) -> OutputError {
    match source.kind() {
        io::ErrorKind::BrokenPipe => OutputError::ReaderGone,
        _ => OutputError::Write { target: target.to_owned(), source },
    }
}

/// Writes JSON values, one a line.
pub struct Lines {
    to: Box<dyn Write + Send>,
    target: String,
    is_terminal: bool,
}

impl Lines {
    /// Writes to `file`, or to standard output.
    ///
    /// # Errors
    /// As [`Output::new`].
    pub fn new(file: Option<&Path>) -> Result<Self, OutputError> {
        let is_terminal = file.is_none() && io::stdout().is_terminal();
        let (to, target): (Box<dyn Write + Send>, _) = match file {
            Some(path) => {
                let file =
                    File::create(path).map_err(|source| OutputError::Create { path: path.to_owned(), source })?;
                (Box::new(file), path.display().to_string())
            }
            None => (Box::new(io::stdout()), "standard output".to_owned()),
        };
        Ok(Self { to: Box::new(BufWriter::new(to)), target, is_terminal })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub fn write(&mut self, value: &serde_json::Value) -> Result<(), OutputError> {
        write_json(&mut self.to, value, self.is_terminal).map_err(|source| explained(source, &self.target))
    }

    /// Hands on what is buffered.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub fn flush(&mut self) -> Result<(), OutputError> {
        self.to.flush().map_err(|source| explained(source, &self.target))
    }
}

/// Writes a text to standard output at once. To a terminal, with all escaped that JSON leaves as it is; in tables it is
/// already.
///
/// # Errors
/// As [`Output::write`].
pub fn print(text: &str) -> Result<(), OutputError> {
    let mut stdout = io::stdout().lock();
    let text = if stdout.is_terminal() { render::escape_json(text) } else { text.into() };
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|source| match source.kind() {
        io::ErrorKind::BrokenPipe => OutputError::ReaderGone,
        _ => OutputError::Write { target: "standard output".to_owned(), source },
    })
}

/// Columns that a line on standard output may take.
pub fn width() -> usize {
    let stdout = io::stdout();
    if stdout.is_terminal() { terminal_width(&stdout) } else { text::DEFAULT_WIDTH }
}

fn rows(format: Format, tracker: &TrackerSchema, target: Destination) -> Box<dyn Rows + Send> {
    let only_samples = !tracker.events.is_empty() && tracker.events.iter().all(|e| e.sample);
    match format {
        Format::Json => Box::new(Json { is_terminal: target.terminal.is_some(), to: target.to }),
        Format::Csv => Box::new(csv::Csv::new(tracker, target.to)),
        Format::Table if only_samples => Box::new(samples::Samples::new(target)),
        Format::Table => Box::new(table::Table::new(tracker, target)),
    }
}

/// Writes a value as one line.
fn write_json(to: &mut impl Write, value: &serde_json::Value, is_terminal: bool) -> io::Result<()> {
    if is_terminal {
        return writeln!(to, "{}", render::escape_json(&value.to_string()));
    }
    serde_json::to_writer(&mut *to, value)?;
    to.write_all(b"\n")
}

/// One object a line.
struct Json {
    to: Box<dyn Write + Send>,
    is_terminal: bool,
}

impl Rows for Json {
    fn write(&mut self, event: &Event) -> io::Result<()> {
        write_json(&mut self.to, &render::to_json(event), self.is_terminal)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
