use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
    sync::Arc,
};

use ethogram_model::{Container, Incident, Origin, Severity, Triage, Verdict};
use tempfile::{TempDir, tempdir};

use super::*;

fn finding(n: u64) -> Finding {
    Finding {
        uid: format!("f{n}"),
        title: "new executable".into(),
        analytic: "behaviour.execute".into(),
        severity: Severity::High,
        confidence: 90,
        reason: "never seen".into(),
        workload: "w".into(),
        operation: "execute".into(),
        executable: "/bin/sh".into(),
        object: "/bin/nc".into(),
        usual: Vec::new(),
        container: Some(Arc::new(Container { id: "0123456789ab".into(), ..Container::default() })),
        rule: None,
        score: None,
        techniques: Vec::new(),
        process: None,
        evidence: Vec::new(),
        count: 1,
        first_seen_ns: n,
        last_seen_ns: n,
    }
}

fn keep(batch: &mut Batch, finding: Finding) {
    let stored = StoredFinding::of(&finding).unwrap();
    batch.alerts.insert((finding.first_seen_ns, finding.uid.into()), stored);
}

fn batch(n: u64) -> Batch {
    let mut out = Batch::default();
    out.profiles.insert(format!("workload-{}", n % 7), Some(format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(500))));
    keep(&mut out, finding(n));
    out
}

fn filled() -> TempDir {
    let folder = tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap().store;
    for n in 0..20 {
        store.save(&batch(n)).unwrap();
    }
    folder
}

fn damaged_files(folder: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    all.filter(|p| p.to_string_lossy().contains(".damaged-")).collect()
}

#[test]
fn what_is_saved_is_there_again() {
    let folder = filled();
    let opened = Store::open(folder.path()).unwrap();
    assert!(opened.set_aside.is_none());
    assert_eq!(opened.contents.profiles.len(), 7);
    assert!(opened.contents.profiles["workload-5"].starts_with("{\"n\":19,"));
    assert_eq!(opened.contents.alerts, (0..20).map(finding).collect::<Vec<_>>());
}

#[test]
fn forgotten_profiles_are_gone_and_findings_that_go_on_are_not_doubled() {
    let folder = filled();
    let mut store = Store::open(folder.path()).unwrap().store;
    let mut batch = Batch::default();
    batch.profiles.insert("workload-5".into(), None);
    keep(&mut batch, Finding { count: 9, last_seen_ns: 1000, ..finding(3) });
    store.save(&batch).unwrap();
    drop(store);
    let contents = Store::open(folder.path()).unwrap().contents;
    assert_eq!((contents.profiles.len(), contents.alerts.len()), (6, 20));
    assert_eq!(contents.alerts[3].count, 9);
}

#[test]
fn an_annotation_lies_beside_its_incident_and_goes_with_it() {
    let folder = tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap().store;
    let incident = |n: u64| Arc::new(Incident::begun(format!("i{n}"), Origin::Child, n));
    let triage = Arc::new(Triage {
        verdict: Verdict::Unclear,
        reason: "\u{1b}[2J".into(),
        look_at: vec!["it".into()],
        model: "small".into(),
        prompt: "00".into(),
        shape: "11".into(),
        asked_ns: 5,
        cached: true,
    });
    let annotated = |n| AnnotatedIncident { incident: incident(n), triage: Some(Arc::clone(&triage)) };
    let key = |n: u64| (n, Arc::<str>::from(format!("i{n}")));
    let all = [annotated(1), annotated(2), annotated(3)];
    let incidents = (1..).zip(all.clone()).map(|(n, one)| (key(n), Some(one))).collect();
    store.save(&Batch { incidents, ..Batch::default() }).unwrap();
    drop(store);
    let opened = Store::open(folder.path()).unwrap();
    assert_eq!(opened.contents.incidents, all);

    // One goes on as another, and one goes; what cannot be read of a third is no damage.
    let mut store = opened.store;
    let incidents = BTreeMap::from([(key(1), Some(AnnotatedIncident::from(incident(1)))), (key(2), None)]);
    store.save(&Batch { incidents, ..Batch::default() }).unwrap();
    let database = store.database.as_ref().unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(TRIAGE).unwrap().insert((3, "i3"), "{\"verdict\":\"benign\"}").unwrap();
    assert_eq!(transaction.open_table(TRIAGE).unwrap().len().unwrap(), 1);
    transaction.commit().unwrap();
    drop(store);
    let opened = Store::open(folder.path()).unwrap();
    assert!(opened.set_aside.is_none());
    assert_eq!(opened.contents.incidents, [incident(1), incident(3)].map(AnnotatedIncident::from));
}

