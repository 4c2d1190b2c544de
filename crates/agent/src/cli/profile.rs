//! `ethogram profile`: what has been learnt, and what people decide of it.

use std::{
    borrow::Cow,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::{Args, Subcommand};
use ethogram_detect::{Profile, ProfileDiff, ProfileTree, render_tree, short};
use ethogram_model::render;
use serde_json::json;

use super::{
    args::ListFormat,
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

/// What has been learnt.
#[derive(Debug, Args)]
#[command(after_help = "\
A profile is named by its id or the start of it, its workload's name, its image, or a container. What is imported or approved
judges at once, and learns nothing more. A file for another version of its image is refused; --any-digest accepts it.

Examples:
  ethogram profile list                                      what is known, how far it is, and what it lacks
  ethogram profile show web                                  what the container web does
  ethogram profile export web --output-file web.toml         as a file, to be reviewed and kept beside the image
  ethogram profile diff web.toml web                         what it does now that is not in the file
  ethogram profile diff web                                  what it does that the image's last version did not
  ethogram profile import web.toml                           judge by it, on this host
  ethogram server --locked                                   judge by profiles only, and learn nothing")]
pub struct ProfileArgs {
    /// What to do
    #[command(subcommand)]
    pub action: ProfileAction,
    /// How it is printed
    #[arg(short, long, global = true, value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: ListFormat,
}

/// What to do with profiles.
#[derive(Debug, Subcommand)]
pub enum ProfileAction {
    /// All profiles, one a line
    List,
    /// One profile, with all that its workload does
    Show {
        /// Its id, its workload's name, its image, or a container
        id: String,
    },
    /// What differs between two profiles; the exit code is 0 where they are the same, and 1 where not
    Diff {
        /// A profile's id, or its file, or - for standard input
        #[arg(value_name = "ID|FILE")]
        from: String,
        /// Another one [default: the first is compared with the image's version before it]
        #[arg(value_name = "ID|FILE")]
        to: Option<String>,
    },
    /// Write a profile as a file that people can review
    Export {
        /// Its id, its workload's name, its image, or a container
        id: String,
        /// Write to a file in place of the terminal
        #[arg(long, value_name = "FILE")]
        output_file: Option<PathBuf>,
    },
    /// Import profiles from files: they are approved, and replace those that there are
    Import {
        /// The files; - is standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Also for those other contents of the image's name that are known here
        #[arg(long)]
        any_digest: bool,
    },
    /// Say that a profile is right as it is, with what raised alerts: it learns nothing more
    Approve {
        /// Its id, its workload's name, its image, or a container
        id: String,
    },
    /// Forget a profile: its workload is learnt anew
    Reset {
        /// Its id, its workload's name, its image, or a container
        id: String,
    },
    /// How fast events of a recording are learnt and judged, over and over for some seconds
    Cost {
        /// The recording
        #[arg(long, value_name = "FILE")]
        recording: PathBuf,
    },
}

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
async fn import(files: &[PathBuf], any_digest: bool, client: &Client) -> anyhow::Result<Vec<ProfileSummary>> {
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
