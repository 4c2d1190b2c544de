#![allow(clippy::unwrap_used)]

use ethogram_detect::{
    Detector,
    rules::{File, RuleSet, Rules},
};
use ethogram_model::{EventSchema, TrackerSchema, build, ocsf, render};

use super::*;
use crate::{
    ContainerFilter, EventFilter, Judged,
    collection::Collection,
    identity::Identity,
    judged::Judges,
    recording::{Before, Chunk, Encoder, Header, Mark, Player, frame::Framer},
    secrets::tests::PASSED,
};

/// A rule that holds for all that runs, and shows all that it can of it.
const ALL: &str = r#"
- rule: all
  desc: Shows what there is.
  condition: evt.type = execve
  output: "%proc.cmdline | %proc.args | %proc.exeline | %proc.args[1] | %proc.pcmdline | %evt.args | %proc.env | %process.command_args"
  priority: ERROR
"#;

/// Rules that look for what a mask covers: in the process, in one above it, in an argument, and in the event itself.
const HIDDEN: &str = r#"
- rule: in its own
  desc: x
  condition: evt.type = execve and proc.args contains "evil-tool"
  output: "%proc.cmdline"
  priority: ERROR
- rule: above
  desc: x
  condition: evt.type = execve and proc.pcmdline contains "evil-tool" and proc.name = id
  output: "%proc.pcmdline"
  priority: ERROR
- rule: any above
  desc: x
  condition: evt.type = execve and proc.acmdline contains "evil-tool" and proc.name = id
  output: "%proc.cmdline"
  priority: ERROR
- rule: one argument
  desc: x
  condition: evt.type = execve and proc.args[1] startswith "PASSWORD=evil"
  output: "%proc.args[1]"
  priority: ERROR
- rule: of the event
  desc: x
  condition: evt.type = execve and evt.args contains "evil-tool"
  output: "%evt.args"
  priority: ERROR
- rule: nothing of the kind
  desc: x
  condition: evt.type = execve and proc.name = bash and not proc.args contains "evil-tool"
  output: "%proc.cmdline"
  priority: ERROR
"#;

const SECOND: u64 = 1_000_000_000;

fn trackers() -> Vec<Arc<TrackerSchema>> {
    ethogram_probe::builtin().unwrap().into_iter().map(|t| t.schema).collect()
}

fn schema(trackers: &[Arc<TrackerSchema>], name: &str) -> Arc<EventSchema> {
    let process = trackers.iter().find(|t| &*t.name == "process").unwrap();
    Arc::clone(process.events.iter().find(|e| &*e.name == name).unwrap())
}

/// A process runs a program, as it comes from the kernel.
fn exec(schema: &Arc<EventSchema>, pid: u32, parent: u32, args: &[&str]) -> Event {
    let one = |name: &str, value: String| (name.to_owned(), vec![value]);
    let fields = [
        one("process.pid", pid.to_string()),
        one("process.parent_pid", parent.to_string()),
        one("_process_start", SECOND.to_string()),
        one("process.executable.path", format!("/usr/bin/{}", args[0].rsplit('/').next().unwrap())),
        one("process.executable.name", args[0].rsplit('/').next().unwrap().to_owned()),
        ("process.command_args".to_owned(), args.iter().map(|arg| (*arg).to_owned()).collect()),
    ];
    let mut event = build::event(schema, &fields).unwrap();
    event.context = Default::default();
    event
}

fn engine(trackers: &[Arc<TrackerSchema>], rules: &str) -> Engine<Judged> {
    let roles = trackers.iter().filter_map(|t| t.role.map(|role| (Arc::clone(&t.name), role)));
    Engine::new(Identity::new(roles), judged(trackers, rules), Some(Collection::default()))
}

fn judged(trackers: &[Arc<TrackerSchema>], rules: &str) -> Judged {
    let loaded = RuleSet::load(&[file(rules)], trackers);
    assert!(!loaded.has_errors(), "{:?}", loaded.problems);
    let detector = Detector { rules: Rules::new(Arc::new(loaded.set)), ..Detector::default() };
    Judged::new(ContainerFilter { host: true, ..ContainerFilter::default() }, detector, Judges::All)
}

fn file(rules: &str) -> File {
    File { name: "x.yaml".into(), text: rules.into() }
}

/// The bytes of a recording, before they are compressed.
fn bytes_of(inputs: &[Input]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    inputs.iter().for_each(|input| encoder.encode(input, &mut |_| Ok(())));
    encoder.take().bytes
}

fn begin() -> [Input; 2] {
    [Input::Cgroups(vec![(0, "/".to_owned())]), Input::Walk { cut: false, started_ns: 0, now_ns: 1 }]
}

