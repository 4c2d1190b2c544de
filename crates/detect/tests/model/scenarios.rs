//! What a person expects to be alerted to, and what not.

use std::sync::Arc;

use ethogram_detect::render_profile;
use ethogram_model::{Exec, Severity};

use crate::support::*;

const LATER: u64 = 60 * SECOND;

/// The one finding of one event.
fn one(model: &mut ethogram_detect::Model, event: ethogram_model::Event) -> ethogram_model::Finding {
    let mut findings = model.judge(&event);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    findings.remove(0)
}

#[test]
fn what_was_learnt_stays_silent() {
    let (mut model, web) = learnt();
    for round in 0..100 {
        assert_eq!(judge(&mut model, web_server(&web, 60 + round)), []);
    }
    assert_eq!(model.counters().findings, 0);
    assert_eq!(model.counters().known, 901, "all of a hundred rounds, and accepting on the port listened on");
}

#[test]
fn a_new_executable_is_one_finding_with_its_story() {
    let (mut model, web) = learnt();
    let run = |at| web.execute("httpd@/bin/busybox", "/usr/bin/curl", LATER + at);
    let finding = one(&mut model, run(0));
    assert_eq!(finding.title, "web: /bin/busybox (httpd) ran /usr/bin/curl");
    assert_eq!(
        finding.reason,
        "/bin/busybox (httpd) ran /usr/bin/curl, which this workload never did in 20 s of learning; usual: /www/cgi-bin/count; \
         score 6.0 bits, threshold 2.0: another object of execute was new to this executable in 0 of 1 windows (2.0), \
         0 of 0 other workloads show it (1.0), medium severity (3.0)"
    );
    assert_eq!(finding.analytic, "behaviour.execute");
    assert_eq!(finding.severity, Severity::Medium);
    assert_eq!(finding.container.as_ref().unwrap().name.as_deref(), Some("web"));
    assert_eq!(finding.usual, ["/www/cgi-bin/count"]);
    assert_eq!(finding.evidence[0]["process"]["executable"]["path"], "/usr/bin/curl");
    assert_eq!(model.take_updates(), []);

    assert_eq!(judge(&mut model, (1..100).map(|i| run(i * SECOND))), []);
    let updates = model.take_updates();
    assert_eq!(updates.len(), 1);
    assert_eq!((&updates[0].uid, updates[0].count), (&finding.uid, 100));
    assert_eq!(updates[0].last_seen_ns, START + LATER + 99 * SECOND);
    assert_eq!(updates[0].evidence.len() + finding.evidence.len(), ethogram_model::Finding::MAX_EVIDENCE);
    assert_eq!(model.take_updates(), []);
}

#[test]
fn the_parent_is_part_of_an_execution() {
    let (mut model, web) = learnt();
    let finding = one(&mut model, web.execute_from_outside("/www/cgi-bin/count", LATER));
    assert_eq!(finding.title, "web: /www/cgi-bin/count was started from outside the container");
    assert_eq!(finding.executable, "(outside)");
    assert_eq!(finding.usual, ["/bin/busybox (httpd)", "/bin/busybox (wget)"]);
}

#[test]
fn a_program_that_was_written_over_is_another_one() {
    let (mut model, web) = learnt();
    let written = |name: &str| {
        let mut process = web.process(name);
        Arc::make_mut(&mut process.exec).in_writable_layer = true;
        process.ancestors.insert(0, Arc::clone(&web.process("httpd@/bin/busybox").exec));
        with_byte(web.execute_as(process, LATER), 16)
    };
    let finding = one(&mut model, written("/www/cgi-bin/count"));
    assert_eq!(finding.object, "/www/cgi-bin/count (written)");
    assert_eq!(finding.severity, Severity::High);
}

