#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::*;
use crate::{
    config::RuntimeSettings,
    container::hierarchy::Mode,
    http::tests::{FakeServer, answer},
};

const ID: &str = "97ca8c4b43552c7ea2dd5f5087a801d4fc4294230864437bfe354728b1fe8219";

fn nowhere() -> RuntimeSettings {
    RuntimeSettings {
        docker_socket: "/nonexistent/docker".into(),
        containerd_socket: "/nonexistent/containerd".into(),
        podman_socket: "/nonexistent/podman".into(),
        podman_storage: "/nonexistent/storage".into(),
    }
}

fn request(id: &str, candidate_in: Option<&str>) -> ResolveRequest {
    let hint = if candidate_in.is_some() { Runtime::Containerd } else { Runtime::Docker };
    let candidate_in = candidate_in.map(str::to_owned);
    ResolveRequest { id: id.into(), hint, candidate_in, cgroup: String::new(), share: None }
}

fn start(settings: &RuntimeSettings, room: usize) -> (mpsc::Sender<Ask>, mpsc::Receiver<Resolution>) {
    let (ask, asks) = mpsc::channel(8);
    let (sender, resolutions) = mpsc::channel(room);
    let runtimes = Arc::new(Runtimes::new(settings));
    let hierarchy = Hierarchy { root: "/nonexistent".into(), controller: None, id: 0, mode: Mode::V2 };
    tokio::spawn(run(runtimes, asks, hierarchy, move |resolution| sender.try_send(resolution).is_ok()));
    (ask, resolutions)
}

async fn within<T>(seconds: u64, what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(seconds), what).await.unwrap()
}

fn known(resolution: Option<Resolution>) -> RuntimeContainer {
    let Some(Resolution::Known(container)) = resolution else { panic!("{resolution:?}") };
    *container
}

