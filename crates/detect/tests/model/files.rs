//! Profiles as files: written, read, refused, and taken up.

use ethogram_detect::{Decision, Detector, LearningState, Model, Profile, ProfileDiff, Settings};
use proptest::prelude::*;

use crate::{properties::any_event, support::*};

const LATER: u64 = 60 * SECOND;

fn profile(model: &mut Model, web: &Sandbox) -> Profile {
    let uid = model.profile_of(&web.container).unwrap();
    model.profile(&uid).unwrap().clone()
}

fn read(text: &str) -> Result<Profile, String> {
    Profile::from_file(text, START).map_err(|problems| problems.to_string())
}

#[test]
fn a_file_is_read_as_easily_as_this() {
    let (mut model, web) = learnt();
    judge(&mut model, [web.listen("httpd@/bin/busybox", 8081, LATER)]);
    let text = profile(&mut model, &web).to_file();
    let expected = r#"# What this workload does, by operation and executable; executions by who starts them.
# `ethogram profile import` has a server judge by it.
ethogram_profile = 1

[workload]
image = "web:1"
digest = "sha256:aabbccddeeff0011"
command = [
    "/bin/httpd",
    "-f",
]

[execute]
"(outside)" = [
    "/bin/busybox (httpd)",
    "/bin/busybox (wget)",
]
"/bin/busybox (httpd)" = [
    "/www/cgi-bin/count",
]

[connect]
"/bin/busybox (wget)" = [
    "127.0.0.1:80",
]
"/www/cgi-bin/count" = [
    "10.0.0.5:5432",
]

[listen]
"/bin/busybox (httpd)" = [
    "80",
]

[write]
"/www/cgi-bin/count" = [
    "/tmp/tmp.*",
    "/var/lib/count/total",
]

[objects]
execute = "programs"
connect = "peers"
listen = "ports"
write = "files"
"#;
    assert_eq!(text, expected);
    assert_eq!(read(&text).unwrap().to_file(), text);
}

#[test]
fn an_imported_profile_judges_as_the_learnt_one_and_learns_nothing() {
    let (mut learnt, web) = learnt();
    let text = profile(&mut learnt, &web).to_file();
    let mut model = model();
    model.import(read(&text).unwrap());
    assert_eq!(model.profiles()[0].state, LearningState::Stable);
    assert_eq!(judge(&mut model, web_server(&web, 0)), []);
    let new = |at| web.write("/www/cgi-bin/count", "/tmp/new", at);
    assert_eq!(judge(&mut model, [new(SECOND)]).len(), 1, "while others would still learn");
    assert_eq!(judge(&mut model, [new(LATER)]).len(), 0, "it goes on");
    assert_eq!(profile(&mut model, &web).to_file(), text);
    model.take_last();
    let before = profile(&mut model, &web);
    assert!(before.lifecycle.observations > 0 && before.alerts() == 1);

    // The same once more, as a server does that starts anew.
    model.import(Profile::from_file(&text, START + LATER).unwrap());
    assert_eq!(profile(&mut model, &web), before);
    // What it allows by now is an alert no more.
    let more = text.replace("\"/tmp/tmp.*\",", "\"/tmp/tmp.*\",\n    \"/tmp/new\",");
    model.import(read(&more).unwrap());
    assert_eq!(profile(&mut model, &web).alerts(), 0);
    assert_eq!(judge(&mut model, [new(2 * LATER)]), []);
}

#[test]
fn what_people_decide_is_an_input_like_events() {
    let (mut learnt, web) = learnt();
    let reviewed = read(&profile(&mut learnt, &web).to_file()).unwrap();
    let uid = learnt.profile_of(&web.container).unwrap();
    let mut detector = Detector { model: learnt, ..Detector::default() };
    detector.decide(Decision::ApproveProfile(uid.clone()));
    assert!(profile(&mut detector.model, &web).lifecycle.approved_ns.is_some());
    detector.decide(Decision::ResetProfile(uid.clone()));
    assert_eq!(detector.model.profile_of(&web.container), None);
    detector.decide(Decision::ImportProfile(Box::new(reviewed)));
    detector.decide(Decision::ApproveProfile("nobody".into()));
    assert_eq!(detector.model.profile_of(&web.container), Some(uid));
}

