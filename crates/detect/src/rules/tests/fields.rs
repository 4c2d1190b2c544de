//! Fields that users' files have, each with a value.

use std::sync::Arc;

use super::support::{cannot_fire, event, holds, rule};

#[test]
fn what_the_events_yield_has_a_value() {
    let open = event(
        "open.open",
        &[
            ("process.executable.path", "/usr/bin/cat"),
            ("process.command_args", "cat -n /x"),
            ("process.pid", "42"),
            ("thread.id", "42"),
            ("container.name", "web"),
            ("container.image.name", "shop:1"),
            ("container.id", "4f1c9e0b7a52d84e"),
            ("file.path", "/x"),
        ],
    );
    for condition in [
        "proc.cmdnargs = 2",
        "thread.ismain = true",
        "proc.program = cat",
        "container.info contains 'container_name=web'",
        "container.info contains 'container_image_repository=shop'",
        "container.image.repository = shop and container.image.tag = 1",
    ] {
        assert!(holds(&format!("evt.type = open and {condition}"), &open), "{condition}");
    }
    let mut thread = event("open.open", &[("process.pid", "42"), ("thread.id", "43"), ("file.path", "/x")]);
    assert!(holds("evt.type = open and thread.ismain = false", &thread));
    assert!(holds("evt.type = open and container.info startswith 'container_id=host'", &thread));
    assert!(!holds("evt.type = open and proc.sid exists", &thread));
    let process = Arc::make_mut(thread.context.process.get_or_insert_default());
    process.session_leader = Some(Arc::new(ethogram_model::Exec { pid: 7, ..Default::default() }));
    assert!(holds("evt.type = open and proc.sid = 7", &thread));
}

#[test]
fn a_label_stands_in_brackets_or_behind_a_dot() {
    let mut open = event("open.open", &[("container.name", "web"), ("file.path", "/x")]);
    let container = Arc::make_mut(open.context.container.as_mut().unwrap());
    container.labels.insert("app".into(), "shop".into());
    for field in ["k8s.pod.label[app]", "k8s.pod.label.app", "container.label.app", "container.label[app]"] {
        assert!(holds(&format!("evt.type = open and {field} = shop"), &open), "{field}");
        assert!(!holds(&format!("evt.type = open and {field} = other"), &open), "{field}");
    }
    assert!(!holds("evt.type = open and k8s.pod.label.none exists", &open));
    let container = Arc::make_mut(open.context.container.as_mut().unwrap());
    container.labels.insert("tier".into(), "front".into());
    for field in ["k8s.pod.labels", "container.labels"] {
        assert!(holds(&format!("evt.type = open and {field} = 'app:shop, tier:front'"), &open), "{field}");
    }
}

#[test]
fn a_raw_argument_is_as_the_kernel_has_it() {
    let open = event("open.open", &[("file.open.flags", "O_RDWR|O_CREAT"), ("file.path", "/x")]);
    assert!(holds("evt.type = open and evt.arg.flags contains O_CREAT", &open));
    assert!(holds("evt.type = open and evt.rawarg.flags = 66 and evt.rawarg[flags] = 66", &open));
    assert!(!holds("evt.type = open and evt.rawarg.flags contains O_CREAT", &open));
}

#[test]
fn what_no_event_has_says_so() {
    for (field, wanted) in [
        ("evt.is_io_read = true", "evt.is_io_read: reads and writes are counted"),
        ("proc.stdin.type = pipe", "proc.stdin.type: process.io.streams"),
        ("fd.sproto = https", "fd.sproto: ports have numbers only"),
        ("proc.vpgid = 1", "proc.vpgid: it is not collected"),
    ] {
        let (_, why, _) = cannot_fire(&rule(&format!("evt.type = open and {field}")));
        assert!(why.contains(wanted), "{field}: {why}");
    }
}
