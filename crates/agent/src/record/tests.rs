use std::{collections::BTreeMap, fs, sync::Arc};

use ethogram_detect::{Decision, Model, Settings};
use ethogram_model::{Event, EventSchema, Image, TrackerSchema, Users, ocsf};
use proptest::prelude::*;

use super::{
    Before,
    entry::{self, Conditions, Note},
    frame::Framer,
    play::Player,
    read::{Item, OpenError, Recorded},
    write::Recorder,
};
use crate::{
    container::{
        hierarchy::Walk,
        resolver::Resolution,
        runtime::{Runtime, RuntimeContainer},
        table::Lookup,
    },
    pipeline::{Consumer, Engine, Identity, Input, Selection},
};

const SECOND: u64 = 1_000_000_000;
const BEGIN: u64 = 1_700_000_000 * SECOND;
const CGROUP: u64 = 4711;
const PERIOD: u64 = 10 * SECOND;

fn trackers() -> Vec<Arc<TrackerSchema>> {
    ethogram_probe::builtin().unwrap().into_iter().map(|t| t.schema).collect()
}

fn schema(trackers: &[Arc<TrackerSchema>], tracker: &str, event: &str) -> Arc<EventSchema> {
    let tracker = trackers.iter().find(|t| *t.name == *tracker).unwrap();
    Arc::clone(tracker.events.iter().find(|e| *e.name == *event).unwrap())
}

/// A file opened for writing by the container's process.
fn write(schema: &Arc<EventSchema>, at: u64, path: &[&str]) -> Event {
    let mut record = vec![0; schema.size];
    let mut tail = Vec::new();
    path.iter().rev().chain(&["/"]).for_each(|part| tail.extend([part.as_bytes(), &[0]].concat()));
    let reference = [(schema.size as u16).to_le_bytes(), (tail.len() as u16).to_le_bytes()].concat();
    let mut set = |name: &str, bytes: &[u8]| {
        let field = schema.field(name).unwrap();
        let n = bytes.len().min(field.size);
        record[field.offset..field.offset + n].copy_from_slice(&bytes[..n]);
    };
    set("_cgroup", &CGROUP.to_le_bytes());
    set("_process_start", &SECOND.to_le_bytes());
    set("process.pid", &100u32.to_le_bytes());
    set("file.open.write", &[1]);
    set("file.path", &reference);
    record.extend(tail);
    Event { schema: Arc::clone(schema), time_ns: BEGIN + at, record: record.into(), context: Default::default() }
}

/// What an engine takes: a container comes, is told of, is learnt, and then does something new.
fn inputs(trackers: &[Arc<TrackerSchema>]) -> Vec<Input> {
    let open = schema(trackers, "open", "open");
    let id = "ab".repeat(32);
    let cgroups = vec![(1, "/".to_owned()), (CGROUP, format!("/docker/{id}"))];
    let told = RuntimeContainer {
        runtime: Runtime::Docker,
        namespace: None,
        id,
        name: "web".into(),
        image: Some(Image { name: "web:1".into(), digest: "sha256:aabb".into() }),
        command: vec!["httpd".into()],
        labels: BTreeMap::new(),
        pod: None,
        sandbox: false,
        privileged: None,
        mounts: Vec::new(),
        started_ns: None,
        users: None,
        pid: None,
    };
    let mut inputs =
        vec![
            Input::Walk { walk: Walk { cgroups, cut: false }, started_ns: BEGIN, now_ns: BEGIN + 1 },
            Input::Processes(vec![serde_json::from_value(serde_json::json!({
            "process": { "pid": 100, "start_ns": SECOND, "parent_pid": 1, "user_id": 0, "exec": {
                "pid": 0, "path": "", "name": "", "args": [], "container_cgroup": 0 }, "ancestors": [] },
            "exec": { "pid": 100, "path": "/bin/httpd", "name": "httpd", "args": ["httpd"], "container_cgroup": 0 },
            "cgroup": CGROUP,
        }))
        .unwrap()]),
            // It waits for the name, which comes later.
            Input::Events(vec![write(&open, 10, &["var", "log", "access"])]),
            Input::Resolution(Resolution::Known(Box::new(told))),
        ];
    for second in 0..20 {
        let at = second * SECOND;
        inputs.push(Input::Events(vec![write(&open, at + 1, &["var", "log", "access"])]));
        inputs.push(Input::Tick(BEGIN + at + 2));
    }
    for (n, name) in ["passwd", "dropped", "dropped", "other"].iter().enumerate() {
        inputs.push(Input::Events(vec![write(&open, 21 * SECOND + n as u64, &["srv", name])]));
    }
    inputs.push(Input::End(BEGIN + 22 * SECOND));
    inputs
}

