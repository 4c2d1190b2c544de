//! No file makes the agent panic, hang, or take memory out of proportion.
use std::time::Duration;

use super::{
    stopwatch::Stopwatch,
    support::{event, load, load_files, problems, rule},
};

/// What is wrong with files, which is found soon.
fn soon(texts: &[&str]) -> Vec<String> {
    let began = Stopwatch::start();
    let said = problems(&load_files(texts));
    // Unoptimised.
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    said
}

fn refused_with(text: &str, wanted: &str) {
    let said = soon(&[text]);
    assert!(said.iter().any(|p| p.contains(wanted)), "{:?}", said.iter().take(5).collect::<Vec<_>>());
}

#[test]
fn a_broken_file() {
    for text in
        ["\0", "\u{feff}- [", "- rule", "{", "- - - -", "&a [*a]", "--- >\n", "%YAML 9\n---\n- x", "\t- list: x"]
    {
        soon(&[text]);
    }
    refused_with("just a text", "a rule file is a list of items, not a text");
    refused_with("- &a [*a]", "an alias of itself");
}

#[test]
fn an_endless_expression() {
    refused_with(
        &rule("evt.type = open and proc.name regex '(((a{1,1000}){1,1000}){1,1000})'"),
        "no usable pattern: compiled regex exceeded size limit",
    );
    refused_with(
        &rule(&format!("evt.type = open and proc.name regex '{}'", "a?".repeat(5_000))),
        "a pattern of 10000 bytes: at most 4096",
    );
    refused_with(&rule(&format!("evt.type = open and proc.name regex '{}'", "(".repeat(2_000))), "proc.name: ");
    // What takes other engines an age.
    let evil = rule("evt.type = execve and proc.args regex '(a+)+b'");
    let mut rules = super::support::right(&evil);
    let args = "a".repeat(30_000);
    let run =
        event("process.exec", &[("process.executable.path", "/x"), ("process.command_args", &format!("x {args}"))]);
    let began = Stopwatch::start();
    assert_eq!(rules.matching(&run).len(), 0);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn too_many_patterns() {
    let many: String = (0..1_100).map(|n| format!(" or proc.name glob 'a{n}?'")).collect();
    refused_with(&rule(&format!("evt.type = open and (proc.pid = 1{many})")), "more than 1000 patterns in all rules");
}

#[test]
fn too_many_large_patterns() {
    let many: String = (0..100).map(|n| format!(" or proc.name regex 'a{n}[a-y]{{900}}'")).collect();
    refused_with(
        &rule(&format!("evt.type = open and (proc.pid = 1{many})")),
        "more than 64 patterns that are large when compiled",
    );
}

/// One list in many comparisons, each of which would hold all of it.
#[test]
fn too_many_values_in_all() {
    let items: Vec<String> = (0..50_000).map(|n| n.to_string()).collect();
    let many: String = (0..100).map(|n| format!(" or proc.name in (l, x{n})")).collect();
    let list = format!("- list: l\n  items: [{}]\n", items.join(","));
    refused_with(
        &(list + &rule(&format!("evt.type = open and (proc.pid = 1{many})"))),
        "more than 1000000 values in all comparisons",
    );
}

#[test]
fn a_file_of_ten_megabytes() {
    refused_with(&"# nothing\n".repeat(1 << 20), "the file has 10485760 bytes, at most 4194304 are read");
}

#[test]
fn macros_that_need_themselves() {
    let text = "- macro: a\n  condition: b\n- macro: b\n  condition: c or a\n- macro: c\n  condition: evt.num = 1\n";
    refused_with(text, "a macro that needs itself: a → b → a");
    refused_with("- macro: a\n  condition: a\n", "a macro that needs itself: a → a");
    refused_with(
        "- list: a\n  items: [b]\n- list: b\n  items: [a]\n- macro: m\n  condition: proc.name in (a)\n",
        "a list that holds itself: a → b → a",
    );
}

#[test]
fn a_list_of_a_million() {
    let items = vec!["x"; 1_000_000].join(",");
    refused_with(&format!("- list: l\n  items: [{items}]\n"), "more than 250000 values in one file: split it");
    let parts: Vec<String> = (0..3)
        .map(|n| {
            let items: Vec<String> = (0..40_000).map(|i| format!("{n}_{i}")).collect();
            format!("- list: l{n}\n  items: [{}]\n", items.join(","))
        })
        .collect();
    let whole = format!("- list: l\n  items: [l0, l1, l2]\n{}", rule("evt.type = open and proc.name in (l)"));
    let files: Vec<&str> = parts.iter().chain([&whole]).map(String::as_str).collect();
    assert!(soon(&files).iter().any(|p| p.contains("has more than 100000 values with those of the lists in it")));
}

#[test]
fn what_doubles_again_and_again() {
    let mut macros = String::from("- macro: m0\n  condition: evt.type = open\n");
    let mut lists = String::from("- list: l0\n  items: [a, b]\n");
    let mut empty = String::from("- list: l0\n  items: []\n");
    let mut anchors = String::from("- list: x\n  items: [a]\n  y0: &a0 [a, b, c]\n");
    for n in 1..=64 {
        let before = n - 1;
        macros += &format!("- macro: m{n}\n  condition: m{before} and m{before}\n");
        for all in [&mut lists, &mut empty] {
            *all += &format!("- list: l{n}\n  items: [l{before}, l{before}]\n");
        }
        anchors += &format!("  y{n}: &a{n} [*a{before}, *a{before}]\n");
    }
    let said = soon(&[&(macros + &rule("m64"))]);
    assert_eq!(said, <[String; 0]>::default());
    refused_with(&(lists + &rule("evt.type = open and proc.name in (l64)")), "has more than 100000 values");
    refused_with(&(empty + &rule("evt.type = open and proc.name in (l64)")), "has more than 100000 values");
    refused_with(&anchors, "more than 250000 values in one file");
}

#[test]
fn what_lies_deep() {
    let deep = |n: usize| rule(&format!("evt.type = open and {}proc.pid = 1{}", "(".repeat(n), ")".repeat(n)));
    assert_eq!(soon(&[&deep(90)]), <[String; 0]>::default());
    refused_with(&deep(50_000), "nested deeper than 100");
    refused_with(
        &rule(&format!("evt.type = open and {}proc.name = x", "tolower(".repeat(50_000))),
        "nested deeper than 100",
    );
    assert_eq!(
        soon(&[&rule(&format!("evt.type = open and {}proc.pid = 1", "not ".repeat(50_000)))]),
        <[String; 0]>::default()
    );
    for brackets in ["[", "{a: ", "- "] {
        assert!(!soon(&[&brackets.repeat(50_000)]).is_empty());
    }
    // Macros in macros, each of them deep.
    let mut text = String::from("- macro: m0\n  condition: evt.type = open\n");
    for n in 1..=10 {
        let (open, close) = ("(evt.num > 0 and ".repeat(60), ")".repeat(60));
        text += &format!("- macro: m{n}\n  condition: {open}m{}{close}\n", n - 1);
    }
    refused_with(&(text + &rule("m10")), "with the macros in it, the condition is nested deeper than 256");
    let chain: String =
        (1..=5_000).map(|n| format!("- macro: m{n}\n  condition: evt.num > 0 and m{}\n", n - 1)).collect();
    soon(&[&format!("- macro: m0\n  condition: evt.type = open\n{chain}{}", rule("m5000"))]);
    let last_first: String = (1..=5_000)
        .rev()
        .map(|n| format!("- macro: a{:05}\n  condition: evt.num > 0 and a{:05}\n", 5_000 - n, 5_001 - n))
        .collect();
    soon(&[&format!("{last_first}- macro: a05000\n  condition: evt.type = open\n")]);
}

#[test]
fn lists_in_lists() {
    let chain: String = (1..=20_000).map(|n| format!("- list: l{n}\n  items: [l{}]\n", n - 1)).collect();
    let text = format!("- list: l0\n  items: [a]\n{chain}{}", rule("evt.type = open and proc.name in (l15000)"));
    refused_with(&text, "lists in lists, deeper than 256");
}

#[test]
fn a_condition_of_many_parts() {
    let many = |n: usize, part: &str| vec![part; n].join(" or ");
    soon(&[&rule(&format!("evt.type = open and ({})", many(50_000, "proc.pid = 1")))]);
    soon(&[&rule(&format!("evt.type = open and ({})", many(20_000, "proc.nothing = 1")))]);
    let each: Vec<String> = (0..50_000).map(|n| format!("proc.pid = {n}")).collect();
    soon(&[&rule(&format!("evt.type = open and ({})", each.join(" or ")))]);
}

#[test]
fn many_rules() {
    let text: String = (0..21_000).map(|n| format!("- macro: m{n}\n  condition: evt.num = 0\n")).collect();
    refused_with(&text, "more than 20000 macros");
    assert!(load(&text).further_problems > 0 || load(&text).problems.len() <= 1_000);
}
