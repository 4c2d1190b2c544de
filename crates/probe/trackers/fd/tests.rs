use std::{
    fs::File,
    net::{TcpListener, TcpStream},
    os::{
        fd::AsRawFd,
        unix::net::{UnixListener, UnixStream},
    },
};

use crate::tests::{child::forked, *};

/// A connection to a listener, which is kept open beside it, and the listener's port.
fn connection() -> (TcpStream, TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (TcpStream::connect(address).unwrap(), listener, address.port())
}

#[test]
fn every_way_to_make_a_socket_a_standard_stream() {
    let mut rig = Rig::start("fd");
    let (stream, _listener, port) = connection();
    let fd = stream.as_raw_fd();
    let child = forked(|| {
        // SAFETY: takes no pointers, and nothing in the child needs its standard streams.
        unsafe {
            libc::close(0);
            libc::dup(fd);
            libc::dup2(fd, 1);
            libc::dup3(fd, 2, libc::O_CLOEXEC);
            libc::close(2);
            libc::fcntl(fd, libc::F_DUPFD, 0);
            libc::close(2);
            libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0);
        }
        0
    });
    let pid = child.pid();
    child.go();
    for (operation, stream, times) in
        [("dup", "stdin", 1), ("dup2", "stdout", 1), ("dup3", "stderr", 1), ("fcntl", "stderr", 2)]
    {
        let wanted = |e: &ethogram_model::Event| of(e, pid) && shown(e, "file.descriptor.operation") == operation;
        let event = rig.expect(operation, wanted);
        assert!(is(&event, "socket"));
        assert_eq!(shown(&event, "process.io.streams"), stream, "{operation}");
        assert_eq!(shown(&event, "network.peer.address"), "127.0.0.1");
        assert_eq!(number(&event, "network.peer.port"), u64::from(port));
        assert_eq!(shown(&event, "network.transport"), "tcp");
        assert_eq!(rig.all().iter().filter(|e| wanted(e)).count(), times, "{operation}");
    }
}

#[test]
fn other_files_and_other_descriptors_are_not_reported() {
    let mut rig = Rig::start("fd");
    let (stream, _listener, _port) = connection();
    let null = File::open("/dev/null").unwrap();
    let (socket, file) = (stream.as_raw_fd(), null.as_raw_fd());
    let child = forked(|| {
        // SAFETY: takes no pointers, and nothing in the child needs its standard streams.
        unsafe {
            libc::dup2(file, 0);
            libc::dup2(socket, 100);
            libc::fcntl(socket, libc::F_DUPFD, 100);
            libc::fcntl(socket, libc::F_SETFD, 0);
            libc::dup2(socket, 1);
            libc::dup2(1, 1);
        }
        0
    });
    let pid = child.pid();
    child.go();
    rig.expect("what came last", |e| of(e, pid) && shown(e, "process.io.streams") == "stdout");
    assert_eq!(rig.all().iter().filter(|e| of(e, pid)).count(), 1);
}

#[test]
fn a_program_that_begins_with_a_socket() {
    let mut rig = Rig::start("fd");
    let (stream, _listener, port) = connection();
    let fd = stream.as_raw_fd();
    let child = forked(|| {
        // SAFETY: all texts and the arrays of them end as the kernel wants it.
        unsafe {
            libc::dup2(fd, 0);
            libc::dup2(fd, 2);
            libc::execv(c"/bin/true".as_ptr(), [c"true".as_ptr(), std::ptr::null()].as_ptr());
        }
        1
    });
    let pid = child.pid();
    assert_eq!(child.go(), 0);
    let began = rig.expect("exec", |e| of(e, pid) && shown(e, "file.descriptor.operation") == "exec");
    assert_eq!(shown(&began, "process.io.streams"), "stdin|stderr");
    assert_eq!(shown(&began, "process.executable.name"), "true");
    assert_eq!(number(&began, "network.peer.port"), u64::from(port));
}

#[test]
fn local_sockets_are_told_by_their_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    let stream = UnixStream::connect(&path).unwrap();
    let fd = stream.as_raw_fd();
    for (exec, times) in [("false", 1), ("true", 2)] {
        let mut rig = Rig::start_with("fd", settings(), &[("local_exec", exec)]);
        let child = forked(|| {
            // SAFETY: all texts and the arrays of them end as the kernel wants it.
            unsafe {
                libc::dup2(fd, 1);
                libc::execv(c"/bin/true".as_ptr(), [c"true".as_ptr(), std::ptr::null()].as_ptr());
            }
            1
        });
        let pid = child.pid();
        assert_eq!(child.go(), 0);
        let event = rig.expect("dup2", |e| is(e, "local") && of(e, pid));
        assert_eq!(shown(&event, "network.socket.family"), "AF_UNIX");
        assert_eq!(text(&event, "file.path"), path.to_str().unwrap());
        assert_eq!(rig.all().iter().filter(|e| is(e, "local") && of(e, pid)).count(), times);
    }
}
