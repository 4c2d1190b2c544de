//! What `ethogram doctor` says of this machine: with all privileges, with those it needs, and with none.

use std::process::Command;

use serde_json::Value as Json;

use super::support::{Process, ethogram, seconds};

/// Runs the doctor behind `before`, such as `setpriv`; gives its exit code, and what it said on stdout and stderr.
fn doctor(before: &[&str], args: &[&str]) -> (i32, String, Vec<String>) {
    let plain = ethogram(["doctor"].iter().chain(args));
    let command = match before {
        [] => plain,
        [program, args @ ..] => {
            let mut command = Command::new(program);
            command.args(args).arg(plain.get_program()).args(plain.get_args()).env_remove("ETHOGRAM_LOG");
            command
        }
    };
    let mut process = Process::spawn(command);
    let code = process.wait(seconds(30)).code().unwrap();
    let lines: Vec<_> = process.stdout().into_iter().map(|(_, line)| line).collect();
    (code, lines.join("\n"), process.stderr())
}

fn report(before: &[&str]) -> (i32, Json) {
    let (code, text, _) = doctor(before, &["-o", "json"]);
    (code, serde_json::from_str(&text).unwrap())
}

fn missing(report: &Json) -> Vec<&str> {
    report["privileges"]["missing"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect()
}

/// None but these capabilities, for a root user.
fn only(capabilities: &str) -> [&str; 3] {
    ["setpriv", "--inh-caps=-all", capabilities]
}

#[test]
fn every_tracker_that_the_server_starts_is_shown_attached() {
    let (code, report) = report(&[]);
    assert_eq!((code, &report["unable"]), (0, &Json::Null), "{report:#}");
    let trackers = report["trackers"].as_array().unwrap();
    let wanted: Vec<_> = trackers.iter().filter(|t| t["wanted"] == true).collect();
    assert!(wanted.len() >= 4, "{report:#}");
    for tracker in &wanted {
        assert_eq!(tracker["works"], true, "{tracker:#}");
        let programs = tracker["programs"].as_array().unwrap();
        let is_used = |p: &Json| (p["state"] == "attached" || p["state"] == "withheld") && p["attach"] != "";
        assert!(programs.iter().any(is_used), "{tracker:#}");
        let refused = programs.iter().filter(|p| p["state"] == "refused" || p["state"] == "withheld");
        refused.for_each(|p| assert!(p["reason"].as_str().is_some_and(|r| !r.is_empty()), "{p:#}"));
    }
    assert_eq!(report["kernel"]["release"], std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap().trim());

    let (_, short, _) = doctor(&[], &[]);
    assert!(short.starts_with("The server runs here") && short.lines().count() < 40, "{short}");
    wanted.iter().for_each(|t| assert!(short.contains(t["name"].as_str().unwrap()), "{short}"));
    let (code, text, stderr) = doctor(&[], &["--all"]);
    assert_eq!((code, stderr.len()), (0, 0), "{stderr:?}");
    let row = |name: &str| text.lines().find(|l| l.starts_with(&format!("{name} "))).unwrap().to_owned();
    let title = row("TRACKER");
    let column = title.find("STATE").unwrap();
    for tracker in wanted {
        let row = row(tracker["name"].as_str().unwrap());
        assert!(row[column..].starts_with("works "), "{row}");
    }
}

#[test]
fn without_privileges_it_names_them_and_says_what_it_can() {
    let none = only("--bounding-set=-all");
    let (code, report) = report(&none);
    assert_eq!(code, 77);
    assert_eq!(missing(&report), ["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN", "CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE"]);
    assert_eq!((&report["kernel"]["btf"], report["trackers"].as_array().unwrap().len()), (&Json::Bool(true), 0));
    let (code, short, stderr) = doctor(&none, &[]);
    assert_eq!((code, stderr.len()), (77, 1), "{stderr:?}");
    for said in ["The server cannot run here", "CAP_PERFMON", "What to do"] {
        assert!(short.contains(said), "{said}: {short}");
    }
    let (_, text, _) = doctor(&none, &["--all"]);
    for said in ["CAP_PERFMON", "Problems:", "No tracker was tried", "kernel ", "cgroups "] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn the_privileges_that_it_names_are_enough() {
    // CAP_DAC_READ_SEARCH, CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_PERFMON, CAP_BPF, by number: older tools know no names of the last two.
    let (code, report) = report(&only("--bounding-set=-all,+cap_2,+cap_12,+cap_19,+cap_38,+cap_39"));
    assert_eq!((code, missing(&report).len()), (0, 0), "{report:#}");
    assert!(report["trackers"].as_array().unwrap().iter().all(|t| t["wanted"] == false || t["works"] == true));
}

#[test]
fn with_what_the_agent_keeps_all_is_attached_as_with_everything() {
    let (_, all) = report(&[]);
    let kept: Vec<_> = all["privileges"]["kept"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
    assert!(kept.contains(&"CAP_BPF") && !kept.contains(&"CAP_SYS_ADMIN"), "{kept:?}");
    // Older tools know no names of the last two.
    let number = |name: &str| match name {
        "CAP_PERFMON" => "cap_38".to_owned(),
        "CAP_BPF" => "cap_39".to_owned(),
        _ => name.trim_start_matches("CAP_").to_lowercase(),
    };
    let bounds = kept.iter().fold("--bounding-set=-all".to_owned(), |all, name| format!("{all},+{}", number(name)));
    let (_, less) = report(&only(&bounds));
    assert_eq!(less["privileges"]["held"], all["privileges"]["kept"]);
    assert_eq!(less["trackers"], all["trackers"]);
    assert_eq!(less["denial"], all["denial"]);
    let (_, text, _) = doctor(&[], &["--all"]);
    let row = text.lines().find(|line| line.starts_with("sandbox ")).unwrap();
    assert!(row.contains("keeps CAP_DAC_OVERRIDE") && row.contains("system calls refused"), "{row}");
}

#[test]
fn a_pid_namespace_of_its_own_is_a_problem_with_a_remedy() {
    let (_, report) = report(&["unshare", "--pid", "--fork", "--mount-proc"]);
    assert_eq!(report["privileges"]["host_pid_namespace"], false);
    let problems = report["problems"].as_array().unwrap();
    assert!(problems.iter().any(|p| p.as_str().unwrap().contains("--pid=host")), "{problems:#?}");
}
