//! Later items change earlier ones: lists, macros and rules, by `append` and by `override`.

use ethogram_model::{Event, Priority};

use super::support::{event, load_files, problems};
use crate::rules::{RuleState, Rules};

const BASE: &str = "\
- list: shells
  items: [bash]
- macro: shell
  condition: proc.name in (shells)
- rule: Shell
  desc: A shell.
  condition: evt.type = execve and shell
  output: shell %proc.name
  priority: NOTICE
  tags: [one]
  exceptions:
    - name: by
      fields: [proc.pname]
      comps: [=]
      values: [[cron]]
";

fn run(name: &str, parent: &str) -> Event {
    let path = format!("/bin/{name}");
    event("process.exec", &[("process.executable.path", &path), ("process.ancestors", parent)])
}

/// Whether the rule hits a program, run by another, with changes on top of it.
fn hits(change: &str, name: &str, parent: &str) -> bool {
    let loaded = load_files(&[BASE, change]);
    assert_eq!(problems(&loaded), <[String; 0]>::default(), "{change}");
    !Rules::new(std::sync::Arc::new(loaded.set)).matching(&run(name, parent)).is_empty()
}

#[test]
fn nothing_is_changed() {
    assert!(hits("", "bash", "/sbin/init"));
    assert!(!hits("", "zsh", "/sbin/init"));
    assert!(!hits("", "bash", "/bin/cron"));
}

#[test]
fn lists() {
    for change in [
        "- list: shells\n  items: [zsh]\n  append: true\n",
        "- list: shells\n  items: [zsh]\n  override: {items: append}\n",
    ] {
        assert!(hits(change, "zsh", "/x") && hits(change, "bash", "/x"), "{change}");
    }
    for change in ["- list: shells\n  items: [zsh]\n", "- list: shells\n  items: [zsh]\n  override: {items: replace}\n"]
    {
        assert!(hits(change, "zsh", "/x") && !hits(change, "bash", "/x"), "{change}");
    }
}

#[test]
fn macros() {
    for how in ["append: true", "override: {condition: append}"] {
        let change = format!("- macro: shell\n  condition: or proc.name = zsh\n  {how}\n");
        assert!(hits(&change, "zsh", "/x") && hits(&change, "bash", "/x"), "{change}");
    }
    let change =
        "- list: shells\n  items: [zsh]\n- macro: shell\n  condition: proc.name = dash or proc.name in (shells)\n";
    assert!(hits(change, "dash", "/x") && hits(change, "zsh", "/x") && !hits(change, "bash", "/x"));
}

#[test]
fn conditions_of_rules() {
    for how in ["append: true", "override: {condition: append}"] {
        let change = format!("- rule: Shell\n  condition: and proc.pname = sshd\n  {how}\n");
        assert!(hits(&change, "bash", "/bin/sshd") && !hits(&change, "bash", "/x"), "{change}");
    }
    let change = "- rule: Shell\n  condition: evt.type = execve and proc.name = zsh or shell and evt.num < 0\n  override: {condition: replace}\n";
    assert!(hits(change, "zsh", "/x") && !hits(change, "bash", "/x"));
}

#[test]
fn exceptions() {
    let append =
        "- rule: Shell\n  exceptions:\n    - name: by\n      values: [[sshd]]\n  override: {exceptions: append}\n";
    assert!(!hits(append, "bash", "/bin/sshd") && !hits(append, "bash", "/bin/cron") && hits(append, "bash", "/x"));
    let replace = "- rule: Shell\n  exceptions:\n    - name: other\n      fields: proc.pname\n      values: [sshd, init]\n  override: {exceptions: replace}\n";
    assert!(!hits(replace, "bash", "/sbin/init") && hits(replace, "bash", "/bin/cron"));
    let several = "- rule: Shell\n  exceptions:\n    - name: both\n      fields: [proc.pname, proc.name]\n      comps: [in, startswith]\n      values:\n        - [[a, b], ba]\n  override: {exceptions: append}\n";
    assert!(!hits(several, "bash", "/b") && hits(several, "bash", "/c"));
}

#[test]
fn the_rest_of_rules() {
    let change = "- rule: Shell\n  priority: CRITICAL\n  tags: [two]\n  desc: Or not.\n  override: {priority: replace, tags: append, desc: append}\n";
    let info = load_files(&[BASE, change]).set.rules().remove(0);
    assert_eq!((info.priority, info.desc.as_str()), (Priority::Critical, "A shell. Or not."));
    assert_eq!(info.tags, ["one", "two"]);
    let info = load_files(&[BASE, "- rule: Shell\n  enabled: false\n"]).set.rules().remove(0);
    assert_eq!(info.state, RuleState::Disabled);
    // A whole rule takes the place of an earlier one, where it stood.
    let other = "- rule: Shell\n  desc: d\n  condition: evt.type = execve\n  output: o\n  priority: INFO\n";
    let rules = load_files(&[
        BASE,
        "- rule: B\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n",
        other,
    ]);
    let names: Vec<_> = rules.set.rules().into_iter().map(|r| (r.name.to_string(), r.desc)).collect();
    assert_eq!(names, [("Shell".to_owned(), "d".to_owned()), ("B".to_owned(), "d".to_owned())]);
}

#[test]
fn what_is_not_there_cannot_be_changed() {
    let cases = [
        (
            "- list: shels\n  items: [a]\n  append: true\n",
            "there is no list 'shels' to append to: did you mean shells?",
        ),
        (
            "- macro: shel\n  condition: or x\n  append: true\n",
            "there is no macro 'shel' to append to: did you mean shell?",
        ),
        ("- rule: Shel\n  enabled: false\n", "there is no rule 'Shel' to change: did you mean Shell?"),
        ("- rule: Shell\n  enabled: false\n  override: {condition: append}\n", "override names 'condition', which"),
        ("- rule: Shell\n  condition: x\n  override: {condition: add}\n", "override says append or replace"),
    ];
    for (change, wanted) in cases {
        let said = problems(&load_files(&[BASE, change]));
        assert!(said.iter().any(|p| p.starts_with("1.yaml:") && p.contains(wanted)), "{said:?}");
    }
}
