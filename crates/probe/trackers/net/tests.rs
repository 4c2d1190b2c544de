use std::{
    mem,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::unix::net::UnixListener,
    thread,
    time::Duration,
};

use ethogram_model::Event;

use crate::{
    Subscription,
    tests::{child::forked, *},
};

/// An address of the loopback network that no other test uses.
fn address_of_this_test(number: u8) -> Ipv4Addr {
    let [.., a, b, c] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, a.wrapping_add(number), b, c | 1)
}

fn sum(rows: &[Event], field: &str) -> u64 {
    rows.iter().map(|row| number(row, field)).sum()
}

#[test]
fn datagrams_are_counted_by_peer_and_the_first_one_is_told() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let mut rig = Rig::start("net");
        let server = UdpSocket::bind(address).unwrap();
        let (to, any): (SocketAddr, SocketAddr) = (server.local_addr().unwrap(), address.parse().unwrap());
        let child = forked(|| {
            let client = UdpSocket::bind(any);
            let sent = client.and_then(|client| {
                client.send_to(&[0; 5], to)?;
                client.connect(to)?;
                client.send(&[0; 10])?;
                client.send(&[])?;
                client.recv(&mut [0; 100])
            });
            i32::from(sent.ok() != Some(7))
        });
        let pid = child.pid();
        let answer = thread::spawn(move || {
            let (_, from) = server.recv_from(&mut [0; 100]).unwrap();
            server.send_to(b"1234567", from).unwrap();
        });
        assert_eq!(child.go(), 0);
        answer.join().unwrap();
        let here = |e: &Event| of(e, pid) && number(e, "network.peer.port") == u64::from(to.port());
        let all = rig.all().to_vec();
        let rows: Vec<_> = all.iter().filter(|e| is(e, "flow") && here(e)).cloned().collect();
        assert_eq!((sum(&rows, "network.flow.sent_datagrams"), sum(&rows, "network.flow.sent_bytes")), (3, 15));
        assert_eq!((sum(&rows, "network.flow.received_datagrams"), sum(&rows, "network.flow.received_bytes")), (1, 7));
        assert_eq!(rows[0].get("network.peer.address"), Value::Ip(to.ip()));
        let peers: Vec<_> = all.iter().filter(|e| is(e, "peer") && of(e, pid)).collect();
        assert_eq!(peers.len(), 1);
        assert_eq!(peers[0].get("network.peer.address"), Value::Ip(to.ip()));
        assert!(here(peers[0]));
        let bind = all.iter().find(|e| is(e, "bind") && of(e, pid)).unwrap();
        assert_eq!(number(bind, "network.local.requested_port"), 0);
        assert_eq!(number(bind, "network.local.port"), number(peers[0], "network.local.port"));
        rig.collector.stop("net").unwrap();
        assert_eq!((rig.counters().unaccounted(), rig.lost_in_tables()), (0, 0));
    }
}

#[test]
fn a_server_has_its_clients_by_address_and_calls_nobody() {
    let mut rig = Rig::start("net");
    let at = SocketAddr::from((address_of_this_test(0), 7777));
    let child = forked(|| {
        let answered = UdpSocket::bind(at).and_then(|server| {
            let (_, from) = server.recv_from(&mut [0; 100])?;
            server.send_to(&[0; 6], from)
        });
        i32::from(answered.is_err())
    });
    let pid = child.pid();
    let client = thread::spawn(move || {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        for _ in 0..500 {
            client.send_to(b"ping", at).unwrap();
            if client.recv(&mut [0; 100]).is_ok() {
                return;
            }
        }
        panic!("no answer");
    });
    assert_eq!(child.go(), 0);
    client.join().unwrap();
    let bind = rig.expect("the bind", |e| is(e, "bind") && of(e, pid));
    assert_eq!(bind.get("network.local.address"), Value::Ip(at.ip()));
    assert_eq!((number(&bind, "network.local.port"), number(&bind, "network.local.requested_port")), (7777, 7777));
    let rows: Vec<_> = rig.all().iter().filter(|e| is(e, "flow") && of(e, pid)).cloned().collect();
    let received = sum(&rows, "network.flow.received_datagrams");
    assert!(received >= 1);
    assert_eq!(sum(&rows, "network.flow.received_bytes"), 4 * received);
    assert_eq!((sum(&rows, "network.flow.sent_datagrams"), sum(&rows, "network.flow.sent_bytes")), (1, 6));
    for row in &rows {
        assert_eq!((number(row, "network.peer.port"), number(row, "network.local.port")), (0, 7777));
    }
    assert!(!rig.all().iter().any(|e| is(e, "peer") && of(e, pid)));
}

