//! Floods by one container, one after another: what is found of the others stays and comes as soon as ever, and the agent's
//! memory stays bounded.

use std::{
    env, fs,
    io::Write,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use super::support::{Alert, Container, Server, Settings, eventually, run, seconds};

/// All floods together. Those who want to see more of it say how many seconds in this variable.
const TOGETHER: Duration = seconds(60);
const SECONDS: &str = "ETHOGRAM_TEST_FLOOD_SECONDS";
/// How soon an alert of another container is there.
const PROMPT: Duration = seconds(2);
/// The same in the midst of a flood. Unoptimised, the agent has no processor to spare then.
const PROMPT_MEANWHILE: Duration = if cfg!(debug_assertions) { seconds(30) } else { PROMPT };
/// How much more memory the agent may have after all of them, in KiB.
const GROWTH_KIB: u64 = 24 << 10;
/// How many incidents all that the flooding container does may be: what is alike is one.
const MOST_INCIDENTS: usize = FLOODS.len() + 1;
/// Connections that ask for nothing.
const IDLE: usize = 64;

/// What each does again and again, `$n` being how often it has.
const FLOODS: [(&str, &str); 11] = [
    ("programs", "mkdir -p /tmp/d$n; ln -f /bin/busybox /tmp/d$n/true; /tmp/d$n/true; rm -r /tmp/d$n"),
    ("links", "ln -s /bin/true /tmp/link$n; /tmp/link$n; rm /tmp/link$n"),
    ("written and run", "cp /bin/busybox /srv/run$n; /srv/run$n true; rm /srv/run$n"),
    ("secrets", "touch /tmp/$n.key; cat /tmp/$n.key; rm /tmp/$n.key"),
    ("arguments", "/bin/true $n $long"),
    ("commands", "sh -c \"/bin/true; : $n\""),
    ("writes", "echo x >/srv/file$n; rm /srv/file$n"),
    ("paths", "mkdir -p /tmp/$n/$deep; echo x >/tmp/$n/$deep/x; rm -r /tmp/$n"),
    ("processes", "/bin/true & /bin/true & /bin/true & /bin/true & wait"),
    ("peers", "nc -w 1 127.$((n / 65536 % 256)).$((n / 256 % 256)).$((n % 254 + 1)) 9"),
    ("names", "busybox nslookup name$n.example 127.0.0.1"),
];

/// The script of a flood, which ends after some seconds.
fn script(what: &str, lasting: Duration) -> String {
    format!(
        "long=$(busybox seq 8000); deep=$(busybox seq -s / 100 140); n=0; end=$(($(busybox date +%s) + {})); \
         while [ $((n % 16)) != 0 ] || [ $(busybox date +%s) -lt $end ]; do n=$((n + 1)); {what}; done >/dev/null 2>&1; echo $n",
        lasting.as_secs()
    )
}

/// A container that is a workload of its own.
fn workload(name: &str) -> Container {
    let service = format!("com.docker.compose.service={name}");
    let labels = ["--label", "com.docker.compose.project=floods", "--label", &service, "--network", "none"];
    let container = Container::create(name, &labels, &["sleep", "100000"]);
    container.start();
    container
}

fn resident_kib(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.process.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Writes a file that the container never wrote, and waits for the alert.
fn attack(server: &Server, container: &Container, name: &str) -> Duration {
    let path = format!("/srv/{name}");
    container.sh(&format!("echo x > {path}"));
    let done = Instant::now();
    let alert = eventually(&format!("the alert of {path}"), seconds(60), || {
        let is_it = |a: &Alert| a.container() == container.name && a.json.to_string().contains(&path);
        server.alerts().into_iter().find(is_it)
    });
    alert.at.saturating_duration_since(done)
}

fn has_alert(server: &Server, container: &Container, path: &str) -> bool {
    // Of all that there are, the newest thousand would not have it.
    let alerts = server.http.get(&format!("/v1/alerts?limit=1000&rule=behaviour.write&container={}", container.name));
    alerts.as_array().unwrap().iter().any(|a| a.to_string().contains(path))
}

/// Connects and says nothing, or not all that it has to.
fn idle(port: u16) -> Vec<TcpStream> {
    let connect = |n: usize| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        if n.is_multiple_of(2) {
            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ");
        }
        Some(stream)
    };
    (0..IDLE).filter_map(connect).collect()
}

/// What each incident of a container is about.
fn incidents(server: &Server, container: &Container) -> Vec<String> {
    let all = server.http.get(&format!("/v1/incidents?limit=1000&container={}", container.name));
    all.as_array().unwrap().iter().map(|incident| incident["finding_info"]["title"].to_string()).collect()
}

fn metrics(server: &Server) -> Option<String> {
    let url = format!("http://127.0.0.1:{}/metrics", server.metrics_port);
    let got = run(&["curl", "--silent", "--noproxy", "*", "--max-time", "5", &url]);
    Some(got).filter(|text| text.contains("ethogram_"))
}

#[test]
fn nothing_of_others_is_lost_or_late() {
    let together = env::var(SECONDS).ok().map_or(TOGETHER, |text| seconds(text.parse().unwrap()));
    let (flooding, other) = (workload("flooding"), workload("other"));
    let server = Server::start(&Settings { learning_period: seconds(5), shipped_rules: true, ..Settings::default() });
    for container in [&flooding, &other] {
        server.await_container(&container.name);
        container.sh("echo x >/data/known; cat /data/known");
    }
    server.await_judging(seconds(60));
    attack(&server, &flooding, "first-of-the-flooding");
    attack(&server, &other, "first-of-the-other");
    let before = resident_kib(&server);
    eprintln!("{} MB resident before", before >> 10);
    let idle = idle(server.metrics_port);

    let each = together / FLOODS.len() as u32;
    let mut late = Vec::new();
    for (name, what) in FLOODS {
        let begin = Instant::now();
        let took = thread::scope(|scope| {
            let flood = scope.spawn(|| flooding.sh(&script(what, each)));
            eventually("the midst of the flood", each, || (begin.elapsed() >= each / 2).then_some(()));
            let took = attack(&server, &other, &format!("during-{name}"));
            let done = flood.join().unwrap();
            let times: u64 = String::from_utf8_lossy(&done.stdout).trim().parse().unwrap_or(0);
            assert!(times > 20, "the flood '{name}' was none: {times} times, {done:?}");
            eprintln!(
                "{name}: {times} times in {each:?}; an alert took {took:?}; {} MB resident",
                resident_kib(&server) >> 10
            );
            took
        });
        if took > PROMPT_MEANWHILE {
            late.push((name, took));
        }
    }
    let took = attack(&server, &other, "after-all");
    if took > PROMPT {
        late.push(("all", took));
    }
    assert!(late.is_empty(), "alerts of another container came late: {late:?}");
    assert!(
        has_alert(&server, &flooding, "/srv/first-of-the-flooding"),
        "the flood erased the flooder's own first alert"
    );
    assert!(has_alert(&server, &other, "/srv/first-of-the-other"), "the flood erased the other's first alert");
    let incidents = incidents(&server, &flooding);
    eprintln!("incidents of the flooding container: {incidents:#?}");
    assert!((1..=MOST_INCIDENTS).contains(&incidents.len()), "{incidents:#?}");
    eventually("an answer to /metrics", seconds(20), || metrics(&server));
    drop(idle);
    let after = resident_kib(&server);
    assert!(after < before + GROWTH_KIB, "{before} KiB were resident before, {after} after");
}
