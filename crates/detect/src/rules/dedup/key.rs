//! What makes matches one finding: rule, workload, user and lineage, without what varies from run to run.

use ethogram_model::{Event, Process};

use crate::{subject::program::label, uid};

/// Characters of a finding's uid that are its group's key; the others say which time it is that the group was quiet and began again.
const LENGTH: usize = 24;
/// What stands for numbers and random parts.
const ANY: &str = "<n>";

/// The key of a match. The lineage is what ran, from the process up to the container's first.
pub(super) fn of(rule: &str, workload: &str, process: Option<&Process>, event: &Event) -> String {
    let mut parts = vec![rule.to_owned(), workload.to_owned()];
    match process {
        Some(process) => {
            parts.push(process.user_id.to_string());
            parts.push(coarse(&label(&process.exec)));
            let inside = process.exec.container_cgroup;
            let above = process.ancestors.iter().take_while(|exec| exec.container_cgroup == inside);
            parts.extend(above.map(|exec| coarse(&label(exec))));
        }
        None => parts.push(event.thread_name().to_text().into_owned()),
    }
    shortened(&uid::of(parts.iter().map(String::as_str)))
}

/// The key of all that goes beyond what a rule finds one by one in a workload.
pub(super) fn of_others(rule: &str, workload: &str) -> String {
    shortened(&uid::of([rule, workload, "and others"]))
}

/// The key of what is found beside the accepted object of a group.
pub(super) fn beside(key: &str) -> String {
    shortened(&uid::of([key, "beside what is accepted"]))
}

/// The key of a finding's group.
pub(super) fn of_uid(uid: &str) -> String {
    shortened(uid)
}

/// The uid of a finding whose group begins at that time.
pub(super) fn uid(key: &str, time_ns: u64) -> String {
    let time = uid::of([key, &time_ns.to_string()]);
    format!("{key}{}", time.get(LENGTH..).unwrap_or_default())
}

fn shortened(uid: &str) -> String {
    uid.get(..LENGTH).unwrap_or(uid).to_owned()
}

/// A program's path in which all numbers are alike, and all folders with a random name: `/srv/_work/7_1/job` and
/// `/srv/_work/412_23/job` are one.
fn coarse(label: &str) -> String {
    let parts: Vec<String> = label.split('/').map(part).collect();
    parts.join("/")
}

fn part(part: &str) -> String {
    let mut part = part.to_owned();
    for class in ["<hex>", "<uuid>", "<date>", "<id>", "*"] {
        part = part.replace(class, ANY);
    }
    if is_random(&part) {
        return ANY.to_owned();
    }
    let mut out = String::with_capacity(part.len());
    let mut is_number = false;
    for c in part.chars() {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !is_number {
            out += ANY;
        }
        is_number = c.is_ascii_digit();
    }
    out
}

/// Whether it looks like the name of a folder that a program made up: letters, and digits elsewhere than at the end.
fn is_random(part: &str) -> bool {
    let stem = part.trim_end_matches(|c: char| c.is_ascii_digit());
    part.len() >= 6 && part.bytes().all(|b| b.is_ascii_alphanumeric()) && stem.bytes().any(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_and_random_folders_are_one() {
        for (a, b) in [
            ("/srv/_work/7_1/job", "/srv/_work/41299_23/job"),
            ("/srv/_work/<n>_1/job", "/srv/_work/812_2/job"),
            ("/builds/x7k2pq/run.sh", "/builds/a81b9c/run.sh"),
            ("/builds/<hex>/run.sh", "/builds/<n>/run.sh"),
            ("/tmp/tmp.*/a", "/tmp/tmp.<n>/a"),
            ("/srv/job1/a (sh)", "/srv/job22/a (sh)"),
        ] {
            assert_eq!(coarse(a), coarse(b), "{a} {b}");
        }
    }

    #[test]
    fn other_programs_stay_apart() {
        for (a, b) in [
            ("/bin/sh", "/bin/bash"),
            ("/srv/_work/1_1/job", "/srv/_work/1_1/other"),
            ("/srv/web/run", "/srv/shop/run"),
            ("/bin/busybox (cat)", "/bin/busybox (nc)"),
            ("/opt/folder/a", "/opt/drawer/a"),
        ] {
            assert_ne!(coarse(a), coarse(b), "{a} {b}");
        }
    }

    #[test]
    fn a_uid_begins_with_its_groups_key() {
        let key = of_others("rule", "web");
        let (first, second) = (uid(&key, 1), uid(&key, 2));
        assert_ne!(first, second);
        assert_eq!((of_uid(&first), of_uid(&second), first.len()), (key.clone(), key, 32));
    }
}
