//! `ethogram evaluate alerts`: reduces the alerts of each file alone, and prints the figures.

mod figures;
mod rows;
mod source;

use std::{borrow::Cow, path::Path, time::Instant};

use anyhow::bail;
use ethogram_detect::reduction::{Limits, Reducer};
use ethogram_model::render;
use serde::Serialize;

use self::{
    figures::{Counting, Figures},
    source::Problems,
};
use super::{AlertsArgs, Format};
use crate::output::{self, Column};

#[derive(Serialize)]
struct FileReport {
    file: String,
    #[serde(flatten)]
    figures: Figures,
    #[serde(flatten)]
    problems: Problems,
    /// Why it was not read to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Default, Serialize)]
struct Report {
    #[serde(flatten)]
    total: Figures,
    malformed: u64,
    incomplete: u64,
    files: Vec<FileReport>,
}

pub(super) fn evaluate(args: &AlertsArgs) -> anyhow::Result<()> {
    let mut report = Report::default();
    for path in &args.files {
        let file = of_file(path, args.labels);
        for problem in &file.problems.described {
            eprintln!("ethogram: {}: {problem}", file.file);
        }
        report.total.add(&file.figures);
        report.malformed += file.problems.malformed;
        report.incomplete += file.problems.incomplete;
        report.files.push(file);
    }
    match args.output {
        Format::Json => output::print(&(serde_json::to_string_pretty(&report)? + "\n"))?,
        Format::Table => output::print(&table(&report))?,
    }
    let failed: Vec<_> =
        report.files.iter().filter_map(|f| f.error.as_ref().map(|error| format!("{}: {error}", f.file))).collect();
    if !failed.is_empty() {
        bail!("{}", failed.join("\n"));
    }
    Ok(())
}

fn of_file(path: &Path, labels: bool) -> FileReport {
    let (mut reducer, mut counting) = (Reducer::new(Limits::default()), Counting::default());
    let mut problems = Problems::default();
    let started = Instant::now();
    let outcome = source::read(path, labels, &mut problems, |alert, labels| {
        counting.add(reducer.step(alert), labels);
    });
    let figures = counting.figures(reducer.counts(), started.elapsed().as_secs_f64());
    FileReport { file: path.display().to_string(), figures, problems, error: outcome.err() }
}

/// A line for each file, and one for all of several.
fn table(report: &Report) -> String {
    let names = report.files.iter().map(|file| (file.file.as_str(), &file.figures));
    let all = (report.files.len() > 1).then_some(("all", &report.total));
    let rows: Vec<Vec<Cow<'_, str>>> = names.chain(all).map(|(name, figures)| row(name, figures)).collect();
    let mut columns = vec![
        Column::path("FILE", 8, 60),
        Column::right("ALERTS", 6),
        Column::right("KEPT", 4),
        Column::right("LESS", 7),
        Column::right("INCIDENTS", 9),
    ];
    if report.total.labels.is_some() {
        columns.extend(["OF ATTACK", "PURITY", "PHASES", "KINDS"].map(|title| Column::right(title, title.len())));
    }
    columns.push(Column::right("ALERTS/S", 8));
    output::columns(&columns, &rows, output::width())
}

fn row<'a>(name: &str, figures: &Figures) -> Vec<Cow<'a, str>> {
    let counts = &figures.counts;
    let mut row = vec![
        render::escape(name).into_owned(),
        counts.alerts.to_string(),
        counts.kept.to_string(),
        format!("{:.2} %", figures.reduction * 100.0),
        counts.incidents.to_string(),
    ];
    if let Some(labels) = &figures.labels {
        row.extend([
            labels.incidents_attack.to_string(),
            format!("{:.2}", labels.purity),
            format!("{}/{}", labels.phases, labels.phases_total),
            format!("{}/{}", labels.types, labels.types_total),
        ]);
    }
    row.push(format!("{:.0}", figures.alerts_per_second));
    row.into_iter().map(Cow::Owned).collect()
}
