//! What only many events show: files that are replaced by others, and data in names.

use ethogram_detect::{Acceptance, Decision, Detector, Model, rules::Rules};
use ethogram_model::{Event, Finding, ObjectKind, Process, Severity};
use proptest::prelude::*;

use crate::support::*;

const HTTPD: &str = "httpd@/bin/busybox";
const GZIP: &str = "/usr/bin/gzip";
const LATER: u64 = 60 * SECOND;
const ENOUGH: u64 = 16;

/// What is done to one file.
#[derive(Debug, Clone, Copy)]
enum Deed {
    New,
    Remove,
    Change,
}

use Deed::{Change, New, Remove};

fn event(web: &Sandbox, by: &Process, deed: Deed, path: &str, at: u64) -> Event {
    let kind = match deed {
        New => ObjectKind::NewFile,
        Remove => ObjectKind::RemovedFile,
        Change => ObjectKind::ChangedFile,
    };
    web.one_of_many(kind, by.clone(), path, None, at)
}

fn moved(web: &Sandbox, by: &Process, from: &str, to: &str, at: u64) -> Event {
    web.one_of_many(ObjectKind::NewFile, by.clone(), to, Some(from), at)
}

/// `times` files of a folder, a tenth of a second after each other; `deeds` says what is done to each.
fn each(times: u64, at: u64, deeds: impl Fn(u64, u64) -> Vec<Event>) -> Vec<Event> {
    (0..times).flat_map(|n| deeds(n, at + n * SECOND / 10)).collect()
}

/// Each is written anew with that ending, and removed.
fn locked(web: &Sandbox, by: &Process, folder: &str, ending: &str, times: u64, at: u64) -> Vec<Event> {
    each(times, at, |n, at| {
        let path = format!("{folder}/order-{n}.pdf");
        vec![event(web, by, New, &format!("{path}{ending}"), at), event(web, by, Remove, &path, at)]
    })
}

fn of_data(findings: Vec<Finding>) -> Vec<Finding> {
    let is_bulk = |f: &Finding| ["replace", "tunnel"].contains(&&*f.operation);
    findings.into_iter().filter(is_bulk).collect()
}

fn found(model: &mut Model, events: Vec<Event>) -> Vec<Finding> {
    of_data(judge(model, events))
}

#[test]
fn files_that_are_encrypted_and_removed_are_found() {
    let (mut model, web) = learnt();
    let rm = web.process(HTTPD);
    let findings = found(&mut model, locked(&web, &rm, "/data/orders", ".locked", 40, LATER));
    assert_eq!(findings.len(), 1, "{findings:#?}");
    let finding = &findings[0];
    assert_eq!(finding.title, "web: /bin/busybox (httpd) replaced many files by others (/data/orders/*.locked)");
    assert_eq!((finding.severity, &*finding.techniques), (Severity::High, &["T1486".to_owned()][..]));
    let many = "16 files below /data/orders gave way within a minute to ones beside them that end in .locked";
    assert!(finding.reason.contains(many), "{}", finding.reason);
    assert_eq!(model.take_updates()[0].count, 2, "and again where there are twice as many");
}

#[test]
fn every_way_to_replace_files_is_one() {
    type Way = fn(&Sandbox, &Process, &str, u64) -> Vec<Event>;
    let ways: [(&str, Way); 6] = [
        ("removed first", |web, by, path, at| {
            vec![event(web, by, Remove, path, at), event(web, by, New, &format!("{path}.locked"), at)]
        }),
        ("another ending in place of its own", |web, by, path, at| {
            let stem = path.strip_suffix(".pdf").unwrap();
            vec![event(web, by, New, &format!("{stem}.locked"), at), event(web, by, Remove, path, at)]
        }),
        ("written in place, and renamed", |web, by, path, at| {
            vec![event(web, by, Change, path, at), moved(web, by, path, &format!("{path}.locked"), at)]
        }),
        ("written elsewhere, and moved beside it", |web, by, path, at| {
            let place = format!("{path}.locked");
            let copy = format!("/tmp/{at}");
            vec![event(web, by, New, &copy, at), moved(web, by, &copy, &place, at), event(web, by, Remove, path, at)]
        }),
        ("called by another path", |web, by, path, at| {
            let odd = path.replace("/data", "/data/./");
            vec![event(web, by, New, &format!("{path}.locked"), at), event(web, by, Remove, &odd, at)]
        }),
        ("overwritten by other names, and removed", |web, by, path, at| {
            let zeros = format!("/data/orders/{at}");
            let copy = event(web, by, New, &format!("{path}.locked"), at);
            vec![
                copy,
                event(web, by, Change, path, at),
                moved(web, by, path, &zeros, at),
                event(web, by, Remove, &zeros, at),
            ]
        }),
    ];
    for (name, way) in ways {
        let (mut model, web) = learnt();
        let by = web.process(HTTPD);
        let events = each(20, LATER, |n, at| way(&web, &by, &format!("/data/orders/{n}/order.pdf"), at));
        let findings = found(&mut model, events);
        let replaced: Vec<_> = findings.iter().filter(|finding| finding.operation == "replace").collect();
        assert_eq!(replaced.len(), 1, "{name}: {findings:#?}");
        assert_eq!((replaced[0].severity, &*replaced[0].object), (Severity::High, "/data/orders/*.locked"), "{name}");
    }
}