/// Learns, judges and keeps what it would print.
struct Judge {
    model: Model,
    lines: Vec<String>,
}

impl Judge {
    fn new() -> Self {
        let settings = Settings { learning_period_ns: PERIOD, ..Settings::default() };
        Self { model: Model::new(settings), lines: Vec::new() }
    }

    fn result(self) -> (Vec<String>, String) {
        let uids: Vec<_> = self.model.profiles().into_iter().map(|p| p.uid).collect();
        let profiles: Vec<_> = uids.iter().map(|uid| self.model.profile(uid).unwrap().clone()).collect();
        (self.lines, serde_json::to_string(&profiles).unwrap())
    }
}

impl Consumer for Judge {
    fn wants(&mut self, lookup: &Lookup) -> Option<bool> {
        Selection::default().wants(lookup)
    }
    fn take(&mut self, event: &Event) {
        self.lines.extend(self.model.judge(event).iter().map(|f| ocsf::from_finding(f).to_string()));
    }
    fn tick(&mut self, now_ns: u64) {
        self.model.advance(now_ns);
    }
}

/// A recording of these inputs, as the bytes of its file.
fn recorded(inputs: &[Input], trackers: &[Arc<TrackerSchema>]) -> Vec<u8> {
    recorded_after(&BTreeMap::new(), inputs, trackers)
}

/// As [`recorded`], where these profiles had been learnt before.
fn recorded_after(profiles: &BTreeMap<String, String>, inputs: &[Input], trackers: &[Arc<TrackerSchema>]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r");
    let conditions = Conditions { learning_period_ns: PERIOD, ..Conditions::default() };
    let mut recorder =
        Recorder::create(&path, conditions, trackers, &Before { profiles: Some(profiles), ..Before::default() })
            .unwrap();
    inputs.iter().for_each(|input| recorder.record(input));
    let totals = recorder.recording().finish(&[]);
    let bytes = fs::read(&path).unwrap();
    assert_eq!((totals.events_lost, totals.notes_lost, totals.bytes), (0, 0, bytes.len() as u64));
    bytes
}

/// All items up to the end or the damage, and what was damaged.
fn read(bytes: &[u8]) -> Result<(Vec<String>, Option<super::Damage>), OpenError> {
    let mut recorded = Recorded::open(bytes)?;
    let mut items = Vec::new();
    loop {
        match recorded.next() {
            // Events come in batches: where they are cut does not matter.
            Ok(Some(Item::Input(Input::Events(batch)))) => items.extend(batch.iter().map(|e| format!("{e:?}"))),
            Ok(Some(item)) => items.push(format!("{item:?}")),
            Ok(None) => return Ok((items, None)),
            Err(damage) => return Ok((items, Some(damage))),
        }
    }
}

