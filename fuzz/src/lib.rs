//! What all fuzzers share: how much an input may take, and events that its rules are tested for.

pub mod elf;

use std::sync::{Arc, LazyLock};

use ethogram_detect::rules::{File, Loaded, RuleSet, RuleState, Rules, check_examples};
use ethogram_model::{Event, TrackerSchema};
use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};

#[path = "../../crates/detect/src/rules/tests/trackers.rs"]
mod trackers;

/// Time of the processor that an input may take.
const MAX_TIME_NS: i64 = 1_000_000_000;
/// Bytes that may be allocated for it at once.
const MAX_MEMORY: usize = 256 << 20;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Some kinds of events.
static TRACKERS: LazyLock<Vec<Arc<TrackerSchema>>> = LazyLock::new(trackers::trackers);

/// An event or two of some kinds.
static EVENTS: LazyLock<Vec<Event>> = LazyLock::new(|| {
    let by = ("process.executable.path", "/usr/bin/bash");
    let args = ("process.command_args", "/bin/bash -c id");
    let above = ("process.ancestors", "/usr/sbin/sshd /sbin/init");
    vec![
        trackers::event("process.exec", &[by, args, above, ("user.name", "root"), ("process.pid", "42")]),
        trackers::event("process.exec", &[]),
        trackers::event("open.open", &[by, above, ("file.path", "/etc/shadow"), ("file.open.write", "true")]),
        trackers::event("fs.rename", &[by, ("file.path", "/tmp/x"), ("file.new_path", "/etc/cron.d/x")]),
        trackers::event("tcp.connect", &[by, ("network.peer.address", "10.1.2.3"), ("network.peer.port", "4444")]),
        trackers::event("module.request", &[("module.request", "init_module"), ("container.name", "web")]),
    ]
});

/// Does something with an input, and panics where that takes more time or memory than is in proportion.
pub fn bounded<T>(run: impl FnOnce() -> T) -> T {
    let (before, began) = (ALLOCATOR.current_usage(), now());
    ALLOCATOR.reset_peak_usage();
    let result = run();
    let (took, memory) = (now() - began, ALLOCATOR.peak_usage().saturating_sub(before));
    assert!(took <= MAX_TIME_NS, "it took {} ms", took / 1_000_000);
    assert!(memory <= MAX_MEMORY, "it took {} MiB", memory >> 20);
    result
}

/// The processor's time, not the wall's: others run beside it.
fn now() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// What comes before the first NUL, and what comes after it: all of it where there is none.
pub fn parts(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (&[], data),
    }
}

/// Loads a rule file, judges events by it, tries its examples, and looks at what is said of it.
pub fn use_rules(text: &str) {
    let files = [File { name: "f".into(), text: text.into() }];
    LazyLock::force(&EVENTS);
    LazyLock::force(&TRACKERS);
    let Loaded { set, problems, .. } = bounded(|| RuleSet::load(&files, &TRACKERS));
    // For YAML a line also ends with a carriage return alone.
    let lines = text.matches(['\n', '\r']).count() + 1;
    for problem in &problems {
        assert!((1..=lines).contains(&(problem.line as usize)), "{problem}, of {lines} lines");
        assert!(problem.column > 0 && !problem.text.is_empty(), "{problem}");
    }
    for rule in set.rules() {
        match rule.state {
            RuleState::CannotFire(why) => assert!(!why.is_empty(), "{}", rule.name),
            RuleState::Armed => assert!(!rule.events.is_empty(), "{}", rule.name),
            RuleState::Disabled => {}
        }
    }
    let mut rules = Rules::new(Arc::new(set));
    bounded(|| {
        for event in &*EVENTS {
            let names = rules.matching(event);
            let told = rules.judge(event, &mut ethogram_detect::Acceptances::default());
            assert!(told.len() <= names.len());
        }
    });
    bounded(|| check_examples(&files, &TRACKERS));
    bounded(|| RuleSet::load_what_is_right(&files, &TRACKERS));
}
