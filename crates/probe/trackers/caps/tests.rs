use crate::tests::{child::forked, *};

/// Checks are counted by program: each test's has a name of its own.
fn chroot_as(user: u32, program: &std::ffi::CStr) {
    forked(|| {
        // SAFETY: plain system calls, with texts that end with NUL.
        unsafe {
            libc::prctl(libc::PR_SET_NAME, program.as_ptr());
            libc::syscall(libc::SYS_setuid, user);
            for _ in 0..3 {
                libc::chroot(c"/".as_ptr());
            }
        }
        0
    })
    .go();
}

fn counted(rig: &mut Rig, program: &str, capability: &str, error: Option<u64>) -> u64 {
    let rows = rig.all().iter().filter(|e| {
        text(e, "process.executable.name") == program
            && e.schema.field("capability.name").unwrap().name_of(number(e, "capability.name")) == capability
            && e.get("error.type").as_u64() == error
    });
    rows.map(|e| number(e, "capability.checks")).sum()
}

#[test]
fn checks_are_counted_by_capability_and_outcome() {
    let mut rig = Rig::start("caps");
    chroot_as(0, c"caps-root");
    chroot_as(65_534, c"caps-nobody");
    let failed = |e: &ethogram_model::Event| text(e, "process.executable.name") == "caps-nobody" && e.get("error.type").is_truthy();
    let row = rig.expect("the refusals", failed);
    assert_eq!(number(&row, "capability.user_namespace_level"), 0);
    assert_eq!(counted(&mut rig, "caps-nobody", "CAP_SYS_CHROOT", Some(1)), 3);
    assert_eq!(counted(&mut rig, "caps-nobody", "CAP_SYS_CHROOT", None), 0);
    assert_eq!(counted(&mut rig, "caps-root", "CAP_SYS_CHROOT", None), 3);
    assert_eq!(counted(&mut rig, "caps-root", "CAP_SYS_CHROOT", Some(1)), 0);
    rig.collector.stop("caps").unwrap();
    assert_eq!(rig.counters().unaccounted(), 0);
}

#[test]
fn those_that_succeed_can_be_left_out() {
    let mut rig = Rig::start_with("caps", settings(), &[("granted", "false")]);
    chroot_as(0, c"caps-may");
    chroot_as(65_534, c"caps-may-not");
    rig.expect("the refusals", |e| text(e, "process.executable.name") == "caps-may-not");
    assert_eq!(counted(&mut rig, "caps-may-not", "CAP_SYS_CHROOT", Some(1)), 3);
    assert!(!rig.all().iter().any(|e| text(e, "process.executable.name") == "caps-may"));
    assert!(rig.counters().filtered["parameter"] > 0);
}
