use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use crate::tests::*;

/// Two helpers in children would hide nothing but cost much: the agent's own process is filtered, so the client is
/// a shell's child and the server is too.
fn exchange(address: &str, rig: &mut Rig) -> (u32, u16) {
    let listener = TcpListener::bind(address).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut got = [0; 5];
        stream.read_exact(&mut got).unwrap();
        stream.write_all(b"12345678").unwrap();
        got
    });
    let host = address.trim_end_matches(":0").trim_matches(['[', ']']).to_owned();
    let script = format!("exec 3<>/dev/tcp/{host}/{port}; printf hello >&3; read -r -N 8 <&3");
    let shell = Shell::waiting(&format!("exec bash -c '{script}'"));
    let pid = shell.pid();
    shell.go();
    assert_eq!(&server.join().unwrap(), b"hello");
    rig.expect("close", |e| is(e, "close") && of(e, pid) && number(e, "network.peer.port") == u64::from(port));
    (pid, port)
}

#[test]
fn a_connection_is_told_from_open_to_close() {
    for (address, shown) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1")] {
        let mut rig = Rig::start("tcp");
        let (pid, port) = exchange(address, &mut rig);
        let here = |e: &ethogram_model::Event| of(e, pid) && number(e, "network.peer.port") == u64::from(port);
        let connect = rig.expect("connect", |e| is(e, "connect") && here(e));
        assert_eq!(connect.get("network.peer.address"), ethogram_model::Value::Ip(shown.parse().unwrap()));
        assert!(connect.get("network.connection.established").is_truthy());
        assert!(number(&connect, "network.connection.latency") < 5_000_000_000);
        let close = rig.expect("close", |e| is(e, "close") && here(e));
        assert_eq!(number(&close, "network.connection.sent_bytes"), 5);
        assert_eq!(number(&close, "network.connection.received_bytes"), 8);
        assert!(!close.get("network.connection.accepted").is_truthy());
    }
}

#[test]
fn a_refused_connection_says_why() {
    let mut rig = Rig::start("tcp");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let shell = Shell::waiting(&format!("exec bash -c ': < /dev/tcp/127.0.0.1/{port}'"));
    let pid = shell.pid();
    shell.go();
    let connect = rig.expect("connect", |e| is(e, "connect") && of(e, pid));
    assert!(!connect.get("network.connection.established").is_truthy());
    assert_eq!(number(&connect, "error.type"), 111);
    assert!(!rig.all().iter().any(|e| of(e, pid) && is(e, "close")));
}

#[test]
fn accepted_connections_belong_to_the_listener_also_one_from_before() {
    for before in [true, false] {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut rig = (!before).then(|| Rig::start("tcp"));
        let script = format!("import socket; s = socket.create_server((\"127.0.0.1\", {port})); c, _ = s.accept(); c.recv(1); c.close()");
        let mut server = std::process::Command::new("python3").arg("-c").arg(script).spawn().unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let line = format!("0100007F:{port:04X} 00000000:0000 0A");
        while !std::fs::read_to_string("/proc/net/tcp").unwrap().contains(&line) {
            assert!(std::time::Instant::now() < deadline, "the server does not listen");
            thread::yield_now();
        }
        let mut rig = rig.take().unwrap_or_else(|| Rig::start("tcp"));
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(b"x").unwrap();
        server.wait().unwrap();
        let accept = rig.expect("accept", |e| is(e, "accept") && of(e, server.id()));
        assert_eq!(number(&accept, "network.local.port"), u64::from(port));
        let listen = |e: &ethogram_model::Event| is(e, "listen") && of(e, server.id());
        if before {
            assert!(!rig.all().iter().any(listen));
        } else {
            rig.expect("listen", listen);
        }
        let close = rig.expect("close", |e| is(e, "close") && of(e, server.id()));
        assert_eq!(number(&close, "network.local.port"), u64::from(port));
        assert!(close.get("network.connection.accepted").is_truthy());
    }
}

#[test]
fn ports_listened_on_before_are_told_once_and_only_on_request() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let script = format!("import socket, os; s = socket.create_server((\"127.0.0.1\", {port})); os.fork(); s.accept()");
    let mut server = std::process::Command::new("python3").arg("-c").arg(script).spawn().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !std::fs::read_to_string("/proc/net/tcp").unwrap().contains(&format!("0100007F:{port:04X} 00000000:0000 0A")) {
        assert!(std::time::Instant::now() < deadline, "the server does not listen");
        thread::yield_now();
    }
    let here = |e: &ethogram_model::Event| is(e, "listening") && number(e, "network.local.port") == u64::from(port);
    let mut asked = Rig::start_with("tcp", settings(), &[("existing", "true")]);
    asked.expect("the port", here);
    assert_eq!(asked.all().iter().filter(|e| here(e)).count(), 1);
    let mut unasked = Rig::start("tcp");
    assert!(!unasked.all().iter().any(here));
    for _ in 0..2 {
        TcpStream::connect(("127.0.0.1", port)).unwrap();
    }
    server.wait().unwrap();
}