#[test]
fn a_replay_gives_what_was_given_live() {
    let trackers = trackers();
    let inputs = inputs(&trackers);
    let bytes = recorded(&inputs, &trackers);

    let roles = trackers.iter().filter_map(|t| t.role.map(|role| (Arc::clone(&t.name), role)));
    let mut live = Engine::new(Identity::new(roles, tokio::sync::mpsc::channel(9).0), Judge::new(), None);
    for input in inputs {
        live.step(input);
        // Somebody looks at the profiles now and then: that changes nothing.
        live.consumer.model.profiles();
    }
    let live = live.consumer.result();
    assert_eq!(live.0.len(), 3, "{:#?}", live.0);
    assert!(live.0[0].contains("/srv/passwd") && live.0[0].contains("/bin/httpd"), "{}", live.0[0]);
    for _ in 0..2 {
        let player = Player::open(&*bytes).unwrap();
        assert_eq!(player.conditions.learning_period_ns, PERIOD);
        assert_eq!(player.trackers.len(), trackers.len(), "each tracker is told once, and none of its events again");
        let played = player.play(Judge::new(), |_| true);
        assert_eq!((played.damage, played.missing, played.events), (None, (0, 0), 25));
        assert_eq!(played.span_ns, (BEGIN + 1, BEGIN + 22 * SECOND));
        assert_eq!(played.consumer.result(), live);
    }
}

#[test]
fn what_was_decided_of_profiles_is_decided_again() {
    let trackers = trackers();
    let profile = ethogram_detect::Profile::from_file(
        "ethogram_profile = 1\n[workload]\nimage = 'web:1'\ndigest = 'sha256:aabb'\n[write]\na = ['/b']\n[objects]\nwrite = 'files'\n",
        7,
    );
    let profile = Box::new(profile.unwrap());
    let uid = profile.workload.uid.clone();
    let decisions =
        [Decision::ImportProfile(profile), Decision::ApproveProfile(uid.clone()), Decision::ResetProfile(uid)];
    let mut inputs: Vec<_> = decisions.iter().cloned().map(Input::Decision).collect();
    inputs.push(Input::End(BEGIN));
    let (items, damage) = read(&recorded(&inputs, &trackers)).unwrap();
    assert_eq!(damage, None);
    let told: Vec<_> = items.into_iter().filter(|item| item.starts_with("Profiles")).collect();
    assert_eq!(told, decisions.map(|decision| format!("Profiles({decision:?})")));
}

#[test]
fn a_replay_goes_on_from_what_had_been_learnt_before() {
    let trackers = trackers();
    let mut inputs = inputs(&trackers);
    let mut learnt = Player::open(&*recorded(&inputs, &trackers)).unwrap().play(Judge::new(), |_| true);
    let dirty = learnt.consumer.model.take_dirty().into_iter();
    let profiles = dirty.map(|(uid, profile)| (uid, serde_json::to_string(&profile).unwrap())).collect();
    // Only the container's coming, and one thing that it never did.
    inputs.drain(4..);
    let open = schema(&trackers, "open", "open");
    inputs.push(Input::Events(vec![write(&open, 5 * SECOND, &["etc", "cron.d", "x"])]));
    inputs.push(Input::End(BEGIN + 6 * SECOND));
    for (profiles, alerts) in [(profiles, 1), (BTreeMap::new(), 0)] {
        let bytes = recorded_after(&profiles, &inputs, &trackers);
        let player = Player::open(&*bytes).unwrap();
        let model = crate::server::model(
            player.conditions.settings(),
            player.profiles.iter().map(|(uid, json)| (&**uid, &**json)),
        );
        let played = player.play(Judge { model, lines: Vec::new() }, |_| true);
        assert_eq!(played.consumer.lines.len(), alerts, "{:#?}", played.consumer.lines);
    }
}

/// Keeps what the user of each event is called.
#[derive(Default)]
struct Names(Vec<Option<String>>);

impl Consumer for Names {
    fn wants(&mut self, _: &Lookup) -> Option<bool> {
        Some(true)
    }
    fn take(&mut self, event: &Event) {
        self.0.push(event.context.users.as_ref().and_then(|u| u.users.get(&0).cloned()));
    }
    fn tick(&mut self, _: u64) {}
}

