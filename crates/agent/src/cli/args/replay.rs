//! The words of `ethogram replay`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// A recording, once more.
#[derive(Debug, Args)]
#[command(after_help = "\
The same engine runs over the recording, faster than real time, and gives the same result to the byte, on any machine,
without root. Time comes from the recording. Learning goes on from what the server had learnt when it was recorded.

A file that is cut or damaged is replayed up to the damage; then the exit code is 1, and the last line says where it is.

Examples:
  ethogram replay live.egr                                   alerts, as the server printed them
  ethogram replay live.egr --profiles profiles.jsonl         and what was learnt
  ethogram replay live.egr --config trial.toml               with another [behaviour] learning_period
  ethogram replay live.egr --only rules                      what the rules say without the behaviour model
  ethogram replay live.egr -o json --tracker process         events, as 'ethogram run process -o json' prints them
  ethogram replay live.egr -o parquet --output-file live.parquet")]
pub struct ReplayArgs {
    /// The recording
    pub file: PathBuf,
    /// What is printed
    #[arg(short, long, value_enum, default_value = "alerts", value_name = "FORMAT")]
    pub output: ReplayFormat,
    /// Write to a file in place of the terminal
    #[arg(long, value_name = "FILE")]
    pub output_file: Option<PathBuf>,
    /// Only events of this tracker; may be repeated
    #[arg(long, value_name = "NAME")]
    pub tracker: Vec<String>,
    /// Only events of this container, by name or id; may be repeated
    #[arg(long, value_name = "NAME|ID")]
    pub container: Vec<String>,
    /// Write what was learnt to a file, one profile a line, as GET /v1/profiles/ID gives it
    #[arg(long, value_name = "FILE")]
    pub profiles: Option<PathBuf>,
    /// Judge by one of the two alone, as if there were no other
    #[arg(long, value_enum, value_name = "JUDGE", conflicts_with_all = ["tracker", "container"])]
    pub only: Option<Judge>,
}

/// Who judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Judge {
    /// The behaviour model.
    Behaviour,
    /// The rules.
    Rules,
}

/// What a replay prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReplayFormat {
    /// Alerts, one OCSF finding a line.
    Alerts,
    /// Incidents as they begin, go on and end, one OCSF incident a line.
    Incidents,
    /// Events, one JSON object a line.
    Json,
    /// Events as RFC 4180, one column for each name of the vocabulary.
    Csv,
    /// Events as Apache Parquet, with the columns of CSV and their types.
    Parquet,
}
