mod fake;
mod listening;
mod secured;

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Request, Response, StatusCode, header},
};
use ethogram_model::{Finding, Severity};
use http_body_util::BodyExt;
use serde_json::{Value as Json, json};
use tower::ServiceExt;

pub(crate) use self::fake::{Fake, finding};
use super::*;

fn request(method: &str, path: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
    request.body(body.into()).unwrap()
}

async fn ask(backend: &Arc<Fake>, request: Request<Body>) -> Response<Body> {
    router(Arc::clone(backend)).oneshot(request).await.unwrap()
}

async fn body(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().into()).unwrap()
}

/// The answer's JSON, checked to be of that status.
async fn json_of(backend: &Arc<Fake>, request: Request<Body>, status: StatusCode) -> Json {
    let response = ask(backend, request).await;
    let (found, kind) = (response.status(), response.headers()[header::CONTENT_TYPE].clone());
    let text = body(response).await;
    assert_eq!(found, status, "{text}");
    let json: Json = serde_json::from_str(&text).unwrap();
    if status.is_client_error() || status.is_server_error() {
        assert_eq!(kind, "application/problem+json");
        assert_eq!(json["status"], status.as_u16());
        assert!(!json["detail"].as_str().unwrap().contains('\n'));
    }
    json
}

#[tokio::test]
async fn trackers_are_started_and_stopped() {
    let fake = Arc::new(Fake::default());
    let states = async || {
        let all = json_of(&fake, request("GET", "/v1/trackers", ""), StatusCode::OK).await;
        all.as_array().unwrap().iter().map(|t| t["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(states().await, ["stopped", "stopped"]);
    let start = r#"{"name":"tcp","params":{"min_ms":5,"ipv6":false}}"#;
    let started = json_of(&fake, request("POST", "/v1/trackers", start), StatusCode::CREATED).await;
    assert_eq!(started["params"][1], json!({"name":"min_ms","value":"5","default":"0","doc":""}));
    assert_eq!(states().await, ["stopped", "running"]);
    json_of(&fake, request("POST", "/v1/trackers", start), StatusCode::CONFLICT).await;
    json_of(&fake, request("DELETE", "/v1/trackers/tcp", ""), StatusCode::OK).await;
    assert_eq!(states().await, ["stopped", "stopped"]);
}

#[tokio::test]
async fn pausing_takes_names_or_nothing() {
    let fake = Arc::new(Fake::default());
    for path in ["/v1/pause", "/v1/resume"] {
        let some = json_of(&fake, request("POST", path, r#"{"trackers":["tcp"]}"#), StatusCode::OK).await;
        assert_eq!(some, json!(["tcp"]));
        let bare = Request::builder().method("POST").uri(path).body(Body::empty()).unwrap();
        assert_eq!(json_of(&fake, bare, StatusCode::OK).await, json!([]));
        assert_eq!(json_of(&fake, request("POST", path, "null"), StatusCode::OK).await, json!([]));
    }
}

#[tokio::test]
async fn a_body_is_an_object_and_no_list_of_its_members() {
    let fake = Arc::new(Fake::default());
    *fake.alerts.lock().unwrap() = vec![finding(1, Severity::Low)];
    for (path, list) in [
        ("/v1/trackers", r#"["open",{}]"#),
        ("/v1/pause", "[]"),
        ("/v1/resume", r#"[["open"]]"#),
        ("/v1/alerts/f1/accept", r#"["1d","fine"]"#),
        ("/v1/trackers", "null"),
        ("/v1/alerts/f1/accept", r#""1d""#),
    ] {
        let answer = json_of(&fake, request("POST", path, list), StatusCode::UNPROCESSABLE_ENTITY).await;
        let detail = answer["detail"].as_str().unwrap();
        assert!(detail.contains("expected an object"), "{path}: {detail}");
    }
    json_of(&fake, request("POST", "/v1/alerts/f1/accept", "null"), StatusCode::OK).await;
    json_of(&fake, request("POST", "/v1/alerts/f1/accept", r#"{"for":"1d"}"#), StatusCode::OK).await;
}

#[tokio::test]
async fn an_acceptance_names_its_object_unless_any_is_asked_for() {
    let fake = Arc::new(Fake::default());
    *fake.alerts.lock().unwrap() = vec![finding(1, Severity::Low), finding(2, Severity::High)];
    let accept = |uid: &str, body: &str| request("POST", &format!("/v1/alerts/{uid}/accept"), body.to_owned());
    let narrow = json_of(&fake, accept("f1", "{}"), StatusCode::OK).await;
    assert_eq!((&narrow["object"], &narrow["matched"]), (&json!("/bin/nc"), &json!(0)));
    let wide = json_of(&fake, accept("f1", r#"{"any_object":true}"#), StatusCode::OK).await;
    assert_eq!(wide.get("object"), None);
    let severe = json_of(&fake, accept("f2", r#"{"any_object":true}"#), StatusCode::CONFLICT).await;
    assert!(severe["detail"].as_str().unwrap().contains("takes force, too"), "{severe}");
    json_of(&fake, accept("f2", r#"{"any_object":true,"force":true}"#), StatusCode::OK).await;
    json_of(&fake, accept("f2", "null"), StatusCode::OK).await;
}

#[tokio::test]
async fn a_whole_number_may_be_written_with_a_point() {
    let fake = Arc::new(Fake::default());
    let started = request("POST", "/v1/trackers", r#"{"name":"tcp","params":{"a":-5.0,"b":1e3}}"#);
    let started = json_of(&fake, started, StatusCode::CREATED).await;
    assert_eq!([&started["params"][0]["value"], &started["params"][1]["value"]], ["-5", "1000"]);
    for number in ["0.5", "1e300", "-9007199254740994.0"] {
        let wrong = request("POST", "/v1/trackers", format!(r#"{{"name":"open","params":{{"a":{number}}}}}"#));
        let answer = json_of(&fake, wrong, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert!(answer["detail"].as_str().unwrap().contains("expected a whole number"), "{answer}");
    }
}

#[tokio::test]
async fn wrong_questions_are_problems_that_say_what_is_right() {
    let fake = Arc::new(Fake::default());
    for (method, path, text, status, says) in [
        ("POST", "/v1/trackers", r#"{"name":"opne"}"#, 404, "did you mean open?"),
        ("DELETE", "/v1/trackers/tpc", "", 404, "did you mean tcp?"),
        ("POST", "/v1/trackers", r#"{"name":"#, 400, "EOF"),
        ("POST", "/v1/trackers", r#"{"nmae":"open"}"#, 422, "unknown field `nmae`, expected `name` or `params`"),
        ("POST", "/v1/trackers", r#"{"name":"open","params":{"a":[]}}"#, 422, "expected a whole number, true or false"),
        ("POST", "/v1/pause", r#"{"tracker":"open"}"#, 422, "unknown field `tracker`, expected `trackers`"),
        ("GET", "/v1/nothing", "", 404, "/v1/nothing"),
        ("GET", "/v1/profiles/x", "", 404, "no profile is called \"x\""),
        ("PATCH", "/v1/trackers", "", 405, "PATCH"),
        ("GET", "/v1/alerts?severity=bad", "", 400, "unknown variant `bad`"),
        ("GET", "/v1/alerts?contaner=x", "", 400, "expected one of"),
        ("PUT", "/v1/trackers/x/object", "no object", 422, "not an ELF object"),
        ("PUT", "/v1/trackers/a%2F..%2Fb/object", "\x7fELF", 422, "a tracker's name"),
    ] {
        let answer = json_of(&fake, request(method, path, text), StatusCode::from_u16(status).unwrap()).await;
        let detail = answer["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{method} {path}: {detail}");
    }
    let nearest = json_of(&fake, request("DELETE", "/v1/trackers/tpc", ""), StatusCode::NOT_FOUND).await;
    assert_eq!(nearest["nearest"], json!(["tcp"]));
    let plain = Request::post("/v1/trackers").body(Body::from("{}")).unwrap();
    json_of(&fake, plain, StatusCode::UNSUPPORTED_MEDIA_TYPE).await;
}

#[tokio::test]
async fn bodies_are_bounded() {
    let fake = Arc::new(Fake::default());
    let object = |bytes: usize| {
        let mut object = b"\x7fELF".to_vec();
        object.resize(bytes, 0);
        request("PUT", "/v1/trackers/mine/object", object)
    };
    let taken = json_of(&fake, object(MAX_OBJECT_BYTES), StatusCode::OK).await;
    assert_eq!(taken["params"][0]["value"], MAX_OBJECT_BYTES.to_string());
    json_of(&fake, object(MAX_OBJECT_BYTES + 1), StatusCode::PAYLOAD_TOO_LARGE).await;
    let long = format!(r#"{{"name":"{}"}}"#, "x".repeat(70_000));
    json_of(&fake, request("POST", "/v1/trackers", long), StatusCode::PAYLOAD_TOO_LARGE).await;
}

#[tokio::test]
async fn alerts_are_ocsf_filtered_and_limited() {
    let fake = Arc::new(Fake::default());
    *fake.alerts.lock().unwrap() =
        (1..=4).map(|n| finding(n, if n % 2 == 0 { Severity::High } else { Severity::Low })).collect();
    let uids = async |query: &str| {
        let all = json_of(&fake, request("GET", &format!("/v1/alerts{query}"), ""), StatusCode::OK).await;
        let uid = |a: &Json| {
            assert_eq!(a["class_uid"], 2004);
            a["finding_info"]["uid"].as_str().unwrap().to_owned()
        };
        all.as_array().unwrap().iter().map(uid).collect::<Vec<_>>()
    };
    assert_eq!(uids("").await, ["f1", "f2", "f3", "f4"]);
    assert_eq!(uids("?limit=1").await, ["f4"]);
    assert_eq!(uids("?severity=medium&container=web").await, ["f2", "f4"]);
    assert!(uids("?container=other").await.is_empty());
}

#[tokio::test]
async fn alerts_come_in_pages_each_with_the_way_to_the_one_before() {
    let fake = Arc::new(Fake::default());
    *fake.alerts.lock().unwrap() = (1..=5).map(|n| finding(n, Severity::High)).collect();
    let (mut path, mut pages) = (Some("/v1/alerts?limit=2&container=web".to_owned()), Vec::new());
    while let Some(next) = path.take() {
        let response = ask(&fake, request("GET", &next, "")).await;
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        let link = response.headers().get(header::LINK).map(|link| link.to_str().unwrap().to_owned());
        path = link.map(|link| link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned());
        let page: Json = serde_json::from_str(&body(response).await).unwrap();
        let uids = page.as_array().unwrap().iter().map(|a| a["finding_info"]["uid"].as_str().unwrap().to_owned());
        pages.push(uids.collect::<Vec<_>>());
    }
    assert_eq!(pages, [vec!["f4", "f5"], vec!["f2", "f3"], vec!["f1"]]);
    assert_eq!(body(ask(&fake, request("GET", "/v1/alerts?container=x", "")).await).await, "[]");
    for wrong in ["limit=0", "limit=1001", "before=x", "before=1x-f", "before=+1-f", "before=1-"] {
        json_of(&fake, request("GET", &format!("/v1/alerts?{wrong}"), ""), StatusCode::UNPROCESSABLE_ENTITY).await;
    }
}

#[tokio::test]
async fn profiles_are_taken_up_approved_reset_and_compared() {
    let fake = Arc::new(Fake::default());
    let file = "x".repeat(1 << 20);
    let put = |query: &str, file: &str| request("PUT", &format!("/v1/profiles{query}"), file.to_owned());
    let taken = json_of(&fake, put("?any_digest=true", &file), StatusCode::OK).await;
    assert_eq!(taken[0]["behaviours"], 1 << 20);
    json_of(&fake, put("", &file), StatusCode::CONFLICT).await;
    json_of(&fake, put("?any_digest=maybe", ""), StatusCode::BAD_REQUEST).await;
    json_of(&fake, put("", &"x".repeat(9 << 20)), StatusCode::PAYLOAD_TOO_LARGE).await;
    let bytes = request("PUT", "/v1/profiles", vec![b'a', 0xff]);
    let told = json_of(&fake, bytes, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(told["detail"], "the profile is not UTF-8 at byte 1");
    json_of(&fake, request("POST", "/v1/profiles/p1/approve", ""), StatusCode::OK).await;
    let told = json_of(&fake, request("POST", "/v1/profiles/p2/approve", ""), StatusCode::NOT_FOUND).await;
    assert_eq!(told["nearest"], json!(["p1"]));
    json_of(&fake, request("DELETE", "/v1/profiles/p1", ""), StatusCode::OK).await;
    json_of(&fake, request("GET", "/v1/profiles/p1/file", ""), StatusCode::NOT_FOUND).await;
    let diff = json_of(&fake, request("GET", "/v1/profiles/p1/diff?with=p%2F2", ""), StatusCode::OK).await;
    assert_eq!(diff, json!({ "from": "p/2", "to": "p1", "operations": [] }));
    json_of(&fake, request("GET", "/v1/profiles/p1/diff?from=x", ""), StatusCode::BAD_REQUEST).await;
}

#[tokio::test]
async fn responses_are_listed_and_undone() {
    let fake = Arc::new(Fake::default());
    let ids = async |query: &str| {
        let all = json_of(&fake, request("GET", &format!("/v1/responses{query}"), ""), StatusCode::OK).await;
        all.as_array().unwrap().iter().map(|r| (r["id"].as_u64().unwrap(), r["action"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(ids("").await, [(1, json!("freeze")), (2, json!("kill"))]);
    assert_eq!(ids("?limit=1").await, [(2, json!("kill"))]);
    let policies = json_of(&fake, request("GET", "/v1/policies", ""), StatusCode::OK).await;
    assert_eq!(
        policies,
        json!([{"name":"no mounts","of_rule":false,"action":"deny","state":"refused","reason":"no bpf","hits":0}])
    );
    for (id, status) in [("1", StatusCode::OK), ("2", StatusCode::CONFLICT), ("x", StatusCode::NOT_FOUND)] {
        json_of(&fake, request("DELETE", &format!("/v1/responses/{id}"), ""), status).await;
    }
}

#[tokio::test]
async fn incidents_are_listed_shown_and_followed() {
    let fake = Arc::new(Fake::default());
    let ids = async |query: &str| {
        let all = json_of(&fake, request("GET", &format!("/v1/incidents{query}"), ""), StatusCode::OK).await;
        let id = |incident: &serde_json::Value| incident["unmapped"]["incident"]["uid"].as_str().unwrap().to_owned();
        all.as_array().unwrap().iter().map(id).collect::<Vec<_>>()
    };
    assert_eq!(ids("").await, ["i1", "i2"]);
    assert_eq!(ids("?severity=high").await, ["i2"]);
    assert_eq!(ids("?limit=1&container=web&open=true&since=2026-01-01T00:00:00Z").await, ["i2"]);
    for none in ["?container=db", "?open=false", "?since=2026-01-02T00:00:00Z", "?until=2026-01-01T00:00:00Z"] {
        assert_eq!(ids(none).await, [""; 0], "{none}");
    }
    for wrong in ["?limit=0", "?limit=1001", "?since=soon", "?severity=bad", "?sort=up"] {
        let status = ask(&fake, request("GET", &format!("/v1/incidents{wrong}"), "")).await.status();
        assert!(status.is_client_error(), "{wrong}: {status}");
    }
    let one = json_of(&fake, request("GET", "/v1/incidents/i2", ""), StatusCode::OK).await;
    assert_eq!((&one["class_uid"], &one["severity"]), (&json!(2005), &json!("High")));
    json_of(&fake, request("GET", "/v1/incidents/x", ""), StatusCode::NOT_FOUND).await;
    let text = json_of(&fake, request("GET", "/v1/incidents/i2/explain", ""), StatusCode::OK).await;
    assert!(text["text"].as_str().unwrap().contains("$ ethogram incidents show i2\n"), "{text}");
    json_of(&fake, request("GET", "/v1/incidents/x/explain", ""), StatusCode::NOT_FOUND).await;
    // A model's verdict is beside an incident: neither what it is nor which are asked for goes by it.
    for (uid, severity, shown) in [("i1", "Low", "Informational"), ("i2", "High", "High")] {
        let one = json_of(&fake, request("GET", &format!("/v1/incidents/{uid}"), ""), StatusCode::OK).await;
        assert_eq!((&one["severity"], &one["unmapped"]["triage"]["shown_severity"]), (&json!(severity), &json!(shown)));
    }
    assert_eq!(ids("?severity=low").await, ["i1", "i2"]);
    let graph = json_of(&fake, request("GET", "/v1/incidents/i2/graph", ""), StatusCode::OK).await;
    assert_eq!(graph, json!({ "nodes": [], "edges": [] }));
    json_of(&fake, request("GET", "/v1/incidents/x/graph", ""), StatusCode::NOT_FOUND).await;
    for (uid, body, status) in [
        ("i2", "{}", StatusCode::OK),
        ("i2", r#"{"for":"30d","reason":"a drill"}"#, StatusCode::OK),
        ("i2", r#"{"force":true}"#, StatusCode::UNPROCESSABLE_ENTITY),
        ("i1", "{}", StatusCode::CONFLICT),
        ("x", "{}", StatusCode::NOT_FOUND),
    ] {
        json_of(&fake, request("POST", &format!("/v1/incidents/{uid}/accept"), body), status).await;
    }
    let response = ask(&fake, request("GET", "/v1/incidents?follow=true&severity=high", "")).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/x-ndjson");
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let followed = String::from_utf8(body.to_vec()).unwrap();
    assert_eq!(followed.lines().count(), 2, "the earlier and the later one");
    assert!(!followed.contains("triage"), "who follows gets what the engine sends");
}

#[tokio::test]
async fn following_gives_earlier_and_later_alerts_each_once() {
    let fake = Arc::new(Fake::default());
    *fake.alerts.lock().unwrap() = vec![finding(1, Severity::Low)];
    let response = ask(&fake, request("GET", "/v1/alerts?follow=true", "")).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/x-ndjson");
    let follower = fake.followers.lock().unwrap().pop().unwrap();
    for n in [1, 2] {
        follower.send(Arc::new(finding(n, Severity::Low))).await.unwrap();
    }
    follower.send(Arc::new(Finding { count: 2, ..finding(1, Severity::Low) })).await.unwrap();
    drop(follower);
    let text = body(response).await;
    let all: Vec<Json> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let seen: Vec<_> = all.iter().map(|a| (a["finding_info"]["uid"].as_str().unwrap(), &a["count"])).collect();
    assert_eq!(seen, [("f1", &json!(1)), ("f2", &json!(1)), ("f1", &json!(2))]);
}

#[tokio::test]
async fn events_are_a_stream_that_ends_when_the_reader_goes() {
    let fake = Arc::new(Fake::default());
    let response = ask(&fake, request("GET", "/v1/events?tracker=open&container=web", "")).await;
    let mut stream = response.into_body();
    let first = stream.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "{\"tracker\":\"open\",\"container\":\"web\"}\n");
    let sender = fake.events.lock().unwrap().pop().unwrap();
    assert!(!sender.is_closed());
    drop(stream);
    sender.closed().await;
}

#[tokio::test]
async fn health_containers_metrics_and_description_are_served() {
    let fake = Arc::new(Fake::default());
    assert_eq!(body(ask(&fake, request("GET", "/healthz", "")).await).await, "ok\n");
    let ended = Arc::new(Fake { ended: true, ..Fake::default() });
    json_of(&ended, request("GET", "/healthz", ""), StatusCode::SERVICE_UNAVAILABLE).await;
    let containers = json_of(&fake, request("GET", "/v1/containers", ""), StatusCode::OK).await;
    assert_eq!(containers[0]["name"], "web");
    let one = json_of(&fake, request("GET", "/v1/containers/0123", ""), StatusCode::OK).await;
    assert_eq!((&one["name"], &one["frozen"], &one["processes"]), (&json!("web"), &json!(false), &json!([])));
    let told = json_of(&fake, request("GET", "/v1/containers/wbe", ""), StatusCode::NOT_FOUND).await;
    assert_eq!(told["nearest"], json!(["web"]));

    let metrics = body(ask(&fake, request("GET", "/metrics", "")).await).await;
    assert!(metrics.contains("\nethogram_containers 3\n") && metrics.contains("\nprocess_open_fds "));
    let open = Request::get("/metrics").header(header::ACCEPT, "application/openmetrics-text; version=1.0.0");
    let response = ask(&fake, open.body(Body::empty()).unwrap()).await;
    assert!(response.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("application/openmetrics-text"));
    assert!(body(response).await.ends_with("# EOF\n"));

    let described = json_of(&fake, request("GET", "/openapi.json", ""), StatusCode::OK).await;
    for (path, method) in [
        ("/v1/trackers", "get"),
        ("/v1/trackers", "post"),
        ("/v1/trackers/{name}", "delete"),
        ("/v1/trackers/{name}/object", "put"),
        ("/v1/containers", "get"),
        ("/v1/containers/{id}", "get"),
        ("/v1/profiles", "get"),
        ("/v1/profiles", "put"),
        ("/v1/profiles/{id}", "get"),
        ("/v1/profiles/{id}", "delete"),
        ("/v1/profiles/{id}/file", "get"),
        ("/v1/profiles/{id}/diff", "get"),
        ("/v1/profiles/{id}/approve", "post"),
        ("/v1/alerts", "get"),
        ("/v1/events", "get"),
        ("/v1/responses", "get"),
        ("/v1/policies", "get"),
        ("/v1/incidents", "get"),
        ("/v1/incidents/{uid}", "get"),
        ("/v1/incidents/{uid}/accept", "post"),
        ("/v1/incidents/{uid}/graph", "get"),
        ("/v1/incidents/{uid}/explain", "get"),
        ("/v1/responses/{id}", "delete"),
        ("/healthz", "get"),
        ("/metrics", "get"),
    ] {
        assert!(described["paths"][path][method].is_object(), "{method} {path} is not described");
    }
    assert!(described["components"]["schemas"]["TrackerStatus"].is_object());
}
