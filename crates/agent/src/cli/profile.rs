//! `ethogram profile`: what has been learnt, and what people decide of it.

use std::{borrow::Cow, fs, path::Path};

use anyhow::Context;
use ethogram_detect::{Profile, ProfileDiff, ProfileTree, render_tree, short};
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
    failure::{Differ, Usage},
    output::{self, Column},
    pipeline::now_ns,
    profiles,
};

pub(super) async fn answer(args: &ProfileArgs, client: &Client) -> anyhow::Result<()> {
    let one = |id: &str, what: &str| format!("/v1/profiles/{}{what}", encode(id));
    let text = match &args.action {
        ProfileAction::List => summaries(&client.get::<Vec<_>>("/v1/profiles").await?, args.output),
        ProfileAction::Show { id } => {
            let profile: ProfileTree = client.get(&one(id, "")).await?;
            match args.output {
                ListFormat::Json => format!("{:#}\n", json!(profile)),
                ListFormat::Table => render_tree(&profile),
            }
        }
        // It asks no server.
        ProfileAction::Cost { recording } => return speed::measure(recording, args.output),
        ProfileAction::Export { id, output_file } => {
            let file = client.get_text(&one(id, "/file")).await?;
            match output_file {
                None => file,
                Some(path) => {
                    return fs::write(path, file).with_context(|| format!("cannot write {}", path.display()));
                }
            }
        }
        ProfileAction::Import { files, any_digest } => {
            summaries(&import(files, *any_digest, client).await?, args.output)
        }
        ProfileAction::Approve { id } => {
            summaries(&[client.post(&one(id, "/approve"), &json!({})).await?], args.output)
        }
        ProfileAction::Reset { id } => summaries(&[client.delete(&one(id, "")).await?], args.output),
        ProfileAction::Diff { from, to } => {
            let diff: ProfileDiff = match to {
                Some(to) => ProfileDiff::of(&profile(from, client).await?, &profile(to, client).await?),
                None if is_file(from) => {
                    let what = format!(
                        "{from} is a file: name what it is to be compared with, such as a container of that image"
                    );
                    return Err(Usage(what).into());
                }
                None => client.get(&one(from, "/diff")).await?,
            };
            return differ(&diff, args.output);
        }
    };
    Ok(output::print(&text)?)
}

/// Has the server take up all files, or as many as it takes before one that it refuses. All are read before.
async fn import(
    files: &[std::path::PathBuf],
    any_digest: bool,
    client: &Client,
) -> anyhow::Result<Vec<ProfileSummary>> {
    let (mut texts, mut wrong) = (Vec::new(), Vec::new());
    for file in files {
        match profiles::text(file) {
            Err(error) => wrong.push(format!("cannot read the profile {}: {error}", file.display())),
            Ok(text) => match Profile::from_file(&text, now_ns()) {
                Err(problems) => wrong.push(format!("{}, {problems}", file.display())),
                Ok(_) => texts.push((file, text)),
            },
        }
    }
    if !wrong.is_empty() {
        return Err(Usage(format!("nothing is imported: {}", wrong.join("; "))).into());
    }
    let mut all = Vec::new();
    for (file, text) in texts {
        let path = format!("/v1/profiles?any_digest={any_digest}");
        let mut taken: Vec<ProfileSummary> =
            client.put_text(&path, text).await.with_context(|| format!("{} is not imported", file.display()))?;
        all.append(&mut taken);
    }
    Ok(all)
}

/// Whether a file is meant, and not a profile of the server's.
fn is_file(name: &str) -> bool {
    name == "-" || Path::new(name).is_file()
}

async fn profile(name: &str, client: &Client) -> anyhow::Result<Profile> {
    if is_file(name) {
        return profiles::profile(Path::new(name)).map_err(|e| Usage(e).into());
    }
    let text = client.get_text(&format!("/v1/profiles/{}/file", encode(name))).await?;
    Profile::from_file(&text, now_ns()).with_context(|| format!("the server's profile {name} is wrong"))
}

/// Prints what differs, and nothing where nothing does.
fn differ(diff: &ProfileDiff, format: ListFormat) -> anyhow::Result<()> {
    match format {
        ListFormat::Json => output::print(&format!("{:#}\n", json!(diff)))?,
        ListFormat::Table if diff.is_empty() => {}
        ListFormat::Table => output::print(&diff.render())?,
    }
    if diff.is_empty() { Ok(()) } else { Err(Differ.into()) }
}

fn summaries(all: &[ProfileSummary], format: ListFormat) -> String {
    match format {
        ListFormat::Json => format!("{:#}\n", json!(all)),
        ListFormat::Table => list(all, output::width()),
    }
}

fn list(all: &[ProfileSummary], width: usize) -> String {
    let columns = [
        Column::left("ID", 8, 8),
        Column::left("WORKLOAD", 12, 44),
        Column::left("STATE", 8, 20),
        Column::right("HOLDS", 5),
        Column::right("SEEN", 6),
        Column::right("ALERTS", 6),
        Column::left("MISSING FOR STABLE", 0, 60),
    ];
    let row = |p: &ProfileSummary| {
        vec![
            shown(p.id.get(..8).unwrap_or(&p.id)),
            shown(&p.workload),
            state(p).into(),
            short(p.behaviours).into(),
            short(p.observations).into(),
            short(p.alerts).into(),
            shown(&p.missing.join("; ")),
        ]
    };
    output::columns(&columns, &all.iter().map(row).collect::<Vec<_>>(), width)
}

fn state(profile: &ProfileSummary) -> String {
    match (profile.state, profile.learning_seconds_left) {
        (ProfileState::Learning, Some(0)) => "learning until quiet".to_owned(),
        (ProfileState::Learning, Some(seconds)) => format!("learning, {} left", left(seconds)),
        (state, _) if profile.approved.is_some() => format!("{}, approved", state.name()),
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
