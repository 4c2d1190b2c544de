//! How many instructions the verifier processes of each program, as it says when one is loaded. `script/test --kernels` collects it
//! from every kernel and compares it with what it was.

use std::{collections::BTreeMap, io::Write, sync::Mutex};

use libbpf_rs::{PrintLevel, set_print};
use serde_json::json;

use crate::kernel;

/// Names a file to which the instructions are written, one JSON object for a program a line.
const REPORT: &str = "ETHOGRAM_TEST_VERIFIER_REPORT";
/// What a program's log is to hold: statistics, and no more.
pub(crate) const STATISTICS: u32 = 4;

static PROCESSED: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

/// Counts from now on, of all programs that this process loads.
pub(super) fn collect() {
    // The first call has libbpf print elsewhere.
    kernel::capture_log(|| Ok(())).unwrap();
    set_print(Some((PrintLevel::Debug, print)));
}

fn print(level: PrintLevel, text: String) {
    if let Some((program, instructions)) = processed(&text) {
        PROCESSED.lock().unwrap().insert(program.to_owned(), instructions);
    }
    if level != PrintLevel::Debug {
        kernel::keep(&text);
    }
}

/// The program that a log is of, and how many instructions were processed.
fn processed(log: &str) -> Option<(&str, u64)> {
    let (_, rest) = log.split_once("prog '")?;
    let (program, log) = rest.split_once("': -- BEGIN PROG LOAD LOG --")?;
    let (_, rest) = log.split_once("processed ")?;
    Some((program, rest.split_once(" insns")?.0.parse().ok()?))
}

/// What was counted since the last call, a line for each program of `tracker`.
pub(super) fn take(tracker: &str) -> Vec<String> {
    let counted = std::mem::take(&mut *PROCESSED.lock().unwrap());
    let line = |(program, instructions): (String, u64)| {
        // All trackers share it; the first that needs it loads it.
        let tracker = if program == "dispatch" { "dispatcher" } else { tracker };
        json!({ "tracker": tracker, "program": program, "instructions": instructions }).to_string()
    };
    counted.into_iter().map(line).collect()
}

pub(super) fn report(lines: &[String]) {
    if let Some(path) = std::env::var_os(REPORT) {
        let mut file = std::fs::File::create(path).unwrap();
        lines.iter().for_each(|line| writeln!(file, "{line}").unwrap());
    }
}

#[test]
fn a_log_says_how_much_was_processed() {
    let log = "libbpf: prog 'deny_exec': -- BEGIN PROG LOAD LOG --\nverification time 40 usec\nstack depth 64\n\
               processed 1234 insns (limit 1000000) max_states_per_insn 1\n-- END PROG LOAD LOG --\n";
    assert_eq!(processed(log), Some(("deny_exec", 1234)));
    assert_eq!(processed("libbpf: prog 'deny_exec': failed to load: -13"), None);
}
