use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    task::yield_now,
    time::{sleep, timeout},
};

use super::Fake;
use crate::{
    api::{Listeners, connections::Limits},
    config,
};

fn api_at(folder: &Path) -> config::Api {
    config::Api { socket: folder.join("run/api.sock"), ..config::Api::default() }
}

const NO_METRICS: config::Metrics = config::Metrics { listen: None, tls: None, insecure: false };

fn fake() -> Arc<Fake> {
    Arc::new(Fake::default())
}

/// Sends a request as bytes and reads the whole answer.
async fn raw(mut io: impl AsyncReadExt + AsyncWriteExt + Unpin, path: &str, headers: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    io.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    io.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_socket_is_private_and_gone_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let api = api_at(folder.path());
    let server = Listeners::bind(&api, &NO_METRICS).await.unwrap().serve(&fake());
    let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&api.socket), mode(api.socket.parent().unwrap())), (0o600, 0o700));
    let connect = async || tokio::net::UnixStream::connect(&api.socket).await.unwrap();
    assert!(raw(connect().await, "/healthz", "").await.starts_with("HTTP/1.1 200 OK"));
    // A stream under way does not keep the server from stopping.
    let mut stream = connect().await;
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(stream.read_u8().await.is_ok());
    server.stop().await;
    assert!(!api.socket.exists());
}

#[tokio::test]
async fn a_socket_that_answers_is_in_use_and_a_dead_one_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let api = api_at(folder.path());
    let first = Listeners::bind(&api, &NO_METRICS).await.unwrap();
    let error = Listeners::bind(&api, &NO_METRICS).await.err().unwrap().to_string();
    assert!(error.starts_with(&format!("another server answers on {}", api.socket.display())), "{error}");
    assert!(api.socket.exists(), "the loser removed it");
    drop(first);
    // What a killed server leaves over: a socket file without a server.
    drop(std::os::unix::net::UnixListener::bind(&api.socket).unwrap());
    let second = Listeners::bind(&api, &NO_METRICS).await.unwrap();
    drop(second);
    fs::write(&api.socket, "precious").unwrap();
    let error = Listeners::bind(&api, &NO_METRICS).await.err().unwrap().to_string();
    assert!(error.contains("is no socket"), "{error}");
    assert_eq!(fs::read_to_string(&api.socket).unwrap(), "precious");
}

#[tokio::test]
async fn a_port_in_use_is_named_and_nothing_is_left_half_started() {
    let folder = tempfile::tempdir().unwrap();
    let api = api_at(folder.path());
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = Listeners::bind(&api, &config::Metrics { listen: Some(address), ..NO_METRICS })
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains(&address.to_string()) && error.contains("[metrics]"), "{error}");
    assert!(!api.socket.exists());
}

