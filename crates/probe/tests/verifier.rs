//! What it costs the verifier to check each program, as `script/test --kernels` measured it: a change that makes it process many
//! more instructions is one to look at, long before a kernel refuses the program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, env, fs, path::Path};

use serde::Deserialize;

/// The file that `script/kernels/run` collects.
const MEASURED: &str = "ETHOGRAM_KERNELS_VERIFIED";
/// Whether what was measured is written down.
const UPDATE: &str = "ETHOGRAM_KERNELS_UPDATE";
/// How many more there may be: a tenth, and some in small programs.
const TOLERANCE: (u64, u64) = (10, 200);

/// One program of a tracker in one kernel.
#[derive(Debug, Deserialize)]
struct Line {
    kernel: String,
    tracker: String,
    program: String,
    instructions: u64,
}

/// By tracker, program and kernel.
type Written = BTreeMap<String, BTreeMap<String, BTreeMap<String, u64>>>;

#[test]
#[ignore = "needs what script/test --kernels measured"]
fn no_program_costs_the_verifier_much_more_than_before() {
    let measured = env::var_os(MEASURED).expect("script/test --kernels runs this");
    let measured = fs::read_to_string(measured).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("verifier.json");
    let mut written: Written =
        fs::read_to_string(&path).map_or_else(|_| Written::new(), |t| serde_json::from_str(&t).unwrap());
    let lines: Vec<Line> = measured.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(!lines.is_empty(), "nothing was measured");
    if env::var_os(UPDATE).is_some_and(|v| !v.is_empty()) {
        for line in lines {
            written
                .entry(line.tracker)
                .or_default()
                .entry(line.program)
                .or_default()
                .insert(line.kernel, line.instructions);
        }
        fs::write(&path, serde_json::to_string_pretty(&written).unwrap() + "\n").unwrap();
        return;
    }
    let before = |line: &Line| written.get(&line.tracker)?.get(&line.program)?.get(&line.kernel).copied();
    let (relative, absolute) = TOLERANCE;
    let worse = lines.iter().filter_map(|line| {
        let Line { kernel, tracker, program, instructions } = line;
        match before(line) {
            None => Some(format!("{tracker}: {program} is not written down for kernel {kernel}: {instructions}")),
            Some(before) if *instructions > before + before / relative + absolute => Some(format!(
                "{tracker}: {program} takes {instructions} instructions in kernel {kernel}, after {before}"
            )),
            Some(_) => None,
        }
    });
    let worse: Vec<_> = worse.collect();
    assert!(worse.is_empty(), "{}\nif that is as it should be: script/test --kernels --update", worse.join("\n"));
}
