//! `ethogram incidents`: alerts that belong to one deed, and its story.

mod again;
mod drawing;
mod explain;
mod story;
mod triage;

use std::borrow::Cow;

use clap::{Args, Subcommand, ValueEnum};
use ethogram_model::{Incident, IncidentGraph, Severity, Triage, render};
use serde_json::{Value as Json, json};

use super::{
    alerts::{accepted, severity},
    args::{ListFormat, Moment},
    client::{Client, encode},
    profile::moment,
};
use crate::{
    api::{Accepted, ExplainedIncident},
    config::Period,
    output::{self, Align},
};

/// Time, severity, state, parts, id, and what.
const LAYOUT: [(Align, usize); 6] =
    [(Align::Left, 19), (Align::Left, 13), (Align::Left, 6), (Align::Right, 5), (Align::Left, 8), (Align::Left, 0)];
const TITLES: [&str; 6] = ["TIME (UTC)", "SEVERITY", "STATE", "PARTS", "ID", "WHAT"];

/// The incidents.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ethogram incidents --severity medium --since 24h     those of medium severity and above of the last day
  ethogram incidents --follow                          as they begin, go on and end
  ethogram incidents show 3f1c                         how one began, what it did, and why that is unusual
  ethogram incidents show 3f1c --graph svg >3f1c.svg   the same as a picture
  ethogram incidents explain 3f1c                      the same in plain words, and what to look at next
  ethogram incidents accept 3f1c --for 30d             it is normal: none of what is unusual about it raises an alert
                                                       for a month; ethogram alerts accepted says what that swallowed")]
pub struct IncidentsArgs {
    /// What to do; without it, list them
    #[command(subcommand)]
    pub action: Option<IncidentsAction>,
    /// Go on with incidents as they begin, go on and end
    #[arg(long, short)]
    pub follow: bool,
    /// Only those that touched this container, by name
    #[arg(long, value_name = "NAME")]
    pub container: Option<String>,
    /// Only those of this severity or a higher one
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    pub severity: Option<Severity>,
    /// Only those seen since then: a time, or how long ago
    #[arg(long, value_name = "TIME")]
    pub since: Option<Moment>,
    /// Only those that began before then: a time, or how long ago
    #[arg(long, value_name = "TIME")]
    pub until: Option<Moment>,
    /// Only those that are open
    #[arg(long)]
    pub open: bool,
    /// Also those that are again what came before, or that are alike, each in a line of its own
    #[arg(long)]
    pub all: bool,
    /// At most so many, the latest of them
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// How they are printed; JSON is one OCSF incident a line
    #[arg(short, long, global = true, value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: ListFormat,
}

/// What to do with incidents.
#[derive(Debug, Subcommand)]
pub enum IncidentsAction {
    /// Tell the story of one: how it began, what it did, and why that is unusual
    Show {
        /// The incident's id, or the start of it
        id: String,
        /// Draw its graph instead: programs, what they did it to, and what connects them
        #[arg(long, value_enum, value_name = "FORMAT")]
        graph: Option<GraphFormat>,
    },
    /// Explain one in plain words, and say what to look at next
    ///
    /// Where triage is configured, this is what a language model wrote about it. Otherwise it is made of the incident alone: what
    /// happened, why that is unusual, what speaks for an attack and what for ordinary life, and commands to look further.
    Explain {
        /// The incident's id, or the start of it
        id: String,
        /// Without what a model wrote
        #[arg(long)]
        no_model: bool,
    },
    /// Say that one is normal: each of its alerts is accepted with its object, and nothing else
    Accept {
        /// The incident's id, or the start of it
        id: String,
        /// For how long [default: until it is revoked]
        #[arg(long = "for", value_name = "TIME")]
        period: Option<Period>,
        /// Why it is normal
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
}

/// As what a graph is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// A picture.
    Svg,
    /// In the language of Graphviz.
    Dot,
    /// Nodes and edges.
    Json,
}

