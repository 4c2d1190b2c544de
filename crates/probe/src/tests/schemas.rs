//! A snapshot of every tracker's schema: what users and detection rely on does not change unnoticed. Needs no root.

use std::fmt::Write;

use crate::builtin;

#[test]
fn schemas_are_what_the_objects_say() {
    for tracker in builtin().unwrap() {
        let schema = &tracker.schema;
        let mut out = format!("{}: {}\n", schema.name, schema.summary);
        for event in &schema.events {
            let kind = if event.sample { "sample" } else { "event" };
            writeln!(out, "\n{kind} {} (code {}, {} bytes)", event.name, event.code, event.size).unwrap();
            for field in event.fields.iter().filter(|f| !f.header) {
                writeln!(
                    out,
                    "  {:3} {:<40} {:?}[{}]  {}",
                    field.offset, field.name, field.kind, field.size, field.doc
                )
                .unwrap();
            }
            for b in &event.behaviours {
                writeln!(out, "  is the behaviour {} of {}", b.operation, b.object.join(" ")).unwrap();
            }
        }
        for param in &schema.params {
            writeln!(out, "\nparameter {} = {}  {}", param.name, param.default, param.doc).unwrap();
        }
        insta::assert_snapshot!(format!("{}", schema.name), out);
    }
}

#[test]
fn every_field_is_documented_and_named_in_the_vocabulary() {
    for tracker in builtin().unwrap() {
        assert!(!tracker.schema.summary.is_empty(), "{} has no summary", tracker.schema.name);
        for event in &tracker.schema.events {
            for field in event.fields.iter().filter(|f| !f.name.starts_with('_')) {
                assert!(!field.doc.is_empty() && field.name.contains('.'), "{}.{}", event.name, field.name);
            }
        }
    }
}

#[test]
fn what_is_not_a_tracker_is_refused() {
    use crate::{Manifest, TrackerObject};
    for bytes in [&b""[..], b"nonsense", b"\x7fELF", &[0; 4096]] {
        let error = TrackerObject::new("x", bytes, Manifest::default()).unwrap_err().to_string();
        assert!(error.starts_with("object of tracker 'x': is not a BPF object"), "{error}");
    }
}

#[test]
fn names_that_are_no_text_are_borne() {
    use crate::{Manifest, TrackerObject};
    let tracker = crate::object::builtin::builtin_named("signal");
    let mut elf = tracker.elf.bytes("signal").unwrap().into_owned();
    let name = elf.windows(9).position(|bytes| bytes == b"\0license\0").unwrap();
    elf[name + 1] = 0xff;
    // libbpf says what it makes of the section, with its name.
    let refused = TrackerObject::new("signal", &elf, Manifest::default()).unwrap_err().to_string();
    assert!(refused.starts_with("object of tracker 'signal'"), "{refused}");
}