#[test]
fn by_what_an_incident_goes_on_is_of_one_boot_and_goes_with_it() {
    let folder = tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap().store;
    let trail = |uid: &str| -> Trail {
        let connections = serde_json::json!({ "programs": [], "files": [[7, "/tmp/x", 0]], "hops": [] });
        let shape = serde_json::json!({ "findings": [5], "is_cut": false });
        let trail = serde_json::json!({ "uid": uid, "shape": shape, "connections": connections });
        serde_json::from_value(trail).unwrap()
    };
    let key = |n: u64| (n, Arc::<str>::from(format!("i{n}")));
    let incident = |n: u64| Some(Arc::new(Incident::begun(format!("i{n}"), Origin::Child, n)).into());
    let incidents: BTreeMap<_, _> = (1..5).map(|n| (key(n), incident(n))).collect();
    let trails = (1..5).map(|n| (key(n), Arc::new(trail(&format!("i{n}"))))).collect();
    let mut batch = Batch { incidents, trails, ..Batch::default() };
    // The later batch counts, also where it has no trail any more.
    batch.merge(Batch { incidents: [(key(4), incident(4))].into(), ..Batch::default() });
    store.save(&batch).unwrap();
    store.save(&Batch { incidents: [(key(1), None)].into(), ..Batch::default() }).unwrap();
    let database = store.database.as_ref().unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(TRAILS).unwrap().insert((3, "i3"), (&*store.boot, "rubbish")).unwrap();
    transaction.commit().unwrap();
    drop(store);
    let opened = Store::open(folder.path()).unwrap();
    assert!(opened.set_aside.is_none());
    assert_eq!(opened.contents.trails, BTreeMap::from([("i2".to_owned(), trail("i2"))]));
    let mut store = opened.store;
    store.boot = "another".into();
    let of = |n| Batch {
        incidents: [(key(n), incident(n))].into(),
        trails: [(key(n), trail("i2").into())].into(),
        ..Batch::default()
    };
    store.save(&of(2)).unwrap();
    drop(store);
    let trails = Store::open(folder.path()).unwrap().contents.trails;
    assert_eq!(trails, BTreeMap::from([("i2".to_owned(), trail("i2").ended())]));
}

#[test]
fn the_oldest_alerts_make_room() {
    let folder = tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap().store;
    let mut all = Batch::default();
    for n in 0..Store::MAX_ALERTS as u64 + 5 {
        keep(&mut all, finding(n));
    }
    assert_eq!(store.save(&all).unwrap(), 5);
    drop(store);
    let alerts = Store::open(folder.path()).unwrap().contents.alerts;
    assert_eq!((alerts.len(), alerts[0].first_seen_ns), (Store::MAX_ALERTS, 5));
}

#[test]
fn what_receivers_have_open_is_kept_and_the_later_word_counts() {
    let folder = tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap().store;
    let delivered =
        |sink: &str, open: &str| Batch { delivered: [(sink.to_owned(), open.to_owned())].into(), ..Batch::default() };
    store.save(&delivered("webhook.siem", "{\"a\":\"High\"}")).unwrap();
    let mut later = delivered("webhook.siem", "{}");
    later.merge(delivered("stdout", "{\"b\":\"Low\"}"));
    assert!(!later.is_empty());
    store.save(&later).unwrap();
    drop(store);
    let kept = Store::open(folder.path()).unwrap().contents.delivered;
    let expected = [("stdout", "{\"b\":\"Low\"}"), ("webhook.siem", "{}")];
    assert_eq!(kept, expected.map(|(sink, open)| (sink.to_owned(), open.to_owned())).into());
}

