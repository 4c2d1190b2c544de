//! Examples of events, for the reference: what the tests beside a tracker cause and expect, one JSON object a line in
//! the tracker's folder, `examples/EVENT.jsonl`, as `ethogram run NAME -o json` prints it.
//!
//! With `ETHOGRAM_WRITE_EXAMPLES=1`, an expected event is added where it has a field that the examples there do not
//! show; examples with fields that the schema has no longer are removed. So they change only where the schema does.

use std::{
    collections::BTreeSet,
    env, fs,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use ethogram_model::{Container, Context, EventSchema, Exec, Image, Process};
use serde_json::Value as Json;

use super::*;

/// What the agent adds to an event of a container, besides what its record holds.
const ADDED: [&str; 8] = [
    "time",
    "tracker",
    "event",
    "process.executable.path",
    "process.command_args",
    "container.id",
    "container.name",
    "container.image.name",
];

fn file(schema: &EventSchema) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("trackers").join(&*schema.tracker);
    folder.join("examples").join(format!("{}.jsonl", schema.name))
}

/// The examples there are, those with other fields than the schema's left out.
fn fitting(schema: &EventSchema) -> Vec<Json> {
    let text = fs::read_to_string(file(schema)).unwrap_or_default();
    let known = |name: &String| ADDED.contains(&name.as_str()) || schema.field(name).is_some();
    let examples = text.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    examples.filter(|e| names(e).iter().all(known)).collect()
}

/// The dotted names in an event's JSON.
fn names(json: &Json) -> BTreeSet<String> {
    fn walk(json: &Json, prefix: &str, out: &mut BTreeSet<String>) {
        match json {
            Json::Object(inner) => {
                inner.iter().for_each(|(name, value)| walk(value, &format!("{prefix}.{name}"), out));
            }
            _ => _ = out.insert(prefix[1..].to_owned()),
        }
    }
    let mut out = BTreeSet::new();
    walk(json, "", &mut out);
    out
}

fn are_written() -> bool {
    env::var_os("ETHOGRAM_WRITE_EXAMPLES").is_some()
}

/// Adds an expected event to its examples, where that is asked for and it shows something new.
pub(super) fn offer(event: &Event) {
    static ONE_BY_ONE: Mutex<()> = Mutex::new(());
    if !are_written() {
        return;
    }
    let _guard = ONE_BY_ONE.lock().unwrap();
    let mut examples = fitting(&event.schema);
    let shown: BTreeSet<_> = examples.iter().flat_map(names).collect();
    let mut example = render::to_json(&in_a_container(event));
    if names(&example).is_subset(&shown) {
        return;
    }
    make_general(&mut example);
    examples.push(example);
    let path = file(&event.schema);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, examples.iter().map(|e| format!("{e}\n")).collect::<String>()).unwrap();
}

/// The event as it would be in a container: below the agent, nothing is known of those yet.
fn in_a_container(event: &Event) -> Event {
    let container = Container {
        id: "4f1c9e0b7a52d84e6c1f0a9b8d7e6f5a4c3b2a190817263544f3e2d1c0b9a8f7".into(),
        name: Some("shop".into()),
        image: Some(Image { name: "example.org/shop:1.4".into(), digest: String::new() }),
        ..Container::default()
    };
    let name = general(&text(event, "process.executable.name"));
    let process = event.get("process.pid").is_truthy().then(|| {
        let exec = Exec { path: format!("/usr/bin/{name}"), args: vec![name.clone()], name, ..Exec::default() };
        Process { exec: Arc::new(exec), ..Process::default() }
    });
    let context =
        Context { container: Some(Arc::new(container)), process: process.map(Arc::new), ..Context::default() };
    Event { context, ..event.clone() }
}

/// Takes out of all texts what is of this run or this machine only.
fn make_general(json: &mut Json) {
    match json {
        Json::Object(inner) => inner.values_mut().for_each(make_general),
        Json::Array(inner) => inner.iter_mut().for_each(make_general),
        Json::String(text) => *text = general(text),
        _ => {}
    }
}

fn general(text: &str) -> String {
    let here = env::current_exe().unwrap();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned();
    let mut text = text.replace("read go; ", "");
    for (path, instead) in [(here, "/usr/bin/example"), (root, "/src")] {
        text = text.replace(path.to_str().unwrap(), instead);
    }
    // The kernel keeps fifteen bytes of the name of a thread, which the test harness names after the test.
    let thread = std::thread::current().name().unwrap_or_default().chars().take(15).collect::<String>();
    if text == thread || text.starts_with("ethogram_probe-") {
        return "example".into();
    }
    // A temporary folder: `.tmp` and six random characters.
    while let Some(at) = text.find("/.tmp") {
        let random = text[at + 5..].chars().take_while(char::is_ascii_alphanumeric).count();
        text.replace_range(at..at + 5 + random, "/example");
    }
    text
}

#[test]
fn every_event_has_an_example_that_fits() {
    if are_written() {
        return; // The tests that write them may still be to come.
    }
    let mut problems = Vec::new();
    for tracker in builtin().unwrap() {
        for schema in &tracker.schema.events {
            let text = fs::read_to_string(file(schema)).unwrap_or_default();
            let examples = fitting(schema);
            let event = format!("{}.{}", schema.tracker, schema.name);
            if examples.is_empty() {
                problems.push(format!("{event}: there is no example"));
                continue;
            }
            if text.lines().count() > examples.len() {
                problems.push(format!("{event}: an example has a field that the event has not"));
            }
        }
    }
    assert!(
        problems.is_empty(),
        "{}\nlet a test of the tracker expect such an event, and run\n  \
         ETHOGRAM_WRITE_EXAMPLES=1 cargo nextest run -p ethogram-probe TRACKER",
        problems.join("\n")
    );
}

#[test]
fn what_is_of_one_run_only_is_left_out() {
    assert_eq!(general("/tmp/.tmpA1b2C3/real"), "/tmp/example/real");
    assert_eq!(general("read go; exit 3"), "exit 3");
    assert_eq!(general(env!("CARGO_MANIFEST_DIR")), "/src/crates/probe");
    assert_eq!(general("/etc/passwd"), "/etc/passwd");
}