#[test]
fn what_comes_of_a_session_in_a_terminal_is_one_story_unless_it_is_grave() {
    let (mut model, web) = learnt();
    let typed = |program: &str, path: &str, at| {
        let mut shell = web.process("/bin/bash");
        Arc::make_mut(&mut shell.exec).terminal = "pts0".into();
        let mut process = web.process(program);
        process.ancestors.insert(0, shell.exec);
        web.write_as(Some(process), path, LATER + at)
    };
    let first = one(&mut model, typed("/bin/tee", "/srv/a", 0));
    assert_eq!(judge(&mut model, [typed("/bin/cp", "/srv/b", SECOND), typed("/bin/mv", "/srv/c", 2 * SECOND)]), []);
    let update = model.take_updates().remove(0);
    assert_eq!((update.uid, update.count, update.evidence.len()), (first.uid, 3, 2));
    assert_eq!(one(&mut model, typed("/bin/cp", "/etc/passwd", SECOND)).severity, Severity::High);
}

#[test]
fn applets_of_one_binary_are_different_programs() {
    let (mut model, web) = learnt();
    let finding = one(&mut model, web.execute_from_outside("id@/bin/busybox", LATER));
    assert_eq!(finding.object, "/bin/busybox (id)");
    assert_eq!(
        one(&mut model, web.write("sh@/bin/busybox", "/var/lib/count/total", LATER)).executable,
        "/bin/busybox (sh)"
    );
}

#[test]
fn new_places_peers_and_ports_are_told() {
    let (mut model, web) = learnt();
    let httpd = "httpd@/bin/busybox";
    let write = one(&mut model, web.write("/www/cgi-bin/count", "/srv/new/place", LATER));
    assert_eq!(write.title, "web: /www/cgi-bin/count wrote /srv/new/place");
    assert_eq!(write.usual, ["/tmp/tmp.*", "/var/lib/count/total"]);
    let connect = one(&mut model, web.connect(httpd, "192.0.2.1", 4444, LATER));
    assert_eq!(connect.title, "web: /bin/busybox (httpd) connected to 192.0.2.1:4444");
    assert_eq!(connect.usual, ["10.0.0.5:5432 by /www/cgi-bin/count", "127.0.0.1:80 by /bin/busybox (wget)"]);
    assert!(connect.reason.contains("usual: 10.0.0.5:5432 by /www/cgi-bin/count"), "{}", connect.reason);
    let listen = one(&mut model, web.listen(httpd, 8081, LATER));
    assert_eq!(listen.title, "web: /bin/busybox (httpd) listened on port 8081");
    let uids = [&write.uid, &connect.uid, &listen.uid];
    assert!(uids.iter().all(|uid| uid.len() == 32) && write.uid != connect.uid && connect.uid != listen.uid);
}

#[test]
fn names_that_vary_are_not_new() {
    let (mut model, web) = learnt();
    let count = "/www/cgi-bin/count";
    assert_eq!(
        judge(&mut model, [web.write(count, "/tmp/tmp.b9ZqX1", LATER), web.write(count, "/dev/null", LATER)]),
        []
    );
    one(&mut model, web.write(count, "/tmp/payload", LATER));
    one(&mut model, web.connect(count, "10.0.0.6", 5432, LATER));
}

#[test]
fn secrets_are_told_and_ordinary_reads_are_not() {
    let (mut model, web) = learnt();
    assert_eq!(
        judge(&mut model, [web.read("/bin/cat", "/etc/passwd", LATER), web.read("/bin/cat", "/srv/x", LATER)]),
        []
    );
    let finding = one(&mut model, web.read("/bin/cat", "/etc/shadow", LATER));
    assert_eq!(finding.severity, Severity::High);
    assert!(
        finding.reason.contains("it gives away password hashes; nothing of the kind had been usual"),
        "{}",
        finding.reason
    );
}

#[test]
fn what_is_ordinary_shows_nothing_whoever_does_it() {
    let web = web();
    for ordinary in [web.read("/bin/cat", "/etc/passwd", 1), web.write("/bin/sh", "/dev/null", 1)] {
        assert!(ethogram_detect::is_ordinary(&ordinary), "{ordinary:?}");
        assert_eq!(ethogram_detect::Behaviour::of(&ordinary).count(), 0);
    }
    for other in [
        web.read("/bin/cat", "/etc/shadow", 1),
        web.write("/bin/sh", "/etc/passwd", 1),
        web.read("/bin/cat", "", 1),
        web.execute("/bin/sh", "/bin/ls", 1),
        web.connect("/bin/wget", "10.1.2.3", 80, 1),
    ] {
        assert!(!ethogram_detect::is_ordinary(&other), "{other:?}");
    }
}

