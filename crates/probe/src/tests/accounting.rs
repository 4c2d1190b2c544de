//! Nothing is lost silently: a flood into a deliberately tiny ring, and starting and stopping.

use std::{fs::File, thread};

use crossbeam_channel::bounded;

use super::*;
use crate::read::reader::{IDLE_WAIT, SLEEP};

#[test]
fn a_flood_into_a_tiny_ring_is_accounted_for_to_the_last_event() {
    // What arrives is not taken until the flood is over: the ring overflows however slow or fast this machine is.
    let (output, events) = bounded(1);
    let settings = Settings { ring_bytes: 4096, ..settings() };
    let collector = Collector::new(settings, builtin().unwrap(), output).unwrap();
    collector.start("open", Start::default()).unwrap();
    let rounds = repeats(300);
    let script =
        format!("i=0; while [ $i -lt {rounds} ]; do cat /dev/null /dev/null /dev/null /nothing; i=$((i+1)); done");
    let writers: Vec<_> = (0..4).map(|_| Shell::waiting(&script)).collect();
    for writer in writers {
        writer.go();
    }
    let outcome = collector.outcome("open").unwrap();
    let taker = thread::spawn(move || {
        let arrived = events.iter().flatten().inspect(|e| outcome.delivered(e.schema.sample, 1));
        arrived.filter(|e| !e.schema.sample).count() as u64
    });
    let stopped = collector.stop("open").unwrap();
    let status = || collector.status().into_iter().find(|s| s.schema.name == stopped.schema.name).unwrap();
    let deadline = Instant::now() + patience();
    while status().counters.in_flight > 0 && Instant::now() < deadline {
        thread::yield_now();
    }
    let counters = status().counters;
    drop(collector);
    let arrived = taker.join().unwrap();
    assert_eq!(counters.unaccounted(), 0, "{counters:?}");
    assert_eq!(counters.in_flight, 0, "{counters:?}");
    assert!(counters.seen >= 4 * rounds * 4, "{counters:?}");
    assert!(counters.dropped_total() > 0, "the ring was not tiny enough: {counters:?}");
    assert_eq!(counters.delivered, arrived);
    assert!(counters.aggregated >= 4 * rounds);
}

#[test]
fn every_tracker_accounts_for_all_that_it_saw() {
    for tracker in builtin().unwrap() {
        let mut rig = Rig::start(tracker.schema.name.to_string().leak());
        let shells: Vec<_> =
            (0..2).map(|_| Shell::waiting("for i in 1 2 3 4 5; do cat /etc/hostname | cat; done")).collect();
        shells.into_iter().for_each(|shell| _ = shell.go());
        rig.all();
        rig.collector.stop(rig.tracker).unwrap();
        rig.all();
        let counters = rig.counters();
        assert_eq!((counters.unaccounted(), counters.in_flight), (0, 0), "{}: {counters:?}", rig.tracker);
    }
}

#[test]
fn starting_and_stopping_leaks_nothing_and_keeps_the_counts() {
    let mut rig = Rig::start("open");
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let mut seen = 0;
    let mut first = 0;
    for round in 0..20 {
        rig.collector.stop("open").unwrap();
        let counters = rig.counters();
        assert!(counters.seen >= seen);
        assert_eq!(counters.unaccounted(), 0, "{counters:?}");
        seen = counters.seen;
        rig.collector.start("open", Start { urgent: true, ..Start::default() }).unwrap();
        if round == 0 {
            first = descriptors();
        }
    }
    // Other tests of this process come and go when they share it; twenty leaks would show all the same.
    assert!(descriptors() < first + 20, "{} descriptors grew to {}", first, descriptors());
    let shell = Shell::waiting("cat /etc/hostname");
    shell.go();
    rig.expect("the open after twenty starts", |e| text(e, "file.path") == "/etc/hostname");
}

#[test]
fn the_first_record_after_a_silence_wakes_the_reader() {
    let (output, events) = unbounded();
    let collector = Collector::new(settings(), vec![builtin_named("fs")], output).unwrap();
    collector.start("fs", Start::default()).unwrap();
    let mut rig = Rig { collector, tracker: "fs", events, seen: Vec::new() };
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let file = dir.path().join(round.to_string());
        File::create(&file).unwrap();
        let remover = Shell::waiting(&format!("exec rm {}", file.display()));
        let pid = remover.pid();
        // Until nothing has come for so long that the reader sleeps for good.
        let deadline = Instant::now() + patience();
        while let Ok(batch) = rig.events.recv_timeout(IDLE_WAIT * 5)
            && Instant::now() < deadline
        {
            rig.take(batch);
        }
        remover.go();
        let began = Instant::now();
        rig.expect("the removal", |e| is(e, "remove") && of(e, pid));
        assert!(began.elapsed() < SLEEP / 2, "after {:?}", began.elapsed());
        // A command reads records, too: the reader has to be woken all the same the next time.
        rig.all();
    }
}

#[test]
fn what_the_agent_itself_does_is_filtered() {
    let mut rig = Rig::start("open");
    drop(File::open("/etc/hosts").unwrap());
    assert!(!rig.all().iter().any(|e| of(e, std::process::id())));
    assert!(rig.counters().filtered["self"] > 0);
}

#[test]
fn wrong_names_and_values_are_refused_and_nothing_starts() {
    let (output, _events) = unbounded();
    let collector = Collector::new(settings(), builtin().unwrap(), output).unwrap();
    collector.start("open", Start::default()).unwrap();
    let set = |k: &str, v: &str| Start { params: BTreeMap::from([(k.into(), v.into())]), ..Start::default() };
    let error = |name: &str, start| collector.start(name, start).unwrap_err().to_string();
    assert!(error("proces", Start::default()).contains("did you mean process"));
    assert!(error("process", set("max_arg", "1")).contains("did you mean max_args?"));
    assert!(error("process", set("max_args", "many")).contains("'many' is not a number from 0 to 4294967295"));
    assert!(error("open", Start::default()).contains("is running already"));
    let running: Vec<_> = collector.status().into_iter().filter(|s| s.state == TrackerState::Running).collect();
    assert_eq!(running.len(), 1);
}