#[test]
fn what_only_looks_like_it_is_none() {
    type Way = fn(&Sandbox, &Process, u64, u64) -> Vec<Event>;
    let ways: [(&str, Way); 10] = [
        ("logs are put aside", |web, by, n, at| {
            let log = format!("/var/log/site-{n}.log");
            vec![moved(web, by, &log, &format!("{log}.1"), at), event(web, by, New, &log, at)]
        }),
        ("logs that were put aside are packed", |web, by, n, at| {
            let log = format!("/var/log/site-{n}.log");
            let (aside, packed) = (format!("{log}.1"), format!("{log}.1.gz"));
            vec![moved(web, by, &log, &aside, at), event(web, by, New, &packed, at), event(web, by, Remove, &aside, at)]
        }),
        ("files are written whole", |web, by, n, at| {
            let file = format!("/data/page-{n}.html");
            vec![event(web, by, New, &format!("{file}.tmp"), at), moved(web, by, &format!("{file}.tmp"), &file, at)]
        }),
        ("a cache makes room", |web, by, n, at| {
            vec![
                event(web, by, Remove, &format!("/var/cache/{n:032x}"), at),
                event(web, by, New, &format!("/var/cache/{at:032x}"), at),
            ]
        }),
        ("a build is cleaned", |web, by, n, at| vec![event(web, by, Remove, &format!("/build/part-{n}.o"), at)]),
        ("packages bring their files", |web, by, n, at| {
            let file = format!("/usr/share/doc/{n}.txt");
            let (new, old) = (format!("{file}.dpkg-new"), format!("{file}.dpkg-tmp"));
            let put =
                vec![event(web, by, New, &new, at), event(web, by, New, &old, at), moved(web, by, &new, &file, at)];
            put.into_iter().chain([event(web, by, Remove, &old, at)]).collect()
        }),
        ("segments of a log are archived", |web, by, n, at| {
            let segment = format!("/var/lib/postgresql/pg_wal/archive_status/{n:024X}");
            vec![moved(web, by, &format!("{segment}.ready"), &format!("{segment}.done"), at)]
        }),
        ("segments of a log are used again", |web, by, n, at| {
            let wal = |n: u64| format!("/var/lib/postgresql/pg_wal/{n:024X}");
            vec![moved(web, by, &wal(n), &wal(n + 100), at)]
        }),
        ("mail is read", |web, by, n, at| {
            let mail = format!("/var/mail/new/{n}.M1P2.mail");
            vec![moved(web, by, &mail, &format!("/var/mail/cur/{n}.M1P2.mail:2,S"), at)]
        }),
        ("a database has a journal", |web, by, _, at| {
            let journal = "/data/shop.db-journal";
            vec![
                event(web, by, New, journal, at),
                event(web, by, Change, "/data/shop.db", at),
                event(web, by, Remove, journal, at),
            ]
        }),
    ];
    for (name, way) in ways {
        let (mut model, web) = learnt();
        let by = web.process(HTTPD);
        let findings = found(&mut model, each(100, LATER, |n, at| way(&web, &by, n, at)));
        assert_eq!(findings, [], "{name}");
    }
}

