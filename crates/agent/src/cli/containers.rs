//! `ethogram containers`: which containers run, and what the runtimes say of them.

use clap::Args;
use ethogram_model::{Container, render};
use serde_json::Value as Json;

use super::{args::ListFormat, client::Client, profile::moment};
use crate::output::{self, Column};

/// The containers.
#[derive(Debug, Args)]
#[command(after_help = "\
A container is known from its first instruction; its name and image follow within seconds, where a runtime knows it.

Examples:
  ethogram containers                                        those that run now
  ethogram containers -o json | jq '.[].image.name'          with labels, mounts and whether it is privileged")]
pub struct ContainersArgs {
    /// How they are printed
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: ListFormat,
}

pub(super) async fn answer(args: &ContainersArgs, client: &Client) -> anyhow::Result<()> {
    let text = match args.output {
        ListFormat::Json => format!("{:#}\n", client.get::<Json>("/v1/containers").await?),
        ListFormat::Table => table(&client.get::<Vec<Container>>("/v1/containers").await?, output::width()),
    };
    Ok(output::print(&text)?)
}

fn table(containers: &[Container], width: usize) -> String {
    let columns = [
        Column::left("CONTAINER", 9, 32),
        Column::left("ID", 12, 12),
        Column::left("RUNTIME", 7, 10),
        Column::left("STARTED (UTC)", 19, 19),
        Column::left("POD", 3, 40),
        Column::left("IMAGE", 0, 80),
    ];
    let shown = |text: &str| render::escape(text).into_owned().into();
    let row = |c: &Container| {
        let pod = c.pod.as_ref().map(|pod| format!("{}/{}", pod.namespace, pod.name));
        vec![
            shown(c.name.as_deref().unwrap_or("-")),
            shown(c.short_id()),
            shown(&c.runtime),
            c.started_ns.map_or("-".into(), |ns| moment(&render::rfc3339(ns))),
            shown(pod.as_deref().unwrap_or("-")),
            shown(c.image.as_ref().map_or("-", |image| &image.name)),
        ]
    };
    output::columns(&columns, &containers.iter().map(row).collect::<Vec<_>>(), width)
}

#[cfg(test)]
mod tests {
    use ethogram_model::Image;

    use super::*;

    #[test]
    fn a_container_without_a_name_has_its_id() {
        let named = Container {
            id: "0123456789abcdef".into(),
            runtime: "docker".into(),
            name: Some("web\u{1b}[31m".into()),
            image: Some(Image { name: "nginx:1".into(), ..Image::default() }),
            started_ns: Some(1_769_860_800_000_000_000),
            ..Container::default()
        };
        let bare = Container { id: "fedcba9876543210".into(), ..Container::default() };
        let text = table(&[named, bare], 120);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(lines[1], "web\\u{1b}[31m 0123456789ab docker  2026-01-31 12:00:00 -   nginx:1");
        assert_eq!(lines[2], "-             fedcba987654         -                   -   -");
    }
}
