//! Which programs each tracker attaches on this kernel. `script/test --kernels` collects it from every kernel.

use std::io::Write;

use serde_json::{Map, Value};

use super::*;
use crate::ProgramState;

/// Names a file to which the programs of every tracker are written, one JSON object a line.
const REPORT: &str = "ETHOGRAM_TEST_ATTACH_REPORT";

#[test]
fn every_tracker_attaches_or_says_why_not() {
    let (output, _events) = unbounded();
    let collector = Collector::new(settings(), builtin().unwrap(), output).unwrap();
    let (mut lines, mut verified) = (Vec::new(), Vec::new());
    verifier::collect();
    for tracker in builtin().unwrap() {
        let name = &*tracker.schema.name;
        match collector.start(name, Start::default()) {
            Ok(status) => {
                assert!(status.programs.iter().any(|p| p.state == ProgramState::Attached), "{name}: {status:?}");
                read_descriptors();
                lines.extend(status.programs.iter().map(|p| line(name, &p.name, &p.attach, &p.state)));
                collector.stop(name).unwrap();
                verified.extend(verifier::take(name));
            }
            Err(error) => {
                assert!(error.is_unsupported(), "{name}: {error}");
                lines.push(line(name, "", "", &ProgramState::Refused(error.to_string())));
                verifier::take(name);
            }
        }
    }
    crate::response::load_each_program();
    verified.extend(verifier::take("policy"));
    assert!(!verified.is_empty(), "the verifier has said nothing");
    verifier::report(&verified);
    if let Some(path) = std::env::var_os(REPORT) {
        let mut file = std::fs::File::create(path).unwrap();
        lines.iter().for_each(|l| writeln!(file, "{l}").unwrap());
    }
}

/// As tools do that list open files; 6.18 has links that do not survive it.
fn read_descriptors() {
    for entry in std::fs::read_dir("/proc/self/fdinfo").unwrap() {
        // Tests beside this one close theirs.
        let _ = std::fs::read(entry.unwrap().path());
    }
}

fn line(tracker: &str, program: &str, attach: &str, state: &ProgramState) -> Value {
    let (state, reason) = match state {
        ProgramState::Attached => ("attached", None),
        ProgramState::Idle => ("idle", None),
        ProgramState::Withheld(reason) => ("withheld", Some(reason)),
        ProgramState::Unneeded => ("unneeded", None),
        ProgramState::Refused(reason) => ("refused", Some(reason)),
    };
    let pairs =
        [("tracker", Some(tracker)), ("program", Some(program)), ("attach", Some(attach)), ("state", Some(state))];
    let pairs = pairs.into_iter().chain([("reason", reason.map(String::as_str))]);
    Value::Object(pairs.filter_map(|(k, v)| Some((k.to_owned(), v?.into()))).collect::<Map<_, _>>())
}
