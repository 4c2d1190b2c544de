use crate::tests::{child::forked, *};

const NOBODY: u32 = 65_534;

fn name(event: &ethogram_model::Event, field: &str) -> String {
    event.schema.field(field).unwrap().name_of(number(event, field))
}

/// As nobody, and with arguments that would be refused to anybody.
#[test]
fn attempts_to_load_another_kernel_are_told() {
    let mut rig = Rig::start("kexec");
    // On the stack: the kernel does not read it before it refuses, and programs cannot bring in a page that is not there.
    let command_line = *b"quiet\0";
    let child = forked(|| {
        // SAFETY: the text ends with NUL and is as long as said; no segment is handed over.
        unsafe {
            let kernel = libc::open(c"/etc/hostname".as_ptr(), libc::O_RDONLY | libc::O_CREAT, 0o644);
            libc::syscall(libc::SYS_setuid, NOBODY);
            libc::syscall(libc::SYS_kexec_load, 0, 3, std::ptr::null::<u8>(), 0xff);
            libc::syscall(libc::SYS_kexec_file_load, kernel, kernel, 6, command_line.as_ptr(), 0x80);
            libc::syscall(libc::SYS_kexec_file_load, kernel, kernel, 6, command_line.as_ptr(), 4); // without the latter
        }
        0
    });
    let pid = child.pid();
    child.go();
    let mut load = |call: &str, flags| {
        rig.expect(call, |e| of(e, pid) && name(e, "kexec.call") == call && number(e, "kexec.flags") == flags)
    };
    let memory = load("kexec_load", 0xff);
    assert!(memory.get("error.type").is_truthy());
    assert_eq!(number(&memory, "kexec.segments"), 3);
    let file = load("kexec_file_load", 0x80);
    assert!(file.get("error.type").is_truthy());
    assert_eq!(text(&file, "file.path"), "/etc/hostname");
    assert_eq!(text(&file, "kexec.command_line"), "quiet");
    assert_eq!(text(&file, "kexec.initramfs.path"), "/etc/hostname");
    assert!(text(&load("kexec_file_load", 4), "kexec.initramfs.path").is_empty());
}

/// As nobody, and without the call's magic numbers: nothing can come of it.
#[test]
fn attempts_to_reboot_are_told_and_the_keyboard_setting_is_not() {
    let mut rig = Rig::start("kexec");
    let child = forked(|| {
        // SAFETY: plain system calls.
        unsafe {
            libc::syscall(libc::SYS_setuid, NOBODY);
            libc::syscall(libc::SYS_reboot, 0, 0, 0x89ab_cdefu32, 0);
            libc::syscall(libc::SYS_reboot, 0, 0, 0x4558_4543, 0);
        }
        0
    });
    let pid = child.pid();
    child.go();
    let reboot = rig.expect("the attempt", |e| is(e, "reboot") && of(e, pid));
    assert_eq!(name(&reboot, "kexec.reboot.command"), "LINUX_REBOOT_CMD_KEXEC");
    assert!(reboot.get("error.type").is_truthy());
    assert_eq!(rig.all().iter().filter(|e| of(e, pid)).count(), 1);
}
