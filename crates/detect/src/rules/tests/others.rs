//! Files that are written for another engine, or a newer one: what is not known there keeps its own rule from firing.

use super::support::{event, load, problems, rule};
use crate::rules::{RuleState, Rules};

/// A rule beside others.
const OTHER: &str = "- rule: other\n  desc: d\n  output: o\n  priority: INFO\n  condition: evt.type = open\n";

fn states(text: &str) -> Vec<RuleState> {
    load(text).set.rules().into_iter().map(|rule| rule.state).collect()
}

#[test]
fn an_unknown_field_disables_its_rule_and_no_other() {
    let text = format!("{}{OTHER}", rule("evt.type = open and not proc.future = x"));
    let loaded = load(&text);
    assert!(!loaded.has_errors());
    let wanted = "0.yaml:5:39: warning: the rule cannot fire: there is no field 'proc.future'";
    assert!(problems(&loaded).iter().any(|p| p.starts_with(wanted)), "{:?}", problems(&loaded));
    let [RuleState::CannotFire(why), RuleState::Armed] = &states(&text)[..] else { panic!("{:?}", states(&text)) };
    assert!(why.contains("there is no field 'proc.future'"), "{why}");
    let matching = Rules::new(loaded.set.into()).matching(&event("open.open", &[("file.path", "/x")]));
    assert_eq!(matching.iter().map(|name| &**name).collect::<Vec<_>>(), ["other"]);
}

#[test]
fn an_unknown_field_in_a_macro_or_an_exception_disables_what_uses_it() {
    let inner = "- macro: inner\n  condition: proc.future = x\n- macro: outer\n  condition: (inner or evt.num = 1)\n";
    let text = format!("{inner}{}{OTHER}", rule("evt.type = open and outer"));
    assert!(matches!(&states(&text)[..], [RuleState::CannotFire(_), RuleState::Armed]), "{:?}", states(&text));
    assert_eq!(problems(&load(&text)).len(), 1, "{:?}", problems(&load(&text)));
    let exception = "  exceptions:\n    - name: e\n      fields: [proc.future]\n      values: [[x]]\n";
    let text = format!("{}{exception}{OTHER}", rule("evt.type = open"));
    assert!(matches!(&states(&text)[..], [RuleState::CannotFire(_), RuleState::Armed]), "{:?}", states(&text));
}

#[test]
fn a_rule_may_say_that_its_field_may_be_unknown() {
    for (value, count) in [("true", 0), ("false", 1)] {
        let text = format!("{}  skip-if-unknown-filter: {value}\n{OTHER}", rule("evt.type = open and proc.future = x"));
        assert_eq!(problems(&load(&text)).len(), count, "{:?}", problems(&load(&text)));
        assert!(matches!(&states(&text)[..], [RuleState::CannotFire(_), RuleState::Armed]), "{:?}", states(&text));
    }
    // What is known, is: the key changes nothing there.
    let text = format!("{}  skip-if-unknown-filter: true\n", rule("evt.type = open"));
    assert_eq!(states(&text), [RuleState::Armed]);
}

#[test]
fn an_unknown_field_is_left_out_of_what_a_rule_says() {
    let text = rule("evt.type = open").replace("output: o", "output: o %proc.future p");
    let loaded = load(&text);
    assert!(problems(&loaded)[0].contains("there is no field 'proc.future'") && !loaded.has_errors());
    assert_eq!(states(&text), [RuleState::Armed]);
}

#[test]
fn rules_of_another_source_are_one_line_each() {
    let text = format!(
        "- list: verbs\n  items: [create]\n- macro: made\n  condition: (ka.verb in (verbs))\n- rule: k\n  desc: d\n  \
         output: o %ka.verb\n  priority: INFO\n  source: k8s_audit\n  condition: made and ka.target.resource = pods\n{OTHER}"
    );
    let said = problems(&load(&text));
    let wanted = "0.yaml:5:9: warning: the rule cannot fire: there are no events of the source 'k8s_audit' here";
    assert_eq!(said, [wanted]);
    let [RuleState::CannotFire(why), RuleState::Armed] = &states(&text)[..] else { panic!("{:?}", states(&text)) };
    assert_eq!(why, "there are no events of the source 'k8s_audit' here");
    assert_eq!(states(&format!("{}  source: syscall\n", rule("evt.type = open"))), [RuleState::Armed]);
}

#[test]
fn what_can_never_hold_is_said() {
    let name = "0.yaml:5:29: warning: proc.name has at most 15 bytes, so it is never 'a-very-long-name'";
    assert_eq!(problems(&load(&rule("evt.type = open and proc.name = a-very-long-name"))).len(), 1);
    for condition in ["proc.pname in (sh, a-very-long-name)", "proc.aname[2] contains a-very-long-name"] {
        let said = problems(&load(&rule(&format!("evt.type = open and {condition}"))));
        assert!(said.len() == 1 && said[0].contains("has at most 15 bytes"), "{condition}: {said:?}");
    }
    for condition in
        ["proc.name = fifteen-letters", "proc.exepath = /a-very-long-name", "proc.name glob *a-very-long-name"]
    {
        assert_eq!(problems(&load(&rule(&format!("evt.type = open and {condition}")))), [""; 0], "{condition}");
    }
    // A list may be meant for other fields, too.
    let list = |items: &str| {
        let list = format!("- list: l\n  items: [{items}]\n");
        problems(&load(&format!("{list}{}", rule("evt.type = open and proc.name in (l)"))))
    };
    assert_eq!(list("sh, a-very-long-name"), [""; 0]);
    assert!(list("a-very-long-name")[0].contains(name.split(": ").nth(2).unwrap()), "{:?}", list("a-very-long-name"));

    let failed = states(&rule("evt.type = execve and evt.failed = true"));
    assert_eq!(failed, [RuleState::CannotFire("execve: only what succeeds is an event".into())]);
    assert_eq!(states(&rule("evt.type = execve and evt.res = SUCCESS")), [RuleState::Armed]);
}

#[test]
fn keys_of_exceptions_that_there_are_not_are_said() {
    let with = |exception: &str| {
        let text = format!("{}  exceptions:\n    - {exception}\n", rule("evt.type = open"));
        problems(&load(&text))
    };
    let said = with("{name: e, fields: [proc.name], value: [[x]]}");
    assert!(said[0].ends_with("warning: 'value' is no key of an exception: did you mean values?"), "{said:?}");
    let said = with("{name: e, fields: [proc.name], comp: [in], values: [[x]]}");
    assert!(said[0].ends_with("warning: 'comp' is no key of an exception: did you mean comps?"), "{said:?}");
    let said = with("{name: e, values: [[x]]}");
    assert!(said[0].ends_with("error: the exception 'e' has values, but no fields"), "{said:?}");
    assert_eq!(with("{name: e, fields: [proc.name], comps: [in], values: [[[x]]]}"), [""; 0]);
    // Of a list or a macro, too, only what it has can be changed.
    let said = problems(&load("- list: l\n  items: [a]\n- list: l\n  items: [b]\n  override: {item: append}\n"));
    assert!(said.iter().any(|p| p.contains("override names 'item', which the item does not have")), "{said:?}");
}