#[tokio::test]
async fn a_container_that_the_runtime_does_not_know_yet_is_asked_for_again() {
    let there = Arc::new(AtomicBool::new(false));
    let is_there = there.clone();
    let server = FakeServer::by(
        move |_| {
            // The first question comes too early.
            if !is_there.swap(true, Ordering::SeqCst) {
                return answer("404 Not Found", "{}");
            }
            answer("200 OK", &format!(r#"{{"Id":"{ID}","Name":"/web","Config":{{}}}}"#))
        },
        false,
    );
    let (ask, mut resolutions) = start(&RuntimeSettings { docker_socket: server.socket.clone(), ..nowhere() }, 8);
    ask.send(Ask::Resolve(request(ID, None))).await.unwrap();
    assert_eq!(known(within(5, resolutions.recv()).await).name, "web");
}

#[tokio::test]
async fn a_container_that_has_not_started_is_sent_once_and_asked_for_again() {
    let asked = Arc::new(AtomicU32::new(0));
    let counts = asked.clone();
    let server = FakeServer::by(
        move |request| {
            counts.fetch_add(u32::from(request.contains(ID)), Ordering::SeqCst);
            let state = r#"{"Pid":0,"StartedAt":"0001-01-01T00:00:00Z"}"#;
            answer("200 OK", &format!(r#"{{"Id":"{ID}","Name":"/web","State":{state},"Config":{{}}}}"#))
        },
        false,
    );
    let (ask, mut resolutions) = start(&RuntimeSettings { docker_socket: server.socket.clone(), ..nowhere() }, 8);
    ask.send(Ask::Resolve(request(ID, None))).await.unwrap();
    assert_eq!(known(within(5, resolutions.recv()).await).name, "web");
    within(5, async {
        while asked.load(Ordering::SeqCst) < 3 {
            sleep(FIRST_RETRY).await;
        }
    })
    .await;
    assert!(resolutions.is_empty(), "nothing new");
    // When its cgroup goes, it is not queried any more.
    ask.send(Ask::Forget(request(ID, None))).await.unwrap();
    while ask.capacity() < 8 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_candidate_that_containerd_cannot_know_is_turned_down_at_once() {
    let (ask, mut resolutions) = start(&nowhere(), 8);
    let candidate = request("web", Some("default"));
    ask.send(Ask::Resolve(candidate.clone())).await.unwrap();
    assert_eq!(within(1, resolutions.recv()).await, Some(Resolution::Unknown(candidate)));
}

#[tokio::test]
async fn dockers_events_tell_of_containers_that_nobody_asked_for() {
    let server = FakeServer::by(
        |request| {
            if request.contains("/events?") {
                let event = format!(r#"{{"Action":"create","Actor":{{"ID":"{ID}"}}}}"#);
                return format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{event}\n").into_bytes();
            }
            answer("200 OK", &format!(r#"{{"Id":"{ID}","Name":"/early","Config":{{}}}}"#))
        },
        false,
    );
    let (_ask, mut resolutions) = start(&RuntimeSettings { docker_socket: server.socket.clone(), ..nowhere() }, 8);
    assert_eq!(known(within(5, resolutions.recv()).await).name, "early");
}

#[tokio::test]
async fn news_that_the_engine_had_no_room_for_is_sent_again() {
    let body = format!(r#"{{"Id":"{ID}","Name":"/web","Config":{{}}}}"#);
    let server = FakeServer::start(answer("200 OK", &body), false);
    let (ask, mut resolutions) = start(&RuntimeSettings { docker_socket: server.socket.clone(), ..nowhere() }, 1);
    // The second fills what the first found empty.
    ask.send(Ask::Resolve(request("full", Some("default")))).await.unwrap();
    while resolutions.is_empty() {
        tokio::task::yield_now().await;
    }
    ask.send(Ask::Resolve(request(ID, None))).await.unwrap();
    while ask.capacity() < 8 {
        tokio::task::yield_now().await;
    }
    assert!(matches!(resolutions.recv().await, Some(Resolution::Unknown(_))));
    assert_eq!(known(within(5, resolutions.recv()).await).name, "web");
}

#[tokio::test]
async fn many_requests_of_one_share_leave_turns_for_others() {
    let server = FakeServer::by(
        |request| match request.contains(ID) {
            true => answer("200 OK", &format!(r#"{{"Id":"{ID}","Name":"/web","Config":{{}}}}"#)),
            false => answer("404 Not Found", "{}"),
        },
        false,
    );
    let (ask, mut resolutions) = start(&RuntimeSettings { docker_socket: server.socket.clone(), ..nowhere() }, 64);
    let of_user = |n: u64| ResolveRequest { share: Some(Share::User(1000)), ..request(&format!("{n:064x}"), None) };
    for n in 0..2000 {
        ask.send(Ask::Resolve(of_user(n))).await.unwrap();
    }
    // Another place that only has its name, which is gone again.
    let other = ResolveRequest { cgroup: "/x".into(), share: Some(Share::User(7)), ..request(ID, None) };
    ask.send(Ask::Resolve(request(ID, None))).await.unwrap();
    ask.send(Ask::Resolve(other.clone())).await.unwrap();
    ask.send(Ask::Forget(other)).await.unwrap();
    within(5, async { while !matches!(resolutions.recv().await, Some(Resolution::Known(_))) {} }).await;
}

#[tokio::test]
async fn a_runtime_that_hangs_does_not_hold_up_the_others() {
    let body = format!(r#"{{"Id":"{ID}","Name":"/web","Config":{{}}}}"#);
    let docker = FakeServer::start(answer("200 OK", &body), false);
    let containerd = FakeServer::start(vec![], true);
    let settings = RuntimeSettings {
        docker_socket: docker.socket.clone(),
        containerd_socket: containerd.socket.clone(),
        ..nowhere()
    };
    let (ask, mut resolutions) = start(&settings, 8);
    ask.send(Ask::Resolve(request("hung", Some("default")))).await.unwrap();
    ask.send(Ask::Resolve(request(ID, None))).await.unwrap();
    assert_eq!(known(within(1, resolutions.recv()).await).name, "web");
}