#[test]
fn few_files_or_slow_ones_are_no_bulk() {
    let (mut model, web) = learnt();
    let by = web.process(HTTPD);
    assert_eq!(found(&mut model, locked(&web, &by, "/data/orders", ".locked", ENOUGH - 1, LATER)), []);
    let slow =
        (0..40).flat_map(|n| locked(&web, &by, &format!("/data/{n}"), ".locked", 1, LATER + (n + 30) * 5 * SECOND));
    assert_eq!(found(&mut model, slow.collect()), []);
    // Each is another container's.
    let (mut model, web) = learnt();
    let other = container("web", 9, "aabbccddeeff0011");
    let apart = each(40, LATER, |n, at| {
        let path = format!("/data/order-{n}.pdf");
        let made = event(&web, &web.process(HTTPD), New, &format!("{path}.locked"), at);
        vec![made, event(&other, &other.process(HTTPD), Remove, &path, at)]
    });
    assert_eq!(found(&mut model, apart), []);
}

/// A model whose workload packs its reports, by that program.
fn packs(by: &str) -> (Model, Sandbox) {
    let (mut model, web) = (model(), web());
    let packer = web.process(by);
    let mut events = web_server(&web, 0);
    events.extend(locked(&web, &packer, "/data/reports/2026-05-01", ".gz", 20, 6 * SECOND));
    assert_eq!(judge(&mut model, events), []);
    model.advance(START + LATER);
    (model, web)
}

#[test]
fn what_a_workload_does_each_night_is_known_and_other_endings_are_not() {
    let (mut model, web) = packs(HTTPD);
    let by = web.process(HTTPD);
    assert_eq!(found(&mut model, locked(&web, &by, "/data/reports/2026-05-02", ".gz", 200, 2 * LATER)), []);
    let findings = found(&mut model, locked(&web, &by, "/data/reports/2026-05-02", ".locked", 40, 4 * LATER));
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].severity, Severity::High);
    assert!(findings[0].reason.contains("nothing of the kind had been usual") || findings[0].reason.contains("*.gz"));
}

#[test]
fn who_packs_files_is_excused_and_who_comes_from_outside() {
    let (mut model, web) = learnt();
    let packed = found(&mut model, locked(&web, &web.process(GZIP), "/data/orders", ".gz", 40, LATER));
    assert!(packed.iter().all(|finding| finding.severity <= Severity::Low), "{packed:#?}");
    // The same by a program of that name that the image does not have.
    let (mut model, web) = learnt();
    let mut own = web.process(GZIP);
    std::sync::Arc::make_mut(&mut own.exec).in_writable_layer = true;
    let packed = found(&mut model, locked(&web, &own, "/data/orders", ".gz", 40, LATER));
    assert_eq!(packed.iter().map(|finding| finding.severity).collect::<Vec<_>>(), [Severity::High]);
    let (mut model, web) = learnt();
    let mut typed = web.process(HTTPD);
    std::sync::Arc::make_mut(&mut typed.exec).terminal = "pts/0".into();
    std::sync::Arc::make_mut(&mut typed.exec).pid = 77;
    let packed = found(&mut model, locked(&web, &typed, "/data/orders", ".locked", 40, LATER));
    assert!(packed.iter().all(|finding| finding.severity <= Severity::Low), "{packed:#?}");
}

#[test]
fn files_that_are_written_anew_in_place_are_what_scripts_do_at_each_start() {
    let (mut model, web) = learnt();
    let by = web.process(HTTPD);
    let anew = each(40, LATER, |n, at| vec![event(&web, &by, Change, &format!("/www/orders/{n}.html"), at)]);
    assert_eq!(found(&mut model, anew), []);
}

/// Data that nobody can guess, in hexadecimal.
fn data(n: u64, digits: usize) -> String {
    let mut out = String::new();
    let mut x = n + 1;
    while out.len() < digits {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        out += &format!("{:08x}", x >> 32);
    }
    out.truncate(digits);
    out
}

fn asked(web: &Sandbox, times: u64, at: u64, name: impl Fn(u64) -> String) -> Vec<Event> {
    each(times, at, |n, at| vec![web.ask(web.process(HTTPD), &name(n), at); 2])
}

#[test]
fn data_in_names_are_found() {
    let (mut model, web) = learnt();
    let findings = found(&mut model, asked(&web, 60, LATER, |n| format!("{}.{n}.Evil.example.", data(n, 48))));
    assert_eq!(findings.len(), 1, "{findings:#?}");
    let finding = &findings[0];
    assert_eq!(finding.title, "web: /bin/busybox (httpd) sent data in names below evil.example");
    assert_eq!((finding.severity, finding.techniques.len()), (Severity::High, 2));
    assert!(finding.reason.contains("names within ten minutes, which can carry"), "{}", finding.reason);
    assert!(finding.reason.contains("it never did that to anybody before"), "{}", finding.reason);
    assert!(model.take_updates()[0].count > 1, "and again where they carry twice as much");
}

