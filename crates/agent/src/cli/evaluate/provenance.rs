//! `ethogram evaluate provenance`: ranks the processes of foreign events, and groups them into incidents.

mod replay;
mod table;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::path::Path;

use anyhow::{Context, anyhow};
use ethogram_detect::provenance::{Config, calibrate};
use jiff::Timestamp;

use self::{
    replay::{Output, Replay},
    table::{EVENT_COLUMNS, NODE_COLUMNS, Nodes, Rows},
};
use super::{Format, ProvenanceArgs};
use crate::output::{self, Column};

/// Incidents and processes in the table.
const SHOWN: usize = 30;

pub(super) fn evaluate(args: &ProvenanceArgs) -> anyhow::Result<()> {
    let until = time(&args.train_until).context("--train-until")?;
    let output = judged(&args.nodes, &args.events, until).map_err(|error| anyhow!(error))?;
    for note in &output.notes {
        eprintln!("ethogram: {note}");
    }
    match args.output {
        Format::Json => output::print(&(serde_json::to_string_pretty(&output)? + "\n"))?,
        Format::Table => output::print(&table(&output))?,
    }
    Ok(())
}

fn judged(nodes: &Path, events: &Path, until: u64) -> Result<Output, String> {
    let nodes = Nodes::load(Rows::open(nodes, &NODE_COLUMNS)?)?;
    let mut config = Config::default();
    if let Some(threshold) = calibrated(&nodes, events, until, &config)? {
        config.grouping.threshold = threshold;
    }
    let mut replay = Replay::new(&nodes, until, config);
    for row in Rows::open(events, &EVENT_COLUMNS)? {
        replay.row(&row?);
    }
    Ok(replay.finish())
}

/// The threshold that ordinary life in the last quarter of training asks for, where it is long enough.
fn calibrated(nodes: &Nodes, events: &Path, until: u64, config: &Config) -> Result<Option<f64>, String> {
    let mut rows = Rows::open(events, &EVENT_COLUMNS)?.peekable();
    let first = match rows.peek() {
        Some(Ok(row)) => row.time,
        _ => return Ok(None),
    };
    let Some(middle) = calibrate::split(first, until) else { return Ok(None) };
    let mut replay = Replay::new(nodes, middle, config.clone());
    let mut last = first;
    for row in rows {
        let row = row?;
        if row.time >= until {
            break;
        }
        last = last.max(row.time);
        replay.row(&row);
    }
    let scores: Vec<f64> = replay.groups().into_iter().map(|(score, _)| score).collect();
    let of = &config.grouping;
    Ok(Some(calibrate::threshold(&scores, last.saturating_sub(middle), of.threshold, of.threshold_most)))
}

/// Microseconds since 1970, of such a number or of RFC 3339.
fn time(text: &str) -> anyhow::Result<u64> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().with_context(|| format!("{text} is too large for a time in microseconds"));
    }
    let moment: Timestamp = text.parse().with_context(|| {
        format!("\"{text}\" is neither microseconds since 1970 nor RFC 3339, such as 2024-05-07T23:05:07Z")
    })?;
    u64::try_from(moment.as_microsecond()).with_context(|| format!("{text} is before 1970"))
}

/// The incidents, most anomalous first, each with its first reason.
fn table(output: &Output) -> String {
    let rows: Vec<_> = output
        .incidents
        .iter()
        .take(SHOWN)
        .map(|incident| {
            let reason = incident.reasons.first().map(|reason| ethogram_model::render::escape(reason).into_owned());
            vec![
                format!("{:.1}", incident.score).into(),
                incident.processes.len().to_string().into(),
                reason.unwrap_or_default().into(),
            ]
        })
        .collect();
    let columns =
        [Column::right("SCORE", 6), Column::right("PROCESSES", 9), Column::left("STANDS OUT BY", 20, usize::MAX)];
    let counts = &output.counts;
    let head = format!(
        "{} events, {} of them learnt from, {} judged; {} processes ranked, {} incidents.\n",
        counts.events,
        counts.trained,
        counts.judged,
        output.processes.len(),
        output.incidents.len()
    );
    if rows.is_empty() { head } else { head + &output::columns(&columns, &rows, output::width()) }
}
