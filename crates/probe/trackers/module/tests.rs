use crate::tests::{child::forked, *};

fn call(event: &ethogram_model::Event) -> String {
    event.schema.field("module.request").unwrap().name_of(number(event, "module.request"))
}

/// Whichever kernel this is, what is no module is refused: with ENOSYS, EPERM or ENOEXEC.
#[test]
fn attempts_are_told_with_file_name_and_parameters() {
    let mut rig = Rig::start("module");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "this is no module").unwrap();
    let path = std::ffi::CString::new(file.path().to_str().unwrap()).unwrap();
    let image = *b"neither is this";
    // On the stack, as a kernel that refuses at once reads neither, and programs cannot bring in a page that is not there.
    let (parameters, name) = (*b"debug=1\0", *b"ethogram_no_such\0");
    let child = forked(|| {
        // SAFETY: the texts end with NUL and the image is as long as said.
        unsafe {
            let fd = libc::open(path.as_ptr(), libc::O_RDONLY);
            libc::syscall(libc::SYS_finit_module, fd, parameters.as_ptr(), 0);
            libc::syscall(libc::SYS_init_module, image.as_ptr(), image.len(), c"".as_ptr());
            libc::syscall(libc::SYS_delete_module, name.as_ptr(), libc::O_NONBLOCK);
        }
        0
    });
    let pid = child.pid();
    child.go();
    let mut request = |name: &str| {
        let event = rig.expect(name, |e| is(e, "request") && of(e, pid) && call(e) == name);
        assert!(event.get("error.type").is_truthy(), "{name}");
        event
    };
    let from_file = request("finit_module");
    assert_eq!(text(&from_file, "file.path"), file.path().to_str().unwrap());
    assert_eq!(text(&from_file, "module.parameters"), "debug=1");
    let from_memory = request("init_module");
    assert_eq!(number(&from_memory, "module.size"), image.len() as u64);
    assert!(text(&from_memory, "file.path").is_empty());
    assert_eq!(text(&request("delete_module"), "module.name"), "ethogram_no_such");
    assert!(text(&from_file, "module.name").is_empty() && text(&from_memory, "module.name").is_empty());
}

#[test]
fn reading_the_list_of_modules_is_no_request() {
    let mut rig = Rig::start("module");
    let shell = Shell::waiting("while read line; do :; done < /proc/modules; ls /sys/module");
    let pid = shell.pid();
    shell.go();
    assert!(!rig.all().iter().any(|e| of(e, pid) || number(e, "process.parent_pid") == u64::from(pid)));
}
