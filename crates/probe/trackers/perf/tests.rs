use crate::tests::{child::forked, *};

/// As much of the attributes as the first kernel with the call knew.
#[repr(C)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    rest: [u64; 6],
}

fn open(kind: u32, config: u64, pid: i32) -> i32 {
    let attributes = Attributes { kind, size: 64, config, rest: [0, 0, 0, 0, 0, 0] };
    // SAFETY: the kernel reads as many bytes as the attributes say they have.
    unsafe { libc::syscall(libc::SYS_perf_event_open, &attributes, pid, -1, -1, 0) as i32 }
}

const SOFTWARE: u32 = 1;
const DUMMY: u64 = 9;

#[test]
fn an_event_on_another_process() {
    let mut rig = Rig::start("perf");
    let target = Shell::waiting("exit 0");
    let observed = target.pid();
    let child = forked(|| {
        open(SOFTWARE, DUMMY, observed as i32);
        open(SOFTWARE, DUMMY, 0);
        open(SOFTWARE, 0x77, 0);
        0
    });
    let pid = child.pid();
    child.go();
    let event = rig.expect("the event", |e| of(e, pid) && number(e, "process.target.pid") == u64::from(observed));
    assert_eq!(
        ["type", "counter", "unit"].map(|f| shown(&event, &format!("perf.{f}"))),
        ["software", "dummy", "software"]
    );
    assert_eq!(shown(&event, "perf.cpu"), "-1");
    assert_eq!(text(&event, "process.target.executable.name"), "sh");
    let own = rig.expect("on itself", |e| of(e, pid) && number(e, "process.target.pid") == u64::from(pid));
    assert_eq!(shown(&own, "error.type"), "");
    let refused = rig.expect("no such event", |e| of(e, pid) && number(e, "error.type") == libc::ENOENT as u64);
    assert_eq!(number(&refused, "perf.config"), 0x77);
    assert!(!rig.all().iter().any(|e| of(e, observed)));
    target.go();
}
