//! Exclusions by names are found.

use super::trackers::trackers;
use crate::rules::{File, RuleSet};

#[test]
fn an_exclusion_by_name_is_found_wherever_it_is_negated() {
    let found = |condition: &str| {
        let condition = serde_json::Value::from(format!("evt.type = execve and {condition}"));
        let text = format!(
            "- macro: by_name\n  condition: (proc.aname in (apt))\n- macro: by_program\n  condition: (proc.aprogram in \
             (apt))\n- rule: r\n  desc: d\n  output: o\n  priority: INFO\n  condition: {condition}\n"
        );
        let file = File { name: "f.yaml".into(), text: text.into() };
        RuleSet::load(&[file], &trackers()).set.excused_by_name().len()
    };
    for condition in [
        "not proc.name in (sshd)",
        "not by_name",
        "proc.name != sshd",
        "not (proc.vpid = 1 or proc.pname = sshd)",
        "not not not basename(proc.exe) = sshd",
        "not basename(proc.exepath) = sshd",
    ] {
        assert_eq!(found(condition), 1, "{condition}");
    }
    for condition in [
        "proc.name in (sshd)",
        "by_name",
        "not proc.name != sshd",
        "not by_program",
        "not proc.program = sshd",
        "not not proc.name = sshd",
        "not proc.pname exists",
        "not proc.exepath startswith /usr/",
    ] {
        assert_eq!(found(condition), 0, "{condition}");
    }
}
