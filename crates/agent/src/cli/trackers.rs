//! `ethogram trackers`: which there are, and how they are doing.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use ethogram_model::{TrackerSchema, render};
use serde_json::json;

use super::{
    args::{ListFormat, Setting},
    client::{Client, ClientError, encode},
};
use crate::{
    api::TrackerStatus,
    metrics::TrackerState,
    output::{self, Column},
};

/// The trackers there are.
#[derive(Debug, Args)]
pub struct TrackersArgs {
    /// What to do; without it, list them
    #[command(subcommand)]
    pub action: Option<TrackersAction>,
    /// How they are printed
    #[arg(short, long, global = true, value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: ListFormat,
}

/// What to do with a tracker of the running server.
#[derive(Debug, Subcommand)]
pub enum TrackersAction {
    /// Start one
    Start {
        /// The tracker
        name: String,
        /// Set a parameter; may be repeated
        #[arg(long, value_name = "PARAM=VALUE")]
        set: Vec<Setting>,
    },
    /// Stop one
    Stop {
        /// The tracker
        name: String,
    },
}

/// Where no server runs and none was named, the trackers of this binary are listed.
pub(super) async fn answer(
    args: &TrackersArgs,
    client: &Client,
    named: bool,
    builtin: fn() -> Vec<TrackerSchema>,
) -> anyhow::Result<()> {
    let trackers = match &args.action {
        None => match client.get("/v1/trackers").await {
            Err(ClientError::NoServer(_)) if !named => {
                eprintln!("ethogram: no server runs: these are the trackers there are");
                builtin().into_iter().map(TrackerStatus::stopped).collect()
            }
            answer => answer?,
        },
        Some(TrackersAction::Start { name, set }) => {
            let params: BTreeMap<_, _> = set.iter().map(|s| (&s.name, &s.value)).collect();
            vec![client.post("/v1/trackers", &json!({ "name": name, "params": params })).await?]
        }
        Some(TrackersAction::Stop { name }) => vec![client.delete(&format!("/v1/trackers/{}", encode(name))).await?],
    };
    output::print(&match args.output {
        ListFormat::Json => format!("{:#}\n", json!(trackers)),
        ListFormat::Table => table(&trackers, output::width()),
    })?;
    Ok(())
}

fn table(trackers: &[TrackerStatus], width: usize) -> String {
    let columns = [
        Column::left("TRACKER", 8, 20),
        Column::left("STATE", 7, 8),
        Column::left("DEFAULT", 7, 7),
        Column::right("SEEN", 6),
        Column::right("DELIVERED", 9),
        Column::right("AGGREGATED", 10),
        Column::right("FILTERED", 8),
        Column::right("DROPPED", 7),
        Column::left("WHAT", 0, 80),
    ];
    let row = |t: &TrackerStatus| {
        let dropped: u64 = t.counters.dropped.values().flat_map(BTreeMap::values).sum();
        vec![
            render::escape(&t.name).into_owned().into(),
            t.state.name().into(),
            if t.default { "on" } else { "off" }.into(),
            t.counters.seen.to_string().into(),
            t.counters.delivered.to_string().into(),
            t.counters.aggregated.to_string().into(),
            t.counters.filtered.values().sum::<u64>().to_string().into(),
            dropped.to_string().into(),
            render::escape(&t.summary).into_owned().into(),
        ]
    };
    let mut out = output::columns(&columns, &trackers.iter().map(row).collect::<Vec<_>>(), width);
    if trackers.iter().any(|t| t.state == TrackerState::Idle) {
        out += "idle: loaded, and attached with the first subscription: a stream, a recording, or a start by name\n";
    }
    // How each program is attached, and why not otherwise, is long: `ethogram doctor` shows it.
    for tracker in trackers {
        if let Some(reason) = &tracker.reason {
            out += &format!("{}\n", render::escape(&format!("{}: {reason}", tracker.name)));
        }
    }
    out
}
