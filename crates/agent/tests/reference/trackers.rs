//! A page for each tracker, and the index.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use ethogram_model::{EventSchema, Field, FieldKind, Param, render, schema::BehaviourSpec, vocabulary::CONTEXT};
use ethogram_probe::{Program, TrackerObject, builtin};
use serde_json::Value as Json;

use crate::page::{block, code, sentence, table, titled};

pub(crate) fn pages() -> Vec<(String, String)> {
    let trackers = builtin().unwrap();
    let mut pages: Vec<_> =
        trackers.iter().map(|t| (format!("trackers/{}.md", t.schema.name), Page { tracker: t }.text())).collect();
    pages.push(("README.md".into(), index(&trackers)));
    pages
}

fn index(trackers: &[TrackerObject]) -> String {
    let row = |t: &TrackerObject| {
        let events: Vec<_> = t.schema.events.iter().map(|e| code(&e.name)).collect();
        let name = &t.schema.name;
        let default = if t.schema.default { "yes" } else { "no" };
        [format!("[`{name}`](trackers/{name}.md)"), default.into(), t.schema.summary.clone(), events.join(", ")]
    };
    let header = trackers[0].schema.events[0].fields.iter().filter(|f| f.header && !render::is_internal(f));
    let header = header.map(|f| [code(&f.name), kind(f, &[]), f.doc.clone()]);
    // What the agent adds to an event: not in any tracker's schema.
    let added =
        CONTEXT.iter().filter(|f| f.shown.in_events).map(|f| [code(f.name), of_kind(f.kind).into(), f.doc.into()]);
    let time = [code("time"), "string".into(), "when it happened, RFC 3339 with nanoseconds".into()];
    let examples = "In the examples of all pages, the container, and the path and arguments of the process where the \
                    event itself has none, are samples. Everything else was seen.";
    titled("Reference")
        + "\n- [Configuration](configuration.md)\n- [Commands](commands.md)\n- [HTTP API](api.md), \
           and as an [OpenAPI document](openapi.json)\n- [Metrics](metrics.md)\n\n## Trackers\n"
        + &table(["tracker", "on by default", "what it reports", "events"], trackers.iter().map(row))
        + "\n## What every event tells\n\nThese, and the fields of its own that its tracker's page lists. What is not \
           known is left out; so is the container, of processes on the host.\n"
        + &table(["field", "type", "meaning"], header.chain([time]).chain(added))
        + &format!("\n{examples}\n")
}

/// A tracker's page.
struct Page<'a> {
    tracker: &'a TrackerObject,
}

impl Page<'_> {
    fn text(&self) -> String {
        let schema = &self.tracker.schema;
        let name = &*schema.name;
        let start = if schema.role.is_some() {
            "The agent needs it to tell which container and process did what, so it always runs with the server.".into()
        } else if schema.default {
            "The server starts it by itself.".into()
        } else {
            format!(
                "The server starts it on request only: name it in `[trackers] enabled`, or run \
                 `ethogram trackers start {name}`."
            )
        };
        let mut out = titled(name);
        out += &format!("\n{}\n\n{start} In the terminal: `ethogram run {name}`.\n", sentence(&schema.summary));
        for event in &schema.events {
            out += &self.event(event);
        }
        if !schema.params.is_empty() {
            out += &format!(
                "\n## Parameters\n\nSet with `ethogram run {name} --set NAME=VALUE`, in the configuration's section \
                 `[trackers.{name}]`, and through the API.\n"
            );
            out += &table(
                ["parameter", "default", "in the server", "meaning"],
                schema.params.iter().map(|p| self.param(p)),
            );
        }
        out += "\n## Programs\n\n`ethogram doctor` shows which of them this machine's kernel takes.\n";
        out + &table(["program", "attaches to, the first that the kernel takes"], self.programs())
    }

    fn event(&self, event: &EventSchema) -> String {
        let examples = examples(event);
        let how = if event.sample { "Counted in the kernel, and read every interval." } else { "Sent as it happens." };
        let own = event.fields.iter().filter(|f| !f.header && !render::is_internal(f));
        let row = |f: &Field| [code(&f.name), kind(f, &examples), unit(f).into(), f.doc.clone()];
        let mut out = format!("\n## {}\n\n{how}\n", event.name);
        out += &table(["field", "type", "unit", "meaning"], own.map(row));
        if !event.behaviours.is_empty() {
            let learnt: Vec<_> = event.behaviours.iter().map(learnt).collect();
            out += &format!("\nThe behaviour model learns it {}.\n", learnt.join(", and "));
        }
        for example in &examples {
            out += &block("json", &format!("{example:#}"));
        }
        out
    }

    fn param(&self, param: &Param) -> [String; 4] {
        let default = match param.default {
            n if param.boolean => (n != 0).to_string(),
            n => n.to_string(),
        };
        let server = self.tracker.server_params().get(&param.name).cloned().unwrap_or_else(|| default.clone());
        [code(&param.name), code(&default), code(&server), param.doc.clone()]
    }

    /// A row for each thing that it needs: where it attaches, the cheapest first.
    fn programs(&self) -> Vec<[String; 2]> {
        let needs = self.tracker.requirements().unwrap();
        let row = |ways: &Vec<Vec<Program>>| {
            let mut names: Vec<_> = ways.iter().flatten().map(|p| code(&p.name)).collect();
            // One can be part of several ways.
            let mut listed = BTreeSet::new();
            names.retain(|name| listed.insert(name.clone()));
            let way = |way: &Vec<Program>| match way.as_slice() {
                [] => "nothing: the rest runs without it".to_owned(),
                programs => {
                    let attach = programs.iter().map(|p| code(&p.attach)).collect::<Vec<_>>().join(" and ");
                    match programs.iter().find_map(|p| p.high_overhead.as_deref()) {
                        Some(cost) => format!("{attach} (only while all is wanted: {cost})"),
                        None => attach,
                    }
                }
            };
            [names.join(", "), ways.iter().map(way).collect::<Vec<_>>().join("; else ")]
        };
        needs.iter().map(row).collect()
    }
}