#[test]
fn users_are_called_as_where_it_happened_and_so_again_in_a_replay() {
    let trackers = trackers();
    let users = |name: &str| Arc::new(Users { users: [(0, name.to_owned())].into(), ..Users::default() });
    let open = schema(&trackers, "open", "open");
    let on_host = |at| {
        let mut event = write(&open, at, &["srv", "x"]);
        let cgroup = open.field("_cgroup").unwrap();
        event.record[cgroup.offset..cgroup.offset + cgroup.size].copy_from_slice(&1u64.to_le_bytes());
        event
    };
    let mut inputs = inputs(&trackers);
    inputs.drain(4..);
    let Input::Resolution(Resolution::Known(told)) = &mut inputs[3] else { unreachable!() };
    let bare = told.clone();
    told.users = Some(users("alice"));
    inputs.push(Input::Events(vec![on_host(20)]));
    inputs.push(Input::Users(users("root")));
    inputs.push(Input::Events(vec![on_host(21), write(&open, 22, &["srv", "x"])]));
    // Told again without them, they stay; the host's may change.
    inputs.push(Input::Resolution(Resolution::Known(bare)));
    inputs.push(Input::Users(users("toor")));
    inputs.push(Input::Events(vec![write(&open, 23, &["srv", "x"]), on_host(24)]));
    inputs.push(Input::End(BEGIN + SECOND));
    let played = Player::open(&*recorded(&inputs, &trackers)).unwrap().play(Names::default(), |_| true);
    let names: Vec<_> = played.consumer.0.iter().map(Option::as_deref).collect();
    assert_eq!(names, [Some("alice"), None, Some("root"), Some("alice"), Some("alice"), Some("toor")]);
}

#[test]
fn what_an_older_agent_recorded_of_a_container_is_understood() {
    let note = r#"{"resolution":{"known":{"runtime":"docker","namespace":null,"id":"aa","name":"web","image":null,
        "command":[],"labels":{},"pod":null,"sandbox":false}}}"#;
    let Note::Resolution(Resolution::Known(told)) = serde_json::from_str(note).unwrap() else { panic!("another note") };
    assert_eq!((told.privileged, told.mounts.len(), told.started_ns, told.users), (None, 0, None, None));
    let note = r#"{"resolution":{"unknown":{"id":"aa","hint":"docker","candidate_in":null}}}"#;
    assert!(matches!(serde_json::from_str(note).unwrap(), Note::Resolution(Resolution::Unknown(_))));
}

#[test]
fn a_file_without_its_end_is_read_up_to_there() {
    let trackers = trackers();
    let bytes = recorded(&inputs(&trackers), &trackers);
    let (whole, damage) = read(&bytes).unwrap();
    assert_eq!(damage, None);
    let mut longest = 0;
    for length in (bytes.iter().position(|b| *b == b'\n').unwrap() + 1..bytes.len()).step_by(37) {
        let (items, damage) = read(&bytes[..length]).unwrap();
        let damage = damage.expect("a cut is told");
        assert!(damage.offset <= length as u64, "{damage}");
        assert_eq!(items, whole[..items.len()]);
        longest = longest.max(items.len());
    }
    assert!(longest > 20, "frames before the cut are given: {longest}");
    let more = [&bytes[..], b"more"].concat();
    assert_eq!(read(&more).unwrap().0, whole);
    assert!(read(&more).unwrap().1.is_some());
}

#[test]
fn what_is_no_recording_is_refused_by_a_helpful_line() {
    for bytes in [&b""[..], b"\0\0\0\0", b"{}\n", b"{\"time\":\"2026\"}\n", &[b'{'; 100_000]] {
        let error = read(bytes).unwrap_err().to_string();
        assert!(error.contains("ethogram record FILE"), "{error}");
    }
    let later =
        read(b"{\"format\":\"ethogram-recording\",\"version\":99,\"agent\":\"9.9\"}\n").unwrap_err().to_string();
    assert!(later.contains("made by ethogram 9.9"), "{later}");
}

