//! What docs/design.md promises of the engine's step: no lock and no I/O, so no system call, and no allocation for an event that
//! nothing needs.
#![allow(clippy::unwrap_used)]
// The test watches the engine from outside, on a clock and a thread of its own.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use ethogram_detect::Detector;
use ethogram_engine::{
    ContainerFilter, Effects, Engine, EventFilter, Input, Judged, collection::Collection, identity::Identity,
    judged::Judges,
};
use ethogram_model::{Event, EventSchema};
use rustix::thread::{SecureComputingMode, set_secure_computing_mode};

const HOST: u64 = 1;
const CONTAINER: u64 = 4711;

/// An engine that knows a cgroup of the host's and one of a container's. The host's events are not collected.
fn engine() -> Engine<Judged> {
    let trackers = ethogram_probe::builtin().unwrap();
    let roles = trackers.iter().filter_map(|t| t.schema.role.map(|role| (Arc::clone(&t.schema.name), role)));
    let judged = Judged::new(ContainerFilter::default(), Detector::default(), Judges::All);
    let mut engine = Engine::new(Identity::new(roles), judged, Some(Collection::default()));
    let cgroups = vec![(HOST, "/".to_owned()), (CONTAINER, format!("/docker/{}", "ab".repeat(32)))];
    engine.step(Input::Cgroups(cgroups));
    engine.step(Input::Walk { cut: false, started_ns: 0, now_ns: 1 });
    let known = serde_json::json!({ "known": {
        "runtime": "docker", "namespace": null, "id": "ab".repeat(32), "name": "web", "command": [],
        "image": { "name": "web:1", "digest": "sha256:aabb" },
        "labels": {}, "pod": null, "sandbox": false,
    }});
    engine.step(Input::Resolution(serde_json::from_value(known).unwrap()));
    engine
}

fn opens(cgroup: u64, number: usize) -> Input {
    let trackers = ethogram_probe::builtin().unwrap();
    let open = trackers.iter().find(|t| &*t.schema.name == "open").unwrap();
    let schema = Arc::clone(open.schema.events.iter().find(|e| &*e.name == "open").unwrap());
    let event = |time_ns| {
        let mut record = vec![0; schema.size];
        put(&schema, &mut record, "_cgroup", &cgroup.to_le_bytes());
        put(&schema, &mut record, "process.pid", &100_u32.to_le_bytes());
        Event { schema: Arc::clone(&schema), time_ns, record: record.into(), context: Default::default() }
    };
    Input::Events((1..=number as u64).map(event).collect())
}

fn put(schema: &EventSchema, record: &mut [u8], field: &str, bytes: &[u8]) {
    let field = schema.field(field).unwrap();
    record[field.offset..field.offset + field.size].copy_from_slice(bytes);
}

fn allocations(engine: &mut Engine<Judged>, input: Input) -> u64 {
    allocation_counter::measure(|| drop(engine.step(input))).count_total
}

#[test]
fn an_event_that_nothing_needs_costs_no_allocation() {
    let mut engine = engine();
    // The first ones make room in tables that stay.
    engine.step(opens(HOST, 5_000));
    let few = allocations(&mut engine, opens(HOST, 10));
    let many = allocations(&mut engine, opens(HOST, 5_000));
    assert_eq!(many, few, "5,000 events of the host allocate as much as ten");
    assert!(few <= 4, "and a batch hardly anything: {few}");
    // What a stream follows is handed on, and does cost something: the count counts.
    let _followed = engine.consumer.follow(EventFilter::default());
    engine.step(opens(CONTAINER, 10));
    assert!(allocations(&mut engine, opens(CONTAINER, 5_000)) >= 5_000);
}

/// Runs `step` on a thread that the kernel ends at its first system call. Returns whether it got through within `patience`.
/// `prepare` runs on that thread before.
fn survives_without_system_calls<T>(
    patience: Duration,
    prepare: impl FnOnce() -> T + Send + 'static,
    step: impl FnOnce(T) + Send + 'static,
) -> bool {
    let (begun, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (is_begun, is_done) = (Arc::clone(&begun), Arc::clone(&done));
    std::thread::spawn(move || {
        let prepared = prepare();
        set_secure_computing_mode(SecureComputingMode::Strict).unwrap();
        is_begun.store(true, SeqCst);
        step(prepared);
        is_done.store(true, SeqCst);
        // It is not allowed to end as a thread does, so it has the kernel end it.
        std::thread::yield_now();
    });
    let until = Instant::now() + patience;
    while !done.load(SeqCst) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(begun.load(SeqCst), "this kernel has no strict mode of seccomp");
    done.load(SeqCst)
}

#[test]
fn a_step_makes_no_system_call() {
    // Few enough that the allocator gives no memory back to the system when they are freed.
    let inputs = || [opens(HOST, 100), opens(CONTAINER, 100), Input::Lost, Input::Tick(2_000_000_000)];
    let prepare = move || {
        let mut engine = engine();
        // The allocator asks the system for memory now, and has it then.
        let all: Vec<Effects> = inputs().map(|input| engine.step(input)).into();
        drop((all, inputs()));
        (engine, inputs(), Vec::<Effects>::with_capacity(8))
    };
    assert!(survives_without_system_calls(Duration::from_secs(20), prepare, |(mut engine, inputs, mut kept)| {
        for input in inputs {
            kept.push(engine.step(input));
        }
        // To free it may give memory back to the system, which is no step's doing.
        std::mem::forget((engine, kept));
    }));
}

#[test]
fn a_system_call_would_be_noticed() {
    assert!(!survives_without_system_calls(Duration::from_secs(1), || (), |()| std::thread::yield_now()));
}
