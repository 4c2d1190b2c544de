//! A rule's policies hold for nothing that the rule would not hold for.

use std::sync::Arc;

use ethogram_model::{Container, Image, schema::PolicyOperation};
use proptest::prelude::*;

use super::support::{event, load, right, rule};
use crate::rules::{Decidable, RuleSet, Target};

const RUN: &str = "evt.type in (execve, execveat)";
const WRITE: &str =
    "evt.type in (open, openat, openat2, creat) and evt.is_open_write=true and fd.typechar='f' and fd.num>=0";

fn set(condition: &str) -> RuleSet {
    load(&rule(condition)).set
}

fn decidable(condition: &str) -> Decidable {
    set(condition).decidable(0)
}

/// The targets of the only alternative of a rule that the kernel decides as a whole.
fn targets(condition: &str) -> Vec<Target> {
    let decidable = decidable(condition);
    assert_eq!(decidable.beyond, <[String; 0]>::default(), "{condition}");
    assert_eq!(decidable.alternatives.len(), 1, "{condition}");
    decidable.alternatives[0].targets.clone()
}

fn path(path: &str) -> Target {
    Target::Path(path.into())
}

fn below(path: &str) -> Target {
    Target::Below(path.into())
}

fn peer(address: &str, bits: u8, port: Option<u16>) -> Target {
    Target::Peer { address: address.parse().unwrap(), bits, port }
}

#[test]
fn paths_are_told_as_the_kernel_takes_them() {
    let run = |condition: &str| targets(&format!("{RUN} and {condition}"));
    assert_eq!(run("proc.exepath = /usr/bin/nc"), [path("/usr/bin/nc")]);
    assert_eq!(run("proc.exepath in (/b, /a, a, /a//b, /a/../b)"), [path("/a"), path("/b")]);
    assert_eq!(run("proc.exepath startswith /tmp/"), [below("/tmp")]);
    assert_eq!(run("proc.exepath glob '/tmp/*'"), [below("/tmp")]);
    assert_eq!(run("proc.exepath pmatch (/tmp)"), [path("/tmp"), below("/tmp")]);
    assert_eq!(run("(proc.exepath startswith /tmp/ or proc.exepath = /x)"), [path("/x"), below("/tmp")]);
    assert_eq!(run("proc.exepath startswith /tmp/ and proc.exepath in (/tmp/a, /b)"), [path("/tmp/a")]);
    assert_eq!(run("proc.exepath startswith /tmp/ and proc.exepath startswith /tmp/a/"), [below("/tmp/a")]);
    assert_eq!(run("proc.exepath exists or evt.type = execve"), [Target::Any]);
    assert_eq!(targets(RUN), [Target::Any]);
    assert_eq!(targets(&format!("{WRITE} and fd.name = /etc/passwd")), [path("/etc/passwd")]);
}

#[test]
fn peers_are_told_as_the_kernel_takes_them() {
    let connect = |condition: &str| targets(&format!("evt.type = connect and fd.l4proto = tcp and {condition}"));
    assert_eq!(connect("fd.sip = 192.0.2.1"), [peer("192.0.2.1", 32, None)]);
    assert_eq!(
        connect("fd.snet = 10.0.0.0/8 and fd.sport in (80, 443)"),
        [peer("10.0.0.0", 8, Some(80)), peer("10.0.0.0", 8, Some(443))]
    );
    assert_eq!(connect("fd.rport = 22"), [peer("::", 0, Some(22))]);
    // Fields that one address asks for and another has, and what holds IPv4 in the kernel only.
    for beyond in ["fd.snet = 0.0.0.0/8", "fd.snet = ::/0", "fd.sip = 0.0.0.0", "fd.sport > 80", "fd.lport = 80"] {
        let decidable = decidable(&format!("evt.type = connect and {beyond}"));
        assert!(decidable.alternatives.is_empty() && decidable.beyond.len() == 1, "{beyond}: {decidable:?}");
    }
}

#[test]
fn what_the_kernel_does_not_know_is_reported_and_makes_no_policy() {
    for beyond in [
        "proc.pname in (sh)",
        "not proc.pname in (sh)",
        "not proc.exepath = /tmp/ok",
        "proc.exepath != /tmp/ok",
        "proc.exepath startswith /tm",
        "proc.exepath startswith /tmp/../",
        "proc.exepath endswith /sh",
        "proc.exepath glob '/tmp/*.sh'",
        "tolower(proc.exepath) = /tmp/ok",
        "proc.exepath = val(proc.exe)",
        "container.duration > 5",
    ] {
        let decidable = decidable(&format!("{RUN} and proc.exepath startswith /tmp/ and {beyond}"));
        assert!(decidable.alternatives.is_empty(), "{beyond}: {decidable:?}");
    }
    assert!(decidable(&format!("{RUN} and proc.exepath startswith /tm")).alternatives.is_empty(), "it is no folder");
    let beyond = decidable(&format!("{RUN} and proc.exepath = /a and not proc.pname in (sh)")).beyond;
    assert_eq!(beyond, ["the kernel's policies cannot decide: not proc.pname in (sh)"]);
}

