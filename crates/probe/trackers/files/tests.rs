use crate::tests::{child::forked, *};

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
fn every_call_that_reads_or_writes_counts_once() {
    let mut rig = Rig::start("files");
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let name = std::ffi::CString::new(path.clone()).unwrap();
    let child = forked(|| {
        let (mut buffer, mut ends) = ([0u8; 8], [0; 2]);
        let at = buffer.as_mut_ptr().cast();
        let piece = libc::iovec { iov_base: at, iov_len: 4 };
        let pieces = [piece, piece];
        // SAFETY: the buffer is as long as is said everywhere, and everything lives until the child ends.
        unsafe {
            let fd = libc::open(name.as_ptr(), libc::O_RDWR);
            let done = [
                libc::write(fd, at, 8),
                libc::pwrite(fd, at, 8, 8),
                libc::writev(fd, pieces.as_ptr(), 2),
                libc::pwritev(fd, pieces.as_ptr(), 2, 8),
                libc::lseek(fd, 0, libc::SEEK_SET) as isize + 8,
                libc::read(fd, at, 8),
                libc::pread(fd, at, 8, 0),
                libc::readv(fd, pieces.as_ptr(), 2),
                libc::preadv(fd, pieces.as_ptr(), 2, 0),
                libc::pipe(ends.as_mut_ptr()) as isize + 8,
                libc::splice(fd, &mut 0, ends[1], std::ptr::null_mut(), 8, 0),
                libc::splice(ends[0], std::ptr::null_mut(), fd, &mut 0, 8, 0),
            ];
            done.iter().position(|bytes| *bytes != 8).map_or(0, |first| first as i32 + 1)
        }
    });
    let pid = child.pid();
    assert_eq!(child.go(), 0, "that many calls went until one failed");
    rig.expect("the writing", |e| of(e, pid) && text(e, "file.path") == path);
    let rows: Vec<_> = rig.all().iter().filter(|e| of(e, pid) && text(e, "file.path") == path).cloned().collect();
    let total = |field: &str| rows.iter().map(|e| number(e, field)).sum::<u64>();
    assert_eq!((total("file.reads"), total("file.read_bytes")), (5, 40));
    assert_eq!((total("file.writes"), total("file.write_bytes")), (5, 40));
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
    let expected = repeats(20_000);
    let shell = Shell::waiting(&format!("i=0; while [ $i -lt {expected} ]; do echo x; i=$((i+1)); done > {path}"));
    let pid = shell.pid();
    shell.go();
    let writes: u64 = rig.all().iter().filter(|e| of(e, pid) && text(e, "file.path") == path).map(|e| number(e, "file.writes")).sum();
    rig.collector.stop("files").unwrap();
    let counters = rig.counters();
    assert_eq!(counters.unaccounted(), 0);
    // Return probes can miss a call when one task is preempted by another within them; the kernel counts that.
    let missed = counters.dropped[&("hook".to_owned(), "missed".to_owned())];
    assert!(writes <= expected && writes + missed >= expected, "{writes} of {expected} counted, {missed} calls missed");
}