#[test]
fn evidence_is_kept_as_text() {
    let folder = tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap().store;
    let alert = Finding { evidence: vec![serde_json::json!({ "event": "exec" })], ..finding(1) };
    let mut all = Batch::default();
    keep(&mut all, alert.clone());
    store.save(&all).unwrap();
    drop(store);
    let contents = Store::open(folder.path()).unwrap().contents;
    assert_eq!(contents.alerts, [finding(1)]);
    assert_eq!(contents.kept.iter().filter_map(StoredFinding::read).collect::<Vec<_>>(), [alert]);
}

#[test]
fn what_there_is_no_room_for_goes() {
    let folder = tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap().store;
    (0..3).for_each(|n| _ = store.save(&batch(n)).unwrap());
    let gone = |n: u64| Batch { gone: [(n, format!("f{n}").into())].into(), ..Batch::default() };
    // Whatever is merged, the later word counts.
    let mut later = gone(0);
    later.merge(gone(1));
    later.merge(batch(1));
    store.save(&later).unwrap();
    drop(store);
    let alerts = Store::open(folder.path()).unwrap().contents.alerts;
    assert_eq!(alerts.iter().map(|alert| alert.uid.as_str()).collect::<Vec<_>>(), ["f1", "f2"]);
}

#[test]
fn what_cannot_be_saved_keeps_the_gravest_and_first_in_bounded_bytes() {
    let mut batch = Batch::default();
    for n in 0..1000 {
        let severity = if n == 999 { Severity::Critical } else { Severity::Medium };
        keep(&mut batch, Finding { severity, ..finding(n) });
    }
    batch.profiles.insert("w".into(), Some("{}".into()));
    let size = |batch: &Batch| batch.alerts.values().map(StoredFinding::bytes).sum::<usize>();
    let mut small = batch.clone();
    assert_eq!((small.bound(1 << 20), small.alerts.len(), small.profiles.len()), (0, 1000, 1));
    let lost = batch.bound(10_000);
    assert_eq!(lost + batch.alerts.len(), 1000);
    assert!(size(&batch) <= 10_000 && size(&batch) > 9000);
    let mut kept: Vec<u64> = batch.alerts.keys().map(|(first_seen_ns, _)| *first_seen_ns).collect();
    kept.sort_unstable();
    let first = kept.len() as u64 - 1;
    assert_eq!(kept, (0..first).chain([999]).collect::<Vec<_>>());
}

#[test]
fn only_the_owner_can_read_it() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a/b");
    let _store = Store::open(&path).unwrap();
    let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&path.join("ethogram.redb")), 0o600);
}

#[test]
fn a_second_opening_is_refused_and_harmless() {
    let folder = filled();
    let first = Store::open(folder.path()).unwrap();
    let error = Store::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("in use") && error.contains(&folder.path().display().to_string()), "{error}");
    drop(first);
    assert_eq!(Store::open(folder.path()).unwrap().contents.alerts.len(), 20);
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    for path in ["/proc/ethogram", "/dev/null/x"] {
        let error = Store::open(Path::new(path)).err().unwrap().to_string();
        assert!(error.starts_with(&format!("cannot write the store {path}: ")), "{error}");
    }
}