#[tokio::test]
async fn tcp_needs_the_token_and_the_metrics_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    let local = "127.0.0.1:0".parse().ok();
    let api = config::Api { listen: local, token_file: Some(token_file.clone()), ..api_at(folder.path()) };
    let metrics = config::Metrics { listen: local, ..NO_METRICS };
    let refused = async || Listeners::bind(&api, &metrics).await.err().unwrap().to_string();
    assert!(refused().await.contains("No such file"));
    fs::write(&token_file, "short\n").unwrap();
    fs::set_permissions(&token_file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refused().await.contains("others can read it"));
    fs::set_permissions(&token_file, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(refused().await.contains("shorter than 16"));
    fs::write(&token_file, "0123456789abcdef0\n").unwrap();

    let listeners = Listeners::bind(&api, &metrics).await.unwrap();
    let (api_address, metrics_address) = (listeners.api_address().unwrap(), listeners.metrics_address().unwrap());
    let server = listeners.serve(&fake());
    let get = async |to, path: &str, headers: &str| {
        let answer = raw(tokio::net::TcpStream::connect(to).await.unwrap(), path, headers).await;
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    for (header, status) in [
        ("", "401"),
        ("Authorization: Bearer 0123456789abcdef1\r\n", "401"),
        ("Authorization: Bearer 0123456789abcdef\r\n", "401"),
        ("Authorization: Basic 0123456789abcdef0\r\n", "401"),
        ("Authorization: Bearer 0123456789abcdef0\r\n", "200"),
    ] {
        assert_eq!(get(api_address, "/v1/trackers", header).await, status, "{header}");
        assert_eq!(get(api_address, "/metrics", header).await, status, "{header}");
    }
    assert_eq!(get(metrics_address, "/metrics", "").await, "200");
    assert_eq!(get(metrics_address, "/v1/trackers", "").await, "404");
    server.stop().await;
}

/// What comes until the other side ends it.
async fn rest(io: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut answer = Vec::new();
    timeout(Duration::from_secs(10), io.read_to_end(&mut answer)).await.unwrap().unwrap_or_default();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn idle_connections_make_room_and_streams_under_way_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let (api, fake) = (api_at(folder.path()), fake());
    let metrics = config::Metrics { listen: "127.0.0.1:0".parse().ok(), ..NO_METRICS };
    let listeners = Listeners::bind(&api, &metrics).await.unwrap();
    let address = listeners.metrics_address().unwrap();
    let server = listeners.serve(&fake);
    let mut stream = UnixStream::connect(&api.socket).await.unwrap();
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(stream.read_u8().await.is_ok());

    let (mut of_metrics, mut of_api) = (Vec::new(), Vec::new());
    for _ in 0..Limits::DEFAULT.open {
        of_metrics.push(TcpStream::connect(address).await.unwrap());
        of_api.push(UnixStream::connect(&api.socket).await.unwrap());
        yield_now().await;
    }
    let scrape = raw(TcpStream::connect(address).await.unwrap(), "/metrics", "").await;
    assert!(scrape.starts_with("HTTP/1.1 200 OK"), "{scrape}");
    let health = raw(UnixStream::connect(&api.socket).await.unwrap(), "/healthz", "").await;
    assert!(health.starts_with("HTTP/1.1 200 OK"), "{health}");
    assert_eq!(rest(&mut of_metrics[0]).await, "", "the oldest has made room");

    let follower = fake.events.lock().unwrap().pop().unwrap();
    follower.send("the last line".into()).await.unwrap();
    drop(follower);
    let mut answer = String::new();
    while !answer.contains("the last line") {
        answer.push(char::from(stream.read_u8().await.unwrap()));
    }
    server.stop().await;
}

#[tokio::test]
async fn clients_that_are_too_slow_are_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (api, fake) = (api_at(folder.path()), fake());
    let moment = Duration::from_millis(100);
    let limits = Limits { head: moment, body: moment, ..Limits::DEFAULT };
    let server = Listeners::bind(&api, &NO_METRICS).await.unwrap().with_limits(limits).serve(&fake);
    let sent = async |request: &str| {
        let mut io = UnixStream::connect(&api.socket).await.unwrap();
        io.write_all(request.as_bytes()).await.unwrap();
        io
    };
    let mut stream = sent("GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let head = rest(&mut sent("GET /healthz HT").await).await;
    assert!(!head.contains("200 OK"), "{head}");
    let idle = rest(&mut sent("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await).await;
    assert_eq!(idle.matches("200 OK").count(), 1, "{idle}");
    let start =
        "POST /v1/trackers HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    let body = rest(&mut sent(start).await).await;
    assert!(body.starts_with("HTTP/1.1 4"), "{body}");
    // An answer may take as long as it likes.
    sleep(3 * moment).await;
    let follower = fake.events.lock().unwrap().pop().unwrap();
    follower.send("still here".into()).await.unwrap();
    drop(follower);
    assert!(rest(&mut stream).await.contains("still here"));
    server.stop().await;
}
