//! Where in a file something is wrong, however the text is written there.

use super::support::{load, problems};

/// Where the problem with a condition is, which stands so in the file.
fn place(condition: &str) -> (u32, u32) {
    let text = format!("- rule: r\n  desc: d\n  output: o\n  priority: INFO\n  condition: {condition}\n");
    let loaded = load(&text);
    let wrong = loaded.problems.iter().find(|p| p.text.contains("proc.nam'")).unwrap_or_else(|| panic!("{loaded:?}"));
    let line = text.lines().nth(wrong.line as usize - 1).unwrap();
    let there: String = line.chars().skip(wrong.column as usize - 1).collect();
    assert!(there.starts_with("proc.nam "), "{line}");
    (wrong.line, wrong.column)
}

#[test]
fn plain() {
    assert_eq!(place("evt.type = open and proc.nam = x"), (5, 34));
    assert_eq!(place("evt.type = open\n    and proc.nam = x"), (6, 9));
    assert_eq!(place("evt.type = open and fd.name = /ä/ö and proc.nam = x"), (5, 53));
}

#[test]
fn quoted() {
    assert_eq!(place("\"evt.type = open and proc.nam = x\""), (5, 35));
    assert_eq!(place("'evt.type = open and proc.nam = x'"), (5, 35));
    assert_eq!(place("\"evt.type = open\n      and proc.nam = x\""), (6, 11));
}

#[test]
fn folded_and_literal() {
    for mark in [">", "|", ">-", "|+", "> # said so"] {
        assert_eq!(place(&format!("{mark}\n    evt.type = open\n    and proc.nam = x")), (7, 9), "{mark}");
        assert_eq!(place(&format!("{mark}\n    evt.type = open and proc.nam = x")), (6, 25), "{mark}");
        assert_eq!(place(&format!("{mark}\n\n\n    evt.type = open and\n\n    (proc.nam = x)")), (10, 6), "{mark}");
    }
}

#[test]
fn appended() {
    let text = "- macro: m\n  condition: evt.type = open\n- macro: m\n  condition: >\n    and nam and proc.name = x\n  append: true\n";
    let said = problems(&load(text));
    assert!(said.iter().any(|p| p.starts_with("0.yaml:5:9: error: there is no macro 'nam'")), "{said:?}");
}

#[test]
fn yaml() {
    let said = problems(&load("- rule: r\n  desc: [\n"));
    assert!(said[0].starts_with("0.yaml:2:9: error: not YAML: "), "{said:?}");
    let said = problems(&load("- rul: r\n"));
    assert!(said[0].starts_with("0.yaml:1:3: error: an item is a list, a macro or a rule, not 'rul'"), "{said:?}");
}