/// The same, of a program that lies in no file.
fn in_memory(mut event: ethogram_model::Event) -> ethogram_model::Event {
    let process = Arc::make_mut(event.context.process.as_mut().unwrap());
    Arc::make_mut(&mut process.exec).in_memory = true;
    event
}

#[test]
fn how_grave_it_is() {
    let (mut model, web) = learnt();
    let sh = "sh@/bin/busybox";
    for (event, severity) in [
        (web.execute(sh, "/bin/ls", LATER), Severity::Medium),
        (with_byte(web.execute(sh, "/opt/miner", LATER), 16), Severity::High),
        (in_memory(web.execute(sh, "memfd:x", LATER)), Severity::High),
        (web.execute(sh, "memfd:y", LATER), Severity::Medium),
        (web.write(sh, "/etc/passwd", LATER), Severity::High),
        (web.write(sh, "/usr/bin/ls", LATER), Severity::High),
        (web.write(sh, "/root/.ssh/authorized_keys", LATER), Severity::High),
        (web.write(sh, "/var/spool/cron/crontabs/root", LATER), Severity::High),
        (web.write(sh, "/srv/page.html", LATER), Severity::Medium),
        (web.write(sh, "/tmp/x", LATER), Severity::Low),
        (web.connect(sh, "192.0.2.1", 443, LATER), Severity::Medium),
        (web.connect(sh, "127.0.0.1", 6379, LATER), Severity::Low),
        (web.listen(sh, 4444, LATER), Severity::Medium),
    ] {
        let finding = one(&mut model, event);
        assert_eq!(finding.severity, severity, "{}", finding.title);
    }
}

#[test]
fn what_failed_does_not_count() {
    let (mut model, web) = learnt();
    assert_eq!(model.judge(&with_byte(web.write("/bin/sh", "/etc/passwd", LATER), 17)), []);
}

#[test]
fn the_runtime_setting_a_container_up_is_not_the_container() {
    let (mut model, web) = learnt();
    let mut init = web.process("/usr/bin/runc");
    init.exec = Arc::new(Exec { container_cgroup: 0, ..(*init.exec).clone() });
    assert_eq!(model.judge(&web.write_as(Some(init), "/proc/1/attr/keycreate", LATER)), []);

    // What is only called like it is the container's, whether it is known who started it or not.
    let mut sealed = web.process("/usr/bin/runc");
    let path = "memfd:runc_cloned:/proc/self/exe".to_owned();
    let args = vec!["runc".to_owned(), "init".to_owned()];
    sealed.exec = Arc::new(Exec { path, args, ..(*sealed.exec).clone() });
    assert_eq!(judge(&mut model, [web.execute_as(sealed.clone(), LATER)]).len(), 1);
    sealed.ancestors.insert(0, web.process("/bin/sh").exec);
    assert_eq!(judge(&mut model, [web.execute_as(sealed, LATER)]).len(), 1);
}

#[test]
fn the_configured_start_is_no_news_even_where_the_first_was_not_seen() {
    let (mut model, web) = learnt();
    let started = |args: &[&str]| {
        let mut process = web.process("/bin/httpd");
        let args = args.iter().map(ToString::to_string).collect();
        process.exec = Arc::new(Exec { args, ..(*process.exec).clone() });
        process
    };
    let own = || web.execute_as(started(&["/bin/httpd", "-f"]), LATER);
    // Another command, the same from within, and the same from a file that is not the image's: all are news.
    let mut within = started(&["/bin/httpd", "-f"]);
    within.ancestors.insert(0, web.process("/bin/sh").exec);
    assert_eq!(judge(&mut model, [web.execute_as(within, LATER)]).len(), 1);
    assert_eq!(judge(&mut model, [with_byte(own(), 16)]).len(), 1);
    let (mut model, web_again) = learnt();
    assert_eq!(judge(&mut model, [web_again.execute_as(started(&["/bin/httpd", "-h"]), LATER)]).len(), 1);
    let (mut model, _) = learnt();
    assert_eq!(judge(&mut model, [own(), own()]), []);
}

