//! `ethogram containers`: which containers run, and what the runtimes say of them.

use std::borrow::Cow;

use clap::{Args, Subcommand};
use ethogram_model::{Container, Image, Mount, render};
use serde_json::Value as Json;

use super::{
    args::ListFormat,
    client::{Client, encode},
    profile::moment,
    wrap::wrapped,
};
use crate::{
    api::{ContainerDetails, ContainerProcess, ProfileSummary},
    output::{self, Column},
    response::ResponseRecord,
};

/// Where the values begin of what `show` says.
const INDENT: usize = 12;
/// Columns of a terminal in which names are cut earlier.
const NARROW: usize = 100;

/// The containers.
#[derive(Debug, Args)]
#[command(after_help = "\
A container is known from its first instruction; its name and image follow within seconds, where a runtime knows it.

Examples:
  ethogram containers                                        those that run now
  ethogram containers show web                               one of them, with its processes and its profile
  ethogram containers -o json | jq '.[].image.name'          with labels, mounts and whether it is privileged")]
pub struct ContainersArgs {
    /// What to do; without it, list them
    #[command(subcommand)]
    pub action: Option<ContainersAction>,
    /// How they are printed
    #[arg(short, long, global = true, value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: ListFormat,
}

/// What to do with containers.
#[derive(Debug, Subcommand)]
pub enum ContainersAction {
    /// One container, with its processes, its profile, and what is done about it
    Show {
        /// Its name, its id, or the start of that
        id: String,
    },
}

pub(super) async fn answer(args: &ContainersArgs, client: &Client) -> anyhow::Result<()> {
    let path = match &args.action {
        Some(ContainersAction::Show { id }) => format!("/v1/containers/{}", encode(id)),
        None => "/v1/containers".to_owned(),
    };
    let width = output::width();
    let text = match (args.output, &args.action) {
        (ListFormat::Json, _) => format!("{:#}\n", client.get::<Json>(&path).await?),
        (ListFormat::Table, Some(ContainersAction::Show { .. })) => show(&client.get(&path).await?, width),
        (ListFormat::Table, None) => table(&client.get::<Vec<Container>>(&path).await?, width),
    };
    Ok(output::print(&text)?)
}

/// One container: what is known of it, and its processes.
fn show(details: &ContainerDetails, width: usize) -> String {
    let c = &details.container;
    let name = c.display_name();
    let pod = c.pod.as_ref().map(|pod| format!("{}/{}", pod.namespace, pod.name));
    let privileged = c.privileged.map(|privileged| if privileged { "yes" } else { "no" }.to_owned());
    let alerts = match details.alerts {
        0 => "none".to_owned(),
        n => format!("{n}, see ethogram alerts --container {name}"),
    };
    let facts = [
        ("CONTAINER", vec![name.to_owned()]),
        ("ID", vec![c.id.clone()]),
        ("RUNTIME", vec![c.runtime.clone()]),
        ("IMAGE", c.image.as_ref().map(image).into_iter().collect()),
        ("COMMAND", Vec::from_iter((!c.command.is_empty()).then(|| c.command.join(" ")))),
        ("STATE", vec![state(details)]),
        ("POD", Vec::from_iter(pod)),
        ("PRIVILEGED", Vec::from_iter(privileged)),
        ("CGROUP", Vec::from_iter(details.cgroup.clone())),
        ("PROFILE", details.profile.as_ref().map(|p| profile(p, name)).into_iter().collect()),
        ("ALERTS", vec![alerts]),
        ("RESPONSES", details.responses.iter().map(response).collect()),
        ("LABELS", c.labels.iter().map(|(key, value)| format!("{key}={value}")).collect()),
        ("MOUNTS", c.mounts.iter().map(mount).collect()),
    ];
    let mut out = String::new();
    for (title, values) in facts {
        let lines = values.iter().flat_map(|value| wrapped(&render::escape(value), width.saturating_sub(INDENT)));
        for (n, line) in lines.enumerate() {
            let title = if n == 0 { title } else { "" };
            out += &format!("{title:<INDENT$}{line}\n");
        }
    }
    if !details.processes.is_empty() {
        out.push('\n');
        out += &processes(&details.processes, width);
    }
    out
}

fn state(details: &ContainerDetails) -> String {
    let state = if details.frozen { "frozen" } else { "running" };
    match details.container.started_ns {
        Some(ns) => format!("{state}, started {} UTC", moment(&render::rfc3339(ns))),
        None => state.to_owned(),
    }
}

/// Its name, and the start of its digest, as runtimes print it.
fn image(image: &Image) -> String {
    match image.digest.get(..19) {
        Some(digest) => format!("{} {digest}", image.name),
        None => image.name.clone(),
    }
}

fn profile(profile: &ProfileSummary, container: &str) -> String {
    let (state, behaviours) = (profile.state.name(), profile.behaviours);
    format!("{state}, {behaviours} behaviours, see ethogram profile show {container}")
}

fn response(response: &ResponseRecord) -> String {
    let until = response.until.as_deref().map_or("it is undone".into(), moment);
    format!("{} until {until}, see ethogram responses --undo {}", response.action.name(), response.id)
}

fn mount(mount: &Mount) -> String {
    let access = if mount.writable { "writable" } else { "read-only" };
    format!("{} on {}, {access}", mount.source, mount.destination)
}

