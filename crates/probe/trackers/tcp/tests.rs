use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::AsRawFd,
    thread,
    time::Duration,
};

use ethogram_model::Event;

use crate::tests::{child::forked, *};

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
        let deadline = std::time::Instant::now() + patience();
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
    let deadline = std::time::Instant::now() + patience();
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

/// Closes a connection in haste: with a reset.
fn reset(stream: &TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = size_of::<libc::linger>() as libc::socklen_t;
    // SAFETY: the option's value is as long as said.
    let done = unsafe {
        libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, (&raw const linger).cast(), size)
    };
    assert_eq!(done, 0);
}

#[test]
fn resets_are_told_by_who_sent_and_who_received_them() {
    for direction in ["receive", "transmit"] {
        let mut rig = Rig::start("tcp");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0]).unwrap();
            if direction == "receive" {
                reset(&stream);
            } else {
                _ = stream.read(&mut [0]);
            }
        });
        let child = forked(|| {
            let Ok(mut stream) = TcpStream::connect(to) else { return 1 };
            if stream.write_all(b"x").is_err() {
                return 2;
            }
            if direction == "transmit" {
                reset(&stream);
            } else {
                _ = stream.read(&mut [0]);
            }
            0
        });
        let pid = child.pid();
        assert_eq!(child.go(), 0);
        server.join().unwrap();
        let event = rig.expect("the reset", |e| is(e, "reset") && of(e, pid));
        assert_eq!(render::to_json(&event)["network"]["io"]["direction"], direction);
        assert_eq!(event.get("network.peer.address"), Value::Ip(to.ip()));
        assert_eq!(number(&event, "network.peer.port"), u64::from(to.port()));
        assert_eq!(rig.all().iter().filter(|e| is(e, "reset") && of(e, pid)).count(), 1);
    }
}

#[test]
fn round_trips_are_counted_by_peer_and_an_orderly_end_is_no_reset() {
    let mut rig = Rig::start("tcp");
    let (pid, port) = exchange("127.0.0.1:0", &mut rig);
    let here = |e: &Event| of(e, pid) && number(e, "network.peer.port") == u64::from(port);
    let route = rig.expect("the round trip", |e| is(e, "route") && here(e));
    let json = render::to_json(&route);
    let times = json["network"]["connection"]["round_trip"].as_object().unwrap();
    assert_eq!(times.len(), 9);
    assert_eq!(times.values().map(|n| n.as_u64().unwrap()).sum::<u64>(), 1);
    assert_eq!(number(&route, "network.connection.closed"), 1);
    let close = rig.expect("close", |e| is(e, "close") && here(e));
    assert!((1..5_000_000_000).contains(&number(&close, "network.connection.round_trip")));
    assert!(!rig.all().iter().any(|e| is(e, "reset") && of(e, pid)));
    rig.collector.stop("tcp").unwrap();
    assert_eq!(rig.counters().unaccounted(), 0);
}

#[test]
fn what_is_sent_again_is_counted() {
    let mut rig = Rig::start("tcp");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // One connection may wait; who comes then gets no answer, and asks again.
    // SAFETY: a plain number.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    let to = listener.local_addr().unwrap();
    let _waiting = TcpStream::connect(to).unwrap();
    let child = forked(|| i32::from(TcpStream::connect_timeout(&to, Duration::from_millis(2500)).is_ok()));
    let pid = child.pid();
    assert_eq!(child.go(), 0);
    let route = rig.expect("the retransmit", |e| is(e, "route") && of(e, pid));
    assert_eq!(number(&route, "network.peer.port"), u64::from(to.port()));
    assert!(number(&route, "network.connection.retransmits") >= 1);
    assert_eq!(number(&route, "network.connection.closed"), 0);
}

/// Servers that say which they are to each that connects, until they are dropped.
struct Server(std::process::Child);

