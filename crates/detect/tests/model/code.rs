//! Code beside files whose names were given up.

use ethogram_detect::{Detector, HabitChange, Model, Profile, ProfileDiff, Settings, render_profile};
use ethogram_model::{Event, Severity};

use crate::support::*;

const LATER: u64 = 60 * SECOND;
const HTTPD: &str = "/usr/sbin/httpd";
const UPLOADS: &str = "/var/www/uploads";

/// A name without anything that varies.
fn name(n: u64) -> String {
    n.to_string().bytes().map(|digit| char::from(b'a' + digit - b'0')).collect()
}

/// A model that has learnt that many files with such an ending were written to a folder.
fn with(web: &Sandbox, written: &[(&str, &str, u64)]) -> Model {
    let mut model = Model::new(Settings { habituation: true, ..settings() });
    learn(&mut model, web, written);
    model.advance(START + LATER);
    model
}

fn learn(model: &mut Model, web: &Sandbox, written: &[(&str, &str, u64)]) {
    let all = written.iter().flat_map(|(folder, ending, times)| {
        (0..*times).map(move |n| (format!("{folder}/{}{ending}", name(n)), n * LEARNING / times))
    });
    let mut all: Vec<_> = all.collect();
    all.sort_by_key(|(_, at)| *at);
    assert_eq!(judge(model, all.iter().map(|(path, at)| web.write(HTTPD, path, *at))), []);
}

fn found(model: &mut Model, event: Event) -> usize {
    judge(model, [event]).len()
}

fn stored(model: &mut Model) -> Profile {
    model.take_last().remove(0).1
}

#[test]
fn code_among_many_uploads_is_new_and_another_picture_is_not() {
    let web = web();
    for code in
        ["x.php", "x.phtml", "X.PHP", "x.jpg.php", ".htaccess", ".user.ini", "x.sh", "x.so", "libx.so.1", "x.cgi"]
    {
        let mut model = with(&web, &[(UPLOADS, ".jpg", 300)]);
        let path = format!("{UPLOADS}/{code}");
        assert_eq!(found(&mut model, web.write(HTTPD, &path, LATER)), 1, "{code}");
        let mut model = with(&web, &[(UPLOADS, ".jpg", 300)]);
        let moved = web.rename(HTTPD, "/tmp/upload", &path, LATER);
        assert_eq!(found(&mut model, moved), 1, "{code} moved there");
    }
    let mut model = with(&web, &[(UPLOADS, ".jpg", 300)]);
    for ordinary in ["another.jpg", "x.php.jpg", "php", "x.mp3", ".hidden", "x.png"] {
        let path = format!("{UPLOADS}/{ordinary}");
        assert_eq!(found(&mut model, web.write(HTTPD, &path, LATER)), 0, "{ordinary}");
        assert_eq!(found(&mut model, web.rename(HTTPD, "/tmp/upload", &path, LATER)), 0, "{ordinary} moved there");
    }
}

#[test]
fn a_file_that_becomes_code_where_it_lies_is_new_and_one_that_was_is_not() {
    let web = web();
    let mut model = with(&web, &[(UPLOADS, ".jpg", 300)]);
    let rename =
        |from: &str, to: &str| web.rename(HTTPD, &format!("{UPLOADS}/{from}"), &format!("{UPLOADS}/{to}"), LATER);
    assert_eq!(found(&mut model, rename("x.jpg", "y.jpg")), 0);
    assert_eq!(found(&mut model, rename("x.php", "y.php")), 0, "it was told when it came");
    assert_eq!(found(&mut model, rename("x.php", "y.jpg")), 0);
    assert_eq!(found(&mut model, rename("x.jpg", "x.php")), 1);
}