#[test]
fn peers_are_told_also_where_nobody_wants_flows() {
    let mut rig = Rig::start("net");
    rig.collector.set_subscription("net", Subscription::only(["peer"])).unwrap();
    let at = SocketAddr::from((address_of_this_test(3), 7780));
    let elsewhere = SocketAddr::from((address_of_this_test(4), 7781));
    let [server, other] = [at, elsewhere].map(|at| UdpSocket::bind(at).unwrap());
    // This process began neither: it only answers.
    let answer = thread::spawn(move || {
        let (_, from) = server.recv_from(&mut [0; 100]).unwrap();
        server.send_to(b"answer", from).unwrap();
    });
    let child = forked(|| {
        let sent = UdpSocket::bind("127.0.0.1:0").and_then(|client| {
            client.connect(at)?;
            client.send(b"one")?;
            client.recv(&mut [0; 100])?;
            // A connected socket can send elsewhere.
            client.send_to(b"two", elsewhere)
        });
        i32::from(sent.is_err())
    });
    let (pid, own) = (child.pid(), std::process::id());
    assert_eq!(child.go(), 0);
    answer.join().unwrap();
    other.recv_from(&mut [0; 100]).unwrap();
    for to in [at, elsewhere] {
        let peer = rig.expect("the peer", |e| is(e, "peer") && of(e, pid) && number(e, "network.peer.port") == u64::from(to.port()));
        assert_eq!(peer.get("network.peer.address"), Value::Ip(to.ip()));
    }
    assert!(!rig.all().iter().any(|e| is(e, "flow") || is(e, "peer") && of(e, own)));
    rig.collector.stop("net").unwrap();
    assert_eq!((rig.counters().unaccounted(), rig.lost_in_tables()), (0, 0));
}

#[test]
fn sockets_from_before_the_agent_are_known() {
    let at = SocketAddr::from((address_of_this_test(1), 7778));
    let ready = UdpSocket::bind(at).unwrap();
    // This process gives it away.
    let child = forked(move || i32::from(ready.recv_from(&mut [0; 100]).is_err()));
    let pid = child.pid();
    let mut rig = Rig::start("net");
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"ping", at).unwrap();
    assert_eq!(child.go(), 0);
    let flow = rig.expect("the datagram", |e| is(e, "flow") && of(e, pid));
    assert_eq!((number(&flow, "network.local.port"), number(&flow, "network.flow.received_bytes")), (7778, 4));
}

