use crate::tests::{child::forked, *};

const MAP_CREATE: i32 = 0;
const PROG_LOAD: i32 = 5;
const PROG_ATTACH: i32 = 8;
const RAW_TRACEPOINT_OPEN: i32 = 17;

const RAW_TRACEPOINT: u32 = 17;
const CGROUP_SKB: u32 = 8;
const CGROUP_INET_EGRESS: u32 = 1;
const HASH: u32 = 1;

/// `r0 = 0; exit`
static NOTHING: [u64; 2] = [0xb7, 0x95];

/// What BPF_PROG_LOAD reads of its attributes.
#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log: [u64; 2],
    version_and_flags: u64,
    name: [u8; 16],
    interface: u32,
    attach_type: u32,
}

fn program(kind: u32, name: &str, attach_type: u32) -> Load {
    let mut load = Load {
        kind,
        instruction_count: 2,
        instructions: NOTHING.as_ptr() as u64,
        license: c"Test license".as_ptr() as u64,
        attach_type,
        ..Load::default()
    };
    load.name[..name.len()].copy_from_slice(name.as_bytes());
    load
}

/// The system call. Only for attributes that hold no dangling pointers.
fn bpf<T>(command: i32, attributes: &T) -> i32 {
    // SAFETY: the kernel reads as many bytes as the attributes have.
    unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) as i32 }
}

#[test]
fn a_program_is_loaded_and_attached_to_a_tracepoint() {
    let mut rig = Rig::start("bpf");
    let load = program(RAW_TRACEPOINT, "ethogram_t1", 0);
    let child = forked(|| {
        let fd = bpf(PROG_LOAD, &load);
        let attach = [c"sched_process_exit".as_ptr() as u64, fd as u64];
        bpf(RAW_TRACEPOINT_OPEN, &attach);
        0
    });
    let pid = child.pid();
    child.go();
    let loaded = rig.expect("loading", |e| is(e, "load") && of(e, pid));
    assert_eq!(shown(&loaded, "bpf.program.type"), "BPF_PROG_TYPE_RAW_TRACEPOINT");
    assert_eq!(text(&loaded, "bpf.program.name"), "ethogram_t1");
    assert_eq!(text(&loaded, "bpf.program.license"), "Test license");
    assert_eq!(number(&loaded, "bpf.program.instructions"), 2);
    assert_eq!(shown(&loaded, "bpf.program.attach_type"), "");
    let attached = rig.expect("attaching", |e| is(e, "attach") && of(e, pid));
    assert_eq!(shown(&attached, "bpf.command"), "BPF_RAW_TRACEPOINT_OPEN");
    assert_eq!(text(&attached, "bpf.attach.tracepoint"), "sched_process_exit");
    assert_eq!(text(&attached, "bpf.program.name"), "ethogram_t1");
    assert!(number(&attached, "bpf.program.id") > 0);
    assert_eq!(number(&attached, "bpf.program.id"), number(&loaded, "bpf.program.id"));
}

/// Where cgroup v2 is mounted, if it is.
fn cgroups() -> Option<String> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let of_v2 = mounts.lines().map(|l| l.split(' ').collect::<Vec<_>>()).find(|w| w.get(2) == Some(&"cgroup2"));
    of_v2.map(|words| words[1].to_owned())
}

#[test]
fn attaching_to_a_cgroup_tells_which() {
    let Some(root) = cgroups() else { return };
    let mut rig = Rig::start("bpf");
    let own = format!("{root}/ethogram-test-{}", std::process::id());
    std::fs::create_dir(&own).unwrap();
    let directory = std::fs::File::open(&own).unwrap();
    let load = program(CGROUP_SKB, "ethogram_t2", CGROUP_INET_EGRESS);
    let target = std::os::fd::AsRawFd::as_raw_fd(&directory);
    let child = forked(|| {
        let fd = bpf(PROG_LOAD, &load);
        bpf(PROG_ATTACH, &[target, fd, CGROUP_INET_EGRESS as i32, 0])
    });
    let pid = child.pid();
    child.go();
    std::fs::remove_dir(&own).unwrap();
    let attached = rig.expect("attaching", |e| is(e, "attach") && of(e, pid));
    assert_eq!(shown(&attached, "bpf.command"), "BPF_PROG_ATTACH");
    assert_eq!(shown(&attached, "bpf.program.type"), "BPF_PROG_TYPE_CGROUP_SKB");
    assert_eq!(shown(&attached, "bpf.program.attach_type"), "BPF_CGROUP_INET_EGRESS");
    assert_eq!(text(&attached, "bpf.program.name"), "ethogram_t2");
    assert_eq!(text(&attached, "bpf.attach.cgroup.path"), own);
}

#[test]
fn what_is_refused_says_why() {
    let mut rig = Rig::start("bpf");
    let mut bad = program(RAW_TRACEPOINT, "ethogram_t3", 0);
    bad.instruction_count = 1; // never ends
    let child = forked(|| {
        bpf(PROG_LOAD, &bad);
        bpf(RAW_TRACEPOINT_OPEN, &[0u64, 9999]);
        0
    });
    let pid = child.pid();
    child.go();
    let loaded = rig.expect("loading", |e| is(e, "load") && of(e, pid));
    assert_eq!(number(&loaded, "error.type"), libc::EINVAL as u64);
    assert_eq!((number(&loaded, "bpf.program.id"), text(&loaded, "bpf.program.name").as_str()), (0, "ethogram_t3"));
    let attached = rig.expect("attaching", |e| is(e, "attach") && of(e, pid));
    assert_eq!(number(&attached, "error.type"), libc::EBADF as u64);
}

#[test]
fn maps_are_reported_on_request_only() {
    let mut name = [0u8; 16];
    name[..4].copy_from_slice(b"zoo1");
    let make = || {
        let name = name;
        forked(move || {
            #[repr(C)]
            struct Map([u32; 7], [u8; 16]);
            bpf(MAP_CREATE, &Map([HASH, 4, 8, 100, 0, 0, 0], name))
        })
    };
    let mut rig = Rig::start_with("bpf", settings(), &[("maps", "true")]);
    let child = make();
    let pid = child.pid();
    child.go();
    let made = rig.expect("the map", |e| is(e, "map") && of(e, pid));
    assert_eq!(shown(&made, "bpf.map.type"), "BPF_MAP_TYPE_HASH");
    assert_eq!(["key_size", "value_size", "max_entries"].map(|f| number(&made, &format!("bpf.map.{f}"))), [4, 8, 100]);
    assert_eq!(text(&made, "bpf.map.name"), "zoo1");

    let mut rig = Rig::start("bpf");
    let child = make();
    let pid = child.pid();
    child.go();
    assert!(!rig.all().iter().any(|e| of(e, pid)));
    assert!(rig.counters().filtered["parameter"] > 0);
}
