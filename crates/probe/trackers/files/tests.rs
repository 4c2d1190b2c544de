use crate::tests::*;

#[test]
fn reads_and_writes_are_counted_exactly() {
    let mut rig = Rig::start("files");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data").to_str().unwrap().to_owned();
    let shell = Shell::waiting(&format!("for i in 1 2 3 4 5; do echo 12345; done > {path}; read a < {path}"));
    let pid = shell.pid();
    shell.go();
    rig.expect("the reading", |e| is(e, "use") && of(e, pid) && number(e, "file.read_bytes") > 0 && text(e, "file.path") == path);
    let rows: Vec<_> = rig.all().iter().filter(|e| of(e, pid) && text(e, "file.path") == path).cloned().collect();
    let total = |field: &str| rows.iter().map(|e| number(e, field)).sum::<u64>();
    assert_eq!((total("file.writes"), total("file.write_bytes")), (5, 30));
    assert_eq!(number(&rows[0], "file.type") & 0o170_000, 0o100_000);
    assert_eq!(text(&rows[0], "process.executable.name"), "sh");
}

#[test]
fn what_is_copied_in_the_kernel_is_read_here_and_written_there() {
    for call in ["os.sendfile(o, i, 0, 700)", "os.copy_file_range(i, o, 700)"] {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        std::fs::write(&from, [b'x'; 1000]).unwrap();
        let (from, to) = (from.to_str().unwrap().to_owned(), to.to_str().unwrap().to_owned());
        let mut rig = Rig::start("files");
        let script = format!("import os; i = os.open('{from}', 0); o = os.open('{to}', 65); {call}");
        assert!(std::process::Command::new("python3").arg("-c").arg(script).status().unwrap().success());
        let read = rig.expect("the reading", |e| text(e, "file.path") == from);
        assert_eq!((number(&read, "file.reads"), number(&read, "file.read_bytes")), (1, 700));
        let written = rig.expect("the writing", |e| text(e, "file.path") == to);
        assert_eq!((number(&written, "file.writes"), number(&written, "file.write_bytes")), (1, 700));
        assert_eq!(number(&written, "file.reads"), 0);
    }
}

#[test]
fn pipes_count_only_on_request() {
    for (all_types, expected) in [("false", false), ("true", true)] {
        let mut rig = Rig::start_with("files", settings(), &[("all_types", all_types)]);
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        let shell = Shell::waiting(&format!("echo x | {{ read y; }}; echo done > {path}"));
        let pid = shell.pid();
        shell.go();
        rig.expect("the file", |e| of(e, pid) && text(e, "file.path") == path);
        // The shell reads its own standard input, a pipe.
        let pipe = rig.all().iter().any(|e| of(e, pid) && number(e, "file.type") & 0o170_000 == 0o010_000);
        assert_eq!(pipe, expected);
    }
}

#[test]
fn nothing_is_counted_twice_or_lost_between_intervals() {
    let mut rig = Rig::start("files");
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let shell = Shell::waiting(&format!("i=0; while [ $i -lt 20000 ]; do echo x; i=$((i+1)); done > {path}"));
    let pid = shell.pid();
    shell.go();
    let writes: u64 = rig.all().iter().filter(|e| of(e, pid) && text(e, "file.path") == path).map(|e| number(e, "file.writes")).sum();
    rig.collector.stop("files").unwrap();
    let counters = rig.counters();
    assert_eq!(counters.unaccounted(), 0);
    // Return probes can miss a call when one task is preempted by another within them; the kernel counts that.
    let missed = counters.dropped[&("hook".to_owned(), "missed".to_owned())];
    assert!(writes <= 20_000 && writes + missed >= 20_000, "{writes} of 20000 counted, {missed} calls missed");
}