#[test]
fn of_alternatives_those_are_told_that_the_kernel_knows() {
    let partly = decidable(&format!("{RUN} and (proc.exepath = /a or proc.pname = sh)"));
    assert_eq!((partly.alternatives[0].targets.clone(), partly.beyond.len()), (vec![path("/a")], 1));
    let reads = decidable("evt.type = open and fd.name = /etc/shadow");
    assert_eq!(reads.alternatives[0].operation, PolicyOperation::Write);
    assert!(reads.beyond[0].contains("reading"), "{reads:?}");
    let both = decidable("evt.type in (open, rename) and (fd.name = /x or evt.arg.path = /x)");
    assert!(both.beyond.iter().any(|why| why.contains("fs.rename")), "{both:?}");
    assert_eq!(targets("evt.type in (init_module, finit_module)"), [Target::Any]);
    let removed = decidable("evt.type in (init_module, finit_module, delete_module)");
    assert!(removed.alternatives.len() == 1 && removed.beyond[0].contains("removing"), "{removed:?}");
    assert!(decidable("evt.type = init_module").alternatives.is_empty(), "the other way is not meant");
    assert!(decidable("evt.type = open and evt.is_open_write = false").alternatives.is_empty());
}

#[test]
fn a_container_is_meant_where_the_rule_means_it() {
    let container = |name: &str| {
        let image = Some(Image { name: "registry/web:1".into(), digest: String::new() });
        Arc::new(Container { id: "c0ffee".into(), name: Some(name.into()), image, ..Container::default() })
    };
    let means = |condition: &str, container: &Arc<Container>| {
        let set = set(&format!("{RUN} and {condition}"));
        let decidable = set.decidable(0);
        assert_eq!(decidable.beyond, <[String; 0]>::default(), "{condition}");
        decidable.alternatives.iter().any(|alternative| set.concerns(alternative, container))
    };
    let (web, nameless) = (container("web"), Arc::new(Container { name: None, image: None, ..Container::default() }));
    for condition in [
        "container.id != host",
        "container.name = web",
        "not container.name in (db, cache)",
        "container.image.repository startswith registry/",
        "(container.name = db or container.image.tag = 1)",
    ] {
        assert!(means(condition, &web), "{condition}");
    }
    for condition in
        ["container.id = host", "container.name = db", "not container.name startswith w", "k8s.ns.name = x"]
    {
        assert!(!means(condition, &web), "{condition}");
    }
    assert!(means("container.id != host", &nameless));
    assert!(!means("not container.name in (db, cache)", &nameless), "it may be called that");
}

/// Parts of conditions on a program that is run.
fn part() -> impl Strategy<Value = String> {
    let paths = prop::sample::select(vec!["/a", "/a/b", "/a/b/c", "/b", "/b/"]);
    let check = (prop::sample::select(vec!["=", "!=", "startswith", "endswith", "contains", "pmatch"]), paths)
        .prop_map(|(op, path)| match op {
            "pmatch" => format!("proc.exepath pmatch ({path})"),
            op => format!("proc.exepath {op} {path}"),
        });
    let other = prop::sample::select(vec![
        "proc.args = x",
        "container.id = host",
        "container.name = web",
        "evt.failed = false",
    ]);
    let leaf = prop_oneof![3 => check, 1 => other.prop_map(String::from)];
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| format!("not ({a})")),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|all| format!("({})", all.join(" and "))),
            prop::collection::vec(inner, 2..4).prop_map(|all| format!("({})", all.join(" or "))),
        ]
    })
}

fn hits(target: &Target, it: &str) -> bool {
    match target {
        Target::Any => true,
        Target::Path(path) => it == path,
        Target::Below(folder) => it.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/')),
        Target::Peer { .. } => false,
    }
}

proptest! {
    #[test]
    fn a_policy_never_holds_where_its_rule_does_not(
        condition in part(),
        it in prop::sample::select(vec!["/a", "/a/b", "/a/b/c", "/a/b/c/d", "/ab", "/b", "/b/c", "/c"]),
        args in prop::sample::select(vec!["x", "y"]),
        named in any::<bool>(),
    ) {
        let mut rules = right(&rule(&format!("{RUN} and {condition}")));
        let image = named.then(Image::default);
        let name = named.then(|| "web".to_owned());
        let container = Arc::new(Container { id: "c0ffee".into(), name, image, ..Container::default() });
        let command = format!("sh {args}");
        let mut run = event("process.exec", &[("process.executable.path", it), ("process.command_args", &command)]);
        run.context.container = Some(Arc::clone(&container));
        let set = Arc::clone(rules.set());
        let decidable = set.decidable(0);
        let held = decidable.alternatives.iter().any(|alternative| {
            set.concerns(alternative, &container) && alternative.targets.iter().any(|target| hits(target, it))
        });
        let holds = !rules.matching(&run).is_empty();
        prop_assert!(!held || holds, "{condition}: {it}");
        // What says of itself that it is all misses nothing.
        prop_assert!(held || !holds || !decidable.beyond.is_empty() || !named, "{condition}: {it} is missed");
    }
}
