//! A file is what it is by any of its paths: by where it lies, and by the guarded one by which it is known.

use ethogram_detect::{guarded_path, is_ordinary};
use ethogram_model::{Event, build};

use crate::support::*;

const LATER: u64 = 60 * SECOND;
const SHELL: &str = "sh@/bin/busybox";

/// The event with another path of its file.
fn with(event: &Event, field: &str, path: &str) -> Event {
    let place = event.schema.fields.iter().position(|f| f.name == field).unwrap();
    build::at_paths(event, &[(place, path.as_bytes().into())])
}

#[test]
fn a_secret_by_another_path_is_a_secret_and_another_file_is_not() {
    let (mut model, web) = learnt();
    let read = web.read(SHELL, "/srv/notes", LATER);
    assert!(is_ordinary(&read));
    for field in ["file.guarded_path", "file.real_path"] {
        let ordinary = with(&read, field, "/srv/more");
        assert!(is_ordinary(&ordinary) && guarded_path(&ordinary).is_none(), "{field}");
        // What is written there decides something; what is read there gives nothing away.
        assert!(is_ordinary(&with(&read, field, "/etc/cron.d/job")), "{field}");
        assert!(!is_ordinary(&with(&read, field, "/etc/shadow")), "{field}");
    }
    assert_eq!(judge(&mut model, [read.clone(), with(&read, "file.guarded_path", "/srv/more")]), []);
    let found = judge(&mut model, [with(&read, "file.guarded_path", "/etc/shadow")]);
    assert_eq!(found.len(), 1);
    let text = serde_json::to_string(&found[0]).unwrap();
    assert!(text.contains("/srv/notes") && text.contains("password hashes"), "{text}");
}

#[test]
fn what_decides_what_runs_is_guarded_by_another_path_too() {
    let (mut model, web) = learnt();
    let write = |path: &str| web.write("/www/cgi-bin/count", path, LATER);
    // Of files that vary, another one is no news, but a job of cron is.
    let another = write("/tmp/tmp.Qb72kM");
    assert_eq!(judge(&mut model, [another.clone()]), []);
    assert_eq!(judge(&mut model, [with(&another, "file.guarded_path", "/etc/cron.d/job")]).len(), 1);
}

#[test]
fn which_guarded_path_an_event_shows() {
    let web = web();
    let shown = |event: &Event| guarded_path(event).map(|path| path.into_owned());
    assert_eq!(shown(&web.read(SHELL, "/etc/shadow", 0)).as_deref(), Some("/etc/shadow"));
    assert_eq!(shown(&web.write(SHELL, "/etc/cron.d/job", 0)).as_deref(), Some("/etc/cron.d/job"));
    let lies = with(&web.read(SHELL, "/x/etc/shadow", 0), "file.real_path", "/etc/shadow");
    assert_eq!(shown(&lies).as_deref(), Some("/etc/shadow"));
    let of_a_runtime = "/var/lib/docker/volumes/x/_data/.ssh/id_rsa";
    for event in [
        web.read(SHELL, "/etc/passwd", 0),
        web.read(SHELL, "/etc/cron.d/job", 0),
        web.write(SHELL, "/srv/notes", 0),
        with(&web.read(SHELL, "/srv/notes", 0), "file.real_path", of_a_runtime),
    ] {
        assert_eq!(shown(&event), None);
    }
}

#[test]
fn what_is_mounted_over_a_mount_covers_that_alone() {
    let (mut model, web) = learnt();
    let mut alerts = |operation: &str, path: &str, lies: &str, is_host| {
        judge(&mut model, [web.mount(SHELL, operation, path, lies, is_host)]).len()
    };
    // A file, and a folder, that are mounted there from a place that decides something.
    assert_eq!(alerts("bind", "/srv/a", "/etc/passwd", false), 0);
    assert_eq!(alerts("new", "/srv/b", "/etc/cron.d", false), 0);
    // The same place below another root, or below another mount of all that is above it, which may be one with that.
    assert_eq!(alerts("bind", "/passwd", "/etc/passwd", false), 1);
    assert_eq!(alerts("bind", "/", "/etc/cron.d", false), 1);
    assert_eq!(alerts("bind", "/mnt/etc/crontab", "/etc/crontab", false), 1);
    assert_eq!(alerts("bind", "/srv/a", "/etc/shadow", true), 1);
}

#[test]
fn other_options_of_a_mount_cover_nothing() {
    let (mut model, web) = learnt();
    for (operation, alerts) in [("remount", 0), ("propagation", 0), ("move", 1)] {
        let mount = web.mount(SHELL, operation, "/etc/cron.d", "/srv/cron.d", false);
        assert_eq!(judge(&mut model, [mount]).len(), alerts, "{operation}");
    }
}
