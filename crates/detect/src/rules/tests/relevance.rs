//! What the kernel is asked to look at never keeps away what a rule holds for.

use ethogram_model::{Event, FieldTest};
use proptest::prelude::*;

use super::support::{event, load, right, rule};

fn file(conditions: &[&str]) -> String {
    conditions.iter().enumerate().map(|(n, c)| rule(c).replace("rule: r", &format!("rule: r{n}"))).collect()
}

/// What rules of these conditions ask of opens.
fn required(conditions: &[&str]) -> Vec<FieldTest> {
    let wanted = load(&file(conditions)).set.wanted_events();
    wanted.get("open").and_then(|events| events.get("open")).cloned().unwrap_or_default()
}

#[test]
fn what_all_rules_ask_of_a_field_is_asked_of_the_event() {
    let write = FieldTest::not_zero("file.open.write");
    let root = FieldTest::zero("process.user.id");
    assert_eq!(
        required(&["evt.type = open and evt.is_open_write = true and fd.name startswith /etc/"]),
        std::slice::from_ref(&write)
    );
    assert_eq!(required(&["evt.type = open and evt.is_open_write = false"]), [FieldTest::zero("file.open.write")]);
    assert_eq!(required(&["evt.type = open and user.uid = 0"]), std::slice::from_ref(&root));
    assert_eq!(required(&["evt.type = open and user.uid != 0"]), [FieldTest::not_zero("process.user.id")]);
    assert_eq!(required(&["evt.type = open and evt.is_open_write = true and user.uid = 0"]), [root, write.clone()]);
    let flags = [
        "evt.type = open and evt.arg.flags contains O_TRUNC and fd.name = /x",
        "evt.type = open and evt.arg.flags contains O_APPEND",
    ];
    assert_eq!(required(&flags), [FieldTest::any_of("file.open.flags", 0o3000)]);
    // One rule wants what the other does not.
    assert_eq!(
        required(&["evt.type = open and evt.is_open_write = true", "evt.type = open and fd.name = /etc/shadow"]),
        []
    );
    assert_eq!(required(&["evt.type = open and (evt.is_open_write = true or user.uid = 0)"]), []);
    assert_eq!(required(&["evt.type = open and not user.uid = 0 and not user.uid in (0, 1)"]).len(), 1);
    assert_eq!(required(&["evt.type = open and user.uid in (0, 33)"]), []);
    assert_eq!(
        required(&[
            "evt.type = open and evt.is_open_write = true",
            "evt.type = open and evt.is_open_write = true and fd.name = /x"
        ]),
        [write]
    );
}

const CONDITIONS: [&str; 10] = [
    "evt.type = open and user.uid = 0",
    "evt.type = open and user.uid != 0 and evt.is_open_write = true",
    "evt.type = open and not user.uid = 0",
    "evt.type = open and user.uid in (0, 7)",
    "evt.type = open and evt.is_open_write = true and fd.name startswith /etc/",
    "evt.type = open and not evt.is_open_write = true and user.uid < 5",
    "evt.type = open and evt.arg.flags contains O_TRUNC",
    "evt.type = open and not evt.arg.flags contains O_APPEND and evt.is_open_write = true",
    "evt.type = open and (evt.arg.flags contains O_APPEND or user.uid = 7)",
    "evt.type = open and evt.is_open_create = true and user.name = root",
];

fn passes(test: &FieldTest, event: &Event) -> bool {
    let field = event.schema.field(&test.field).unwrap();
    let mut bytes = [0; 4];
    bytes[..field.size].copy_from_slice(&event.record[field.offset..field.offset + field.size]);
    (u32::from_le_bytes(bytes) & test.mask == 0) == test.zero
}

proptest! {
    #[test]
    fn no_rule_holds_for_what_does_not_pass(
        which in proptest::sample::subsequence(CONDITIONS.to_vec(), 1..4),
        user in proptest::sample::select(vec![None, Some("0"), Some("3"), Some("7")]),
        write in any::<bool>(), created in any::<bool>(),
        flags in proptest::sample::select(vec!["O_RDONLY", "O_TRUNC", "O_APPEND", "O_APPEND|O_TRUNC"]),
        path in proptest::sample::select(vec!["/etc/x", "/x"]),
    ) {
        let (write, created) = (write.to_string(), created.to_string());
        let mut fields =
            vec![("file.path", path), ("file.open.write", &*write), ("file.created", &*created), ("file.open.flags", flags)];
        fields.extend(user.map(|user| ("process.user.id", user)));
        let event = event("open.open", &fields);
        if !required(&which).iter().all(|test| passes(test, &event)) {
            prop_assert!(right(&file(&which)).matching(&event).is_empty(), "{which:?}");
        }
    }
}