#[test]
fn a_later_container_of_the_image_inherits_the_profile() {
    let (mut model, _) = learnt();
    let later = container("web-2", 8, "aabbccddeeff0011");
    assert_eq!(judge(&mut model, web_server(&later, 60)), []);
    let finding = one(&mut model, later.write("/bin/sh", "/srv/x", LATER));
    assert_eq!(finding.container.as_ref().unwrap().name.as_deref(), Some("web-2"));
    assert_eq!(model.profiles().len(), 1);
}

#[test]
fn another_image_is_learnt_for_itself() {
    let (mut model, _) = learnt();
    let mut other = container("db", 9, "00000000000000ff");
    Arc::make_mut(&mut other.container).image.as_mut().unwrap().name = "db:1".into();
    assert_eq!(judge(&mut model, [other.write("/bin/sh", "/etc/passwd", LATER)]), []);
    assert_eq!(model.profiles().len(), 2);
}

#[test]
fn two_containers_that_do_the_same_give_one_finding() {
    let (mut model, web) = learnt();
    let second = container("web-2", 8, "aabbccddeeff0011");
    let finding = one(&mut model, web.write("/bin/sh", "/srv/x", LATER));
    assert_eq!(judge(&mut model, [second.write("/bin/sh", "/srv/x", LATER)]), []);
    assert_eq!(model.take_updates()[0].uid, finding.uid);
}

#[test]
fn a_port_listened_on_may_be_accepted_on() {
    let (mut model, web) = (model(), web());
    judge(&mut model, [web.listen("/bin/httpd", 80, 0)]);
    model.advance(START + LATER);
    assert_eq!(judge(&mut model, [web.accept("/bin/httpd", 80, LATER)]), []);
    one(&mut model, web.listen("/bin/httpd", 4444, LATER));
    assert_eq!(judge(&mut model, [web.accept("/bin/httpd", 4444, LATER)]), [], "it is the same story");
    one(&mut model, web.accept("/bin/sh", 80, LATER));
}

#[test]
fn passing_ports_are_one() {
    let (mut model, web) = (model(), web());
    judge(&mut model, [web.listen("/bin/ftpd", 40_000, 0)]);
    model.advance(START + LATER);
    assert_eq!(judge(&mut model, [web.listen("/bin/ftpd", 50_000, LATER)]), []);
}

#[test]
fn who_is_not_known_may_be_anyone_it_could_be() {
    let (mut model, web) = learnt();
    let write = |path| web.write("/bin/x", path, LATER);
    assert_eq!(model.judge(&by_name_only(write("/var/lib/count/total"), "count")), []);
    let finding = one(&mut model, by_name_only(write("/var/lib/count/total"), "evil"));
    assert_eq!(finding.executable, "evil");
    assert!(finding.confidence <= 30);
    one(&mut model, by_name_only(write("/srv/x"), "runc:[2:INIT]"));
    assert_eq!(model.judge(&by_name_only(write("/srv/x"), "")), [], "nobody to name");

    let mut orphan = web.process("/www/cgi-bin/count");
    orphan.ancestors.clear();
    assert_eq!(model.judge(&web.execute_as(orphan, LATER)), []);
    let mut orphan = web.process("/bin/evil");
    orphan.ancestors.clear();
    assert_eq!(one(&mut model, web.execute_as(orphan, LATER)).title, "web: an unknown process ran /bin/evil");
}

#[test]
fn the_host_and_unresolved_containers_are_neither_learnt_nor_judged() {
    let (mut model, web) = learnt();
    let mut event = web.write("/bin/sh", "/etc/passwd", LATER);
    event.context.container = None;
    assert_eq!(model.judge(&event), []);
    let mut nameless = (*web.container).clone();
    nameless.image = None;
    let nameless = Sandbox { container: Arc::new(nameless) };
    assert_eq!(model.judge(&nameless.write("/bin/sh", "/etc/passwd", LATER)), []);
    assert_eq!(model.counters().unattributed, 1);
    assert_eq!(model.profiles().len(), 1);
}

