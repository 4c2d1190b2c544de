use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use ethogram_detect::{Decision, Detector, Model, Profile, Settings};
use ethogram_model::{Event, EventSchema, Image, TrackerSchema, Users, ocsf};
use proptest::prelude::*;

use super::{
    Account, Before, Chunk, Conditions, Damage, Encoder, Header, Item, Mark, OpenError, Player, Recorded,
    entry::{self, Entry},
    frame::Framer,
};
use crate::{
    ContainerFilter, Effects, Engine, EventFilter, Forwarded, Input, Judged,
    collection::Collection,
    containers::runtime::{Resolution, Runtime, RuntimeContainer},
    identity::Identity,
    judged::Judges,
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

/// What an engine takes: a container comes, gets its name, is learnt, and then does something new.
fn inputs(trackers: &[Arc<TrackerSchema>]) -> Vec<Input> {
    let open = schema(trackers, "open", "open");
    let id = "ab".repeat(32);
    let cgroups = vec![(1, "/".to_owned()), (CGROUP, format!("/docker/{id}"))];
    let info = RuntimeContainer {
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
        cgroup: None,
        pid: None,
    };
    let mut inputs =
        vec![
            Input::Cgroups(cgroups),
            Input::Walk { cut: false, started_ns: BEGIN, now_ns: BEGIN + 1 },
            Input::Processes(vec![serde_json::from_value(serde_json::json!({
            "process": { "pid": 100, "start_ns": SECOND, "parent_pid": 1, "user_id": 0, "exec": {
                "pid": 0, "path": "", "name": "", "args": [], "container_cgroup": 0 }, "ancestors": [] },
            "exec": { "pid": 100, "path": "/bin/httpd", "name": "httpd", "args": ["httpd"], "container_cgroup": 0 },
            "cgroup": CGROUP,
        }))
        .unwrap()]),
            // It waits for the name, which comes later.
            Input::Events(vec![write(&open, 10, &["var", "log", "access"])]),
            Input::Resolution(Resolution::Known(Box::new(info))),
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

/// The consumer that judges, in a short learning period.
fn judged() -> Judged {
    let settings = Settings { learning_period_ns: PERIOD, ..Settings::default() };
    judged_by(Model::new(settings))
}

fn judged_by(model: Model) -> Judged {
    Judged::new(ContainerFilter::default(), Detector { model, ..Detector::default() }, Judges::All)
}

/// The lines that findings are printed as.
fn lines(effects: &Effects) -> impl Iterator<Item = String> {
    effects.reports.iter().map(|report| ocsf::from_report(report).to_string())
}

/// All profiles as JSON.
fn profiles(judged: &Judged) -> String {
    let model = &judged.detector.model;
    let uids: Vec<_> = model.profiles().into_iter().map(|p| p.uid).collect();
    serde_json::to_string(&uids.iter().map(|uid| model.profile(uid).unwrap()).collect::<Vec<_>>()).unwrap()
}

/// What a replay prints, and its profiles.
fn replayed(player: Player<&[u8]>, judged: Judged) -> (Vec<String>, super::Played<Judged>) {
    let mut printed = Vec::new();
    let played = player.play(judged, |effects| {
        printed.extend(lines(&effects));
        true
    });
    (printed, played)
}

/// A recording of these inputs, as the bytes of its file.
fn recorded(inputs: &[Input], trackers: &[Arc<TrackerSchema>]) -> Vec<u8> {
    recorded_after(&BTreeMap::new(), inputs, trackers)
}

/// As [`recorded`], where these profiles had been learnt before.
fn recorded_after(profiles: &BTreeMap<String, String>, inputs: &[Input], trackers: &[Arc<TrackerSchema>]) -> Vec<u8> {
    let header = Header { format: Header::FORMAT.into(), version: Header::VERSION, ..Header::default() };
    let mut file = [&serde_json::to_vec(&header).unwrap()[..], b"\n"].concat();
    let (mut framer, mut encoder) = (Framer::new().unwrap(), Encoder::default());
    let mut write = |chunk: Chunk| file.extend_from_slice(framer.frame(&chunk.bytes).unwrap());
    let conditions = Conditions { learning_period_ns: PERIOD, ..Conditions::default() };
    let before = Before { profiles: Some(profiles), ..Before::default() };
    assert!(encoder.begin(conditions, trackers, &before, &mut write).is_empty());
    for input in inputs {
        encoder.encode(input, &mut |chunk| {
            write(chunk);
            Ok(())
        });
    }
    assert_eq!(encoder.take_refused(), (0, 0));
    let mut last = encoder.take();
    last.mark(&Mark::Account(vec![Account::default()]));
    last.mark(&Mark::Closed);
    write(last);
    file
}

/// All items up to the end or the damage, and what was damaged.
fn read(bytes: &[u8]) -> Result<(Vec<String>, Option<Damage>), OpenError> {
    let mut recorded = Recorded::open(bytes)?;
    let mut items = Vec::new();
    loop {
        match recorded.next_item() {
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
    let mut engine = Engine::new(Identity::new(roles), judged(), Some(Collection::default()));
    let mut live = Vec::new();
    for input in inputs {
        live.extend(lines(&engine.step(input)));
        // The profiles are read now and then: that changes nothing.
        engine.consumer.detector.model.profiles();
    }
    let learnt = profiles(&engine.consumer);
    assert_eq!(live.len(), 3, "{live:#?}");
    assert!(live[0].contains("/srv/passwd") && live[0].contains("/bin/httpd"), "{}", live[0]);
    for _ in 0..2 {
        let player = Player::open(&*bytes).unwrap();
        assert_eq!(player.conditions.learning_period_ns, PERIOD);
        assert_eq!(
            player.trackers.len(),
            trackers.len(),
            "each tracker is declared once, and none of its events again"
        );
        let (printed, played) = replayed(player, judged());
        assert_eq!((played.damage, played.missing, played.events), (None, (0, 0), 25));
        assert_eq!(played.span_ns, (BEGIN + 1, BEGIN + 22 * SECOND));
        assert_eq!((printed, profiles(&played.consumer)), (live.clone(), learnt.clone()));
    }
}

#[test]
fn what_was_decided_of_profiles_is_decided_again() {
    let trackers = trackers();
    let profile = Profile::from_file(
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
    let decided: Vec<_> = items.into_iter().filter(|item| item.starts_with("Input(Decision")).collect();
    assert_eq!(decided, decisions.map(|decision| format!("Input(Decision({decision:?}))")));
}

#[test]
fn a_replay_goes_on_from_what_had_been_learnt_before() {
    let trackers = trackers();
    let mut inputs = inputs(&trackers);
    let bytes = recorded(&inputs, &trackers);
    let (_, learnt) = replayed(Player::open(&*bytes).unwrap(), judged());
    let model = &learnt.consumer.detector.model;
    let json = |uid: &str| serde_json::to_string(model.profile(uid).unwrap()).unwrap();
    let profiles = model.profiles().into_iter().map(|p| (p.uid.clone(), json(&p.uid))).collect();
    // Only the container's coming, and one thing that it never did.
    inputs.drain(5..);
    let open = schema(&trackers, "open", "open");
    inputs.push(Input::Events(vec![write(&open, 5 * SECOND, &["etc", "cron.d", "x"])]));
    inputs.push(Input::End(BEGIN + 6 * SECOND));
    for (profiles, alerts) in [(profiles, 1), (BTreeMap::new(), 0)] {
        let bytes = recorded_after(&profiles, &inputs, &trackers);
        let player = Player::open(&*bytes).unwrap();
        let mut model = Model::new(player.conditions.settings());
        for (_, json) in &player.profiles {
            model.restore(serde_json::from_str(json).unwrap()).unwrap();
        }
        let (printed, _) = replayed(player, judged_by(model));
        assert_eq!(printed.len(), alerts, "{printed:#?}");
    }
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
    inputs.drain(5..);
    let Input::Resolution(Resolution::Known(info)) = &mut inputs[4] else { unreachable!() };
    let bare = info.clone();
    info.users = Some(users("alice"));
    inputs.push(Input::Events(vec![on_host(20)]));
    inputs.push(Input::Users(users("root")));
    inputs.push(Input::Events(vec![on_host(21), write(&open, 22, &["srv", "x"])]));
    // Resolved again without them, they stay; the host's may change.
    inputs.push(Input::Resolution(Resolution::Known(bare)));
    inputs.push(Input::Users(users("toor")));
    inputs.push(Input::Events(vec![write(&open, 23, &["srv", "x"]), on_host(24)]));
    inputs.push(Input::End(BEGIN + SECOND));
    let bytes = recorded(&inputs, &trackers);
    let container_filter = ContainerFilter::new(true, Vec::new());
    let mut names = Vec::new();
    let all = Forwarded { container_filter, filter: Some(EventFilter::default()), rules: None };
    Player::open(&*bytes).unwrap().play(all, |effects| {
        let name = |event: &Event| event.context.users.as_ref().and_then(|users| users.users.get(&0).cloned());
        names.extend(effects.events.iter().map(name));
        true
    });
    let names: Vec<_> = names.iter().map(Option::as_deref).collect();
    assert_eq!(names, [Some("alice"), None, Some("root"), Some("alice"), Some("alice"), Some("toor")]);
}

/// What an entry of kind `n` is, in a recording of version 2.
fn version_2(json: &str) -> Entry<'static> {
    let bytes = [b"n", &(json.len() as u32).to_le_bytes()[..], json.as_bytes()].concat();
    entry::take(&mut &*bytes.leak(), 2).unwrap()
}

#[test]
fn what_version_2_wrote_is_understood() {
    let walk = r#"{"walk":{"cut":false,"started_ns":1,"now_ns":2}}"#;
    assert!(matches!(version_2(walk), Entry::Input(Input::Walk { cut: false, started_ns: 1, now_ns: 2 })));
    assert!(matches!(version_2(r#""lost""#), Entry::Input(Input::Lost)));
    assert!(matches!(version_2(r#""closed""#), Entry::Mark(Mark::Closed)));
    assert!(matches!(version_2(r#"{"stories":[["ab",2]]}"#), Entry::Mark(Mark::Groups(groups)) if groups[0].1 == 2));
    assert!(matches!(version_2(r#"{"users":{"users":{"0":"root"},"groups":{}}}"#), Entry::Input(Input::Users(_))));
    let revoked = r#"{"revoke":"ab"}"#;
    assert!(matches!(version_2(revoked), Entry::Input(Input::Decision(Decision::Revoke(id))) if id == "ab"));
    let reset = r#"{"reset_profile":"ab"}"#;
    assert!(matches!(version_2(reset), Entry::Input(Input::Decision(Decision::ResetProfile(id))) if id == "ab"));
    let unknown = br#"n\x0b\0\0\0{"x":"none"}"#.to_vec();
    assert!(entry::take(&mut &*unknown, 2).is_err());
}

#[test]
fn a_list_of_any_length_is_recorded_in_entries_that_fit() {
    let path = "/x".repeat(2000);
    let cgroups: Vec<_> = (0..20_000).map(|id| (id, path.clone())).collect();
    let inputs: Vec<_> = Input::rows(cgroups, Input::Cgroups).collect();
    let (items, damage) = read(&recorded(&inputs, &trackers())).unwrap();
    assert_eq!(damage, None);
    assert_eq!(items.iter().filter(|item| item.starts_with("Input(Cgroups")).count(), inputs.len());
}

#[test]
fn what_an_older_agent_recorded_of_a_container_is_understood() {
    let note = r#"{"resolution":{"known":{"runtime":"docker","namespace":null,"id":"aa","name":"web","image":null,
        "command":[],"labels":{},"pod":null,"sandbox":false}}}"#;
    let Input::Resolution(Resolution::Known(info)) = serde_json::from_str(note).unwrap() else {
        panic!("another input")
    };
    assert_eq!((info.privileged, info.mounts.len(), info.started_ns, info.users), (None, 0, None, None));
    let note = r#"{"resolution":{"unknown":{"id":"aa","hint":"docker","candidate_in":null}}}"#;
    assert!(matches!(serde_json::from_str(note).unwrap(), Input::Resolution(Resolution::Unknown(_))));
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
        let damage = damage.expect("a cut is reported");
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

/// A frame whose checksum is right, whatever is in it.
fn framed(raw: &[u8]) -> Vec<u8> {
    let header = br#"{"format":"ethogram-recording","version":3,"agent":"","kernel":"","architecture":"","boot_id":"","begun":"","realtime_ns":0,"boottime_ns":0}"#;
    [&header[..], b"\n", Framer::new().unwrap().frame(raw).unwrap()].concat()
}

#[test]
fn gaps_that_lie_are_added_up_to_the_most_there_can_be() {
    let mut raw = entries();
    for _ in 0..2 {
        assert!(entry::put_mark(&mut raw, &Mark::Gap { events: u64::MAX, notes: 1 }));
    }
    let (_, played) = replayed(Player::open(&*framed(&raw)).unwrap(), judged());
    assert_eq!(played.missing, (u64::MAX, 2));
}

/// The entries of a small recording, uncompressed.
fn entries() -> Vec<u8> {
    let trackers = trackers();
    let open = schema(&trackers, "open", "open");
    let mut raw = Vec::new();
    let tracker = TrackerSchema { events: vec![Arc::clone(&open)], ..(*trackers[0]).clone() };
    for mark in [Mark::Conditions(Conditions::default()), Mark::Tracker(Cow::Owned(tracker))] {
        assert!(entry::put_mark(&mut raw, &mark));
    }
    let cgroups = Input::Cgroups(vec![(CGROUP, format!("/docker/{}", "ab".repeat(32)))]);
    for input in [cgroups, Input::Walk { cut: false, started_ns: 1, now_ns: 2 }] {
        assert!(entry::put_input(&mut raw, &input));
    }
    (0..4).for_each(|n| assert!(entry::put_event(&mut raw, 0, &write(&open, n, &["etc", "shadow"]))));
    assert!(entry::put_input(&mut raw, &Input::Tick(BEGIN + 9 * SECOND)));
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
        let (_, played) = replayed(player, judged());
        prop_assert!(played.damage.is_some(), "it has no end");
    }
}