#[test]
fn lengths_that_lie_cost_no_memory() {
    let trackers = trackers();
    let bytes = recorded(&inputs(&trackers), &trackers);
    let frame = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
    for (at, lie) in [(8, u32::MAX), (12, u32::MAX), (8, 8 << 20), (12, 8 << 20), (12, 1), (4, 7)] {
        let mut lying = bytes.clone();
        lying[frame + at..frame + at + 4].copy_from_slice(&lie.to_le_bytes());
        let (items, damage) = read(&lying).unwrap();
        assert_eq!((items.len(), damage.unwrap().offset), (0, frame as u64));
    }
}

#[test]
fn nobody_else_can_read_it_and_nothing_is_overwritten() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r");
    let create = || Recorder::create(&path, Conditions::default(), &[], &Before::default());
    drop(create().unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let error = create().err().unwrap().to_string();
    assert!(error.contains("is there already"), "{error}");
}

/// A frame whose checksum is right, whatever is in it.
fn framed(raw: &[u8]) -> Vec<u8> {
    let header = br#"{"format":"ethogram-recording","version":1,"agent":"","kernel":"","architecture":"","boot_id":"","begun":"","realtime_ns":0,"boottime_ns":0}"#;
    [&header[..], b"\n", Framer::new().unwrap().frame(raw).unwrap()].concat()
}

/// The entries of a small recording, uncompressed.
fn entries() -> Vec<u8> {
    let trackers = trackers();
    let open = schema(&trackers, "open", "open");
    let mut raw = Vec::new();
    let notes = [
        Note::Conditions(Conditions::default()),
        Note::Tracker(std::borrow::Cow::Owned(TrackerSchema {
            events: vec![Arc::clone(&open)],
            ..(*trackers[0]).clone()
        })),
        Note::Cgroups(vec![(CGROUP, format!("/docker/{}", "ab".repeat(32)))]),
        Note::Walk { cut: false, started_ns: 1, now_ns: 2 },
    ];
    notes.iter().for_each(|note| assert!(entry::put_note(&mut raw, note)));
    (0..4).for_each(|n| assert!(entry::put_event(&mut raw, 0, &write(&open, n, &["etc", "shadow"]))));
    assert!(entry::put_note(&mut raw, &Note::Tick(BEGIN + 9 * SECOND)));
    raw
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_flipped_byte_goes_unnoticed(at in any::<prop::sample::Index>(), flip in 1u8.., length in any::<prop::sample::Index>()) {
        thread_local!(static BYTES: Vec<u8> = { let t = trackers(); recorded(&inputs(&t), &t) });
        let bytes = BYTES.with(Clone::clone);
        let (whole, _) = read(&bytes).unwrap();
        let header = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
        let mut flipped = bytes.clone();
        let at = at.index(bytes.len());
        flipped[at] ^= flip;
        if at >= header {
            let (items, damage) = read(&flipped).unwrap();
            prop_assert_eq!(&items[..], &whole[..items.len()]);
            // Some bits of zstd's own head decide nothing that is read.
            prop_assert!(damage.is_some() || items == whole);
        } else if let Ok((items, _)) = read(&flipped) {
            prop_assert_eq!(&items[..], &whole[..items.len()]);
        }
        flipped.truncate(length.index(bytes.len()));
        let _ = read(&flipped);
    }

    #[test]
    fn no_content_makes_it_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        thread_local!(static RAW: Vec<u8> = entries());
        let mut raw = RAW.with(Clone::clone);
        for (at, byte) in changes {
            let at = at.index(raw.len());
            raw[at] = byte;
        }
        let bytes = framed(&raw);
        let player = Player::open(&*bytes).unwrap();
        let played = player.play(Judge::new(), |_| true);
        prop_assert!(played.damage.is_some(), "it has no end");
    }
}