pub(super) async fn answer(args: &IncidentsArgs, client: &Client) -> anyhow::Result<()> {
    let width = output::width();
    if let Some(IncidentsAction::Show { id, graph: Some(format) }) = &args.action {
        let graph: IncidentGraph = client.get(&format!("/v1/incidents/{}/graph", encode(id))).await?;
        return Ok(output::print(&match format {
            GraphFormat::Svg => drawing::svg(&graph),
            GraphFormat::Dot => drawing::dot(&graph),
            GraphFormat::Json => format!("{}\n", json!(graph)),
        })?);
    }
    if let Some(IncidentsAction::Show { id, graph: None }) = &args.action {
        let incident: Json = client.get(&format!("/v1/incidents/{}", encode(id))).await?;
        return Ok(output::print(&match args.output {
            ListFormat::Json => format!("{incident}\n"),
            ListFormat::Table => {
                let all: Vec<Accepted> = client.get("/v1/accepted").await?;
                story::text(&story_of(&incident)?, &all, triage_of(&incident).as_ref(), width)
            }
        })?);
    }
    if let Some(IncidentsAction::Explain { id, no_model }) = &args.action {
        return explain(client, id, *no_model, args.output, width).await;
    }
    if let Some(IncidentsAction::Accept { id, period, reason }) = &args.action {
        let body = json!({ "for": period, "reason": reason });
        let all: Vec<Accepted> = client.post(&format!("/v1/incidents/{}/accept", encode(id)), &body).await?;
        return Ok(output::print(&accepted(&all, args.output, width))?);
    }
    let print = |incident: &Json| -> anyhow::Result<()> {
        Ok(output::print(&match args.output {
            ListFormat::Json => format!("{incident}\n"),
            ListFormat::Table => row(&story_of(incident)?, triage_of(incident).as_ref(), width),
        })?)
    };
    let header = || match args.output {
        ListFormat::Json => Ok(()),
        ListFormat::Table => output::print(&output::row(&LAYOUT, &TITLES.map(Cow::Borrowed), width)),
    };
    if args.follow {
        return client.follow(&path(args), header, |line| print(&serde_json::from_slice(line)?)).await;
    }
    let all: Vec<Json> = client.get(&path(args)).await?;
    header()?;
    if args.output == ListFormat::Json {
        return all.iter().try_for_each(print);
    }
    let all: Vec<(Incident, Option<Triage>)> =
        all.iter().map(|incident| Ok((story_of(incident)?, triage_of(incident)))).collect::<anyhow::Result<_>>()?;
    let (shown, folded) = again::fold(all, args.all);
    shown.iter().try_for_each(|(incident, triage)| output::print(&row(incident, triage.as_ref(), width)))?;
    match folded {
        0 => Ok(()),
        n => Ok(output::print(&format!("{n} more came again or are alike: ethogram incidents --all\n"))?),
    }
}

/// What an OCSF incident says that is ours.
fn story_of(incident: &Json) -> anyhow::Result<Incident> {
    Ok(serde_json::from_value(incident["unmapped"]["incident"].clone())?)
}

/// What a model wrote about it; what cannot be read is as if there were nothing.
fn triage_of(incident: &Json) -> Option<Triage> {
    serde_json::from_value(incident["unmapped"]["triage"].clone()).ok()
}

async fn explain(client: &Client, id: &str, no_model: bool, format: ListFormat, width: usize) -> anyhow::Result<()> {
    if !no_model {
        let incident: Json = client.get(&format!("/v1/incidents/{}", encode(id))).await?;
        if let Some(triage) = triage_of(&incident) {
            return Ok(output::print(&match format {
                ListFormat::Json => format!("{}\n", incident["unmapped"]["triage"]),
                ListFormat::Table => triage::explanation(&story_of(&incident)?, &triage, width),
            })?);
        }
    }
    let explained: ExplainedIncident = client.get(&format!("/v1/incidents/{}/explain", encode(id))).await?;
    Ok(output::print(&match format {
        ListFormat::Json => format!("{}\n", json!(explained)),
        ListFormat::Table => explain::text(&explained.text, width),
    })?)
}

fn path(args: &IncidentsArgs) -> String {
    let mut path = format!("/v1/incidents?limit={}", args.limit);
    let severity = args.severity.map(|severity| severity.name().to_lowercase());
    for (key, value) in [
        ("container", args.container.as_deref()),
        ("severity", severity.as_deref()),
        ("since", args.since.as_ref().map(|m| m.0.as_str())),
        ("until", args.until.as_ref().map(|m| m.0.as_str())),
        ("open", args.open.then_some("true")),
        ("follow", args.follow.then_some("true")),
    ] {
        if let Some(value) = value {
            path += &format!("&{key}={}", encode(value));
        }
    }
    path
}

/// One line: when, how severe, and what in one sentence.
fn row(incident: &Incident, triage: Option<&Triage>, width: usize) -> String {
    let (severity, before) = triage::listed(incident, triage);
    let cells = [
        moment(&render::rfc3339(incident.first_seen_ns)),
        severity.name().into(),
        if incident.is_open { "open" } else { "closed" }.into(),
        (incident.parts.len() as u64 + incident.unlisted).to_string().into(),
        incident.uid.get(..8).unwrap_or(&incident.uid).to_owned().into(),
        (before + &again::title(incident)).into(),
    ];
    output::row(&LAYOUT, &cells, width)
}
