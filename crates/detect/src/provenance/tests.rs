//! Each rule of the ranker with its nearest harmless neighbour.

use super::event::{Act, Event};
use super::ranker::{Config, Ranker, Report};

const SERVICES: u32 = 1;
const EXPLORER: u32 = 2;
const BROWSER: u32 = 3;
const LSASS: u32 = 4;

/// A host with some hours of ordinary life, and what is added to it.
struct Host {
    ranker: Ranker,
    time: u64,
    next: u32,
}

impl Host {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let mut h = Host { ranker: Ranker::new(config), time: 1_000_000_000_000_000, next: 100 };
        for (number, image) in [
            (SERVICES, "c:\\windows\\system32\\services.exe"),
            (EXPLORER, "c:\\windows\\explorer.exe"),
            (BROWSER, "c:\\program files\\browser\\browser.exe"),
            (LSASS, "c:\\windows\\system32\\lsass.exe"),
        ] {
            h.ranker.declare(number, image, None, h.time);
        }
        for round in 0..40 {
            for i in 0..8 {
                let name = ["svchost", "taskhost", "update", "index", "audio", "print", "backup", "search"][i];
                let p = h.start(SERVICES, &format!("c:\\windows\\system32\\{name}.exe"));
                h.act(p, Act::Wrote("c:\\windows\\logs\\one.log"));
                h.act(p, Act::Loaded("c:\\windows\\system32\\kernel32.dll"));
            }
            for name in ["browser\\browser", "mail\\mail", "notes\\notes", "files\\files", "calc\\calc", "music\\music"]
            {
                let p = h.start(EXPLORER, &format!("c:\\program files\\{name}.exe"));
                h.act(p, Act::Peer(&format!("93.184.{round}.7:443")));
            }
            let p = h.start(EXPLORER, "c:\\users\\anna\\appdata\\local\\chat\\chat.exe");
            h.act(p, Act::Loaded("c:\\users\\anna\\appdata\\local\\chat\\chat.dll"));
            h.act(SERVICES, Act::Opened(LSASS));
        }
        h
    }

    fn start(&mut self, parent: u32, image: &str) -> u32 {
        self.time += 1_000_000;
        let p = self.next;
        self.next += 1;
        self.ranker.declare(p, image, None, self.time);
        self.act(parent, Act::StartedChild);
        self.act(p, Act::ChildOf(parent));
        p
    }

    fn act(&mut self, actor: u32, act: Act<'_>) {
        self.time += 1000;
        self.ranker.event(&Event { time: self.time, actor, act });
    }

    fn report(&self) -> Report {
        self.ranker.report()
    }

    fn score(&self, process: u32) -> f64 {
        self.report().processes.iter().find(|r| r.process == process).map_or(0.0, |r| r.score)
    }
}

fn judged() -> Host {
    let mut h = Host::new();
    h.ranker.begin_judging();
    h
}

fn attack(h: &mut Host) -> Vec<u32> {
    let office = h.start(EXPLORER, "c:\\program files\\office\\writer.exe");
    let script = h.start(office, "c:\\windows\\system32\\wscript.exe");
    let shell = h.start(script, "c:\\windows\\system32\\cmd.exe");
    let console = h.start(shell, "c:\\windows\\system32\\conhost.exe");
    let who = h.start(shell, "c:\\windows\\system32\\whoami.exe");
    vec![office, script, shell, console, who]
}

#[test]
fn a_chain_from_a_document_is_one_incident_with_all_its_processes() {
    let mut h = judged();
    let mut members = attack(&mut h);
    let r = h.report();
    assert_eq!(r.incidents.len(), 1);
    let mut found = r.incidents[0].processes.clone();
    found.sort_unstable();
    members.sort_unstable();
    assert_eq!(found, members);
    assert_eq!(r.processes.iter().take(5).filter(|p| members.contains(&p.process)).count(), 5);
}

#[test]
fn the_same_chain_is_nothing_where_it_is_usual() {
    let mut h = Host::new();
    for _ in 0..20 {
        attack(&mut h);
    }
    h.ranker.begin_judging();
    attack(&mut h);
    assert!(h.report().incidents.is_empty());
}

#[test]
fn ordinary_life_goes_on_without_incidents() {
    let mut h = judged();
    for i in 0..50 {
        let p = h.start(EXPLORER, "c:\\program files\\browser\\browser.exe");
        h.act(p, Act::Peer(&format!("151.101.{i}.9:443")));
        h.start(SERVICES, "c:\\windows\\system32\\svchost.exe");
    }
    let r = h.report();
    assert!(r.incidents.is_empty());
    assert!(r.below.is_empty());
    assert!(r.processes.len() >= 100);
}

#[test]
fn a_family_of_new_programs_of_the_system_is_no_incident() {
    let mut h = judged();
    let root = h.start(SERVICES, "c:\\windows\\system32\\defrag.exe");
    for name in ["ngen", "ngentask", "compat", "cleanup", "census", "snapshot"] {
        let p = h.start(root, &format!("c:\\windows\\microsoft.net\\{name}.exe"));
        h.act(p, Act::Key("hklm\\software\\framework\\state"));
    }
    assert!(h.report().incidents.is_empty());
}