impl Server {
    fn start(address: &str, port: u16, ready: &std::path::Path) -> Self {
        let script = format!(
            "import os, socket
s = socket.create_server((\"{address}\", {port}), reuse_port=True)
open(\"{}\", \"a\").write(\".\")
while True:
    c, _ = s.accept(); c.send(str(os.getpid()).encode()); c.close()",
            ready.display()
        );
        Self(std::process::Command::new("python3").arg("-c").arg(script).spawn().unwrap())
    }

    /// Which of them accepts, and by which port that was.
    fn accepts(address: &str, port: u16) -> (u32, u64) {
        let mut stream = TcpStream::connect((address, port)).unwrap();
        let mut who = String::new();
        stream.read_to_string(&mut who).unwrap();
        (who.parse().unwrap(), stream.local_addr().unwrap().port().into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[test]
fn who_accepts_is_known_also_where_several_listen_on_a_port() {
    let mut rig = Rig::start("tcp");
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // Two share an address, which kernels before 5.11 do not tell apart.
    let is_old = rustix::system::uname().release().to_string_lossy().starts_with("5.10");
    let addresses = if is_old { &["127.0.0.2", "127.0.0.3"][..] } else { &["127.0.0.2", "127.0.0.3", "127.0.0.3"] };
    let _servers: Vec<_> = addresses.iter().map(|address| Server::start(address, port, &ready)).collect();
    let deadline = std::time::Instant::now() + patience();
    while std::fs::read(&ready).unwrap_or_default().len() < addresses.len() {
        assert!(std::time::Instant::now() < deadline, "the servers do not listen");
        thread::yield_now();
    }
    for address in addresses.iter().cycle().take(24) {
        let (pid, client) = Server::accepts(address, port);
        // A client's port may be the same for another address.
        let at = ethogram_model::Value::Ip(address.parse().unwrap());
        let is_it = |e: &Event| e.get("network.local.address") == at && number(e, "network.peer.port") == client;
        let accept = rig.expect("accept", |e| is(e, "accept") && is_it(e));
        assert!(of(&accept, pid), "{accept:?}");
        let close = rig.expect("close", |e| is(e, "close") && is_it(e));
        assert!(of(&close, pid) && close.get("network.connection.accepted").is_truthy());
    }
}

#[test]
fn whose_a_connection_is_stays_known_through_a_flood_of_others() {
    // Two sockets each: more than any table has room for.
    const OTHERS: usize = 20_000;
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    if release.starts_with("5.10") || repeats(2) < 2 {
        return;
    }
    let mut rig = Rig::start("tcp");
    rig.collector.set_subscription("tcp", crate::Subscription::only(["close"])).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let (waits, mut end) = std::io::pipe().unwrap();
    let waits_at = waits.as_raw_fd();
    let first = forked(move || {
        let Ok(mut held) = TcpStream::connect(at) else { return 1 };
        let mut byte = 0_u8;
        // SAFETY: the descriptor is open, and the buffer is one byte long.
        unsafe { libc::read(waits_at, (&raw mut byte).cast(), 1) };
        i32::from(held.write_all(b"held").is_err())
    });
    let pid = first.pid();
    let first = std::thread::spawn(move || first.go());
    let _accepted = listener.accept().unwrap();
    let others = forked(|| {
        let Ok(flooded) = TcpListener::bind("127.0.0.1:0") else { return 2 };
        let Ok(to) = flooded.local_addr() else { return 3 };
        for _ in 0..OTHERS {
            let Ok(other) = TcpStream::connect(to) else { return 4 };
            // Closed at once, a port is free again at once.
            let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
            let (of, size) = ((&raw const at_once).cast(), size_of::<libc::linger>() as _);
            // SAFETY: the option is as long as said.
            let set = unsafe { libc::setsockopt(other.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, of, size) };
            if set != 0 || flooded.accept().is_err() {
                return 5;
            }
        }
        0
    });
    assert_eq!(others.go(), 0);
    // What the flood has filled is read first.
    rig.all();
    end.write_all(b"!").unwrap();
    assert_eq!(first.join().unwrap(), 0);
    let close = rig.expect("the first to be opened", |e| {
        is(e, "close") && of(e, pid) && number(e, "network.peer.port") == u64::from(at.port())
    });
    assert_eq!(number(&close, "network.connection.sent_bytes"), 4);
    assert!(number(&close, "network.connection.duration") > 0);
}