#[test]
fn a_socket_is_not_taken_for_one_that_is_gone() {
    const ROUNDS: u64 = 3000;
    let mut rig = Rig::start("net");
    let at = SocketAddr::from((address_of_this_test(2), 7779));
    let child = forked(|| {
        for _ in 0..ROUNDS {
            let Ok(server) = UdpSocket::bind(at) else { return 1 };
            // SAFETY: plain numbers, and an address as long as said.
            let sent = unsafe {
                let client = libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
                let SocketAddr::V4(v4) = at else { return 2 };
                let to = libc::sockaddr_in {
                    sin_family: libc::AF_INET as _,
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: v4.ip().to_bits().to_be() },
                    sin_zero: [0; 8],
                };
                let size = size_of::<libc::sockaddr_in>() as _;
                let sent = libc::sendto(client, at.port().to_ne_bytes().as_ptr().cast(), 1, 0, (&raw const to).cast(), size);
                libc::close(client);
                sent
            };
            if sent != 1 || server.recv(&mut [0]).is_err() {
                return 3;
            }
        }
        0
    });
    let pid = child.pid();
    assert_eq!(child.go(), 0);
    let rows: Vec<_> = rig.all().iter().filter(|e| is(e, "flow") && of(e, pid)).cloned().collect();
    let ports = |e: &Event| (number(e, "network.peer.port"), number(e, "network.local.port"));
    let (client, server): (Vec<_>, Vec<_>) = rows.into_iter().partition(|e| ports(e) == (7779, 0));
    assert!(server.iter().all(|e| ports(e) == (0, 7779)), "{:?}", server.iter().map(ports).collect::<Vec<_>>());
    assert_eq!(sum(&client, "network.flow.sent_datagrams"), ROUNDS);
    assert_eq!(sum(&server, "network.flow.received_datagrams"), ROUNDS);
    assert_eq!(rig.all().iter().filter(|e| is(e, "peer") && of(e, pid)).count(), 1);
}

#[test]
fn whose_a_socket_is_stays_known_through_a_flood_of_others() {
    if rustix::system::uname().release().to_bytes().starts_with(b"5.10") || repeats(2) < 2 {
        return;
    }
    let mut rig = Rig::start("net");
    let at = SocketAddr::from((address_of_this_test(7), 7782));
    let served = forked(move || {
        let answered = UdpSocket::bind(at).and_then(|server| {
            let (_, from) = server.recv_from(&mut [0; 100])?;
            server.send_to(b"answer", from)
        });
        i32::from(answered.is_err())
    });
    let pid = served.pid();
    let served = thread::spawn(move || served.go());
    rig.expect("the server", |e| is(e, "bind") && of(e, pid));
    let others = forked(|| i32::from((0..40_000).any(|_| UdpSocket::bind("127.0.0.1:0").is_err())));
    assert_eq!(others.go(), 0, "more than any table has room for");
    rig.all();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    while client.send_to(b"ping", at).is_err() || client.recv(&mut [0; 100]).is_err() {}
    assert_eq!(served.join().unwrap(), 0);
    let flow = rig.expect("that it was asked", |e| is(e, "flow") && of(e, pid));
    assert_eq!((number(&flow, "network.peer.port"), number(&flow, "network.local.port")), (0, 7782));
    assert!(!rig.all().iter().any(|e| is(e, "peer") && of(e, pid)), "it only answered");
}

#[test]
fn a_tcp_connection_is_no_business_of_this_tracker() {
    let mut rig = Rig::start("net");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let child = forked(|| {
        let own = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        i32::from(own.is_err() || TcpStream::connect(to).is_err())
    });
    let pid = child.pid();
    assert_eq!(child.go(), 0);
    drop(listener);
    assert_eq!(rig.all().iter().filter(|e| of(e, pid)).count(), 0);
}

