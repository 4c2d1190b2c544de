//! `ethogram schema`: what the configuration, the API and the events look like.

use std::borrow::Cow;

use clap::{Args, Subcommand};
use ethogram_model::{TrackerSchema, nearest::suggestion, render};
use serde_json::{Value as Json, json};

use super::args::ListFormat;
use crate::{
    api,
    config::{Config, Key},
    failure::Usage,
    output::{self, Column},
};

/// Columns of a line: a meaning is never cut.
const WHOLE: usize = 1000;

/// A schema.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Of what
    #[command(subcommand)]
    pub of: SchemaOf,
    /// How it is printed
    #[arg(short, long, global = true, value_enum, default_value = "json", value_name = "FORMAT")]
    pub output: ListFormat,
}

/// What there are schemas of.
#[derive(Debug, Clone, Subcommand)]
pub enum SchemaOf {
    /// The configuration file, as a JSON schema
    Config,
    /// The HTTP API, as an OpenAPI document
    Api,
    /// The events of the trackers
    Events {
        /// Only of this tracker
        tracker: Option<String>,
    },
}

pub(super) fn show(args: &SchemaArgs, builtin: fn() -> Vec<TrackerSchema>) -> anyhow::Result<()> {
    let (schema, table) = match &args.of {
        SchemaOf::Config => {
            let row = |k: Key| [k.name, k.default.unwrap_or_else(|| "none".into()), k.doc].map(Cow::from).into();
            let rows = Config::keys()?.into_iter().map(row).collect();
            (Config::json_schema(), (["KEY", "DEFAULT", "MEANING"], rows))
        }
        SchemaOf::Api => {
            let schema = serde_json::from_str(api::OPENAPI)?;
            let rows = questions(&schema);
            (schema, (["METHOD", "PATH", "MEANING"], rows))
        }
        SchemaOf::Events { tracker } => {
            let trackers = wanted(tracker.as_deref(), builtin())?;
            (json!(trackers), (["EVENT", "FIELD", "MEANING"], fields(&trackers)))
        }
    };
    output::print(&match args.output {
        ListFormat::Json => format!("{schema:#}\n"),
        ListFormat::Table => {
            let (titles, rows) = table;
            let columns = titles.map(|t| Column::left(t, 6, 40));
            output::columns(&columns, &rows, WHOLE)
        }
    })?;
    Ok(())
}

type Row = Vec<Cow<'static, str>>;

fn questions(openapi: &Json) -> Vec<Row> {
    let paths = openapi["paths"].as_object().into_iter().flatten();
    let all = paths.flat_map(|(path, methods)| methods.as_object().into_iter().flatten().map(move |m| (path, m)));
    all.map(|(path, (method, about))| vec![method.to_uppercase().into(), path.clone().into(), text(&about["summary"])])
        .collect()
}

fn wanted(tracker: Option<&str>, all: Vec<TrackerSchema>) -> Result<Vec<TrackerSchema>, Usage> {
    let Some(name) = tracker else { return Ok(all) };
    let names: Vec<_> = all.iter().map(|t| t.name.clone()).collect();
    let found: Vec<_> = all.into_iter().filter(|t| &*t.name == name).collect();
    if found.is_empty() {
        return Err(Usage(format!("no tracker is called {name:?}{}", suggestion(name, names))));
    }
    Ok(found)
}

fn fields(trackers: &[TrackerSchema]) -> Vec<Row> {
    let events = trackers.iter().flat_map(|t| &t.events);
    let all = events.flat_map(|e| e.fields.iter().map(move |f| (e, f)));
    all.filter(|(_, f)| !render::is_internal(f))
        .map(|(e, f)| vec![format!("{}.{}", e.tracker, e.name).into(), f.name.clone().into(), f.doc.clone().into()])
        .collect()
}

fn text(value: &Json) -> Cow<'static, str> {
    value.as_str().unwrap_or_default().replace('\n', " ").into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_question_has_a_meaning() {
        let rows = questions(&serde_json::from_str(api::OPENAPI).unwrap());
        assert!(rows.len() >= 11);
        assert!(rows.iter().all(|r| !r[2].is_empty()), "{rows:?}");
    }

    #[test]
    fn an_unknown_tracker_is_named() {
        assert!(wanted(Some("x"), Vec::new()).unwrap_err().to_string().starts_with("no tracker is called \"x\""));
        assert!(wanted(None, Vec::new()).unwrap().is_empty());
    }
}