#[test]
fn hostile_names_are_shown_harmless() {
    let (mut model, web) = learnt();
    let finding = one(&mut model, web.write("/bin/\u{1b}[2Jsh", "/srv/a\nb\u{202e}", LATER));
    for text in [&finding.title, &finding.reason] {
        assert!(!text.contains(['\u{1b}', '\n', '\u{202e}']), "{text:?}");
    }
    let uid = model.profile_of(&web.container).unwrap();
    let text = render_profile(model.profile(&uid).unwrap());
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
}

#[test]
fn a_profile_is_a_page() {
    let (mut model, web) = (model(), web());
    judge(&mut model, web_server(&web, 0));
    judge(&mut model, ('a'..='p').map(|c| web.write("/bin/logger", &format!("/srv/log/{c}"), 0)));
    model.advance(START + LATER);
    judge(&mut model, [web.write("/bin/sh", "/etc/passwd", LATER)]);
    let uid = model.profile_of(&web.container).unwrap();
    let profile = model.profile(&uid).unwrap();
    let text = render_profile(profile);
    assert!(text.lines().count() < 50, "{text}");
    for line in [
        "web:1@sha256:aabbccddeeff /bin/httpd -f",
        "partial, learnt in 20 s: it judges, though not all was seen\n  missing for stable: no start of a container seen\n",
        "since 2026-05-28 20:26 in one container: 26 behaviours seen, 24 kept\n",
        "execute  what starts what\n  (outside)\n         1  /bin/busybox (httpd)\n",
        "listen  on which ports\n  /bin/busybox (httpd)\n         2  80\n",
        "and 4 more",
        "/bin/sh write /etc/passwd",
    ] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
    let tree = serde_json::to_value(model.describe(&uid).unwrap()).unwrap();
    assert_eq!(tree["state"], "partial");
    assert_eq!(tree["operations"][0]["operation"], "execute");
    assert_eq!(tree["alerted"][0]["object"], "/etc/passwd");
}

#[test]
fn a_peer_is_its_name_where_the_container_was_told_that() {
    let (mut model, web) = (model(), web());
    let connect = |address, at| web.connect("/bin/app", address, 5432, at);
    judge(&mut model, [connect("10.0.0.1", 0), answer(&web, "db.shop.", "10.0.0.7", 0), connect("10.0.0.7", 1)]);
    model.advance(START + LATER);
    assert_eq!(judge(&mut model, [answer(&web, "db.shop", "10.9.9.9", LATER), connect("10.9.9.9", LATER)]), []);
    assert_eq!(judge(&mut model, [answer(&web, "old.shop", "10.0.0.1", LATER), connect("10.0.0.1", LATER)]), []);
    // A DNS server can say anything.
    judge(&mut model, [answer(&web, "db.shop", "203.0.113.9", LATER)]);
    let stranger = one(&mut model, connect("203.0.113.9", LATER));
    assert_eq!(stranger.title, "web: /bin/app connected to db.shop:5432");
    assert_eq!(stranger.usual, ["10.0.0.1:5432", "db.shop:5432 (private)"]);
    let other = container("web-2", 8, "aabbccddeeff0011");
    assert_eq!(one(&mut model, other.connect("/bin/app", "10.9.9.9", 5432, LATER)).object, "10.9.9.9:5432");
}

