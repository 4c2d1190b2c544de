use std::process::{Child, Command, Stdio};

use crate::tests::{child::forked, *};

/// A process that is ended with the test.
struct Ended(Child);

impl Ended {
    fn start(command: &mut Command) -> Self {
        Self(command.stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn connected(event: &ethogram_model::Event, writer: &Ended, reader: &Ended) -> bool {
    is(event, "pipe")
        && of(event, writer.0.id())
        && number(event, "process.reader.pid") == u64::from(reader.0.id())
        // They have begun: before that they still are what forked them.
        && shown(event, "process.reader.executable.name") == "cat"
        && shown(event, "process.executable.name") == "sleep"
}

#[test]
fn two_processes_with_a_pipe_between_them() {
    let mut rig = Rig::start("ipc");
    let (from, to) = std::io::pipe().unwrap();
    let reader = Ended::start(Command::new("cat").stdin(from).stdout(Stdio::null()));
    let writer = Ended::start(Command::new("sleep").arg("1000").stdout(to));
    let row = rig.expect("the pipe", |e| connected(e, &writer, &reader));
    assert!(number(&row, "pipe.id") > 0 && number(&row, "pipe.readers") >= 1);
    assert!(!row.get("process.reader.other_cgroup").is_truthy());
    assert_eq!(text(&row, "file.path"), "");
}

#[test]
fn a_pipe_with_a_name_and_one_that_only_its_maker_has() {
    let dir = tempfile::tempdir().unwrap();
    let (shared, own) = (dir.path().join("shared"), dir.path().join("own"));
    for fifo in [&shared, &own] {
        assert!(Command::new("mkfifo").arg(fifo).status().unwrap().success());
    }
    let mut rig = Rig::start("ipc");
    let alone = format!("exec 3<>{}; read forever < {}", own.display(), own.display());
    let alone = Ended::start(Command::new("/bin/sh").arg("-c").arg(alone).stdin(Stdio::null()));
    let opened = format!("/proc/{}/fd/3", alone.0.id());
    let deadline = std::time::Instant::now() + patience();
    while std::fs::read_link(&opened).ok().as_ref() != Some(&own) {
        assert!(std::time::Instant::now() < deadline, "the shell did not open its pipe");
        std::thread::yield_now();
    }
    let script = |what: &str| format!("exec {what} {}", shared.display());
    let reader = Ended::start(Command::new("/bin/sh").arg("-c").arg(script("cat <")).stdout(Stdio::null()));
    let writer = Ended::start(Command::new("/bin/sh").arg("-c").arg(script("sleep 1000 >")));
    let row = rig.expect("the pipe", |e| connected(e, &writer, &reader));
    assert_eq!(text(&row, "file.path"), shared.to_str().unwrap());
    assert!(
        !rig.all()
            .iter()
            .any(|e| is(e, "pipe") && of(e, alone.0.id()) && text(e, "file.path") == own.to_str().unwrap())
    );
}

#[test]
fn pipes_can_be_left_out() {
    let mut rig = Rig::start_with("ipc", settings(), &[("pipes", "false")]);
    let (from, to) = std::io::pipe().unwrap();
    let _reader = Ended::start(Command::new("cat").stdin(from).stdout(Stdio::null()));
    let _writer = Ended::start(Command::new("sleep").arg("1000").stdout(to));
    let last = forked(|| {
        // SAFETY: takes no pointers.
        unsafe { libc::syscall(libc::SYS_msgget, 0x0e70_9999, 0) };
        0
    });
    let pid = last.pid();
    last.go();
    rig.expect("what came last", |e| is(e, "get") && of(e, pid));
    assert!(!rig.all().iter().any(|e| is(e, "pipe")));
}

#[test]
fn what_system_v_offers() {
    let mut rig = Rig::start("ipc");
    let private = libc::IPC_PRIVATE;
    let made = libc::IPC_CREAT | 0o600;
    let child = forked(|| {
        let mut message = [1i64, 7];
        let mut operation = libc::sembuf { sem_num: 0, sem_op: 1, sem_flg: 0 };
        // SAFETY: all pointers are to this child's own memory, as large as said.
        unsafe {
            let memory = libc::shmget(private, 5000, made);
            libc::shmat(memory, std::ptr::null(), libc::SHM_RDONLY);
            libc::shmctl(memory, libc::IPC_RMID, std::ptr::null_mut());
            let queue = libc::msgget(private, made);
            libc::msgsnd(queue, message.as_ptr().cast(), 8, 0);
            libc::msgrcv(queue, message.as_mut_ptr().cast(), 8, 0, 0);
            libc::msgrcv(queue, message.as_mut_ptr().cast(), 8, 0, libc::IPC_NOWAIT);
            libc::msgctl(queue, libc::IPC_RMID, std::ptr::null_mut());
            let set = libc::semget(private, 3, made);
            libc::semop(set, &raw mut operation, 1);
            libc::semctl(set, 0, libc::IPC_RMID);
            libc::msgget(0x0e70_9998, 0);
        }
        0
    });
    let pid = child.pid();
    child.go();
    let get = |rig: &mut Rig, kind: &str| {
        rig.expect(kind, |e| is(e, "get") && of(e, pid) && shown(e, "ipc.kind") == kind && shown(e, "ipc.id") != "-1")
    };
    let memory = get(&mut rig, "shared_memory");
    assert_eq!((number(&memory, "ipc.size"), number(&memory, "ipc.mode")), (5000, 0o600));
    assert_eq!(shown(&memory, "ipc.options"), "IPC_CREAT");
    let attached = rig.expect("shmat", |e| is(e, "attach") && of(e, pid));
    assert_eq!(shown(&attached, "ipc.id"), shown(&memory, "ipc.id"));
    assert!(attached.get("ipc.readonly").is_truthy() && shown(&attached, "error.type").is_empty());
    let queue = get(&mut rig, "queue");
    for (operation, bytes) in [("send", 8), ("receive", 8)] {
        let row = rig.expect(operation, |e| is(e, "use") && of(e, pid) && shown(e, "ipc.operation") == operation);
        assert_eq!((shown(&row, "ipc.kind"), shown(&row, "ipc.id")), ("queue".into(), shown(&queue, "ipc.id")));
        assert_eq!((number(&row, "ipc.count"), number(&row, "ipc.bytes")), (1, bytes), "{operation}");
    }
    assert_eq!(number(&get(&mut rig, "semaphores"), "ipc.size"), 3);
    rig.expect("semop", |e| is(e, "use") && of(e, pid) && shown(e, "ipc.operation") == "semaphore");
    let missing = rig.expect("no such queue", |e| is(e, "get") && of(e, pid) && shown(e, "ipc.id") == "-1");
    assert_eq!(number(&missing, "error.type"), libc::ENOENT as u64);
}

#[test]
fn posix_queues_by_their_name() {
    let mut rig = Rig::start("ipc");
    let name = std::ffi::CString::new(format!("ethogram-{}", std::process::id())).unwrap();
    let child = forked(|| {
        let flags = libc::O_CREAT | libc::O_RDWR;
        let nothing = std::ptr::null::<u8>();
        // SAFETY: the name ends with NUL, and the message is five bytes long.
        unsafe {
            let queue = libc::syscall(libc::SYS_mq_open, name.as_ptr(), flags, 0o600, nothing);
            libc::syscall(libc::SYS_mq_timedsend, queue, c"hello".as_ptr(), 5, 0, nothing);
            libc::syscall(libc::SYS_mq_unlink, name.as_ptr());
            i32::from(queue < 0)
        }
    });
    let pid = child.pid();
    assert_eq!(child.go(), 0, "no POSIX queues here");
    let opened = rig.expect("mq_open", |e| is(e, "open") && of(e, pid));
    assert_eq!(text(&opened, "ipc.queue.name"), name.to_str().unwrap());
    assert_eq!(number(&opened, "file.open.flags") & 0o103, 0o102);
    let sent = rig.expect("the message", |e| is(e, "use") && of(e, pid));
    assert_eq!(shown(&sent, "ipc.kind"), "posix_queue");
    assert_eq!(text(&sent, "ipc.queue.name"), name.to_str().unwrap());
    assert_eq!((number(&sent, "ipc.count"), number(&sent, "ipc.bytes")), (1, 5));
}