#[test]
fn no_output_holds_a_secret() {
    let trackers = trackers();
    let schema = schema(&trackers, "exec");
    for (n, case) in PASSED.iter().enumerate() {
        // A secret that is nothing else.
        let marked = |secret: &str| secret.replace(|c: char| c.is_ascii_lowercase(), "z");
        let (mut line, mut secrets, mut rest) = (String::new(), Vec::new(), *case);
        while let Some((before, after)) = rest.split_once('«') {
            let (secret, after) = after.split_once('»').unwrap();
            secrets.push(if secret.len() < 6 || secret.contains("0123") { secret.into() } else { marked(secret) });
            line = line + before + secrets.last().unwrap();
            rest = after;
        }
        line += rest;
        let args: Vec<&str> = line.split('¦').collect();
        let mut engine = engine(&trackers, ALL);
        let _follows = engine.consumer.follow(EventFilter::default());
        let mut inputs: Vec<Input> = begin().into();
        inputs.push(Input::Events(vec![exec(&schema, 100, 1, &args)]));
        inputs.push(Input::Processes(vec![FoundProcess {
            process: ethogram_model::Process { pid: 200, start_ns: SECOND, ..Default::default() },
            exec: Exec { pid: 200, args: args.iter().map(|arg| (*arg).to_owned()).collect(), ..Exec::default() },
            cgroup: 0,
            session: 0,
            answers: None,
        }]));
        inputs.push(Input::Events(vec![exec(&schema, 200, 100, &["id", "-u"])]));
        inputs.iter_mut().for_each(|input| engine.mask(input));
        let recorded = String::from_utf8_lossy(&bytes_of(&inputs)).into_owned();
        let mut out = vec![recorded];
        for input in inputs {
            let effects = engine.step(input);
            out.push(format!("{:?} {:?} {:?}", effects.updates, effects.save, effects.containers));
            for report in &effects.reports {
                out.push(format!("{report:?} {}", ocsf::from_report(report)));
            }
            for event in &effects.events {
                out.push(format!("{:?} {}", event.context, render::to_json(event)));
                out.push(String::from_utf8_lossy(&event.record).into_owned());
            }
        }
        assert!(out.iter().any(|text| text.contains("Shows what there is")), "{case}");
        for secret in secrets.iter().filter(|secret| secret.len() >= 6) {
            let leak = out.iter().find(|text| text.contains(secret.as_str()));
            assert!(leak.is_none(), "case {n}, {line}: {secret} in {}", leak.unwrap());
        }
    }
}

/// What rules find in these inputs, and the inputs once they are masked.
fn found(engine: &mut Engine<Judged>, inputs: Vec<Input>) -> Vec<String> {
    let mut found = Vec::new();
    for input in inputs {
        let effects = engine.step(input);
        found.extend(effects.reports.iter().map(|report| ocsf::from_report(report).to_string()));
    }
    found
}

fn names(found: &[String]) -> Vec<&'static str> {
    let all = ["in its own", "above", "any above", "one argument", "of the event", "nothing of the kind"];
    all.into_iter().filter(|name| found.iter().any(|line| line.contains(&format!("host: {name}\"")))).collect()
}

#[test]
fn what_a_mask_covers_is_judged_and_a_replay_finds_the_same() {
    let trackers = trackers();
    let (exec_schema, fork_schema) = (schema(&trackers, "exec"), schema(&trackers, "fork"));
    let fork = || {
        let one = |name: &str, value: String| (name.to_owned(), vec![value]);
        let fields = [
            one("process.pid", "100".into()),
            one("_process_start", SECOND.to_string()),
            one("process.child.pid", "101".into()),
            one("_child_start", SECOND.to_string()),
        ];
        let mut event = build::event(&fork_schema, &fields).unwrap();
        event.context = Default::default();
        event
    };
    let inputs = |text: &str| {
        let mut inputs: Vec<Input> = begin().into();
        inputs.push(Input::Events(vec![
            exec(&exec_schema, 100, 1, &["bash", "-c", text]),
            fork(),
            exec(&exec_schema, 101, 100, &["id"]),
        ]));
        inputs.push(Input::End(30 * SECOND));
        inputs
    };
    for (text, wanted) in [
        ("PASSWORD=evil-tool; $PASSWORD", &["in its own", "above", "any above", "one argument", "of the event"][..]),
        ("PASSWORD=hunter2; other-tool", &["nothing of the kind"]),
        ("PASSWORD=hunter2; evil-tool", &["in its own", "above", "any above", "of the event"]),
    ] {
        let mut live = engine(&trackers, HIDDEN);
        let mut inputs = inputs(text);
        inputs.iter_mut().for_each(|input| live.mask(input));
        let header = Header { format: Header::FORMAT.into(), version: Header::VERSION, ..Header::default() };
        let mut bytes = [&serde_json::to_vec(&header).unwrap()[..], b"\n"].concat();
        let (mut framer, mut encoder) = (Framer::new().unwrap(), Encoder::default());
        let mut write = |chunk: Chunk| bytes.extend_from_slice(framer.frame(&chunk.bytes).unwrap());
        let (files, container_filter) = ([file(HIDDEN)], ContainerFilter { host: true, ..ContainerFilter::default() });
        let conditions = crate::recording::Conditions { container_filter, ..Default::default() };
        encoder.begin(conditions, &trackers, &Before { rules: &files, ..Before::default() }, &mut write);
        inputs.iter().for_each(|input| encoder.encode(input, &mut |_| Ok(())));
        let mut last = encoder.take();
        last.mark(&Mark::Closed);
        write(last);
        let given = found(&mut live, inputs);
        assert_eq!(names(&given), wanted, "{text}: {given:#?}");
        assert!(given.iter().all(|line| !line.contains("=evil-tool") && !line.contains("hunter2")), "{given:#?}");
        let mut again = Vec::new();
        let played = Player::open(&*bytes).unwrap().play(judged(&trackers, HIDDEN), |effects| {
            again.extend(effects.reports.iter().map(|report| ocsf::from_report(report).to_string()));
            true
        });
        assert_eq!(played.damage, None);
        assert_eq!(again, given, "{text}");
    }
}
