use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
    time::Duration,
};

use ethogram_model::Event;

use crate::{
    Subscription, ProgramState,
    tests::{child::forked, *},
};

/// Asks for the address of `www.example`, with a number of its own.
const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\0\0\x01\0\x01";
/// What the answer has besides: `www.example` is `cdn.example`, which is 192.0.2.7.
const RECORDS: &[u8] =
    b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x06\x03cdn\xc0\x10\xc0\x29\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07";

fn answer_to(query: &[u8], code: u8) -> Vec<u8> {
    let mut answer = [query, RECORDS].concat();
    (answer[2], answer[3], answer[7]) = (0x81, 0x80 | code, 2);
    answer
}

fn prefixed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

/// A server of one exchange: answers the first datagram that comes.
fn serve_udp(answer: Vec<u8>) -> (SocketAddr, thread::JoinHandle<()>) {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = server.local_addr().unwrap();
    let serve = move || {
        let (_, from) = server.recv_from(&mut [0; 512]).unwrap();
        thread::sleep(Duration::from_millis(20));
        server.send_to(&answer, from).unwrap();
    };
    (at, thread::spawn(serve))
}

/// Sends something in a child and waits for something back.
fn exchange_udp(query: &[u8], answer: Vec<u8>) -> (u32, SocketAddr) {
    let (at, server) = serve_udp(answer);
    let child = forked(|| {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let got = UdpSocket::bind(any).and_then(|client| {
            client.send_to(query, at)?;
            client.recv(&mut [0; 512])
        });
        i32::from(got.is_err())
    });
    let pid = child.pid();
    assert_eq!(child.go(), 0);
    server.join().unwrap();
    (pid, at)
}

fn exchange_tcp(query: &[u8], answer: &[u8]) -> (u32, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let (asked, answer) = (query.len(), answer.to_vec());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut vec![0; asked]).unwrap();
        stream.write_all(&answer).unwrap();
    });
    let child = forked(|| {
        let got = TcpStream::connect(at).and_then(|mut client| {
            client.write_all(query)?;
            client.read(&mut [0; 512])
        });
        i32::from(got.is_err())
    });
    let pid = child.pid();
    assert_eq!(child.go(), 0);
    server.join().unwrap();
    (pid, at)
}

fn check(rig: &mut Rig, pid: u32, at: SocketAddr, transport: &str, code: &str) {
    let query = rig.expect("the query", |e| is(e, "query") && of(e, pid));
    let answer = rig.expect("the answer", |e| is(e, "answer") && of(e, pid));
    for event in [&query, &answer] {
        let json = render::to_json(event);
        assert_eq!(json["dns"]["question"]["name"], "www.example");
        assert_eq!((&json["dns"]["question"]["type"], &json["dns"]["question"]["class"]), (&"A".into(), &"IN".into()));
        assert_eq!(json["network"]["transport"], transport);
        assert_eq!(json["network"]["peer"]["address"], at.ip().to_string());
        assert_eq!(json["network"]["peer"]["port"], at.port());
        assert_eq!(json["dns"]["id"], 0x1234);
    }
    let json = render::to_json(&answer);
    assert_eq!(json["dns"]["response_code"], code);
    assert_eq!(json["dns"]["answers"], serde_json::json!(["192.0.2.7"]));
    assert_eq!(json["dns"]["canonical_names"], serde_json::json!(["cdn.example"]));
    assert_eq!(number(&answer, "dns.answer_count"), 2);
}

#[test]
fn queries_and_answers_are_told_over_udp() {
    let mut rig = Rig::start("dns");
    for (code, name) in [(0, "NOERROR"), (3, "NXDOMAIN")] {
        let (pid, at) = exchange_udp(QUERY, answer_to(QUERY, code));
        check(&mut rig, pid, at, "udp", name);
        let answer = rig.expect("the answer", |e| is(e, "answer") && of(e, pid));
        let latency = number(&answer, "dns.lookup.duration");
        assert!((20_000_000..10_000_000_000).contains(&latency), "{latency}");
        assert_eq!(rig.all().iter().filter(|e| of(e, pid)).count(), 2);
    }
    rig.collector.stop("dns").unwrap();
    assert_eq!(rig.counters().unaccounted(), 0);
}

#[test]
fn queries_and_answers_are_told_over_tcp() {
    let mut rig = Rig::start("dns");
    let (pid, at) = exchange_tcp(&prefixed(QUERY), &prefixed(&answer_to(QUERY, 0)));
    check(&mut rig, pid, at, "tcp", "NOERROR");
}