#[test]
fn code_that_is_made_all_the_time_is_known_by_its_ending() {
    let web = web();
    let mut model = with(&web, &[("/srv/cache", ".php", 40), ("/srv/build", ".o", 40), ("/srv/build", ".so", 40)]);
    for known in ["/srv/cache/new.php", "/srv/build/new.o", "/srv/build/new.so", "/srv/build/new.so.2"] {
        assert_eq!(found(&mut model, web.write(HTTPD, known, LATER)), 0, "{known}");
        assert_eq!(found(&mut model, web.rename(HTTPD, "/tmp/x", known, LATER)), 0, "{known} moved there");
    }
    for new in ["/srv/cache/new.jpg", "/srv/build/new.php"] {
        assert_eq!(found(&mut model, web.write(HTTPD, new, LATER)), 1, "{new}");
    }
    // Those who review it see what is covered, and what they write is what is meant.
    let profile = stored(&mut model);
    for shown in [
        render_profile(&profile),
        profile.to_file(),
        ProfileDiff::of(&Profile::new(profile.workload.clone(), 0), &profile).render(),
    ] {
        for pattern in ["/srv/build/*", "/srv/build/<any>.so", "/srv/cache/<any>.php"] {
            assert!(shown.contains(pattern), "{pattern} in {shown}");
        }
    }
    let text = profile.to_file();
    let mut imported = self::model();
    let read = Profile::from_file(&text, START).unwrap();
    assert_eq!(read.to_file(), text);
    imported.import(read);
    assert_eq!(found(&mut imported, web.write(HTTPD, "/srv/build/new.so", LATER)), 0);
    assert_eq!(found(&mut imported, web.write(HTTPD, "/srv/build/new.sh", LATER)), 1);
}

#[test]
fn one_script_beside_many_files_is_known_by_its_name_alone() {
    let web = web();
    let mut model = with(&web, &[(UPLOADS, ".jpg", 300), (UPLOADS, "index.php", 1)]);
    assert_eq!(found(&mut model, web.write(HTTPD, &format!("{UPLOADS}/aindex.php"), LATER)), 0);
    assert_eq!(found(&mut model, web.write(HTTPD, &format!("{UPLOADS}/shell.php"), LATER)), 1);
}

#[test]
fn a_name_that_reads_like_a_pattern_is_none() {
    let web = web();
    let mut model = with(&web, &[(UPLOADS, "<any>.php", 1), (UPLOADS, ".jpg", 300)]);
    assert_eq!(found(&mut model, web.write(HTTPD, &format!("{UPLOADS}/shell.php"), LATER)), 1);
}

#[test]
fn code_is_judged_where_ordinary_files_are_not_any_more() {
    let web = web();
    let small = || Model::new(Settings { max_entries: 10, ..settings() });
    let crossroads =
        |ending: &str, n: u64| web.write(HTTPD, &format!("/srv/{}/f{ending}", name(n)), n * LEARNING / 100);
    let mut model = small();
    assert_eq!(judge(&mut model, (0..100).map(|n| crossroads(".txt", n))), []);
    model.advance(START + LATER);
    assert!(stored(&mut model).to_file().contains("ordinary files are too various"));
    assert_eq!(found(&mut model, web.write(HTTPD, "/srv/new/f.txt", LATER)), 0);
    assert_eq!(found(&mut model, web.write(HTTPD, "/srv/new/f.php", LATER)), 1);

    // Where code is too various itself, it is known wherever it lies, by its ending, and so it is for the next agent.
    let mut model = small();
    assert_eq!(judge(&mut model, (0..100).map(|n| crossroads(".py", n))), []);
    model.advance(START + LATER);
    let profile = stored(&mut model);
    assert!(profile.entries() <= 12, "{}", profile.entries());
    assert_eq!(Profile::from_file(&profile.to_file(), START).unwrap().to_file(), profile.to_file());
    let mut next = small();
    next.restore(profile).unwrap();
    for model in [&mut model, &mut next] {
        for n in 0..100 {
            assert_eq!(found(model, web.write(HTTPD, &format!("/srv/{}/f.py", name(n)), LATER)), 0, "{n}");
        }
        assert_eq!(found(model, web.write(HTTPD, "/srv/new/f.php", LATER)), 1);
    }

    // A sketch of what is guarded says nothing of code.
    let mut model = small();
    judge(&mut model, (0..100).map(|n| web.write(HTTPD, &format!("/etc/app/{}", name(n)), n * LEARNING / 100)));
    model.advance(START + LATER);
    assert!(stored(&mut model).to_file().contains("judged by a sketch"));
    assert_eq!(found(&mut model, web.write(HTTPD, "/srv/new/f.txt", LATER)), 0);
    assert_eq!(found(&mut model, web.write(HTTPD, "/srv/new/f.php", LATER)), 1);
}

