//! `ethogram evaluate`: what the methods of detection make of data from elsewhere.

mod alerts;
mod provenance;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Evaluations.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// What is evaluated
    #[command(subcommand)]
    pub what: Evaluation,
}

/// What is evaluated.
#[derive(Debug, Subcommand)]
pub enum Evaluation {
    /// How far alerts of other tools are reduced, and into how many incidents
    #[command(after_help = "\
Each FILE is CSV with the columns time,name,ip,host,short, in order of time, plain or compressed with gzip; time is in
seconds since 1970. It is judged alone, as a stream. What the columns mean for the result: docs/detection.md.

Examples:
  ethogram evaluate alerts monday.csv.gz tuesday.csv.gz      a line for each, and for all
  ethogram evaluate alerts --labels -o json fox.csv.gz       how much of an attack is kept, by time_label and event_label")]
    Alerts(AlertsArgs),
    /// Which processes of foreign events stand out, and which of them belong together
    #[command(after_help = "\
Both files are separated by tabs, plain or compressed with gzip. Nodes: id, type (process, file, regkey, socket), name,
uuid, first_seen_us. Events: time_us, type (procstart, procend, filemod, regmod, moduleload, crossproc, netconn,
scriptload), src, dst, actor_uuid; information flows from src to dst.

Examples:
  ethogram evaluate provenance --nodes nodes.tsv.gz --events events.tsv.gz --train-until 2024-05-07T23:05:07Z
  ethogram evaluate provenance --nodes n.tsv --events e.tsv --train-until 1715123107000000 -o json")]
    Provenance(ProvenanceArgs),
}

/// How alerts are evaluated.
#[derive(Debug, Args)]
pub struct AlertsArgs {
    /// Files of alerts
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Count what is kept of an attack, by the columns time_label and event_label, which are used for nothing else
    #[arg(long)]
    pub labels: bool,
    /// How the figures are printed
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: Format,
}

/// How foreign events are evaluated.
#[derive(Debug, Args)]
pub struct ProvenanceArgs {
    /// The processes, files and peers
    #[arg(long, value_name = "FILE")]
    pub nodes: PathBuf,
    /// What happened between them
    #[arg(long, value_name = "FILE")]
    pub events: PathBuf,
    /// Learn from what happened before, and judge the rest: RFC 3339, or microseconds since 1970
    #[arg(long, value_name = "TIME")]
    pub train_until: String,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: Format,
}

/// How figures are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// One JSON object
    Json,
}

pub(super) fn evaluate(args: &EvaluateArgs) -> anyhow::Result<()> {
    match &args.what {
        Evaluation::Alerts(args) => alerts::evaluate(args),
        Evaluation::Provenance(args) => provenance::evaluate(args),
    }
}