#[test]
fn sockets_that_see_or_forge_packets_are_told_also_where_refused() {
    let mut rig = Rig::start("net");
    let all = i32::from(libc::ETH_P_ALL as u16).swap_bytes() >> 16 & 0xffff;
    let child = forked(|| {
        // SAFETY: plain numbers only.
        unsafe {
            libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, all);
            libc::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP);
            for (family, kind) in [(libc::AF_INET, libc::SOCK_DGRAM), (libc::AF_INET6, libc::SOCK_STREAM)] {
                libc::socket(family, kind, 0);
            }
            libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0);
            libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, 0);
            libc::syscall(libc::SYS_setuid, 65_534);
            libc::socket(libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_UDP);
        }
        0
    });
    let pid = child.pid();
    child.go();
    let sockets: Vec<_> = rig.all().iter().filter(|e| of(e, pid)).map(render::to_json).collect();
    let socket = |i: usize, field: &str| sockets[i]["network"]["socket"][field].clone();
    assert_eq!(sockets.len(), 3, "{sockets:?}");
    assert_eq!((socket(0, "family"), socket(0, "type")), ("AF_PACKET".into(), "SOCK_RAW".into()));
    assert_eq!(socket(0, "ether_type"), "ETH_P_ALL");
    assert_eq!((socket(1, "family"), sockets[1]["network"]["transport"].clone()), ("AF_INET".into(), "icmp".into()));
    assert!(sockets[1].get("error").is_none());
    assert_eq!(sockets[2]["network"]["transport"], "udp");
    assert_eq!(sockets[2]["error"]["type"], "EPERM");
}

#[test]
fn an_address_that_is_taken_is_a_failed_bind() {
    let mut rig = Rig::start("net");
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let child = forked(|| i32::from(UdpSocket::bind(at).is_ok()));
    let pid = child.pid();
    assert_eq!(child.go(), 0);
    let bind = rig.expect("the bind", |e| is(e, "bind") && of(e, pid));
    assert_eq!(number(&bind, "network.local.requested_port"), u64::from(at.port()));
    assert_eq!(number(&bind, "error.type"), libc::EADDRINUSE as u64);
}

/// A unix address, and its length.
fn unix_address(name: &[u8]) -> (libc::sockaddr_un, libc::socklen_t) {
    // SAFETY: all zeroes are an address.
    let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
    address.sun_family = libc::AF_UNIX as _;
    address.sun_path.iter_mut().zip(name).for_each(|(to, from)| *to = *from as _);
    (address, (2 + name.len()) as _)
}

/// Connects to an address in a child, after going to a directory.
fn connect_in_child(directory: &std::path::Path, name: &[u8]) -> u32 {
    let directory = std::ffi::CString::new(directory.to_str().unwrap()).unwrap();
    let (address, length) = unix_address(name);
    let child = forked(|| {
        // SAFETY: the text ends with NUL, and the address is as long as said.
        unsafe {
            libc::chdir(directory.as_ptr());
            let socket = libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0);
            libc::connect(socket, (&raw const address).cast(), length)
        }
    });
    let pid = child.pid();
    child.go();
    pid
}

#[test]
fn a_unix_socket_is_told_as_asked_for_and_as_it_is() {
    let mut rig = Rig::start("net");
    let directory = tempfile::tempdir().unwrap();
    let real = directory.path().join("real.sock");
    let _listener = UnixListener::bind(&real).unwrap();
    std::os::unix::fs::symlink("real.sock", directory.path().join("link.sock")).unwrap();
    for asked in ["link.sock", "./real.sock"] {
        let pid = connect_in_child(directory.path(), asked.as_bytes());
        let connect = rig.expect("the connect", |e| is(e, "unix_connect") && of(e, pid));
        assert_eq!(text(&connect, "file.path"), real.to_str().unwrap());
        assert_eq!(text(&connect, "file.requested_path"), asked.trim_start_matches("./"));
        assert_eq!(connect.get("network.socket.abstract_name"), Value::Absent);
        assert_eq!(number(&connect, "network.socket.type"), libc::SOCK_STREAM as u64);
        assert_eq!(connect.get("error.type"), Value::Absent);
    }
}

#[test]
fn a_unix_socket_that_is_missing_is_told_on_request_only() {
    for missing in [false, true] {
        let mut rig = Rig::start_with("net", settings(), &[("missing", if missing { "true" } else { "false" })]);
        let directory = tempfile::tempdir().unwrap();
        let pid = connect_in_child(directory.path(), b"nothing.sock");
        let connect = rig.all().iter().find(|e| of(e, pid)).cloned();
        assert_eq!(connect.is_some(), missing);
        if let Some(connect) = connect {
            assert_eq!(number(&connect, "error.type"), libc::ENOENT as u64);
            let asked = directory.path().join("nothing.sock");
            assert_eq!(text(&connect, "file.requested_path"), asked.to_str().unwrap());
            assert_eq!(connect.get("file.path"), Value::Absent);
        }
    }
}