fn learnt(behaviour: &BehaviourSpec) -> String {
    let all = |names: &[String]| names.iter().map(|n| code(n)).collect::<Vec<_>>().join(" and ");
    let part = if behaviour.kind.is_bulk() { "as one of the many of" } else { "as" };
    let mut out = format!("{part} the operation `{}` on {}", behaviour.operation, all(&behaviour.object));
    if let Some(when) = &behaviour.when {
        out += &format!(", if {}", code(when));
    }
    if let Some(unless) = &behaviour.unless {
        out += &format!(", unless {}", code(unless));
    }
    out
}

/// The examples beside the tracker, as the probe's tests wrote and checked them.
fn examples(event: &EventSchema) -> Vec<Json> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../probe/trackers").join(&*event.tracker);
    let file = folder.join("examples").join(format!("{}.jsonl", event.name));
    let text = fs::read_to_string(&file).unwrap_or_else(|e| {
        let tracker = &event.tracker;
        panic!(
            "event '{}' of tracker '{tracker}' has no example ({}: {e}); let a test expect it, and run\n  \
             ETHOGRAM_WRITE_EXAMPLES=1 cargo nextest run -p ethogram-probe {tracker}",
            event.name,
            file.display()
        )
    });
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The type of a field in JSON: as the examples have it.
fn kind(field: &Field, examples: &[Json]) -> String {
    let shown = examples.iter().find_map(|e| field.name.split('.').try_fold(e, |at, part| at.get(part)));
    match shown {
        Some(Json::Bool(_)) => "boolean",
        Some(Json::Number(_)) => "integer",
        Some(Json::Array(_)) => "list of strings",
        Some(_) => "string",
        None => of_kind(field.kind),
    }
    .into()
}

fn of_kind(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Unsigned | FieldKind::Signed | FieldKind::Duration => "integer",
        FieldKind::Bool | FieldKind::PathCut => "boolean",
        FieldKind::Args => "list of strings",
        _ => "string",
    }
}

fn unit(field: &Field) -> &'static str {
    match field.kind {
        FieldKind::Duration => "ns",
        FieldKind::Unsigned | FieldKind::Signed if field.name.ends_with("bytes") || field.name.ends_with("size") => {
            "bytes"
        }
        _ => "",
    }
}

#[test]
fn trackers_are_found_without_a_list() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../probe/trackers");
    let folders = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let pages: BTreeMap<_, _> = pages().into_iter().collect();
    for name in folders {
        assert!(pages.contains_key(&format!("trackers/{name}.md")), "{name} has no page");
        assert!(pages["README.md"].contains(&format!("trackers/{name}.md")), "{name} is not in the index");
    }
}
