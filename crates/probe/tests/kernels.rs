//! Which kernel attaches which programs, as `script/test --kernels` measured it: every alternative has to have had its
//! turn somewhere, and the tables in the documentation have to say what was measured.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// The file that `script/kernels/run` collects.
const MEASURED: &str = "ETHOGRAM_KERNELS_MEASURED";
/// Whether the tables are written anew.
const UPDATE: &str = "ETHOGRAM_KERNELS_UPDATE";
const BEGIN: &str = "<!-- kernels -->\n";
const END: &str = "<!-- /kernels -->";

/// One program of a tracker in one kernel.
#[derive(Debug, Deserialize)]
struct Line {
    /// `5.10`, or `host 6.18`: the machine that ran the guests, the last one.
    kernel: String,
    /// Kinds of attach points that were left out, so that others had their turn.
    avoid: String,
    tracker: String,
    /// Empty where the tracker as a whole was refused.
    program: String,
    attach: String,
    state: String,
    #[serde(default)]
    reason: String,
}

impl Line {
    fn attached(&self) -> bool {
        self.state == "attached"
    }

    fn kind(&self) -> &str {
        self.attach.split('/').next().unwrap_or_default()
    }
}

#[test]
#[ignore = "needs what script/test --kernels measured"]
fn every_alternative_was_attached_in_some_kernel() {
    let lines = measured();
    let all = |wanted: &dyn Fn(&Line) -> bool| {
        let lines = lines.iter().filter(|l| wanted(l));
        lines.map(|l| (&*l.tracker, &*l.program, &*l.attach)).collect::<BTreeSet<_>>()
    };
    let refused: BTreeSet<_> = names(&lines, |l| &l.tracker)
        .into_iter()
        .filter(|t| !lines.iter().any(|l| l.tracker == *t && l.attached()))
        .collect();
    assert!(refused.is_empty(), "refused by every kernel: {refused:?}");
    let (known, attached) = (all(&|l| !l.program.is_empty()), all(&Line::attached));
    let never: Vec<_> = known.difference(&attached).collect();
    assert!(never.is_empty(), "attached in no kernel, so never tested: {never:#?}");
}

#[test]
#[ignore = "needs what script/test --kernels measured"]
fn the_tables_say_what_was_measured() {
    let lines = measured();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = root.join("docs/kernels.md");
    let text = fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("docs/kernels.md has no <!-- kernels --> line");
    let (_, after) = rest.split_once(END).expect("docs/kernels.md has no <!-- /kernels --> line");
    compare(&page, &format!("{before}{BEGIN}{}{END}{after}", tables(&lines)));
}

fn measured() -> Vec<Line> {
    let path = PathBuf::from(env::var_os(MEASURED).expect("script/test --kernels runs this"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines = text.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{l}: {e}")));
    lines.collect()
}

fn compare(path: &Path, measured: &str) {
    if env::var_os(UPDATE).is_some_and(|v| !v.is_empty()) {
        fs::write(path, measured).unwrap();
        return;
    }
    let written = fs::read_to_string(path).unwrap_or_default();
    // Another machine has another kernel of its own, which is no reason to fail there.
    let (written, measured) = if host(&written) == host(measured) {
        (written, measured.to_owned())
    } else {
        (guests(&written), guests(measured))
    };
    for (i, (written, measured)) in written.lines().zip(measured.lines()).enumerate() {
        assert_eq!(
            written,
            measured,
            "{}:{} is not what was measured; script/test --kernels --update",
            path.display(),
            i + 1
        );
    }
    assert_eq!(written.lines().count(), measured.lines().count(), "{}: script/test --kernels --update", path.display());
}

/// What the last column of the overview is called.
fn host(text: &str) -> Option<&str> {
    text.lines().find(|l| l.starts_with("| tracker | 5"))?.trim_end_matches(" |").rsplit("| ").next()
}

/// The text without what it says of the host's kernel: the last column of each wide table, and reasons.
fn guests(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines().filter(|l| !l.starts_with("- host ")) {
        let line = match line.trim_end_matches(" |").rsplit_once(" | ") {
            Some((rest, _)) if line.starts_with('|') && line.matches('|').count() > 4 => rest,
            _ => line,
        };
        writeln!(out, "{line}").unwrap();
    }
    out
}

/// Tracker by kernel: the kinds of attach points that are used there.
fn overview(lines: &[Line]) -> String {
    let kernels = names(lines, |l| &l.kernel);
    let mut out = head(&["tracker"], &kernels);
    for tracker in names(lines, |l| &l.tracker) {
        let cells = kernels.iter().map(|kernel| {
            let here = || lines.iter().filter(|l| l.kernel == *kernel && l.tracker == tracker && l.avoid.is_empty());
            if here().any(|l| l.program.is_empty()) {
                return "refused".to_owned();
            }
            let kinds: BTreeSet<_> = here().filter(|l| l.attached()).map(Line::kind).collect();
            kinds.into_iter().collect::<Vec<_>>().join(", ")
        });
        writeln!(out, "| `{tracker}` | {} |", cells.collect::<Vec<_>>().join(" | ")).unwrap();
    }
    out
}

/// The overview, then every program by kernel, and the reasons of those refused.
fn tables(lines: &[Line]) -> String {
    let kernels = names(lines, |l| &l.kernel);
    let mut out = overview(lines);
    for tracker in names(lines, |l| &l.tracker) {
        let of = || lines.iter().filter(|l| l.tracker == tracker);
        write!(out, "\n## {tracker}\n\n{}", head(&["program", "attach point"], &kernels)).unwrap();
        let mut rows: Vec<(&str, &str)> = Vec::new();
        for line in of().filter(|l| !l.program.is_empty()) {
            let row = (&*line.program, &*line.attach);
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
        for (program, attach) in rows {
            let cells = kernels.iter().map(|kernel| {
                let here: Vec<_> =
                    of().filter(|l| l.kernel == *kernel && l.program == program && l.attach == attach).collect();
                match here.iter().find(|l| l.avoid.is_empty()) {
                    Some(line) if line.attached() => "used",
                    _ if here.iter().any(|l| l.attached()) => "works",
                    Some(line) if line.state == "refused" => "refused",
                    _ => "",
                }
            });
            writeln!(out, "| `{program}` | `{attach}` | {} |", cells.collect::<Vec<_>>().join(" | ")).unwrap();
        }
        let mut reasons: BTreeMap<(usize, &str), &str> = BTreeMap::new();
        for line in of().filter(|l| l.avoid.is_empty() && !l.reason.is_empty()) {
            let place = kernels.iter().position(|k| *k == line.kernel).unwrap_or_default();
            reasons.insert((place, &line.program), &line.reason);
        }
        if !reasons.is_empty() {
            out.push_str("\nRefused:\n\n");
        }
        for ((kernel, program), reason) in reasons {
            let program = if program.is_empty() { String::new() } else { format!(" `{program}`") };
            writeln!(out, "- {}{program}: {}", kernels[kernel], reason.replace('|', "\\|")).unwrap();
        }
    }
    out
}

fn head(first: &[&str], kernels: &[&str]) -> String {
    let columns: Vec<_> = first.iter().chain(kernels).copied().collect();
    format!("| {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len()))
}

/// Each name once, in the order of its first appearance.
fn names<'a>(lines: &'a [Line], name: impl Fn(&'a Line) -> &'a String) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for line in lines {
        let name = name(line);
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}