#[test]
fn unix_sockets_are_told_as_they_are_bound_and_listened_on() {
    let mut rig = Rig::start("net");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s").to_str().unwrap().to_owned();
    let hidden = format!("\0ethogram-test-{}", std::process::id());
    for (name, shown, hidden) in [(path.as_str(), path.as_str(), ""), (&hidden, "", hidden.trim_start_matches('\0'))] {
        let (address, length) = unix_address(name.as_bytes());
        let child = forked(|| {
            // SAFETY: the address is as long as said.
            unsafe {
                let socket = libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0);
                libc::bind(socket, (&raw const address).cast(), length);
                libc::listen(socket, 1);
                let client = libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0);
                libc::connect(client, (&raw const address).cast(), length)
            }
        });
        let pid = child.pid();
        assert_eq!(child.go(), 0);
        for event in ["unix_bind", "unix_listen", "unix_connect"] {
            let reported = rig.expect(event, |e| is(e, event) && of(e, pid));
            assert_eq!((text(&reported, "file.path").as_str(), text(&reported, "network.socket.abstract_name").as_str()), (shown, hidden));
        }
        assert_eq!(rig.all().iter().filter(|e| of(e, pid)).count(), 3);
    }
}

#[test]
fn who_answers_and_then_sends_to_another_has_begun_that() {
    // The agent counts the datagrams, or does not: other programs are attached then.
    for counted in [true, false] {
        let mut rig = Rig::start("net");
        if !counted {
            rig.collector.set_subscription("net", Subscription::only(["peer"])).unwrap();
        }
        let asking = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (other, third) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let [asked_by, to, connected] = [&asking, &other, &third].map(|socket| socket.local_addr().unwrap());
        let at = SocketAddr::from((address_of_this_test(if counted { 5 } else { 6 }), 7781));
        let child = forked(move || {
            let served = UdpSocket::bind(at).and_then(|server| {
                server.send_to(b"ready", asked_by).map(drop)?;
                drop(server);
                let server = UdpSocket::bind(at)?;
                let (_, from) = server.recv_from(&mut [0; 100])?;
                server.send_to(b"answer", from)?;
                server.send_to(b"out", to)?;
                server.connect(connected)?;
                server.send(b"out, too")
            });
            i32::from(served.is_err())
        });
        let pid = child.pid();
        let asks = thread::spawn(move || {
            let (_, ready) = asking.recv_from(&mut [0; 100]).unwrap();
            // It binds again, and may not have done so yet.
            asking.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            while asking.send_to(b"question", ready).is_err() || asking.recv_from(&mut [0; 100]).is_err() {}
        });
        assert_eq!(child.go(), 0);
        asks.join().unwrap();
        for to in [to, connected] {
            let told = |e: &Event| is(e, "peer") && of(e, pid) && number(e, "network.peer.port") == u64::from(to.port());
            let peer = rig.expect("whom it sends to by itself", told);
            assert_eq!((peer.get("network.peer.address"), shown(&peer, "network.transport")), (Value::Ip(to.ip()), "udp".into()));
        }
        let peers = |e: &&Event| is(e, "peer") && of(e, pid);
        let ports: Vec<_> = rig.all().iter().filter(peers).map(|e| number(e, "network.peer.port")).collect();
        // Once by the socket that began: not for the answer.
        assert_eq!(ports.len(), 3, "{ports:?}");
        rig.collector.stop("net").unwrap();
        assert_eq!(rig.counters().unaccounted(), 0);
    }
}