#[test]
fn a_new_program_among_temporary_files_is_worse_than_one_in_a_known_program_s_folder() {
    let mut h = judged();
    let own = h.start(EXPLORER, "c:\\users\\anna\\appdata\\local\\chat\\chat helper.exe");
    let drop = h.start(EXPLORER, "c:\\users\\anna\\appdata\\local\\temp\\helper.exe");
    assert!(h.score(drop) > 1.5 * h.score(own));
}

#[test]
fn what_ran_a_dropped_file_belongs_to_what_dropped_it() {
    let mut h = judged();
    let members = attack(&mut h);
    h.act(members[1], Act::Wrote("c:\\users\\anna\\appdata\\roaming\\stage\\tool.exe"));
    let later = h.start(EXPLORER, "c:\\users\\anna\\appdata\\roaming\\stage\\tool.exe");
    let other = h.start(EXPLORER, "c:\\program files\\notes\\notes.exe");
    let r = h.report();
    let first = &r.incidents[0].processes;
    assert!(first.contains(&later));
    assert!(!first.contains(&other));
    assert_eq!(r.incidents.len(), 1);
}

#[test]
fn hubs_do_not_join_what_hangs_on_them() {
    let mut h = judged();
    attack(&mut h);
    for (one, two) in [("cscript", "systeminfo"), ("mshta", "net")] {
        let x = h.start(EXPLORER, &format!("c:\\windows\\system32\\{one}.exe"));
        let y = h.start(x, "c:\\users\\public\\run.exe");
        h.start(y, &format!("c:\\windows\\system32\\{two}.exe"));
    }
    let r = h.report();
    assert_eq!(r.incidents.len(), 3);
    assert!(r.incidents.iter().all(|i| !i.processes.contains(&EXPLORER)));
}

#[test]
fn the_same_again_is_the_same_incident() {
    let mut h = judged();
    attack(&mut h);
    attack(&mut h);
    let r = h.report();
    assert_eq!(r.incidents.len(), 1);
    assert_eq!(r.incidents[0].processes.len(), 10);
}

#[test]
fn touching_secrets_counts_for_a_new_program_and_not_for_who_always_does() {
    let mut h = judged();
    let new = h.start(EXPLORER, "c:\\program files\\dump\\dump.exe");
    let before = h.score(new);
    h.act(new, Act::Opened(LSASS));
    h.act(SERVICES, Act::Opened(LSASS));
    assert!(h.score(new) > before);
    assert!(h.score(SERVICES) < 1.0);
    assert!(h.ranker.reasons(new).iter().any(|r| r.op.text().contains("secrets")) || h.score(new) - before > 0.5);
}

#[test]
fn a_start_and_a_new_process_are_joined_by_time_alone() {
    let mut h = judged();
    let shell = h.start(BROWSER, "c:\\windows\\system32\\cmd.exe");
    h.act(shell, Act::StartedChild);
    let at = h.time;
    h.ranker.declare(9000, "c:\\windows\\system32\\whoami.exe", Some(at + 5_000), at + 100_000);
    h.ranker.declare(9001, "c:\\windows\\system32\\hostname.exe", Some(at + 900_000), at + 910_000);
    let has = |p: u32, text: &str| h.ranker.reasons(p).iter().any(|r| r.text.contains(text));
    assert!(has(9000, "cmd.exe"));
    assert!(!has(9001, "cmd.exe"));
}

#[test]
fn the_same_stream_gives_the_same_report() {
    let run = || {
        let mut h = judged();
        attack(&mut h);
        let r = h.report();
        (r.processes, r.incidents)
    };
    assert_eq!(run(), run());
}

#[test]
fn floods_stay_within_their_bounds() {
    let mut config = Config { model_segments: 20_000, processes: 500, retired: 5_000, ..Config::default() };
    config.grouping.most = 30;
    let mut h = Host::with(config);
    h.ranker.begin_judging();
    let members = attack(&mut h);
    for i in 0..20_000u32 {
        let p = h.start(members[2], &format!("c:\\windows\\temp\\x{}.exe", ["a", "b", "c", "d"][i as usize % 4]));
        h.act(p, Act::Wrote(&format!("c:\\users\\public\\{i:x}\\y.dll")));
    }
    let r = h.report();
    assert!(r.incidents.len() <= 30);
    assert!(r.evicted > 0);
    assert!(r.model.0 <= 20_000);
    assert!(r.processes.len() <= 5_500);
}

#[test]
fn processes_that_were_never_declared_are_ignored() {
    let mut h = judged();
    let before = h.report().processes;
    h.act(77_777, Act::Wrote("c:\\x.exe"));
    h.act(77_777, Act::ChildOf(88_888));
    assert_eq!(h.report().processes, before);
}