#[test]
fn code_where_only_data_comes_surprises_more_than_data_does() {
    let score = |file: &str| {
        let web = web();
        let mut model = with(&web, &[("/srv/in", ".jpg", 12)]);
        let found = judge(&mut model, [web.write(HTTPD, file, LATER)]);
        found.first().and_then(|finding| finding.score.as_ref().map(|score| score.bits))
    };
    assert!(score("/srv/in/new.php") > score("/srv/in/new.jpg"));
}

/// What an agent of the last version has stored: it took a `*` for any file.
fn of_last_version(web: &Sandbox) -> Profile {
    let mut model = with(web, &[(UPLOADS, ".jpg", 300)]);
    judge(&mut model, [web.execute_from_outside("/bin/httpd", LATER)]);
    Profile { version: 4, ..stored(&mut model) }
}

#[test]
fn what_an_earlier_agent_took_as_known_is_learnt_for_one_period_more() {
    let web = web();
    let upgraded = |profile: Profile, locked: bool| {
        let mut model = Model::new(Settings { is_locked: locked, ..settings() });
        model.restore(profile).unwrap();
        model.advance(START + LATER);
        model
    };
    let template = format!("{UPLOADS}/template.php");
    let after = LATER + 2 * LEARNING;

    let mut model = upgraded(of_last_version(&web), false);
    assert_eq!(found(&mut model, web.write(HTTPD, &template, LATER)), 0);
    assert_eq!(
        found(&mut model, web.rename(HTTPD, "/tmp/x", "/srv/app/main.py", LATER + 1)),
        0,
        "moves were not looked at"
    );
    assert_eq!(found(&mut model, web.write(HTTPD, "/srv/app/shell.php", LATER + 2)), 1, "it was never known");
    assert_eq!(found(&mut model, web.rename(HTTPD, "/tmp/x", "/usr/bin/x.py", LATER + 3)), 1, "this was looked at");
    let web2 = container("web", 8, "aabbccddeeff0011");
    model.advance(START + after);
    assert_eq!(found(&mut model, web2.write(HTTPD, &template, after)), 0);
    assert_eq!(found(&mut model, web2.write(HTTPD, &format!("{UPLOADS}/shell.php"), after)), 1);

    // It goes on where the agent starts anew, and nothing is learnt twice.
    let mut model = upgraded(of_last_version(&web), false);
    judge(&mut model, [web.write(HTTPD, &template, LATER)]);
    let profile = stored(&mut model);
    assert_eq!(profile.version, Profile::VERSION);
    let mut model = upgraded(profile, false);
    model.advance(START + after);
    assert_eq!(found(&mut model, web.write(HTTPD, &template, after)), 0);
    assert_eq!(found(&mut model, web.write(HTTPD, &format!("{UPLOADS}/shell.php"), after)), 1);

    // What a person approved is judged as it is written.
    let mut approved = of_last_version(&web);
    approved.lifecycle.approved_ns = Some(START);
    for (profile, locked) in [(approved, false), (of_last_version(&web), true)] {
        assert_eq!(found(&mut upgraded(profile, locked), web.write(HTTPD, &template, LATER)), 1);
    }
    // A profile of this version has learnt what it needs.
    let current = Profile { version: Profile::VERSION, ..of_last_version(&web) };
    let told = judge(&mut upgraded(current, false), [web.write(HTTPD, &template, LATER)]);
    assert_eq!(told.iter().map(|finding| finding.severity).collect::<Vec<_>>(), [Severity::Medium]);
}

#[test]
fn what_comes_all_the_time_beside_code_is_a_habit_and_the_code_is_none() {
    let web = web();
    let model = with(&web, &[(UPLOADS, ".jpg", 300)]);
    let mut detector = Detector { model, ..Detector::default() };
    let picture = || with_habit(web.write(HTTPD, &format!("{UPLOADS}/same.jpg"), LATER), 1);
    let code = || with_habit(web.write(HTTPD, &format!("{UPLOADS}/x.php"), LATER), 2);
    let found: Vec<usize> =
        [picture(), picture(), code(), code()].iter().map(|event| detector.judge(event).len()).collect();
    assert_eq!(found, [0, 0, 1, 0]);
    let changes = detector.take_habit_changes();
    assert!(changes.contains(&HabitChange::Begin(1)) && !changes.contains(&HabitChange::Begin(2)), "{changes:?}");
}
