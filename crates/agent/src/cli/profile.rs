//! `ethogram profile`: what has been learnt.

use std::borrow::Cow;

use ethogram_detect::{ProfileTree, render_tree};
use ethogram_model::render;
use serde_json::json;

use super::{
    ListFormat,
    args::{ProfileAction, ProfileArgs},
    client::{Client, encode},
    speed,
};
use crate::{
    api::{ProfileState, ProfileSummary},
    output::{self, Column},
};

pub(super) async fn answer(args: &ProfileArgs, client: &Client) -> anyhow::Result<()> {
    let text = match &args.action {
        ProfileAction::List => {
            let all: Vec<ProfileSummary> = client.get("/v1/profiles").await?;
            match args.output {
                ListFormat::Json => format!("{:#}\n", json!(all)),
                ListFormat::Table => list(&all, output::width()),
            }
        }
        ProfileAction::Show { id } => {
            let profile: ProfileTree = client.get(&format!("/v1/profiles/{}", encode(id))).await?;
            match args.output {
                ListFormat::Json => format!("{:#}\n", json!(profile)),
                ListFormat::Table => render_tree(&profile),
            }
        }
        // It asks no server.
        ProfileAction::Cost { recording } => return speed::measure(recording, args.output),
    };
    output::print(&text)?;
    Ok(())
}

fn list(all: &[ProfileSummary], width: usize) -> String {
    let columns = [
        Column::left("ID", 8, 16),
        Column::left("WORKLOAD", 12, 28),
        Column::left("STATE", 8, 20),
        Column::right("BEHAVIOURS", 10),
        Column::right("SEEN", 6),
        Column::left("SINCE (UTC)", 19, 19),
        Column::left("IMAGE", 0, 60),
    ];
    let row = |p: &ProfileSummary| {
        vec![
            shown(&p.id),
            shown(&p.workload),
            state(p).into(),
            p.behaviours.to_string().into(),
            p.observations.to_string().into(),
            moment(&p.since),
            shown(&p.image),
        ]
    };
    output::columns(&columns, &all.iter().map(row).collect::<Vec<_>>(), width)
}

fn state(profile: &ProfileSummary) -> String {
    match (profile.state, profile.learning_seconds_left) {
        (ProfileState::Learning, Some(0)) => "learning until quiet".to_owned(),
        (ProfileState::Learning, Some(seconds)) => format!("learning, {} left", left(seconds)),
        (state, _) => state.name().to_owned(),
    }
}

fn left(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        _ => format!("{}h", seconds / 3600),
    }
}

fn shown(text: &str) -> Cow<'static, str> {
    render::escape(text).into_owned().into()
}

/// RFC 3339 as people read it: `2026-01-31 12:00:00`.
pub(super) fn moment(rfc3339: &str) -> Cow<'static, str> {
    let seconds = rfc3339.get(..19).unwrap_or(rfc3339);
    render::escape(&seconds.replace('T', " ")).into_owned().into()
}