fn processes(all: &[ContainerProcess], width: usize) -> String {
    let columns = [
        Column::right("PID", 5),
        Column::right("PARENT", 6),
        Column::right("INSIDE", 6),
        Column::left("USER", 4, 16),
        Column::path("PROGRAM", 7, 32),
        Column::left("ARGUMENTS", 0, 80),
    ];
    let row = |p: &ContainerProcess| -> Vec<Cow<'static, str>> {
        vec![
            p.pid.to_string().into(),
            p.parent_pid.to_string().into(),
            if p.namespace_pid == 0 { "-".into() } else { p.namespace_pid.to_string().into() },
            shown(&p.user.clone().unwrap_or_else(|| p.user_id.to_string())),
            shown(&p.executable),
            shown(&p.args.join(" ")),
        ]
    };
    output::columns(&columns, &all.iter().map(row).collect::<Vec<_>>(), width)
}

fn shown(text: &str) -> Cow<'static, str> {
    render::escape(text).into_owned().into()
}

fn table(containers: &[Container], width: usize) -> String {
    // The image, which is last, needs some of a narrow terminal, too.
    let widest_name = if width < NARROW { 20 } else { 32 };
    let mut columns = vec![
        Column::left("CONTAINER", 9, widest_name),
        Column::left("ID", 12, 12),
        Column::left("RUNTIME", 7, 10),
        Column::left("STARTED (UTC)", 19, 19),
    ];
    let has_pods = containers.iter().any(|c| c.pod.is_some());
    if has_pods {
        columns.push(Column::left("POD", 3, 40));
    }
    columns.push(Column::path("IMAGE", 0, 80));
    let row = |c: &Container| {
        let mut cells = vec![
            shown(c.name.as_deref().unwrap_or("-")),
            shown(c.short_id()),
            shown(&c.runtime),
            c.started_ns.map_or("-".into(), |ns| moment(&render::rfc3339(ns))),
        ];
        if has_pods {
            cells.push(shown(&c.pod.as_ref().map_or("-".into(), |pod| format!("{}/{}", pod.namespace, pod.name))));
        }
        cells.push(shown(c.image.as_ref().map_or("-", |image| &image.name)));
        cells
    };
    output::columns(&columns, &containers.iter().map(row).collect::<Vec<_>>(), width)
}

#[cfg(test)]
mod tests {
    use ethogram_model::Pod;

    use super::*;

    fn web() -> Container {
        Container {
            id: "0123456789abcdef".into(),
            runtime: "docker".into(),
            name: Some("web\u{1b}[31m".into()),
            image: Some(Image { name: "nginx:1".into(), ..Image::default() }),
            started_ns: Some(1_769_860_800_000_000_000),
            ..Container::default()
        }
    }

    #[test]
    fn a_container_without_a_name_has_its_id() {
        let bare = Container { id: "fedcba9876543210".into(), ..Container::default() };
        let text = table(&[web(), bare], 120);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(lines[1], "web\\u{1b}[31m 0123456789ab docker  2026-01-31 12:00:00 nginx:1");
        assert_eq!(lines[2], "-             fedcba987654         -                   -");
    }

    #[test]
    fn a_narrow_terminal_has_room_for_the_end_of_the_image() {
        let image = Image { name: "registry.example.com/team/shop:1.2".into(), ..Image::default() };
        let long = Container { name: Some("n".repeat(40)), image: Some(image), ..web() };
        let pod = Some(Pod { name: "shop-0".into(), namespace: "live".into() });
        let text = table(std::slice::from_ref(&long), 80);
        assert!(text.ends_with("2026-01-31 12:00:00 …com/team/shop:1.2\n"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(table(&[Container { pod, ..long }], 140).contains(" live/shop-0 registry.example.com/team/shop:1.2\n"));
    }

    #[test]
    fn one_container_is_shown_with_what_is_known_of_it() {
        let mount = Mount { source: "/srv".into(), destination: "/data".into(), ..Mount::default() };
        let container = Container { command: vec!["a\nb".into()], mounts: vec![mount], ..web() };
        let process = ContainerProcess {
            pid: 7,
            parent_pid: 6,
            namespace_pid: 1,
            user: Some("www".into()),
            executable: "/bin/httpd".into(),
            args: vec!["httpd".into(), "-f".into()],
            ..ContainerProcess::default()
        };
        let cgroup = Some(format!("/docker/{}", "c".repeat(64)));
        let processes = vec![process];
        let details = ContainerDetails { container, cgroup, alerts: 2, frozen: true, processes, ..Default::default() };
        let expected = "\
CONTAINER   web\\u{1b}[31m
ID          0123456789abcdef
RUNTIME     docker
IMAGE       nginx:1
COMMAND     a\\nb
STATE       frozen, started 2026-01-31 12:00:00 UTC
CGROUP      /docker/cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
            cccc
ALERTS      2, see ethogram alerts --container web\\u{1b}[31m
MOUNTS      /srv on /data, read-only

  PID PARENT INSIDE USER PROGRAM    ARGUMENTS
    7      6      1 www  /bin/httpd httpd -f
";
        assert_eq!(show(&details, 80), expected);
    }
}