#[test]
fn damage_anywhere_never_panics_and_never_loses_the_damaged_file() {
    let folder = filled();
    let sound = fs::read(folder.path().join("ethogram.redb")).unwrap();
    // Enough of a random generator to choose places.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut set_aside = 0;
    for round in 0..120 {
        let mut bytes = sound.clone();
        match round % 4 {
            0 => bytes.truncate(1 + random(sound.len() - 1)),
            1 => (0..1 + random(8)).for_each(|_| bytes[random(sound.len())] ^= 1 + random(255) as u8),
            // The header, where damage hurts most.
            2 => bytes[random(400)] ^= 1 + random(255) as u8,
            _ => {
                let from = random(sound.len());
                let to = (from + 1 + random(8192)).min(sound.len());
                bytes[from..to].iter_mut().for_each(|b| *b = random(256) as u8);
            }
        }
        let folder = tempdir().unwrap();
        fs::write(folder.path().join("ethogram.redb"), &bytes).unwrap();
        let mut opened = Store::open(folder.path()).unwrap();
        let aside = damaged_files(folder.path());
        assert_eq!(aside.len(), usize::from(opened.set_aside.is_some()), "round {round}");
        if let Some((path, why)) = &opened.set_aside {
            set_aside += 1;
            assert_eq!(fs::read(path).unwrap(), bytes, "round {round}: it was changed");
            assert!(!why.is_empty() && !why.contains('\n'), "{why}");
            assert!(opened.contents == Contents::default());
        }
        opened.store.save(&batch(1)).unwrap();
        drop(opened);
        assert!(Store::open(folder.path()).unwrap().contents.alerts.contains(&finding(1)), "round {round}");
    }
    assert!(set_aside > 20, "only {set_aside} damages were noticed");
}

#[test]
fn other_files_and_later_versions_are_set_aside_each_under_its_own_name() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("ethogram.redb");
    for n in 1..=3 {
        fs::write(&path, vec![b'#'; 9000]).unwrap();
        assert!(Store::open(folder.path()).unwrap().set_aside.is_some());
        assert_eq!(damaged_files(folder.path()).len(), n);
    }
    let opened = Store::open(folder.path()).unwrap();
    let transaction = opened.store.database.as_ref().unwrap().begin_write().unwrap();
    transaction.open_table(META).unwrap().insert(VERSION.0, 2).unwrap();
    transaction.commit().unwrap();
    drop(opened);
    let (_, why) = Store::open(folder.path()).unwrap().set_aside.unwrap();
    assert_eq!(why, "its version is 2, and this agent writes 1");
}

#[test]
fn the_writer_saves_all_it_was_given_before_it_ends() {
    let folder = tempdir().unwrap();
    let writer = Writer::start(Store::open(folder.path()).unwrap().store).unwrap();
    let mut kept = Batch::default();
    for n in 0..50 {
        kept.merge(batch(n));
        if let Err(back) = writer.submit(std::mem::take(&mut kept)) {
            kept = *back;
        }
    }
    while let Err(back) = writer.submit(std::mem::take(&mut kept)) {
        kept = *back;
        std::thread::yield_now();
    }
    drop(writer);
    assert_eq!(Store::open(folder.path()).unwrap().contents.alerts.len(), 50);
}

/// Not a test of its own: the process that the next test kills.
#[test]
fn saves_until_it_is_killed() {
    let Some(folder) = std::env::var_os("ETHOGRAM_TEST_STORE") else { return };
    let mut store = Store::open(Path::new(&folder)).unwrap().store;
    for n in 0.. {
        store.save(&batch(n)).unwrap();
        println!("saved {n}");
        std::io::stdout().flush().unwrap();
    }
}

#[test]
fn a_kill_in_the_middle_loses_nothing_that_was_saved() {
    let folder = tempdir().unwrap();
    for lines in [1_u64, 4, 9, 23] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["store::tests::saves_until_it_is_killed", "--exact", "--nocapture"])
            .env("ETHOGRAM_TEST_STORE", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let saved = |line: String| line.split("saved ").nth(1).and_then(|n| n.parse::<u64>().ok());
        let last = output.filter_map(saved).take(lines as usize).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let opened = Store::open(folder.path()).unwrap();
        assert!(opened.set_aside.is_none());
        assert!((0..=last).all(|n| opened.contents.alerts.contains(&finding(n))), "lost one up to {last}");
    }
}
