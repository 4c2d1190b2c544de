//! Several trackers on one system call.

use std::collections::BTreeSet;

use super::*;
use crate::TrackerObject;

/// The trackers that saw a file being opened.
fn seen_by(events: &Receiver<Batch>, collector: &Collector, path: &str) -> BTreeSet<String> {
    let shell = Shell::waiting(&format!(": < {path}"));
    let pid = shell.pid();
    shell.go();
    collector.flush().unwrap();
    let opens = events.try_iter().flatten().filter(|e| of(e, pid) && text(e, "file.path") == path);
    opens.map(|e| e.schema.tracker.to_string()).collect()
}

#[test]
fn trackers_share_a_system_call_and_leave_it_in_any_order() {
    let open = builtin_named("open");
    let named = |name: &str| TrackerObject::new(name, &open.elf.bytes(name).unwrap(), open.manifest.clone()).unwrap();
    let avoid = ["fexit", "kprobe", "kretprobe", "kretprobe.multi"].map(str::to_owned).into();
    let (output, events) = unbounded();
    let trackers = ["a", "b", "c", "d", "e"].map(named).into();
    let collector = Collector::new(Settings { avoid, ..settings() }, trackers, output).unwrap();
    let start = || Start { urgent: true, ..Start::default() };
    let all = ["a", "b", "c", "d"].map(|name| (name.to_owned(), start())).to_vec();
    for (name, started) in collector.start_all(all, |_, _| ()) {
        let status = started.unwrap();
        let shared = status.programs.iter().find(|p| p.attach.starts_with("sys_exit/")).unwrap();
        assert_eq!(shared.state, crate::ProgramState::Attached, "{name}");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    assert_eq!(seen_by(&events, &collector, path), BTreeSet::from(["a", "b", "c", "d"].map(str::to_owned)));
    // There is room for four.
    let error = collector.start("e", start()).unwrap_err();
    assert!(error.to_string().contains("too many trackers want the same system calls"), "{error}");
    collector.stop("a").unwrap();
    collector.stop("c").unwrap();
    assert_eq!(seen_by(&events, &collector, path), BTreeSet::from(["b", "d"].map(str::to_owned)));
    collector.start("e", start()).unwrap();
    assert_eq!(seen_by(&events, &collector, path), BTreeSet::from(["b", "d", "e"].map(str::to_owned)));
    collector.stop_all().unwrap();
    assert_eq!(seen_by(&events, &collector, path), BTreeSet::new());
}
