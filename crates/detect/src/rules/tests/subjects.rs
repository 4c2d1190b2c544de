//! What is remembered of who does something never outlives it, and changes no result.

use std::sync::Arc;

use ethogram_model::{Container, Event};
use proptest::prelude::*;

use super::support::{event, right, rule};
use crate::{Acceptances, rules::Rules};

/// Which rules hold for an event, each judged with all that was remembered before.
fn holding(rules: &mut Rules, event: &Event) -> Vec<usize> {
    let matched = |rules: &Rules| rules.costs().iter().map(|c| c.matched).collect::<Vec<_>>();
    let before = matched(rules);
    rules.judge(event, &mut Acceptances::default());
    let after = matched(rules);
    (0..after.len()).filter(|rule| after[*rule] > before[*rule]).collect()
}

fn open(by: &str, path: &str) -> Event {
    let fields = [
        ("process.executable.path", by),
        ("process.command_args", by),
        ("process.user.id", "0"),
        ("container.name", "shop"),
        ("file.path", path),
    ];
    event("open.open", &fields)
}

#[test]
fn who_runs_another_program_is_judged_anew() {
    let mut rules = right(&rule("evt.type = open and proc.name = cat and fd.name startswith /etc/"));
    let mut event = open("/bin/cat", "/etc/x");
    assert_eq!(holding(&mut rules, &event), [0]);
    assert_eq!(holding(&mut rules, &event), [0]);
    // In its place, as far as the engine knows: nothing else holds the process.
    let process = Arc::make_mut(event.context.process.as_mut().unwrap());
    Arc::make_mut(&mut process.exec).name = "vi".into();
    assert_eq!(holding(&mut rules, &event), <[usize; 0]>::default());
}

#[test]
fn a_user_or_a_container_that_changes_is_seen() {
    let mut rules = right(&rule("evt.type = open and user.uid = 0 and container.name = shop"));
    let mut event = open("/bin/cat", "/etc/x");
    assert_eq!(holding(&mut rules, &event), [0]);
    let container = event.context.container.as_mut().unwrap();
    Arc::make_mut(container).name = Some("other".into());
    assert_eq!(holding(&mut rules, &event), <[usize; 0]>::default());
    event.context.container = Some(Arc::new(Container { name: Some("shop".into()), ..Container::default() }));
    assert_eq!(holding(&mut rules, &event), [0]);
    let at = event.schema.field("process.user.id").unwrap().offset;
    event.record[at] = 7;
    assert_eq!(holding(&mut rules, &event), <[usize; 0]>::default());
}

const CONDITIONS: [&str; 14] = [
    "proc.name = cat",
    "proc.name in (cat, vi) and fd.name startswith /etc/",
    "not proc.name = cat and evt.is_open_write = true",
    "proc.name != cat or fd.directory = /root",
    "user.uid = 0 and fd.filename in (shadow, passwd)",
    "user.uid != 0 and fd.filename = passwd and proc.exepath startswith /bin/",
    "evt.is_open_write = true and (proc.exepath endswith cat or fd.name contains .ssh)",
    "evt.is_open_write = true and fd.name regex '.*/[.]ssh/id_[a-z]+'",
    "evt.is_open_write = true and not fd.name pmatch (/etc, /tmp)",
    "fd.name in (/etc/shadow, /root/.ssh/id_rsa) and proc.cmdline exists",
    "proc.pid = 3",
    "evt.is_open_write = true and fd.name regex '/etc/s[a-z]+'",
    "fd.name startswith /e or fd.name startswith /root/. or fd.name startswith /etc/p or fd.name startswith /var",
    "fd.name startswith /root and fd.name contains ssh and fd.name contains id and fd.name contains / and fd.name contains r",
];
const PROGRAMS: [&str; 3] = ["/bin/cat", "/bin/vi", "/usr/bin/dog"];
const PATHS: [&str; 5] = ["/etc/shadow", "/etc/passwd", "/root/.ssh/id_rsa", "/tmp/x", "/"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_rules_together_find_what_each_finds_by_itself(
        events in prop::collection::vec((0usize..3, 0usize..5, 0u8..2, any::<bool>()), 1..24),
    ) {
        let one = |(n, condition): (usize, &&str)| {
            rule(&format!("evt.type = open and ({condition})")).replace("rule: r", &format!("rule: r{n}"))
        };
        let mut rules = right(&CONDITIONS.iter().enumerate().map(one).collect::<String>());
        let mut each = CONDITIONS.map(|condition| right(&rule(&format!("evt.type = open and ({condition})"))));
        let programs = PROGRAMS.map(|program| open(program, "/").context);
        // What is remembered is of one schema, and a test makes its own for each event.
        let schema = open("/bin/cat", "/").schema;
        for (program, path, user, write) in events {
            let fields = [("file.path", PATHS[path]), ("file.open.write", if write { "true" } else { "false" })];
            let mut event = event("open.open", &fields);
            event.context = programs[program].clone();
            event.schema = Arc::clone(&schema);
            let at = event.schema.field("process.user.id").unwrap().offset;
            event.record[at] = user;
            // Nothing is remembered there.
            let holds = |(at, rule): (usize, &mut Rules)| (!rule.matching(&event).is_empty()).then_some(at);
            let alone: Vec<usize> = each.iter_mut().enumerate().filter_map(holds).collect();
            prop_assert_eq!(holding(&mut rules, &event), alone);
        }
    }
}