#[test]
fn sockets_of_other_kinds_are_told_and_common_ones_are_not() {
    const MPTCP: i32 = 262;
    const NETLINK_USERSOCK: i32 = 2;
    let mut rig = Rig::start("net");
    let child = forked(|| {
        // SAFETY: plain numbers only.
        unsafe {
            libc::socket(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP);
            libc::socket(libc::AF_INET6, libc::SOCK_DGRAM, libc::IPPROTO_UDPLITE);
            libc::socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_SCTP);
            libc::socket(libc::AF_INET, libc::SOCK_SEQPACKET, libc::IPPROTO_SCTP);
            libc::socket(libc::AF_INET, libc::SOCK_DCCP, libc::IPPROTO_DCCP);
            libc::socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0);
            libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, NETLINK_USERSOCK);
            for (kind, protocol) in [(libc::SOCK_STREAM, libc::IPPROTO_TCP), (libc::SOCK_STREAM, MPTCP), (libc::SOCK_DGRAM, libc::IPPROTO_UDP)] {
                libc::socket(libc::AF_INET, kind | libc::SOCK_CLOEXEC, protocol);
            }
            libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE);
        }
        0
    });
    let pid = child.pid();
    child.go();
    let told: Vec<_> = rig.all().iter().filter(|e| of(e, pid) && is(e, "socket")).cloned().collect();
    let what = |e: &Event| (shown(e, "network.socket.family"), shown(e, "network.transport"));
    let told: Vec<_> = told.iter().map(what).collect();
    let wanted = [
        ("AF_INET", "icmp"),
        ("AF_INET6", "udplite"),
        ("AF_INET", "sctp"),
        ("AF_INET", "sctp"),
        ("AF_INET", "dccp"),
        ("AF_VSOCK", ""),
        ("AF_NETLINK", ""),
    ];
    assert_eq!(told, wanted.map(|(family, transport)| (family.to_owned(), transport.to_owned())));
}

#[test]
fn whom_a_packet_without_ports_goes_to_is_told_once() {
    let mut rig = Rig::start("net");
    let [to, connected] = [7, 8].map(address_of_this_test);
    let child = forked(move || {
        // A question of a ping: its checksum counts the rest of it.
        let (echo, size) = ([8u8, 0, 0xf7, 0xff, 0, 0, 0, 0], size_of::<libc::sockaddr_in>() as _);
        let address = |ip: Ipv4Addr| libc::sockaddr_in {
            sin_family: libc::AF_INET as _,
            sin_port: 0,
            sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) },
            sin_zero: [0; 8],
        };
        let (to, connected) = (address(to), address(connected));
        // SAFETY: the addresses and the packet are as long as said.
        unsafe {
            let socket = libc::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP);
            for _ in 0..3 {
                if libc::sendto(socket, echo.as_ptr().cast(), echo.len(), 0, (&raw const to).cast(), size) != 8 {
                    return 1;
                }
            }
            let other = libc::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP);
            if libc::connect(other, (&raw const connected).cast(), size) != 0 {
                return 2;
            }
            i32::from(libc::send(other, echo.as_ptr().cast(), echo.len(), 0) != 8)
        }
    });
    let pid = child.pid();
    // The function that sends datagrams is no hook for those of sockets without ports, which are connected or not seen.
    let by_function = rig.programs().iter().any(|p| p.name == "ipv4_sent" && p.state == crate::ProgramState::Attached);
    assert_eq!(child.go(), 0);
    for ip in [Some(connected), (!by_function).then_some(to)].into_iter().flatten() {
        let told = |e: &Event| is(e, "peer") && of(e, pid) && e.get("network.peer.address") == Value::Ip(ip.into());
        let peer = rig.expect("whom it goes to", told);
        assert_eq!((number(&peer, "network.peer.port"), shown(&peer, "network.transport")), (0, "raw".into()));
        assert_eq!(rig.all().iter().filter(|e| told(e)).count(), 1);
    }
}