#[test]
fn names_that_people_and_services_make_carry_none() {
    type Name = fn(u64) -> String;
    let names: [(&str, Name); 9] = [
        ("senders of mail", |n| format!("{}.{}.2.1.zen.example", n % 250, n / 250)),
        ("addresses", |n| format!("{}.{}.2.1.in-addr.arpa", n % 250, n / 250)),
        ("addresses of IPv6", |n| {
            format!(
                "{}.ip6.arpa",
                format!("{n:032x}").chars().rev().map(|c| format!("{c}.")).collect::<String>().trim_end_matches('.')
            )
        }),
        ("services of a cluster", |n| format!("orders-{n}.team-{}.svc.cluster.local", n % 7)),
        ("pods", |n| format!("10-244-{}-{}.orders.pod.cluster.local", n / 250, n % 250)),
        ("services by kind", |n| format!("_http._tcp.orders-{n}.service.consul")),
        ("hosts", |n| format!("node{n}.rack{}.dc1.example.com", n % 40)),
        ("sites", |n| format!("www.site{n}.example")),
        ("the same again", |n| format!("{}.cdn.example", data(n % 3, 32))),
    ];
    for (what, name) in names {
        let (mut model, web) = learnt();
        assert_eq!(found(&mut model, asked(&web, 500, LATER, name)), [], "{what}");
    }
}

#[test]
fn a_domain_whose_names_a_workload_asks_for_is_known_and_another_is_not() {
    let (mut model, web) = (model(), web());
    let mut events = web_server(&web, 0);
    events.extend(asked(&web, 40, 6 * SECOND, |n| format!("{}.cdn.example", data(n, 32))));
    assert_eq!(judge(&mut model, events), []);
    model.advance(START + LATER);
    assert_eq!(found(&mut model, asked(&web, 200, LATER, |n| format!("{}.cdn.example", data(n + 99, 32)))), []);
    let findings = found(&mut model, asked(&web, 60, 2 * LATER, |n| format!("{}.evil.example", data(n, 48))));
    assert_eq!(
        findings.iter().map(|f| (&*f.object, f.severity)).collect::<Vec<_>>(),
        [("evil.example", Severity::Medium)]
    );
}

#[test]
fn who_serves_the_dns_asks_for_others() {
    let (mut model, web) = (model(), web());
    let mut events = web_server(&web, 0);
    events.push(web.listen(HTTPD, 53, 6 * SECOND));
    judge(&mut model, events);
    model.advance(START + LATER);
    let findings = found(&mut model, asked(&web, 60, LATER, |n| format!("{}.evil.example", data(n, 48))));
    assert!(findings.iter().all(|finding| finding.severity <= Severity::Low), "{findings:#?}");
}

#[test]
fn what_is_accepted_is_that_domain_or_ending_alone() {
    let (model, web) = learnt();
    let mut detector = Detector::new(model, Rules::default());
    let by = web.process(HTTPD);
    let mut judged = |events: Vec<Event>| of_data(events.iter().flat_map(|event| detector.judge(event)).collect());
    let findings = judged(locked(&web, &by, "/data/orders", ".locked", 20, LATER));
    assert_eq!(findings.len(), 1);
    let accepted = Acceptance::of(&findings[0], Default::default(), None, START, None).unwrap();
    let mut detector = Detector::new(learnt().0, Rules::default());
    detector.decide(Decision::Accept(Box::new(accepted)));
    let mut judged = |events: Vec<Event>| of_data(events.iter().flat_map(|event| detector.judge(event)).collect());
    assert_eq!(judged(locked(&web, &by, "/data/orders", ".locked", 20, LATER)), []);
    assert_eq!(judged(locked(&web, &by, "/data/orders", ".other", 20, 2 * LATER)).len(), 1);
}

proptest! {
    #[test]
    fn any_files_and_names_are_borne(paths in prop::collection::vec(("[/.a-c~:,*<>0-9-]{0,12}", 0..3_u8), 0..200)) {
        let (mut model, web) = learnt();
        let by = web.process(HTTPD);
        for (n, (path, deed)) in paths.iter().enumerate() {
            let at = LATER + n as u64;
            let deed = [New, Remove, Change][usize::from(*deed)];
            judge(&mut model, [event(&web, &by, deed, path, at), moved(&web, &by, path, "x", at), web.ask(by.clone(), path, at)]);
        }
    }
}