#[test]
fn what_is_too_various_is_said_in_words() {
    let (mut model, web) = (Model::new(Settings { max_entries: 10, ..settings() }), web());
    judge(&mut model, (0..100).map(|i| web.execute("/bin/sh", &format!("/opt/tool{i}"), 0)));
    judge(&mut model, (0..100).map(|i| web.write("/bin/sh", &format!("/srv/d{i}/f"), 0)));
    let text = profile(&mut model, &web).to_file();
    for line in [
        "[unjudged]\n",
        "execute = \"all of it is too various: judged by a sketch of what was seen\"\n",
        "write = \"ordinary files are too various: not judged\"\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert_eq!(read(&text).unwrap().to_file(), text);
}

#[test]
fn wrong_files_are_refused_with_line_and_what_to_do() {
    let (mut learnt, web) = learnt();
    let good = profile(&mut learnt, &web).to_file();
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    };
    for (text, wanted) in [
        (String::new(), &["it is empty: `ethogram profile export ID`"][..]),
        ("\0\u{1}".into(), &["line 1: it is damaged"]),
        (good[..good.len() / 2].into(), &["line", "it is damaged"]),
        ("a = 1\n".into(), &["it is no profile, ethogram_profile = 1 is missing"]),
        (
            with("= 1", "= 2"),
            &["line 3: it is of version 2, this program reads up to version 1: take a newer ethogram"],
        ),
        (with("= 1", "= 'x'"), &["line 3: ethogram_profile must be 1"]),
        (
            with("digest", "digets"),
            &["line 7: unknown key `workload.digets`, did you mean digest?", "workload.digest is missing"],
        ),
        (with("[workload]", "[wokload]"), &["the table [workload] is missing"]),
        (with("[listen]", "[lisetn]"), &["unknown table [lisetn], did you mean [listen]?"]),
        (with("[listen]", "[zzz]"), &["[zzz] needs a line in [objects]", "\"programs\", \"files\""]),
        (with("\"80\"", "80"), &["line 32: what is done something to must be a text"]),
        (with("\"80\"", "\"http\""), &["line 32: `http` is no port"]),
        (with("10.0.0.5:5432", "10.0.0.5"), &["`10.0.0.5` is no peer: it must be ADDRESS:PORT"]),
        (with("\"peers\"", "\"pears\""), &["objects.connect must be \"programs\" or \"files\""]),
        (with("\"/tmp/tmp.*\"", "\"/srv/*/a\", \"/srv/b/c\""), &["`/srv/b/c` lies where another pattern has a `*`"]),
        (with("\"/tmp/tmp.*\"", "{ exactely = \"/srv\" }"), &["{ exactly = \"PATH\" }"]),
        (with("\"web:1\"", "\"\""), &["line 6: workload.image must be a text"]),
        (format!("{}\n[execute]\n", good), &["duplicate"]),
        (good[..good.find("[execute]").unwrap()].into(), &["would make everything an alert"]),
        (
            with("\"80\"", &(0..9_000).map(|i| format!("\"{i}\"")).collect::<Vec<_>>().join(",")),
            &["more than 8192 patterns"],
        ),
        (with("\"80\"", &format!("\"{}\"", "x".repeat(9 << 20))), &["longer than 8 MiB"]),
        ("[".repeat(100_000), &["damaged"]),
        (format!("ethogram_profile = 1\nx = {}", "[".repeat(100_000)), &["damaged"]),
    ] {
        let reported = read(&text).map(|p| p.to_file()).unwrap_err();
        assert!(!reported.contains(['\n', '\u{1b}']) && reported.len() < 4_000, "{reported}");
        for part in wanted {
            assert!(reported.contains(part), "{reported}\nwanted {part}");
        }
    }
}

#[test]
fn hostile_names_hide_nothing_in_a_review() {
    let (mut model, web) = (model(), web());
    let odd = "/srv/\u{202e}\"\\\u{1b}[2J\u{1}é/x";
    judge(&mut model, [web.write("/bin/\u{1b}]0;\"]\n[execute]", odd, 0), web.write("/bin/a", "/etc/\u{200b}x", 0)]);
    let text = profile(&mut model, &web).to_file();
    assert!(!text.contains(['\u{202e}', '\u{1b}', '\u{1}', '\u{200b}']), "{text:?}");
    let back = read(&text).unwrap();
    assert_eq!(back.to_file(), text);
    assert!(back.channels.behaviour.operations["write"].executables.keys().any(|name| name.contains("\"]\n[execute]")));
    let diff = ProfileDiff::of(&back, &Profile::new(back.workload.clone(), 0)).render();
    assert!(!diff.contains(['\u{202e}', '\u{1b}', '\u{1}']), "{diff:?}");
}

#[test]
fn a_difference_is_told_as_reviewers_want_it() {
    let (mut model, web) = learnt();
    let from = profile(&mut model, &web);
    let text = from.to_file().replace("\"80\"", "\"8080\"").replace("    \"/bin/busybox (wget)\",\n", "");
    let to = read(&text).unwrap();
    let diff = ProfileDiff::of(&from, &to);
    let shown = "--- web:1@sha256:aabbccddeeff /bin/httpd -f\n+++ web:1@sha256:aabbccddeeff /bin/httpd -f\n\n\
                 execute\n  (outside)\n-   /bin/busybox (wget)\n\n\
                 listen\n  /bin/busybox (httpd)\n-   80\n+   8080\n";
    assert_eq!(diff.render(), shown);
    assert!(ProfileDiff::of(&from, &read(&from.to_file()).unwrap()).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_and_judges_alike(mut events in proptest::collection::vec(any_event(), 1..200), max_entries in 1_usize..300) {
        events.sort_by_key(|e| e.time_ns);
        let mut model = Model::new(Settings { max_entries, learning_period_ns: LEARNING + 1, ..settings() });
        judge(&mut model, events.clone());
        let mut imported = Model::new(settings());
        let stored = model.take_last();
        // What a profile never holds is no file.
        prop_assume!(stored.iter().all(|(_, p)| !p.channels.behaviour.operations.is_empty()));
        for (_, learnt) in stored {
            let text = learnt.to_file();
            let back = read(&text).unwrap();
            prop_assert_eq!(back.to_file(), text);
            prop_assert_eq!(&back.workload, &learnt.workload);
            prop_assert!(ProfileDiff::of(&back, &learnt).is_empty());
            imported.import(back);
        }
        prop_assert_eq!(judge(&mut imported, events), []);
    }

    #[test]
    fn any_text_is_refused_or_read(text in "\\PC{0,200}") {
        let _ = read(&text);
        let _ = read(&format!("ethogram_profile = 1\n[workload]\nimage = 'a'\ndigest = 'b'\n[objects]\nwrite = 'files'\n[write]\n{text}"));
    }
}