#[test]
fn two_queries_in_one_segment_are_two() {
    let mut rig = Rig::start("dns");
    let mut other = QUERY.to_vec();
    let kind = other.len() - 3;
    (other[0], other[kind]) = (0x13, 28);
    let both = |one: &[u8], two: &[u8]| [prefixed(one), prefixed(two)].concat();
    let (pid, _) = exchange_tcp(&both(QUERY, &other), &both(&answer_to(QUERY, 0), &answer_to(&other, 0)));
    for (id, kind) in [(0x1234, 1), (0x1334, 28)] {
        for event in ["query", "answer"] {
            let here = |e: &Event| is(e, event) && of(e, pid) && number(e, "dns.id") == id;
            assert_eq!(number(&rig.expect(event, here), "dns.question.type"), kind);
        }
    }
}

#[test]
fn what_is_no_dns_is_nothing() {
    let mut rig = Rig::start("dns");
    let mut pids = Vec::new();
    // An answer that nobody asked for, another operation, two questions, a name that leads nowhere, and a text.
    let mut update = QUERY.to_vec();
    update[2] = 0x28;
    let mut two = QUERY.to_vec();
    two[5] = 2;
    let mut endless = QUERY.to_vec();
    (endless[12], endless[13]) = (0xc0, 12);
    for wrong in [&answer_to(QUERY, 0)[..], &update, &two, &endless, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"] {
        pids.push(exchange_udp(wrong, b"whatever, as long as it is not short".to_vec()).0);
        pids.push(exchange_tcp(wrong, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").0);
    }
    // A query, but not at the beginning of the connection, and one whose length does not fit.
    let late = [&b"x"[..], &prefixed(QUERY)].concat();
    pids.push(exchange_tcp(&late, b"whatever, as long as it is not short").0);
    pids.push(exchange_tcp(&prefixed(&[QUERY, b"more"].concat())[..QUERY.len() + 2], b"x").0);
    let reported: Vec<_> = rig.all().iter().filter(|e| pids.iter().any(|p| of(e, *p))).map(render::to_json).collect();
    assert!(reported.is_empty(), "{reported:?}");
    rig.collector.stop("dns").unwrap();
    let counters = rig.counters();
    assert!(counters.filtered["unparsed"] >= 1, "the endless name");
    assert_eq!(counters.unaccounted(), 0, "{counters:?}");
}

#[test]
fn an_answer_to_another_query_is_nothing() {
    let mut rig = Rig::start("dns");
    let mut other = QUERY.to_vec();
    other[0] = 0x99;
    let (pid, _) = exchange_udp(QUERY, answer_to(&other, 0));
    rig.expect("the query", |e| is(e, "query") && of(e, pid));
    assert!(!rig.all().iter().any(|e| is(e, "answer") && of(e, pid)));
}

#[test]
fn odd_names_are_told_safely() {
    let mut rig = Rig::start("dns");
    let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x04\x1b[2J\x03a.b\0\0\x10\0\x01";
    let (pid, _) = exchange_udp(query, answer_to(query, 2));
    let query = rig.expect("the query", |e| is(e, "query") && of(e, pid));
    assert_eq!(text(&query, "dns.question.name"), "\\027[2J.a\\.b");
}

#[test]
fn what_every_packet_pays_for_is_attached_only_for_who_wants_all() {
    let mut rig = Rig::start("dns");
    let withheld = |rig: &Rig| {
        let programs = rig.programs().into_iter().filter(|p| matches!(p.state, ProgramState::Withheld(_)));
        programs.map(|p| p.attach.split('/').next().unwrap_or_default().to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(withheld(&rig), BTreeSet::new());
    let attaches_datagrams =
        rig.programs().iter().any(|p| p.name == "ipv4_sent" && p.state == ProgramState::Attached);
    let subscription = Subscription::only(["query", "answer"]);
    rig.collector.set_subscription("dns", subscription).unwrap();
    assert!(withheld(&rig).contains("cgroup_skb"), "{:?}", rig.programs());
    let attached = rig.programs().into_iter().filter(|p| p.state == ProgramState::Attached);
    assert!(attached.into_iter().all(|p| !p.attach.starts_with("cgroup_skb")));
    let (over_tcp, _) = exchange_tcp(&prefixed(QUERY), &prefixed(&answer_to(QUERY, 0)));
    let (over_udp, at) = exchange_udp(QUERY, answer_to(QUERY, 0));
    if attaches_datagrams {
        check(&mut rig, over_udp, at, "udp", "NOERROR");
    } else {
        assert!(!rig.all().iter().any(|e| of(e, over_udp)));
    }
    assert!(!rig.all().iter().any(|e| of(e, over_tcp)));
    rig.collector.set_subscription("dns", Subscription::All).unwrap();
    assert_eq!(withheld(&rig), BTreeSet::new());
    let (over_tcp, at) = exchange_tcp(&prefixed(QUERY), &prefixed(&answer_to(QUERY, 0)));
    check(&mut rig, over_tcp, at, "tcp", "NOERROR");
}