#[test]
fn services_of_the_host_have_profiles_of_their_own() {
    let (mut model, web) = (model(), web());
    let of = |service: &str, mut event: ethogram_model::Event| {
        event.context.container = None;
        event.context.service = Some(service.into());
        let process = Arc::make_mut(event.context.process.as_mut().unwrap());
        Arc::make_mut(&mut process.exec).container_cgroup = 0;
        event
    };
    judge(&mut model, [of("cron.service", web.write("/usr/sbin/cron", "/var/log/cron.log", 0))]);
    judge(&mut model, [of("nginx.service", web.listen("/usr/sbin/nginx", 80, 0))]);
    model.advance(START + LATER);
    assert_eq!(judge(&mut model, [of("cron.service", web.write("/usr/sbin/cron", "/var/log/cron.log", LATER))]), []);
    let finding = one(&mut model, of("cron.service", web.listen("/usr/sbin/cron", 80, LATER)));
    assert_eq!(
        (&*finding.title, &*finding.workload),
        ("cron.service: /usr/sbin/cron listened on port 80", "host cron.service")
    );
    assert_eq!(finding.place(), "host");
    assert_eq!(model.profiles().len(), 2);

    let uid = model.profiles().into_iter().find(|p| p.name == "host cron.service").unwrap().uid;
    let file = model.profile(&uid).unwrap().to_file();
    assert!(file.contains("[workload]\nservice = \"cron.service\"\n"), "{file}");
    assert_eq!(ethogram_detect::Profile::from_file(&file, START).unwrap().workload.uid, uid);

    // Nothing is learnt from who is under an open alert here, either: not by another service that runs it.
    judge(&mut model, [of("timer.service", web.write("/usr/sbin/cron", "/srv/x", LATER + SECOND))]);
    assert_eq!(model.counters().withheld, 1);
    judge(&mut model, [of("timer.service", web.write("/usr/sbin/at", "/srv/x", LATER + SECOND))]);
    assert_eq!(model.counters().withheld, 1);
}

#[test]
fn who_never_made_code_in_memory_and_does_is_told_gravely() {
    let (mut model, web) = learnt();
    let finding = one(&mut model, web.generate("httpd@/bin/busybox", 2, LATER));
    assert_eq!(finding.title, "web: /bin/busybox (httpd) made code in memory (executable once it was written)");
    assert_eq!((finding.severity, &*finding.analytic), (Severity::High, "behaviour.generate"));
    assert!(
        finding.reason.contains("it never made code before; nothing of the kind had been usual"),
        "{}",
        finding.reason
    );

    // Compilers that run beside the program do it all the time.
    let mut model = model_of_a_compiler();
    assert_eq!(judge(&mut model, [web.generate("/usr/bin/node", 2, LATER)]), []);
    let finding = one(&mut model, web.generate("/usr/bin/node", 3, LATER + SECOND));
    assert_eq!(finding.severity, Severity::Medium);
}

fn model_of_a_compiler() -> ethogram_detect::Model {
    let (mut model, web) = (model(), web());
    judge(&mut model, [web.execute_from_outside("/usr/bin/node", 0), web.generate("/usr/bin/node", 2, 1)]);
    model.advance(START + 30 * SECOND);
    model
}

#[test]
fn one_new_peer_after_another_is_one_alert_also_of_a_new_version() {
    let sweep = |web: &Sandbox, ports: std::ops::Range<u16>| -> Vec<_> {
        let connect =
            |port| web.connect("/www/cgi-bin/count", "10.0.0.9", port, 2 * LATER + u64::from(port) * SECOND / 20);
        ports.map(connect).collect()
    };
    let (mut model, _) = learnt();
    let version = container("web", 8, "00000000000000ff");
    judge(&mut model, web_server(&version, 115));
    // What changed with a version is learnt, as long as it is little.
    assert_eq!(judge(&mut model, sweep(&version, 1..11)), []);
    let findings = judge(&mut model, sweep(&version, 11..100));
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0].title, "web: /www/cgi-bin/count connected to more and more peers");
    assert_eq!(findings[0].severity, Severity::High);
    assert!(findings[0].reason.contains("it connects to one new peer after another"), "{}", findings[0].reason);
    assert_eq!(model.take_updates()[0].count, 89);

    // Many of one network and port are one peer.
    let (mut model, web) = learnt();
    let pods =
        (10..60).map(|i| web.connect("/www/cgi-bin/count", &format!("10.0.7.{i}"), 8080, LATER + i * SECOND / 10));
    assert!(judge(&mut model, pods).iter().all(|finding| finding.severity == Severity::Medium));
}
